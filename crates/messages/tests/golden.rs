//! The bytes of every fact, as the first version wrote them. A change here is a change of the published language: old
//! messages wait in queues for weeks, and old versions read new ones.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests, where a panic is the verdict")]

use antiphon_messages::{
    CertifiedKey, CommentId, Fact, Group, KeyId, ParagraphId, PartFact, PartId, PartPlace, PartState,
    Profile, ProfileFact, SigningKeyFact, SigningKeyState, StoryId, TallyFact, TallyKey, UserId, delta_group,
};
use lattice::laws::check_exhaustively;
use lattice::{Epoch, Hlc, Lane, Lattice, Life, Lww, Min, ReplicaId, Stamp, Tally};
use serde_json::Value;

fn stamp(ms: u64, replica: u128) -> Stamp {
    Stamp { hlc: Hlc::new(ms, 1), replica: ReplicaId::from_u128(replica), lane: Lane::default() }
}

fn profiles() -> Vec<Profile> {
    let full = Profile {
        name: Lww::new(stamp(1_700_000_000_000, 7), "Orla \"the\" Reader".into()),
        avatar: Lww::new(stamp(1_700_000_000_001, 7), Some("https://example.org/orla.png".into())),
        ..Profile::default()
    };
    let cleared = Profile { avatar: Lww::new(stamp(1_700_000_000_002, 8), None), ..Profile::default() };
    vec![Profile::default(), full, cleared]
}

fn parts() -> Vec<PartState> {
    let place = |ms, n| PartPlace {
        at: stamp(ms, 7),
        story: StoryId::from_bytes([n; 16]),
        owner: UserId::from_bytes([2; 16]),
    };
    vec![
        PartState::default(),
        PartState { place: Min::of(place(1_700_000_000_000, 1)), ..PartState::default() },
        PartState { place: Min::of(place(1_699_999_999_999, 3)), ..PartState::default() },
        PartState { life: Life::Gone, ..PartState::default() },
    ]
}

fn keys() -> Vec<SigningKeyState> {
    let key = |certificate: &str| CertifiedKey { public_key: "key".into(), certificate: certificate.into() };
    vec![
        SigningKeyState::default(),
        SigningKeyState { key: Min::of(key("a")), ..SigningKeyState::default() },
        SigningKeyState { key: Min::of(key("b")), life: Life::Gone, ..SigningKeyState::default() },
    ]
}

fn tallies() -> Vec<Tally> {
    let tally = |generation, added, removed| Tally {
        epoch: Epoch { generation, owner: ReplicaId::from_u128(7) },
        added,
        removed,
    };
    vec![Tally::default(), tally(0, 50_358, 12), tally(0, 50_359, 11), tally(1, 9, 0)]
}

#[test]
fn every_state_is_a_lattice() {
    check_exhaustively(&profiles()).unwrap();
    check_exhaustively(&parts()).unwrap();
    check_exhaustively(&keys()).unwrap();
    check_exhaustively(&tallies()).unwrap();
}

/// Old bytes read as today's value, and today's value writes the old bytes.
fn golden<F: Fact>(name: &str, states: Vec<F::State>, key: impl Fn(usize) -> F::Key)
where
    F::State: std::fmt::Debug,
{
    let mut joined = F::State::default();
    let mut group = std::collections::BTreeMap::new();
    for (n, state) in states.into_iter().enumerate() {
        group.insert(key(n), state.clone());
        joined.join(state);
    }
    group.insert(key(99), joined);
    let written = serde_json::to_string_pretty(&delta_group::encode::<F>(&group).unwrap()).unwrap() + "\n";
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.json"));
    let golden = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}\n{written}", path.display()));
    assert_eq!(written, golden, "{name}: the bytes of the published language changed");
    let read = delta_group::decode::<F>(&serde_json::from_str(&golden).unwrap()).unwrap();
    assert!(read.refused.is_empty() && read.group == group, "{name}: old bytes read differently");
}

#[test]
fn golden_bytes() {
    let id = |n: usize| [u8::try_from(n).unwrap(); 16];
    golden::<ProfileFact>("profiles", profiles(), |n| UserId::from_bytes(id(n)));
    golden::<PartFact>("parts", parts(), |n| PartId::from_bytes(id(n)));
    golden::<SigningKeyFact>("signing-keys", keys(), |n| KeyId::from_bytes(id(n)));
    golden::<TallyFact>("tallies", tallies(), |n| {
        let (part, other) = (PartId::from_bytes(id(n)), ParagraphId::from_bytes([0xee; 16]));
        let group = match n {
            0 => Group::Paragraph(part, other),
            1 => Group::Replies(CommentId::from_bytes([0xdd; 16])),
            _ => Group::Part(part),
        };
        TallyKey { group, replica: ReplicaId::from_u128(7) }
    });
}

#[test]
fn fields_of_a_newer_version_are_kept_and_joined() {
    let newer = r#"{"name":{"at":"00018bcfe5680001-00000000000000000000000000000007-0000","value":"Orla"},"pronouns":"she"}"#;
    let mut old: Profile = serde_json::from_str(newer).unwrap();
    assert!(!old.unknown.is_empty());
    old.join(profiles().remove(2));
    let written: Value = serde_json::to_value(&old).unwrap();
    assert_eq!(written["pronouns"], "she");
}

#[test]
fn rubbish_is_an_error_that_names_the_key() {
    for (data, says) in [
        ("[]", "not an object"),
        (r#"{"x":{}}"#, "key \"x\""),
        (r#"{"01010101010101010101010101010101":{"name":7}}"#, "state of 01010101010101010101010101010101"),
        (r#"{"01010101010101010101010101010101":{"name":{"at":"yesterday","value":"x"}}}"#, "state of"),
    ] {
        let decoded = delta_group::decode::<ProfileFact>(&serde_json::from_str(data).unwrap());
        let error = decoded.map_or_else(|error| error, |mut decoded| decoded.refused.pop().unwrap());
        assert!(error.to_string().contains(says), "{data}: {error}");
    }
}

#[test]
fn an_entry_that_is_not_understood_holds_back_no_other() {
    let data = r#"{"01010101010101010101010101010101":{"name":7},"02020202020202020202020202020202":{}}"#;
    let decoded = delta_group::decode::<ProfileFact>(&serde_json::from_str(data).unwrap()).unwrap();
    let understood: Vec<_> = decoded.group.into_keys().collect();
    assert_eq!((understood, decoded.refused.len()), (vec![UserId::from_bytes([2; 16])], 1));
}
