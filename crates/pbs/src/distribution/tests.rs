use super::*;
use fastrand::Rng;
use proptest::prelude::*;

fn all() -> Vec<Distribution> {
    let exp = Distribution::exponential(2.5).unwrap();
    let pareto = Distribution::pareto(1.5, 3.8).unwrap();
    let buckets =
        [(0, 1, 10), (1, 4, 60), (8, 16, 30)].map(|(from_ms, to_ms, count)| Bucket { from_ms, to_ms, count });
    vec![
        Distribution::constant(3.0).unwrap(),
        Distribution::uniform(1.0, 5.0).unwrap(),
        exp.clone(),
        pareto.clone(),
        Distribution::samples(vec![1.0, 1.0, 2.0, 9.0]).unwrap(),
        Distribution::histogram(&buckets).unwrap(),
        Distribution::mixture([(0.25, exp), (0.75, pareto)]).unwrap(),
    ]
}

#[test]
fn draws_follow_the_distribution() {
    const DRAWS: u32 = 200_000;
    for distribution in all() {
        let mut rng = Rng::with_seed(7);
        let drawn: Vec<_> = (0..DRAWS).map(|_| distribution.sample(&mut rng)).collect();
        for t in [0.5, 1.0, 1.5, 2.0, 3.0, 4.5, 8.0, 12.0] {
            let below = drawn.iter().filter(|sample| **sample <= t).count();
            let (found, meant) = (float(below) / f64::from(DRAWS), distribution.at_most(t));
            // Six standard deviations of the worst case.
            assert!((found - meant).abs() < 0.007, "{distribution}: {found} and not {meant} up to {t}");
        }
        let mean = drawn.iter().sum::<f64>() / f64::from(DRAWS);
        let meant = distribution.mean();
        assert!((mean - meant).abs() < 0.02 * meant, "{distribution}: {mean} and not {meant}");
    }
}

#[test]
fn what_is_no_distribution_names_the_field() {
    let refusal = |made: Result<Distribution, DistributionError>| made.unwrap_err().to_string();
    let one = || Distribution::constant(1.0).unwrap();
    let bucket = |from_ms, to_ms, count| Bucket { from_ms, to_ms, count };
    for (found, field) in [
        (refusal(Distribution::constant(-1.0)), "constant:"),
        (refusal(Distribution::constant(f64::NAN)), "constant:"),
        (refusal(Distribution::constant(1e13)), "constant:"),
        (refusal(Distribution::uniform(2.0, 1.0)), "max:"),
        (refusal(Distribution::exponential(0.0)), "mean:"),
        (refusal(Distribution::exponential(f64::INFINITY)), "mean:"),
        (refusal(Distribution::pareto(0.0, 1.0)), "xm:"),
        (refusal(Distribution::pareto(1.0, 0.05)), "alpha:"),
        (refusal(Distribution::samples(Vec::new())), "samples:"),
        (refusal(Distribution::samples(vec![1.0, f64::NAN])), "samples:"),
        (refusal(Distribution::mixture([])), "mixture:"),
        (refusal(Distribution::mixture([(0.5, one()), (0.4, one())])), "mixture:"),
        (refusal(Distribution::mixture([(1.5, one()), (-0.5, one())])), "mixture:"),
        (refusal(Distribution::mixture(vec![(1.0 / 17.0, one()); 17])), "mixture:"),
        (refusal(Distribution::histogram(&[])), "histogram:"),
        (refusal(Distribution::histogram(&[bucket(1, 2, 0)])), "histogram:"),
        (refusal(Distribution::histogram(&[bucket(2, 2, 1)])), "histogram:"),
        (refusal(Distribution::histogram(&[bucket(1, 2, u64::MAX), bucket(2, 3, 1)])), "histogram:"),
    ] {
        assert!(found.starts_with(field), "{found}");
    }
}

#[test]
fn a_mixture_of_mixtures_is_one_mixture() {
    let (one, two) = (Distribution::constant(1.0).unwrap(), Distribution::constant(2.0).unwrap());
    let halves = Distribution::mixture([(0.5, one.clone()), (0.5, two)]).unwrap();
    let all = Distribution::mixture([(0.5, halves), (0.5, one)]).unwrap();
    assert!((all.at_most(1.5) - 0.75).abs() < 1e-12);
    assert_eq!(all.to_string(), "0.25*constant(1) + 0.25*constant(2) + 0.5*constant(1)");
}

#[test]
fn a_tail_without_a_mean_says_so() {
    assert!(Distribution::pareto(1.0, 1.0).unwrap().mean().is_infinite());
}

proptest! {
    #[test]
    fn no_draw_is_out_of_bounds(seed: u64, mean in 1e-6..1e9_f64, alpha in ALPHA_MIN..20.0_f64) {
        let mut rng = Rng::with_seed(seed);
        let pareto = Distribution::pareto(mean, alpha).unwrap();
        let exponential = Distribution::exponential(mean).unwrap();
        for _ in 0..100 {
            let (long, short) = (pareto.sample(&mut rng), exponential.sample(&mut rng));
            prop_assert!(long.is_finite() && long >= mean, "{}", long);
            prop_assert!(short.is_finite() && short >= 0.0, "{}", short);
        }
    }
}
