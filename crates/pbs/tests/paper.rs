//! The trials against the paper's printed figures, and against what can be calculated.

#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the verdict")]

use antiphon_pbs::{Distribution, Outcome, Quorum, Wars, paper, run};
use std::num::NonZeroUsize;

const TRIALS: usize = 1_000_000;

fn threads() -> NonZeroUsize {
    NonZeroUsize::new(2).unwrap()
}

fn played(nrw: (u16, u16, u16), wars: &Wars, trials: usize, seed: u64) -> Outcome {
    let (n, r, w) = nrw;
    run(Quorum::new(n, r, w).unwrap(), wars, trials, seed, threads()).unwrap()
}

fn exponential(mean: f64) -> Distribution {
    Distribution::exponential(mean).unwrap()
}

/// Every figure that the paper prints agrees, and the page shows just these tables.
#[test]
fn the_papers_figures_are_found_again() {
    let compared = paper::compare(TRIALS, 1, threads()).unwrap();
    for one in &compared {
        assert!(one.figure.agrees(one.found), "{one:?}");
    }
    let page = include_str!("../../../docs/pbs.md");
    let tables = paper::markdown(&compared);
    assert!(
        page.contains(&tables),
        "docs/pbs.md does not show what `antiphon pbs --paper` prints:\n{tables}"
    );
}

/// One replica, W = 0: the read is fresh when the write's way is no longer than the wait and the question's way, so with
/// exponential ways P(fresh) = 1 − exp(−t/w) · w/(w + r).
#[test]
fn one_replica_is_what_can_be_calculated() {
    for (w, r) in [(10.0, 1.0), (1.0, 1.0), (0.25, 4.0)] {
        let wars = Wars::symmetric(exponential(w), exponential(r));
        let outcome = played((1, 1, 0), &wars, TRIALS, 3);
        for t in [0.0, 0.5, 1.0, 3.0, 20.0] {
            let exact = 1.0 - (-t / w).exp() * w / (w + r);
            let found = outcome.consistent_at(t).value;
            assert!((found - exact).abs() < outcome.band(), "{w} {r} {t}: {found} and not {exact}");
        }
        assert!((outcome.write_latency(0.999).ms).abs() < 1e-12, "nobody is waited for");
        // The read's latency is the sum of two exponentials: its median solves 1 − e^−x (1 + x) = 1/2.
        let median = outcome.read_latency(0.5).ms / r;
        assert!((1.0 - (-median).exp() * (1.0 + median) - 0.5).abs() < 0.002, "{median}");
    }
}

/// A reader who asks all N replicas, by ways that take no time, is fresh when any of them has the write: the minimum of
/// N exponentials.
#[test]
fn whoever_asks_everybody_waits_for_the_first() {
    let now = || Distribution::constant(0.0).unwrap();
    let wars = Wars::symmetric(exponential(6.0), now());
    let outcome = played((4, 4, 0), &wars, TRIALS, 5);
    for t in [0.0, 0.3, 1.0, 2.0, 5.0] {
        let (found, exact) = (outcome.consistent_at(t).value, 1.0 - (-t * 4.0 / 6.0_f64).exp());
        assert!((found - exact).abs() < outcome.band(), "{t}: {found} and not {exact}");
    }
}

/// Writes that arrive at once or never: what is fresh can be counted.
#[test]
fn writes_that_do_not_arrive_are_counted() {
    // Each of three replicas has the write with probability 1/2; the writer waits for one, the reader asks one by chance.
    let far = 1e9;
    let half = [(0.5, Distribution::constant(0.0).unwrap()), (0.5, Distribution::constant(far).unwrap())];
    let wars = Wars {
        w: Distribution::mixture(half).unwrap(),
        a: Distribution::constant(0.0).unwrap(),
        r: Distribution::constant(0.0).unwrap(),
        s: exponential(1.0),
        remote: None,
    };
    let outcome = played((3, 1, 1), &wars, TRIALS, 9);
    // Fresh at once: the one that answers has it, 1/2; or nobody has it, when the writer waits for it: 1/8.
    let exact = 0.5 + 0.125;
    let found = outcome.consistent_at(0.0).value;
    assert!((found - exact).abs() < outcome.band(), "{found} and not {exact}");
}

#[test]
fn strict_quorums_are_always_fresh() {
    let wars = Wars::symmetric(exponential(100.0), exponential(1.0));
    for nrw in [(1, 1, 1), (3, 2, 2), (3, 3, 1), (3, 1, 3), (5, 3, 3)] {
        let outcome = played(nrw, &wars, 50_000, 2);
        let fresh = outcome.consistent_at(0.0);
        assert!(fresh.value >= 1.0 && fresh.low >= 1.0, "{nrw:?}");
        assert!(outcome.time_for(0.999_999).ms <= 0.0);
    }
}

#[test]
fn a_seed_decides_everything_and_threads_nothing() {
    let wars = Wars::symmetric(exponential(10.0), exponential(1.0));
    let quorum = Quorum::new(3, 1, 1).unwrap();
    let with =
        |seed, threads| run(quorum, &wars, 200_001, seed, NonZeroUsize::new(threads).unwrap()).unwrap();
    let one = with(7, 1);
    for threads in [2, 3, 8] {
        assert_eq!(with(7, threads), one, "{threads}");
    }
    assert_ne!(with(8, 1), one);
    assert_eq!(one.trials(), 200_001);
}

/// Old figures of a small run: an accidental change of the trials, or of the generator, is seen.
#[test]
fn a_small_run_is_as_it_always_was() {
    let wars = antiphon_pbs::preset::Preset::Wan.wars().unwrap();
    let outcome = played((3, 1, 1), &wars, 10_000, 42);
    let found = format!(
        "{:.4} {:.4} {:.3} {:.3} {:.3}",
        outcome.consistent_at(0.0).value,
        outcome.consistent_at(80.0).value,
        outcome.time_for(0.999).ms,
        outcome.read_latency(0.99).ms,
        outcome.write_latency(0.99).ms
    );
    assert_eq!(found, "0.3416 0.9078 122.509 1.928 25.224");
}
