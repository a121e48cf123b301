//! Ranges of keys.

use serde::{Deserialize, Serialize};

/// Keys of one kind of row, without the tag: from `from` on, up to `to` and without it. An empty `to` is no bound.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KeyRange {
    /// The first key that may be in it.
    pub from: Vec<u8>,
    /// The first one behind it; empty: there is none.
    pub to: Vec<u8>,
}

impl KeyRange {
    /// From `from` up to `to`.
    pub fn new(from: impl Into<Vec<u8>>, to: impl Into<Vec<u8>>) -> Self {
        Self { from: from.into(), to: to.into() }
    }

    /// Whether a key is in it.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.from.as_slice() <= key && (self.to.is_empty() || key < self.to.as_slice())
    }

    /// Whether all of another range is in it.
    pub fn covers(&self, other: &Self) -> bool {
        self.from <= other.from && (self.to.is_empty() || (!other.to.is_empty() && other.to <= self.to))
    }

    /// Whether no key can be in it.
    pub fn is_empty(&self) -> bool {
        !self.to.is_empty() && self.to <= self.from
    }

    /// What is in both.
    #[must_use]
    pub fn within(&self, other: &Self) -> Self {
        let to = match (self.to.is_empty(), other.to.is_empty()) {
            (true, _) => other.to.clone(),
            (_, true) => self.to.clone(),
            _ => self.to.clone().min(other.to.clone()),
        };
        Self { from: self.from.clone().max(other.from.clone()), to }
    }

    /// The ranges between `bounds`, which rise and are inside of it.
    pub fn cut(&self, bounds: Vec<Vec<u8>>) -> Vec<Self> {
        let mut from = self.from.clone();
        let mut pieces = Vec::with_capacity(bounds.len() + 1);
        for to in bounds.into_iter().chain([self.to.clone()]) {
            pieces.push(Self { from, to: to.clone() });
            from = to;
        }
        pieces
    }
}

/// The shortest key behind `before` and not behind `after`, which is behind `before`.
pub(super) fn separator(before: &[u8], after: &[u8]) -> Vec<u8> {
    let common = before.iter().zip(after).take_while(|(left, right)| left == right).count();
    after.iter().take(common + 1).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_end_is_no_bound() {
        let (all, some) = (KeyRange::default(), KeyRange::new([1], [2]));
        assert!(all.covers(&some) && !some.covers(&all) && all.covers(&all));
        assert!(some.contains(&[1, 9]) && !some.contains(&[2]) && !some.contains(&[0]));
        assert!(all.contains(&[]) && all.contains(&[255; 40]));
        assert_eq!(all.within(&some), some);
        assert_eq!(some.within(&KeyRange::new([1, 5], [])), KeyRange::new([1, 5], [2]));
        assert!(some.within(&KeyRange::new([3], [])).is_empty());
        let pieces = all.cut(vec![vec![1], vec![2]]);
        assert_eq!(pieces, [KeyRange::new([], [1]), some, KeyRange::new([2], [])]);
    }

    #[test]
    fn separators_are_short() {
        assert_eq!(separator(&[1, 2, 3], &[1, 5, 6]), [1, 5]);
        assert_eq!(separator(&[1], &[1, 0, 0]), [1, 0]);
        assert_eq!(separator(&[], &[7, 7]), [7]);
    }
}
