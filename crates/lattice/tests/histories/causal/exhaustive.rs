//! All small histories of two replicas, and every order in which their deltas may arrive.

use super::*;
use crate::common::replica;
use antiphon_lattice::{Lattice, Stamp};
use std::fmt::Debug;

struct World<'a, L, Op, Answer> {
    ops: &'a [Op],
    mutate: fn(&mut L, Op, ReplicaId) -> L,
    answer: fn(&L) -> Answer,
    model: fn(&[Logged<Op>]) -> Answer,
    histories: usize,
}

/// The two replicas, the lines that reached each, and the log with its deltas.
#[derive(Clone)]
struct Now<L, Op> {
    states: [L; 2],
    lines: [BTreeSet<usize>; 2],
    log: Vec<Logged<Op>>,
    deltas: Vec<L>,
}

impl<L: Lattice + Debug, Op: Copy + Debug, Answer: PartialEq + Debug> World<'_, L, Op, Answer> {
    /// Goes on in every way: one replica receives any of the other's deltas that it lacks, and writes.
    fn go_on(&mut self, now: &Now<L, Op>, writes: usize) {
        self.check(now);
        if writes == 0 {
            return;
        }
        for at in 0..2 {
            let missing: Vec<usize> = (0..now.log.len()).filter(|nth| !now.lines[at].contains(nth)).collect();
            for choice in 0..1_usize << missing.len() {
                let mut heard = now.clone();
                for (nth, line) in missing.iter().enumerate().filter(|(nth, _)| choice >> nth & 1 == 1) {
                    assert!(nth < missing.len());
                    heard.states[at].join(now.deltas[*line].clone());
                    heard.lines[at].insert(*line);
                }
                for &op in self.ops {
                    self.go_on(&self.written(heard.clone(), at, op), writes - 1);
                }
            }
        }
    }

    fn written(&self, mut now: Now<L, Op>, at: usize, op: Op) -> Now<L, Op> {
        let by = replica(u8::try_from(at).expect("two replicas") + 1);
        let before = now.states[at].clone();
        let delta = (self.mutate)(&mut now.states[at], op, by);
        assert_eq!(before.joined(delta.clone()), now.states[at], "the delta says what the mutator did");
        now.log.push(Logged { op, by, stamp: Stamp::default(), saw: now.lines[at].clone() });
        now.lines[at].insert(now.log.len() - 1);
        now.deltas.push(delta);
        now
    }

    fn check(&mut self, now: &Now<L, Op>) {
        self.histories += 1;
        let end = now.states[0].clone().joined(now.states[1].clone());
        assert_eq!((self.answer)(&end), (self.model)(&now.log), "{:?}", now.log);
        every_order(&mut now.deltas.clone(), 0, &mut |deltas| {
            let mut state = L::default();
            for delta in deltas {
                let before = state.clone();
                let news = state.join(delta.clone());
                assert_eq!(news, state != before, "an honest answer");
                assert!(!state.join(delta.clone()) && state.covers(delta), "twice is no news");
                assert!(!state.join(before), "nor is an older state");
            }
            assert_eq!(state, end, "{:?}", now.log);
        });
    }
}

fn every_order<T>(items: &mut [T], from: usize, visit: &mut impl FnMut(&[T])) {
    if from + 1 >= items.len() {
        return visit(items);
    }
    for nth in from..items.len() {
        items.swap(from, nth);
        every_order(items, from + 1, visit);
        items.swap(from, nth);
    }
}

fn all_histories<L: Lattice + Debug, Op: Copy + Debug, Answer: PartialEq + Debug>(
    ops: &[Op],
    writes: usize,
    mutate: fn(&mut L, Op, ReplicaId) -> L,
    answer: fn(&L) -> Answer,
    model: fn(&[Logged<Op>]) -> Answer,
) -> usize {
    let mut world = World { ops, mutate, answer, model, histories: 0 };
    let nothing = L::default;
    let now = Now { states: [nothing(), nothing()], lines: Default::default(), log: vec![], deltas: vec![] };
    world.go_on(&now, writes);
    world.histories
}

const ONE: [Set; 2] = [Set::Insert(0), Set::Remove(0)];

#[test]
fn or_sets_of_one_element() {
    let histories = all_histories(&ONE, 4, on_or_set, |s| s.iter().copied().collect(), or_set_model);
    assert!(histories > 2_000, "{histories}");
}

#[test]
fn or_sets_of_two_elements() {
    let ops = [Set::Insert(0), Set::Insert(1), Set::Remove(0), Set::Clear];
    all_histories(&ops, 3, on_or_set, |s| s.iter().copied().collect(), or_set_model);
}

#[test]
fn remove_wins_sets() {
    all_histories(&ONE, 4, on_remove_wins, |s| s.iter().copied().collect(), remove_wins_model);
    let ops = [Set::Insert(0), Set::Insert(1), Set::Remove(0), Set::Clear];
    all_histories(&ops, 3, on_remove_wins, |s| s.iter().copied().collect(), remove_wins_model);
}

#[test]
fn flags() {
    let ops = [true, false];
    all_histories(&ops, 4, on_enable_wins, EnableWinsFlag::is_enabled, |log| {
        last_of(log, |op| *op, |_| true)
    });
    all_histories(&ops, 4, on_disable_wins, DisableWinsFlag::is_enabled, |log| {
        !last_of(log, |op| !*op, |_| true)
    });
}

#[test]
fn counters() {
    all_histories(&[Some(1), Some(10), None], 3, on_counter, ResetCounter::value, counter_model);
    all_histories(&[Some(1), None], 4, on_counter, ResetCounter::value, counter_model);
}

#[test]
fn registers() {
    all_histories(&[Some(1), Some(2), None], 3, on_register, |s| sorted(s.store().values()), register_model);
}

#[test]
fn counters_in_a_map() {
    let answer = |state: &OrMap<String, Increments>| state.get("0").map_or(0, Increments::value);
    let model = |log: &[Logged<(u8, Option<i64>)>]| counter_model(&of_key(log, 0));
    all_histories(&[(0, Some(1)), (0, None), (1, Some(5))], 3, on_map_of_counters, answer, model);
}

#[test]
fn graphs() {
    let ops = [Graph::Vertex(0), Graph::RemoveVertex(0), Graph::Edge(0, 0), Graph::RemoveEdge(0, 0)];
    all_histories(&ops, 3, on_or_graph, graph_answer, graph_model);
}
