//! A lattice for every key.

use crate::Lattice;
use serde::{Deserialize, Deserializer, Serialize, de};
use std::borrow::Borrow;
use std::collections::{BTreeMap, btree_map};
use std::fmt;
use std::marker::PhantomData;

/// A lattice for every key, joined key by key.
///
/// # Promise
///
/// Each key keeps the promise of its value, and nothing more: keys do not know of each other, and a delta may bring one
/// without the other.
///
/// A key is never removed. A key that is absent and a key that holds the bottom would answer every question alike, so they
/// must be equal; therefore **bottoms are not stored**, however they come (by [`join_entry`](Map::join_entry), from an
/// iterator, from JSON). This is also why there is no `get_mut`: [`update`](Map::update) changes a value and keeps the
/// promise. A pair of a bottom is no news either, so `len` counts the keys about which something is known.
///
/// ```
/// use antiphon_lattice::{Lattice, Map, Max};
/// let mut reads: Map<&str, Max<u64>> = Map::of("part 1", Max(10));
/// assert!(reads.join_entry("part 2", Max(4)));
/// assert!(!reads.join_entry("part 3", Max(0)), "a bottom is no news");
///
/// let delta = reads.update("part 1", |count| count.raise(11));
/// assert_eq!(delta, Map::of("part 1", Max(11)));
/// assert_eq!(reads.iter().collect::<Vec<_>>(), [(&"part 1", &Max(11)), (&"part 2", &Max(4))]);
/// ```
///
/// # Anomaly
///
/// That a key is there cannot be taken back, and what belongs together may be seen apart:
///
/// ```
/// use antiphon_lattice::{Lattice, Map, Max};
/// let mut sent = Map::default();
/// let chapters = sent.update("chapters", |count: &mut Max<u64>| count.raise(200));
/// let pages = sent.update("pages", |count| count.raise(9_000));
/// let mut there = Map::default();
/// there.join(pages);
/// assert_eq!(there.get("chapters"), None, "a book of 9,000 pages without a chapter");
/// assert_eq!(there.joined(chapters), sent);
/// ```
///
/// # Cost
///
/// Its keys and values in every full state; in JSON 2 bytes an entry beside them (4 with the quotes of its key), and one for
/// the whole. One entry costs O(log n), a join O(m log n) and the joins of the values, for a delta of m. A delta is one entry.
/// Rows that are many, or that change alone, are better kept as rows of a store than inside one `Map`.
///
/// # Choose another
///
/// [`OrMap`](crate::OrMap) to remove keys. A struct whose `join` is written by hand for fields that have names, and one
/// [`Lww`](crate::Lww) for those that belong together.
///
/// # Source
///
/// The product of lattices, as in Baquero, Almeida, Cunha, Ferreira, *Composition of state-based CRDTs*, 2015, §2.3.
///
/// # JSON
///
/// An object in key order (keys must encode as strings). When a key stands twice in an object its values are joined.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Map<K, V>(BTreeMap<K, V>);

impl<K: Ord, V: Lattice> Map<K, V> {
    /// The map of one entry: a delta. Of a bottom, it is the empty map.
    pub fn of(key: K, value: V) -> Self {
        Self::from_iter([(key, value)])
    }

    /// Joins a value into one entry, and says whether it grew.
    pub fn join_entry(&mut self, key: K, value: V) -> bool {
        match self.0.entry(key) {
            btree_map::Entry::Occupied(entry) => entry.into_mut().join(value),
            btree_map::Entry::Vacant(entry) => {
                let grew = value != V::default();
                if grew {
                    entry.insert(value);
                }
                grew
            }
        }
    }

    /// Runs a mutator on one entry, which is the bottom if it is absent, and returns the mutator's delta under its key.
    pub fn update(&mut self, key: K, mutator: impl FnOnce(&mut V) -> V) -> Self
    where
        K: Clone,
    {
        let mut value = self.0.remove(&key).unwrap_or_default();
        let delta = Self::of(key.clone(), mutator(&mut value));
        self.join_entry(key, value);
        delta
    }

    /// The value of a key, if anything is known about it.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.0.get(key)
    }
}

impl<K, V> Map<K, V> {
    /// The entries, in key order.
    pub fn iter(&self) -> btree_map::Iter<'_, K, V> {
        self.0.iter()
    }

    /// The keys, in order.
    pub fn keys(&self) -> btree_map::Keys<'_, K, V> {
        self.0.keys()
    }

    /// The values, in the order of their keys.
    pub fn values(&self) -> btree_map::Values<'_, K, V> {
        self.0.values()
    }

    /// How many keys something is known about.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether this is the bottom.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord + Clone, V: Lattice> Lattice for Map<K, V> {
    fn join(&mut self, other: Self) -> bool {
        other.0.into_iter().fold(false, |grew, (key, value)| self.join_entry(key, value) | grew)
    }

    fn covers(&self, other: &Self) -> bool {
        other.0.iter().all(|(key, theirs)| self.0.get(key).is_some_and(|ours| ours.covers(theirs)))
    }
}

/// Entries with equal keys are joined, bottoms are left out.
impl<K: Ord, V: Lattice> FromIterator<(K, V)> for Map<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::default();
        for (key, value) in entries {
            map.join_entry(key, value);
        }
        map
    }
}

impl<K, V> IntoIterator for Map<K, V> {
    type Item = (K, V);
    type IntoIter = btree_map::IntoIter<K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a, K, V> IntoIterator for &'a Map<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = btree_map::Iter<'a, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'de, K: Ord + Deserialize<'de>, V: Lattice + Deserialize<'de>> Deserialize<'de> for Map<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries(PhantomData))
    }
}

/// Builds a [`Map`] entry by entry, so that a repeated key is joined rather than overwritten.
struct Entries<K, V>(PhantomData<(K, V)>);

impl<'de, K: Ord + Deserialize<'de>, V: Lattice + Deserialize<'de>> de::Visitor<'de> for Entries<K, V> {
    type Value = Map<K, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map from keys to lattice values")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut map = Map::default();
        while let Some((key, value)) = entries.next_entry()? {
            map.join_entry(key, value);
        }
        Ok(map)
    }
}
