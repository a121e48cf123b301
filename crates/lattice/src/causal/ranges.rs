//! Numbers from 1 on, as a prefix and the ranges beyond its end.

use std::iter::Peekable;

/// From the first number to the last, both included.
pub(super) type Range = (u64, u64);

/// A set of numbers from 1 on. Canonical: one set has one form.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Ranges {
    /// All from 1 to here are in. So the common case, no holes, has nothing on the heap.
    upto: u64,
    /// In order, and neither overlapping nor touching each other or the prefix.
    beyond: Vec<Range>,
}

/// How many ranges are inserted one by one; more of them are merged as two sorted sequences.
const FEW: usize = 8;

impl Ranges {
    /// The greatest number, or 0.
    pub(super) fn last(&self) -> u64 {
        self.beyond.last().map_or(self.upto, |range| range.1)
    }

    /// The greatest number below which none is missing, or 0.
    pub(super) const fn upto(&self) -> u64 {
        self.upto
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.upto == 0 && self.beyond.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Range> + '_ {
        (self.upto > 0).then_some((1, self.upto)).into_iter().chain(self.beyond.iter().copied())
    }

    pub(super) fn contains(&self, number: u64) -> bool {
        number > 0 && self.holds((number, number))
    }

    /// Whether all of a range is in.
    fn holds(&self, (first, last): Range) -> bool {
        last <= self.upto || {
            let at = self.beyond.partition_point(|range| range.1 < first);
            self.beyond.get(at).is_some_and(|range| range.0 <= first && last <= range.1)
        }
    }

    pub(super) fn covers(&self, other: &Self) -> bool {
        other.upto <= self.upto && other.beyond.iter().all(|range| self.holds(*range))
    }

    /// Adds a range that begins no earlier than those that were added before.
    pub(super) fn push(&mut self, (first, last): Range) {
        let first = first.max(1);
        if first > last {
            return;
        }
        let end = self.beyond.last_mut().map_or(&mut self.upto, |range| &mut range.1);
        if first <= end.saturating_add(1) {
            *end = last.max(*end);
        } else {
            self.beyond.push((first, last));
        }
    }

    /// Adds a range, and says whether any of it was missing.
    pub(super) fn insert(&mut self, (first, last): Range) -> bool {
        let first = first.max(1);
        if first > last || last <= self.upto {
            return false;
        }
        if first <= self.upto.saturating_add(1) {
            self.upto = last;
            let mut swallowed = 0;
            for range in &self.beyond {
                if range.0 > self.upto.saturating_add(1) {
                    break;
                }
                self.upto = self.upto.max(range.1);
                swallowed += 1;
            }
            self.beyond.drain(..swallowed);
            return true;
        }
        let from = self.beyond.partition_point(|range| range.1.saturating_add(1) < first);
        let to = self.beyond.partition_point(|range| range.0 <= last.saturating_add(1));
        let touched = self.beyond.get(from..to).unwrap_or_default();
        let (Some(&head), Some(&tail)) = (touched.first(), touched.last()) else {
            self.beyond.insert(from, (first, last));
            return true;
        };
        let merged = (first.min(head.0), last.max(tail.1));
        let grew = merged != head;
        if grew {
            self.beyond.splice(from..to, [merged]);
        }
        grew
    }

    /// Adds all of another set, and says whether any of it was missing.
    pub(super) fn join(&mut self, other: &Self) -> bool {
        if other.beyond.len() <= FEW {
            return other.iter().fold(false, |grew, range| self.insert(range) | grew);
        }
        let mut all: Vec<Range> = self.iter().chain(other.iter()).collect();
        all.sort_by_key(|range| range.0); // two sorted runs: linear
        let mut union = Self::default();
        for range in all {
            union.push(range);
        }
        let grew = union != *self;
        *self = union;
        grew
    }

    /// What is here and not there.
    pub(super) fn minus(&self, other: &Self) -> Self {
        let (mut rest, mut theirs) = (Self::default(), other.iter().peekable());
        for range in self.iter() {
            subtract(range, &mut theirs, |piece| rest.push(piece));
        }
        rest
    }

    /// What is in both.
    pub(super) fn common(&self, other: &Self) -> Self {
        let mut both = Self::default();
        overlaps(self.iter(), other.iter(), |a| *a, |b| *b, |_, _, piece| both.push(piece));
        both
    }
}

/// Gives the pieces of a range that are outside of the others. The others come in order, and are left at the first one
/// that may concern a later range.
pub(super) fn subtract(
    (mut first, last): Range,
    others: &mut Peekable<impl Iterator<Item = Range>>,
    mut piece: impl FnMut(Range),
) {
    while let Some(&(from, to)) = others.peek() {
        if from > last {
            break;
        }
        if from > first {
            piece((first, from - 1));
        }
        if to >= last {
            return;
        }
        first = first.max(to + 1);
        others.next();
    }
    piece((first, last));
}

/// Gives every overlap of two sequences of ranges, each in order, with what holds there on both sides.
pub(super) fn overlaps<A: Copy, B: Copy>(
    ours: impl Iterator<Item = A>,
    theirs: impl Iterator<Item = B>,
    our_range: impl Fn(&A) -> Range,
    their_range: impl Fn(&B) -> Range,
    mut piece: impl FnMut(A, B, Range),
) {
    let (mut ours, mut theirs) = (ours.peekable(), theirs.peekable());
    while let (Some(&a), Some(&b)) = (ours.peek(), theirs.peek()) {
        let (mine, other) = (our_range(&a), their_range(&b));
        let both = (mine.0.max(other.0), mine.1.min(other.1));
        if both.0 <= both.1 {
            piece(a, b, both);
        }
        if mine.1 <= other.1 {
            ours.next();
        } else {
            theirs.next();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn of(numbers: &BTreeSet<u64>) -> Ranges {
        let mut ranges = Ranges::default();
        // From the greatest down, so that every insertion but the last leaves a hole before it.
        numbers.iter().rev().for_each(|&n| assert!(ranges.insert((n, n))));
        ranges
    }

    fn subsets() -> Vec<BTreeSet<u64>> {
        (0_u32..64).map(|bits| (1..=6).filter(|n| bits >> (n - 1) & 1 == 1).collect()).collect()
    }

    #[test]
    fn all_sets_of_six_numbers_against_plain_sets() {
        for a in subsets() {
            let ours = of(&a);
            assert_eq!(ours.last(), a.last().copied().unwrap_or(0));
            assert!((0..8).all(|n| ours.contains(n) == a.contains(&n)));
            for b in subsets() {
                let theirs = of(&b);
                let mut union = ours.clone();
                assert_eq!(union.join(&theirs), !b.is_subset(&a));
                assert_eq!(union, of(&a.union(&b).copied().collect()));
                assert_eq!(ours.minus(&theirs), of(&a.difference(&b).copied().collect()));
                assert_eq!(ours.common(&theirs), of(&a.intersection(&b).copied().collect()));
                assert_eq!(ours.covers(&theirs), b.is_subset(&a));
            }
        }
    }

    #[test]
    fn ranges_against_single_numbers() {
        for a in subsets() {
            for first in 0..8 {
                for last in 0..8 {
                    let mut ours = of(&a);
                    let numbers: BTreeSet<u64> = (first.max(1)..=last).collect();
                    assert_eq!(ours.insert((first, last)), !numbers.is_subset(&a));
                    assert_eq!(ours, of(&a.union(&numbers).copied().collect()), "{a:?} {first}..={last}");
                }
            }
        }
    }

    #[test]
    fn many_holes_are_merged_as_sequences() {
        let odd: BTreeSet<u64> = (1..100).filter(|n| n % 2 == 1).collect();
        let even: BTreeSet<u64> = (1..100).filter(|n| n % 2 == 0).collect();
        let mut all = of(&odd);
        assert!(all.join(&of(&even)));
        assert_eq!(all, Ranges { upto: 99, beyond: Vec::new() });
        assert!(!all.join(&of(&odd)));
    }

    #[test]
    fn at_the_last_number() {
        let mut ranges = Ranges::default();
        assert!(ranges.insert((u64::MAX, u64::MAX)));
        assert!(ranges.insert((3, 5)));
        assert!(ranges.insert((7, u64::MAX - 1)));
        assert!(!ranges.insert((u64::MAX, u64::MAX)));
        assert_eq!(ranges.beyond, [(3, 5), (7, u64::MAX)]);
        assert!(ranges.insert((1, 6)));
        assert_eq!(ranges, Ranges { upto: u64::MAX, beyond: Vec::new() });
        assert!(ranges.minus(&ranges).is_empty());
        assert_eq!(ranges.common(&ranges), ranges);
    }
}
