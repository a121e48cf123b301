//! The form for formats that do not describe themselves (bincode, postcard): no field is told by what it looks like.
//!
//! `[format, replicas, runs]`, and a run is `[replica, start, place, pieces]`, each with the meaning that it has in JSON.

use super::block::{Block, Content, Place, Side};
use super::codec::{FORMAT, Read, Write};
use super::decode::{Piece, RawPlace, Run, check_format, state_of};
use super::encode::{WritePiece, number, replicas_of, runs_of};
use super::sequence::Sequence;
use crate::ReplicaId;
use serde::de::{self, SeqAccess};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;

/// How many fields a state has.
const FIELDS: usize = 3;

/// Writes a state.
pub(super) fn serialize<F: Write, S: Serializer>(
    sequence: &Sequence<F::Value>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let blocks = sequence.flat();
    let replicas = replicas_of(&blocks);
    let runs: Vec<_> = runs_of(&blocks).map(|blocks| PackedRun::<F>::of(blocks, &replicas)).collect();
    let mut state = serializer.serialize_tuple(FIELDS)?;
    state.serialize_element(&FORMAT)?;
    state.serialize_element(&replicas)?;
    state.serialize_element(&runs)?;
    state.end()
}

#[derive(Serialize)]
#[serde(bound = "")]
struct PackedRun<'a, F: Write>(u64, u64, PackedPlace, Vec<PackedPiece<WritePiece<'a, F>>>);

impl<'a, F: Write> PackedRun<'a, F> {
    fn of(blocks: &'a [Block<&'a F::Value>], replicas: &[ReplicaId]) -> Self {
        let first = blocks.first();
        let dot = |dot| [number(dot, replicas), dot.counter];
        let place = match first.and_then(|first| first.place) {
            None => PackedPlace::Nowhere,
            Some(Place { side: Side::Left, parent, .. }) => PackedPlace::Left(dot(parent)),
            Some(Place { side: Side::Right, parent, right }) => PackedPlace::Right(dot(parent), dot(right)),
        };
        let pieces = blocks.iter().map(|block| match &block.content {
            Content::Gone(len) => PackedPiece::Gone(*len),
            values => PackedPiece::There(WritePiece(values.values())),
        });
        let [replica, start] = first.map_or([0, 0], |first| dot(first.dot(first.start)));
        Self(replica, start, place, pieces.collect())
    }
}

#[derive(Serialize, Deserialize)]
enum PackedPlace {
    Nowhere,
    Left([u64; 2]),
    Right([u64; 2], [u64; 2]),
}

#[derive(Serialize, Deserialize)]
enum PackedPiece<L> {
    Gone(u64),
    There(L),
}

/// A run as it is read.
type ReadRun<L> = (u64, u64, PackedPlace, Vec<PackedPiece<L>>);

/// Reads a state. Runs may come in any order and overlap: they are joined.
pub(super) fn deserialize<'de, F: Read<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Sequence<F::Value>, D::Error>
where
    F::Value: Clone + Ord,
{
    deserializer.deserialize_tuple(FIELDS, ReadPacked::<F>(PhantomData))
}

struct ReadPacked<F>(PhantomData<F>);

impl<'de, F: Read<'de>> de::Visitor<'de> for ReadPacked<F>
where
    F::Value: Clone + Ord,
{
    type Value = Sequence<F::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a {} of format {FORMAT}", F::NAME)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let missing = |nth| de::Error::invalid_length(nth, &self);
        // Before anything else is read: what a later format says behind it may look like anything.
        check_format::<F, _>(fields.next_element()?.ok_or_else(|| missing(0))?)?;
        let replicas: Vec<ReplicaId> = fields.next_element()?.ok_or_else(|| missing(1))?;
        let runs: Vec<ReadRun<F::Piece>> = fields.next_element()?.ok_or_else(|| missing(2))?;
        let runs = runs.into_iter().map(|(replica, start, place, pieces)| {
            let place = match place {
                PackedPlace::Nowhere => None,
                PackedPlace::Left(parent) => Some(RawPlace::Left(parent)),
                PackedPlace::Right(parent, right) => Some(RawPlace::Right(parent, right)),
            };
            let pieces = pieces.into_iter().map(|piece| match piece {
                PackedPiece::Gone(len) => Piece::Gone(len),
                PackedPiece::There(values) => Piece::There(values),
            });
            Run { replica, start, place, pieces: pieces.collect() }
        });
        state_of::<F, _>(&replicas, runs)
    }
}
