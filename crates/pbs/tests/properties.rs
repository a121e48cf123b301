//! What holds for every model.

#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the verdict")]

use antiphon_pbs::{Distribution, Outcome, Quorum, Wars, parse, run};
use proptest::prelude::*;
use std::num::NonZeroUsize;

const TRIALS: usize = 3_000;

fn any_distribution() -> impl Strategy<Value = Distribution> {
    let simple = prop_oneof![
        (0.0..100.0_f64).prop_map(|ms| Distribution::constant(ms).unwrap()),
        (0.001..100.0_f64).prop_map(|mean| Distribution::exponential(mean).unwrap()),
        (0.001..100.0_f64, 0.2..12.0_f64).prop_map(|(xm, alpha)| Distribution::pareto(xm, alpha).unwrap()),
        (0.0..50.0_f64, 0.0..50.0_f64)
            .prop_map(|(min, more)| Distribution::uniform(min, min + more).unwrap()),
        prop::collection::vec(0.0..100.0_f64, 1..20).prop_map(|ms| Distribution::samples(ms).unwrap()),
    ];
    (simple.clone(), simple, 0.0..=1.0_f64)
        .prop_map(|(one, other, share)| Distribution::mixture([(share, one), (1.0 - share, other)]).unwrap())
}

fn any_wars() -> impl Strategy<Value = Wars> {
    let remote = prop::option::of(0.0..100.0_f64);
    (any_distribution(), any_distribution(), any_distribution(), any_distribution(), remote)
        .prop_map(|(w, a, r, s, remote)| Wars { w, a, r, s, remote })
}

fn any_quorum() -> impl Strategy<Value = Quorum> {
    (1..8_u16).prop_flat_map(|n| (Just(n), 1..=n, 0..=n)).prop_map(|(n, r, w)| Quorum::new(n, r, w).unwrap())
}

fn played(quorum: Quorum, wars: &Wars, seed: u64) -> Outcome {
    run(quorum, wars, TRIALS, seed, NonZeroUsize::MIN).unwrap()
}

/// Times at which a curve is looked at.
const TIMES: [f64; 7] = [0.0, 0.5, 1.0, 5.0, 20.0, 100.0, 1e15];

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_curve_rises_to_one(quorum in any_quorum(), wars in any_wars(), seed: u64) {
        let outcome = played(quorum, &wars, seed);
        let curve = TIMES.map(|t| outcome.consistent_at(t));
        for pair in curve.windows(2) {
            prop_assert!(pair[0].value <= pair[1].value);
        }
        for found in curve {
            prop_assert!(0.0 <= found.low && found.low <= found.value);
            prop_assert!(found.value <= found.high && found.high <= 1.0);
        }
        if quorum.is_strict() {
            prop_assert!(curve[0].value >= 1.0);
        }
    }

    /// Of the same messages, more waiting is never staler and never faster.
    #[test]
    fn waiting_for_more_is_fresher_and_slower(quorum in any_quorum(), wars in any_wars(), seed: u64) {
        let less = played(quorum, &wars, seed);
        let (n, r, w) = (quorum.n(), quorum.r(), quorum.w());
        for more in [Quorum::new(n, r + 1, w), Quorum::new(n, r, w + 1)].into_iter().flatten() {
            let more = played(more, &wars, seed);
            for t in TIMES {
                prop_assert!(more.consistent_at(t).value >= less.consistent_at(t).value);
            }
            for share in [0.1, 0.5, 0.99] {
                prop_assert!(more.read_latency(share).ms >= less.read_latency(share).ms);
                prop_assert!(more.write_latency(share).ms >= less.write_latency(share).ms);
            }
        }
    }

    /// The time for a probability is the first at which the curve is there.
    #[test]
    fn the_time_is_the_curves_inverse(quorum in any_quorum(), wars in any_wars(), seed: u64, p in 0.001..1.0_f64) {
        let outcome = played(quorum, &wars, seed);
        let time = outcome.time_for(p);
        prop_assert!(outcome.consistent_at(time.ms).value >= p - 1e-9);
        if time.ms > 0.0 {
            let before = time.ms * (1.0 - 1e-9);
            prop_assert!(outcome.consistent_at(before).value < p + 1e-9);
        }
        prop_assert!(time.low_ms <= time.ms);
        prop_assert!(time.high_ms.is_none_or(|high| high >= time.ms));
    }

    /// Whatever is written, the answer is a distribution or a refusal.
    #[test]
    fn no_text_surprises_the_parser(
        noise in ".{0,40}",
        text in "[0-9.]{0,4}%?[*]?(exp|pareto|uniform|constant|samples|)[:(]?[a-z=0-9.,eµms+-]{0,24}[)]?( ?[+] ?[0-9.*a-z():,]{0,20})?",
    ) {
        for text in [noise, text] {
            let read = parse::distribution(&text, &mut |_| Ok(vec![1.0]));
            if let Ok(read) = read {
                prop_assert!(read.at_most(f64::MAX) >= 1.0 - 1e-9, "{}", text);
            }
        }
    }
}
