//! The bytes of today can be read for ever: every file of `tests/golden` decodes, and encodes to itself.
//!
//! A file that no longer passes is not to be corrected: somebody's store holds such bytes. A new type adds one line
//! and one file, which holds an array of states, the bottom first.

use antiphon_lattice::contributions::{Contribution, OwnedTallies};
use antiphon_lattice::{Epoch, GSet, Hlc, Lane, Life, Lww, Map, Max, Min, Pair, ReplicaId, Stamp, Tally};
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
            let bytes = include_str!(concat!("golden/", stringify!($name), ".json")).trim_end();
            let states: Vec<$type> = $states;
            assert_eq!(serde_json::to_string(&states).unwrap(), bytes, "new bytes");
            assert_eq!(serde_json::from_str::<Vec<$type>>(bytes).unwrap(), states, "old bytes");
        }
    )*};
}

golden! {
    max: Max<u64> = vec![Max(0), Max(1), Max(u64::MAX)];
    min: Min<(Stamp, String)> = vec![Min::bottom(), Min::of((EARLY, "first".into()))];
    pair: Pair<Max<u8>, Life> = vec![Pair(Max(0), Life::Live), Pair(Max(255), Life::Gone)];
    life: Life = vec![Life::Live, Life::Gone];
    gset: GSet<String> = vec![GSet::default(), ["b", "a", "é"].map(String::from).into_iter().collect()];
    map: Map<ReplicaId, Max<u8>> = vec![Map::default(), [(B, Max(2)), (A, Max(1))].into_iter().collect()];
    lww: Lww<String> = vec![Lww::default(), Lww::new(EARLY, String::new()), Lww::new(LATE, "a \"name\"".into())];
    tally: Tally = vec![
        Tally::default(),
        Tally { epoch: FIRST, added: 3, removed: 1 },
        Tally { epoch: HEIR, added: u64::MAX, removed: u64::MAX },
    ];
    replica_id: ReplicaId = vec![ReplicaId::NIL, A, B];
    hlc: Hlc = vec![Hlc::default(), EARLY.hlc, Hlc::MAX];
    stamp: Stamp = vec![Stamp::default(), EARLY, LATE];
    epoch: Epoch = vec![Epoch::default(), FIRST, HEIR];
    contribution: Contribution<String> = vec![Contribution { group: "part".into(), owner: A }];
    owned_tallies: OwnedTallies = {
        let mut adopted = OwnedTallies::of(A);
        adopted.adopt(B, HEIR);
        vec![OwnedTallies::of(A), adopted]
    };
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
