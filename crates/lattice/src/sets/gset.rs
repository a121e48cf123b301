//! The set that only grows.

use crate::Lattice;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, btree_set};

/// The grow-only set: the join is the union.
///
/// # Promise
///
/// What any replica inserted is in all of them, for ever.
///
/// ```
/// use antiphon_lattice::{GSet, Lattice};
/// let mut here = GSet::of("b");
/// let delta = here.insert("a");
/// assert_eq!(delta, GSet::of("a"), "only what is new travels");
/// assert_eq!(here.iter().collect::<Vec<_>>(), [&"a", &"b"]);
/// ```
///
/// # Anomaly
///
/// There is no `remove`: a removal that is not remembered comes back with the next late message.
///
/// ```
/// use antiphon_lattice::{GSet, Lattice};
/// let all: GSet<u8> = [1, 2].into_iter().collect();
/// let mut here: GSet<u8> = all.iter().copied().filter(|value| *value != 1).collect();
/// here.join(all);
/// assert!(here.contains(&1), "left out here, and not elsewhere");
/// ```
///
/// # Cost
///
/// Its elements, all of them, in every full state; in JSON a comma each, and 2 bytes for the whole. Inserting costs O(log
/// n), a join O(m log n) for a delta of m. A delta is one element.
///
/// # Choose another
///
/// To remove, one that remembers: [`OrSet`](crate::OrSet), [`TwoPhaseSet`](crate::TwoPhaseSet), or a [`Map`](crate::Map) to
/// [`Life`](crate::Life). [`HyperLogLog`](crate::HyperLogLog), to know only how many.
///
/// # Source
///
/// Shapiro et al. 2011, §3.3.1, specification 11.
///
/// # JSON
///
/// An array in order, so equal sets have equal bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent, bound(serialize = "T: Serialize", deserialize = "T: Ord + Deserialize<'de>"))]
pub struct GSet<T>(BTreeSet<T>);

impl<T: Ord> GSet<T> {
    /// The set of one element: the delta of an insertion.
    pub fn of(value: T) -> Self {
        Self(BTreeSet::from([value]))
    }

    /// Inserts, and returns the delta: the element alone, whether or not it was news.
    pub fn insert(&mut self, value: T) -> Self
    where
        T: Clone,
    {
        self.0.insert(value.clone());
        Self::of(value)
    }

    /// Whether the element was ever inserted.
    pub fn contains(&self, value: &T) -> bool {
        self.0.contains(value)
    }
}

impl<T> GSet<T> {
    /// The elements, in order.
    pub fn iter(&self) -> btree_set::Iter<'_, T> {
        self.0.iter()
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether this is the bottom.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T> Default for GSet<T> {
    fn default() -> Self {
        Self(BTreeSet::new())
    }
}

impl<T: Ord + Clone> Lattice for GSet<T> {
    fn join(&mut self, other: Self) -> bool {
        let before = self.0.len();
        self.0.extend(other.0);
        self.0.len() > before
    }

    fn covers(&self, other: &Self) -> bool {
        self.0.is_superset(&other.0)
    }
}

impl<T: Ord> FromIterator<T> for GSet<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

impl<T> IntoIterator for GSet<T> {
    type Item = T;
    type IntoIter = btree_set::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a GSet<T> {
    type Item = &'a T;
    type IntoIter = btree_set::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
