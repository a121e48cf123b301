//! What topics and subscriptions are called at the broker.
//!
//! `:` and `/` are in no name of ours, so two of them never meet.

use std::time::Duration;

use lapin::types::ShortString;

use crate::{LEASE_MAX, QueueError, Subscription, Topic};

/// Longest name, in bytes: it travels as a short string.
const NAME_BYTES_MAX: usize = 255;
/// What the broker keeps for itself.
const RESERVED: &str = "amq.";
/// What a delay of [`LEASE_MAX`] needs: 2¹⁶ seconds. The first holds up to one second, each other twice the one before.
const DELAYS: u32 = 17;

#[derive(Debug)]
pub(super) struct Names {
    /// The prefix and its `:`, or nothing.
    prefix: String,
}

/// The names around one subscription. All were checked.
#[derive(Debug, Clone)]
pub(super) struct QueueNames {
    pub(super) exchange: ShortString,
    pub(super) queue: ShortString,
    pub(super) dead: ShortString,
    pub(super) dead_lock: ShortString,
}

impl Names {
    pub(super) fn new(prefix: Option<&str>) -> Self {
        Self { prefix: prefix.map(|prefix| format!("{prefix}:")).unwrap_or_default() }
    }

    pub(super) fn exchange(&self, topic: &Topic) -> Result<ShortString, QueueError> {
        checked(&format!("{}{topic}", self.prefix))
    }

    pub(super) fn of(&self, subscription: &Subscription) -> Result<QueueNames, QueueError> {
        let queue = format!("{}{subscription}", self.prefix);
        // The longest of them first, so that a subscription works as a whole or not at all.
        checked(&delay_name(&queue, DELAYS - 1))?;
        Ok(QueueNames {
            exchange: self.exchange(subscription.topic())?,
            dead: checked(&format!("{queue}/dead"))?,
            dead_lock: checked(&format!("{queue}/lock"))?,
            queue: checked(&queue)?,
        })
    }

    /// Where the names of all subscriptions are kept.
    pub(super) fn registry(&self) -> Result<ShortString, QueueError> {
        checked(&format!("{}/subscriptions", self.prefix))
    }

    pub(super) fn registry_lock(&self) -> Result<ShortString, QueueError> {
        checked(&format!("{}/lock", self.prefix))
    }
}

impl QueueNames {
    /// The queue for a delay.
    pub(super) fn delay(&self, delay: Duration) -> Result<ShortString, QueueError> {
        checked(&delay_name(self.queue.as_str(), step(delay)))
    }

    /// All that there may be.
    pub(super) fn delays(&self) -> Result<Vec<ShortString>, QueueError> {
        (0..DELAYS).map(|step| checked(&delay_name(self.queue.as_str(), step))).collect()
    }
}

fn delay_name(queue: &str, step: u32) -> String {
    format!("{queue}/delay/{}s", 1_u64 << step)
}

/// The least step whose seconds, a power of two, are no less than `delay`.
fn step(delay: Duration) -> u32 {
    let delay = delay.min(LEASE_MAX);
    (0..DELAYS - 1).find(|step| Duration::from_secs(1 << step) >= delay).unwrap_or(DELAYS - 1)
}

fn checked(name: &str) -> Result<ShortString, QueueError> {
    if name.starts_with(RESERVED) {
        return Err(QueueError::Refused(format!(
            "RabbitMQ keeps names that begin with {RESERVED:?} for itself: {name:?} needs a ?prefix= that does not"
        )));
    }
    let bytes = name.len();
    ShortString::try_new(name).map_err(|_| {
        QueueError::Refused(format!(
            "{name:?} has {bytes} bytes, and RabbitMQ takes names of {NAME_BYTES_MAX}: shorten prefix, topic, service or site"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(prefix: Option<&str>, subscription: &str) -> Result<QueueNames, QueueError> {
        Names::new(prefix).of(&subscription.parse().unwrap())
    }

    #[test]
    fn names_are_told_apart_and_checked() {
        let plain = names(None, "t/s/x").unwrap();
        assert_eq!((plain.exchange.as_str(), plain.queue.as_str()), ("t", "t/s/x"));
        let other = names(Some("p"), "t/s/x").unwrap();
        assert_eq!((other.exchange.as_str(), other.dead.as_str()), ("p:t", "p:t/s/x/dead"));
        assert!(names(None, "amq.t/s/x").unwrap_err().to_string().contains("prefix"));
        assert!(names(Some("p"), "amq.t/s/x").is_ok());
        let long = "n".repeat(64);
        let refusal = names(Some(&long), &format!("{long}/{long}/{long}")).unwrap_err().to_string();
        assert!(refusal.contains("255"), "{refusal}");
        assert!(names(None, &format!("{long}/{long}/{long}")).is_ok());
    }

    #[test]
    fn a_delay_has_the_next_power_of_two() {
        let names = names(None, "t/s/x").unwrap();
        let delay = |millis| names.delay(Duration::from_millis(millis)).unwrap().to_string();
        for (millis, seconds) in
            [(1, 1), (1_000, 1), (1_001, 2), (2_000, 2), (5_000, 8), (43_200_000, 65_536), (u64::MAX, 65_536)]
        {
            assert_eq!(delay(millis), format!("t/s/x/delay/{seconds}s"));
        }
        assert_eq!(names.delays().unwrap().len(), 17);
    }
}
