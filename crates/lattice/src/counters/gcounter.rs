//! What only counts up.

use super::per_replica::{PerReplica, as_object};
use crate::{Lattice, ReplicaId};

/// The grow-only counter: every replica counts for itself, and the value is the sum.
///
/// # Promise
///
/// The value is the number of increments that were made at any replica whose state arrived, each once, however often
/// and in whatever order. It never falls. Every replica writes under its own [`ReplicaId`]: its number has one writer.
///
/// # Anomaly
///
/// Two writers under one id hide each other's increments, because the join takes the maximum. That is what a process
/// does which was restored from a backup, or copied, and kept its id:
///
/// ```
/// use antiphon_lattice::{GCounter, Lattice, ReplicaId};
/// let id = ReplicaId::from_u128(1);
/// let (mut here, mut copy) = (GCounter::default(), GCounter::default());
/// here.increment(id, 2);
/// copy.increment(id, 3);
/// assert_eq!(here.joined(copy).value(), 3, "five were made");
/// ```
///
/// Nor does it know of retries: a client that asks again because the answer was lost is counted twice.
///
/// # Cost
///
/// 32 bytes in memory for each replica that ever incremented, the first four in the counter itself (144 bytes); in
/// JSON 36 and the number. It never shrinks: replicas that are gone stay. Increment O(log r), join and value O(r), for r
/// replicas; no allocation for up to four. A delta is one entry.
///
/// # Choose another
///
/// [`PnCounter`](crate::PnCounter) to count down as well. [`Tally`](crate::Tally) with
/// [`contributions`](crate::contributions) to count things that have an identity, exactly, through retries and lost
/// replicas. [`HyperLogLog`](crate::HyperLogLog) to count different ones. [`Max`](crate::Max) for one writer.
///
/// # Source
///
/// Shapiro et al. 2011, §3.1.1, specification 6.
///
/// # JSON
///
/// An object from replica to number, in order, without zeros. What stands twice is joined.
///
/// ```
/// use antiphon_lattice::{GCounter, Lattice, ReplicaId};
/// let [a, b] = [1, 2].map(ReplicaId::from_u128);
/// let mut here = GCounter::default();
/// here.increment(a, 2);
/// let delta = here.increment(a, 3);
/// let mut there = GCounter::default();
/// there.increment(b, 1);
/// assert!(there.join(delta.clone()), "the last delta says what the first said");
/// assert!(!there.join(delta), "again is no news");
/// assert_eq!((here.value(), there.value()), (5, 6));
/// assert_eq!(serde_json::to_string(&here)?, r#"{"00000000000000000000000000000001":5}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct GCounter(PerReplica<1>);

as_object!(GCounter, "an object from replicas to numbers", |[number]: [u64; 1]| number, |number| [number]);

impl GCounter {
    /// Counts `many` more at this replica, and returns the delta: all that this replica counted.
    ///
    /// Saturates at 2⁶⁴ − 1 for each replica.
    pub fn increment(&mut self, by: ReplicaId, many: u64) -> Self {
        let delta = Self(PerReplica::of(by, [self.of(by).saturating_add(many)]));
        self.0.join(delta.0.clone());
        delta
    }

    /// How many were counted. Exact: no number of replicas brings the sum to 2¹²⁸.
    pub fn value(&self) -> u128 {
        self.iter().map(|(_, number)| u128::from(number)).sum()
    }

    /// How many this replica counted.
    pub fn of(&self, replica: ReplicaId) -> u64 {
        let [number] = self.0.get(replica);
        number
    }

    /// Each replica that counted, in order, with its number.
    pub fn iter(&self) -> impl Iterator<Item = (ReplicaId, u64)> {
        self.0.entries().iter().map(|entry| {
            let [number] = entry.numbers;
            (entry.replica, number)
        })
    }
}

impl Lattice for GCounter {
    #[inline]
    fn join(&mut self, other: Self) -> bool {
        self.0.join(other.0)
    }

    fn covers(&self, other: &Self) -> bool {
        self.0.covers(&other.0)
    }
}
