//! In, then out, then never again.

use crate::Lattice;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, btree_set};

/// The two-phase set: an element comes in, may go out, and never comes back.
///
/// # Promise
///
/// What was inserted anywhere and removed nowhere is in the set; what was removed anywhere is out of it for good. An
/// insertion and a removal of one element at once end as removed, at all replicas.
///
/// # Anomaly
///
/// Whoever inserts again what was removed, here or elsewhere, inserts nothing, and hears no complaint:
///
/// ```
/// use antiphon_lattice::TwoPhaseSet;
/// let mut shelf = TwoPhaseSet::of("a story");
/// shelf.remove("a story");
/// shelf.insert("a story");
/// assert!(!shelf.contains(&"a story"), "changing one's mind twice is not possible");
/// ```
///
/// # Cost
///
/// Every element for ever, whether in or out: in JSON the element and a comma, and 21 bytes for the whole. A mutator costs
/// O(log n), a join O(m log n), for a delta of m. A delta is one element.
///
/// # Choose another
///
/// [`OrSet`](crate::OrSet) or [`LwwSet`](crate::LwwSet) if what left may return. [`USet`](crate::USet) if every element
/// has an identity that is used once: what is removed then costs next to nothing. [`GSet`](crate::GSet) if nothing
/// leaves. [`Life`](crate::Life) for one element that is a row of its own.
///
/// # Source
///
/// Shapiro et al. 2011, §3.3.2, specification 12. We forget that an element was in once it is out: the two tell the
/// same, and a removal may arrive before its insertion.
///
/// # JSON
///
/// `{"live": [elements], "gone": [elements]}`, both in order. What is in both is gone.
///
/// ```
/// use antiphon_lattice::{Lattice, TwoPhaseSet};
/// let mut here: TwoPhaseSet<u8> = [1, 2].into_iter().collect();
/// let mut there = here.clone();
/// let left = here.remove(1).expect("it is there");
/// assert_eq!(here.remove(7), None, "only what is there is removed");
/// there.join(left);
/// assert_eq!(there.iter().collect::<Vec<_>>(), [&2]);
/// assert_eq!(serde_json::to_string(&there)?, r#"{"live":[2],"gone":[1]}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Halves<T>", bound(serialize = "T: Serialize", deserialize = "T: Ord + Deserialize<'de>"))]
pub struct TwoPhaseSet<T> {
    /// Without those that are gone.
    live: BTreeSet<T>,
    gone: BTreeSet<T>,
}

/// The fields as they were read: an element may stand in both.
#[derive(Deserialize)]
#[serde(bound(deserialize = "T: Ord + Deserialize<'de>"))]
struct Halves<T> {
    live: BTreeSet<T>,
    gone: BTreeSet<T>,
}

impl<T: Ord> From<Halves<T>> for TwoPhaseSet<T> {
    fn from(Halves { mut live, gone }: Halves<T>) -> Self {
        live.retain(|value| !gone.contains(value));
        Self { live, gone }
    }
}

impl<T: Ord> TwoPhaseSet<T> {
    /// The set of one element: the delta of its insertion.
    pub fn of(value: T) -> Self {
        Self { live: BTreeSet::from([value]), ..Self::default() }
    }

    /// The set from which one element was removed: the delta of its removal, which may overtake the insertion.
    pub fn without(value: T) -> Self {
        Self { gone: BTreeSet::from([value]), ..Self::default() }
    }

    /// Inserts, unless it was removed before, and returns the delta.
    pub fn insert(&mut self, value: T) -> Self
    where
        T: Clone,
    {
        let delta = Self::of(value);
        self.join(delta.clone());
        delta
    }

    /// Removes for good, and returns the delta; or nothing if it is not there.
    pub fn remove(&mut self, value: T) -> Option<Self>
    where
        T: Clone,
    {
        let delta = self.live.contains(&value).then(|| Self::without(value))?;
        self.join(delta.clone());
        Some(delta)
    }

    /// Whether the element is in.
    pub fn contains(&self, value: &T) -> bool {
        self.live.contains(value)
    }

    /// Whether the element was removed.
    pub fn is_gone(&self, value: &T) -> bool {
        self.gone.contains(value)
    }
}

impl<T> TwoPhaseSet<T> {
    /// The elements that are in, in order.
    pub fn iter(&self) -> btree_set::Iter<'_, T> {
        self.live.iter()
    }

    /// The elements that were removed, in order.
    pub fn gone(&self) -> btree_set::Iter<'_, T> {
        self.gone.iter()
    }

    /// How many elements are in.
    pub fn len(&self) -> usize {
        self.live.len()
    }

    /// Whether no element is in. That is so of more than the bottom.
    pub fn is_empty(&self) -> bool {
        self.live.is_empty()
    }
}

impl<T> Default for TwoPhaseSet<T> {
    fn default() -> Self {
        Self { live: BTreeSet::new(), gone: BTreeSet::new() }
    }
}

impl<T: Ord + Clone> Lattice for TwoPhaseSet<T> {
    fn join(&mut self, other: Self) -> bool {
        let Self { live, gone } = other;
        let mut grew = false;
        for value in gone {
            self.live.remove(&value);
            grew |= self.gone.insert(value);
        }
        for value in live {
            grew |= !self.gone.contains(&value) && self.live.insert(value);
        }
        grew
    }

    fn covers(&self, other: &Self) -> bool {
        let is_known = |value| self.live.contains(value) || self.gone.contains(value);
        self.gone.is_superset(&other.gone) && other.live.iter().all(is_known)
    }
}

impl<T: Ord> FromIterator<T> for TwoPhaseSet<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        Self { live: values.into_iter().collect(), gone: BTreeSet::new() }
    }
}

impl<'a, T> IntoIterator for &'a TwoPhaseSet<T> {
    type Item = &'a T;
    type IntoIter = btree_set::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
