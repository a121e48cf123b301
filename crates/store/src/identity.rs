//! Who a store is: minted at its creation, changed only by what heals it, and what its next start must remember.

use crate::key::META_TAG;
use lattice::{Clock, Hlc, Lane, OwnedTallies, ReplicaId};
use serde::{Deserialize, Serialize};

/// Who a replica is. As old as its store, unless that was found to have lost data or to have been replaced: then it
/// goes on under another id (`epochs.rs`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Which service's rows these are.
    pub service: String,
    /// The deployment: minted with the first store of a site family, given to the others by configuration. Messages
    /// from another deployment are refused.
    pub deployment: String,
    /// This durable store, and no other one ever: a store that lost data takes a new one.
    pub replica: ReplicaId,
    /// The tallies that this replica writes: its own, and adopted ones.
    pub owned: OwnedTallies,
}

/// The high-water marks, committed with every group: what was minted is never minted again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marks {
    pub(crate) high: Hlc,
    pub(crate) ahead: Hlc,
    /// Groups committed so far.
    pub(crate) sequence: u64,
}

impl Marks {
    pub(crate) fn clock(&self, replica: ReplicaId) -> Clock {
        Clock::resume(replica, Lane::default(), self.high, self.ahead)
    }
}

pub(crate) fn identity_key() -> Vec<u8> {
    [&[META_TAG], b"identity".as_slice()].concat()
}

pub(crate) fn marks_key() -> Vec<u8> {
    [&[META_TAG], b"marks".as_slice()].concat()
}
