//! How a state is written.

use super::block::{Block, Content, Place, Side};
use super::codec::{FORMAT, Write};
use super::sequence::Sequence;
use crate::{Dot, ReplicaId};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use std::collections::BTreeSet;

/// Writes a state.
pub(super) fn serialize<F: Write, S: Serializer>(
    sequence: &Sequence<F::Value>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let blocks = sequence.flat();
    let replicas = replicas_of(&blocks);
    let mut map = serializer.serialize_map(Some(3))?;
    map.serialize_entry(F::NAME, &FORMAT)?;
    map.serialize_entry("replicas", &replicas)?;
    map.serialize_entry("runs", &WriteRuns::<F> { blocks: &blocks, replicas: &replicas })?;
    map.end()
}

/// Every replica that is named, in order: what follows names it by its number among these.
pub(super) fn replicas_of<T>(blocks: &[Block<T>]) -> Vec<ReplicaId> {
    let mut replicas = BTreeSet::new();
    for block in blocks {
        replicas.insert(block.replica);
        let dots = block.place.into_iter().flat_map(|place| [place.parent, place.right]);
        replicas.extend(dots.filter(|dot| dot.counter > 0).map(|dot| dot.replica));
    }
    replicas.into_iter().collect()
}

/// The number of a dot's replica; 0 for the start and the end, which are nobody's.
pub(super) fn number(dot: Dot, replicas: &[ReplicaId]) -> u64 {
    match replicas.binary_search(&dot.replica) {
        Ok(number) if dot.counter > 0 => number as u64,
        _ => 0,
    }
}

/// The blocks of each run.
pub(super) fn runs_of<T>(blocks: &[Block<T>]) -> impl Iterator<Item = &[Block<T>]> {
    blocks.chunk_by(|one, two| one.runs_on(two.replica, two.start, two.place))
}

struct WriteRuns<'a, F: Write> {
    blocks: &'a [Block<&'a F::Value>],
    replicas: &'a [ReplicaId],
}

impl<F: Write> Serialize for WriteRuns<'_, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for blocks in runs_of(self.blocks) {
            list.serialize_element(&WriteRun::<F> { blocks, replicas: self.replicas })?;
        }
        list.end()
    }
}

struct WriteRun<'a, F: Write> {
    blocks: &'a [Block<&'a F::Value>],
    replicas: &'a [ReplicaId],
}

impl<F: Write> Serialize for WriteRun<'_, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let number = |dot| number(dot, self.replicas);
        let mut list = serializer.serialize_seq(None)?;
        if let Some(first) = self.blocks.first() {
            list.serialize_element(&number(first.dot(first.start)))?;
            list.serialize_element(&first.start)?;
            if let Some(Place { side, parent, right }) = first.place {
                let parent = [number(parent), parent.counter];
                match side {
                    Side::Left => list.serialize_element(&parent)?,
                    Side::Right => list.serialize_element(&(parent, [number(right), right.counter]))?,
                }
            }
        }
        for block in self.blocks {
            match &block.content {
                Content::Gone(len) => list.serialize_element(len)?,
                values => list.serialize_element(&WritePiece::<F>(values.values()))?,
            }
        }
        list.end()
    }
}

/// The values of a piece.
pub(super) struct WritePiece<'a, F: Write>(pub(super) &'a [&'a F::Value]);

impl<F: Write> Serialize for WritePiece<'_, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        F::write(self.0, serializer)
    }
}
