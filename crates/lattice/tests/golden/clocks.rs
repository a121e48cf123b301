//! Who wrote, when, and after what.

use crate::{A, B, EARLY, LATE};
use antiphon_lattice::{
    CausalMessage, Dot, DottedVersionVectorSet, EventTree, Hlc, IntervalTreeClock, ItcId, Lamport, Lattice,
    ReplicaId, Stamp, VectorClock, VersionVector,
};

golden! {
    replica_id: ReplicaId = vec![ReplicaId::NIL, A, B];
    hlc: Hlc = vec![Hlc::default(), EARLY.hlc, Hlc::MAX];
    stamp: Stamp = vec![Stamp::default(), EARLY, LATE];
    dot: Dot = vec![Dot::default(), Dot { replica: A, counter: 1 }, Dot { replica: B, counter: u64::MAX }];
    lamport: Lamport = vec![Lamport::default(), Lamport::at(1), Lamport::MAX];
    version_vector: VersionVector = vec![VersionVector::default(), at(A, 1), at(A, 7).joined(at(B, u64::MAX))];
    vector_clock: VectorClock = vec![VectorClock::new(ReplicaId::NIL), VectorClock::resume(A, at(A, 7).joined(at(B, 2)))];
    causal_message: CausalMessage<String> = vec![
        CausalMessage { from: ReplicaId::NIL, stamp: VersionVector::default(), payload: String::new() },
        CausalMessage { from: B, stamp: at(A, 7).joined(at(B, 2)), payload: "a \"name\"".into() },
    ];
    dotted_version_vector_set: DottedVersionVectorSet<String> = dotted_version_vector_sets();
    itc_id: ItcId = ["0", "1", "(0,(1,0))"].map(|text| text.parse().unwrap()).into();
    event_tree: EventTree = ["0", "18446744073709551615", "(1,2,(0,(1,0,2),0))"].map(|text| text.parse().unwrap()).into();
    interval_tree_clock: IntervalTreeClock =
        ["(0,0)", "(1,0)", "((0,(1,0)),(1,2,(0,(1,0,2),0)))"].map(|text| text.parse().unwrap()).into();
}

fn at(replica: ReplicaId, counter: u64) -> VersionVector {
    VersionVector::up_to(Dot { replica, counter })
}

/// Nothing, one value, two siblings of two replicas, and what is left when they are discarded.
pub(crate) fn dotted_version_vector_sets() -> Vec<DottedVersionVectorSet<String>> {
    let mut set = DottedVersionVectorSet::default();
    let mut states = vec![set.clone()];
    set.put(A, &VersionVector::default(), String::new());
    states.push(set.clone());
    set.put(A, &at(A, 1), "a \"name\"".into());
    set.put(B, &at(A, 1), "é".into());
    states.push(set.clone());
    set.discard(&set.context());
    states.push(set);
    states
}

/// What a newer version may add, what is repeated, and what is nothing.
#[test]
fn other_bytes_of_the_same_clocks() {
    let set: DottedVersionVectorSet<u8> =
        serde_json::from_str(&format!(r#"{{"{A}":{{"seen":1,"values":[1]}},"{B}":{{"seen":0,"values":[]}},"{A}":{{"by":0,"seen":3,"values":[2]}}}}"#)).unwrap();
    assert_eq!(serde_json::to_string(&set).unwrap(), format!(r#"{{"{A}":{{"seen":3,"values":[2]}}}}"#));
    let vector: VersionVector = serde_json::from_str(&format!(r#"{{"{A}":3,"{B}":0,"{A}":2}}"#)).unwrap();
    assert_eq!(vector, at(A, 3));
    let clock: IntervalTreeClock = serde_json::from_str(r#""((1,1),(0,2,2))""#).unwrap();
    assert_eq!(clock.to_string(), "(1,2)");
}

#[test]
fn values_without_events_are_refused() {
    let json = format!(r#"{{"{A}":{{"seen":1,"values":[1,2]}}}}"#);
    let error = serde_json::from_str::<DottedVersionVectorSet<u8>>(&json).unwrap_err().to_string();
    assert!(error.starts_with("2 values of 1 events"), "{error}");
}

/// The sizes that the pages of the clocks give.
#[test]
fn costs() {
    fn json<T: serde::Serialize>(state: &T) -> usize {
        serde_json::to_vec(state).unwrap().len()
    }
    let numbers = [ReplicaId::from_u128(1), ReplicaId::from_u128(2), ReplicaId::from_u128(3)];
    let vector: VersionVector = numbers.into_iter().map(|replica| Dot { replica, counter: 7 }).collect();
    // The braces have a byte more than the commas.
    assert_eq!(json(&vector), 1 + 3 * 37);
    let mut set = DottedVersionVectorSet::<u8>::default();
    set.discard(&vector);
    assert_eq!(json(&set), 1 + 3 * 58);
    assert_eq!((json(&Lamport::at(7)), json(&Lamport::MAX), size_of::<Lamport>()), (1, 20, 8));
    // Four that forked evenly and had an event each, and then heard of all.
    let mut clocks = vec![IntervalTreeClock::seed()];
    for nth in [0, 0, 1] {
        let right = clocks[nth].fork().unwrap();
        clocks.push(right);
    }
    for clock in &mut clocks {
        clock.event().unwrap();
    }
    let seen: Vec<IntervalTreeClock> = clocks.iter().map(IntervalTreeClock::peek).collect();
    for clock in &mut clocks {
        for other in &seen {
            clock.join(other.clone());
        }
        assert_eq!((clock.to_bits().0.len(), clock.to_string().len()), (2, 13), "{clock}");
    }
    assert_eq!(IntervalTreeClock::seed().to_bits().1, 7);
    assert_eq!(size_of::<EventTree>(), 16);
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
