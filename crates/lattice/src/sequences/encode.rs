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
    let mut replicas = BTreeSet::new();
    for block in &blocks {
        replicas.insert(block.replica);
        let dots = block.place.into_iter().flat_map(|place| [place.parent, place.right]);
        replicas.extend(dots.filter(|dot| dot.counter > 0).map(|dot| dot.replica));
    }
    let replicas: Vec<ReplicaId> = replicas.into_iter().collect();
    let mut map = serializer.serialize_map(Some(3))?;
    map.serialize_entry(F::NAME, &FORMAT)?;
    map.serialize_entry("replicas", &replicas)?;
    map.serialize_entry("runs", &WriteRuns::<F> { blocks: &blocks, replicas: &replicas })?;
    map.end()
}

struct WriteRuns<'a, F: Write> {
    blocks: &'a [Block<&'a F::Value>],
    replicas: &'a [ReplicaId],
}

impl<F: Write> Serialize for WriteRuns<'_, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        let same_run = |one: &Block<_>, two: &Block<_>| one.runs_on(two.replica, two.start, two.place);
        for blocks in self.blocks.chunk_by(same_run) {
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
        let number = |dot: Dot| match self.replicas.binary_search(&dot.replica) {
            Ok(number) if dot.counter > 0 => number as u64,
            _ => 0,
        };
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

struct WritePiece<'a, F: Write>(&'a [&'a F::Value]);

impl<F: Write> Serialize for WritePiece<'_, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        F::write(self.0, serializer)
    }
}
