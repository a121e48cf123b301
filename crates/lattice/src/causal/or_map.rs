//! The map whose keys can be removed.

use super::{Causal, CausalContext, DotMap, DotStore};
use crate::Lattice;
use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use std::collections::btree_map;

/// The observed-remove map: a store for each key, and a removal that removes what it has seen under its key.
///
/// What may be nested:
///
/// | store | is | changed by |
/// |---|---|---|
/// | [`DotSet`](crate::DotSet) | a flag, enable wins | [`renew_delta`](crate::DotSet::renew_delta) |
/// | [`DotFun<V>`](crate::DotFun) | a multi-value register | [`write_delta`](crate::DotFun::write_delta) |
/// | [`Increments`](crate::Increments) | a counter that can be reset | [`add_delta`](crate::Increments::add_delta) |
/// | [`DotMap<E, DotSet>`](DotMap) | a set, additions win | [`insert_delta`](DotMap::insert_delta), [`remove_delta`](DotMap::remove_delta) |
/// | [`DotMap<K, S>`](DotMap) | a map of any of these | [`update_delta`](DotMap::update_delta), [`remove_delta`](DotMap::remove_delta) |
///
/// and each of them is emptied by [`clear_delta`](DotStore::clear_delta). All share the one context of the map.
///
/// ```
/// use antiphon_lattice::{Increments, Lattice, OrMap, ReplicaId};
/// let (a, b) = (ReplicaId::from_u128(1), ReplicaId::from_u128(2));
/// let mut here: OrMap<&str, Increments> = OrMap::default();
/// let mut there = OrMap::default();
/// there.join(here.update("claps", |counter, seen| counter.add_delta(seen, a, 5)).unwrap());
///
/// let removal = here.remove("claps");
/// let more = there.update("claps", |counter, seen| counter.add_delta(seen, b, 2)).unwrap();
/// there.join(removal);
/// here.join(more);
/// assert_eq!(here.get("claps").map(Increments::value), Some(2), "what the removal had not seen");
/// assert_eq!(here, there);
/// ```
///
/// # Promise
///
/// A key is in the map exactly while something under it is live. Its store is what the nested type promises, and a
/// removal is to it a reset of all that was seen: what was written concurrently stays, and only that.
///
/// # Anomaly
///
/// A removal that meets a concurrent change leaves a part of the value: the key is there, with what was changed alone.
///
/// ```
/// use antiphon_lattice::{DotMap, DotSet, Lattice, OrMap, ReplicaId};
/// let me = ReplicaId::from_u128(1);
/// let mut here: OrMap<&str, DotMap<&str, DotSet>> = OrMap::default();
/// here.update("tags", |set, seen| set.insert_delta(seen, me, "slow")).unwrap();
/// let mut there = here.clone();
/// there.remove("tags");
/// here.update("tags", |set, seen| set.insert_delta(seen, me, "long")).unwrap();
/// here.join(there);
/// assert_eq!(here.get("tags").unwrap().keys().collect::<Vec<_>>(), [&"long"]);
/// ```
///
/// # Cost
///
/// The keys, their stores and one context; nothing for removed keys. `update`, `remove` and `get` are O(log n) and what
/// the store costs. Joins cost as [`DotMap`] says.
///
/// # Choose another
///
/// If keys are never removed: [`Map`](crate::Map), of any lattice. For many rows: a store.
///
/// # JSON
///
/// `{"store": [[key, store]], "context": {replica: [[first, last]]}}`, keys in order.
///
/// # Source
///
/// Almeida, Shoker, Baquero, *Delta state replicated data types*, 2018, §7 (`ORMap`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(
    transparent,
    bound(
        serialize = "K: Serialize, S: Serialize",
        deserialize = "K: Ord + Clone + Deserialize<'de>, S: DotStore + Deserialize<'de>"
    )
)]
pub struct OrMap<K, S>(Causal<DotMap<K, S>>);

impl<K, S> Default for OrMap<K, S> {
    fn default() -> Self {
        Self(Causal::default())
    }
}

impl<K: Ord + Clone, S: DotStore> OrMap<K, S> {
    /// Runs a mutator on the store of a key, which is empty if the key is not there, and returns the delta.
    ///
    /// The mutator takes its dots from the context that it is given.
    pub fn update<E>(
        &mut self,
        key: K,
        mutator: impl FnOnce(&S, &CausalContext) -> Result<Causal<S>, E>,
    ) -> Result<Self, E> {
        self.0.update_key(key, mutator).map(Self)
    }

    /// Removes what was seen under a key, and returns the delta. Of an absent key, it is the bottom.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Self
    where
        K: Borrow<Q>,
    {
        Self(self.0.remove_key(key))
    }

    /// Removes all keys that are here, and returns the delta.
    pub fn clear(&mut self) -> Self {
        Self(self.0.clear())
    }

    /// The store of a key, if anything is live there.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&S>
    where
        K: Borrow<Q>,
    {
        self.0.store().get(key)
    }

    /// Whether anything is live under a key.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.get(key).is_some()
    }
}

impl<K, S> OrMap<K, S> {
    /// The keys and their stores, in the order of the keys.
    pub fn iter(&self) -> btree_map::Iter<'_, K, S> {
        self.0.store().iter()
    }

    /// The keys, in order.
    pub fn keys(&self) -> btree_map::Keys<'_, K, S> {
        self.0.store().keys()
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.store().len()
    }

    /// Whether there is none. Something may have been: only a map that nobody wrote to is the bottom.
    pub fn is_empty(&self) -> bool {
        self.0.store().is_empty()
    }

    /// What was seen, removed keys included.
    pub const fn context(&self) -> &CausalContext {
        self.0.context()
    }
}

impl<K: Ord + Clone, S: DotStore> Lattice for OrMap<K, S> {
    fn join(&mut self, other: Self) -> bool {
        self.0.join(other.0)
    }

    fn covers(&self, other: &Self) -> bool {
        self.0.covers(&other.0)
    }
}

impl<'a, K, S> IntoIterator for &'a OrMap<K, S> {
    type Item = (&'a K, &'a S);
    type IntoIter = btree_map::Iter<'a, K, S>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
