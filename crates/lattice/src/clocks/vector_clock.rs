//! The vector clock of one process.

use crate::{Dot, Lattice, ReplicaId, VersionVector};
use serde::{Deserialize, Serialize};

/// The vector clock of one process: it gives each event a [`VersionVector`], its stamp, which holds what led to it.
///
/// [`tick`](VectorClock::tick) is an event of one's own, the sending of a message among them;
/// [`observe`](VectorClock::observe) is the receipt of a message with its stamp. To also *hold back* messages until
/// what led to them is here, use [`CausalDelivery`](crate::CausalDelivery).
///
/// # Promise
///
/// One event led to another exactly if its stamp is less. Two stamps that compare as `None` are of concurrent events.
///
/// # Anomaly
///
/// Only messages count. What people told each other outside of them is not in the stamps, and looks concurrent:
///
/// ```
/// use antiphon_lattice::{ReplicaId, VectorClock};
/// let mut alice = VectorClock::new(ReplicaId::from_u128(1));
/// let mut bob = VectorClock::new(ReplicaId::from_u128(2));
/// let asked = alice.tick(); // by telephone
/// let answered = bob.tick();
/// assert_eq!(asked.partial_cmp(&answered), None);
/// ```
///
/// # Cost
///
/// 16 bytes and its vector; each stamp is a vector: 36 bytes of JSON for each process that ever sent anything.
/// `tick` is O(n), because it copies the stamp out; `observe` is O(n log n).
///
/// # Choose another
///
/// [`Lamport`](crate::Lamport) where stamps must be small and concurrency need not be seen;
/// [`IntervalTreeClock`](crate::IntervalTreeClock) where processes come and go.
///
/// # JSON
///
/// `{"replica": id, "seen": vector}`. It is not `Clone`, because two copies give two events one stamp.
///
/// # Source
///
/// Fidge, *Timestamps in message-passing systems that preserve the partial ordering*, 1988; Mattern, *Virtual time and
/// global states of distributed systems*, 1989.
///
/// ```
/// use antiphon_lattice::{ReplicaId, VectorClock};
/// let mut alice = VectorClock::new(ReplicaId::from_u128(1));
/// let mut bob = VectorClock::new(ReplicaId::from_u128(2));
/// let sent = alice.tick();
/// let received = bob.observe(&sent);
/// assert!(sent < received);
/// ```
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VectorClock {
    replica: ReplicaId,
    seen: VersionVector,
}

impl VectorClock {
    /// The clock of a process at which nothing happened yet.
    pub fn new(replica: ReplicaId) -> Self {
        Self::resume(replica, VersionVector::default())
    }

    /// The clock as it was when this vector was committed.
    pub const fn resume(replica: ReplicaId, seen: VersionVector) -> Self {
        Self { replica, seen }
    }

    /// Whose clock it is.
    pub const fn replica(&self) -> ReplicaId {
        self.replica
    }

    /// The events that were seen, one's own included: the stamp of the last one.
    pub const fn seen(&self) -> &VersionVector {
        &self.seen
    }

    /// The identity of the last event of one's own; its counter is 0 before the first.
    pub fn dot(&self) -> Dot {
        Dot { replica: self.replica, counter: self.seen.get(self.replica) }
    }

    /// An event of one's own. Returns its stamp.
    pub fn tick(&mut self) -> VersionVector {
        self.seen.increment(self.replica);
        self.seen.clone()
    }

    /// The receipt of a message with this stamp, which is an event of its own. Returns the receipt's stamp.
    pub fn observe(&mut self, stamp: &VersionVector) -> VersionVector {
        self.learn(stamp.clone());
        self.tick()
    }

    /// Sees what is in the stamp, without an event of one's own.
    pub(super) fn learn(&mut self, stamp: VersionVector) {
        self.seen.join(stamp);
    }
}
