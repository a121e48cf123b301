//! Counting without increments on the wire.

use crate::{Lattice, ReplicaId};
use serde::{Deserialize, Serialize};

/// Which writer's count of a tally holds, and since which recount.
///
/// Ordered by generation, then owner. The first is generation 0, owned by the replica whose elements are counted. An
/// heir that counts a lost replica's elements again does so one generation on, in its own name. Two rival heirs of one
/// generation are told apart by their ids, so every subscriber keeps the same one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch {
    /// How often the elements were counted again from the beginning.
    pub generation: u32,
    /// Who writes the tally in this epoch.
    pub owner: ReplicaId,
}

/// One replica's count of one group: how many elements it ever added and how many it removed.
///
/// # Promise
///
/// The count stays exact under repetition, reordering and loss of all but the last message. The greater epoch wins whole;
/// within an epoch each number takes its maximum. A group's count is the [`total`] over replicas.
///
/// A tally has **one writer**, which changes it in the transaction in which an element comes or leaves. So its history is a
/// chain: of two of its states one always covers the other, and the later one says all that the earlier said. That is why the
/// delta is the whole tally: there is nothing smaller to send, and a thousand changes can be sent as one, the last.
///
/// Each replica writes its own:
///
/// ```
/// use antiphon_lattice::{Epoch, Map, ReplicaId, Tally, total};
/// let mut part = Map::default();
/// for replica in [1, 2].map(ReplicaId::from_u128) {
///     let mut tally = Tally::opened(Epoch { generation: 0, owner: replica });
///     tally.added_one();
///     part.join_entry(replica, tally);
/// }
/// assert_eq!(total(part.values()), 2);
/// ```
///
/// The numbers saturate at 2⁶⁴ − 1 (one a nanosecond for 584 years), and [`value`](Tally::value) at 0: within one writer's
/// chain `removed` never passes `added`, but a subscriber shows something sensible of any bytes it is sent.
///
/// # Anomaly
///
/// With two writers the maximum hides one's additions behind the other's. This program is **wrong**:
///
/// ```
/// use antiphon_lattice::{Epoch, Lattice, ReplicaId, Tally};
/// let shared = Tally::opened(Epoch { generation: 0, owner: ReplicaId::from_u128(1) });
/// let (mut here, mut there) = (shared, shared);
/// here.added_one();
/// there.added_one();
/// assert_eq!(here.joined(there).value(), 1, "two came, one is counted");
/// ```
///
/// # Cost
///
/// Two numbers and an epoch per (group, replica), however many elements it counts: 48 bytes in memory, and 91 in JSON while
/// the numbers are small. All operations are O(1). A delta is the whole.
///
/// # Choose another
///
/// A [`GSet`](crate::GSet) to know *which* elements there are. [`PnCounter`](crate::PnCounter) for a counter in one value,
/// where what is counted has no identity, and nobody is restored from a backup. [`HyperLogLog`](crate::HyperLogLog) for
/// different ones, roughly.
///
/// # Source
///
/// Shapiro et al. 2011, §3.1.3: one entry of the PN-counter, which keeps a row of its own. The epochs are ours (Antiphon's
/// design, §4).
///
/// # JSON
///
/// `{"epoch": {"generation": number, "owner": replica}, "added": number, "removed": number}`. Fields that it does not know
/// are skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tally {
    /// Whose count this is, and of which generation.
    pub epoch: Epoch,
    /// How many elements ever came.
    pub added: u64,
    /// How many of them left.
    pub removed: u64,
}

impl Tally {
    /// The tally of an epoch in which nothing was counted yet.
    ///
    /// Joined into an older tally, it replaces it. That is how a writer begins an epoch.
    pub const fn opened(epoch: Epoch) -> Self {
        Self { epoch, added: 0, removed: 0 }
    }

    /// How many elements there are: added − removed, and never below 0.
    pub const fn value(&self) -> u64 {
        self.added.saturating_sub(self.removed)
    }

    /// Counts one that came. Returns the delta: the whole tally. For its one writer.
    pub const fn added_one(&mut self) -> Self {
        self.added = self.added.saturating_add(1);
        *self
    }

    /// Counts one that left. Returns the delta: the whole tally. For its one writer.
    pub const fn removed_one(&mut self) -> Self {
        self.removed = self.removed.saturating_add(1);
        *self
    }
}

impl Lattice for Tally {
    fn join(&mut self, other: Self) -> bool {
        let before = *self;
        if other.epoch > self.epoch {
            *self = other;
        } else if other.epoch == self.epoch {
            self.added = self.added.max(other.added);
            self.removed = self.removed.max(other.removed);
        }
        *self != before
    }
}

/// The count of a group: the sum of its tallies' values, one tally for each replica. Saturates.
///
/// ```
/// use antiphon_lattice::{Tally, total};
/// let tallies = [Tally { added: 5, removed: 1, ..Tally::default() }, Tally { added: 3, ..Tally::default() }];
/// assert_eq!(total(tallies.iter()), 7);
/// ```
pub fn total<'a>(tallies: impl Iterator<Item = &'a Tally>) -> u64 {
    tallies.fold(0, |sum, tally| sum.saturating_add(tally.value()))
}
