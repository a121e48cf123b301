//! What points where.

use antiphon_lattice::{Dag, PartialOrder, TwoPhaseGraph};

golden! {
    dag: Dag<String> = vec![
        Dag::default(),
        Dag::of("reply".into(), ["masked".into()]),
        Dag::from_iter([("a", vec![]), ("b", vec!["a"]), ("é", vec!["b", "a"])].map(|(vertex, parents)| {
            (vertex.to_owned(), parents.into_iter().map(str::to_owned))
        })),
    ];
    two_phase_graph: TwoPhaseGraph<u8> = {
        let mut graph = TwoPhaseGraph::default();
        for vertex in 1..4 {
            graph.add_vertex(vertex).unwrap();
        }
        graph.add_edge(1, 2).unwrap();
        let edge = graph.add_edge(3, 1).unwrap();
        graph.remove_edge(1, 2).unwrap();
        graph.remove_vertex(2).unwrap();
        vec![TwoPhaseGraph::default(), edge, graph]
    };
    partial_order: PartialOrder<String> = {
        let mut order = PartialOrder::default();
        order.add_between(None, "a".to_owned(), None).unwrap();
        order.add_between(Some(&"a".to_owned()), "c".to_owned(), None).unwrap();
        let delta = order.add_between(Some(&"a".to_owned()), "b".to_owned(), Some(&"c".to_owned())).unwrap();
        order.remove("b".to_owned()).unwrap();
        vec![PartialOrder::default(), delta, order]
    };
}

/// The sizes that the pages of the types give.
#[test]
fn costs() {
    fn json<T: serde::Serialize>(state: &T) -> usize {
        serde_json::to_vec(state).unwrap().len()
    }
    let two = Dag::from_iter([(1, None), (2, Some(1))]);
    let three = Dag::from_iter([(1, None), (2, Some(1)), (3, Some(1))]);
    assert_eq!(json(&three) - json(&two), 2 + 6);
    assert_eq!(json(&TwoPhaseGraph::<u8>::default()), 64);
    assert_eq!(json(&PartialOrder::<u8>::default()), 45);
}
