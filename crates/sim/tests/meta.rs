//! The simulator itself: a seed decides everything.

use antiphon_sim::smoke::Smoke;
use antiphon_sim::{Plan, run};

#[test]
fn a_seed_played_twice_leaves_the_same_trace() {
    for seed in 1..=8 {
        let play = || run(&Plan::of(seed), &Smoke::default(), true).unwrap();
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
