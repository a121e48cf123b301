//! The bytes of today can be read for ever: every file of `tests/golden` decodes, and encodes to itself.
//!
//! A file that no longer passes is not to be corrected: somebody's store holds such bytes. A new type adds one line
//! and one file, which holds an array of states, the bottom first.

use antiphon_lattice::{Epoch, GSet, Hlc, Lane, Life, Lww, Map, Max, Pair, ReplicaId, Stamp, Tally};
use serde::Deserialize;

const A: ReplicaId = ReplicaId::from_u128(0x0198_7a3c_5b1e_7000_8000_0000_0000_000a);
const B: ReplicaId = ReplicaId::from_u128(u128::MAX);
const EARLY: Stamp = Stamp { hlc: Hlc::new(1_700_000_000_000, 7), replica: A, lane: Lane(0) };
const LATE: Stamp = Stamp { hlc: Hlc::MAX, replica: B, lane: Lane(0xffff) };
const FIRST: Epoch = Epoch { generation: 0, owner: A };
const HEIR: Epoch = Epoch { generation: u32::MAX, owner: B };

macro_rules! golden {
    ($($name:ident: $type:ty = $states:expr;)*) => {$(
        #[test]
        fn $name() {
            let bytes = include_str!(concat!(stringify!($name), ".json")).trim_end();
            let states: Vec<$type> = $states;
            assert_eq!(serde_json::to_string(&states).unwrap(), bytes, "new bytes");
            assert_eq!(serde_json::from_str::<Vec<$type>>(bytes).unwrap(), states, "old bytes");
        }
    )*};
}

mod causal;
mod clocks;
mod counters;
mod graphs;
mod products;
mod registers;
mod sequences;
mod sets;

/// A newer version may say more. What it says that we know is still understood.
#[test]
fn new_bytes_with_unknown_fields() {
    let tally = r#"{"epoch":{"generation":0,"owner":"01987a3c5b1e7000800000000000000a","since":1},"added":3,"removed":1,"seen":[]}"#;
    assert_eq!(serde_json::from_str::<Tally>(tally).unwrap(), Tally { epoch: FIRST, added: 3, removed: 1 });
    let lww = format!(r#"{{"why":null,"at":"{EARLY}","value":7}}"#);
    assert_eq!(serde_json::from_str::<Lww<u8>>(&lww).unwrap(), Lww::new(EARLY, 7));
}

/// Bytes that no version of ours writes, and that mean something all the same.
#[test]
fn bytes_in_disorder() {
    let map: Map<String, Max<u8>> = serde_json::from_str(r#"{"b":2,"a":5,"c":0,"a":1}"#).unwrap();
    assert_eq!(serde_json::to_string(&map).unwrap(), r#"{"a":5,"b":2}"#, "joined, without bottoms, in order");
    let set: GSet<u8> = serde_json::from_str("[3,1,3]").unwrap();
    assert_eq!(serde_json::to_string(&set).unwrap(), "[1,3]");
}

/// The sizes that the front page and the pages of the types give.
#[test]
fn costs() {
    fn json<'de, T: serde::Serialize + Deserialize<'de>>(state: &T) -> usize {
        serde_json::to_vec(state).unwrap().len()
    }
    let (pair, small) = (Pair(Max(1), Max(2)), Tally { epoch: FIRST, added: 3, removed: 1 });
    assert_eq!(json(&Lww::new(EARLY, 7)), 1 + 72);
    assert_eq!(json(&Life::Live), 6);
    assert_eq!(json(&pair), 2 + 3);
    assert_eq!(json(&small), 91);
    assert_eq!(size_of::<Tally>(), 48);
    assert_eq!((size_of::<ReplicaId>(), A.to_string().len()), (16, 32));
    assert_eq!((size_of::<Hlc>(), EARLY.hlc.to_string().len()), (8, 16));
    assert_eq!((Stamp::BYTES, EARLY.to_string().len()), (26, 54));
}
