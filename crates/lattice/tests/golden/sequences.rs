//! In which order.

#![expect(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use crate::{A, B, EARLY, LATE};
use antiphon_lattice::{Arrangement, Bias, Cursor, Lattice, Sequence, Text};

golden! {
    sequence: Sequence<String> = sequences();
    text: Text = texts();
    cursor: Cursor = cursors();
    arrangement: Arrangement<String> = arrangements();
}

/// Nothing, a list of runs of two replicas, a delta of each kind, and one that waits.
fn sequences() -> Vec<Sequence<String>> {
    let words = |words: &str| words.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let mut list = Sequence::default();
    list.insert(A, 0, words("one two three four")).unwrap();
    let inserted = list.insert(B, 2, words("é \"")).unwrap();
    let removed = list.remove(1..4).unwrap();
    let appended = list.insert(B, 3, words("five")).unwrap();
    let waits = appended.clone().joined(inserted.clone());
    vec![Sequence::default(), list, inserted, removed, appended, waits]
}

fn texts() -> Vec<Text> {
    let mut text = Text::default();
    text.insert(A, 0, "a \"text\"\n").unwrap();
    let delta = text.splice(B, 3..7, "😀é").unwrap();
    vec![Text::default(), text, delta]
}

fn cursors() -> Vec<Cursor> {
    let mut text = Text::default();
    text.insert(A, 0, "ab").unwrap();
    [(0, Bias::Left), (1, Bias::Left), (1, Bias::Right), (2, Bias::Right)]
        .map(|(at, bias)| text.cursor(at, bias).unwrap())
        .into()
}

fn arrangements() -> Vec<Arrangement<String>> {
    let mut order = Arrangement::default();
    order.move_to(A, EARLY, "one".to_owned(), 0).unwrap();
    order.move_to(A, EARLY, "two".to_owned(), 1).unwrap();
    let moved = order.move_to(B, LATE, "one".to_owned(), 1).unwrap();
    let gone = order.remove(LATE, "two".to_owned());
    vec![Arrangement::default(), order, moved, gone]
}
