//! Times that were measured, counted in buckets whose width grows with the time.

use crate::numbers::float_u64;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Each doubling of the time has so many buckets, so that none is wider than a 32nd of what it counts.
const BUCKETS_PER_DOUBLING_BITS: u32 = 5;
/// Longer times than this count as this: 34 years, in milliseconds.
pub const LAG_MS_MAX: u64 = (1 << 40) - 1;

/// How many were counted between two times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bucket {
    /// From here on, in milliseconds.
    pub from_ms: u64,
    /// To below here, in milliseconds.
    pub to_ms: u64,
    /// So many.
    pub count: u64,
}

/// Counts times in whole milliseconds: exactly below 64 ms, else to within 3 %. It takes at most 1,152 buckets, however
/// much is counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    buckets: BTreeMap<u16, u64>,
    count: u64,
    max_ms: u64,
}

/// The number of the bucket of a time.
fn index(millis: u64) -> u16 {
    let millis = millis.min(LAG_MS_MAX);
    let doubling = (u64::BITS - millis.leading_zeros()).saturating_sub(BUCKETS_PER_DOUBLING_BITS + 1);
    let index = (u64::from(doubling) << BUCKETS_PER_DOUBLING_BITS) + (millis >> doubling);
    // 34 doublings of 32 buckets, after the first 64.
    u16::try_from(index).unwrap_or(u16::MAX)
}

/// From where on a bucket counts.
fn begin(index: u16) -> u64 {
    let index = u64::from(index);
    let per_doubling = 1 << BUCKETS_PER_DOUBLING_BITS;
    if index < 2 * per_doubling {
        return index;
    }
    let doubling = index / per_doubling - 1;
    (index - doubling * per_doubling) << doubling
}

impl Histogram {
    /// Counts `times` messages that took `millis`.
    pub fn record(&mut self, millis: u64, times: u64) {
        if times == 0 {
            return;
        }
        let millis = millis.min(LAG_MS_MAX);
        let bucket = self.buckets.entry(index(millis)).or_default();
        *bucket = bucket.saturating_add(times);
        self.count = self.count.saturating_add(times);
        self.max_ms = self.max_ms.max(millis);
    }

    /// Counts all that another one counted.
    pub fn add(&mut self, other: &Self) {
        for (index, times) in &other.buckets {
            let bucket = self.buckets.entry(*index).or_default();
            *bucket = bucket.saturating_add(*times);
        }
        self.count = self.count.saturating_add(other.count);
        self.max_ms = self.max_ms.max(other.max_ms);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The longest time that was counted, in milliseconds.
    pub fn max_ms(&self) -> u64 {
        self.max_ms
    }

    /// A time within which this share of them was, in milliseconds; none of an empty one. Rounded up to the end of its
    /// bucket, so never too small, and at most 3 % too large.
    pub fn quantile_ms(&self, share: f64) -> Option<u64> {
        let wanted = share.clamp(0.0, 1.0) * float_u64(self.count);
        let mut seen = 0_u64;
        for (index, times) in &self.buckets {
            seen = seen.saturating_add(*times);
            if float_u64(seen) >= wanted {
                return Some((begin(index + 1) - 1).min(self.max_ms));
            }
        }
        None
    }

    /// The share of them that took no longer than this; none of an empty one. Never too large: a bucket that ends later
    /// is not counted.
    pub fn at_most(&self, millis: u64) -> Option<f64> {
        if self.count == 0 {
            return None;
        }
        if millis >= self.max_ms {
            return Some(1.0);
        }
        let within = self.buckets.iter().take_while(|(index, _)| begin(**index + 1) - 1 <= millis);
        let within = within.fold(0_u64, |sum, (_, times)| sum.saturating_add(*times));
        Some(float_u64(within) / float_u64(self.count))
    }

    /// What it counted, in order, empty buckets left out.
    pub fn buckets(&self) -> impl Iterator<Item = Bucket> + '_ {
        self.buckets.iter().map(|(index, count)| Bucket {
            from_ms: begin(*index),
            to_ms: begin(index + 1),
            count: *count,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_in_its_bucket() {
        let mut last = 0;
        let large = (12..40).flat_map(|bits| {
            let at = 1_u64 << bits;
            [at - 1, at, at + 1, at + at / 3]
        });
        for millis in (0..5_000).chain(large) {
            let index = index(millis);
            let (from, to) = (begin(index), begin(index + 1));
            assert!((from..to).contains(&millis), "{millis} in {from}..{to}");
            assert!(millis < 64 && to - from == 1 || (to - from) * 32 <= from, "{millis}: {from}..{to}");
        }
        for millis in 0..5_000 {
            assert!((last..=last + 1).contains(&index(millis)), "no bucket is left out");
            last = index(millis);
        }
        assert_eq!(index(LAG_MS_MAX), 1151);
        assert_eq!(index(u64::MAX), 1151);
        assert_eq!(begin(1152), LAG_MS_MAX + 1);
    }

    #[test]
    fn shares_and_times_never_flatter() {
        let mut histogram = Histogram::default();
        assert_eq!((histogram.quantile_ms(0.5), histogram.at_most(10)), (None, None));
        for millis in 1..=1_000 {
            histogram.record(millis, 1);
        }
        for (share, least) in [(0.5, 500), (0.9, 900), (0.99, 990), (0.999, 999), (1.0, 1_000)] {
            let found = histogram.quantile_ms(share).unwrap();
            assert!((least..=least + least / 32).contains(&found), "{share}: {found}");
        }
        assert_eq!(histogram.quantile_ms(0.03), Some(30), "small times are exact");
        for (millis, most) in [(10, 0.01), (100, 0.1), (500, 0.5), (999, 0.999)] {
            let found = histogram.at_most(millis).unwrap();
            assert!(found <= most && found >= most * 0.96, "{millis}: {found}");
        }
        assert_eq!(histogram.at_most(1_000), Some(1.0));
        assert_eq!((histogram.count(), histogram.max_ms()), (1_000, 1_000));
    }

    #[test]
    fn two_add_up_to_what_one_would_have_counted() {
        let (mut one, mut other, mut both) = <(Histogram, Histogram, Histogram)>::default();
        for n in 0..500_u64 {
            let part = if n % 3 == 0 { &mut one } else { &mut other };
            part.record(n * n, n % 5);
            both.record(n * n, n % 5);
        }
        one.add(&other);
        assert_eq!(one, both);
        assert_eq!(one.buckets().map(|bucket| bucket.count).sum::<u64>(), one.count());
    }
}
