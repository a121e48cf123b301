//! The bytes: pairs of a key and its store, since keys need not be strings.

use super::{CausalContext, DotMap, DotStore};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

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
