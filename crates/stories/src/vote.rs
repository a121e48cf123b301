//! The state of a vote, and what it counts for.

use lattice::{Contributes, Contribution, Lattice, Lww};
use messages::{PartId, Unknown, is_bottom};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use store::KeyPart;
use thiserror::Error;

/// The votes for a part. As text `votes:<part>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct VoteGroup(pub PartId);

impl fmt::Display for VoteGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "votes:{}", self.0)
    }
}

/// Text that names no votes. *Fix the sender, or upgrade this reader.*
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a group of votes is votes:<part>")]
pub struct VoteGroupError;

impl FromStr for VoteGroup {
    type Err = VoteGroupError;
    fn from_str(text: &str) -> Result<Self, VoteGroupError> {
        let part = text.strip_prefix("votes:").and_then(|part| part.parse().ok());
        part.map(Self).ok_or(VoteGroupError)
    }
}

impl KeyPart for VoteGroup {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        PartId::read(bytes).map(Self)
    }
}

/// What somebody says of a part. The part is in the row's key too: what a state counts for is told by it alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ballot {
    /// Of which part.
    pub part: PartId,
    /// Whether they vote for it.
    pub yes: bool,
}

/// A vote of one person for one part: it counts while the last ballot says yes, at the replica that took that ballot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// What they said last.
    #[serde(default, skip_serializing_if = "is_bottom")]
    pub ballot: Lww<Ballot>,
    /// What newer versions added.
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl Vote {
    /// True while they vote for it.
    pub fn says_yes(&self) -> bool {
        self.ballot.get().is_some_and(|ballot| ballot.yes)
    }
}

impl Lattice for Vote {
    fn join(&mut self, other: Self) -> bool {
        let Self { ballot, unknown } = other;
        self.ballot.join(ballot) | self.unknown.join(unknown)
    }
}

impl Contributes for Vote {
    type Group = VoteGroup;

    fn contributions(&self) -> BTreeSet<Contribution<VoteGroup>> {
        let (Some(ballot), Some(at)) = (self.ballot.get(), self.ballot.stamp()) else {
            return BTreeSet::new();
        };
        let counted = ballot.yes.then_some(Contribution { group: VoteGroup(ballot.part), owner: at.replica });
        counted.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lattice::{Hlc, Lane, ReplicaId, Stamp};

    fn vote(ms: u64, yes: bool) -> Vote {
        let replica = ReplicaId::from_u128(u128::from(ms));
        let at = Stamp { hlc: Hlc::new(ms, 0), replica, lane: Lane::default() };
        Vote { ballot: Lww::new(at, Ballot { part: PartId::from_bytes([1; 16]), yes }), ..Vote::default() }
    }

    fn values() -> Vec<Vote> {
        let unknown = serde_json::from_str(r#"{"stars":5}"#).unwrap();
        vec![Vote::default(), vote(1, true), vote(2, false), vote(3, true), vote(3, false), unknown]
    }

    #[test]
    fn a_vote_is_a_lattice() {
        lattice::laws::check_exhaustively(&values()).unwrap();
    }

    #[test]
    fn it_counts_while_the_last_ballot_says_yes_where_that_was_taken() {
        let owners =
            |vote: &Vote| vote.contributions().iter().map(|one| one.owner.to_u128()).collect::<Vec<_>>();
        assert_eq!(owners(&vote(1, true)), [1]);
        assert_eq!(owners(&vote(1, true).joined(vote(2, false))), [0; 0]);
        assert_eq!(owners(&vote(3, true).joined(vote(1, true)).joined(vote(2, false))), [3]);
    }

    /// The bytes that the first version wrote.
    #[test]
    fn golden_bytes() {
        let golden = include_str!("../tests/golden/votes.json");
        let read: Vec<Vote> = serde_json::from_str(golden).unwrap();
        assert_eq!(read, values());
        assert_eq!(serde_json::to_string_pretty(&values()).unwrap() + "\n", golden);
    }
}
