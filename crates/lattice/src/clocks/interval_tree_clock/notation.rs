//! The paper's notation, as text and in JSON.

use super::error::{ItcDecodeError, ItcDecodeFault};
use super::events::EventTree;
use super::id::{Id, ItcId};
use super::tree::Tree;
use super::{ITC_DEPTH_MAX, IntervalTreeClock};
use serde::{Deserializer, de};
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

/// A text, and how far it was read.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    length: usize,
}

/// Reads the whole text with one of the readers below.
pub(super) fn read_all<T>(
    text: &str,
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, ItcDecodeError>,
) -> Result<T, ItcDecodeError> {
    let mut reader = Reader { rest: text.as_bytes(), length: text.len() };
    let value = read(&mut reader)?;
    if reader.rest.is_empty() { Ok(value) } else { Err(reader.error(ItcDecodeFault::Trailing)) }
}

pub(super) fn read_id(reader: &mut Reader<'_>) -> Result<ItcId, ItcDecodeError> {
    reader.id(ITC_DEPTH_MAX).map(ItcId)
}

pub(super) fn read_events(reader: &mut Reader<'_>) -> Result<EventTree, ItcDecodeError> {
    reader.tree(ITC_DEPTH_MAX, 0).map(EventTree)
}

pub(super) fn read_clock(reader: &mut Reader<'_>) -> Result<IntervalTreeClock, ItcDecodeError> {
    reader.expect(b'(')?;
    let id = read_id(reader)?;
    reader.expect(b',')?;
    let events = read_events(reader)?;
    reader.expect(b')')?;
    Ok(IntervalTreeClock { id, events })
}

impl Reader<'_> {
    fn error(&self, fault: ItcDecodeFault) -> ItcDecodeError {
        ItcDecodeError { fault, unit: "byte", at: self.length.saturating_sub(self.rest.len()) }
    }

    fn expect(&mut self, expected: u8) -> Result<(), ItcDecodeError> {
        match self.rest.split_first() {
            Some((&byte, rest)) if byte == expected => {
                self.rest = rest;
                Ok(())
            }
            Some(_) => Err(self.error(ItcDecodeFault::Malformed)),
            None => Err(self.error(ItcDecodeFault::Truncated)),
        }
    }

    /// Whether a node begins here: then its bracket is read, if it may be as deep as this.
    fn opens(&mut self, depth_left: usize) -> Result<bool, ItcDecodeError> {
        if self.rest.first() != Some(&b'(') {
            return Ok(false);
        }
        if depth_left == 0 {
            return Err(self.error(ItcDecodeFault::TooDeep));
        }
        self.expect(b'(').map(|()| true)
    }

    fn id(&mut self, depth_left: usize) -> Result<Id, ItcDecodeError> {
        if !self.opens(depth_left)? {
            let id = if self.rest.first() == Some(&b'1') { Id::All } else { Id::None };
            self.expect(if id == Id::All { b'1' } else { b'0' })?;
            return Ok(id);
        }
        let depth_left = depth_left.saturating_sub(1);
        let left = self.id(depth_left)?;
        self.expect(b',')?;
        let right = self.id(depth_left)?;
        self.expect(b')')?;
        Ok(Id::parts(left, right))
    }

    /// A tree whose numbers come on top of `up`.
    fn tree(&mut self, depth_left: usize, up: u64) -> Result<Tree, ItcDecodeError> {
        if !self.opens(depth_left)? {
            return self.number(up).map(Tree::Leaf);
        }
        let depth_left = depth_left.saturating_sub(1);
        let base = self.number(up)?;
        let up = up.saturating_add(base);
        self.expect(b',')?;
        let left = self.tree(depth_left, up)?;
        self.expect(b',')?;
        let right = self.tree(depth_left, up)?;
        self.expect(b')')?;
        Ok(Tree::node(base, left, right))
    }

    /// A number that can be added to `up`: decimal digits, without zeros before them.
    fn number(&mut self, up: u64) -> Result<u64, ItcDecodeError> {
        let begin = self.error(ItcDecodeFault::Malformed);
        let mut number = 0_u64;
        let mut digits = 0_usize;
        while let Some((&digit @ b'0'..=b'9', rest)) = self.rest.split_first() {
            if digits > 0 && number == 0 {
                return Err(begin);
            }
            let next = number.checked_mul(10).and_then(|n| n.checked_add(u64::from(digit - b'0')));
            number = next.ok_or_else(|| self.error(ItcDecodeFault::TooGreat))?;
            digits = digits.saturating_add(1);
            self.rest = rest;
        }
        match number.checked_add(up) {
            _ if digits == 0 && self.rest.is_empty() => Err(self.error(ItcDecodeFault::Truncated)),
            _ if digits == 0 => Err(begin),
            None => Err(ItcDecodeError { fault: ItcDecodeFault::TooGreat, ..begin }),
            Some(_) => Ok(number),
        }
    }
}

/// Text and JSON of a type in this notation. The reader sees what `Display` of its tree wrote.
macro_rules! in_notation {
    ($type:ident, $name:literal, $expecting:literal, $read:path) => {
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        crate::clocks::interval_tree_clock::notation::in_notation_with_display!(
            $type, $name, $expecting, $read
        );
    };
}
pub(super) use in_notation;

/// The same for one that has a `Display` of its own.
macro_rules! in_notation_with_display {
    ($type:ident, $name:literal, $expecting:literal, $read:path) => {
        /// The text form.
        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!($name, "({})"), self)
            }
        }

        impl std::str::FromStr for $type {
            type Err = crate::clocks::interval_tree_clock::ItcDecodeError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                crate::clocks::interval_tree_clock::notation::read_all(text, $read)
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                crate::clocks::interval_tree_clock::notation::deserialize($expecting, deserializer)
            }
        }
    };
}
pub(super) use in_notation_with_display;

/// Deserialises through `FromStr`, and names the format of what is no text.
pub(super) fn deserialize<'de, T, D>(expecting: &'static str, deserializer: D) -> Result<T, D::Error>
where
    T: FromStr<Err = ItcDecodeError>,
    D: Deserializer<'de>,
{
    let notation = Notation { expecting, of: PhantomData };
    // Binary formats need not say what comes, and most cannot.
    if deserializer.is_human_readable() {
        deserializer.deserialize_any(notation)
    } else {
        deserializer.deserialize_str(notation)
    }
}

struct Notation<T> {
    expecting: &'static str,
    of: PhantomData<T>,
}

impl<'de, T: FromStr<Err = ItcDecodeError>> de::Visitor<'de> for Notation<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expecting)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    /// A later version that finds the notation wanting writes an object with its format's number.
    fn visit_map<A: de::MapAccess<'de>>(self, mut fields: A) -> Result<T, A::Error> {
        while let Some(field) = fields.next_key::<String>()? {
            if field == "format" {
                let format: u64 = fields.next_value()?;
                return Err(de::Error::custom(format_args!(
                    "an interval tree clock of format {format}, this library reads format 1: {}",
                    self.expecting
                )));
            }
            fields.next_value::<de::IgnoredAny>()?;
        }
        Err(de::Error::invalid_type(de::Unexpected::Map, &self))
    }
}
