//! Fixed-width lower hex, whose text order is the order of the numbers.

use serde::{Deserializer, de};
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

/// Why a text is no [`Stamp`](crate::Stamp), [`ReplicaId`](crate::ReplicaId) or [`Hlc`](crate::Hlc).
///
/// One value has one text. Upper case, signs, spaces and missing zeros are therefore errors and not variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseError {
    /// The text has the wrong length: it was cut, padded, or is something else.
    Length {
        /// What was to be read.
        what: &'static str,
        /// The one length that it can have, in bytes.
        expected: usize,
        /// The length that it had.
        found: usize,
    },
    /// There is something else where a digit of `0-9a-f` should be.
    Digit {
        /// What was to be read.
        what: &'static str,
        /// Where, in bytes from the start.
        at: usize,
    },
    /// There is something else where a hyphen should be.
    Separator {
        /// What was to be read.
        what: &'static str,
        /// Where, in bytes from the start.
        at: usize,
    },
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { what, expected, found } => {
                write!(f, "a {what} has {expected} characters, this text has {found}")
            }
            Self::Digit { what, at } => {
                write!(f, "a {what} has a lower hex digit at byte {at}, this text has not")
            }
            Self::Separator { what, at } => {
                write!(f, "a {what} has a hyphen at byte {at}, this text has not")
            }
        }
    }
}

impl std::error::Error for ParseError {}

/// Reads numbers of the given widths, in hex digits, with hyphens between them.
pub(crate) fn parse<const N: usize>(
    what: &'static str,
    text: &str,
    widths: [usize; N],
) -> Result<[u128; N], ParseError> {
    let expected = widths.iter().sum::<usize>() + N - 1;
    if text.len() != expected {
        return Err(ParseError::Length { what, expected, found: text.len() });
    }
    let mut numbers = [0; N];
    let mut bytes = text.bytes().enumerate();
    for (nth, (number, width)) in numbers.iter_mut().zip(widths).enumerate() {
        if nth > 0
            && let Some((at, byte)) = bytes.next()
            && byte != b'-'
        {
            return Err(ParseError::Separator { what, at });
        }
        for (at, byte) in bytes.by_ref().take(width) {
            let digit = match byte {
                b'0'..=b'9' => byte - b'0',
                b'a'..=b'f' => byte - b'a' + 10,
                _ => return Err(ParseError::Digit { what, at }),
            };
            *number = *number << 4 | u128::from(digit);
        }
    }
    Ok(numbers)
}

/// Deserialises through `FromStr`, without a copy of the text.
pub(crate) fn deserialize<'de, T, D>(expecting: &'static str, deserializer: D) -> Result<T, D::Error>
where
    T: FromStr<Err = ParseError>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_str(Text { expecting, of: PhantomData })
}

struct Text<T> {
    expecting: &'static str,
    of: PhantomData<T>,
}

impl<T: FromStr<Err = ParseError>> de::Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expecting)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

/// Serialises through `Display`, deserialises through `FromStr`.
macro_rules! as_text {
    ($type:ty, $expecting:literal) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::text::deserialize($expecting, deserializer)
            }
        }
    };
}
pub(crate) use as_text;
