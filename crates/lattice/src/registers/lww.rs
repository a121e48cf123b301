//! The last writer wins.

use crate::faults::note_identity_fault;
use crate::{Lattice, Stamp};
use serde::{Deserialize, Serialize};

/// The last-writer-wins register: never written, or the value with the greatest [`Stamp`].
///
/// # Promise
///
/// All replicas show one value, which somebody wrote. A write made after reading another wins over it (if its stamp was
/// minted above the one that was read, see [`Clock::mint`](crate::Clock::mint)).
///
/// ```
/// use antiphon_lattice::{Clock, Lane, Lattice, Lww, ReplicaId};
/// let mut clock = Clock::new(ReplicaId::from_u128(1), Lane(0));
/// let mut name = Lww::default();
/// let first = name.set(clock.mint(1_000, None), "Anna");
/// let second = name.set(clock.mint(1_000, name.stamp()), "Anne");
///
/// let mut elsewhere = Lww::default();
/// assert!(elsewhere.join(second));
/// assert!(!elsewhere.join(first), "the older write arrives late and changes nothing");
/// assert_eq!(elsewhere.get(), Some(&"Anne"));
/// ```
///
/// **The tie.** A stamp belongs to one write, so two values with one stamp are a fault of identity: somewhere a replica was
/// copied, or a clock lost its high-water mark. The greater value wins then, at every replica alike. That is why `T` is
/// `Ord`. [`identity_faults`](crate::identity_faults) counts it. Nobody panics, because the fault is another's and would come
/// again with each redelivery.
///
/// # Anomaly
///
/// Of two concurrent writes one is lost: that is the deal, right for a profile's name and wrong for a count.
///
/// ```
/// use antiphon_lattice::{Clock, Lane, Lattice, Lww, ReplicaId};
/// let [mut a, mut b] = [1, 2].map(|id| Clock::new(ReplicaId::from_u128(id), Lane(0)));
/// let mut here = Lww::new(a.mint(1_000, None), 10);
/// let mut there = here;
/// here.set(a.mint(1_001, here.stamp()), 10 + 1);
/// there.set(b.mint(1_001, there.stamp()), 10 + 1);
/// assert_eq!(here.joined(there).get(), Some(&11), "two added one");
/// ```
///
/// # Cost
///
/// The value and a stamp: 32 bytes in memory, and 72 in JSON. All operations are one comparison. A delta is the whole.
///
/// # Choose another
///
/// [`MvRegister`](crate::MvRegister), to keep both of two concurrent writes and let a person choose.
/// [`Text`](crate::Text), to merge them. [`Min`](crate::Min), if the first is to stay. [`PnCounter`](crate::PnCounter) or
/// [`Tally`](crate::Tally), to count.
///
/// # Source
///
/// Shapiro et al. 2011, §3.2.1, specification 8.
///
/// # JSON
///
/// `{"at": stamp, "value": value}`, or `null` when never written. Fields that it does not know are skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lww<T>(Option<Written<T>>);

/// Ordered by stamp and then by value: the derived order follows the fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Written<T> {
    at: Stamp,
    value: T,
}

impl<T> Lww<T> {
    /// The register in which one value was written: a delta.
    pub const fn new(stamp: Stamp, value: T) -> Self {
        Self(Some(Written { at: stamp, value }))
    }

    /// The value with the greatest stamp, if one was ever written.
    pub fn get(&self) -> Option<&T> {
        self.0.as_ref().map(|written| &written.value)
    }

    /// The stamp of that value. The next write is minted above it.
    pub fn stamp(&self) -> Option<Stamp> {
        self.0.as_ref().map(|written| written.at)
    }

    /// The value with the greatest stamp, by value.
    pub fn into_inner(self) -> Option<T> {
        self.0.map(|written| written.value)
    }
}

impl<T: Ord + Clone> Lww<T> {
    /// Writes a value and returns the delta: this write alone.
    ///
    /// With a stamp below the present one the value does not change. Mint it above [`stamp`](Lww::stamp).
    pub fn set(&mut self, stamp: Stamp, value: T) -> Self {
        let delta = Self::new(stamp, value);
        self.join(delta.clone());
        delta
    }
}

impl<T> Default for Lww<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Ord + Clone> Lattice for Lww<T> {
    fn join(&mut self, other: Self) -> bool {
        if let (Some(mine), Some(theirs)) = (&self.0, &other.0)
            && mine.at == theirs.at
            && mine.value != theirs.value
        {
            note_identity_fault();
        }
        let grew = other.0 > self.0; // `None` is less than every `Some`
        if grew {
            self.0 = other.0;
        }
        grew
    }

    fn covers(&self, other: &Self) -> bool {
        other.0 <= self.0
    }
}
