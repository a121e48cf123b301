//! Who wrote, when, and after what.

use crate::{A, B, EARLY, LATE};
use antiphon_lattice::{Dot, Hlc, ReplicaId, Stamp};

golden! {
    replica_id: ReplicaId = vec![ReplicaId::NIL, A, B];
    hlc: Hlc = vec![Hlc::default(), EARLY.hlc, Hlc::MAX];
    stamp: Stamp = vec![Stamp::default(), EARLY, LATE];
    dot: Dot = vec![Dot::default(), Dot { replica: A, counter: 1 }, Dot { replica: B, counter: u64::MAX }];
}

#[test]
fn a_stamp_in_26_bytes() {
    let bytes = [
        0x01, 0x8b, 0xcf, 0xe5, 0x68, 0x00, 0x00, 0x07, // time
        0x01, 0x98, 0x7a, 0x3c, 0x5b, 0x1e, 0x70, 0x00, 0x80, 0, 0, 0, 0, 0, 0, 0x0a, // replica
        0x00, 0x00, // lane
    ];
    assert_eq!(EARLY.to_bytes(), bytes);
    assert_eq!(Stamp::from_bytes(bytes), EARLY);
    assert_eq!(LATE.to_bytes(), [0xff; 26]);
}
