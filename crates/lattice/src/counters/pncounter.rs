//! What counts up and down.

use super::per_replica::{PerReplica, as_object};
use crate::{Lattice, ReplicaId};

/// The counter that goes up and down: for every replica, how many it added and how many it took away.
///
/// # Promise
///
/// The value is the sum of all increments less all decrements that were made at replicas whose state arrived, each
/// once, however often and in whatever order. Every replica writes under its own [`ReplicaId`].
///
/// # Anomaly
///
/// It has no bounds. Two replicas that each look before they take one away can go below zero together:
///
/// ```
/// use antiphon_lattice::{Lattice, PnCounter, ReplicaId};
/// let [a, b] = [1, 2].map(ReplicaId::from_u128);
/// let mut here = PnCounter::default();
/// here.increment(a, 1);
/// let mut there = here.clone();
/// for (stock, buyer) in [(&mut here, a), (&mut there, b)] {
///     assert!(stock.value() > 0);
///     stock.decrement(buyer, 1);
/// }
/// assert_eq!(here.joined(there).value(), -1, "one was sold twice");
/// ```
///
/// As in a [`GCounter`](crate::GCounter), two writers under one id hide each other, and a retry is counted twice.
///
/// # Cost
///
/// 32 bytes in memory for each replica that ever wrote, the first four in the counter itself (144 bytes); in JSON 39
/// and its two numbers. It never shrinks. A mutator costs O(log r), a join and the value O(r), for r replicas; no
/// allocation for up to four. A delta is one entry.
///
/// # Choose another
///
/// [`BoundedCounter`](crate::BoundedCounter), not to go below zero. [`Tally`](crate::Tally) with
/// [`contributions`](crate::contributions), to count things that have an identity, through retries and lost replicas:
/// Antiphon's counts are made of those. [`ResetCounter`](crate::ResetCounter), to be set back to zero, or to let replicas
/// go.
///
/// # Source
///
/// Shapiro et al. 2011, §3.1.3, specification 7, with both numbers of a replica in one entry.
///
/// # JSON
///
/// An object from replica to `[added, taken]`, in order, without `[0,0]`. What stands twice is joined.
///
/// ```
/// use antiphon_lattice::{Lattice, PnCounter, ReplicaId};
/// let [a, b] = [1, 2].map(ReplicaId::from_u128);
/// let mut here = PnCounter::default();
/// here.increment(a, 5);
/// let mut there = here.clone();
/// let deltas = [here.increment(a, 1), there.decrement(b, 2)];
/// for delta in deltas {
///     here.join(delta.clone());
///     there.join(delta);
/// }
/// assert_eq!(here, there);
/// assert_eq!(here.value(), 4);
/// assert_eq!(
///     serde_json::to_string(&here)?,
///     r#"{"00000000000000000000000000000001":[6,0],"00000000000000000000000000000002":[0,2]}"#
/// );
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PnCounter(PerReplica<2>);

as_object!(PnCounter, "an object from replicas to two numbers", |numbers: [u64; 2]| numbers, |numbers| {
    numbers
});

impl PnCounter {
    /// Counts `many` more at this replica, and returns the delta: all that this replica counted.
    ///
    /// Saturates at 2⁶⁴ − 1 for each replica.
    pub fn increment(&mut self, by: ReplicaId, many: u64) -> Self {
        let (added, taken) = self.of(by);
        self.write(by, [added.saturating_add(many), taken])
    }

    /// Counts `many` less at this replica, and returns the delta: all that this replica counted.
    ///
    /// Saturates at 2⁶⁴ − 1 for each replica.
    pub fn decrement(&mut self, by: ReplicaId, many: u64) -> Self {
        let (added, taken) = self.of(by);
        self.write(by, [added, taken.saturating_add(many)])
    }

    fn write(&mut self, by: ReplicaId, numbers: [u64; 2]) -> Self {
        let delta = Self(PerReplica::of(by, numbers));
        self.0.join(delta.0.clone());
        delta
    }

    /// What was added less what was taken. Exact: no number of replicas brings the sum to 2¹²⁷.
    pub fn value(&self) -> i128 {
        self.iter().map(|(_, added, taken)| i128::from(added) - i128::from(taken)).sum()
    }

    /// How many this replica added, and how many it took away.
    pub fn of(&self, replica: ReplicaId) -> (u64, u64) {
        self.0.get(replica).into()
    }

    /// Each replica that wrote, in order, with what it added and what it took away.
    pub fn iter(&self) -> impl Iterator<Item = (ReplicaId, u64, u64)> {
        self.0.entries().iter().map(|entry| {
            let [added, taken] = entry.numbers;
            (entry.replica, added, taken)
        })
    }
}

impl Lattice for PnCounter {
    #[inline]
    fn join(&mut self, other: Self) -> bool {
        self.0.join(other.0)
    }

    fn covers(&self, other: &Self) -> bool {
        self.0.covers(&other.0)
    }
}
