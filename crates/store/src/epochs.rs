//! Who a replica is may change while it runs: it takes a new id, takes over tallies, gives tallies up.
//!
//! Each is a write like any other: the identity's row is in the group's batch, so after a crash the replica is the old
//! one or the new one, whole, and never counts in the name of one with the rows of the other.

use crate::error::{StoreError, ViewError};
use crate::identity::Identity;
use crate::key::META_TAG;
use crate::store::Store;
use crate::view::{View, corrupt};
use lattice::{Clock, Epoch, Hlc, Lane, ReplicaId, Stamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most tallies that one replica writes: its own ones, one more for each time that it lost data, and those of
/// replicas whose heir it is. Beyond it nothing is adopted: somebody has to look.
pub const OWNED_TALLIES_MAX: usize = 1_000;
/// The most writers of tallies that a replica keeps in mind; those beyond are merged, and not listed.
pub const OWNERS_KNOWN_MAX: usize = 1_000;
/// How old the note of when an owner was heard of may be before it is written anew.
const HEARD_MS: u64 = 60_000;

/// What a replica knows of another one, whose tallies it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The greatest epoch in which its tallies were heard of: who writes them now.
    pub epoch: Epoch,
    /// When any of them was heard of, to the minute; milliseconds since the Unix epoch.
    pub heard_ms: u64,
}

/// The replicas whose tallies a store was told, apart from those that it writes itself.
pub async fn owners(store: &Store) -> Result<BTreeMap<ReplicaId, Owner>, StoreError> {
    let bytes = store.reader()?.bytes(&meta_key(OWNERS)).await?;
    bytes.map_or_else(|| Ok(BTreeMap::new()), |bytes| read_meta(OWNERS, &bytes))
}

const OWNERS: &str = "owners";
const LOST: &str = "lost";

/// The key of one of the store's own facts.
pub(crate) fn meta_key(name: &str) -> Vec<u8> {
    [&[META_TAG], name.as_bytes()].concat()
}

pub(crate) fn read_meta<T: DeserializeOwned>(name: &'static str, bytes: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|error| corrupt(name, &meta_key(name), &error.to_string()))
}

/// Whether a stamp that bears our name is one that we never minted: it lies above the mark below which we mint no more.
pub(crate) fn ours_from_the_future(clock: &Clock, remote: Stamp) -> bool {
    let mark = if remote.lane.is_ahead() { clock.ahead() } else { clock.high() };
    let lane = Lane(remote.lane.0 & !Lane::AHEAD_BIT);
    // At the end of time marks do not move: see `Clock`.
    lane == clock.lane() && remote.hlc > mark && remote.hlc.ms() < Hlc::MS_MAX
}

impl View<'_> {
    /// One of the store's own facts.
    pub(crate) fn meta<T: DeserializeOwned>(&mut self, name: &'static str) -> Result<Option<T>, ViewError> {
        let bytes = self.bytes(&meta_key(name))?;
        Ok(bytes.map(|bytes| read_meta(name, &bytes)).transpose()?)
    }

    pub(crate) fn set_meta<T: Serialize>(&mut self, name: &'static str, value: &T) -> Result<(), ViewError> {
        let key = meta_key(name);
        let bytes = serde_json::to_vec(value).map_err(|error| corrupt(name, &key, &error.to_string()))?;
        self.set(key, bytes);
        Ok(())
    }

    pub(crate) fn remove_meta(&mut self, name: &'static str) {
        self.remove(meta_key(name));
    }

    /// Goes on under another id, from this function on. What was written so far stays counted by the old one, whose
    /// tallies this replica goes on writing, unless it gives them up. Stamps go on above the old ones.
    ///
    /// `fresh` must be from entropy and never have been used: draw it outside of the function, which may run twice.
    pub fn renew(&mut self, fresh: ReplicaId) -> Result<(), ViewError> {
        if fresh == ReplicaId::NIL || self.owned().epoch_of(fresh).is_some() {
            let detail = format!("{fresh} is no new id: it was drawn before, so nothing here is random");
            return Err(StoreError::Engine(detail.into()).into());
        }
        let mut identity: Identity = self.identity().clone();
        identity.replica = fresh;
        identity.owned.adopt(fresh, Epoch { generation: 0, owner: fresh });
        self.become_who(identity)
    }

    /// Takes over the tallies of `old`, to be written in this generation; true where that is news. Every group of them
    /// then has to be counted from the rows: note it with the same write ([`crate::adopt`] does).
    pub fn adopt(&mut self, old: ReplicaId, generation: u32) -> Result<bool, ViewError> {
        let mut identity: Identity = self.identity().clone();
        let news = identity.owned.adopt(old, Epoch { generation, owner: identity.replica });
        if news {
            self.become_who(identity)?;
        }
        Ok(news)
    }

    /// Gives up the tallies of `old`: somebody else writes them now.
    pub fn disown(&mut self, old: ReplicaId) -> Result<(), ViewError> {
        let mut identity: Identity = self.identity().clone();
        if let Some(epoch) = identity.owned.disown(old) {
            self.become_who(identity)?;
            // Whoever adopts it once more must be above all that was ever written.
            self.note_owner(old, epoch)?;
        }
        Ok(())
    }

    /// The generation above all in which the tallies of `old` are known to have been written. `None` where there is
    /// none left, which takes four billion adoptions, or somebody who writes what is not true.
    pub fn next_generation(&mut self, old: ReplicaId) -> Result<Option<u32>, ViewError> {
        let heard = self.owners()?.get(&old).map(|owner| owner.epoch);
        let newest = heard.max(self.owned().epoch_of(old));
        Ok(newest.map_or(0, |epoch| epoch.generation).checked_add(1))
    }

    pub(crate) fn owners(&mut self) -> Result<BTreeMap<ReplicaId, Owner>, ViewError> {
        Ok(self.meta(OWNERS)?.unwrap_or_default())
    }

    /// Keeps in mind that a tally of `owner` was heard of in this epoch.
    pub(crate) fn note_owner(&mut self, owner: ReplicaId, epoch: Epoch) -> Result<(), ViewError> {
        let now_ms = self.now_ms();
        let mut owners = self.owners()?;
        let known = owners.get(&owner).copied();
        let epoch = known.map_or(epoch, |known| known.epoch.max(epoch));
        let is_news =
            known.is_none_or(|known| known.epoch < epoch || now_ms.abs_diff(known.heard_ms) >= HEARD_MS);
        if !is_news {
            return Ok(());
        }
        if known.is_none() && owners.len() >= OWNERS_KNOWN_MAX {
            tracing::warn!(%owner, "more than {OWNERS_KNOWN_MAX} replicas write tallies: this one is not listed");
            return Ok(());
        }
        owners.insert(owner, Owner { epoch, heard_ms: now_ms });
        self.set_meta(OWNERS, &owners)
    }

    /// Keeps in mind that `owner` counts something that is here, where no tally of it was heard of yet: if it is lost before
    /// one arrives, nothing else tells whom to adopt.
    pub(crate) fn note_counter(&mut self, owner: ReplicaId) -> Result<(), ViewError> {
        if self.owners()?.contains_key(&owner) {
            return Ok(());
        }
        self.note_owner(owner, Epoch { generation: 0, owner })
    }

    /// Notes that data was lost in the name that this replica bears now.
    pub(crate) fn note_lost(&mut self) {
        let name = self.replica().to_string();
        self.set(meta_key(LOST), name);
    }

    /// Whether data was lost under the name that this replica bears now; forgets the note.
    pub(crate) fn take_lost(&mut self) -> Result<bool, ViewError> {
        let Some(name) = self.bytes(&meta_key(LOST))? else { return Ok(false) };
        self.remove_meta(LOST);
        Ok(name.as_ref() == self.replica().to_string().as_bytes())
    }
}

/// Whether there is a note that data was lost.
pub(crate) fn lost_key() -> Vec<u8> {
    meta_key(LOST)
}
