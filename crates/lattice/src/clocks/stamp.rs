//! When, and by whom: unique and totally ordered.

use crate::text::{ParseError, as_text, parse};
use crate::{Hlc, ReplicaId};
use std::fmt;
use std::str::FromStr;

/// One of the processes, or threads, that mint stamps for one replica.
///
/// Two lanes need not ask each other for the time. Ordinary lanes are below [`Lane::AHEAD_BIT`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane(pub u16);

impl Lane {
    /// Set in the stamps that a [`Clock`](crate::Clock) mints above a row from the future, and in no others.
    pub const AHEAD_BIT: u16 = 0x8000;

    /// Whether the bit is set.
    pub const fn is_ahead(self) -> bool {
        self.0 & Self::AHEAD_BIT != 0
    }

    /// The same lane with the bit set.
    #[must_use]
    pub const fn ahead(self) -> Self {
        Self(self.0 | Self::AHEAD_BIT)
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}", self.0)
    }
}

/// The identity and the rank of one write: unique in the deployment, and totally ordered.
///
/// The order is by time, then replica, then lane, and it agrees with causality as far as stamps are minted by
/// [`Clock::mint`](crate::Clock::mint) above what the writer had read. It never says that an earlier stamp was
/// earlier on a wall clock: two stamps of different replicas may be out by the skew of their clocks.
///
/// Text and JSON: `hhhhhhhhhhhhhhhh-rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr-llll` in lower hex of fixed width, 54 bytes.
/// Bytes: 26, big-endian. The order of both is the order of the stamps, so keys of a store may begin with them.
///
/// ```
/// use antiphon_lattice::{Hlc, Lane, ReplicaId, Stamp};
/// let stamp = Stamp { hlc: Hlc::new(1, 2), replica: ReplicaId::from_u128(3), lane: Lane(4) };
/// let text = "0000000000010002-00000000000000000000000000000003-0004";
/// assert_eq!(stamp.to_string(), text);
/// assert_eq!(text.parse(), Ok(stamp));
/// assert_eq!(Stamp::from_bytes(stamp.to_bytes()), stamp);
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// When, as far as the writer knew.
    pub hlc: Hlc,
    /// At which replica.
    pub replica: ReplicaId,
    /// By which of its processes.
    pub lane: Lane,
}

impl Stamp {
    /// How many bytes [`Stamp::to_bytes`] gives.
    pub const BYTES: usize = 26;

    /// Big-endian: time, replica, lane. Byte order is the order of the stamps.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let parts =
            (self.hlc.0.to_be_bytes(), self.replica.to_u128().to_be_bytes(), self.lane.0.to_be_bytes());
        let mut bytes = [0; Self::BYTES];
        for (to, from) in bytes.iter_mut().zip(parts.0.into_iter().chain(parts.1).chain(parts.2)) {
            *to = from;
        }
        bytes
    }

    /// Reads what [`Stamp::to_bytes`] wrote. Every 26 bytes are some stamp.
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let mut rest = bytes.into_iter();
        let mut number = |width| rest.by_ref().take(width).fold(0_u128, |n, byte| n << 8 | u128::from(byte));
        Self::of_numbers([number(8), number(16), number(2)])
    }

    /// From numbers that were read from fields of 64, 128 and 16 bits.
    fn of_numbers([hlc, replica, lane]: [u128; 3]) -> Self {
        Self {
            hlc: Hlc(u64::try_from(hlc).unwrap_or(u64::MAX)),
            replica: ReplicaId::from_u128(replica),
            lane: Lane(u16::try_from(lane).unwrap_or(u16::MAX)),
        }
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.hlc, self.replica, self.lane)
    }
}

/// The text form, in which two stamps can be compared by eye.
impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stamp({self})")
    }
}

impl FromStr for Stamp {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse("stamp", text, [16, 32, 4]).map(Self::of_numbers)
    }
}

as_text!(Stamp, "a stamp such as 0000000000010000-00000000000000000000000000000001-0000");
