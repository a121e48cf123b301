//! One replica's count of one group: announced by Comments, shown by Stories.

use crate::fact::Fact;
use crate::group::{Group, GroupError};
use lattice::{ReplicaId, Stamp, Tally};
use std::fmt;
use std::str::FromStr;
use store::KeyPart;
use thiserror::Error;

/// Which group, and who counts it. As text `<group>/<replica>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TallyKey {
    /// What is counted.
    pub group: Group,
    /// The one writer of this tally.
    pub replica: ReplicaId,
}

/// Text that is no tally key. *Fix the sender, or upgrade this reader.*
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TallyKeyError {
    /// There is no slash.
    #[error("a tally key is <group>/<replica>")]
    Shape,
    /// The group is none.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// The replica is none.
    #[error("{0}")]
    Replica(String),
}

impl fmt::Display for TallyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.group, self.replica)
    }
}

impl FromStr for TallyKey {
    type Err = TallyKeyError;
    fn from_str(text: &str) -> Result<Self, TallyKeyError> {
        let (group, replica) = text.split_once('/').ok_or(TallyKeyError::Shape)?;
        let replica = replica.parse().map_err(|error| TallyKeyError::Replica(format!("{error}")))?;
        Ok(Self { group: group.parse()?, replica })
    }
}

impl KeyPart for TallyKey {
    fn write(&self, out: &mut Vec<u8>) {
        (self.group, self.replica).write(out);
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        <(Group, ReplicaId)>::read(bytes).map(|(group, replica)| Self { group, replica })
    }
}

impl From<(Group, ReplicaId)> for TallyKey {
    fn from((group, replica): (Group, ReplicaId)) -> Self {
        Self { group, replica }
    }
}

/// [`Tally`]s by group and replica.
#[derive(Debug)]
pub struct TallyFact;

impl Fact for TallyFact {
    const TOPIC: &'static str = "tallies";
    const TYPE: &'static str = "antiphon.comments.tally.v1";
    /// Of parts and their paragraphs.
    const KEYS_TO: &'static [u8] = Group::REPLIES_PREFIX;
    type Key = TallyKey;
    type State = Tally;

    fn newest_stamp(_state: &Tally) -> Option<Stamp> {
        None
    }
}
