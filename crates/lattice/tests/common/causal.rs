//! What is done to the causal types, in the laws and in the histories alike.
#![allow(dead_code, clippy::expect_used, reason = "laws and histories each use a part; a test may panic")]

use antiphon_lattice::{
    Causal, DisableWinsFlag, DotFun, DotMap, DotSet, DotStore, DotsExhausted, EnableWinsFlag, Increments,
    OrGraph, OrMap, OrSet, RemoveWinsSet, ReplicaId, ResetCounter,
};
use proptest::option;
use proptest::prelude::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Set {
    Insert(u8),
    Remove(u8),
    Clear,
}

impl Set {
    pub(crate) fn touches(self, element: u8) -> bool {
        matches!(self, Self::Insert(e) | Self::Remove(e) if e == element) || self == Self::Clear
    }
}

pub(crate) fn set_op() -> impl Strategy<Value = Set> {
    prop_oneof![
        5 => (0_u8..4).prop_map(Set::Insert),
        3 => (0_u8..4).prop_map(Set::Remove),
        1 => Just(Set::Clear),
    ]
}

pub(crate) fn on_or_set(set: &mut OrSet<u8>, op: Set, me: ReplicaId) -> OrSet<u8> {
    match op {
        Set::Insert(element) => set.insert(me, element).expect("dots are left"),
        Set::Remove(element) => set.remove(&element),
        Set::Clear => set.clear(),
    }
}

pub(crate) fn on_or_set_of_pairs(
    set: &mut OrSet<(u8, String)>,
    op: Set,
    me: ReplicaId,
) -> OrSet<(u8, String)> {
    let of = |element: u8| (element, format!("a \"{element}\" é"));
    match op {
        Set::Insert(element) => set.insert(me, of(element)).expect("dots are left"),
        Set::Remove(element) => set.remove(&of(element)),
        Set::Clear => set.clear(),
    }
}

pub(crate) fn on_remove_wins(set: &mut RemoveWinsSet<u8>, op: Set, me: ReplicaId) -> RemoveWinsSet<u8> {
    let delta = match op {
        Set::Insert(element) => set.insert(me, element),
        Set::Remove(element) => set.remove(me, element),
        Set::Clear => set.clear(me),
    };
    delta.expect("dots are left")
}

pub(crate) fn on_flag(state: &mut Causal<DotSet>, on: bool, me: ReplicaId) -> Causal<DotSet> {
    let store = state.store();
    let delta = if on { store.renew_delta(state.context(), me) } else { Ok(store.clear_delta()) };
    state.apply(delta.expect("dots are left"))
}

pub(crate) fn on_enable_wins(flag: &mut EnableWinsFlag, on: bool, me: ReplicaId) -> EnableWinsFlag {
    if on { flag.enable(me).expect("dots are left") } else { flag.disable() }
}

pub(crate) fn on_disable_wins(flag: &mut DisableWinsFlag, on: bool, me: ReplicaId) -> DisableWinsFlag {
    if on { flag.enable() } else { flag.disable(me).expect("dots are left") }
}

/// A value that is written, or none to clear the register.
pub(crate) fn register_op() -> impl Strategy<Value = Option<u8>> {
    option::weighted(0.8, 0_u8..4)
}

pub(crate) fn on_register(
    state: &mut Causal<DotFun<u8>>,
    op: Option<u8>,
    me: ReplicaId,
) -> Causal<DotFun<u8>> {
    let delta = op.map_or_else(
        || Ok(state.store().clear_delta()),
        |value| state.store().write_delta(state.context(), me, value),
    );
    state.apply(delta.expect("dots are left"))
}

/// An amount to add, or none to reset.
pub(crate) fn counter_op() -> impl Strategy<Value = Option<i64>> {
    option::weighted(0.8, prop_oneof![3 => Just(1_i64), 2 => -3_i64..4])
}

pub(crate) fn on_counter(counter: &mut ResetCounter, op: Option<i64>, me: ReplicaId) -> ResetCounter {
    match op {
        Some(amount) => counter.add(me, amount).expect("dots are left"),
        None => counter.reset(),
    }
}

pub(crate) fn keyed<Op: std::fmt::Debug>(op: impl Strategy<Value = Op>) -> impl Strategy<Value = (u8, Op)> {
    (0_u8..4, op)
}

/// Under the key's number as a text. A reset removes the key.
pub(crate) fn on_map_of_counters(
    map: &mut OrMap<String, Increments>,
    (key, op): (u8, Option<i64>),
    me: ReplicaId,
) -> OrMap<String, Increments> {
    let key = key.to_string();
    match op {
        Some(amount) => {
            map.update(key, |counter, seen| counter.add_delta(seen, me, amount)).expect("dots are left")
        }
        None => map.remove(&key),
    }
}

/// Clearing goes through the store here, so that both ways to empty a key are tried.
pub(crate) fn on_map_of_registers(
    map: &mut OrMap<u8, DotFun<u8>>,
    (key, op): (u8, Option<u8>),
    me: ReplicaId,
) -> OrMap<u8, DotFun<u8>> {
    map.update(key, |register, seen| {
        op.map_or_else(|| Ok(register.clear_delta()), |value| register.write_delta(seen, me, value))
    })
    .expect("dots are left")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nested {
    Insert(u8, u8),
    Remove(u8, u8),
    RemoveKey(u8),
    Clear,
}

impl Nested {
    pub(crate) fn touches(self, key: u8, element: u8) -> bool {
        match self {
            Self::Insert(k, e) | Self::Remove(k, e) => (k, e) == (key, element),
            Self::RemoveKey(k) => k == key,
            Self::Clear => true,
        }
    }
}

pub(crate) fn nested_op() -> impl Strategy<Value = Nested> {
    let both = || (0_u8..4, 0_u8..4);
    prop_oneof![
        6 => both().prop_map(|(key, element)| Nested::Insert(key, element)),
        2 => both().prop_map(|(key, element)| Nested::Remove(key, element)),
        2 => (0_u8..4).prop_map(Nested::RemoveKey),
        1 => Just(Nested::Clear),
    ]
}

type MapOfSets = OrMap<u8, DotMap<u8, DotSet>>;

pub(crate) fn on_map_of_sets(map: &mut MapOfSets, op: Nested, me: ReplicaId) -> MapOfSets {
    let delta: Result<_, DotsExhausted> = match op {
        Nested::Insert(key, element) => map.update(key, |set, seen| set.insert_delta(seen, me, element)),
        Nested::Remove(key, element) => map.update(key, |set, _| Ok(set.remove_delta(&element))),
        Nested::RemoveKey(key) => Ok(map.remove(&key)),
        Nested::Clear => Ok(map.clear()),
    };
    delta.expect("dots are left")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Graph {
    Vertex(u8),
    RemoveVertex(u8),
    Edge(u8, u8),
    RemoveEdge(u8, u8),
}

pub(crate) fn graph_op() -> impl Strategy<Value = Graph> {
    let both = || (0_u8..4, 0_u8..4);
    prop_oneof![
        4 => (0_u8..4).prop_map(Graph::Vertex),
        2 => (0_u8..4).prop_map(Graph::RemoveVertex),
        4 => both().prop_map(|(a, b)| Graph::Edge(a, b)),
        2 => both().prop_map(|(a, b)| Graph::RemoveEdge(a, b)),
    ]
}

pub(crate) fn on_or_graph(graph: &mut OrGraph<u8>, op: Graph, me: ReplicaId) -> OrGraph<u8> {
    let delta = match op {
        Graph::Vertex(vertex) => graph.add_vertex(me, vertex),
        Graph::RemoveVertex(vertex) => Ok(graph.remove_vertex(&vertex)),
        Graph::Edge(a, b) => graph.add_edge(me, a, b),
        Graph::RemoveEdge(a, b) => Ok(graph.remove_edge(&a, &b)),
    };
    delta.expect("dots are left")
}
