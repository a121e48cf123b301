//! How many of each replica's events were seen.

use crate::{Dot, Lattice, Map, Max, ReplicaId};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::ops::RangeInclusive;

/// For each replica, how many of its events were seen: all up to that number, and none after it.
///
/// It stands for a set of [`Dot`]s without gaps, and its order is that of the sets. `a < b` means that b has seen all
/// that a has, and more; two of which neither is ≤ the other are *concurrent*, and `partial_cmp` answers `None`.
///
/// # Promise
///
/// The join is the union of what was seen. Compared vectors tell before, after, equal and concurrent apart, exactly:
/// no skew of clocks makes one of them look like another.
///
/// # Anomaly
///
/// One entry a **writer**, for ever. Who takes a new identity for each session grows every vector for good; and two
/// writers that share one identity look as if one had seen what the other did:
///
/// ```
/// use antiphon_lattice::{ReplicaId, VersionVector};
/// let shared = ReplicaId::from_u128(1);
/// let (mut laptop, mut phone) = (VersionVector::default(), VersionVector::default());
/// laptop.increment(shared);
/// phone.increment(shared);
/// phone.increment(shared);
/// assert!(laptop < phone, "the phone has never heard of what the laptop did");
/// ```
///
/// # Cost
///
/// 24 bytes a replica in memory and 36 in JSON (with small numbers, an entry with its comma), and 2 for the braces.
/// `get`, `contains`, `next` and `increment` are O(log n) for n replicas; comparing and joining are O(n log n). A
/// number **saturates** at 2⁶⁴ − 1: from there on [`next`](VersionVector::next) repeats one dot.
///
/// # Choose another
///
/// [`DottedVersionVectorSet`](crate::DottedVersionVectorSet) to keep values with it; `CausalContext` for sets of dots
/// with gaps; [`IntervalTreeClock`](crate::IntervalTreeClock) where replicas come and go; [`Lamport`](crate::Lamport)
/// if any order that agrees with causality will do.
///
/// # JSON
///
/// An object from replica to number, in order. Zeros are left out.
///
/// # Source
///
/// Parker et al., *Detection of mutual inconsistency in distributed systems*, 1983. The same vectors as timestamps of
/// events: see [`VectorClock`](crate::VectorClock).
///
/// ```
/// use antiphon_lattice::{Lattice, ReplicaId, VersionVector};
/// let (one, two) = (ReplicaId::from_u128(1), ReplicaId::from_u128(2));
/// let mut here = VersionVector::default();
/// let mut there = here.clone();
/// let delta = here.increment(one);
/// there.increment(two);
/// assert_eq!(here.partial_cmp(&there), None, "concurrent");
/// there.join(delta);
/// assert!(here < there);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VersionVector(Map<ReplicaId, Max<u64>>);

impl VersionVector {
    /// All events of the dot's replica up to it. Of a dot that is none (0), it is the bottom.
    pub fn up_to(dot: Dot) -> Self {
        Self(Map::of(dot.replica, Max(dot.counter)))
    }

    /// How many of this replica's events were seen.
    pub fn get(&self, replica: ReplicaId) -> u64 {
        self.0.get(&replica).map_or(0, |seen| seen.0)
    }

    /// Whether this event was seen. The dot 0 is no event, and everybody has seen it.
    pub fn contains(&self, dot: Dot) -> bool {
        dot.counter <= self.get(dot.replica)
    }

    /// The first event of this replica that was not seen: the identity of what it does next.
    pub fn next(&self, replica: ReplicaId) -> Dot {
        Dot { replica, counter: self.get(replica).saturating_add(1) }
    }

    /// Sees the next event of this replica, and returns the delta: that replica's entry.
    pub fn increment(&mut self, replica: ReplicaId) -> Self {
        let delta = Self::up_to(self.next(replica));
        self.join(delta.clone());
        delta
    }

    /// The last event seen of each replica, in the replicas' order.
    pub fn dots(&self) -> impl Iterator<Item = Dot> + '_ {
        self.0.iter().map(|(&replica, seen)| Dot { replica, counter: seen.0 })
    }

    /// What was seen here and not there: a range of each replica's events. It is what to send to one who is at `other`.
    ///
    /// ```
    /// use antiphon_lattice::{Dot, ReplicaId, VersionVector};
    /// let replica = ReplicaId::from_u128(1);
    /// let at = |counter| VersionVector::up_to(Dot { replica, counter });
    /// assert_eq!(at(7).since(&at(4)).collect::<Vec<_>>(), [(replica, 5..=7)]);
    /// assert_eq!(at(4).since(&at(7)).count(), 0);
    /// ```
    pub fn since<'a>(
        &'a self,
        other: &'a Self,
    ) -> impl Iterator<Item = (ReplicaId, RangeInclusive<u64>)> + 'a {
        self.dots().filter_map(|dot| {
            let next = other.next(dot.replica);
            (!other.contains(dot)).then_some((dot.replica, next.counter..=dot.counter))
        })
    }

    /// How many replicas something was seen of.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether this is the bottom.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Lattice for VersionVector {
    fn join(&mut self, other: Self) -> bool {
        self.0.join(other.0)
    }

    fn covers(&self, other: &Self) -> bool {
        self.0.covers(&other.0)
    }
}

/// The order of causality: less is before, `None` is concurrent.
impl PartialOrd for VersionVector {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self.covers(other), other.covers(self)) {
            (true, true) => Some(Ordering::Equal),
            (true, false) => Some(Ordering::Greater),
            (false, true) => Some(Ordering::Less),
            (false, false) => None,
        }
    }
}

/// All events up to each of these dots.
impl FromIterator<Dot> for VersionVector {
    fn from_iter<I: IntoIterator<Item = Dot>>(dots: I) -> Self {
        Self(dots.into_iter().map(|dot| (dot.replica, Max(dot.counter))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(counters: [u64; 3]) -> VersionVector {
        let dots = (1_u128..).zip(counters);
        dots.map(|(id, counter)| Dot { replica: ReplicaId::from_u128(id), counter }).collect()
    }

    #[test]
    fn before_after_equal_concurrent() {
        let table = [
            ([0, 0, 0], [0, 0, 0], Some(Ordering::Equal)),
            ([1, 2, 3], [1, 2, 3], Some(Ordering::Equal)),
            ([0, 0, 0], [0, 0, 1], Some(Ordering::Less)),
            ([1, 2, 0], [1, 2, 1], Some(Ordering::Less)),
            ([2, 2, 2], [1, 2, 1], Some(Ordering::Greater)),
            ([1, 0, 0], [0, 1, 0], None),
            ([2, 1, 5], [1, 2, 5], None),
        ];
        for (a, b, expected) in table {
            assert_eq!(vector(a).partial_cmp(&vector(b)), expected, "{a:?} {b:?}");
            assert_eq!(vector(b).partial_cmp(&vector(a)), expected.map(Ordering::reverse), "{b:?} {a:?}");
        }
    }

    #[test]
    fn the_last_number_stays() {
        let replica = ReplicaId::from_u128(1);
        let mut vector = vector([u64::MAX, 0, 0]);
        let before = vector.clone();
        vector.increment(replica);
        assert_eq!(vector, before);
        assert_eq!(vector.next(replica).counter, u64::MAX);
        assert_eq!(before.since(&VersionVector::default()).collect::<Vec<_>>(), [(replica, 1..=u64::MAX)]);
    }
}
