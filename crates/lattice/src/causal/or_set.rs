//! The set whose additions win.

use super::{Causal, CausalContext, DotMap, DotSet, DotsExhausted};
use crate::{Lattice, ReplicaId};
use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use std::collections::btree_map;

/// The observed-remove set, without tombstones: a removal removes what it has seen, and a concurrent addition wins.
///
/// ```
/// use antiphon_lattice::{Lattice, OrSet, ReplicaId};
/// let (a, b) = (ReplicaId::from_u128(1), ReplicaId::from_u128(2));
/// let mut here = OrSet::default();
/// let mut there = OrSet::default();
/// there.join(here.insert(a, "Mist").unwrap());
///
/// let removal = here.remove("Mist");
/// let addition = there.insert(b, "Mist").unwrap();
/// there.join(removal);
/// here.join(addition);
/// assert!(here.contains("Mist"), "the removal had not seen the second addition");
/// assert_eq!(here, there);
/// ```
///
/// # Promise
///
/// An element is in the set exactly if some addition of it was seen by no later addition and no removal of it. An
/// element can come and go any number of times. Deltas may come in any order: the removal before the addition too.
///
/// # Anomaly
///
/// A removal cannot remove what it has not seen, so an element that somebody adds *again* at the same moment stays,
/// though both meant the same copy of it, and the one who removed it finds it back:
///
/// ```
/// use antiphon_lattice::{Lattice, OrSet, ReplicaId};
/// let (a, b) = (ReplicaId::from_u128(1), ReplicaId::from_u128(2));
/// let mut here = OrSet::default();
/// here.insert(a, "Mist").unwrap();
/// let mut there = here.clone();
/// here.remove("Mist");
/// there.insert(b, "Mist").unwrap();
/// here.join(there);
/// assert!(here.contains("Mist"));
/// ```
///
/// # Cost
///
/// In memory the elements and 32 bytes for each, and the context (48 bytes a replica, 16 a hole); nothing for what was
/// removed. In JSON the element and 57 bytes for each. `insert`, `remove` and `contains` are O(log n), and while the
/// context has holes, because deltas are missing, `insert` also looks at each of them. The join of two states is one pass
/// over both in order; of a delta that inserts, O(log n); of one that removes, a pass that only looks ([`DotMap`] says
/// why). Two sets of 1,000 elements join in 10 to 30 µs.
///
/// # Choose another
///
/// If a removal is to win over a concurrent addition: [`RemoveWinsSet`](crate::RemoveWinsSet). If nothing is ever
/// removed: [`GSet`](crate::GSet). To keep something with each element: [`OrMap`](crate::OrMap).
///
/// # JSON
///
/// `{"store": [[element, [dot]]], "context": {replica: [[first, last]]}}`, elements in order.
///
/// # Source
///
/// Bieniusa, Zawirski, Preguiça, Shapiro, Baquero, Balegas, Duarte, *An optimized conflict-free replicated set*, 2012;
/// Almeida, Shoker, Baquero, *Delta state replicated data types*, 2018, §7 (`AWORSet`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent, bound(serialize = "E: Serialize", deserialize = "E: Ord + Clone + Deserialize<'de>"))]
pub struct OrSet<E>(Causal<DotMap<E, DotSet>>);

impl<E> Default for OrSet<E> {
    fn default() -> Self {
        Self(Causal::default())
    }
}

impl<E: Ord + Clone> OrSet<E> {
    /// Adds an element in the name of a replica, and returns the delta.
    pub fn insert(&mut self, me: ReplicaId, element: E) -> Result<Self, DotsExhausted> {
        self.0.update_key(element, |dots, seen| dots.renew_delta(seen, me)).map(Self)
    }

    /// Removes what was seen of an element, and returns the delta. Of an absent one, it is the bottom.
    pub fn remove<Q: Ord + ?Sized>(&mut self, element: &Q) -> Self
    where
        E: Borrow<Q>,
    {
        Self(self.0.remove_key(element))
    }

    /// Removes all elements that are here, and returns the delta.
    pub fn clear(&mut self) -> Self {
        Self(self.0.clear())
    }

    /// Whether the element is in the set.
    pub fn contains<Q: Ord + ?Sized>(&self, element: &Q) -> bool
    where
        E: Borrow<Q>,
    {
        self.0.store().get(element).is_some()
    }
}

impl<E> OrSet<E> {
    /// The elements, in order.
    pub fn iter(&self) -> btree_map::Keys<'_, E, DotSet> {
        self.0.store().keys()
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.0.store().len()
    }

    /// Whether there is none. Something may have been: only a set that nobody wrote to is the bottom.
    pub fn is_empty(&self) -> bool {
        self.0.store().is_empty()
    }

    /// What was seen, removed elements included.
    pub const fn context(&self) -> &CausalContext {
        self.0.context()
    }
}

impl<E: Ord + Clone> Lattice for OrSet<E> {
    fn join(&mut self, other: Self) -> bool {
        self.0.join(other.0)
    }

    fn covers(&self, other: &Self) -> bool {
        self.0.covers(&other.0)
    }
}

impl<'a, E> IntoIterator for &'a OrSet<E> {
    type Item = &'a E;
    type IntoIter = btree_map::Keys<'a, E, DotSet>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
