//! The intervals hold what they promise: in 95 of 100 runs the truth is inside.

#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the verdict")]

use antiphon_pbs::{Distribution, Outcome, Quorum, Time, Wars, run};
use fastrand::Rng;
use std::num::NonZeroUsize;

/// Runs whose intervals are counted.
const RUNS: u32 = 200;
/// Of 200 runs of a right interval, so many hold the truth but once in forty cases: 95 % less two standard errors, or 92 %.
const INSIDE_MIN: u32 = 184;
/// As many as a link measures in a quiet hour.
const MEASURED: usize = 108;
/// The mean of what is measured, in milliseconds.
const MEAN: f64 = 100.0;

fn wars(w: Distribution) -> Wars {
    Wars::symmetric(w, Distribution::constant(0.0).unwrap())
}

/// One outcome for each run: so many measurements of exponential writes, and trials that draw from these.
fn outcomes(measured: usize, trials: usize, nrw: (u16, u16, u16)) -> impl Iterator<Item = Outcome> {
    let truth = Distribution::exponential(MEAN).unwrap();
    let (n, r, w) = nrw;
    (0..RUNS).map(move |seed| {
        let mut rng = Rng::with_seed(u64::from(seed));
        let samples = (0..measured).map(|_| truth.sample(&mut rng)).collect();
        let wars = wars(Distribution::samples(samples).unwrap());
        run(Quorum::new(n, r, w).unwrap(), &wars, trials, u64::from(seed), NonZeroUsize::MIN).unwrap()
    })
}

/// The time that an exponential message is no longer than with this probability.
fn exact(share: f64) -> f64 {
    -MEAN * (1.0 - share).ln()
}

fn holds(time: Time, exact: f64) -> bool {
    time.low_ms <= exact && time.high_ms.is_none_or(|high| exact <= high)
}

fn count(outcomes: &[Outcome], inside: impl Fn(&Outcome) -> bool) -> u32 {
    u32::try_from(outcomes.iter().filter(|outcome| inside(outcome)).count()).unwrap()
}

/// The curve of one replica and W = 0 is what was measured, so its quantiles are known.
#[test]
fn few_measurements_are_told_with_what_they_leave_open() {
    let outcomes: Vec<_> = outcomes(MEASURED, 20_000, (1, 1, 0)).collect();
    for share in [0.01, 0.5, 0.9, 0.99, 0.999] {
        let inside = count(&outcomes, |outcome| holds(outcome.time_for(share), exact(share)));
        assert!(inside >= INSIDE_MIN, "{share}: in {inside} of {RUNS} runs");
    }
    for outcome in &outcomes {
        // Below the greatest of 108 is the 97th percentile with probability 1 − 0.97^108 = 96 %, the 99th with 66 %, and
        // the 99.9th with 10 %.
        assert!(outcome.time_for(0.9).high_ms.is_some());
        for share in [0.99, 0.999] {
            let time = outcome.time_for(share);
            assert_eq!(time.high_ms, None, "{share}: nothing that was measured bounds it");
            assert!(time.low_ms > 0.0 && time.low_ms <= time.ms);
        }
        // Of two hundred messages one is faster than this, so perhaps none of 108: that no time is negative is all that
        // is known.
        assert!(outcome.time_for(0.005).low_ms <= 0.0);
    }
}

/// Trials by chance on measurements by chance: what both leave open is in the interval.
#[test]
fn as_many_trials_as_measurements_add_their_own_chance() {
    for (measured, trials) in [(MEASURED, 1_000), (1_000, 1_000), (10_000, 1_000)] {
        let outcomes: Vec<_> = outcomes(measured, trials, (1, 1, 0)).collect();
        for share in [0.5, 0.9, 0.99] {
            let inside = count(&outcomes, |outcome| holds(outcome.time_for(share), exact(share)));
            assert!(inside >= INSIDE_MIN, "{measured}, {trials}, {share}: in {inside} of {RUNS} runs");
        }
        let curve = count(&outcomes, |outcome| {
            let found = outcome.consistent_at(exact(0.9));
            (found.low..=found.high).contains(&0.9)
        });
        assert!(curve >= INSIDE_MIN, "{measured}, {trials}: in {curve} of {RUNS} runs");
    }
}

/// A write that waits for three replicas takes the longest of three messages, and each trial three measurements.
#[test]
fn trials_that_take_several_measurements_are_fewer() {
    let outcomes: Vec<_> = outcomes(MEASURED, 20_000, (3, 1, 3)).collect();
    for share in [0.1_f64, 0.5, 0.9, 0.99] {
        let exact = exact(share.powf(1.0 / 3.0));
        let inside = count(&outcomes, |outcome| holds(outcome.write_latency(share), exact));
        assert!(inside >= INSIDE_MIN, "{share}: in {inside} of {RUNS} runs");
    }
}
