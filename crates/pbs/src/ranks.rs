//! Between which observations a quantile is: order statistics.

/// What an interval of 95 % leaves out on either side.
const TAIL: f64 = 0.025;
/// Masses of the binomial distribution, counted in that of its mode, that change nothing any more.
const NEGLIGIBLE: f64 = 1e-20;

/// The ranks l and u of so many sorted observations between which the quantile of this share is in at least 95 of 100
/// cases, whatever the distribution is. They are counted from 1. Rank 0 is below all that was observed, and rank
/// `observed` + 1 above: there nothing is known.
///
/// The number of observations below the quantile is binomial, B(`observed`, `share`), so the quantile is between the two
/// with probability P(l ≤ B < u), and neither side is left out by more than 2.5 %: David and Nagaraja, *Order Statistics*
/// (3rd edition, 2003), section 7.1.
pub(crate) fn ranks(observed: f64, share: f64) -> (f64, f64) {
    // What is below the quantile, counted from the other end.
    (observed + 1.0 - upper(observed, 1.0 - share), upper(observed, share))
}

/// The least u with P(B ≥ u) ≤ 2.5 %, for B binomial; n + 1 where even all n are likelier.
fn upper(n: f64, p: f64) -> f64 {
    let mode = ((n + 1.0) * p).floor().clamp(0.0, n);
    let odds = p / (1.0 - p);
    let worth = |(k, mass): (f64, f64)| (mass > NEGLIGIBLE).then_some((k, mass));
    // From the mode to either side, where masses only fall: nothing overflows, and nothing is lost.
    let up = || {
        std::iter::successors(Some((mode, 1.0)), |(k, mass)| {
            worth((k + 1.0, mass * (n - k) / (k + 1.0) * odds))
        })
    };
    let down = std::iter::successors(Some((mode, 1.0)), |(k, mass)| {
        worth((k - 1.0, mass * k / (n - k + 1.0) / odds))
    });
    let mass = |(_, mass): (f64, f64)| mass;
    let above: f64 = up().map(mass).sum();
    let below: f64 = down.skip(1).map(mass).sum();
    let all = above + below;
    let (mut rank, mut rest) = (mode, above / all);
    for mass in up().map(mass) {
        if rest <= TAIL {
            break;
        }
        rest -= mass / all;
        rank += 1.0;
    }
    rank
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P(l ≤ B < u), added up.
    fn within(n: f64, p: f64, (low, high): (f64, f64)) -> f64 {
        // Their logarithms: of many observations the first masses are too small for a number.
        let mut mass = n * (1.0 - p).ln();
        let mut sum = 0.0;
        let mut k = 0.0;
        while k < high {
            if k >= low {
                sum += mass.exp();
            }
            mass += ((n - k) / (k + 1.0) * p / (1.0 - p)).ln();
            k += 1.0;
        }
        sum
    }

    /// The ranks of medians that are in every table of the sign test.
    #[test]
    fn medians_are_between_the_ranks_of_the_tables() {
        for (observed, low, high) in
            [(5.0, 0.0, 6.0), (6.0, 1.0, 6.0), (10.0, 2.0, 9.0), (25.0, 8.0, 18.0), (100.0, 40.0, 61.0)]
        {
            assert_eq!(ranks(observed, 0.5), (low, high), "{observed}");
        }
    }

    #[test]
    fn ranks_hold_the_quantile_and_no_tighter_ones_would_on_either_side() {
        for observed in [1.0, 7.0, 59.0, 108.0, 299.0, 600.0] {
            for share in [0.001, 0.01, 0.3, 0.5, 0.9, 0.99, 0.999] {
                let (low, high) = ranks(observed, share);
                assert!((0.0..=observed).contains(&low) && low < high && high <= observed + 1.0);
                let inside = within(observed, share, (low, high));
                assert!(inside >= 0.95 - 1e-9, "{observed}, {share}: {inside}");
                assert!(within(observed, share, (low + 1.0, observed + 1.0)) < 0.975 + 1e-9);
                assert!(high < 1.0 + 1e-9 || within(observed, share, (0.0, high - 1.0)) < 0.975 + 1e-9);
            }
        }
    }

    #[test]
    fn the_end_of_what_was_measured_bounds_nothing_beyond_it() {
        let unknown = |observed: f64, share| ranks(observed, share).1 > observed;
        // 0.999^3688 is the first power below 2.5 %, and 0.99^368.
        assert!(unknown(108.0, 0.999) && unknown(3_687.0, 0.999) && !unknown(3_688.0, 0.999));
        assert!(unknown(108.0, 0.99) && unknown(367.0, 0.99) && !unknown(368.0, 0.99));
        assert!(ranks(108.0, 0.001).0 < 1.0, "nor is the shortest above all that is rare");
        assert_eq!(ranks(108.0, 1.0), (108.0, 109.0), "that all are below it is certain");
        assert_eq!(ranks(108.0, 0.0), (0.0, 1.0));
    }

    /// Twenty million trials, where the ranks are as a normal variable has them.
    #[test]
    fn many_observations_are_normal() {
        let (n, p) = (2e7_f64, 0.5_f64);
        let half = 1.959_963_984_540_054 * (n * p * (1.0 - p)).sqrt();
        let (low, high) = ranks(n, p);
        assert!((n / 2.0 - half - low).abs() < 2.0 && (n / 2.0 + half - high).abs() < 2.0, "{low}, {high}");
    }
}
