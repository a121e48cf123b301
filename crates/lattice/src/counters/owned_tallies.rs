//! Which tallies this replica writes.

use crate::{Epoch, ReplicaId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The tallies that one replica writes: its own, and those that it adopted, each with the epoch it writes them in.
///
/// This is what keeps every tally to one writer. It belongs to one replica, is committed with its rows and is never
/// sent, so it is no lattice: a replica can lose a tally to a rival, which is a way down.
///
/// Adopting begins a count from the beginning, so the order matters: commit the new epoch **first**, then count group
/// by group, each in one write, and count a group that is written to in between before writing to it. A crash midway
/// is then continued, and never counts on from a number of the generation before.
///
/// JSON: an object from the replica whose elements are counted to the epoch.
///
/// ```
/// use antiphon_lattice::contributions::OwnedTallies;
/// use antiphon_lattice::{Epoch, ReplicaId};
/// let [me, lost, rival] = [1, 2, 3].map(ReplicaId::from_u128);
/// let mut owned = OwnedTallies::of(me);
/// assert_eq!(owned.epoch_of(me), Some(Epoch { generation: 0, owner: me }));
/// assert_eq!(owned.epoch_of(lost), None);
///
/// assert!(owned.adopt(lost, Epoch { generation: 1, owner: me }));
/// assert!(!owned.adopt(lost, Epoch { generation: 0, owner: me }), "epochs only go up");
///
/// // Stories already holds generation 1 of a rival whose id is greater: it is the rival's now.
/// assert!(owned.epoch_of(lost) < Some(Epoch { generation: 1, owner: rival }));
/// owned.disown(lost);
/// assert_eq!(owned.epoch_of(lost), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OwnedTallies(BTreeMap<ReplicaId, Epoch>);

impl OwnedTallies {
    /// Those of a new replica: itself, at generation 0.
    ///
    /// # Panics
    ///
    /// If the replica is [`ReplicaId::NIL`], which writes nothing.
    pub fn of(replica: ReplicaId) -> Self {
        assert!(replica != ReplicaId::NIL, "the nil replica owns no tally");
        Self(BTreeMap::from([(replica, Epoch { generation: 0, owner: replica })]))
    }

    /// Takes over the tally of `old`, to be written in this epoch, and says whether that is news.
    ///
    /// The generation must be above all that the subscribers hold. An epoch that is not above the one we write it in
    /// already changes nothing.
    pub fn adopt(&mut self, old: ReplicaId, epoch: Epoch) -> bool {
        let news = self.epoch_of(old).is_none_or(|ours| ours < epoch);
        if news {
            self.0.insert(old, epoch);
        }
        news
    }

    /// The epoch in which we write the tally of `owner`, or nothing if it is not ours to write.
    pub fn epoch_of(&self, owner: ReplicaId) -> Option<Epoch> {
        self.0.get(&owner).copied()
    }

    /// Gives a tally up, because somebody else writes it now. Returns the epoch in which we wrote it.
    pub fn disown(&mut self, owner: ReplicaId) -> Option<Epoch> {
        self.0.remove(&owner)
    }

    /// Each replica whose elements we count, in order, with the epoch in which we do.
    pub fn iter(&self) -> impl Iterator<Item = (ReplicaId, Epoch)> {
        self.0.iter().map(|(&owner, &epoch)| (owner, epoch))
    }
}
