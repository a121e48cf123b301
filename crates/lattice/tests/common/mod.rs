//! What several of the test files draw their values from.
#![allow(dead_code, reason = "each test file is a crate of its own and uses a part of this one")]

pub(crate) mod history;

use antiphon_lattice::{Epoch, GSet, Hlc, Lane, Lattice, Life, Lww, Map, Min, ReplicaId, Stamp, Tally};
use proptest::collection::{btree_map, btree_set};
use proptest::option;
use proptest::prelude::*;
use std::fmt::Debug;

/// The replica with this small number.
pub(crate) fn replica(number: u8) -> ReplicaId {
    ReplicaId::from_u128(u128::from(number))
}

/// Stamps that differ in one field each, and the least and the greatest.
pub(crate) fn picked_stamps() -> [Stamp; 5] {
    let one = Stamp { hlc: Hlc::new(1, 0), replica: replica(1), lane: Lane(1) };
    [
        Stamp::default(),
        one,
        Stamp { lane: Lane(2), ..one },
        Stamp { replica: replica(2), lane: Lane(0), ..one },
        Stamp { hlc: Hlc::MAX, replica: ReplicaId::from_u128(u128::MAX), lane: Lane(u16::MAX) },
    ]
}

/// Any stamp at all, and often one of a few, so that ties happen.
pub(crate) fn stamp() -> impl Strategy<Value = Stamp> {
    let any = (any::<u64>(), any::<u128>(), any::<u16>());
    let few = (0_u64..3, 0_u128..2, 0_u16..2);
    prop_oneof![any, few].prop_map(|(hlc, id, lane)| Stamp {
        hlc: Hlc(hlc),
        replica: ReplicaId::from_u128(id),
        lane: Lane(lane),
    })
}

/// One of a few epochs.
pub(crate) fn epoch() -> impl Strategy<Value = Epoch> {
    (0_u32..3, 0_u8..3).prop_map(|(generation, owner)| Epoch { generation, owner: replica(owner) })
}

pub(crate) fn random_life() -> impl Strategy<Value = Life> {
    prop_oneof![Just(Life::Live), Just(Life::Gone)]
}

pub(crate) fn random_min() -> impl Strategy<Value = Min<(u8, u8)>> {
    option::of((0_u8..3, 0_u8..3)).prop_map(|value| value.map_or_else(Min::bottom, Min::of))
}

pub(crate) fn random_lww() -> impl Strategy<Value = Lww<u8>> {
    option::of((stamp(), 0_u8..3))
        .prop_map(|written| written.map_or_else(Lww::default, |(at, v)| Lww::new(at, v)))
}

pub(crate) fn random_gset() -> impl Strategy<Value = GSet<u8>> {
    btree_set(0_u8..9, 0..5).prop_map(GSet::from_iter)
}

pub(crate) fn random_map<V: Lattice + Debug>(
    value: impl Strategy<Value = V>,
) -> impl Strategy<Value = Map<String, V>> {
    btree_map("[a-c]", value, 0..4).prop_map(Map::from_iter)
}

pub(crate) fn random_tally() -> impl Strategy<Value = Tally> {
    (epoch(), 0_u64..4, 0_u64..4).prop_map(|(epoch, added, removed)| Tally { epoch, added, removed })
}

/// The value that was written with the greatest stamp.
pub(crate) fn last_writer(written: impl Iterator<Item = (Stamp, u8)>) -> Option<u8> {
    written.max().map(|(_, value)| value)
}
