//! The bytes: runs in the order of ids.

use super::sequence::Sequence;
use super::{decode, encode, packed};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::marker::PhantomData;

/// The format that is written, and the only one that is read.
pub(super) const FORMAT: u64 = 1;

/// How the values of a piece of a run stand in the bytes.
pub(super) trait Form {
    /// What it is called, in the bytes and in errors.
    const NAME: &'static str;
    type Value;
}

/// A form in which values are written.
pub(super) trait Write: Form {
    fn write<S: Serializer>(values: &[&Self::Value], serializer: S) -> Result<S::Ok, S::Error>;
}

/// A form in which values are read.
pub(super) trait Read<'de>: Form {
    /// The values of a piece as they are read.
    type Piece: Deserialize<'de>;

    fn values(piece: Self::Piece) -> Vec<Self::Value>;
}

/// Writes a state, in words or packed, as the format asks.
pub(super) fn serialize<F: Write, S: Serializer>(
    sequence: &Sequence<F::Value>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        encode::serialize::<F, S>(sequence, serializer)
    } else {
        packed::serialize::<F, S>(sequence, serializer)
    }
}

/// Reads a state, in words or packed, as the format asks.
pub(super) fn deserialize<'de, F: Read<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Sequence<F::Value>, D::Error>
where
    F::Value: Clone + Ord,
{
    if deserializer.is_human_readable() {
        decode::deserialize::<F, D>(deserializer)
    } else {
        packed::deserialize::<F, D>(deserializer)
    }
}

/// Values as a list.
struct AsList<T>(PhantomData<T>);

impl<T> Form for AsList<T> {
    const NAME: &'static str = "sequence";
    type Value = T;
}

impl<T: Serialize> Write for AsList<T> {
    fn write<S: Serializer>(values: &[&T], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values)
    }
}

impl<'de, T: Deserialize<'de>> Read<'de> for AsList<T> {
    type Piece = Vec<T>;

    fn values(piece: Vec<T>) -> Vec<T> {
        piece
    }
}

impl<T: Serialize> Serialize for Sequence<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize::<AsList<T>, S>(self, serializer)
    }
}

impl<'de, T: Clone + Ord + Deserialize<'de>> Deserialize<'de> for Sequence<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize::<AsList<T>, D>(deserializer)
    }
}
