//! What never goes below zero.

use crate::{Lattice, Map, Max, ReplicaId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The bounded counter: it goes up and down, and never below zero, without asking anybody.
///
/// Whoever adds gets as many *rights* to take away. A replica takes away only what it has rights to, and may give rights
/// to another. To stay above another bound, count from it: seats beyond the first ten. To stay below one, count what is
/// left: seats that are free.
///
/// # Promise
///
/// All that was ever taken is at most all that was ever added, at every replica, at every moment, in any partition: a
/// decrement that would break it is refused before it happens. The caller owes three things: each replica writes under
/// its own id; it makes a change durable **before** it acts on it (a seat that was sold by a process which then forgot
/// it can be sold again); and it never comes back from a backup under its old id.
///
/// # Anomaly
///
/// A decrement may be refused while the value is high, because the rights are elsewhere:
///
/// ```
/// use antiphon_lattice::{BoundedCounter, BoundedCounterError, Lattice, ReplicaId};
/// let [a, b] = [1, 2].map(ReplicaId::from_u128);
/// let mut here = BoundedCounter::default();
/// here.increment(a, 10)?;
/// let mut there = here.clone();
/// assert_eq!(there.value(), 10);
/// assert_eq!(there.decrement(b, 1), Err(BoundedCounterError::Rights { wanted: 1, has: 0 }));
///
/// there.join(here.transfer(a, b, 4)?);
/// there.decrement(b, 3)?;
/// assert_eq!((there.value(), there.rights(b)), (7, 1));
/// # Ok::<(), BoundedCounterError>(())
/// ```
///
/// And the rights of a replica that is lost are lost with it.
///
/// # Cost
///
/// A row for each replica that ever wrote, and in it an entry for each replica that it gave rights to: r² entries at
/// worst, O(r) in practice. In memory 56 bytes a row and 24 a transfer, and the trees that hold them; in JSON 64 bytes and the
/// numbers a row, 36 and the number a transfer. All operations are O(r log r). A delta is one row of one number.
///
/// # Choose another
///
/// [`PnCounter`](crate::PnCounter) if nothing breaks below zero. If every replica must be able to take the last one, no
/// CRDT will do: that is consensus.
///
/// # Source
///
/// Balegas, Serra, Duarte, Ferreira, Shapiro, Rodrigues, Preguiça, *Extending eventually consistent cloud databases for
/// enforcing numeric invariants*, 2015, §III: the matrix `R` is `made` on its diagonal and `given` beside it, the vector
/// `U` is `used`.
///
/// # JSON
///
/// An object from replica to `{"made": number, "used": number, "given": {replica: number}}`, in order. What stands
/// twice is joined. Unknown fields of a row are skipped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BoundedCounter(Map<ReplicaId, Row>);

/// What one replica did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Row {
    made: Max<u64>,
    used: Max<u64>,
    given: Map<ReplicaId, Max<u64>>,
}

impl Lattice for Row {
    fn join(&mut self, other: Self) -> bool {
        let Self { made, used, given } = other;
        self.made.join(made) | self.used.join(used) | self.given.join(given)
    }

    fn covers(&self, other: &Self) -> bool {
        self.made.covers(&other.made) && self.used.covers(&other.used) && self.given.covers(&other.given)
    }
}

impl BoundedCounter {
    /// Adds, which makes as many rights for this replica. Returns the delta.
    pub fn increment(&mut self, by: ReplicaId, many: u64) -> Result<Self, BoundedCounterError> {
        let made = self.row(by).map_or(0, |row| row.made.0);
        let made = Max(made.checked_add(many).ok_or(BoundedCounterError::Overflow)?);
        Ok(self.write(by, Row { made, ..Row::default() }))
    }

    /// Takes away what this replica has rights to. Returns the delta, or an error that says how many rights it has.
    pub fn decrement(&mut self, by: ReplicaId, many: u64) -> Result<Self, BoundedCounterError> {
        self.check(by, many)?;
        let used = self.row(by).map_or(0, |row| row.used.0);
        let used = Max(used.checked_add(many).ok_or(BoundedCounterError::Overflow)?);
        Ok(self.write(by, Row { used, ..Row::default() }))
    }

    /// Gives rights to another replica. For the one that gives; the other has them once the delta arrives.
    pub fn transfer(
        &mut self,
        from: ReplicaId,
        to: ReplicaId,
        many: u64,
    ) -> Result<Self, BoundedCounterError> {
        self.check(from, many)?;
        let given = self.row(from).and_then(|row| row.given.get(&to)).map_or(0, |given| given.0);
        let given = Max(given.checked_add(many).ok_or(BoundedCounterError::Overflow)?);
        Ok(self.write(from, Row { given: Map::of(to, given), ..Row::default() }))
    }

    /// What was added less what was taken, as far as this state knows.
    ///
    /// Where a decrement arrived before what made its rights, the difference may be below zero for a while. Zero is
    /// shown then.
    pub fn value(&self) -> u128 {
        let sum: i128 = self.0.values().map(|row| i128::from(row.made.0) - i128::from(row.used.0)).sum();
        u128::try_from(sum).unwrap_or(0)
    }

    /// How many this replica may take away or give.
    pub fn rights(&self, of: ReplicaId) -> u128 {
        let own = self.row(of).map_or(0, |row| {
            let given: i128 = row.given.values().map(|given| i128::from(given.0)).sum();
            i128::from(row.made.0) - i128::from(row.used.0) - given
        });
        let received = self.0.values().filter_map(|row| row.given.get(&of)).map(|given| i128::from(given.0));
        u128::try_from(own + received.sum::<i128>()).unwrap_or(0)
    }

    /// Each replica that wrote, in order, with its [`rights`](BoundedCounter::rights).
    pub fn iter(&self) -> impl Iterator<Item = (ReplicaId, u128)> {
        self.0.keys().map(|replica| (*replica, self.rights(*replica)))
    }

    fn row(&self, replica: ReplicaId) -> Option<&Row> {
        self.0.get(&replica)
    }

    fn check(&self, replica: ReplicaId, wanted: u64) -> Result<(), BoundedCounterError> {
        let has = self.rights(replica);
        if has < u128::from(wanted) { Err(BoundedCounterError::Rights { wanted, has }) } else { Ok(()) }
    }

    fn write(&mut self, by: ReplicaId, row: Row) -> Self {
        let delta = Self(Map::of(by, row));
        self.join(delta.clone());
        delta
    }
}

impl Lattice for BoundedCounter {
    fn join(&mut self, other: Self) -> bool {
        self.0.join(other.0)
    }

    fn covers(&self, other: &Self) -> bool {
        self.0.covers(&other.0)
    }
}

/// Why a bounded counter was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BoundedCounterError {
    /// The replica has fewer rights than it wants to use: ask another for some, or say that it cannot be had here.
    Rights {
        /// How many it wanted to take or give.
        wanted: u64,
        /// How many it has.
        has: u128,
    },
    /// One of the replica's numbers would pass 2⁶⁴ − 1: it can do no more of this.
    Overflow,
}

impl fmt::Display for BoundedCounterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rights { wanted, has } => write!(f, "{wanted} wanted, and the replica has rights to {has}"),
            Self::Overflow => f.write_str("the replica's number would pass 64 bits"),
        }
    }
}

impl std::error::Error for BoundedCounterError {}

#[cfg(test)]
mod tests {
    use super::{BoundedCounter, BoundedCounterError};
    use crate::{Lattice, ReplicaId};

    const A: ReplicaId = ReplicaId::from_u128(1);
    const B: ReplicaId = ReplicaId::from_u128(2);
    const C: ReplicaId = ReplicaId::from_u128(3);

    /// The example of the paper's figure: rights made at two replicas, given on, and used.
    #[test]
    fn rights_move_and_are_used() {
        let mut counter = BoundedCounter::default();
        counter.increment(A, 30).unwrap();
        counter.increment(B, 1).unwrap();
        counter.transfer(A, B, 10).unwrap();
        counter.transfer(A, C, 10).unwrap();
        counter.transfer(B, C, 1).unwrap();
        counter.decrement(A, 5).unwrap();
        counter.decrement(B, 4).unwrap();
        counter.decrement(C, 2).unwrap();
        assert_eq!([A, B, C].map(|replica| counter.rights(replica)), [5, 6, 9]);
        assert_eq!(counter.value(), 20, "the rights, all together");
        let refused = counter.decrement(B, 7).unwrap_err();
        assert_eq!(refused, BoundedCounterError::Rights { wanted: 7, has: 6 });
        assert_eq!(refused.to_string(), "7 wanted, and the replica has rights to 6");
        assert_eq!(counter.transfer(B, A, 7), Err(refused));
    }

    /// Every history of three steps at two replicas that meet or not: nothing is taken that is not there.
    #[test]
    fn never_below_zero_in_every_small_history() {
        let step = |state: &mut BoundedCounter, by: ReplicaId, what: u32| {
            let other = if by == A { B } else { A };
            let many = u64::from(what % 3);
            let done = match what / 3 {
                0 => state.increment(by, many),
                1 => state.decrement(by, many),
                _ => state.transfer(by, other, many),
            };
            done.is_ok_and(|_| what / 3 == 1)
        };
        let mut histories = 0;
        for history in 0..9_u32.pow(4) * 4 {
            let mut here = BoundedCounter::default();
            here.increment(A, 2).unwrap();
            let mut there = here.clone();
            let (mut left, mut meets) = (history / 4, history % 4);
            let mut taken = 0;
            for nth in 0..4 {
                let what = left % 9;
                left /= 9;
                let (state, by) = if nth % 2 == 0 { (&mut here, A) } else { (&mut there, B) };
                taken += if step(state, by, what) { what % 3 } else { 0 };
                if meets & 1 == 1 {
                    here.join(there.clone());
                    there.join(here.clone());
                }
                meets /= 2;
            }
            let end = here.joined(there);
            let made: u64 = end.0.values().map(|row| row.made.0).sum();
            assert_eq!(end.value() + u128::from(taken), u128::from(made), "history {history}");
            assert_eq!(end.rights(A) + end.rights(B), end.value(), "history {history}");
            histories += 1;
        }
        assert_eq!(histories, 26_244);
    }

    #[test]
    fn numbers_that_are_full() {
        let mut counter = BoundedCounter::default();
        counter.increment(A, u64::MAX).unwrap();
        assert_eq!(counter.increment(A, 1), Err(BoundedCounterError::Overflow));
        counter.increment(B, 1).unwrap();
        counter.transfer(B, A, 1).unwrap();
        counter.decrement(A, u64::MAX).unwrap();
        assert_eq!(counter.decrement(A, 1), Err(BoundedCounterError::Overflow));
        assert_eq!((counter.value(), counter.rights(A)), (1, 1));
    }
}
