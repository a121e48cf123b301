//! Every write that no later one has seen.

use crate::{Dot, DottedVersionVectorSet, Lattice, ReplicaId, VersionVector};
use serde::{Deserialize, Serialize};

/// The multi-value register: the values of all writes that no later write has seen. Usually that is one.
///
/// # Promise
///
/// A write replaces what its writer had seen, and nothing else. Concurrent writes are all kept, for a reader or a
/// human to choose from, and the next write, which has seen them, replaces them all. No write is lost silently.
///
/// # Anomaly
///
/// It is no set. What both of two concurrent writers meant to keep is lost or comes twice, as when two devices each put
/// something into one basket that they write as a whole (the *Dynamo* anomaly: something taken out comes back):
///
/// ```
/// use antiphon_lattice::{Lattice, MvRegister, ReplicaId};
/// let [phone, laptop] = [1, 2].map(ReplicaId::from_u128);
/// let mut here = MvRegister::default();
/// here.set(phone, vec!["bread", "milk"]);
/// let mut there = here.clone();
/// here.set(phone, vec!["bread"]); // milk is taken out
/// there.set(laptop, vec!["bread", "milk", "eggs"]);
/// here.join(there);
/// assert_eq!(here.len(), 2);
///
/// let mut merged: Vec<_> = here.values().flatten().copied().collect();
/// merged.sort_unstable();
/// merged.dedup();
/// assert_eq!(merged, ["bread", "eggs", "milk"], "the union brings the milk back");
/// ```
///
/// # Cost
///
/// Its values, and for each replica that ever wrote 48 bytes in memory and 57 in JSON. `set` and the join are
/// O(n log n + s) for n replicas and s concurrent values. A delta holds what was seen: 57 bytes a replica.
///
/// # Choose another
///
/// [`Lww`](crate::Lww) if losing one of two concurrent writes is no harm; `OrSet` for a basket;
/// [`DottedVersionVectorSet`] itself if clients read, think and write through a few servers.
///
/// # JSON
///
/// That of the [`DottedVersionVectorSet`]: `{"replica": {"seen": n, "values": […]}, …}`.
///
/// # Source
///
/// Shapiro 2011, §3.2.2, over the clock of Almeida et al., DAIS 2014.
///
/// ```
/// use antiphon_lattice::{Lattice, MvRegister, ReplicaId};
/// let mut here = MvRegister::default();
/// let mut there = MvRegister::default();
/// here.set(ReplicaId::from_u128(1), "red");
/// there.set(ReplicaId::from_u128(2), "blue");
/// here.join(there);
/// assert_eq!(here.values().collect::<Vec<_>>(), [&"red", &"blue"]);
/// here.set(ReplicaId::from_u128(1), "violet");
/// assert_eq!(here.values().collect::<Vec<_>>(), [&"violet"]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent, bound(serialize = "T: Serialize", deserialize = "T: Ord + Clone + Deserialize<'de>"))]
pub struct MvRegister<T>(DottedVersionVectorSet<T>);

impl<T> MvRegister<T> {
    /// The values that no later write has seen, in the order of their dots. Equal values of two writes are two.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.0.values()
    }

    /// The values with the identities of the writes that wrote them.
    pub fn entries(&self) -> impl Iterator<Item = (Dot, &T)> {
        self.0.entries()
    }

    /// What was seen: all writes up to these.
    pub fn context(&self) -> VersionVector {
        self.0.context()
    }

    /// How many values there are: 0 if nothing was written, or all was cleared.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T: Ord + Clone> MvRegister<T> {
    /// Writes a value in place of all that are here. Returns the delta.
    ///
    /// The replica is this one, and writes to no other copy: see [`DottedVersionVectorSet::put`].
    pub fn set(&mut self, replica: ReplicaId, value: T) -> Self {
        let context = self.context();
        Self(self.0.put(replica, &context, value))
    }

    /// Removes all values that are here. Returns the delta. A concurrent write stays.
    pub fn clear(&mut self) -> Self {
        let context = self.context();
        Self(self.0.discard(&context))
    }
}

impl<T> Default for MvRegister<T> {
    fn default() -> Self {
        Self(DottedVersionVectorSet::default())
    }
}

impl<T: Ord + Clone> Lattice for MvRegister<T> {
    fn join(&mut self, other: Self) -> bool {
        self.0.join(other.0)
    }

    fn covers(&self, other: &Self) -> bool {
        self.0.covers(&other.0)
    }
}
