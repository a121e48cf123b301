//! One event of one replica.

use crate::ReplicaId;
use crate::text::{ParseError, as_text, parse};
use std::fmt;
use std::str::FromStr;

/// The identity of one event: the replica at which it happened, and which of that replica's events it was.
///
/// A replica numbers its events 1, 2, 3 … within one object (a set, a text), so a set of dots can be kept as "all up to
/// n, and these" (Almeida, Shoker, Baquero, *Delta state replicated data types*, 2018, §7.2). The order of dots is the
/// replica's and then the number's; it is no order in time. For one that is, see [`Stamp`](crate::Stamp).
///
/// A dot belongs to one event for ever. A store that was restored from a backup would number anew what the lost one had
/// numbered: it therefore takes another [`ReplicaId`].
///
/// Text and JSON: `rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr-cccccccccccccccc` in lower hex of fixed width, 49 bytes, in the
/// order of the dots.
///
/// ```
/// use antiphon_lattice::{Dot, ReplicaId};
/// let dot = Dot { replica: ReplicaId::from_u128(0xab), counter: 12 };
/// assert_eq!(dot.to_string(), "000000000000000000000000000000ab-000000000000000c");
/// assert_eq!(dot.to_string().parse(), Ok(dot));
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dot {
    /// Where.
    pub replica: ReplicaId,
    /// Which: the first event is 1. No event has 0.
    pub counter: u64,
}

impl fmt::Display for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:016x}", self.replica, self.counter)
    }
}

/// The text form.
impl fmt::Debug for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dot({self})")
    }
}

impl FromStr for Dot {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let [replica, counter] = parse("dot", text, [32, 16])?;
        Ok(Self {
            replica: ReplicaId::from_u128(replica),
            counter: u64::try_from(counter).unwrap_or(u64::MAX),
        })
    }
}

as_text!(Dot, "a dot such as 00000000000000000000000000000001-0000000000000001");
