//! A value for each dot.

use super::{Causal, CausalContext, DotStore, DotsExhausted};
use crate::faults::note_identity_fault;
use crate::{Dot, ReplicaId};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::cmp::Ordering;
use std::fmt;
use std::marker::PhantomData;

/// A value for each dot: the store of a register that keeps what was written concurrently.
///
/// Under a key of an [`OrMap`](crate::OrMap) it is a multi-value register.
///
/// ```
/// use antiphon_lattice::{DotFun, Lattice, OrMap, ReplicaId};
/// let (a, b) = (ReplicaId::from_u128(1), ReplicaId::from_u128(2));
/// let mut here: OrMap<&str, DotFun<&str>> = OrMap::default();
/// here.update("colour", |register, seen| register.write_delta(seen, a, "red")).unwrap();
/// let mut there = here.clone();
/// here.update("colour", |register, seen| register.write_delta(seen, a, "green")).unwrap();
/// there.update("colour", |register, seen| register.write_delta(seen, b, "blue")).unwrap();
/// here.join(there);
/// let colours: Vec<_> = here.get("colour").unwrap().values().collect();
/// assert_eq!(colours, [&"green", &"blue"], "both had seen red, and neither the other");
/// ```
///
/// # Promise
///
/// After the join a dot is live if both sides have it, or one has it and the other has not seen it. Its value never
/// changes: a dot is one write.
///
/// # Anomaly
///
/// Two writers with one [`ReplicaId`] may give one dot to two values. The greater value is kept, at every replica
/// alike, and the other write is lost; [`identity_faults`](crate::identity_faults) counts it.
///
/// ```
/// use antiphon_lattice::{DotFun, Lattice, ReplicaId, identity_faults};
/// let before = identity_faults();
/// let copied = ReplicaId::from_u128(1);
/// let written = |value| DotFun::default().write_delta(&Default::default(), copied, value).unwrap();
/// let joined = written("red").joined(written("green"));
/// assert_eq!(joined.store().values().collect::<Vec<_>>(), [&"red"]);
/// assert!(identity_faults() > before);
/// ```
///
/// # Cost
///
/// 24 bytes, and 32 and the value for each dot; in JSON 53 bytes and the value for each. The join is linear. Meant for
/// the few values that are written concurrently; many are better kept in a [`DotMap`](crate::DotMap).
///
/// # Choose another
///
/// Without values: [`DotSet`](crate::DotSet). If one value is enough: [`Lww`](crate::Lww).
///
/// # JSON
///
/// An object from dots to values, in the order of the dots.
///
/// # Source
///
/// Almeida, Shoker, Baquero, *Delta state replicated data types*, 2018, §7. There the values are lattices; here they
/// are ordered, for every change has a dot of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DotFun<V>(Vec<(Dot, V)>);

impl<V> Default for DotFun<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<V> DotFun<V> {
    /// One dot, whose counter is not 0, and its value.
    pub fn of(dot: Dot, value: V) -> Self {
        Self(vec![(dot, value)])
    }

    /// The dots and their values, in the order of the dots.
    pub fn iter(&self) -> impl Iterator<Item = (Dot, &V)> {
        self.0.iter().map(|(dot, value)| (*dot, value))
    }

    /// The values, in the order of their dots.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.0.iter().map(|(_, value)| value)
    }

    /// The value of a dot.
    pub fn get(&self, dot: Dot) -> Option<&V> {
        let at = self.0.binary_search_by_key(&dot, |(dot, _)| *dot).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    /// How many dots are live.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none is.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<V: Ord + Clone> DotFun<V> {
    /// The delta of a write: the value under a new dot of `me`, in the place of all that are here.
    pub fn write_delta(
        &self,
        context: &CausalContext,
        me: ReplicaId,
        value: V,
    ) -> Result<Causal<Self>, DotsExhausted> {
        let dot = context.next(me)?;
        let mut replaced = self.dots();
        replaced.insert(dot);
        Ok(Causal::held(Self::of(dot, value), replaced))
    }
}

impl<V: Ord + Clone> DotStore for DotFun<V> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn add_dots_to(&self, context: &mut CausalContext) {
        for (dot, _) in &self.0 {
            context.insert(*dot);
        }
    }

    fn join_causal(&mut self, seen: &CausalContext, other: Self, other_seen: &CausalContext) -> bool {
        if other.0.is_empty() {
            return self.forget(other_seen);
        }
        if *self == other {
            return false;
        }
        let mut changed = false;
        let mut theirs = other.0.into_iter().peekable();
        let mut joined = Vec::with_capacity(self.0.len());
        for (dot, mut value) in std::mem::take(&mut self.0) {
            while let Some(news) = theirs.next_if(|(their, _)| *their < dot) {
                push_unseen(&mut joined, news, seen, &mut changed);
            }
            if let Some((_, their)) = theirs.next_if(|(their, _)| *their == dot) {
                changed |= keep_greater(&mut value, their);
                joined.push((dot, value));
            } else if other_seen.contains(dot) {
                changed = true;
            } else {
                joined.push((dot, value));
            }
        }
        theirs.for_each(|news| push_unseen(&mut joined, news, seen, &mut changed));
        self.0 = joined;
        changed
    }

    fn forget(&mut self, seen: &CausalContext) -> bool {
        let before = self.0.len();
        self.0.retain(|(dot, _)| !seen.contains(*dot));
        self.0.len() < before
    }

    fn meets(&self, seen: &CausalContext) -> bool {
        self.0.iter().any(|(dot, _)| seen.contains(*dot))
    }
}

fn push_unseen<V>(joined: &mut Vec<(Dot, V)>, news: (Dot, V), seen: &CausalContext, changed: &mut bool) {
    if !seen.contains(news.0) {
        *changed = true;
        joined.push(news);
    }
}

/// One dot, and what both sides say that was written: the same, or there is a fault.
fn keep_greater<V: Ord>(ours: &mut V, theirs: V) -> bool {
    match theirs.cmp(ours) {
        Ordering::Equal => false,
        order => {
            note_identity_fault();
            let grew = order == Ordering::Greater;
            if grew {
                *ours = theirs;
            }
            grew
        }
    }
}

impl<V: Serialize> Serialize for DotFun<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(dot, value)| (dot, value)))
    }
}

impl<'de, V: Ord + Deserialize<'de>> Deserialize<'de> for DotFun<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries(PhantomData))
    }
}

struct Entries<V>(PhantomData<V>);

impl<'de, V: Ord + Deserialize<'de>> de::Visitor<'de> for Entries<V> {
    type Value = DotFun<V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map from dots to values")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut entries: A) -> Result<DotFun<V>, A::Error> {
        let mut values: Vec<(Dot, V)> = Vec::new();
        while let Some((dot, value)) = entries.next_entry::<Dot, V>()? {
            if dot.counter == 0 {
                return Err(de::Error::custom(format_args!("{dot} is the dot of no event")));
            }
            values.push((dot, value));
        }
        // Of a dot that stands twice the greater value is kept, as the join does.
        values.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| b.1.cmp(&a.1)));
        values.dedup_by_key(|(dot, _)| *dot);
        Ok(DotFun(values))
    }
}
