//! What points where.

use crate::any_three;
use antiphon_lattice::{Dag, Lattice, PartialOrder, TwoPhaseGraph};
use proptest::collection::vec;
use proptest::prelude::*;

every_type! {
    dag: Dag<u8>, picked_dags(), any_three(vec((0_u8..5, vec(0_u8..5, 0..3)), 0..4).prop_map(Dag::from_iter));
    two_phase_graph: TwoPhaseGraph<u8>, picked_graphs(), any_three(vec((0_u8..4, 0_u8..3, 0_u8..3), 0..8).prop_map(|steps| {
        let mut graph = TwoPhaseGraph::default();
        for step in steps {
            rebuild(&mut graph, step);
        }
        graph
    }));
    partial_order: PartialOrder<u8>, picked_orders(), any_three(vec((0_u8..8, 0_u8..8, 0_u8..8), 0..8).prop_map(|steps| {
        let mut order = PartialOrder::default();
        for step in steps {
            place(&mut order, step);
        }
        order
    }));
}

/// A root, replies, a merge, and two that point at each other.
fn picked_dags() -> Vec<Dag<u8>> {
    let (root, reply, merge) = (Dag::of(1, []), Dag::of(2, [1]), Dag::of(3, [1, 2]));
    let thread = root.clone().joined(reply.clone()).joined(merge.clone());
    vec![root, reply, merge, thread, Dag::of(1, [2]), Dag::of(2, []), Dag::of(4, [4])]
}

fn rebuild(graph: &mut TwoPhaseGraph<u8>, (what, from, to): (u8, u8, u8)) -> Option<TwoPhaseGraph<u8>> {
    match what {
        0 => graph.add_vertex(from).ok(),
        1 => graph.add_edge(from, to).ok(),
        2 => graph.remove_vertex(from).ok(),
        _ => graph.remove_edge(from, to).ok(),
    }
}

/// The deltas of one history, and where it ends: two vertices, an edge, and all of it gone.
fn picked_graphs() -> Vec<TwoPhaseGraph<u8>> {
    let mut graph = TwoPhaseGraph::default();
    let steps = [(0, 1, 0), (0, 2, 0), (1, 1, 2), (3, 1, 2), (2, 1, 0), (1, 2, 2)];
    let deltas: Vec<_> = steps.into_iter().filter_map(|step| rebuild(&mut graph, step)).collect();
    deltas.into_iter().chain([graph]).collect()
}

/// Puts an element after one and before another, where 0 is the beginning and the end, or removes it.
fn place(order: &mut PartialOrder<u8>, (element, after, before): (u8, u8, u8)) -> Option<PartialOrder<u8>> {
    let end = |number: u8| (number > 0).then_some(number);
    if after == before && after > 0 {
        order.remove(element)
    } else {
        order.add_between(end(after).as_ref(), element, end(before).as_ref()).ok()
    }
}

/// The deltas of one history, and one element in two places, which makes a ring.
fn picked_orders() -> Vec<PartialOrder<u8>> {
    let mut order = PartialOrder::default();
    let steps = [(1, 0, 0), (2, 1, 0), (3, 1, 2), (3, 7, 7)];
    let deltas: Vec<_> = steps.into_iter().filter_map(|step| place(&mut order, step)).collect();
    let mut other = deltas.iter().take(2).cloned().fold(PartialOrder::default(), Lattice::joined);
    let ring = place(&mut other, (4, 2, 0));
    let mut third = deltas.iter().take(2).cloned().fold(PartialOrder::default(), Lattice::joined);
    let half = place(&mut third, (4, 0, 1));
    deltas.into_iter().chain([order]).chain(ring).chain(half).collect()
}
