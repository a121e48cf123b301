//! Bugs on purpose: a net that has never caught anything is not known to be a net.
//!
//! Each is a wrapper at a port that the product is given from outside: an engine, a publisher, a receiver, a handler. No
//! line of the product knows of them, so no build of it can have them: they are in this crate, which nothing depends on.
//! Where none is planted, nothing is wrapped.

mod disk;
mod hearing;
mod sending;

use std::fmt;
use std::str::FromStr;
use store::Setup;
use thiserror::Error;

pub(crate) use disk::engine;
pub(crate) use hearing::{handler, receiver};
pub(crate) use sending::publisher;

/// A bug that can be planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Planted {
    /// A commit is said to be on the disk before it is.
    AckBeforeCommit,
    /// A message is settled before it is merged.
    AckBeforeMerge,
    /// What Stories is told of a count is added to what it has.
    AdditionForJoin,
    /// Rows are committed first, and the tallies that they move afterwards.
    TallyApart,
    /// What was announced is no longer marked, although the row had moved meanwhile.
    MarkClearedBlindly,
    /// A message that takes long is not kept: its lease is never extended.
    LeaseNeverExtended,
    /// A replica that was restored from a backup goes on under its old name.
    ReplicaReused,
    /// Of two posts of one comment the one that came first holds, and not the earlier one.
    TieByArrival,
    /// A digest says nothing of what was removed.
    DigestWithoutDeletions,
}

impl Planted {
    /// Every one.
    pub const ALL: [Self; 9] = [
        Self::AckBeforeCommit,
        Self::AckBeforeMerge,
        Self::AdditionForJoin,
        Self::TallyApart,
        Self::MarkClearedBlindly,
        Self::LeaseNeverExtended,
        Self::ReplicaReused,
        Self::TieByArrival,
        Self::DigestWithoutDeletions,
    ];

    /// Whether this build has it: one of them is switched on in the store, which is built with it for tests only.
    pub fn is_built(self) -> bool {
        cfg!(feature = "planted") || self != Self::DigestWithoutDeletions
    }

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::AckBeforeCommit => "ack-before-commit",
            Self::AckBeforeMerge => "ack-before-merge",
            Self::AdditionForJoin => "addition-for-join",
            Self::TallyApart => "tally-apart",
            Self::MarkClearedBlindly => "mark-cleared-blindly",
            Self::LeaseNeverExtended => "lease-never-extended",
            Self::ReplicaReused => "replica-reused",
            Self::TieByArrival => "tie-by-arrival",
            Self::DigestWithoutDeletions => "digest-without-deletions",
        }
    }
}

/// How a store is opened, with the bug if it has one.
pub(crate) fn setup(bug: Option<Planted>, setup: Setup) -> Setup {
    match bug {
        #[cfg(feature = "planted")]
        Some(Planted::DigestWithoutDeletions) => Setup { blind_to: Some("removed"), ..setup },
        _ => setup,
    }
}

impl fmt::Display for Planted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// There is no such bug. *Use one of the names.*
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("no bug is called {0:?}; there are {all}", all = Planted::ALL.map(Planted::name).join(", "))]
pub struct UnknownBug(String);

impl FromStr for Planted {
    type Err = UnknownBug;
    fn from_str(name: &str) -> Result<Self, UnknownBug> {
        Self::ALL.into_iter().find(|bug| bug.name() == name).ok_or_else(|| UnknownBug(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bug_has_a_name_of_its_own() {
        for bug in Planted::ALL {
            assert_eq!(bug.to_string().parse(), Ok(bug));
        }
        assert!("".parse::<Planted>().is_err_and(|error| error.to_string().contains("tally-apart")));
    }
}
