//! What has a byte form beside JSON, or a JSON that no plain struct has.

use lattice::*;
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Debug;

/// One of these, by the first byte. New lines come last, as in [`crate::json`].
const FORMS: &[fn(&[u8])] = &[
    sketch::<4>,
    sketch::<12>,
    stamp,
    json::<CausalMessage<String>>,
    json::<VectorClock>,
    json::<Cursor>,
    edited_sequence,
    edited_text,
];

/// Chooses a form, and has it decode the rest.
pub fn run(data: &[u8]) {
    if let Some((&choice, rest)) = data.split_first() {
        FORMS[usize::from(choice) % FORMS.len()](rest);
    }
}

fn sketch<const P: u8>(data: &[u8]) {
    let Ok(sketch) = HyperLogLog::<P>::from_bytes(data) else { return };
    assert_eq!(HyperLogLog::from_bytes(&sketch.to_bytes()).as_ref(), Ok(&sketch), "to the same");
    let json = serde_json::to_vec(&sketch).expect("a state encodes");
    assert_eq!(serde_json::from_slice::<HyperLogLog<P>>(&json).ok(), Some(sketch.clone()));
    assert_eq!(laws::check_exhaustively(&[HyperLogLog::default(), sketch]), Ok(8));
}

fn stamp(data: &[u8]) {
    if let Ok(bytes) = <[u8; Stamp::BYTES]>::try_from(data) {
        assert_eq!(Stamp::from_bytes(bytes).to_bytes(), bytes, "every 26 bytes are some stamp");
    }
}

fn json<T: Debug + PartialEq + Serialize + DeserializeOwned>(data: &[u8]) {
    if let Ok(value) = serde_json::from_slice::<T>(data) {
        let bytes = serde_json::to_vec(&value).expect("a value encodes");
        assert_eq!(serde_json::from_slice::<T>(&bytes).ok(), Some(value), "to the same");
    }
}

/// The replica that edits what was decoded.
const ME: ReplicaId = ReplicaId::from_u128(1);

/// A sequence from elsewhere is edited as one of ours is: places that are there can be written to and removed.
fn edited_sequence(data: &[u8]) {
    let Ok(mut sequence) = serde_json::from_slice::<Sequence<u8>>(data) else { return };
    let (before, middle) = (sequence.clone(), sequence.len() / 2);
    let mut deltas = Vec::new();
    deltas.extend(sequence.insert(ME, middle, [1, 2]));
    deltas.extend(sequence.remove(0..middle));
    assert_eq!(sequence.iter().count(), sequence.len());
    assert!(
        (0..sequence.len().min(20))
            .all(|at| sequence.id_at(at).and_then(|id| sequence.position(id)) == Some(at))
    );
    let joined = deltas.into_iter().fold(before, Lattice::joined);
    assert_eq!(joined, sequence, "the deltas say what was done");
}

fn edited_text(data: &[u8]) {
    let Ok(mut text) = serde_json::from_slice::<Text>(data) else { return };
    let (before, middle) = (text.clone(), text.len() / 2);
    let mut deltas = Vec::new();
    deltas.extend(text.insert(ME, middle, "é𝄞"));
    deltas.extend(text.remove(0..middle));
    assert_eq!(text.chars().count(), text.len());
    assert_eq!(text.len_utf16(), text.to_utf16(text.len()).unwrap_or(usize::MAX));
    let joined = deltas.into_iter().fold(before, Lattice::joined);
    assert_eq!(joined, text, "the deltas say what was done");
}
