//! Who writes.

use crate::text::{ParseError, as_text, parse};
use std::fmt;
use std::str::FromStr;

/// The name of one durable store of one service: minted at its creation, from randomness, and never used again.
///
/// Everything that must be unique rests on it: stamps, and the one writer of a tally. A store that was restored from a
/// backup is **another** replica and takes another id, because what the old one promised to others after the backup
/// is not in it. This crate has no randomness, so the number is a parameter.
///
/// Text and JSON: 32 lower hex digits, so that their order is the order of the ids.
///
/// ```
/// use antiphon_lattice::ReplicaId;
/// let id = ReplicaId::from_u128(0xab);
/// assert_eq!(id.to_string(), "000000000000000000000000000000ab");
/// assert_eq!(id.to_string().parse(), Ok(id));
/// assert!("AB".parse::<ReplicaId>().is_err());
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaId(u128);

impl ReplicaId {
    /// Nobody: part of bottoms, so that they are below everything. No replica has it.
    pub const NIL: Self = Self(0);

    /// The id with this number.
    pub const fn from_u128(number: u128) -> Self {
        Self(number)
    }

    /// The number of this id.
    pub const fn to_u128(self) -> u128 {
        self.0
    }
}

impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The text form: thirty-nine decimal digits help nobody who reads a failed assertion.
impl fmt::Debug for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReplicaId({self})")
    }
}

impl FromStr for ReplicaId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let [number] = parse("replica id", text, [32])?;
        Ok(Self(number))
    }
}

as_text!(ReplicaId, "a replica id of 32 lower hex digits");
