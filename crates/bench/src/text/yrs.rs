//! yrs: the Rust port of Yjs, a document of shared types, of which this is one text.

use super::{Trace, checked};
use crate::harness::Contender;
use yrs::updates::decoder::Decode;
use yrs::{Doc, GetString, ReadTxn, StateVector, Text, TextRef, Transact, TransactionMut, Update};

fn patch(text: &TextRef, txn: &mut TransactionMut<'_>, (at, deleted, inserted): &(usize, usize, String)) {
    // The trace is far shorter than this.
    let place = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    if *deleted > 0 {
        text.remove_range(txn, place(*at), place(*deleted));
    }
    if !inserted.is_empty() {
        text.insert(txn, place(*at), inserted);
    }
}

fn apply(doc: &Doc, update: &[u8]) {
    // What does not decode shows in the text that is checked.
    Update::decode_v1(update).ok().and_then(|update| doc.transact_mut().apply_update(update).ok());
}

fn content(doc: &Doc) -> String {
    let text = doc.get_or_insert_text("text");
    text.get_string(&doc.transact())
}

pub(super) fn local(trace: &Trace) -> Contender<'_> {
    Contender {
        name: "yrs",
        // One transaction for the whole session takes far longer: an edit looks for its place among all of it.
        does: "a transaction a patch",
        sample: Box::new(|| {
            checked(
                trace,
                || {
                    let doc = Doc::with_client_id(1);
                    let text = doc.get_or_insert_text("text");
                    for edit in &trace.patches {
                        patch(&text, &mut doc.transact_mut(), edit);
                    }
                    doc
                },
                content,
            )
        }),
    }
}

pub(super) fn remote(trace: &Trace) -> Contender<'_> {
    let source = Doc::with_client_id(1);
    let text = source.get_or_insert_text("text");
    let mut updates = Vec::with_capacity(trace.patches.len());
    for edit in &trace.patches {
        let mut txn = source.transact_mut();
        patch(&text, &mut txn, edit);
        updates.push(txn.encode_update_v1());
    }
    Contender {
        name: "yrs",
        does: "one encoded update (v1) a patch, decoded and applied one by one",
        sample: Box::new(move || {
            checked(
                trace,
                || {
                    let doc = Doc::with_client_id(2);
                    for update in &updates {
                        apply(&doc, update);
                    }
                    doc
                },
                content,
            )
        }),
    }
}

pub(super) fn at_once(trace: &Trace) -> Contender<'_> {
    let source = Doc::with_client_id(1);
    let text = source.get_or_insert_text("text");
    // One transaction would be one long search for the places; the state is the same.
    for edit in &trace.patches {
        patch(&text, &mut source.transact_mut(), edit);
    }
    let whole = source.transact().encode_state_as_update_v1(&StateVector::default());
    Contender {
        name: "yrs",
        does: "the state as one update (v1), without what was deleted; decoded and applied",
        sample: Box::new(move || {
            checked(
                trace,
                || {
                    let doc = Doc::with_client_id(2);
                    apply(&doc, &whole);
                    doc
                },
                content,
            )
        }),
    }
}
