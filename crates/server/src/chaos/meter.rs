//! Numbers of this process's own metrics, as its operator would read them.

use std::collections::BTreeMap;

/// The value of a series in Prometheus' text, by one of its labels; series that share it are added up. Lines that are no
/// series of that name, or lack the label, are passed over.
pub(super) fn by_label(text: &str, name: &str, label: &str) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for line in text.lines() {
        let Some(rest) = line.strip_prefix(name).and_then(|rest| rest.strip_prefix('{')) else { continue };
        let Some((labels, value)) = rest.rsplit_once("} ") else { continue };
        let Some(named) = labels.split(',').find_map(|pair| pair.strip_prefix(label)?.strip_prefix("=\""))
        else {
            continue;
        };
        if let Ok(value) = value.trim().parse::<f64>() {
            *sums.entry(named.trim_end_matches('"').to_owned()).or_default() += value;
        }
    }
    sums
}

/// Means between one look and the next: what came in between only.
#[derive(Debug, Default)]
pub(super) struct Means {
    before: BTreeMap<String, (f64, f64)>,
}

impl Means {
    /// The means of a histogram since the last call, by a label; nothing where nothing came.
    pub(super) fn of(&mut self, text: &str, histogram: &str, label: &str) -> BTreeMap<String, f64> {
        let sums = by_label(text, &format!("{histogram}_sum"), label);
        let counts = by_label(text, &format!("{histogram}_count"), label);
        let mut means = BTreeMap::new();
        for (named, sum) in sums {
            let count = counts.get(&named).copied().unwrap_or_default();
            let (sum_before, count_before) =
                self.before.insert(named.clone(), (sum, count)).unwrap_or_default();
            if count > count_before {
                means.insert(named, (sum - sum_before) / (count - count_before));
            }
        }
        means
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# TYPE lag histogram\nlag_bucket{topic=\"a\",le=\"1\"} 3\nlag_sum{topic=\"a\"} 6\n\
        lag_count{topic=\"a\"} 3\nlag_sum{topic=\"b\",service=\"x\"} 1.5\nlag_count{service=\"x\",topic=\"b\"} 1\n\
        lag_count{service=\"y\",topic=\"b\"} 2\nlag_sum nonsense\nlag_sum{topic=\"c\"} NaN?\n";

    #[test]
    fn series_are_read_by_a_label() {
        let sums = by_label(TEXT, "lag_sum", "topic");
        assert_eq!(sums, [("a".to_owned(), 6.0), ("b".to_owned(), 1.5)].into());
        assert_eq!(
            by_label(TEXT, "lag_count", "topic"),
            [("a".to_owned(), 3.0), ("b".to_owned(), 3.0)].into()
        );
        assert!(by_label(TEXT, "lag", "topic").is_empty());
    }

    #[test]
    fn means_are_of_what_came_since() {
        let mut means = Means::default();
        assert_eq!(means.of(TEXT, "lag", "topic"), [("a".to_owned(), 2.0), ("b".to_owned(), 0.5)].into());
        assert!(means.of(TEXT, "lag", "topic").is_empty(), "nothing came");
        let later = TEXT.replace("lag_sum{topic=\"a\"} 6", "lag_sum{topic=\"a\"} 16");
        let later = later.replace("lag_count{topic=\"a\"} 3", "lag_count{topic=\"a\"} 4");
        assert_eq!(means.of(&later, "lag", "topic"), [("a".to_owned(), 10.0)].into());
    }
}
