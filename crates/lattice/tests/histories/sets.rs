//! Which.

use crate::common::history::{Logged, Writer};
use antiphon_lattice::{
    AddWins, Dot, GSet, Life, LwwBias, LwwSet, Map, Pair, PnSet, RemoveWins, TwoPhaseSet, USet,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

histories! {
    life: Life, by (), Just(()), |state, (), _| state.end(),
        answers |state| state.is_gone(), as would |log| !log.is_empty();

    gset: GSet<u8>, by u8, 0_u8..20, |state, op, _| state.insert(op),
        answers |state| state.iter().copied().collect(), as would |log| -> BTreeSet<u8> { log.iter().map(|line| line.op).collect() };

    pair_as_two_phase_set: Pair<GSet<u8>, Map<u8, Life>>, by (u8, bool), (0_u8..6, any::<bool>()),
        |Pair(came, left), (element, comes), _| if comes {
            Pair(came.insert(element), Map::default())
        } else {
            Pair(GSet::default(), left.update(element, Life::end))
        },
        answers |state| state.0.iter().copied().filter(|element| state.1.get(element).is_none()).collect(),
        as would |log| -> BTreeSet<u8> {
            let all = |comes| log.iter().filter(move |line| line.op.1 == comes).map(|line| line.op.0);
            let left: BTreeSet<u8> = all(false).collect();
            all(true).filter(|element| !left.contains(element)).collect()
        };
    two_phase_set: TwoPhaseSet<u8>, by (u8, bool), (0_u8..6, any::<bool>()),
        |state, (element, comes), _| if comes { state.insert(element) } else { state.remove(element).unwrap_or_default() },
        answers |state| state.iter().copied().collect(),
        as would |log| -> BTreeSet<u8> {
            // A removal counts if the writer had seen the element come, and not seen it leave.
            let mut left: BTreeMap<usize, u8> = BTreeMap::new();
            for (nth, line) in log.iter().enumerate().filter(|(_, line)| !line.op.1) {
                let seen = |comes| move |nth: &&usize| log[**nth].op == (line.op.0, comes);
                let has_left = line.saw.iter().filter(seen(false)).any(|nth| left.contains_key(nth));
                if line.saw.iter().any(|nth| seen(true)(&nth)) && !has_left {
                    left.insert(nth, line.op.0);
                }
            }
            let came = log.iter().filter(|line| line.op.1).map(|line| line.op.0);
            came.filter(|element| !left.values().any(|left| left == element)).collect()
        };

    uset: USet<u8>, by Option<u8>, prop_oneof![Just(None), any::<u8>().prop_map(Some)], once,
        answers |state| state.iter().map(|(dot, value)| (*dot, *value)).collect(), as would never_twice;

    lww_set: LwwSet<u8, AddWins>, by (u8, bool), (0_u8..4, any::<bool>()), say,
        answers |state| state.iter().copied().collect(), as would last_words;

    lww_set_remove_wins: LwwSet<u8, RemoveWins>, by (u8, bool), (0_u8..4, any::<bool>()), say,
        answers |state| state.iter().copied().collect(), as would last_words;

    pn_set: PnSet<u8>, by (u8, bool), (0_u8..3, any::<bool>()),
        |state, (element, comes), writer| if comes {
            state.insert(writer.id, element)
        } else {
            state.remove(writer.id, element).unwrap_or_default()
        },
        answers |state| [0, 1, 2].map(|element| state.count(&element)), as would counts;
}

/// Inserts a value under a new dot, or removes the first element that is there.
fn once(state: &mut USet<u8>, op: Option<u8>, writer: &mut Writer) -> USet<u8> {
    if let Some(value) = op {
        let dot = Dot { replica: writer.id, counter: writer.mint(None).hlc.0 };
        state.insert(dot, value).unwrap_or_default()
    } else {
        let first = state.iter().next().map(|(dot, _)| *dot);
        first.and_then(|dot| state.remove(dot)).unwrap_or_default()
    }
}

fn never_twice(log: &[Logged<Option<u8>>]) -> BTreeMap<Dot, u8> {
    let mut left: Vec<Option<Dot>> = Vec::new();
    let there = |lines: &mut dyn Iterator<Item = usize>, left: &[Option<Dot>]| {
        let lines: Vec<usize> = lines.collect();
        let mut there: BTreeMap<Dot, u8> = BTreeMap::new();
        for line in lines.iter().map(|nth| &log[*nth]) {
            there.extend(line.op.map(|value| (Dot { replica: line.by, counter: line.stamp.hlc.0 }, value)));
        }
        there.retain(|dot, _| !lines.iter().any(|nth| left[*nth] == Some(*dot)));
        there
    };
    for line in log {
        let first = there(&mut line.saw.iter().copied(), &left).first_key_value().map(|(dot, _)| *dot);
        left.push(if line.op.is_none() { first } else { None });
    }
    there(&mut (0..log.len()), &left)
}

fn say<B: LwwBias>(
    state: &mut LwwSet<u8, B>,
    (element, comes): (u8, bool),
    writer: &mut Writer,
) -> LwwSet<u8, B> {
    let stamp = writer.mint(state.stamp(&element));
    if comes { state.insert(stamp, element) } else { state.remove(stamp, element) }
}

fn last_words(log: &[Logged<(u8, bool)>]) -> BTreeSet<u8> {
    let last = |element: &u8| log.iter().filter(|line| line.op.0 == *element).max_by_key(|line| line.stamp);
    (0..4).filter(|element| last(element).is_some_and(|line| line.op.1)).collect()
}

/// A number that arrives says all that its writer counted before.
fn counts(log: &[Logged<(u8, bool)>]) -> [i128; 3] {
    let mut moved: Vec<i128> = Vec::new();
    for line in log {
        let tells = |a: usize, b: usize| log[a].by == log[b].by && log[a].op.0 == log[b].op.0;
        let known = |nth: &usize| {
            line.saw.iter().any(|seen| *seen >= *nth && moved[*seen] != 0 && tells(*seen, *nth))
        };
        let of_this = |nth: &usize| log[*nth].op.0 == line.op.0;
        let count: i128 = (0..moved.len()).filter(of_this).filter(known).map(|nth| moved[nth]).sum();
        moved.push(if line.op.1 { 1 } else { -i128::from(count > 0) });
    }
    [0, 1, 2].map(|element| {
        log.iter().zip(&moved).filter(|(line, _)| line.op.0 == element).map(|(_, by)| by).sum()
    })
}
