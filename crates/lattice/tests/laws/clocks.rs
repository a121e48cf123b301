//! Who wrote, when, and after what.

use crate::any_three;
use crate::common::replica;
use antiphon_lattice::{Dot, DottedVersionVectorSet, EventTree, Lamport, ReplicaId, VersionVector};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;

every_type! {
    lamport: Lamport, [0, 1, 1, u64::MAX].map(Lamport::at), any_three(any::<u64>().prop_map(Lamport::at));
    version_vector: VersionVector, picked_vectors(), any_three(random_version_vector());
    dotted_version_vector_set: DottedVersionVectorSet<u8>, picked_dvvs(), any_three(random_dvvs());
    event_tree: EventTree, picked_trees(), any_three(random_event_tree());
}

fn at(number: u8, counter: u64) -> VersionVector {
    VersionVector::up_to(Dot { replica: replica(number), counter })
}

fn picked_vectors() -> Vec<VersionVector> {
    let both = [(1, 1), (2, 1)].map(|(number, counter)| Dot { replica: replica(number), counter });
    vec![at(1, 1), at(1, 2), at(2, 1), at(1, u64::MAX), both.into_iter().collect(), at(1, 0)]
}

/// Siblings, discards of one's own and of others', and one dot with two values.
fn picked_dvvs() -> Vec<DottedVersionVectorSet<u8>> {
    let put = |puts: &[(u8, VersionVector, u8)]| {
        let mut set = DottedVersionVectorSet::default();
        for (number, context, value) in puts {
            set.put(replica(*number), context, *value);
        }
        set
    };
    let nothing = VersionVector::default;
    let mut discarded = DottedVersionVectorSet::default();
    discarded.discard(&at(1, 2));
    vec![
        put(&[(1, nothing(), 1)]),
        put(&[(1, nothing(), 2)]),
        put(&[(1, nothing(), 1), (1, nothing(), 3)]),
        put(&[(1, nothing(), 1), (1, at(1, 1), 4)]),
        put(&[(2, at(1, 1), 5)]),
        put(&[(1, at(2, 1), 6), (2, nothing(), 7)]),
        put(&[(1, at(1, 2), 8)]),
        discarded,
    ]
}

fn picked_trees() -> Vec<EventTree> {
    [
        "1",
        "(0,0,1)",
        "(0,1,0)",
        "(0,(0,1,0),1)",
        "(1,0,(2,0,1))",
        "18446744073709551615",
        "(7,0,18446744073709551608)",
    ]
    .map(|text| text.parse().expect("a tree"))
    .into()
}

fn random_version_vector() -> impl Strategy<Value = VersionVector> {
    let counter = prop_oneof![9 => 0_u64..4, 1 => any::<u64>()];
    vec((0_u8..4, counter), 0..5).prop_map(|dots| {
        dots.into_iter().map(|(of, counter)| Dot { replica: replica(of), counter }).collect()
    })
}

/// Any at all: as bytes say it, since the values of one history would never meet with one dot and two values.
pub(crate) fn random_dvvs() -> impl Strategy<Value = DottedVersionVectorSet<u8>> {
    let of_one_replica = (0_u64..4, vec(0_u8..3, 0..4));
    proptest::collection::btree_map(0_u8..3, of_one_replica, 0..4).prop_map(|replicas| {
        let entry = |(of, (replaced, values)): (u8, (u64, Vec<u8>))| {
            let seen = replaced + values.len() as u64;
            (replica(of), serde_json::json!({ "seen": seen, "values": values }))
        };
        let entries: BTreeMap<ReplicaId, _> = replicas.into_iter().map(entry).collect();
        serde_json::from_value(serde_json::json!(entries)).expect("a set")
    })
}

fn random_event_tree() -> impl Strategy<Value = EventTree> {
    let number = || prop_oneof![9 => 0_u64..4, 1 => 0_u64..1 << 60];
    let leaf = number().prop_map(|number| number.to_string());
    let tree = leaf.prop_recursive(4, 16, 2, move |half| {
        (number(), half.clone(), half).prop_map(|(base, left, right)| format!("({base},{left},{right})"))
    });
    tree.prop_map(|text| text.parse().expect("a tree"))
}
