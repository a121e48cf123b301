//! diamond-types: a log of operations, and a branch with the text in a rope.

use super::{Trace, checked};
use crate::harness::Contender;
use diamond_types::list::ListCRDT;
use diamond_types::list::encoding::{ENCODE_FULL, ENCODE_PATCH};

fn edit(doc: &mut ListCRDT, trace: &Trace, mut after: impl FnMut(&ListCRDT)) {
    let agent = doc.get_or_create_agent_id("a");
    for (at, deleted, inserted) in &trace.patches {
        if *deleted > 0 {
            doc.delete_without_content(agent, *at..*at + *deleted);
        }
        if !inserted.is_empty() {
            doc.insert(agent, *at, inserted);
        }
        after(doc);
    }
}

pub(super) fn local(trace: &Trace) -> Contender<'_> {
    Contender {
        name: "diamond-types",
        does: "the log and the text; nothing for the wire yet",
        sample: Box::new(|| {
            checked(
                trace,
                || {
                    let mut doc = ListCRDT::new();
                    edit(&mut doc, trace, |_| {});
                    doc
                },
                |doc| doc.branch.content().to_string(),
            )
        }),
    }
}

pub(super) fn remote(trace: &Trace) -> Vec<Contender<'_>> {
    let (mut source, mut updates, mut version) = (ListCRDT::new(), Vec::new(), Vec::new());
    edit(&mut source, trace, |doc| {
        updates.push(doc.oplog.encode_from(ENCODE_PATCH, &version));
        version = doc.oplog.local_version_ref().to_vec();
    });
    let each = Contender {
        name: "diamond-types",
        does: "one encoded patch a patch: decoded, and merged into the branch",
        sample: Box::new(move || {
            checked(
                trace,
                || {
                    let mut doc = ListCRDT::new();
                    for update in &updates {
                        doc.merge_data_and_ff(update).ok();
                    }
                    doc
                },
                |doc| doc.branch.content().to_string(),
            )
        }),
    };
    let pushed = Contender {
        name: "diamond-types (in memory)",
        does: "one edit by its position a patch, added to the log and merged into the branch",
        sample: Box::new(move || {
            checked(
                trace,
                || {
                    let mut doc = ListCRDT::new();
                    let agent = doc.get_or_create_agent_id("a");
                    for (at, deleted, inserted) in &trace.patches {
                        let parents = doc.oplog.local_version();
                        if *deleted > 0 {
                            doc.oplog.add_delete_at(agent, &parents, *at..*at + *deleted);
                        }
                        let parents = doc.oplog.local_version();
                        if !inserted.is_empty() {
                            doc.oplog.add_insert_at(agent, &parents, *at, inserted);
                        }
                        doc.branch.merge(&doc.oplog, doc.oplog.local_version_ref());
                    }
                    doc
                },
                |doc| doc.branch.content().to_string(),
            )
        }),
    };
    vec![pushed, each]
}

pub(super) fn at_once(trace: &Trace) -> Contender<'_> {
    let mut source = ListCRDT::new();
    edit(&mut source, trace, |_| {});
    let whole = source.oplog.encode(ENCODE_FULL);
    Contender {
        name: "diamond-types",
        does: "the whole log, what was deleted with it; decoded and merged",
        sample: Box::new(move || {
            checked(
                trace,
                || {
                    let mut doc = ListCRDT::new();
                    doc.merge_data_and_ff(&whole).ok();
                    doc
                },
                |doc| doc.branch.content().to_string(),
            )
        }),
    }
}
