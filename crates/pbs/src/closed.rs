//! What needs no trials: staleness counted in versions.
//!
//! All of it is for quorums that are chosen at random and do not grow: a write stays with its W replicas. Where writes
//! go on to the other replicas, as they do in Dynamo and here, the truth is better than this.

use crate::quorum::Quorum;

/// The probability that a read quorum has nobody of a write quorum: C(N−W, R) / C(N, R). *Bailis et al., equation 1.*
pub fn miss(quorum: Quorum) -> f64 {
    if quorum.is_strict() {
        return 0.0;
    }
    let (n, r, w) = (f64::from(quorum.n()), quorum.r(), f64::from(quorum.w()));
    // C(N−W, R) / C(N, R), factor by factor, so that nothing large is divided by anything large.
    (0..r).map(|i| (n - w - f64::from(i)) / (n - f64::from(i))).product()
}

/// The probability that a read returns one of the last `k` versions: 1 − miss^k. *Equation 2, k-staleness.*
///
/// One version is the last one, so this is for `k` from 1; for 0 it is 0.
pub fn within_versions(quorum: Quorum, k: u32) -> f64 {
    1.0 - miss(quorum).powf(f64::from(k))
}

/// The probability that a reader does not go back: 1 − miss^(1 + writes between two reads). *Equation 3, monotonic
/// reads.*
///
/// `writes_per_read` is `γ_gw / γ_cr`, the rate of all writes of the item by the rate of this client's reads of it; below
/// 0 it counts as 0.
pub fn monotonic_reads(quorum: Quorum, writes_per_read: f64) -> f64 {
    1.0 - miss(quorum).powf(1.0 + writes_per_read.max(0.0))
}

/// The probability that a reader sees something newer if there is anything newer: 1 − miss^(writes between two reads).
pub fn strictly_monotonic_reads(quorum: Quorum, writes_per_read: f64) -> f64 {
    if quorum.is_strict() { 1.0 } else { 1.0 - miss(quorum).powf(writes_per_read.max(0.0)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quorum(n: u16, r: u16, w: u16) -> Quorum {
        Quorum::new(n, r, w).unwrap()
    }

    /// Close enough for figures that a paper prints with three digits.
    fn near(found: f64, told: f64) -> bool {
        (found - told).abs() < 0.0005
    }

    /// By counting: of all pairs of a read and a write quorum, those that do not meet.
    fn missed_by_counting(n: u16, r: u16, w: u16) -> f64 {
        let sets = |size: u16| (0..1_u32 << n).filter(move |set| set.count_ones() == u32::from(size));
        let (mut apart, mut all) = (0_u32, 0_u32);
        for write in sets(w) {
            for read in sets(r) {
                apart += u32::from(write & read == 0);
                all += 1;
            }
        }
        f64::from(apart) / f64::from(all)
    }

    #[test]
    fn it_is_what_counting_finds() {
        for n in 1..=6 {
            for r in 1..=n {
                for w in 0..=n {
                    let (formula, counted) = (miss(quorum(n, r, w)), missed_by_counting(n, r, w));
                    assert!((formula - counted).abs() < 1e-12, "{n} {r} {w}: {formula} {counted}");
                }
            }
        }
    }

    /// The examples in §3.1 and §3.2 of the paper, and that of Malkhi et al. which it quotes.
    #[test]
    fn the_papers_examples() {
        assert!(near(miss(quorum(3, 1, 1)), 0.6667));
        assert!((miss(quorum(100, 30, 30)) - 1.88e-6).abs() < 0.005e-6);
        for (k, fresh) in [(2, 0.5556), (3, 0.7037), (5, 0.8683), (10, 0.9827)] {
            assert!(near(within_versions(quorum(3, 1, 1), k), fresh), "{k}");
        }
        for (r, w) in [(1, 2), (2, 1)] {
            for (k, fresh) in [(1, 0.6667), (2, 0.8889), (5, 0.9959)] {
                assert!(near(within_versions(quorum(3, r, w), k), fresh), "{k}");
            }
        }
    }

    #[test]
    fn strict_quorums_are_never_stale() {
        for k in 1..10 {
            assert!(near(within_versions(quorum(3, 2, 2), k), 1.0));
        }
        assert!(near(monotonic_reads(quorum(5, 3, 3), 100.0), 1.0));
        assert!(near(strictly_monotonic_reads(quorum(5, 3, 3), 0.0), 1.0));
    }

    #[test]
    fn monotonic_reads_are_staleness_by_the_versions_in_between() {
        let partial = quorum(3, 1, 1);
        assert!(near(monotonic_reads(partial, 0.0), within_versions(partial, 1)));
        assert!(near(monotonic_reads(partial, 4.0), within_versions(partial, 5)));
        assert!(near(strictly_monotonic_reads(partial, 4.0), within_versions(partial, 4)));
    }
}
