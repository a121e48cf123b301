//! The simulator itself: a seed decides everything.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests, where a panic is the verdict")]

use antiphon_sim::actors::Company;
use antiphon_sim::{Fault, Plan, run};

const MINUTE_MS: u64 = 60_000;

/// Plays a plan twice and compares the traces, byte by byte. It has to be clean: a run that failed ended early.
fn twice(plan: &Plan) {
    let seed = plan.seed;
    let played = || run(plan, &Company::default(), true).unwrap();
    let (first, second) = (played(), played());
    let (one, other) = (first.trace.as_deref().unwrap(), second.trace.as_deref().unwrap());
    let differs = one.lines().zip(other.lines()).position(|(one, other)| one != other);
    if let Some(line) = differs {
        let context =
            |text: &str| text.lines().skip(line.saturating_sub(5)).take(8).collect::<Vec<_>>().join("\n");
        panic!("seed {seed} differs at line {line}:\n{}\n--\n{}", context(one), context(other));
    }
    assert_eq!(first, second, "seed {seed}");
    assert_eq!(first.failure, None, "seed {seed}");
    assert!(first.lines > 1_000, "seed {seed} did something");
}

/// All who play, with the auditor: at one site and at three, with losses and without.
#[test]
fn a_seed_played_twice_leaves_the_same_trace() {
    let mut losing = 0;
    for (seed, sites) in [(1, 1), (2, 3), (3, 2), (4, 3)] {
        let mut plan = Plan { sites, ..Plan::of(seed) };
        plan.duration_ms = plan.duration_ms.min(20 * MINUTE_MS);
        if plan.digest_ms.is_some() {
            plan.faults.extend([(Fault::Restore, 1.0), (Fault::Lose, 1.0), (Fault::LoseAccepted, 0.1)]);
            losing += 1;
        }
        twice(&plan);
    }
    assert!(losing > 0, "some of them lose what only anti-entropy brings back");
}

/// Where a run is longer than an hour, pumps are stepped: days pass in it.
#[test]
fn so_does_one_whose_pumps_are_stepped() {
    let long = (1..100).map(Plan::of).find(|plan| plan.stepped && plan.duration_ms > 24 * 60 * MINUTE_MS);
    twice(&long.unwrap());
}
