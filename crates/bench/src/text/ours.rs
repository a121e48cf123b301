//! Our text: a state whose deltas are texts.

use super::{Trace, checked};
use crate::harness::Contender;
use antiphon_lattice::{Lattice, ReplicaId, SequenceError, Text};
use std::hint::black_box;

fn edit(trace: &Trace, mut keep: impl FnMut(Text)) -> Result<Text, SequenceError> {
    let (mut text, me) = (Text::default(), ReplicaId::from_u128(1));
    for (at, deleted, inserted) in &trace.patches {
        if *deleted > 0 {
            keep(text.remove(*at..*at + *deleted)?);
        }
        if !inserted.is_empty() {
            keep(text.insert(me, *at, inserted)?);
        }
    }
    Ok(text)
}

pub(super) fn local(trace: &Trace) -> Contender<'_> {
    Contender {
        name: "antiphon Text",
        does: "the text, and the delta of every patch, ready to be sent",
        sample: Box::new(|| {
            checked(
                trace,
                || edit(trace, |delta| drop(black_box(delta))),
                |text| text.as_ref().map(Text::to_string).unwrap_or_default(),
            )
        }),
    }
}

pub(super) fn remote(trace: &Trace) -> Result<Vec<Contender<'_>>, String> {
    let mut deltas = Vec::with_capacity(trace.patches.len());
    edit(trace, |delta| deltas.push(delta)).map_err(|error| error.to_string())?;
    let (json, packed) = (JSON.all(&deltas)?, PACKED.all(&deltas)?);
    let each = Contender {
        name: "antiphon Text",
        does: "one delta in memory a patch, joined one by one; cloned beforehand",
        sample: Box::new(move || {
            let deltas = deltas.clone();
            checked(
                trace,
                || {
                    let mut text = Text::default();
                    for delta in deltas {
                        text.join(delta);
                    }
                    text
                },
                Text::to_string,
            )
        }),
    };
    Ok(vec![
        each,
        decoded(
            trace,
            "antiphon Text (packed)",
            "one packed delta a patch, decoded and joined one by one",
            packed,
            PACKED,
        ),
        decoded(
            trace,
            "antiphon Text (JSON)",
            "one delta as JSON a patch, decoded and joined one by one",
            json,
            JSON,
        ),
    ])
}

pub(super) fn at_once(trace: &Trace) -> Result<Vec<Contender<'_>>, String> {
    let whole = [edit(trace, |_| {}).map_err(|error| error.to_string())?];
    let (json, packed) = (JSON.all(&whole)?, PACKED.all(&whole)?);
    Ok(vec![
        decoded(trace, "antiphon Text (packed)", "the state packed, decoded and joined", packed, PACKED),
        decoded(trace, "antiphon Text (JSON)", "the state as JSON, decoded and joined", json, JSON),
    ])
}

/// A format of the wire.
#[derive(Clone, Copy)]
struct Format {
    encode: fn(&Text) -> Result<Vec<u8>, String>,
    decode: fn(&[u8]) -> Option<Text>,
}

const JSON: Format = Format {
    encode: |text| serde_json::to_vec(text).map_err(|error| error.to_string()),
    decode: |bytes| serde_json::from_slice(bytes).ok(),
};

/// Binary, and not describing itself.
const PACKED: Format = Format {
    encode: |text| postcard::to_allocvec(text).map_err(|error| error.to_string()),
    decode: |bytes| postcard::from_bytes(bytes).ok(),
};

impl Format {
    fn all(self, texts: &[Text]) -> Result<Vec<Vec<u8>>, String> {
        texts.iter().map(self.encode).collect()
    }
}

/// Decodes messages and joins them one by one. One that did not decode would be missing from the text, which is checked.
fn decoded<'a>(
    trace: &'a Trace,
    name: &'static str,
    does: &'static str,
    messages: Vec<Vec<u8>>,
    format: Format,
) -> Contender<'a> {
    let sample = move || {
        checked(
            trace,
            || {
                let mut text = Text::default();
                for state in messages.iter().filter_map(|message| (format.decode)(message)) {
                    text.join(state);
                }
                text
            },
            Text::to_string,
        )
    };
    Contender { name, does, sample: Box::new(sample) }
}
