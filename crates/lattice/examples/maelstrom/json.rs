//! JSON values with an order, so that any of them can be an element of a set.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// How deep a value may be nested. A deeper one is refused: recursion over foreign data needs a bound.
const DEPTH_MAX: usize = 64;

/// A JSON value in canonical form: no white space, keys in order, and of keys that come twice the last.
///
/// `serde_json::Value` has no order, and makes a float of an integer that does not fit 64 bits: two large integers
/// would become one. Here a number that does not fit keeps its text, and `1` and `1.0` are two values.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Int(i128),
    Number(String),
    Text(String),
    Array(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

impl Json {
    /// Reads a value that is known to be well-formed, one level at a time.
    fn read(raw: &RawValue, depth_left: usize) -> serde_json::Result<Self> {
        let Some(depth_left) = depth_left.checked_sub(1) else {
            return Err(de::Error::custom(format_args!("a value nested deeper than {DEPTH_MAX}")));
        };
        let text = raw.get();
        Ok(match text.bytes().next() {
            Some(b'n') => Self::Null,
            Some(b't') => Self::Bool(true),
            Some(b'f') => Self::Bool(false),
            Some(b'"') => Self::Text(serde_json::from_str(text)?),
            Some(b'[') => {
                let parts: Vec<&RawValue> = serde_json::from_str(text)?;
                Self::Array(
                    parts.into_iter().map(|part| Self::read(part, depth_left)).collect::<Result<_, _>>()?,
                )
            }
            Some(b'{') => {
                let parts: BTreeMap<String, &RawValue> = serde_json::from_str(text)?;
                let read = |(key, part)| Ok((key, Self::read(part, depth_left)?));
                Self::Object(parts.into_iter().map(read).collect::<serde_json::Result<_>>()?)
            }
            _ => Self::number(text),
        })
    }

    fn number(text: &str) -> Self {
        match text.parse::<i128>() {
            Ok(number) if text != "-0" => Self::Int(number),
            _ => Self::Number(text.to_owned()),
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(from)?;
        Self::read(&raw, DEPTH_MAX).map_err(de::Error::custom)
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => to.serialize_unit(),
            Self::Bool(value) => to.serialize_bool(*value),
            Self::Int(number) => to.serialize_i128(*number),
            Self::Number(text) => {
                RawValue::from_string(text.clone()).map_err(ser::Error::custom)?.serialize(to)
            }
            Self::Text(text) => to.serialize_str(text),
            Self::Array(parts) => parts.serialize(to),
            Self::Object(parts) => parts.serialize(to),
        }
    }
}
