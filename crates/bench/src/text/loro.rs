//! loro: a document of several kinds of containers, of which this is one text.

use super::{Trace, checked};
use crate::harness::Contender;
use loro::{ExportMode, LoroDoc, LoroResult};

fn document(peer: u64) -> LoroDoc {
    let doc = LoroDoc::new();
    doc.set_peer_id(peer).ok();
    doc
}

fn edit(doc: &LoroDoc, trace: &Trace, mut after: impl FnMut(&LoroDoc)) -> LoroResult<()> {
    let text = doc.get_text("text");
    for (at, deleted, inserted) in &trace.patches {
        if *deleted > 0 {
            text.delete(*at, *deleted)?;
        }
        if !inserted.is_empty() {
            text.insert(*at, inserted)?;
        }
        after(doc);
    }
    doc.commit();
    Ok(())
}

pub(super) fn local(trace: &Trace) -> Contender<'_> {
    Contender {
        name: "loro",
        does: "the log and the text, one commit at the end; nothing for the wire yet",
        sample: Box::new(|| {
            checked(
                trace,
                || {
                    let doc = document(1);
                    edit(&doc, trace, |_| {}).map(|()| doc)
                },
                |doc| doc.as_ref().map(|doc| doc.get_text("text").to_string()).unwrap_or_default(),
            )
        }),
    }
}

pub(super) fn remote(trace: &Trace) -> Result<Contender<'_>, String> {
    let (source, mut updates) = (document(1), Vec::new());
    let mut version = source.oplog_vv();
    edit(&source, trace, |doc| {
        doc.commit();
        updates.push(doc.export(ExportMode::updates(&version)));
        version = doc.oplog_vv();
    })
    .map_err(|error| error.to_string())?;
    let updates = updates.into_iter().collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
    Ok(Contender {
        name: "loro",
        does: "one encoded update a patch, imported one by one",
        sample: Box::new(move || {
            checked(
                trace,
                || {
                    let doc = document(2);
                    for update in &updates {
                        doc.import(update).ok();
                    }
                    doc
                },
                |doc| doc.get_text("text").to_string(),
            )
        }),
    })
}

pub(super) fn at_once(trace: &Trace) -> Result<Contender<'_>, String> {
    let source = document(1);
    edit(&source, trace, |_| {}).map_err(|error| error.to_string())?;
    let whole = source.export(ExportMode::all_updates()).map_err(|error| error.to_string())?;
    Ok(Contender {
        name: "loro",
        does: "all updates as one, imported",
        sample: Box::new(move || {
            checked(
                trace,
                || {
                    let doc = document(2);
                    doc.import(&whole).ok();
                    doc
                },
                |doc| doc.get_text("text").to_string(),
            )
        }),
    })
}
