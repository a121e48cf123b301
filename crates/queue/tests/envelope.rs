//! The envelope: golden bytes, what is refused, and that decoding undoes encoding.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test, its helpers included, fails by panicking"
)]

use std::collections::BTreeMap;

use antiphon_queue::{ENVELOPE_BYTES_MAX, Envelope, EnvelopeData, EnvelopeError};
use proptest::prelude::*;
use serde_json::{Value, json};

/// What version 1 of this crate wrote. These bytes lie in queues and folders: they decode for ever.
const TALLIES: &[u8] = include_bytes!("golden/tallies.json");
/// What another system, or a later version, may send: unknown attributes, nulls, white space, base64.
const FOREIGN: &[u8] = include_bytes!("golden/foreign.json");

fn tallies() -> Envelope {
    let mut envelope = Envelope::new("7f3a", "/comments/eu-1", "antiphon.tallies").at(1_469_727_000_000);
    envelope.datacontenttype = Some("application/json".to_owned());
    envelope.deployment = Some("d41d8cd98f00b204e9800998ecf8427e".to_owned());
    envelope.data = EnvelopeData::Json(json!({ "part/200": { "added": 50_359, "removed": 1 } }));
    envelope
}

#[test]
fn golden_bytes_are_written_and_read() {
    assert_eq!(
        String::from_utf8(tallies().encode()).unwrap(),
        std::str::from_utf8(TALLIES).unwrap().trim_end()
    );
    let read = Envelope::decode(TALLIES).unwrap();
    assert_eq!(read, tallies());
    assert_eq!(read.time_ms(), Some(1_469_727_000_000));
}

#[test]
fn what_is_unknown_survives_being_written_again() {
    let read = Envelope::decode(FOREIGN).unwrap();
    assert_eq!(read.event_type, "com.example.someevent");
    assert_eq!(read.deployment, None, "events of others have none");
    assert_eq!(read.subject, None, "null is absent");
    assert_eq!(read.data, EnvelopeData::Base64("AP8Q".to_owned()));
    let extensions: BTreeMap<String, Value> = [
        ("partitionkey".to_owned(), json!("p/7")),
        ("sampledrate".to_owned(), json!(-3)),
        ("urgent".to_owned(), json!(true)),
    ]
    .into();
    assert_eq!(read.extensions, extensions);
    assert_eq!(Envelope::decode(&read.encode()).unwrap(), read);
}

fn with(change: impl FnOnce(&mut serde_json::Map<String, Value>)) -> Result<Envelope, EnvelopeError> {
    let mut value: Value = serde_json::from_slice(TALLIES).unwrap();
    change(value.as_object_mut().unwrap());
    Envelope::decode(value.to_string().as_bytes())
}

#[test]
fn refusals_name_the_attribute() {
    for attribute in ["id", "source", "type", "specversion"] {
        let missing = with(|map| drop(map.remove(attribute))).unwrap_err();
        assert!(matches!(missing, EnvelopeError::Missing { attribute: named } if named == attribute));
        for bad in [json!(""), json!(7), json!(["x"])] {
            let error = with(|map| drop(map.insert(attribute.to_owned(), bad.clone()))).unwrap_err();
            let named =
                matches!(&error, EnvelopeError::Invalid { attribute: named, .. } if named == attribute);
            assert!(named, "{attribute} = {bad}: {error}");
        }
        let null = with(|map| drop(map.insert(attribute.to_owned(), Value::Null))).unwrap_err();
        assert!(matches!(null, EnvelopeError::Missing { .. }), "null is absent: {null}");
    }
    for (attribute, bad) in [
        ("specversion", json!("0.3")),
        ("time", json!("yesterday")),
        ("time", json!("")),
        ("subject", json!("")),
        ("datacontenttype", json!(1)),
        ("deployment", json!(false)),
        ("Upper", json!("x")),
        ("with-dash", json!("x")),
        ("", json!("x")),
        ("object", json!({})),
        ("list", json!([])),
        ("fraction", json!(0.5)),
        ("data_base64", json!("AP8Q")),
    ] {
        let error = with(|map| drop(map.insert(attribute.to_owned(), bad.clone()))).unwrap_err();
        assert!(error.to_string().contains(&format!("{attribute:?}")), "{attribute} = {bad}: {error}");
    }
    for bad in [json!("AP8"), json!("A=8Q"), json!("AP 8"), json!(1)] {
        let error = with(|map| {
            map.remove("data");
            map.insert("data_base64".to_owned(), bad.clone());
        });
        assert!(error.unwrap_err().to_string().contains("data_base64"), "{bad}");
    }
}

#[test]
fn what_is_no_object_is_refused() {
    for bytes in [&b""[..], b"{", b"[]", b"7", b"\xff", b"{} {}"] {
        assert!(matches!(Envelope::decode(bytes), Err(EnvelopeError::NotJson(_))), "{bytes:?}");
    }
    let large = vec![b' '; ENVELOPE_BYTES_MAX + 1];
    assert!(matches!(Envelope::decode(&large), Err(EnvelopeError::TooLarge { .. })));
}

#[test]
fn data_that_is_null_is_not_data_that_is_absent() {
    let mut envelope = tallies();
    for data in [EnvelopeData::Json(Value::Null), EnvelopeData::Absent] {
        envelope.data = data;
        assert_eq!(Envelope::decode(&envelope.encode()).unwrap(), envelope);
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map("\\PC{0,8}", inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn any_data() -> impl Strategy<Value = EnvelopeData> {
    prop_oneof![
        Just(EnvelopeData::Absent),
        any_json().prop_map(EnvelopeData::Json),
        "([A-Za-z0-9+/]{4}){0,4}".prop_map(EnvelopeData::Base64),
    ]
}

proptest! {
    #[test]
    fn decoding_undoes_encoding(
        names in ("\\PC{1,20}", "\\PC{1,20}", "\\PC{1,20}"),
        time_ms in proptest::option::of(0..253_402_300_799_999_u64),
        subject in proptest::option::of("\\PC{1,20}"),
        deployment in proptest::option::of("[0-9a-f]{32}"),
        extensions in proptest::collection::btree_map("x[a-z0-9]{0,8}", any::<i32>().prop_map(Value::from), 0..4),
        data in any_data(),
    ) {
        let mut envelope = Envelope::new(names.0, names.1, names.2);
        if let Some(ms) = time_ms {
            envelope = envelope.at(ms);
        }
        envelope = Envelope { subject, deployment, extensions, data, ..envelope };
        envelope.check().unwrap();
        let bytes = envelope.encode();
        let read = Envelope::decode(&bytes).unwrap();
        prop_assert_eq!(read.time_ms(), time_ms);
        prop_assert_eq!(read.encode(), bytes);
        prop_assert_eq!(read, envelope);
    }

    #[test]
    fn decoding_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Envelope::decode(&bytes).is_err());
    }
}
