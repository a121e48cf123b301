//! What was removed after it was seen.

#[path = "../common/causal.rs"]
mod operations;

use crate::common::history::of_one_history;
use crate::common::replica;
use antiphon_lattice::{
    Causal, CausalContext, DisableWinsFlag, Dot, DotFun, DotMap, DotSet, EnableWinsFlag, Increments, Lattice,
    OrGraph, OrMap, OrSet, RemoveWinsSet, ResetCounter,
};
use operations::*;
use proptest::prelude::*;

every_type! {
    causal_context: CausalContext, picked_contexts(), crate::any_three(random_context());
    dot_set: Causal<DotSet>, picked_dot_sets(), of_one_history(any::<bool>(), |s, op, w| on_flag(s, op, w.id));
    dot_fun: Causal<DotFun<u8>>, picked_dot_funs(), of_one_history(register_op(), |s, op, w| on_register(s, op, w.id));
    enable_wins_flag: EnableWinsFlag, after(&[true, false, true], on_enable_wins),
        of_one_history(any::<bool>(), |s, op, w| on_enable_wins(s, op, w.id));
    disable_wins_flag: DisableWinsFlag, after(&[false, true, false], on_disable_wins),
        of_one_history(any::<bool>(), |s, op, w| on_disable_wins(s, op, w.id));
    or_set: OrSet<u8>, picked_or_sets(), of_one_history(set_op(), |s, op, w| on_or_set(s, op, w.id));
    or_set_of_pairs: OrSet<(u8, String)>, vec![], of_one_history(set_op(), |s, op, w| on_or_set_of_pairs(s, op, w.id));
    remove_wins_set: RemoveWinsSet<u8>, after(&[Set::Insert(1), Set::Remove(1), Set::Remove(2), Set::Clear], on_remove_wins),
        of_one_history(set_op(), |s, op, w| on_remove_wins(s, op, w.id));
    reset_counter: ResetCounter, picked_counters(), of_one_history(counter_op(), |s, op, w| on_counter(s, op, w.id));
    map_of_sets: OrMap<u8, DotMap<u8, DotSet>>,
        after(&[Nested::Insert(1, 1), Nested::Insert(1, 2), Nested::Remove(1, 1), Nested::RemoveKey(1)], on_map_of_sets),
        of_one_history(nested_op(), |s, op, w| on_map_of_sets(s, op, w.id));
    map_of_counters: OrMap<String, Increments>, vec![],
        of_one_history(keyed(counter_op()), |s, op, w| on_map_of_counters(s, op, w.id));
    map_of_registers: OrMap<u8, DotFun<u8>>, vec![],
        of_one_history(keyed(register_op()), |s, op, w| on_map_of_registers(s, op, w.id));
    or_graph: OrGraph<u8>,
        after(&[Graph::Vertex(1), Graph::Edge(1, 2), Graph::RemoveVertex(1), Graph::RemoveEdge(1, 2)], on_or_graph),
        of_one_history(graph_op(), |s, op, w| on_or_graph(s, op, w.id));
}

fn dot(id: u8, counter: u64) -> Dot {
    Dot { replica: replica(id), counter }
}

/// What two replicas hold that carry out the operations, each alone, or the second after it has seen the first's.
fn after<L: Lattice, Op: Copy>(
    ops: &[Op],
    mutate: impl Fn(&mut L, Op, antiphon_lattice::ReplicaId) -> L,
) -> Vec<L> {
    let mut states = Vec::new();
    let mut here = L::default();
    for &op in ops {
        let mut there = here.clone();
        states.push(mutate(&mut there, op, replica(2)));
        states.push(mutate(&mut here, op, replica(1)));
        states.push(here.clone());
    }
    states
}

fn picked_contexts() -> Vec<CausalContext> {
    let sets: [&[Dot]; 6] = [
        &[dot(1, 1)],
        &[dot(1, 2)],
        &[dot(1, 1), dot(1, 3), dot(2, 1)],
        &[dot(1, u64::MAX)],
        &[dot(1, u64::MAX - 1), dot(3, 5)],
        &[dot(0, 0)],
    ];
    sets.into_iter().map(|dots| dots.iter().copied().collect()).collect()
}

fn random_context() -> impl Strategy<Value = CausalContext> {
    let few = (0_u8..3, 0_u64..20).prop_map(|(id, counter)| (id, counter, counter + counter % 3));
    let any = (0_u8..3, any::<u64>(), any::<u64>());
    proptest::collection::vec(prop_oneof![9 => few, 1 => any], 0..30).prop_map(|ranges| {
        let mut context = CausalContext::default();
        for (id, first, last) in ranges {
            context.insert_range(replica(id), first, last);
        }
        context
    })
}

/// Every state of two dots: unknown, live, or dead.
fn picked_dot_sets() -> Vec<Causal<DotSet>> {
    every_state(|live| live.iter().copied().collect())
}

/// The same, and one dot with two values.
fn picked_dot_funs() -> Vec<Causal<DotFun<u8>>> {
    let other = Causal::new(DotFun::of(dot(1, 1), 9), CausalContext::of(dot(1, 1))).expect("in its context");
    let fun = |live: &[Dot]| {
        let each =
            live.iter().map(|&dot| Causal::new(DotFun::of(dot, 5), CausalContext::of(dot)).expect("held"));
        each.fold(Causal::default(), Lattice::joined).store().clone()
    };
    every_state(fun).into_iter().chain([other]).collect()
}

fn every_state<S: antiphon_lattice::DotStore>(store: impl Fn(&[Dot]) -> S) -> Vec<Causal<S>> {
    let dots = [dot(1, 1), dot(2, 2)];
    let states = (0..9).map(|n| [n % 3, n / 3]).map(|of| {
        let at_least =
            |least| dots.into_iter().zip(of).filter(move |(_, of)| *of >= least).map(|(dot, _)| dot);
        let live: Vec<Dot> = at_least(1).filter(|dot| !at_least(2).any(|dead| dead == *dot)).collect();
        Causal::new(store(&live), at_least(1).collect()).expect("in their context")
    });
    states.collect()
}

/// One dot at two elements among them: a copied replica.
fn picked_or_sets() -> Vec<OrSet<u8>> {
    let copied = OrSet::default().insert(replica(1), 7).expect("dots are left");
    after(&[Set::Insert(1), Set::Insert(2), Set::Remove(1), Set::Clear], on_or_set)
        .into_iter()
        .chain([copied])
        .collect()
}

/// One dot with two amounts among them.
fn picked_counters() -> Vec<ResetCounter> {
    let copied = ResetCounter::default().add(replica(1), 7).expect("dots are left");
    let ops = [Some(1), Some(1), Some(-2), None, Some(1)];
    after(&ops, on_counter).into_iter().chain([copied]).collect()
}
