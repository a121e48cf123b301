//! Time that can be compared.

use crate::text::{ParseError, as_text, parse};
use std::fmt;
use std::str::FromStr;

/// A point of hybrid logical time: 48 bits of Unix milliseconds, and a counter of 16 bits among those.
///
/// It is close to the wall clock and yet never runs backwards (Kulkarni, Demirbas, Madappa, Avva, Leone, *Logical
/// physical clocks*, 2014; we count within a millisecond as they do, in one field of 64 bits). The 65,536 moments of a
/// millisecond may run out: the next one is then the first of the next millisecond, which is just the next number.
///
/// The last moment is in the year 10889. Arithmetic saturates there.
///
/// Text and JSON: 16 lower hex digits (a JSON number of 64 bits loses its last ones in a browser).
///
/// ```
/// use antiphon_lattice::Hlc;
/// let moment = Hlc::new(1_700_000_000_000, 0xffff);
/// assert_eq!(moment.tick(), Hlc::new(1_700_000_000_001, 0));
/// assert_eq!(moment.to_string(), "018bcfe56800ffff");
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hlc(pub u64);

impl Hlc {
    /// The last moment. Nothing can be minted above it.
    pub const MAX: Self = Self(u64::MAX);

    /// The greatest number of milliseconds: 48 bits.
    pub const MS_MAX: u64 = u64::MAX >> 16;

    /// The moment with this counter in this millisecond. Later than [`Hlc::MS_MAX`] is cut to it.
    pub const fn new(ms: u64, counter: u16) -> Self {
        let ms = if ms > Self::MS_MAX { Self::MS_MAX } else { ms };
        Self(ms << 16 | counter as u64)
    }

    /// Unix milliseconds.
    pub const fn ms(self) -> u64 {
        self.0 >> 16
    }

    /// The counter within the millisecond.
    pub const fn counter(self) -> u16 {
        let [.., high, low] = self.0.to_be_bytes();
        u16::from_be_bytes([high, low])
    }

    /// The next moment, or this one if it is the last.
    #[must_use]
    pub const fn tick(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Milliseconds and counter, apart.
impl fmt::Debug for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hlc({}+{})", self.ms(), self.counter())
    }
}

impl FromStr for Hlc {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let [number] = parse("moment", text, [16])?;
        Ok(Self(u64::try_from(number).unwrap_or(u64::MAX)))
    }
}

as_text!(Hlc, "a moment of 16 lower hex digits");
