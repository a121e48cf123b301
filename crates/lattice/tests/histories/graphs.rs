//! What points where.

use crate::common::history::{Logged, Writer};
use antiphon_lattice::{Dag, PartialOrder, Stamp, TwoPhaseGraph};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

histories! {
    dag: Dag<Stamp>, by Vec<u8>, vec(any::<u8>(), 0..3), |state, to, writer| reply(state, &to, writer),
        answers |state| state.view().walk().map(|(depth, vertex)| (depth, *vertex)).collect(), as would threads;

    two_phase_graph: TwoPhaseGraph<u8>, by (u8, u8, u8), (0_u8..5, 0_u8..3, 0_u8..3), rebuild,
        answers |state| (state.vertices().copied().collect(), state.edges().map(|(from, to)| (*from, *to)).collect()),
        as would rebuilt;

    partial_order: PartialOrder<Stamp>, by (u8, u8, bool), (any::<u8>(), any::<u8>(), prop::bool::weighted(0.75)), place,
        answers |state| {
            let listed: Vec<Stamp> = state.iter().copied().collect();
            let pairs = listed.iter().flat_map(|one| listed.iter().map(move |other| (*one, *other)));
            (listed.iter().copied().collect(), pairs.filter(|(one, other)| state.is_before(one, other)).collect())
        },
        as would placed;
}

/// Answers as many of those that are shown at the writer as there are numbers, the least of them first.
fn reply(state: &mut Dag<Stamp>, to: &[u8], writer: &mut Writer) -> Dag<Stamp> {
    let view = state.view();
    let mut shown: Vec<Stamp> = view.walk().map(|(_, vertex)| *vertex).collect();
    shown.sort_unstable();
    let parents = chosen(&shown, to);
    state.add(writer.mint(None), parents).unwrap_or_default()
}

fn chosen<T: Ord + Copy>(from: &[T], numbers: &[u8]) -> BTreeSet<T> {
    numbers
        .iter()
        .filter(|_| !from.is_empty())
        .map(|number| from[usize::from(*number) % from.len()])
        .collect()
}

/// What each line answered, from what the writer had seen whole; then the threads, by plain recursion.
fn threads(log: &[Logged<Vec<u8>>]) -> Vec<(usize, Stamp)> {
    let mut parents: BTreeMap<Stamp, BTreeSet<Stamp>> = BTreeMap::new();
    for line in log {
        let seen: BTreeSet<Stamp> = line.saw.iter().map(|nth| log[*nth].stamp).collect();
        let shown: Vec<Stamp> =
            seen.iter().filter(|vertex| is_whole(**vertex, &seen, &parents)).copied().collect();
        parents.insert(line.stamp, chosen(&shown, &line.op));
    }
    let mut walked = Vec::new();
    for root in parents.keys().filter(|vertex| parents[vertex].is_empty()) {
        show(*root, 0, &parents, &mut walked);
    }
    walked
}

fn is_whole(vertex: Stamp, seen: &BTreeSet<Stamp>, parents: &BTreeMap<Stamp, BTreeSet<Stamp>>) -> bool {
    seen.contains(&vertex) && parents[&vertex].iter().all(|parent| is_whole(*parent, seen, parents))
}

fn show(
    vertex: Stamp,
    depth: usize,
    parents: &BTreeMap<Stamp, BTreeSet<Stamp>>,
    walked: &mut Vec<(usize, Stamp)>,
) {
    if walked.iter().all(|(_, shown)| *shown != vertex) {
        walked.push((depth, vertex));
        for child in parents.keys().filter(|child| parents[child].contains(&vertex)) {
            show(*child, depth + 1, parents, walked);
        }
    }
}

fn rebuild(
    graph: &mut TwoPhaseGraph<u8>,
    (what, from, to): (u8, u8, u8),
    _: &mut Writer,
) -> TwoPhaseGraph<u8> {
    let done = match what {
        0 => graph.add_vertex(from),
        1 | 2 => graph.add_edge(from, to),
        3 => graph.remove_vertex(from),
        _ => graph.remove_edge(from, to),
    };
    done.unwrap_or_default()
}

type Drawn = (BTreeSet<u8>, BTreeSet<(u8, u8)>);

/// Four plain sets: what came and what left, of vertices and of edges.
fn rebuilt(log: &[Logged<(u8, u8, u8)>]) -> Drawn {
    let mut done: Vec<bool> = Vec::new();
    let drawn = |lines: &mut dyn Iterator<Item = usize>, done: &[bool]| -> (Drawn, Drawn) {
        let ops: Vec<_> = lines.filter(|nth| done[*nth]).map(|nth| log[nth].op).collect();
        let vertices =
            |what: u8| ops.iter().filter(|op| op.0 == what).map(|op| op.1).collect::<BTreeSet<u8>>();
        let edges = |what: &[u8]| {
            ops.iter().filter(|op| what.contains(&op.0)).map(|op| (op.1, op.2)).collect::<BTreeSet<_>>()
        };
        let there = &vertices(0) - &vertices(3);
        let mut joining = &edges(&[1, 2]) - &edges(&[4]);
        joining.retain(|(from, to)| there.contains(from) && there.contains(to));
        ((there, joining), (vertices(3), edges(&[4])))
    };
    for line in log {
        let ((vertices, edges), (gone, edges_gone)) = drawn(&mut line.saw.iter().copied(), &done);
        let (what, from, to) = line.op;
        done.push(match what {
            0 => !gone.contains(&from),
            1 | 2 => vertices.contains(&from) && vertices.contains(&to) && !edges_gone.contains(&(from, to)),
            3 => vertices.contains(&from) && edges.iter().all(|(one, other)| *one != from && *other != from),
            _ => edges.contains(&(from, to)),
        });
    }
    drawn(&mut (0..log.len()), &done).0
}

/// Removes an element that is there, or puts a new one between two that are, or behind the one if they are in no order.
fn place(order: &mut PartialOrder<Stamp>, op: (u8, u8, bool), writer: &mut Writer) -> PartialOrder<Stamp> {
    let mut there: Vec<Stamp> = order.iter().copied().collect();
    there.sort_unstable();
    let (after, before) = (end(&there, op.0), end(&there, op.1));
    if !op.2 {
        return after.and_then(|element| order.remove(element)).unwrap_or_default();
    }
    let is_between = after.zip(before).is_none_or(|(after, before)| order.is_before(&after, &before));
    let before = before.filter(|_| is_between);
    order.add_between(after.as_ref(), writer.mint(None), before.as_ref()).unwrap_or_default()
}

/// One of them, or nothing, which is the beginning or the end.
fn end(there: &[Stamp], number: u8) -> Option<Stamp> {
    there.get(usize::from(number) % (there.len() + 1)).copied()
}

type Placed = (BTreeSet<Stamp>, BTreeSet<(Stamp, Stamp)>);

/// All pairs, closed under "and therefore before" by trying until nothing is added.
fn placed(log: &[Logged<(u8, u8, bool)>]) -> Placed {
    /// What a line did: the pairs that it put into order, or the element that it removed.
    enum Did {
        Put(Vec<(Stamp, Stamp)>),
        Removed(Option<Stamp>),
    }
    let mut did: Vec<Did> = Vec::new();
    let known = |lines: &BTreeSet<usize>, did: &[Did]| -> Placed {
        let (mut there, mut pairs) = (BTreeSet::new(), BTreeSet::new());
        for nth in lines {
            if let Did::Put(edges) = &did[*nth] {
                there.insert(log[*nth].stamp);
                pairs.extend(edges);
            }
        }
        loop {
            let longer: BTreeSet<(Stamp, Stamp)> = pairs
                .iter()
                .flat_map(|(a, b)| {
                    pairs
                        .range((*b, Stamp::default())..)
                        .take_while(move |(c, _)| b == c)
                        .map(move |(_, d)| (*a, *d))
                })
                .filter(|pair| !pairs.contains(pair))
                .collect();
            if longer.is_empty() {
                break;
            }
            pairs.extend(longer);
        }
        for nth in lines {
            if let Did::Removed(Some(element)) = &did[*nth] {
                there.remove(element);
            }
        }
        pairs.retain(|(a, b)| there.contains(a) && there.contains(b));
        (there, pairs)
    };
    for line in log {
        let (there, pairs) = known(&line.saw, &did);
        let there: Vec<Stamp> = there.into_iter().collect();
        let (after, before) = (end(&there, line.op.0), end(&there, line.op.1));
        let is_between = after.zip(before).is_none_or(|pair| pairs.contains(&pair));
        let before = before.filter(|_| is_between);
        let edges = after
            .map(|after| (after, line.stamp))
            .into_iter()
            .chain(before.map(|before| (line.stamp, before)));
        did.push(if line.op.2 { Did::Put(edges.collect()) } else { Did::Removed(after) });
    }
    known(&(0..log.len()).collect(), &did)
}
