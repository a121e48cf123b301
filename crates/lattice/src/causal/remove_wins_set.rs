//! The set whose removals win.

use super::{Causal, CausalContext, DotMap, DotSet, DotStore, DotsExhausted};
use crate::{Lattice, ReplicaId};
use serde::{Deserialize, Serialize};
use std::borrow::Borrow;

/// The remove-wins set: of an addition and a concurrent removal of one element, the removal wins.
///
/// For what must be gone when somebody says so: a permission that was taken away, a name that was withdrawn.
///
/// ```
/// use antiphon_lattice::{Lattice, RemoveWinsSet, ReplicaId};
/// let (a, b) = (ReplicaId::from_u128(1), ReplicaId::from_u128(2));
/// let mut here = RemoveWinsSet::default();
/// let mut there = RemoveWinsSet::default();
/// there.join(here.insert(a, "editor").unwrap());
///
/// let removal = here.remove(a, "editor").unwrap();
/// let addition = there.insert(b, "editor").unwrap();
/// there.join(removal);
/// here.join(addition);
/// assert!(!here.contains("editor"));
/// assert_eq!(here, there);
/// there.insert(b, "editor").unwrap();
/// assert!(there.contains("editor"), "by one who had seen the removal");
/// ```
///
/// # Promise
///
/// An element is in the set exactly if some addition of it, and no removal of it, was seen by no later addition or
/// removal of it.
///
/// # Anomaly
///
/// An addition that nobody meant to undo is lost, when it is concurrent to a removal of what was there before; even to
/// the removal of an element that was not there at all:
///
/// ```
/// use antiphon_lattice::{Lattice, RemoveWinsSet, ReplicaId};
/// let mut here = RemoveWinsSet::default();
/// here.insert(ReplicaId::from_u128(1), "editor").unwrap();
/// let mut there = RemoveWinsSet::default();
/// there.remove(ReplicaId::from_u128(2), "editor").unwrap();
/// here.join(there);
/// assert!(!here.contains("editor"));
/// ```
///
/// # Cost
///
/// As [`OrSet`](crate::OrSet), but **a removed element stays**, with the dot of its removal, until it is added again:
/// 64 bytes and the element in memory, the element and 62 bytes in JSON. `insert`, `remove` and `contains` are
/// O(log n), `len` is O(n).
///
/// # Choose another
///
/// If additions may win, [`OrSet`](crate::OrSet) forgets what was removed. If nothing comes back:
/// [`Map`](crate::Map) to [`Life`](crate::Life).
///
/// # JSON
///
/// `{"store": [[element, [[dots of additions], [dots of removals]]]], "context": {replica: [[first, last]]}}`
///
/// # Source
///
/// Almeida, Shoker, Baquero, *Delta state replicated data types*, 2018, §7 (`RWSet`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent, bound(serialize = "E: Serialize", deserialize = "E: Ord + Clone + Deserialize<'de>"))]
pub struct RemoveWinsSet<E>(Causal<DotMap<E, Said>>);

/// The dots of additions, and those of removals.
type Said = (DotSet, DotSet);

impl<E> Default for RemoveWinsSet<E> {
    fn default() -> Self {
        Self(Causal::default())
    }
}

/// The delta that says one thing of an element, in the place of all that was said before.
fn say_delta(
    said: &Said,
    context: &CausalContext,
    me: ReplicaId,
    place: impl FnOnce(DotSet) -> Said,
) -> Result<Causal<Said>, DotsExhausted> {
    let dot = context.next(me)?;
    let mut replaced = said.dots();
    replaced.insert(dot);
    Ok(Causal::held(place(DotSet::of(dot)), replaced))
}

const fn is_in((_, removals): &Said) -> bool {
    removals.is_empty() // and then there is an addition, or there were no entry
}

impl<E: Ord + Clone> RemoveWinsSet<E> {
    /// Adds an element in the name of a replica, and returns the delta.
    pub fn insert(&mut self, me: ReplicaId, element: E) -> Result<Self, DotsExhausted> {
        let place = |dots| (dots, DotSet::default());
        self.0.update_key(element, |said, seen| say_delta(said, seen, me, place)).map(Self)
    }

    /// Removes an element in the name of a replica, also one that is not there, and returns the delta.
    pub fn remove(&mut self, me: ReplicaId, element: E) -> Result<Self, DotsExhausted> {
        let place = |dots| (DotSet::default(), dots);
        self.0.update_key(element, |said, seen| say_delta(said, seen, me, place)).map(Self)
    }

    /// Removes all elements that are here, each with a dot, and returns the delta. Where too few dots are left, nothing
    /// is removed.
    pub fn clear(&mut self, me: ReplicaId) -> Result<Self, DotsExhausted> {
        let elements: Vec<E> = self.iter().cloned().collect();
        let left = u64::MAX - self.context().last(me);
        if u64::try_from(elements.len()).is_ok_and(|needed| needed > left) {
            return Err(DotsExhausted { replica: me });
        }
        elements.into_iter().try_fold(Self::default(), |delta, element| {
            self.remove(me, element).map(|removal| delta.joined(removal))
        })
    }

    /// Whether the element is in the set.
    pub fn contains<Q: Ord + ?Sized>(&self, element: &Q) -> bool
    where
        E: Borrow<Q>,
    {
        self.0.store().get(element).is_some_and(is_in)
    }
}

impl<E> RemoveWinsSet<E> {
    /// The elements, in order.
    pub fn iter(&self) -> impl Iterator<Item = &E> {
        self.0.store().iter().filter(|(_, said)| is_in(said)).map(|(element, _)| element)
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// What was seen.
    pub const fn context(&self) -> &CausalContext {
        self.0.context()
    }
}

impl<E: Ord + Clone> Lattice for RemoveWinsSet<E> {
    fn join(&mut self, other: Self) -> bool {
        self.0.join(other.0)
    }

    fn covers(&self, other: &Self) -> bool {
        self.0.covers(&other.0)
    }
}
