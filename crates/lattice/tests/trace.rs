//! A real editing session, letter by letter: the LaTeX source of a paper, 259,778 edits by one writer, which other
//! libraries measure themselves with as `automerge-paper`.
//!
//! The file is not ours to hand out. Name a copy in `ANTIPHON_TRACE` (gzipped JSON: `txns[].patches[]` of
//! `[position, deleted, inserted]`, and `endContent`), or this test passes it over and says so.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use antiphon_lattice::{Lattice, ReplicaId, Text};
use flate2::read::GzDecoder;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde::Deserialize;
use std::fs::File;

const ME: ReplicaId = ReplicaId::from_u128(0x0198_7a3c_5b1e_7000_8000_0000_0000_000a);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Trace {
    end_content: String,
    txns: Vec<Transaction>,
}

#[derive(Deserialize)]
struct Transaction {
    patches: Vec<(usize, usize, String)>,
}

/// The trace, if there is one.
fn trace() -> Option<Trace> {
    #[expect(clippy::disallowed_methods, reason = "where the file is, only whoever runs the tests knows")]
    let path = std::env::var("ANTIPHON_TRACE");
    let Ok(path) = path else {
        eprintln!("passed over: ANTIPHON_TRACE names no file");
        return None;
    };
    let file = File::open(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    Some(serde_json::from_reader(GzDecoder::new(file)).unwrap_or_else(|error| panic!("{path}: {error}")))
}

fn replay(trace: &Trace) -> (Text, Vec<Text>) {
    let (mut text, mut deltas) = (Text::default(), Vec::new());
    for (at, removed, inserted) in trace.txns.iter().flat_map(|transaction| &transaction.patches) {
        if *removed > 0 {
            deltas.push(text.remove(*at..at + removed).unwrap());
        }
        if !inserted.is_empty() {
            deltas.push(text.insert(ME, *at, inserted).unwrap());
        }
    }
    (text, deltas)
}

/// Replayed here, joined elsewhere delta by delta, in blocks in disorder, and as bytes: always the right text.
#[test]
fn automerge_paper() {
    let Some(trace) = trace() else { return };
    let (here, deltas) = replay(&trace);
    assert_eq!(here.to_string(), trace.end_content);

    let mut there = Text::default();
    assert!(deltas.iter().all(|delta| there.join(delta.clone())), "each is news");
    assert!(there.to_string() == trace.end_content && there == here);
    assert!(!deltas.iter().any(|delta| there.join(delta.clone())), "and again it is not");

    for block in [1_000, 9] {
        let blocks: Vec<&[Text]> = deltas.chunks(block).collect();
        let mut runner = TestRunner::deterministic();
        let blocks = Just(blocks).prop_shuffle().new_tree(&mut runner).unwrap().current();
        let mut text = Text::default();
        blocks.into_iter().flatten().for_each(|delta| assert!(text.join(delta.clone())));
        assert!(text.to_string() == trace.end_content && text == here, "in blocks of {block}");
        assert_eq!(text.waiting(), 0);
    }

    let bytes = serde_json::to_vec(&here).unwrap();
    assert!(serde_json::from_slice::<Text>(&bytes).unwrap() == here);
    assert_eq!(bytes.len(), 272_659, "the size that the page of the type gives");
}
