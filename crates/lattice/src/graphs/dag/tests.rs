//! Small graphs whole, and hostile ones.

use super::{Dag, DagError};
use crate::Lattice;

fn walked(dag: &Dag<u8>) -> Vec<(usize, u8)> {
    dag.view().walk().map(|(depth, vertex)| (depth, *vertex)).collect()
}

/// A thread in every order of arrival: the same in the end, and on the way only what hangs on a root.
#[test]
fn replies_in_every_order() {
    let rows = [(1, None), (2, Some(1)), (3, Some(2)), (4, Some(1)), (5, None)];
    let mut orders = 0;
    permute(&mut rows.to_vec(), 0, &mut |order| {
        orders += 1;
        let mut dag = Dag::default();
        for (nth, (vertex, parent)) in order.iter().enumerate() {
            assert!(dag.join(Dag::of(*vertex, *parent)));
            let arrived = &order[..=nth];
            let hangs = |mut vertex: u8| loop {
                match arrived.iter().find(|row| row.0 == vertex) {
                    None => return false,
                    Some((_, None)) => return true,
                    Some((_, Some(parent))) => vertex = *parent,
                }
            };
            let view = dag.view();
            for vertex in 0..7 {
                assert_eq!(view.contains(&vertex), hangs(vertex), "{vertex} of {arrived:?}");
                assert_eq!(dag.contains(&vertex), hangs(vertex), "{vertex} of {arrived:?}");
            }
            assert_eq!(view.len() + view.masked().count(), nth + 1);
            assert_eq!(view.walk().count(), view.len());
        }
        assert_eq!(walked(&dag), [(0, 1), (1, 2), (2, 3), (1, 4), (0, 5)]);
    });
    assert_eq!(orders, 120);
}

fn permute(rows: &mut [(u8, Option<u8>)], from: usize, each: &mut impl FnMut(&[(u8, Option<u8>)])) {
    if from == rows.len() {
        return each(rows);
    }
    for at in from..rows.len() {
        rows.swap(from, at);
        permute(rows, from + 1, each);
        rows.swap(from, at);
    }
}

/// Every graph of four vertices, loops and rings among them: what is shown has no ring, and all answers agree.
#[test]
fn every_small_graph() {
    const MANY: u8 = 4;
    for edges in 0..1_u32 << (MANY * MANY) {
        let leads = |child: u8, parent: u8| edges >> (child * MANY + parent) & 1 == 1;
        let dag: Dag<u8> =
            (0..MANY).map(|child| (child, (0..MANY).filter(move |parent| leads(child, *parent)))).collect();
        // Plainly: what has only sound parents is sound, said as often as there are vertices.
        let mut sound = [false; MANY as usize];
        for _ in 0..MANY {
            for child in 0..MANY {
                sound[usize::from(child)] =
                    (0..MANY).all(|parent| !leads(child, parent) || sound[usize::from(parent)]);
            }
        }
        let view = dag.view();
        let shown: Vec<u8> = view.walk().map(|(_, vertex)| *vertex).collect();
        for vertex in 0..MANY {
            let is_sound = sound[usize::from(vertex)];
            assert_eq!(dag.contains(&vertex), is_sound, "{vertex} of {dag:?}");
            let mut times = shown.iter().filter(|shown| **shown == vertex);
            assert_eq!((times.next().is_some(), times.next()), (is_sound, None), "{dag:?}");
            assert!(!view.ancestors(&vertex).any(|above| *above == vertex), "a ring in {dag:?}");
            let below = (0..MANY).filter(|other| view.ancestors(other).any(|above| *above == vertex));
            assert_eq!(view.descendants(&vertex), below.count(), "of {vertex} in {dag:?}");
        }
    }
}

#[test]
fn what_is_refused() {
    let mut dag = Dag::default();
    dag.add(1, []).unwrap();
    dag.add(2, [1]).unwrap();
    dag.add(3, [2]).unwrap();
    dag.add(4, [1]).unwrap();
    dag.join(Dag::of(9, [8]));
    let before = dag.clone();
    assert_eq!(dag.add(5, [7]), Err(DagError::Absent(7)));
    assert_eq!(dag.add(5, [5]), Err(DagError::Absent(5)));
    assert_eq!(dag.add(5, [9]), Err(DagError::Absent(9)), "masked");
    assert_eq!(dag.add(3, [1]), Err(DagError::Present(3)));
    assert_eq!(dag.add(3, [2]), Ok(Dag::of(3, [2])), "again");
    for (child, parent) in [(1, 3), (1, 1), (3, 4), (4, 3)] {
        assert_eq!(dag.add_edge(&child, &parent), Err(DagError::Unordered { child, parent }));
    }
    assert_eq!(dag.add_edge(&9, &1), Err(DagError::Absent(9)));
    assert_eq!(dag, before);
    assert_eq!(dag.add_edge(&3, &1), Ok(Dag::of(3, [1, 2])));
    assert_eq!(dag.view().parents(&3).collect::<Vec<_>>(), [&1, &2]);
    assert_eq!(walked(&dag), [(0, 1), (1, 2), (2, 3), (1, 4)], "once, under the first that is met");
    let said = DagError::Unordered { child: 1, parent: 3 }.to_string();
    assert_eq!(said, "1 does not come after 3");
}

/// Shortcuts that are added at once at two replicas make no ring, whichever they are.
#[test]
fn concurrent_edges_make_no_ring() {
    let mut shared = Dag::default();
    shared.add(0, []).unwrap();
    for vertex in 1..5_u8 {
        shared.add(vertex, [vertex / 2]).unwrap();
    }
    let mut tried = 0;
    for one in 0..25_u8 {
        for other in 0..25_u8 {
            let (mut here, mut there) = (shared.clone(), shared.clone());
            if let (Ok(first), Ok(second)) =
                (here.add_edge(&(one / 5), &(one % 5)), there.add_edge(&(other / 5), &(other % 5)))
            {
                tried += 1;
                assert_eq!(here.clone().joined(second), there.joined(first));
                assert_eq!(here.view().len(), 5);
            }
        }
    }
    assert_eq!(tried, 64, "eight pairs of child and ancestor, twice");
}

/// A shortcut that arrives before its vertex does not show the vertex before what it answers.
#[test]
fn an_edge_overtakes_its_vertex() {
    let mut there = Dag::default();
    let mut deltas = vec![there.add(1, []).unwrap()];
    deltas.push(there.add(2, [1]).unwrap());
    deltas.push(there.add(3, [2]).unwrap());
    let edge = there.add_edge(&3, &1).unwrap();
    let mut here = deltas.swap_remove(0).joined(edge);
    assert!(!here.contains(&3));
    here.join(Dag::of(2, [1]));
    assert_eq!(here, there);
}

/// A chain as long as a thread never is, and a ring as large: no recursion, and no loop.
#[test]
fn long_and_round() {
    let many = 100_000_u32;
    let chain: Dag<u32> = (0..many).map(|vertex| (vertex, vertex.checked_sub(1))).collect();
    assert!(chain.contains(&(many - 1)));
    let view = chain.view();
    assert_eq!(view.walk().last(), Some((many as usize - 1, &(many - 1))));
    assert_eq!(view.descendants(&0), many as usize - 1);
    assert_eq!(view.ancestors(&(many - 1)).last(), Some(&0));

    let ring = chain.joined(Dag::of(0, [many - 1]));
    assert!(!ring.contains(&7));
    let view = ring.view();
    assert_eq!((view.len(), view.walk().count(), view.masked().count()), (0, 0, many as usize));
    assert_eq!((view.descendants(&7), view.ancestors(&7).count()), (0, 0));
}

/// Ten diamonds in a row have a thousand ways through. Each vertex is shown once.
#[test]
fn diamonds() {
    let rows = (0..10_u8).flat_map(|nth| {
        let top = nth * 3;
        [(top + 1, vec![top]), (top + 2, vec![top]), (top + 3, vec![top + 1, top + 2])]
    });
    let dag: Dag<u8> = rows.chain([(0, vec![])]).collect();
    assert_eq!((dag.view().walk().count(), dag.view().descendants(&0)), (31, 30));
}

/// One vertex in as many rows as a message has room for, the last parent first: no row looks through those before it.
#[test]
fn one_vertex_in_many_rows() {
    let many = 200_000_u32;
    let dag: Dag<u32> = (1..=many).rev().map(|parent| (0, [parent])).chain([(0, [7])]).collect();
    assert_eq!(dag, Dag::of(0, 1..=many));
}
