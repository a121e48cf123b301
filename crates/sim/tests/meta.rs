//! The simulator itself: a seed decides everything.

use antiphon_sim::actors::Company;
use antiphon_sim::smoke::Smoke;
use antiphon_sim::{Plan, Play, run};

/// Plays each seed twice; both runs must leave the same trace, byte by byte.
fn same_twice(seeds: impl IntoIterator<Item = u64>, actors: &impl Play) {
    for seed in seeds {
        let play = || run(&Plan::of(seed), actors, true).unwrap();
        let (first, second) = (play(), play());
        let (one, other) = (first.trace.as_deref().unwrap(), second.trace.as_deref().unwrap());
        let differs = one.lines().zip(other.lines()).position(|(one, other)| one != other);
        if let Some(line) = differs {
            let context =
                |text: &str| text.lines().skip(line.saturating_sub(5)).take(8).collect::<Vec<_>>().join("\n");
            panic!("seed {seed} differs at line {line}:\n{}\n--\n{}", context(one), context(other));
        }
        assert_eq!(first, second, "seed {seed}");
        assert!(first.lines > 100, "seed {seed} did something");
    }
}

#[test]
fn a_seed_played_twice_leaves_the_same_trace() {
    same_twice(1..=8, &Smoke::default());
}

/// With all the actors and the checks: runs of a few virtual minutes.
#[test]
fn the_whole_company_plays_the_same_twice() {
    let short = (1..100).filter(|seed| Plan::of(*seed).duration_ms < 20 * 60_000);
    same_twice(short.take(6), &Company::default());
}
