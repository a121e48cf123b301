//! How long it takes until what was changed in one service is shown by another.

use pbs::Histogram;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// So many slots make the last hour.
const SLOTS: u64 = 12;
/// A slot of the last hour: five minutes.
const SLOT_MS: u64 = 5 * 60 * 1000;

/// The times from a change to its commit elsewhere, counted for one link since this process began, and for about the last
/// hour. Clones are the same.
///
/// Counted is every row that a message made grow, with the age of the oldest change in the message: so no row is counted
/// as fresher than it was. What brought nothing new is not counted: it was shown before. Two machines' clocks are
/// compared, so it is as good as they agree; a change from the future counts as one that took no time. What a message
/// that was lost would have brought counts from the change or the announcement that brought it after all.
///
/// It takes at most thirteen histograms of 1,152 numbers, and survives nothing.
#[derive(Debug, Clone, Default)]
pub struct Lag {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    since_start: Histogram,
    /// The last slots in which anything was counted, the newest at the end.
    slots: VecDeque<(u64, Histogram)>,
}

impl State {
    /// Forgets what is older than an hour.
    fn forget(&mut self, slot: u64) {
        while self.slots.front().is_some_and(|(first, _)| first + SLOTS <= slot) {
            self.slots.pop_front();
        }
    }
}

impl Lag {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts `rows` that were changed at `changed_ms` and are committed here at `now_ms`, both by the wall clock.
    pub fn record(&self, changed_ms: u64, now_ms: u64, rows: u64) {
        if rows == 0 {
            return;
        }
        let took = now_ms.saturating_sub(changed_ms);
        let mut state = self.state();
        state.since_start.record(took, rows);
        let slot = now_ms / SLOT_MS;
        state.forget(slot);
        match state.slots.back_mut() {
            // A clock that was set back counts into the slot that is there: slots are in order.
            Some((last, histogram)) if *last >= slot => histogram.record(took, rows),
            _ => {
                let mut histogram = Histogram::default();
                histogram.record(took, rows);
                state.slots.push_back((slot, histogram));
            }
        }
    }

    /// What was counted since this process began.
    pub fn since_start(&self) -> Histogram {
        self.state().since_start.clone()
    }

    /// What was counted in the last hour, up to five minutes less.
    pub fn last_hour(&self, now_ms: u64) -> Histogram {
        let mut state = self.state();
        state.forget(now_ms / SLOT_MS);
        let mut all = Histogram::default();
        state.slots.iter().for_each(|(_, histogram)| all.add(histogram));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000_000;

    #[test]
    fn an_hour_is_an_hour() {
        let lag = Lag::default();
        for minute in 0..180 {
            let now = NOW + minute * 60_000;
            lag.record(now - minute, now, 1);
        }
        let now = NOW + 179 * 60_000;
        assert_eq!(lag.since_start().count(), 180);
        let hour = lag.last_hour(now);
        assert!((55..=60).contains(&hour.count()), "{}", hour.count());
        assert!(hour.quantile_ms(0.0).is_some_and(|least| least >= 120), "the newest");
        assert_eq!(lag.last_hour(now + 3_600_000).count(), 0);
        assert_eq!(lag.since_start().count(), 180);
        assert!(lag.state().slots.len() <= 12);
    }

    #[test]
    fn clocks_that_jump_lose_nothing() {
        let lag = Lag::default();
        lag.record(NOW, NOW - 5, 2);
        lag.record(NOW, NOW - 7_200_000, 3);
        lag.record(NOW, NOW, 0);
        assert_eq!(lag.since_start().count(), 5);
        assert_eq!(lag.since_start().max_ms(), 0);
        assert_eq!(lag.last_hour(NOW).count(), 5);
    }
}
