//! What a caller did wrong.

use crate::ReplicaId;
use std::fmt;

/// Why a sequence was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SequenceError {
    /// There are not so many elements. Ask for an index that is not beyond the length.
    BeyondTheEnd {
        /// The index that was asked for.
        at: usize,
        /// How many elements are shown.
        len: usize,
    },
    /// A range ends before it begins.
    Backwards {
        /// Where it begins.
        start: usize,
        /// Where it ends.
        end: usize,
    },
    /// All 2⁶⁴ ids of this replica are used up: in truth, some bytes claimed the last of them. Write under another
    /// [`ReplicaId`].
    IdsExhausted {
        /// Whose ids.
        replica: ReplicaId,
    },
}

impl fmt::Display for SequenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BeyondTheEnd { at, len } => write!(f, "index {at} is beyond the end of {len} elements"),
            Self::Backwards { start, end } => write!(f, "range ends at {end}, before it begins at {start}"),
            Self::IdsExhausted { replica } => write!(f, "replica {replica} has no ids left"),
        }
    }
}

impl std::error::Error for SequenceError {}
