//! A count for each element. The one not to use.

use crate::{Lattice, Map, PnCounter, ReplicaId};
use serde::{Deserialize, Serialize};

/// The counting set: an element is in while its [`PnCounter`] is above zero. It is here to be known, **not to be used**.
///
/// # Promise
///
/// All replicas agree, and an element is in exactly if it was inserted more often than removed, at all replicas
/// together. That is seldom what anybody meant.
///
/// # Anomaly
///
/// Two replicas remove the element at once, each rightly, and the next insertion does nothing:
///
/// ```
/// use antiphon_lattice::{Lattice, PnSet, ReplicaId};
/// let [a, b] = [1, 2].map(ReplicaId::from_u128);
/// let mut here = PnSet::default();
/// here.insert(a, "story");
/// let mut there = here.clone();
/// here.remove(a, "story");
/// there.remove(b, "story");
/// here.join(there);
/// assert_eq!(here.count("story"), -1);
///
/// here.insert(a, "story");
/// assert!(!here.contains("story"), "inserted, with nobody else about, and not there");
/// ```
///
/// Two that insert at once are as bad: it then takes two removals.
///
/// ```
/// # use antiphon_lattice::{Lattice, PnSet, ReplicaId};
/// # let [a, b] = [1, 2].map(ReplicaId::from_u128);
/// let (mut here, mut there) = (PnSet::default(), PnSet::default());
/// here.insert(a, "story");
/// there.insert(b, "story");
/// here.join(there);
/// here.remove(a, "story");
/// assert!(here.contains("story"));
/// ```
///
/// # Cost
///
/// A [`PnCounter`] for each element that ever was in: 144 bytes, and some 40 a replica in JSON. A mutator costs O(log n +
/// log r), a join O(m (log n + r)). A delta is one entry of one counter.
///
/// # Choose another
///
/// [`OrSet`](crate::OrSet). [`TwoPhaseSet`](crate::TwoPhaseSet), [`LwwSet`](crate::LwwSet) or [`USet`](crate::USet)
/// where their deal is right. A [`Map`] to [`PnCounter`], if counts are what is wanted: a shopping basket, say.
///
/// # Source
///
/// Shapiro et al. 2011, §3.3.4, specification 14, with its anomaly.
///
/// # JSON
///
/// An object from element to counter, as a [`Map`] has it: elements must encode as strings or integers.
///
/// ```
/// use antiphon_lattice::{PnSet, ReplicaId};
/// let mut set = PnSet::default();
/// set.insert(ReplicaId::from_u128(1), "a");
/// assert_eq!(serde_json::to_string(&set)?, r#"{"a":{"00000000000000000000000000000001":[1,0]}}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent, bound(serialize = "T: Serialize", deserialize = "T: Ord + Deserialize<'de>"))]
pub struct PnSet<T>(Map<T, PnCounter>);

impl<T: Ord + Clone> PnSet<T> {
    /// Counts the element once more, and returns the delta.
    pub fn insert(&mut self, by: ReplicaId, value: T) -> Self {
        Self(self.0.update(value, |counter| counter.increment(by, 1)))
    }

    /// Counts the element once less, and returns the delta; or nothing if it is not there.
    pub fn remove(&mut self, by: ReplicaId, value: T) -> Option<Self> {
        let is_in = self.0.get(&value).is_some_and(|counter| counter.value() > 0);
        is_in.then(|| Self(self.0.update(value, |counter| counter.decrement(by, 1))))
    }
}

impl<T: Ord> PnSet<T> {
    /// Whether the element is in: its count is above zero.
    pub fn contains<Q: Ord + ?Sized>(&self, value: &Q) -> bool
    where
        T: std::borrow::Borrow<Q>,
    {
        self.count(value) > 0
    }

    /// How much more often the element was inserted than removed.
    pub fn count<Q: Ord + ?Sized>(&self, value: &Q) -> i128
    where
        T: std::borrow::Borrow<Q>,
    {
        self.0.get(value).map_or(0, PnCounter::value)
    }

    /// The elements that are in, in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().filter(|(_, counter)| counter.value() > 0).map(|(value, _)| value)
    }
}

impl<T> Default for PnSet<T> {
    fn default() -> Self {
        Self(Map::default())
    }
}

impl<T: Ord + Clone> Lattice for PnSet<T> {
    fn join(&mut self, other: Self) -> bool {
        self.0.join(other.0)
    }

    fn covers(&self, other: &Self) -> bool {
        self.0.covers(&other.0)
    }
}
