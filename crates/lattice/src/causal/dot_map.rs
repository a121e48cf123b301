//! A store for each key.

use super::{Causal, CausalContext, DotSet, DotStore, DotsExhausted};
use crate::{Lattice, ReplicaId};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, btree_map};
use std::fmt;
use std::marker::PhantomData;

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
        let delta = match self.0.get(&key) {
            Some(store) => mutator(store, context),
            None => mutator(&S::default(), context),
        }?;
        Ok(delta.nested(|store| Self::of(key, store)))
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
        let ours = self.store().get(&key);
        let delta = match ours {
            Some(store) => mutator(store, self.context()),
            None => mutator(&S::default(), self.context()),
        }?;
        let known = delta.context().common(self.context());
        if known.is_empty() || ours.is_some_and(|ours| ours.dots().covers(&known)) {
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

impl<K: Serialize, S: Serialize> Serialize for DotMap<K, S> {
    fn serialize<T: Serializer>(&self, serializer: T) -> Result<T::Ok, T::Error> {
        serializer.collect_seq(&self.0)
    }
}

impl<'de, K: Ord + Clone + Deserialize<'de>, S: DotStore + Deserialize<'de>> Deserialize<'de>
    for DotMap<K, S>
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Entries(PhantomData))
    }
}

struct Entries<K, S>(PhantomData<(K, S)>);

impl<'de, K: Ord + Clone + Deserialize<'de>, S: DotStore + Deserialize<'de>> de::Visitor<'de>
    for Entries<K, S>
{
    type Value = DotMap<K, S>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of keys and their stores")
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut entries: A) -> Result<DotMap<K, S>, A::Error> {
        let mut read: Vec<(K, S)> = Vec::new();
        while let Some(entry) = entries.next_element()? {
            read.push(entry);
        }
        read.sort_by(|(one, _), (other, _)| one.cmp(other));
        let map = DotMap(united(read));
        let sum: u128 = map.0.values().map(|store| how_many(&store.dots())).sum();
        if sum == how_many(&map.dots()) { Ok(map) } else { Err(de::Error::custom("one dot under two keys")) }
    }
}

/// The entries, which come in the order of their keys, with the stores of one key united.
fn united<K: Ord, S: DotStore>(entries: Vec<(K, S)>) -> BTreeMap<K, S> {
    let mut united = BTreeMap::new();
    let mut entries = entries.into_iter().peekable();
    while let Some((key, store)) = entries.next() {
        let mut stores = vec![store];
        while let Some((_, store)) = entries.next_if(|(next, _)| *next == key) {
            stores.push(store);
        }
        // In pairs, then pairs of pairs: one by one would be quadratic, and the bytes may be hostile.
        while stores.len() > 1 {
            let mut pairs = stores.into_iter();
            let mut next = Vec::with_capacity(pairs.len().div_ceil(2));
            while let Some(mut one) = pairs.next() {
                if let Some(other) = pairs.next() {
                    // Where each side has seen only what it has, the join is the union.
                    let (ours, theirs) = (one.dots(), other.dots());
                    one.join_causal(&ours, other, &theirs);
                }
                next.push(one);
            }
            stores = next;
        }
        united.extend(stores.pop().filter(|store| !store.is_empty()).map(|store| (key, store)));
    }
    united
}

fn how_many(dots: &CausalContext) -> u128 {
    dots.ranges().map(|(_, first, last)| u128::from(last - first) + 1).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OrSet;

    type Sets = Causal<DotMap<u8, DotSet>>;
    type Join = fn(&mut DotMap<u8, DotSet>, &CausalContext, DotMap<u8, DotSet>, &CausalContext) -> bool;

    /// One dot under two keys, at two replicas that share an id, one of which knows many more keys than the other.
    #[test]
    fn one_dot_under_two_keys_is_lost_alike() {
        let copied = ReplicaId::from_u128(1);
        let (mut here, mut there) = (OrSet::default(), OrSet::default());
        for element in 0..20 {
            here.insert(copied, element).unwrap();
        }
        there.insert(copied, 100).unwrap();
        let joined = here.clone().joined(there.clone());
        assert_eq!(joined, there.clone().joined(here.clone()));
        assert!(!joined.contains(&0) && !joined.contains(&100) && joined.len() == 19);
        assert!(!here.covers(&there) && here.join(there));
    }

    #[test]
    fn keys_and_dots_that_stand_twice() {
        let me = ReplicaId::from_u128(1);
        let read = |store: &str| {
            let store = store.replace('@', &format!("{me}-000000000000000"));
            serde_json::from_str::<Causal<DotMap<u8, DotMap<u8, DotSet>>>>(&format!(
                r#"{{"store":{store},"context":{{"{me}":[[1,9]]}}}}"#
            ))
        };
        let plain = read(r#"[[2,[[1,["@1"]],[2,["@2","@3"]]]]]"#).unwrap();
        assert_eq!(read(r#"[[2,[[2,["@3"]]]],[2,[[1,["@1"]]]],[2,[[2,["@2"]]]],[2,[]]]"#).unwrap(), plain);
        for twice in [r#"[[1,[[1,["@1"]]]],[2,[[1,["@1"]]]]]"#, r#"[[1,[[1,["@1"]],[2,["@1"]]]]]"#] {
            let error = read(twice).unwrap_err().to_string();
            assert!(error.starts_with("one dot under two keys"), "{error}");
        }
        // Each row is sound, and what is left of both is nothing: no key stays for it.
        assert!(read(r#"[[2,[[1,["@1"]]]],[2,[[2,["@1"]]]]]"#).unwrap().store().is_empty());
    }

    /// Replicas that drift apart: states and deltas of many keys, from a row of numbers that looks random.
    fn states() -> (Vec<Sets>, Vec<Sets>) {
        let (mut replicas, mut deltas) = (vec![Sets::default(); 3], Vec::<Sets>::new());
        let mut number = 1_u64;
        let mut draw = |below: u64| {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (number >> 33) % below
        };
        for _ in 0..400 {
            let (at, key) = (usize::try_from(draw(3)).unwrap(), u8::try_from(draw(64)).unwrap());
            let me = ReplicaId::from_u128(at as u128 + 1);
            let here = &mut replicas[at];
            deltas.push(match draw(9) {
                0..5 => here.update_key(key, |dots, seen| dots.renew_delta(seen, me)).unwrap(),
                5..7 => here.remove_key(&key),
                _ => {
                    let other = if deltas.is_empty() { continue } else { draw(deltas.len() as u64) };
                    let other: Sets = deltas[usize::try_from(other).unwrap()].clone();
                    here.apply(other)
                }
            });
        }
        (replicas, deltas)
    }

    /// The two ways to join do the same, whichever is the quicker.
    #[test]
    fn few_or_in_step() {
        let (replicas, deltas) = states();
        assert!(replicas.iter().all(|state| state.store().len() > 2 * FEWER), "large enough to be worth it");
        for ours in replicas.iter().chain(&deltas[..20]) {
            for theirs in deltas.iter().chain(&replicas) {
                let join = |join: Join| {
                    let mut store = ours.store().clone();
                    let changed = join(&mut store, ours.context(), theirs.store().clone(), theirs.context());
                    assert_eq!(changed, store != *ours.store(), "an honest answer");
                    store
                };
                assert_eq!(join(DotMap::join_few), join(DotMap::join_in_step));
                let joined = ours.clone().joined(theirs.clone());
                assert_eq!(*joined.store(), join(DotMap::join_in_step));
                assert_eq!(ours.covers(theirs), joined == *ours);
                assert_eq!(theirs.clone().joined(ours.clone()), joined);
            }
        }
    }

    /// A local change that was made directly is the one that its delta makes.
    #[test]
    fn direct_changes_do_what_their_deltas_say() {
        let (me, mut set) = (ReplicaId::from_u128(1), OrSet::default());
        for element in (0..100_u8).chain(50..60) {
            let before = set.clone();
            let delta = set.insert(me, element).unwrap();
            assert_eq!(before.joined(delta), set);
        }
        for element in [0, 99, 7, 7, 200] {
            let before = set.clone();
            let delta = set.remove(&element);
            assert_eq!(before.joined(delta), set);
        }
        let before = set.clone();
        let delta = set.clear();
        assert!(set.is_empty() && !before.is_empty());
        assert_eq!(before.joined(delta), set);
    }

    /// A mutator that reaches beyond its key: the state is what the delta says, all the same.
    #[test]
    fn a_delta_that_concerns_other_keys() {
        let me = ReplicaId::from_u128(1);
        let mut state = Sets::default();
        let other = state.update_key(1, |dots, seen| dots.renew_delta(seen, me)).unwrap();
        let before = state.clone();
        let removal: Result<_, DotsExhausted> =
            state.update_key(2, |_, _| Ok(Causal::removal(other.context().clone())));
        assert!(state.store().is_empty());
        assert_eq!(before.joined(removal.unwrap()), state);
    }
}
