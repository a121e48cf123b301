//! What several of the test files draw their values from.
#![allow(dead_code, reason = "each test file is a crate of its own and uses a part of this one")]

use antiphon_lattice::{Epoch, Hlc, Lane, ReplicaId, Stamp};
use proptest::prelude::*;

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
