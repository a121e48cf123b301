//! What was given back with a delay. SQS counts it as in flight; whoever looks at a depth wants to know it apart.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use super::limits::IN_FLIGHT_MAX;

/// The ends of the delays that this process gave, by queue. Those of other processes are not known.
#[derive(Debug, Default)]
pub(super) struct Delays(Mutex<BTreeMap<String, Vec<Instant>>>);

impl Delays {
    /// Notes that a message of `queue` waits until then.
    pub(super) fn note(&self, queue: &str, until: Instant, now: Instant) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ends = noted.entry(queue.to_owned()).or_default();
        if ends.len() == ends.capacity() || ends.len() >= IN_FLIGHT_MAX {
            ends.retain(|end| *end > now);
        }
        if ends.len() < IN_FLIGHT_MAX {
            ends.push(until);
        }
    }

    /// How many messages of `queue` wait at `now`.
    pub(super) fn count(&self, queue: &str, now: Instant) -> u64 {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(ends) = noted.get_mut(queue) else { return 0 };
        ends.retain(|end| *end > now);
        let count = u64::try_from(ends.len()).unwrap_or(u64::MAX);
        if ends.is_empty() {
            noted.remove(queue);
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_over_is_not_counted() {
        let (delays, now) = (Delays::default(), Instant::now());
        for secs in 0..10 {
            delays.note("q", now + Duration::from_secs(secs), now);
        }
        assert_eq!(delays.count("q", now), 9);
        assert_eq!(delays.count("q", now + Duration::from_secs(5)), 4);
        assert_eq!(delays.count("other", now), 0);
        assert_eq!(delays.count("q", now + Duration::from_secs(10)), 0);
    }
}
