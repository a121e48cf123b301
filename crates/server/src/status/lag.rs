//! How stale what is shown may be, link by link.

use choreography::Lag;
use pbs::{Bucket, Histogram};
use serde::{Deserialize, Serialize};

/// For how long after a change is told with which probability it is shown, in milliseconds.
const FRESH_AFTER_MS: [u64; 10] = [10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000];

/// How long it took until a change was shown elsewhere.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LagStatus {
    /// Since this process began.
    pub(crate) since_start: Window,
    /// About the last hour.
    pub(crate) last_hour: Window,
}

/// What was counted in some time. A time that is not known is left out.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Window {
    /// Rows that grew.
    pub(crate) count: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) p50_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) p90_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) p99_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) p999_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_ms: Option<u64>,
    /// With which probability a change is shown so long after it was made; empty while nothing was counted.
    #[serde(default)]
    pub(crate) fresh: Vec<Fresh>,
    /// The whole histogram, for `antiphon pbs --from`.
    #[serde(default)]
    pub(crate) buckets: Vec<Bucket>,
}

/// P(what is shown is fresh) after a time.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Fresh {
    pub(crate) after_ms: u64,
    pub(crate) probability: f64,
}

impl LagStatus {
    pub(super) fn of(lag: &Lag, now_ms: u64) -> Self {
        Self { since_start: Window::of(&lag.since_start()), last_hour: Window::of(&lag.last_hour(now_ms)) }
    }
}

impl Window {
    fn of(histogram: &Histogram) -> Self {
        let fresh =
            |after_ms: u64| histogram.at_most(after_ms).map(|probability| Fresh { after_ms, probability });
        Self {
            count: histogram.count(),
            p50_ms: histogram.quantile_ms(0.5),
            p90_ms: histogram.quantile_ms(0.9),
            p99_ms: histogram.quantile_ms(0.99),
            p999_ms: histogram.quantile_ms(0.999),
            max_ms: (histogram.count() > 0).then(|| histogram.max_ms()),
            fresh: FRESH_AFTER_MS.into_iter().filter_map(fresh).collect(),
            buckets: histogram.buckets().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_counted_is_not_told() {
        let empty = serde_json::to_value(Window::of(&Histogram::default())).unwrap();
        assert_eq!(empty, serde_json::json!({"count": 0, "fresh": [], "buckets": []}));
    }

    #[test]
    fn shares_and_times_are_those_of_the_histogram() {
        let lag = Lag::default();
        for took in 1..=100 {
            lag.record(1_000_000, 1_000_000 + took, 1);
        }
        let told = LagStatus::of(&lag, 1_000_200);
        for window in [&told.since_start, &told.last_hour] {
            assert_eq!((window.count, window.p50_ms, window.max_ms), (100, Some(50), Some(100)));
            let fresh: Vec<_> =
                window.fresh.iter().map(|fresh| (fresh.after_ms, fresh.probability)).collect();
            assert_eq!(fresh.first(), Some(&(10, 0.1)));
            assert_eq!(fresh.last(), Some(&(10_000, 1.0)));
            assert_eq!(window.buckets.iter().map(|bucket| bucket.count).sum::<u64>(), 100);
        }
    }
}
