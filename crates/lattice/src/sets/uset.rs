//! Every element once.

use crate::faults::note_identity_fault;
use crate::{CausalContext, Dot, Lattice};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::{BTreeMap, btree_map};
use std::fmt;

/// The set of unique elements: each comes once, under a [`Dot`] of its own, may go, and is then forgotten but for its
/// number.
///
/// # Promise
///
/// What was inserted anywhere and removed nowhere is in the set. A removed element never returns, and costs next to
/// nothing: the numbers of all that one replica inserted and that were removed form ranges.
///
/// The caller owes a dot that was used for nothing else, from the one counter of its replica, and a removal only of what
/// it has seen (which [`remove`](USet::remove) checks). Messages, orders, uploads are like that: made once, done once.
///
/// # Anomaly
///
/// Elements are told apart by their dots and not by their values, so the same value twice is two:
///
/// ```
/// use antiphon_lattice::{Dot, Lattice, ReplicaId, USet};
/// let [a, b] = [1, 2].map(|id| Dot { replica: ReplicaId::from_u128(id), counter: 1 });
/// let (mut here, mut there) = (USet::default(), USet::default());
/// here.insert(a, "tea")?;
/// there.insert(b, "tea")?;
/// here.join(there);
/// here.remove(a);
/// assert_eq!(here.iter().collect::<Vec<_>>(), [(&b, &"tea")]);
/// # Ok::<(), antiphon_lattice::USetError>(())
/// ```
///
/// If one dot was used for two values, all replicas keep the greater and
/// [`identity_faults`](crate::identity_faults) counts it.
///
/// # Cost
///
/// The elements that are in, with their dots (32 bytes, 55 in JSON); and for what is gone 48 bytes a replica and 16 a
/// range, some 43 and 6 in JSON. A mutator costs O(log n), a join O(m log n). A delta is one element or one dot.
///
/// # Choose another
///
/// [`OrSet`](crate::OrSet) if a value may come again, and is to be found by itself. [`TwoPhaseSet`](crate::TwoPhaseSet)
/// if the value is its own identity and was not given by us.
///
/// # Source
///
/// Shapiro et al. 2011, §3.3.2, specification 13 (*U-Set*), which leans on causal delivery to need no tombstones. Any
/// queue will do for this one; its tombstones are ranges, as in Almeida, Shoker, Baquero, *Delta state replicated data
/// types*, 2018, §7.2.
///
/// # JSON
///
/// `{"live": [[dot, value]], "gone": {replica: [[first, last]]}}`, all in order. What stands twice is joined.
///
/// ```
/// use antiphon_lattice::{Dot, ReplicaId, USet};
/// let dot = |counter| Dot { replica: ReplicaId::from_u128(1), counter };
/// let mut orders = USet::default();
/// for counter in 1..=3 {
///     orders.insert(dot(counter), "an order")?;
/// }
/// for counter in 1..=3 {
///     orders.remove(dot(counter)).expect("it is there");
/// }
/// assert_eq!(orders.remove(dot(1)), None, "only once");
/// let json = r#"{"live":[],"gone":{"00000000000000000000000000000001":[[1,3]]}}"#;
/// assert_eq!(serde_json::to_string(&orders)?, json);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct USet<T> {
    /// Without those that are gone.
    live: BTreeMap<Dot, T>,
    gone: CausalContext,
}

impl<T: Ord + Clone> USet<T> {
    /// The set of one element: the delta of its insertion.
    pub fn of(dot: Dot, value: T) -> Self {
        Self { live: BTreeMap::from([(dot, value)]), gone: CausalContext::default() }
    }

    /// Inserts under a dot that is used for nothing else, and returns the delta.
    ///
    /// The same once more changes nothing and returns the same delta.
    pub fn insert(&mut self, dot: Dot, value: T) -> Result<Self, USetError> {
        let known = self.live.get(&dot);
        if self.gone.contains(dot) || known.is_some_and(|known| *known != value) || dot.counter == 0 {
            return Err(USetError { dot });
        }
        let delta = Self::of(dot, value);
        self.join(delta.clone());
        Ok(delta)
    }

    /// Removes for good, and returns the delta; or nothing if it is not there.
    pub fn remove(&mut self, dot: Dot) -> Option<Self> {
        self.live.remove(&dot)?;
        self.gone.insert(dot);
        Some(Self { live: BTreeMap::new(), gone: CausalContext::of(dot) })
    }
}

impl<T> USet<T> {
    /// The element with this dot, if it is in.
    pub fn get(&self, dot: Dot) -> Option<&T> {
        self.live.get(&dot)
    }

    /// Whether the element with this dot was removed.
    pub fn is_gone(&self, dot: Dot) -> bool {
        self.gone.contains(dot)
    }

    /// The elements that are in, in the order of their dots.
    pub fn iter(&self) -> btree_map::Iter<'_, Dot, T> {
        self.live.iter()
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

impl<T> Default for USet<T> {
    fn default() -> Self {
        Self { live: BTreeMap::new(), gone: CausalContext::default() }
    }
}

impl<T: Ord + Clone> Lattice for USet<T> {
    fn join(&mut self, other: Self) -> bool {
        let Self { live, gone } = other;
        let mut grew = self.gone.join(gone);
        if grew {
            self.live.retain(|dot, _| !self.gone.contains(*dot));
        }
        for (dot, value) in live.into_iter().filter(|(dot, _)| !self.gone.contains(*dot)) {
            grew |= match self.live.entry(dot) {
                btree_map::Entry::Vacant(entry) => {
                    entry.insert(value);
                    true
                }
                btree_map::Entry::Occupied(mut known) => {
                    if *known.get() != value {
                        note_identity_fault();
                    }
                    let grew = value > *known.get();
                    if grew {
                        known.insert(value);
                    }
                    grew
                }
            };
        }
        grew
    }

    fn covers(&self, other: &Self) -> bool {
        let is_known = |(dot, value): (&Dot, &T)| {
            self.gone.contains(*dot) || self.live.get(dot).is_some_and(|known| known >= value)
        };
        self.gone.covers(&other.gone) && other.live.iter().all(is_known)
    }
}

impl<'a, T> IntoIterator for &'a USet<T> {
    type Item = (&'a Dot, &'a T);
    type IntoIter = btree_map::Iter<'a, Dot, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The fields as JSON has them: a dot may stand twice, and in both.
#[derive(Serialize, Deserialize)]
struct Halves<L> {
    live: L,
    gone: CausalContext,
}

impl<T: Serialize> Serialize for USet<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let live: Vec<(&Dot, &T)> = self.live.iter().collect();
        Halves { live, gone: self.gone.clone() }.serialize(serializer)
    }
}

impl<'de, T: Ord + Clone + Deserialize<'de>> Deserialize<'de> for USet<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Halves { live, gone } = Halves::<Vec<(Dot, T)>>::deserialize(deserializer)?;
        let mut read = Self { live: BTreeMap::new(), gone };
        for (dot, value) in live {
            read.join(Self::of(dot, value));
        }
        Ok(read)
    }
}

/// The dot was used before, for another element or one that is gone, or is no dot: take the next of this replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct USetError {
    /// The dot.
    pub dot: Dot,
}

impl fmt::Display for USetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the dot {} is used", self.dot)
    }
}

impl std::error::Error for USetError {}
