//! cola: it keeps where characters are, not which; the text is the caller's, in a rope for example.

use super::{Trace, checked};
use crate::harness::{Contender, timed};
use cola::{Deletion, Insertion, Replica};
use jumprope::JumpRope;

enum Edit<'t> {
    Insert(Insertion, &'t str),
    Delete(Deletion),
}

fn edit<'t>(replica: &mut Replica, trace: &'t Trace, mut keep: impl FnMut(Edit<'t>)) {
    for (at, deleted, inserted) in &trace.patches {
        if *deleted > 0 {
            keep(Edit::Delete(replica.deleted(*at..*at + *deleted)));
        }
        if !inserted.is_empty() {
            keep(Edit::Insert(replica.inserted(*at, inserted.len()), inserted));
        }
    }
}

fn integrate(
    replica: &mut Replica,
    edits: &[Edit<'_>],
    mut on_insert: impl FnMut(usize, &str),
    mut on_delete: impl FnMut(std::ops::Range<usize>),
) {
    for edit in edits {
        match edit {
            Edit::Insert(insertion, text) => {
                if let Some(at) = replica.integrate_insertion(insertion) {
                    on_insert(at, text);
                }
            }
            // The ranges are of one moment: the last first, none moves another.
            Edit::Delete(deletion) => {
                replica.integrate_deletion(deletion).into_iter().rev().for_each(&mut on_delete);
            }
        }
    }
}

/// Another replica: of the same text, which was empty when the writer began.
fn reader() -> Replica {
    Replica::new(1, 0).fork(2)
}

fn edits(trace: &Trace) -> Vec<Edit<'_>> {
    let mut edits = Vec::with_capacity(trace.patches.len());
    edit(&mut Replica::new(1, 0), trace, |edit| edits.push(edit));
    edits
}

pub(super) fn local(trace: &Trace) -> Vec<Contender<'_>> {
    let bare = Contender {
        name: "cola",
        does: "positions only, no text",
        sample: Box::new(|| {
            let mut replica = Replica::new(1, 0);
            let ((), took) = timed(|| edit(&mut replica, trace, |edit| drop(std::hint::black_box(edit))));
            if replica.len() == trace.end.len() {
                Ok(took)
            } else {
                Err("it came to another length".to_owned())
            }
        }),
    };
    let rope = Contender {
        name: "cola + jumprope",
        does: "positions, and the text in a rope",
        sample: Box::new(|| {
            checked(
                trace,
                || {
                    let (mut replica, mut rope) = (Replica::new(1, 0), JumpRope::new());
                    for (at, deleted, inserted) in &trace.patches {
                        if *deleted > 0 {
                            std::hint::black_box(replica.deleted(*at..*at + *deleted));
                            rope.remove(*at..*at + *deleted);
                        }
                        if !inserted.is_empty() {
                            std::hint::black_box(replica.inserted(*at, inserted.len()));
                            rope.insert(*at, inserted);
                        }
                    }
                    (replica, rope)
                },
                |(_, rope)| rope.to_string(),
            )
        }),
    };
    vec![bare, rope]
}

pub(super) fn remote(trace: &Trace) -> Vec<Contender<'_>> {
    let (edits, same) = (edits(trace), edits(trace));
    let bare = Contender {
        name: "cola",
        does: "one edit in memory a patch; positions only, no text",
        sample: Box::new(move || {
            let mut replica = reader();
            let ((), took) = timed(|| integrate(&mut replica, &edits, |_, _| {}, drop));
            if replica.len() == trace.end.len() {
                Ok(took)
            } else {
                Err("it came to another length".to_owned())
            }
        }),
    };
    let rope = Contender {
        name: "cola + jumprope",
        does: "one edit in memory a patch; positions, and the text in a rope",
        sample: Box::new(move || {
            checked(
                trace,
                || {
                    let (mut replica, rope) = (reader(), std::cell::RefCell::new(JumpRope::new()));
                    integrate(
                        &mut replica,
                        &same,
                        |at, text| rope.borrow_mut().insert(at, text),
                        |range| rope.borrow_mut().remove(range),
                    );
                    (replica, rope)
                },
                |(_, rope)| rope.borrow().to_string(),
            )
        }),
    };
    vec![bare, rope]
}
