//! What an interval tree clock refuses.

use super::ITC_DEPTH_MAX;
use std::fmt;

/// Why an operation changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ItcError {
    /// An anonymous stamp owns no part of the interval, so no event can be registered with it. Fork one that owns some.
    Anonymous,
    /// The id is as deep as ids may be. Fork another stamp, or join some that are no longer needed.
    TooDeep,
    /// All that the stamp owns stands at 2⁶⁴ − 1, which only forged bytes bring about. Start from a new seed.
    Exhausted,
}

impl fmt::Display for ItcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("an anonymous stamp registers no events"),
            Self::TooDeep => write!(f, "the fork of an id would be deeper than {ITC_DEPTH_MAX}"),
            Self::Exhausted => f.write_str("no number of this stamp can grow any more"),
        }
    }
}

impl std::error::Error for ItcError {}

/// Why bits or a text are no interval tree clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ItcDecodeFault {
    /// They end before the tree does.
    Truncated,
    /// There is more after the tree, or a last byte is not filled with zeros.
    Trailing,
    /// The tree is deeper than [`ITC_DEPTH_MAX`].
    TooDeep,
    /// A number, or a sum of numbers from the root to a leaf, is above 2⁶⁴ − 1.
    TooGreat,
    /// There is something else where a tree or a number should be.
    Malformed,
}

/// Why, and where: see [`ItcDecodeFault`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItcDecodeError {
    pub(super) fault: ItcDecodeFault,
    pub(super) unit: &'static str,
    pub(super) at: usize,
}

impl ItcDecodeError {
    /// Why.
    pub const fn fault(&self) -> ItcDecodeFault {
        self.fault
    }

    /// Where: in bits from the start, or in bytes if it was a text.
    pub const fn at(&self) -> usize {
        self.at
    }
}

impl fmt::Display for ItcDecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.fault {
            ItcDecodeFault::Truncated => "it ends too early",
            ItcDecodeFault::Trailing => "there is more after its end",
            ItcDecodeFault::TooDeep => "it is too deep",
            ItcDecodeFault::TooGreat => "a number is too great",
            ItcDecodeFault::Malformed => "something else than a tree",
        };
        write!(f, "no interval tree clock: {why}, at {} {}", self.unit, self.at)
    }
}

impl std::error::Error for ItcDecodeError {}
