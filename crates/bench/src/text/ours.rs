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
    let lines: Result<Vec<Vec<u8>>, _> = deltas.iter().map(serde_json::to_vec).collect();
    let lines = lines.map_err(|error| error.to_string())?;
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
    let decoded = Contender {
        name: "antiphon Text (JSON)",
        does: "one delta as JSON a patch, decoded and joined one by one",
        sample: Box::new(move || {
            checked(
                trace,
                || {
                    let mut text = Text::default();
                    for line in &lines {
                        serde_json::from_slice(line).map(|delta| text.join(delta)).ok();
                    }
                    text
                },
                Text::to_string,
            )
        }),
    };
    Ok(vec![each, decoded])
}

pub(super) fn at_once(trace: &Trace) -> Result<Contender<'_>, String> {
    let whole = edit(trace, |_| {}).map_err(|error| error.to_string())?;
    let bytes = serde_json::to_vec(&whole).map_err(|error| error.to_string())?;
    Ok(Contender {
        name: "antiphon Text",
        does: "the state as JSON, decoded and joined",
        sample: Box::new(move || {
            checked(
                trace,
                || {
                    let mut text = Text::default();
                    serde_json::from_slice(&bytes).map(|state| text.join(state)).ok();
                    text
                },
                Text::to_string,
            )
        }),
    })
}
