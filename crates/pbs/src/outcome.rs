//! What the trials say.

use crate::numbers::{float, float_u64, position};
use crate::quorum::Quorum;
use crate::ranks::ranks;
use crate::wars::Times;
use serde::Serialize;

/// Two-sided 95 %: what a normal variable exceeds in one of forty cases, on either side.
const Z_95: f64 = 1.959_963_984_540_054;

/// A probability, and the interval in which it is in 95 of 100 runs (Wilson's).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Probability {
    /// The share of the trials.
    pub value: f64,
    /// From.
    pub low: f64,
    /// To.
    pub high: f64,
}

/// A time in milliseconds, and the interval in which it is in 95 of 100 runs (by order statistics).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Time {
    /// As the trials say.
    pub ms: f64,
    /// From; 0 where nothing that was measured is so short, as no time is negative.
    pub low_ms: f64,
    /// To; `None` where nothing is so far out: ask for more trials, or wait for more measurements.
    pub high_ms: Option<f64>,
}

/// The times of a run, sorted.
///
/// Where a distribution was measured, trials cannot know more than the measurements: they draw from these again and again,
/// and never beyond the longest. Intervals are then those of as many trials as could use each measurement once, and a
/// little wider for the trials' own chance.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    quorum: Quorum,
    /// So many independent observations the intervals are of.
    observed: f64,
    /// Whether these are measurements, which the trials repeat, and not the trials themselves.
    measured: bool,
    critical: Vec<f64>,
    reads: Vec<f64>,
    writes: Vec<f64>,
}

/// Wilson's interval: right also near 0 and 1, where the usual one is empty.
fn wilson(share: f64, trials: f64) -> (f64, f64) {
    let z2 = Z_95 * Z_95;
    let middle = share + z2 / (2.0 * trials);
    let half = Z_95 * ((share * (1.0 - share) + z2 / (4.0 * trials)) / trials).sqrt();
    let all = 1.0 + z2 / trials;
    (((middle - half) / all).clamp(0.0, share), ((middle + half) / all).clamp(share, 1.0))
}

fn at(times: &[f64], share: f64) -> f64 {
    times.get(position(share, times.len())).copied().unwrap_or_default()
}

/// Of trials that are observations themselves.
fn quantile(times: &[f64], share: f64) -> Time {
    let (low, high) = wilson(share, float(times.len()));
    // One more than the interval says: the time is between two trials.
    let beyond = position(high, times.len()) + 1;
    Time { ms: at(times, share), low_ms: at(times, low), high_ms: times.get(beyond).copied() }
}

/// Of trials that repeat so many measurements.
///
/// The trials hold each of n measurements about as often as the others, so the one of rank k is what they say from the
/// share (k − 1)/n to k/n. It is taken from the middle, where the trials' own chance does not mistake it for the next.
fn measured_quantile(times: &[f64], share: f64, observed: f64) -> Time {
    let (low, high) = ranks(observed, share);
    let ranked = |rank: f64| (rank - 0.5) / observed;
    Time {
        ms: at(times, share),
        low_ms: if low < 1.0 { 0.0 } else { at(times, ranked(low).min(share)) },
        high_ms: (high <= observed).then(|| at(times, ranked(high).max(share))),
    }
}

/// How many observations tell as much as trials that were drawn from measurements: the variances of both add up, and are
/// as 1 to their numbers.
fn together(trials: f64, measured: f64) -> f64 {
    (1.0 / (1.0 / trials + 1.0 / measured)).round().max(1.0)
}

impl Outcome {
    pub(crate) fn of(quorum: Quorum, times: Times, measurements: Option<u64>) -> Self {
        let Times { critical, reads, writes } = times;
        let trials = float(critical.len());
        let observed = measurements.map_or(trials, |measured| together(trials, float_u64(measured)));
        Self { quorum, observed, measured: measurements.is_some(), critical, reads, writes }
    }

    fn time(&self, times: &[f64], share: f64) -> Time {
        if self.measured { measured_quantile(times, share, self.observed) } else { quantile(times, share) }
    }

    /// Of which quorum.
    pub fn quorum(&self) -> Quorum {
        self.quorum
    }

    /// How many trials.
    pub fn trials(&self) -> usize {
        self.critical.len()
    }

    /// The probability that a read is fresh which begins so many milliseconds after the write was answered.
    pub fn consistent_at(&self, t_ms: f64) -> Probability {
        let trials = float(self.trials());
        let value = float(self.critical.partition_point(|critical| *critical <= t_ms)) / trials;
        let (low, high) = wilson(value, self.observed);
        // Where quorums meet it is no estimate.
        Probability { value, low: if self.quorum.is_strict() { value } else { low }, high }
    }

    /// How long after the write's answer a read has to begin to be fresh with this probability, from 0 to 1.
    pub fn time_for(&self, probability: f64) -> Time {
        if self.quorum.is_strict() {
            return Time { ms: 0.0, low_ms: 0.0, high_ms: Some(0.0) };
        }
        self.time(&self.critical, probability)
    }

    /// Within which time this share of the reads was answered.
    pub fn read_latency(&self, share: f64) -> Time {
        self.time(&self.reads, share)
    }

    /// Within which time this share of the writes was answered.
    pub fn write_latency(&self, share: f64) -> Time {
        self.time(&self.writes, share)
    }

    /// In 95 of 100 runs the whole curve is nowhere further than this from the truth (Dvoretzky, Kiefer, Wolfowitz, with
    /// Massart's constant).
    pub fn band(&self) -> f64 {
        ((2.0_f64 / 0.05).ln() / (2.0 * self.observed)).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(critical: Vec<f64>, measurements: Option<u64>) -> Outcome {
        let times = Times { reads: critical.clone(), writes: critical.clone(), critical };
        Outcome::of(Quorum::new(3, 1, 1).unwrap(), times, measurements)
    }

    #[test]
    fn curve_and_times_are_each_others_inverse() {
        let outcome = of((0..1_000).map(f64::from).collect(), None);
        assert!((outcome.consistent_at(499.0).value - 0.5).abs() < 1e-12);
        assert!((outcome.time_for(0.5).ms - 499.0).abs() < 1e-12);
        for share in [0.001, 0.1, 0.37, 0.9, 0.999, 1.0] {
            let time = outcome.time_for(share);
            assert!(outcome.consistent_at(time.ms).value >= share);
            assert!(outcome.consistent_at(time.ms - 0.5).value < share);
            assert!(time.low_ms <= time.ms && time.high_ms.is_none_or(|high| high >= time.ms));
        }
    }

    #[test]
    fn what_no_trial_reached_is_not_bounded() {
        let outcome = of((0..100).map(f64::from).collect(), None);
        assert_eq!(outcome.time_for(0.999).high_ms, None);
        assert!(outcome.time_for(0.5).high_ms.is_some());
    }

    #[test]
    fn trials_know_no_more_than_what_was_measured() {
        let half = |measured| {
            let outcome = of((0..10_000).map(f64::from).collect(), measured);
            (outcome.consistent_at(4_999.0), outcome.time_for(0.5), outcome.time_for(0.99), outcome.band())
        };
        let (all, few, more) = (half(None), half(Some(100)), half(Some(1_000_000)));
        assert!(more.0.low <= all.0.low && more.1.low_ms <= all.1.low_ms && more.3 >= all.3);
        assert!(more.3 < 1.01 * all.3, "a million measurements leave ten thousand trials as they are");
        assert!(few.0.low < 0.41 && few.0.high > 0.59 && all.0.low > 0.49, "{few:?}");
        assert!(few.1.low_ms < 4_100.0 && few.1.high_ms.unwrap() > 5_900.0, "{few:?}");
        assert!(few.2.low_ms < 9_700.0, "{few:?}");
        assert_eq!(few.2.high_ms, None, "0.99^100 is 37 %: all hundred may be below it");
        assert!(few.3 > 9.0 * all.3);
    }

    /// Figures of Wilson's interval from the literature (Newcombe 1998, table I).
    #[test]
    fn intervals_are_wilsons() {
        for (share, trials, low, high) in [
            (81.0 / 263.0, 263.0, 0.2553, 0.3662),
            (15.0 / 148.0, 148.0, 0.0624, 0.1605),
            (0.0, 20.0, 0.0, 0.1611),
        ] {
            let found = wilson(share, trials);
            assert!((found.0 - low).abs() < 5e-5 && (found.1 - high).abs() < 5e-5, "{found:?}");
        }
    }
}
