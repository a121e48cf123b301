//! How long to wait before trying again.

use std::time::Duration;

/// Exponential backoff with *full jitter*: before try `n` (from 1) wait a time drawn evenly from zero to
/// `base · 2ⁿ⁻¹`, which is cut to `cap`.
///
/// After Marc Brooker, "Exponential backoff and jitter" (AWS Architecture Blog, 2015), who measured it: many clients that
/// failed together come back spread over the whole interval instead of together again, with the least work in sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Upper end of the first wait.
    pub base: Duration,
    /// Upper end of any wait.
    pub cap: Duration,
}

impl Backoff {
    /// Up to `base` at first, never above `cap`.
    pub const fn new(base: Duration, cap: Duration) -> Self {
        Self { base, cap }
    }

    /// The longest wait before try `attempt`, counted from 1.
    pub fn ceiling(&self, attempt: u32) -> Duration {
        let factor = 1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
        self.base.saturating_mul(factor).min(self.cap)
    }

    /// A wait before try `attempt`, counted from 1.
    pub fn delay(&self, attempt: u32, rng: &mut fastrand::Rng) -> Duration {
        let ceiling = u64::try_from(self.ceiling(attempt).as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(rng.u64(0..=ceiling))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_its_cap() {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let ceilings: Vec<_> =
            [0, 1, 2, 3, 4, 5, 33, u32::MAX].map(|n| backoff.ceiling(n).as_millis()).into();
        assert_eq!(ceilings, [100, 100, 200, 400, 800, 1_000, 1_000, 1_000]);
    }

    #[test]
    fn uses_the_whole_interval_and_repeats_for_a_seed() {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let draw = |seed| {
            let mut rng = fastrand::Rng::with_seed(seed);
            (0..1_000).map(|_| backoff.delay(2, &mut rng)).collect::<Vec<_>>()
        };
        let delays = draw(7);
        assert_eq!(delays, draw(7));
        assert_ne!(delays, draw(8));
        let millis = |at: Option<&Duration>| at.unwrap().as_millis();
        assert!(millis(delays.iter().min()) < 10, "full jitter starts at zero");
        assert!((190..=200).contains(&millis(delays.iter().max())), "and ends at the ceiling");
    }
}
