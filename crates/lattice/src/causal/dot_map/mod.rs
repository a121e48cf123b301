//! A store for each key.

mod codec;
#[cfg(test)]
mod tests;

use super::{Causal, CausalContext, DotSet, DotStore, DotsExhausted};
use crate::{Lattice, ReplicaId};
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, btree_map};

/// A store for each key, all under one context. A key is there while anything under it is live.
///
/// [`OrSet`](crate::OrSet) is this with a [`DotSet`] for each element, [`OrMap`](crate::OrMap) with any store for each
/// key. Nested in an `OrMap` it is a set, or a map, in a map.
///
/// ```
/// use antiphon_lattice::{DotMap, DotSet, OrMap, ReplicaId};
/// let me = ReplicaId::from_u128(1);
/// let mut shelves: OrMap<&str, DotMap<&str, DotSet>> = OrMap::default();
/// for title in ["Mist", "Tide"] {
///     shelves.update("to read", |set, seen| set.insert_delta(seen, me, title)).unwrap();
/// }
/// assert_eq!(shelves.get("to read").unwrap().keys().collect::<Vec<_>>(), [&"Mist", &"Tide"]);
/// ```
///
/// # Promise
///
/// Each key's store is joined by its own rule; empty stores are not kept, so a removed key leaves nothing behind.
///
/// # Anomaly
///
/// A dot belongs to one key. If two writers share a [`ReplicaId`], one dot may stand under two keys at two replicas.
/// Each replica then has seen the other's dot without its key, so both are dropped, at every replica alike, and nothing
/// notes it: the join cannot tell this from a removal.
///
/// ```
/// use antiphon_lattice::{Lattice, OrSet, ReplicaId};
/// let copied = ReplicaId::from_u128(1);
/// let (mut here, mut there) = (OrSet::default(), OrSet::default());
/// here.insert(copied, "anna")?;
/// there.insert(copied, "bert")?;
/// assert!(here.joined(there).is_empty(), "one dot under two keys: both are lost");
/// # Ok::<(), antiphon_lattice::DotsExhausted>(())
/// ```
///
/// # Cost
///
/// The keys and their stores; nothing for removed keys. With n keys here and d there, the join takes
/// O(n + d), in one pass over both in order, without allocating where nothing changes. Where d is below n / 8:
///
/// - O(d log n) if all dots that the delta has seen, and that we have seen too, are live here under the keys that it
///   names. So it is for every write, also when it comes again before the next one.
/// - O(n) to look, without a copy, if not: a removal names no key, only dots, and the keys that have them must be
///   found. (An index from dots to keys would find them in O(log n), for twice the memory of the keys.)
///
/// # Choose another
///
/// For keys that are never removed: [`Map`](crate::Map).
///
/// # JSON
///
/// An array of `[key, store]` in the order of the keys, which need not be strings. A key that stands twice is united. One
/// dot under two keys is refused: no join of states that were written leads to it, and it could not be joined in parts.
///
/// # Source
///
/// Almeida, Shoker, Baquero, *Delta state replicated data types*, 2018, §7.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DotMap<K, S>(BTreeMap<K, S>);

/// A state of which the other has at least this many times the keys is joined key by key.
const FEWER: usize = 8;

impl<K, S> Default for DotMap<K, S> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord, S> DotMap<K, S> {
    /// The store of a key, if anything is live there.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&S>
    where
        K: Borrow<Q>,
    {
        self.0.get(key)
    }
}

impl<K, S> DotMap<K, S> {
    /// The keys and their stores, in the order of the keys.
    pub fn iter(&self) -> btree_map::Iter<'_, K, S> {
        self.0.iter()
    }

    /// The keys, in order.
    pub fn keys(&self) -> btree_map::Keys<'_, K, S> {
        self.0.keys()
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a, K, S> IntoIterator for &'a DotMap<K, S> {
    type Item = (&'a K, &'a S);
    type IntoIter = btree_map::Iter<'a, K, S>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<K: Ord + Clone, S: DotStore> DotMap<K, S> {
    /// A store under a key. Of an empty store, the empty map.
    pub fn of(key: K, store: S) -> Self {
        Self(BTreeMap::from_iter((!store.is_empty()).then_some((key, store))))
    }

    /// The delta of a mutator on the store of one key, which is empty if the key is not there.
    ///
    /// The mutator takes its dots from the given context, which is that of the whole state.
    pub fn update_delta<E>(
        &self,
        context: &CausalContext,
        key: K,
        mutator: impl FnOnce(&S, &CausalContext) -> Result<Causal<S>, E>,
    ) -> Result<Causal<Self>, E> {
        Ok(self.delta_at(context, &key, mutator)?.nested(|store| Self::of(key, store)))
    }

    /// The delta of a mutator, of the store alone.
    fn delta_at<E>(
        &self,
        context: &CausalContext,
        key: &K,
        mutator: impl FnOnce(&S, &CausalContext) -> Result<Causal<S>, E>,
    ) -> Result<Causal<S>, E> {
        match self.0.get(key) {
            Some(store) => mutator(store, context),
            None => mutator(&S::default(), context),
        }
    }

    /// The delta that removes what is live under a key, and nothing that is written there concurrently.
    pub fn remove_delta<Q: Ord + ?Sized>(&self, key: &Q) -> Causal<Self>
    where
        K: Borrow<Q>,
    {
        Causal::removal(self.0.get(key).map(S::dots).unwrap_or_default())
    }
}

impl<K: Ord + Clone, S: DotStore> Causal<DotMap<K, S>> {
    /// Removes a key without looking at the others, and returns the delta.
    pub(crate) fn remove_key<Q: Ord + ?Sized>(&mut self, key: &Q) -> Self
    where
        K: Borrow<Q>,
    {
        Self::removal(self.parts_mut().0.take_dots(key))
    }

    /// Runs a mutator on one key, without looking at the others if it only concerns that one, and returns the delta.
    pub(crate) fn update_key<E>(
        &mut self,
        key: K,
        mutator: impl FnOnce(&S, &CausalContext) -> Result<Causal<S>, E>,
    ) -> Result<Self, E> {
        let delta = self.store().delta_at(self.context(), &key, mutator)?;
        let known = delta.context().common(self.context());
        if known.is_empty() || self.store().get(&key).is_some_and(|ours| ours.dots().covers(&known)) {
            let (store, context) = (delta.store().clone(), delta.context().clone());
            self.join_key(key.clone(), store, context);
            Ok(delta.nested(|store| DotMap::of(key, store)))
        } else {
            Ok(self.apply(delta.nested(|store| DotMap::of(key, store))))
        }
    }

    fn join_key(&mut self, key: K, their: S, other_seen: CausalContext) {
        let (store, seen) = self.parts_mut();
        store.join_at(key, their, seen, &other_seen);
        seen.join(other_seen);
    }
}

impl<K: Ord + Clone> DotMap<K, DotSet> {
    /// The delta that inserts an element, for maps that are sets.
    pub fn insert_delta(
        &self,
        context: &CausalContext,
        me: ReplicaId,
        element: K,
    ) -> Result<Causal<Self>, DotsExhausted> {
        self.update_delta(context, element, |dots, context| dots.renew_delta(context, me))
    }
}

impl<K: Ord + Clone, S: DotStore> DotMap<K, S> {
    /// Removes a key, and returns its dots.
    pub(crate) fn take_dots<Q: Ord + ?Sized>(&mut self, key: &Q) -> CausalContext
    where
        K: Borrow<Q>,
    {
        self.0.remove(key).map(|store| store.dots()).unwrap_or_default()
    }

    /// Joins a few keys by looking each of them up.
    fn join_few(&mut self, seen: &CausalContext, other: Self, other_seen: &CausalContext) -> bool {
        let mut changed = self.forget_unnamed(seen, &other, other_seen);
        for (key, their) in other.0 {
            changed |= self.join_at(key, their, seen, other_seen);
        }
        changed
    }

    /// Drops what the other side has seen removed under keys that it does not name.
    fn forget_unnamed(&mut self, seen: &CausalContext, other: &Self, other_seen: &CausalContext) -> bool {
        let known = other_seen.common(seen);
        if known.is_empty() {
            return false;
        }
        // Ours alone: where two writers share an id, a dot that the other side names may stand under another key here.
        let mut named = CausalContext::default();
        for key in other.keys() {
            if let Some(ours) = self.0.get(key) {
                ours.add_dots_to(&mut named);
            }
        }
        let unnamed = known.minus(&named);
        if unnamed.is_empty() {
            return false;
        }
        let met = self.0.iter().filter(|(key, ours)| ours.meets(&unnamed) && !other.0.contains_key(*key));
        let met: Vec<K> = met.map(|(key, _)| key.clone()).collect();
        for key in &met {
            self.forget_at(key, &unnamed);
        }
        !met.is_empty()
    }

    /// Drops what has been seen removed under one key, and says whether there was any.
    pub(crate) fn forget_at<Q: Ord + ?Sized>(&mut self, key: &Q, seen: &CausalContext) -> bool
    where
        K: Borrow<Q>,
    {
        let Some(ours) = self.0.get_mut(key) else {
            return false;
        };
        let changed = ours.forget(seen);
        if ours.is_empty() {
            self.0.remove(key);
        }
        changed
    }

    /// Joins in one pass over both, in the order of the keys. Most are alike: only what differs is moved.
    fn join_in_step(&mut self, seen: &CausalContext, other: Self, other_seen: &CausalContext) -> bool {
        let (mut differ, mut emptied, mut changed) = (Vec::new(), false, false);
        let mut theirs = other.0.iter().enumerate().peekable();
        for (key, ours) in &mut self.0 {
            let mut found = false;
            while let Some(&(nth, (their_key, their))) = theirs.peek() {
                let order = their_key.cmp(key);
                if order == Ordering::Greater {
                    break;
                }
                found = order == Ordering::Equal;
                if !found || ours != their {
                    differ.push(nth);
                }
                theirs.next();
                if found {
                    break;
                }
            }
            if !found && ours.forget(other_seen) {
                changed = true;
                emptied |= ours.is_empty();
            }
        }
        differ.extend(theirs.map(|(nth, _)| nth));
        if emptied {
            self.0.retain(|_, ours| !ours.is_empty());
        }
        if differ.is_empty() {
            return changed;
        }
        let mut differ = differ.into_iter().peekable();
        for (nth, (key, their)) in other.0.into_iter().enumerate() {
            if differ.next_if_eq(&nth).is_some() {
                changed |= self.join_at(key, their, seen, other_seen);
            }
        }
        changed
    }

    /// Joins one key by looking it up.
    fn join_at(&mut self, key: K, their: S, seen: &CausalContext, other_seen: &CausalContext) -> bool {
        match self.0.entry(key) {
            btree_map::Entry::Occupied(mut ours) => {
                let changed = ours.get_mut().join_causal(seen, their, other_seen);
                if ours.get().is_empty() {
                    ours.remove();
                }
                changed
            }
            btree_map::Entry::Vacant(place) => {
                let news = unseen(their, seen);
                let changed = news.is_some();
                if let Some(news) = news {
                    place.insert(news);
                }
                changed
            }
        }
    }
}

/// What is left of a store whose key is not here: what we have not seen.
fn unseen<S: DotStore>(mut store: S, seen: &CausalContext) -> Option<S> {
    store.forget(seen);
    (!store.is_empty()).then_some(store)
}

impl<K: Ord + Clone, S: DotStore> DotStore for DotMap<K, S> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn add_dots_to(&self, context: &mut CausalContext) {
        self.0.values().for_each(|store| store.add_dots_to(context));
    }

    fn join_causal(&mut self, seen: &CausalContext, other: Self, other_seen: &CausalContext) -> bool {
        if other.len() < self.len() / FEWER {
            self.join_few(seen, other, other_seen)
        } else {
            self.join_in_step(seen, other, other_seen)
        }
    }

    fn forget(&mut self, seen: &CausalContext) -> bool {
        let mut changed = false;
        self.0.retain(|_, store| {
            changed |= store.forget(seen);
            !store.is_empty()
        });
        changed
    }

    fn meets(&self, seen: &CausalContext) -> bool {
        self.0.values().any(|store| store.meets(seen))
    }

    fn covers_causal(&self, seen: &CausalContext, other: &Self, other_seen: &CausalContext) -> bool {
        let nothing = S::default();
        let ours = self.0.iter().all(|(key, ours)| {
            let theirs = other.0.get(key);
            theirs.map_or_else(
                || !ours.meets(other_seen),
                |theirs| ours.covers_causal(seen, theirs, other_seen),
            )
        });
        let mut strangers = other.0.iter().filter(|(key, _)| !self.0.contains_key(key));
        ours && strangers.all(|(_, theirs)| nothing.covers_causal(seen, theirs, other_seen))
    }
}
