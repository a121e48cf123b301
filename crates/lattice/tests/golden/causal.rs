//! What was removed after it was seen.

use crate::{A, B};
use antiphon_lattice::{
    Causal, CausalContext, DisableWinsFlag, Dot, DotFun, DotMap, DotSet, EnableWinsFlag, Increments, Lattice,
    OrGraph, OrMap, OrSet, RemoveWinsSet, ReplicaId, ResetCounter,
};

fn dot(replica: ReplicaId, counter: u64) -> Dot {
    Dot { replica, counter }
}

golden! {
    causal_context: CausalContext = vec![
        CausalContext::default(),
        [dot(A, 1), dot(A, 2), dot(A, 5), dot(B, u64::MAX - 1), dot(B, u64::MAX)].into_iter().collect(),
    ];
    causal: Causal<DotFun<String>> = {
        let written = |id, value: &str| DotFun::default().write_delta(&CausalContext::default(), id, value.to_owned()).unwrap();
        let mut state = written(A, "red").joined(written(B, "a \"blue\""));
        state.join(Causal::removal(CausalContext::of(dot(A, 7))));
        vec![Causal::default(), state]
    };
    enable_wins_flag: EnableWinsFlag = {
        let mut flag = EnableWinsFlag::default();
        let on = flag.enable(A).unwrap();
        flag.disable();
        vec![EnableWinsFlag::default(), on, flag]
    };
    disable_wins_flag: DisableWinsFlag = {
        let mut flag = DisableWinsFlag::default();
        let off = flag.disable(A).unwrap();
        flag.enable();
        vec![DisableWinsFlag::default(), off, flag]
    };
    or_set: OrSet<String> = {
        let (mut here, mut there) = (OrSet::default(), OrSet::default());
        here.insert(A, "b".to_owned()).unwrap();
        there.insert(B, "b".to_owned()).unwrap();
        here.insert(A, "é".to_owned()).unwrap();
        here.insert(A, "gone".to_owned()).unwrap();
        here.remove("gone");
        let (first, second) = (here.clone(), here.joined(there));
        vec![OrSet::default(), first, second]
    };
    remove_wins_set: RemoveWinsSet<u8> = {
        let mut set = RemoveWinsSet::default();
        set.insert(A, 1).unwrap();
        set.insert(A, 2).unwrap();
        set.remove(B, 1).unwrap();
        vec![RemoveWinsSet::default(), set]
    };
    or_map: OrMap<String, DotMap<u8, DotSet>> = {
        let mut map: OrMap<String, DotMap<u8, DotSet>> = OrMap::default();
        for (key, element) in [("b", 1), ("a", 1), ("b", 2), ("c", 3)] {
            map.update(key.to_owned(), |set, seen| set.insert_delta(seen, A, element)).unwrap();
        }
        map.remove("c");
        vec![OrMap::default(), map]
    };
    map_of_counters: OrMap<u8, Increments> = {
        let mut map: OrMap<u8, Increments> = OrMap::default();
        for (key, amount) in [(1, 1), (1, 1), (2, i64::MIN), (1, 1), (1, 5)] {
            map.update(key, |counter, seen| counter.add_delta(seen, A, amount)).unwrap();
        }
        vec![OrMap::default(), map]
    };
    reset_counter: ResetCounter = {
        let mut counter = ResetCounter::default();
        counter.add(A, 7).unwrap();
        counter.reset();
        for (id, amount) in [(A, 1), (A, 1), (B, -2), (A, i64::MAX)] {
            counter.add(id, amount).unwrap();
        }
        vec![ResetCounter::default(), counter]
    };
    or_graph: OrGraph<String> = {
        let mut graph = OrGraph::default();
        for vertex in ["a", "b"] {
            graph.add_vertex(A, vertex.to_owned()).unwrap();
        }
        graph.add_edge(B, "a".to_owned(), "b".to_owned()).unwrap();
        graph.add_edge(B, "a".to_owned(), "c".to_owned()).unwrap();
        graph.remove_vertex("b");
        vec![OrGraph::default(), graph]
    };
}

/// The sizes that the pages of the types give.
#[test]
fn costs() {
    fn json<T: serde::Serialize>(state: &T) -> usize {
        serde_json::to_vec(state).unwrap().len()
    }
    assert_eq!(size_of::<DotSet>(), 32);
    assert_eq!(size_of::<EnableWinsFlag>(), 64);
    let mut context = CausalContext::of(dot(A, 1));
    assert_eq!(json(&context), 2 + 43 - 1, "no comma after the last replica");
    context.insert(dot(A, 3));
    assert_eq!(json(&context), 2 + 43 - 1 + 6);

    let mut set = OrSet::default();
    let bottom = json(&set);
    set.insert(A, 1_u8).unwrap();
    let one = json(&set);
    set.insert(A, 2).unwrap();
    assert_eq!((bottom, json(&set) - one), (25, 1 + 57), "the element, its dot, and a comma");

    let mut flag = EnableWinsFlag::default();
    assert_eq!(json(&flag), 25);
    flag.enable(A).unwrap();
    assert_eq!(json(&flag), 25 + 51 + 42);

    let mut roles = RemoveWinsSet::default();
    roles.insert(A, 1_u8).unwrap();
    let one = json(&roles);
    roles.insert(A, 2).unwrap();
    assert_eq!(json(&roles) - one, 1 + 62);
}

#[test]
fn bytes_that_say_what_cannot_be() {
    let (a1, b1) = (dot(A, 1), dot(B, 1));
    let read = |text: String| {
        serde_json::from_str::<OrSet<u8>>(&text).map(|set| serde_json::to_string(&set).unwrap())
    };
    let context = format!(r#"{{"{A}":[[1,1]]}}"#);
    let outside =
        read(format!(r#"{{"store":[[1,["{a1}","{b1}"]]],"context":{context}}}"#)).unwrap_err().to_string();
    assert!(outside.starts_with(&format!("dots outside of their context: {B}: 1")), "{outside}");
    let zeroth = dot(A, 0);
    let both = format!(r#"{{"{A}":[[1,1]],"{B}":[[1,1]]}}"#);
    let normal = format!(r#"{{"store":[[1,["{a1}"]],[2,["{b1}"]]],"context":{both}}}"#);
    let odd = format!(
        r#"{{"new":0,"context":{both},"store":[[2,["{b1}"]],[3,[]],[1,["{a1}","{a1}"]],[2,["{b1}"]]]}}"#
    );
    assert_eq!(read(odd).unwrap(), normal, "in order, united, without what is empty or unknown");
    for text in [
        "null".to_owned(),
        "{}".to_owned(),
        format!(r#"{{"store":[],"store":[],"context":{context}}}"#),
        format!(r#"{{"store":{{}},"context":{context}}}"#),
        format!(r#"{{"store":[[1]],"context":{context}}}"#),
        format!(r#"{{"store":[[1,["{zeroth}"]]],"context":{context}}}"#),
        format!(r#"{{"store":[[1,["{a1}"]],[2,["{a1}"]]],"context":{context}}}"#),
    ] {
        assert!(read(text.clone()).is_err(), "{text}");
    }
}
