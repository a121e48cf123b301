//! What was removed after it was seen.

#![expect(clippy::expect_used, reason = "a test may panic, in its helpers too")]

mod exhaustive;
#[path = "../common/causal.rs"]
mod operations;

use crate::common::history::Logged;
use antiphon_lattice::{
    Causal, CausalContext, DisableWinsFlag, DotFun, DotMap, DotSet, EnableWinsFlag, Increments, Lattice as _,
    OrGraph, OrMap, OrSet, RemoveWinsSet, ReplicaId, ResetCounter, Stamp,
};
use operations::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

histories! {
    causal_context: CausalContext, by (), Just(()), |state, (), writer| {
            let dot = state.next(writer.id).expect("dots are left");
            state.insert(dot);
            CausalContext::of(dot)
        },
        answers |state| state.ranges().collect(),
        as would |log| -> Vec<(ReplicaId, u64, u64)> {
            let mut counts = BTreeMap::new();
            for line in log {
                *counts.entry(line.by).or_insert(0) += 1;
            }
            counts.into_iter().map(|(replica, count)| (replica, 1, count)).collect()
        };

    or_set: OrSet<u8>, by Set, set_op(), |state, op, writer| on_or_set(state, op, writer.id),
        answers |state| state.iter().copied().collect(), as would or_set_model;

    remove_wins_set: RemoveWinsSet<u8>, by Set, set_op(), |state, op, writer| on_remove_wins(state, op, writer.id),
        answers |state| state.iter().copied().collect(), as would remove_wins_model;

    enable_wins_flag: EnableWinsFlag, by bool, any::<bool>(), |state, op, writer| on_enable_wins(state, op, writer.id),
        answers EnableWinsFlag::is_enabled, as would |log| last_of(log, |op| *op, |_| true);

    disable_wins_flag: DisableWinsFlag, by bool, any::<bool>(), |state, op, writer| on_disable_wins(state, op, writer.id),
        answers DisableWinsFlag::is_enabled, as would |log| !last_of(log, |op| !*op, |_| true);

    reset_counter: ResetCounter, by Option<i64>, counter_op(), |state, op, writer| on_counter(state, op, writer.id),
        answers ResetCounter::value, as would counter_model;

    multi_value_register: Causal<DotFun<u8>>, by Option<u8>, register_op(),
        |state, op, writer| on_register(state, op, writer.id),
        answers |state| sorted(state.store().values()), as would register_model;

    map_of_sets: OrMap<u8, DotMap<u8, DotSet>>, by Nested, nested_op(),
        |state, op, writer| on_map_of_sets(state, op, writer.id),
        answers |state| state.iter().map(|(&key, set)| (key, set.keys().copied().collect())).collect(),
        as would |log| -> BTreeMap<u8, BTreeSet<u8>> {
            let mut map = BTreeMap::<u8, BTreeSet<u8>>::new();
            for (key, element) in (0..4).flat_map(|key| (0..4).map(move |element| (key, element))) {
                if last_of(log, |op| *op == Nested::Insert(key, element), |op| op.touches(key, element)) {
                    map.entry(key).or_default().insert(element);
                }
            }
            map
        };

    map_of_counters: OrMap<String, Increments>, by (u8, Option<i64>), keyed(counter_op()),
        |state, op, writer| on_map_of_counters(state, op, writer.id),
        answers |state| state.iter().map(|(key, counter)| (key.clone(), counter.value())).filter(|(_, n)| *n != 0).collect(),
        as would |log| -> BTreeMap<String, i64> {
            let each = (0..4).map(|key| (key.to_string(), counter_model(&of_key(log, key))));
            each.filter(|(_, sum)| *sum != 0).collect()
        };

    map_of_registers: OrMap<u8, DotFun<u8>>, by (u8, Option<u8>), keyed(register_op()),
        |state, op, writer| on_map_of_registers(state, op, writer.id),
        answers |state| state.iter().map(|(&key, register)| (key, sorted(register.values()))).collect(),
        as would |log| -> BTreeMap<u8, Vec<u8>> {
            let each = (0..4).map(|key| (key, register_model(&of_key(log, key))));
            each.filter(|(_, values)| !values.is_empty()).collect()
        };

    or_graph: OrGraph<u8>, by Graph, graph_op(), |state, op, writer| on_or_graph(state, op, writer.id),
        answers graph_answer, as would graph_model;
}

/// The lines that some later line which touches the same thing has seen are superseded. Whether any other is of a kind.
fn last_of<Op>(log: &[Logged<Op>], is: impl Fn(&Op) -> bool, touches: impl Fn(&Op) -> bool) -> bool {
    !latest(log, is, touches).is_empty()
}

/// The lines of a kind that no line which touches the same thing has seen.
fn latest<Op>(log: &[Logged<Op>], is: impl Fn(&Op) -> bool, touches: impl Fn(&Op) -> bool) -> Vec<usize> {
    let superseded: BTreeSet<usize> =
        log.iter().filter(|line| touches(&line.op)).flat_map(|line| line.saw.iter().copied()).collect();
    (0..log.len()).filter(|nth| is(&log[*nth].op) && !superseded.contains(nth)).collect()
}

fn or_set_model(log: &[Logged<Set>]) -> BTreeSet<u8> {
    (0..4).filter(|e| last_of(log, |op| *op == Set::Insert(*e), |op| op.touches(*e))).collect()
}

/// A clear removes what its writer has there, so it must be known what that is: the model of what reached the writer.
fn remove_wins_model(log: &[Logged<Set>]) -> BTreeSet<u8> {
    let mut plain = Vec::new();
    for line in log {
        let told = match line.op {
            Set::Insert(element) => vec![(element, true)],
            Set::Remove(element) => vec![(element, false)],
            Set::Clear => has(&plain, &line.saw).into_iter().map(|element| (element, false)).collect(),
        };
        let replaced = told.iter().flat_map(|(element, _)| last(&plain, &line.saw, *element));
        let replaced = replaced.collect();
        plain.push(Said { told: told.into_iter().collect(), replaced });
    }
    has(&plain, &(0..log.len()).collect())
}

/// What a line says: of which elements, and instead of which lines that its writer had.
///
/// Of a chain of lines that replace each other a reader may have the first and the last, and none between: for that reader
/// both stand. So what a line replaced is what is asked here, and not all that had reached its writer.
struct Said {
    told: BTreeMap<u8, bool>,
    replaced: BTreeSet<(u8, usize)>,
}

/// What the lines say of an element that no other of them replaced.
fn last(said: &[Said], lines: &BTreeSet<usize>, element: u8) -> Vec<(u8, usize)> {
    let speaks = |nth: &&usize| said[**nth].told.contains_key(&element);
    let stands = |nth: &&usize| !lines.iter().any(|later| said[*later].replaced.contains(&(element, **nth)));
    lines.iter().filter(speaks).filter(stands).map(|nth| (element, *nth)).collect()
}

fn has(said: &[Said], lines: &BTreeSet<usize>) -> BTreeSet<u8> {
    let is_in = |element: &u8| {
        let last = last(said, lines, *element);
        !last.is_empty() && last.iter().all(|(element, nth)| said[*nth].told[element])
    };
    (0..4).filter(is_in).collect()
}

/// The first and the last of three lines reach a writer, who clears: for that one the removal stands beside the addition,
/// so the element is not there, and not cleared.
#[test]
fn a_clear_removes_what_its_writer_has_and_not_what_others_had() {
    let (a, b) = (ReplicaId::from_u128(1), ReplicaId::from_u128(2));
    let (mut here, mut there) = (RemoveWinsSet::default(), RemoveWinsSet::default());
    let mut log: Vec<Logged<Set>> = Vec::new();
    for (op, arrives) in [(Set::Remove(0), true), (Set::Remove(0), false), (Set::Insert(0), true)] {
        let delta = on_remove_wins(&mut here, op, a);
        if arrives {
            there.join(delta);
        }
        log.push(Logged { op, by: a, stamp: Stamp::default(), saw: (0..log.len()).collect() });
    }
    assert!(here.contains(&0) && !there.contains(&0));
    here.join(on_remove_wins(&mut there, Set::Clear, b));
    log.push(Logged { op: Set::Clear, by: b, stamp: Stamp::default(), saw: [0, 2].into() });
    assert!(here.contains(&0));
    assert_eq!(remove_wins_model(&log), [0].into());
}

fn counter_model(log: &[Logged<Option<i64>>]) -> i64 {
    latest(log, Option::is_some, Option::is_none).into_iter().filter_map(|nth| log[nth].op).sum()
}

fn register_model(log: &[Logged<Option<u8>>]) -> Vec<u8> {
    let last: Vec<u8> =
        latest(log, Option::is_some, |_| true).into_iter().filter_map(|nth| log[nth].op).collect();
    sorted(last.iter())
}

fn sorted<'a>(values: impl Iterator<Item = &'a u8>) -> Vec<u8> {
    let mut values: Vec<u8> = values.copied().collect();
    values.sort_unstable();
    values
}

/// The lines as one key sees them: lines of other keys count for nothing.
fn of_key<Op: Clone>(log: &[Logged<(u8, Op)>], key: u8) -> Vec<Logged<Op>> {
    let here: Vec<usize> = (0..log.len()).filter(|nth| log[*nth].op.0 == key).collect();
    let place = |nth: usize| here.iter().position(|line| *line == nth);
    let each = here.iter().map(|nth| &log[*nth]);
    each.map(|line| Logged {
        op: line.op.1.clone(),
        by: line.by,
        stamp: line.stamp,
        saw: line.saw.iter().filter_map(|nth| place(*nth)).collect(),
    })
    .collect()
}

type GraphAnswer = (BTreeSet<u8>, BTreeSet<(u8, u8)>, BTreeSet<(u8, u8)>, Vec<Vec<u8>>);

fn graph_answer(graph: &OrGraph<u8>) -> GraphAnswer {
    let copied = |(a, b): (&u8, &u8)| (*a, *b);
    let successors = (0..4).map(|vertex| graph.successors(&vertex).copied().collect()).collect();
    let edges: BTreeSet<(u8, u8)> = graph.edges().map(copied).collect();
    assert!(edges.iter().all(|(a, b)| graph.contains_edge(a, b)));
    (graph.vertices().copied().collect(), edges, graph.dangling().map(copied).collect(), successors)
}

fn graph_model(log: &[Logged<Graph>]) -> GraphAnswer {
    let of_vertex =
        |vertex| move |op: &Graph| matches!(op, Graph::Vertex(v) | Graph::RemoveVertex(v) if *v == vertex);
    let of_edge = |edge| move |op: &Graph| matches!(op, Graph::Edge(a, b) | Graph::RemoveEdge(a, b) if (*a, *b) == edge);
    let vertices: BTreeSet<u8> =
        (0..4).filter(|v| last_of(log, |op| *op == Graph::Vertex(*v), of_vertex(*v))).collect();
    let pairs = (0..4).flat_map(|a| (0..4).map(move |b| (a, b)));
    let all = pairs.filter(|(a, b)| last_of(log, |op| *op == Graph::Edge(*a, *b), of_edge((*a, *b))));
    let (shown, dangling): (BTreeSet<_>, BTreeSet<_>) =
        all.partition(|(a, b)| vertices.contains(a) && vertices.contains(b));
    let successors =
        (0..4).map(|v| shown.iter().filter(|(a, _)| *a == v).map(|(_, b)| *b).collect()).collect();
    (vertices, shown, dangling, successors)
}
