//! Lattices of lattices.

use crate::common::last_writer;
use antiphon_lattice::{Lww, Map};
use proptest::prelude::*;
use std::collections::BTreeMap;

histories! {
    map_of_registers: Map<u8, Lww<u8>>, by (u8, u8), (0_u8..4, any::<u8>()),
        |state, (key, value), writer| state.update(key, |entry| entry.set(writer.mint(entry.stamp()), value)),
        answers |state| state.iter().map(|(&key, entry)| (key, entry.get().copied())).collect(),
        as would |log| -> BTreeMap<u8, Option<u8>> {
            let written = |key| log.iter().filter(move |line| line.op.0 == key).map(|line| (line.stamp, line.op.1));
            log.iter().map(|line| (line.op.0, last_writer(written(line.op.0)))).collect()
        };
}
