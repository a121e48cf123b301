//! In which order.

#![expect(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use crate::any_three;
use crate::common::history::of_one_history;
use crate::common::{picked_stamps, replica};
use antiphon_lattice::{Arrangement, Lattice, Sequence, Text};
use proptest::collection::vec;
use proptest::prelude::*;

every_type! {
    sequence: Sequence<u8>, picked_sequences(), of_one_history(edit(), edit_sequence);
    sequence_of_any_bytes: Sequence<u8>, vec![], any_three(any_sequence());
    text: Text, picked_texts(), of_one_history(edit(), edit_text);
    arrangement: Arrangement<u8>, picked_arrangements(), of_one_history(order(), arrange);
}

/// Where, how many are removed, how many inserted, and what.
type Edit = (usize, usize, usize, u8);

fn edit() -> impl Strategy<Value = Edit> {
    (0_usize..30, 0_usize..3, 0_usize..4, any::<u8>())
}

fn edit_sequence(
    state: &mut Sequence<u8>,
    edit: Edit,
    writer: &mut crate::common::history::Writer,
) -> Sequence<u8> {
    let (at, removed, inserted, value) = edit;
    let at = at % (state.len() + 1);
    let delta = state.insert(writer.id, at, vec![value; inserted]).expect("it is within");
    let end = (at + inserted + removed).min(state.len());
    delta.joined(state.remove((at + inserted).min(end)..end).expect("it is within"))
}

fn edit_text(state: &mut Text, edit: Edit, writer: &mut crate::common::history::Writer) -> Text {
    let (at, removed, inserted, value) = edit;
    let at = at % (state.len() + 1);
    let end = (at + removed).min(state.len());
    let text: String = "aé\"😀\n".chars().cycle().skip(usize::from(value)).take(inserted).collect();
    state.splice(writer.id, at..end, &text).expect("it is within")
}

fn order() -> impl Strategy<Value = (u8, usize, bool)> {
    (0_u8..5, 0_usize..8, prop::bool::weighted(0.8))
}

fn arrange(
    state: &mut Arrangement<u8>,
    (key, at, stays): (u8, usize, bool),
    writer: &mut crate::common::history::Writer,
) -> Arrangement<u8> {
    let stamp = writer.mint(state.stamp(&key));
    if !stays {
        return state.remove(stamp, key);
    }
    let others = state.len() - usize::from(state.position(&key).is_some());
    state.move_to(writer.id, stamp, key, at % (others + 1)).expect("it is within")
}

/// One id with several contents and places, gone or not, with and without what it hangs on.
fn picked_sequences() -> Vec<Sequence<u8>> {
    let (a, b) = (replica(1), replica(2));
    let mut base = Sequence::default();
    base.insert(a, 0, [1, 2, 3]).unwrap();
    let mut longer = base.clone();
    let behind = longer.insert(a, 3, [4]).unwrap();
    let mut other = base.clone();
    let other_place = other.insert(a, 0, [4]).unwrap();
    let mut gone = longer.clone();
    let only_gone = gone.remove(1..4).unwrap();
    let mut concurrent = base.clone();
    let in_between = concurrent.insert(b, 1, [9, 9]).unwrap();
    let same_ids = Sequence::default().insert(a, 0, [7]).unwrap();
    vec![base, behind, other_place, only_gone, in_between, same_ids, gone]
}

fn picked_texts() -> Vec<Text> {
    let (a, b) = (replica(1), replica(2));
    let mut one = Text::default();
    one.insert(a, 0, "one").unwrap();
    let mut two = one.clone();
    let delta = two.splice(b, 1..3, "😀ff").unwrap();
    vec![one, delta, two, Text::default().insert(a, 0, "two").unwrap()]
}

fn picked_arrangements() -> Vec<Arrangement<u8>> {
    let mut states = vec![];
    for (nth, stamp) in (0_u8..).zip(picked_stamps()) {
        let mut state = Arrangement::default();
        state.move_to(replica(1 + nth % 2), stamp, 0, 0).unwrap();
        let delta =
            state.move_to(replica(1), stamp, nth, 1).or_else(|_| state.move_to(replica(1), stamp, 0, 0));
        states.extend([delta.unwrap(), state]);
    }
    states.push(Arrangement::default().remove(picked_stamps()[1], 0));
    states.truncate(8);
    states
}

/// A state of runs as nobody honest makes them: they overlap, differ, hang on each other or on nothing.
fn any_sequence() -> impl Strategy<Value = Sequence<u8>> {
    let dot = || (0_u64..2, 0_u64..9);
    let place = prop_oneof![
        (0_u64..2, 1_u64..9).prop_map(|(replica, counter)| format!("[{replica},{counter}],")),
        (dot(), dot()).prop_map(|(parent, right)| {
            format!("[[{},{}],[{},{}]],", parent.0, parent.1, right.0, right.1)
        }),
        Just("[[0,0],[0,0]],".to_owned()),
    ];
    let piece = prop_oneof![
        vec(0_u8..3, 1..3).prop_map(|values| format!("{values:?}")),
        prop_oneof![1_u64..4, Just(1 << 60)].prop_map(|gone| gone.to_string()),
    ];
    let there = (0_u64..2, 1_u64..9, place, vec(piece, 1..4)).prop_map(|(replica, start, place, pieces)| {
        format!("[{replica},{start},{place}{}]", pieces.join(","))
    });
    let gone =
        (0_u64..2, 1_u64..9, 1_u64..4).prop_map(|(replica, start, len)| format!("[{replica},{start},{len}]"));
    let run = prop_oneof![3 => there, 1 => gone];
    (vec(run, 0..5), any::<bool>()).prop_filter_map("ids that end", |(runs, indexed)| {
        let ids = format!("[\"{}\",\"{}\"]", replica(1), replica(2));
        let bytes = format!("{{\"sequence\":1,\"replicas\":{ids},\"runs\":[{}]}}", runs.join(","));
        let mut state: Sequence<u8> = serde_json::from_str(&bytes).ok()?;
        if indexed {
            // A mutator that changes nothing: but the state has its tables from now on.
            state.remove(0..0).expect("nothing is within");
        }
        Some(state)
    })
}
