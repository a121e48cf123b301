//! Lamport's clock.

use crate::Lattice;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The logical clock of one process: a number that is greater after every event than at all events that led to it.
///
/// [`tick`](Lamport::tick) is an event of one's own, the sending of a message among them, and the number that it
/// returns is the event's time. [`observe`](Lamport::observe) is the receipt of a message that carries such a time.
///
/// # Promise
///
/// If one event may have caused another, its time is less. As a [`Lattice`] it is a maximum, so clocks of one process
/// that were kept in several places join to the latest. Times of different processes may be equal: order them by
/// (time, [`ReplicaId`](crate::ReplicaId)) where a total order is needed. That is Lamport's ⇒.
///
/// # Anomaly
///
/// The converse does not hold: a lesser time says nothing. These two processes never heard of each other.
///
/// ```
/// use antiphon_lattice::Lamport;
/// let (mut here, mut there) = (Lamport::default(), Lamport::default());
/// let mine = here.tick();
/// there.tick();
/// let theirs = there.tick();
/// assert!(mine < theirs, "and yet neither came first");
/// ```
///
/// # Cost
///
/// 8 bytes; in JSON its digits, 1 to 20. Every operation is O(1). The number **saturates** at 2⁶⁴ − 1: from there on
/// times repeat and order nothing. At an event a nanosecond that is after 584 years; a message that claims it is a
/// fault or an attack, and a receiver that must not be dragged along compares before it observes.
///
/// # Choose another
///
/// [`VersionVector`](crate::VersionVector) to know whether two events are concurrent; [`Clock`](crate::Clock) for times
/// that are near the wall clock and unique.
///
/// # JSON
///
/// The bare number.
///
/// # Source
///
/// Lamport, *Time, clocks, and the ordering of events in a distributed system*, 1978: rules IR1 and IR2.
///
/// ```
/// use antiphon_lattice::Lamport;
/// let (mut alice, mut bob) = (Lamport::default(), Lamport::default());
/// let sent = alice.tick();
/// let received = bob.observe(sent);
/// let answered = bob.tick();
/// assert!(sent < received && received < answered);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lamport(u64);

impl Lamport {
    /// The last time. Nothing is after it.
    pub const MAX: Self = Self(u64::MAX);

    /// The clock that stands at this time: as it was committed before a restart, say.
    pub const fn at(time: u64) -> Self {
        Self(time)
    }

    /// The number.
    pub const fn time(self) -> u64 {
        self.0
    }

    /// An event of one's own. Returns its time, which is also the delta.
    pub const fn tick(&mut self) -> Self {
        self.0 = self.0.saturating_add(1);
        *self
    }

    /// The receipt of a message that carries this time. Returns the time of the receipt, which is also the delta.
    pub const fn observe(&mut self, remote: Self) -> Self {
        if remote.0 > self.0 {
            self.0 = remote.0;
        }
        self.tick()
    }
}

impl fmt::Display for Lamport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Lattice for Lamport {
    fn join(&mut self, other: Self) -> bool {
        let grew = other > *self;
        *self = other.max(*self);
        grew
    }

    fn covers(&self, other: &Self) -> bool {
        other <= self
    }
}

#[cfg(test)]
mod tests {
    use super::Lamport;

    /// Clock, message, time of the receipt.
    #[test]
    fn a_receipt_is_after_both() {
        let table =
            [(0, 0, 1), (0, 5, 6), (5, 0, 6), (5, 5, 6), (u64::MAX, 1, u64::MAX), (1, u64::MAX, u64::MAX)];
        for (own, remote, expected) in table {
            let mut clock = Lamport::at(own);
            assert_eq!(clock.observe(Lamport::at(remote)), Lamport::at(expected));
            assert_eq!(clock.time(), expected);
        }
    }
}
