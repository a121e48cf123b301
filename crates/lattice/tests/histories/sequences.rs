//! In which order.
//!
//! The model is the published algorithm as a plain tree: Weidner and Kleppmann, *The Art of the Fugue*, with the
//! order of siblings of `FugueMax`. Nothing of it is shared with the library.

#![expect(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod model;

use self::model::{Node, Side, Tree};
use crate::common::history::Writer;
use crate::common::replica;
use antiphon_lattice::{Arrangement, Dot, Lattice, Sequence, Stamp, Text};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// What one line of the log did, in words that need no list to be understood.
#[derive(Clone, Debug)]
enum Op {
    /// At this place, if the list is longer: else at this place modulo its length.
    Insert(usize, Vec<u8>),
    Remove(usize, usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (0_usize..40, vec(any::<u8>(), 1..4)).prop_map(|(at, values)| Op::Insert(at, values)),
        1 => (0_usize..40, 1_usize..4).prop_map(|(at, len)| Op::Remove(at, len)),
    ]
}

fn edit(state: &mut Sequence<u8>, op: Op, writer: &mut Writer) -> Sequence<u8> {
    let len = state.len();
    match op {
        Op::Insert(at, values) => state.insert(writer.id, at % (len + 1), values).unwrap(),
        Op::Remove(at, many) => {
            let at = at % (len + 1);
            state.remove(at..(at + many).min(len)).unwrap()
        }
    }
}

histories! {
    sequence: Sequence<u8>, by Op, op(), edit,
        answers |state| state.iter().copied().collect(), as would |log| Tree::of_log(log).shown();

    sequence_ids: Sequence<u8>, by Op, op(), edit,
        answers |state| state.iter_ids().map(|(id, _)| id).collect(),
        as would |log| -> Vec<Dot> { let tree = Tree::of_log(log); tree.order().into_iter().filter(|id| !tree.gone.contains(id)).collect() };

    text: Text, by Op, op(),
        |state, op, writer| match op {
            Op::Insert(at, values) => {
                let text: String = values.into_iter().map(char::from).collect();
                state.insert(writer.id, at % (state.len() + 1), &text).unwrap()
            }
            Op::Remove(at, many) => {
                let at = at % (state.len() + 1);
                state.remove(at..(at + many).min(state.len())).unwrap()
            }
        },
        answers ToString::to_string,
        as would |log| Tree::of_log(log).shown().into_iter().map(char::from).collect();

    arrangement: Arrangement<u8>, by (u8, usize, bool), (0_u8..5, 0_usize..8, prop::bool::weighted(0.8)),
        |state, (key, at, stays), writer| {
            let stamp = writer.mint(state.stamp(&key));
            if !stays {
                return state.remove(stamp, key);
            }
            let others = state.len() - usize::from(state.position(&key).is_some());
            state.move_to(writer.id, stamp, key, at % (others + 1)).unwrap()
        },
        // Each item once, if its last writer put it somewhere.
        answers |state| { let mut keys: Vec<u8> = state.iter().copied().collect(); keys.sort_unstable(); keys },
        as would |log| -> Vec<u8> {
            let mut last: BTreeMap<u8, (Stamp, bool)> = BTreeMap::new();
            for line in log {
                let entry = last.entry(line.op.0).or_default();
                *entry = (*entry).max((line.stamp, line.op.2));
            }
            last.into_iter().filter(|(_, (_, stays))| *stays).map(|(key, _)| key).collect()
        };
}

/// Two replicas, each with its own state and model; what they typed, as deltas and as nodes.
#[derive(Clone, Default)]
struct Two {
    states: [Sequence<u8>; 2],
    models: [Tree; 2],
    minted: [u64; 2],
    deltas: Vec<Sequence<u8>>,
}

impl Two {
    fn insert(&mut self, who: usize, at: usize) {
        let value = u8::try_from(self.deltas.len()).unwrap();
        let by = replica(if who == 0 { 1 } else { 2 });
        let nodes = self.models[who].insert(by, &mut self.minted[who], at, &[value]);
        self.models[who].nodes.extend(nodes.nodes);
        self.deltas.push(self.states[who].insert(by, at, [value]).unwrap());
        assert_eq!(self.states[who].iter().copied().collect::<Vec<_>>(), self.models[who].shown());
    }

    /// The one who hears gets all that the other knows.
    fn hear(&mut self, who: usize) {
        let (state, model) = (self.states[1 - who].clone(), self.models[1 - who].clone());
        self.states[who].join(state);
        let known: BTreeSet<Dot> = self.models[who].nodes.iter().map(|node| node.id).collect();
        self.models[who].nodes.extend(model.nodes.iter().filter(|node| !known.contains(&node.id)));
    }

    /// Every history in which each types so many characters more, at every place, having heard of the other or not.
    fn all(self, left: [usize; 2], check: &mut impl FnMut(Self)) {
        if left == [0, 0] {
            return check(self);
        }
        for who in [0, 1].into_iter().filter(|who| left[*who] > 0) {
            let mut rest = left;
            rest[who] -= 1;
            for hears in [false, true] {
                let mut now = self.clone();
                if hears {
                    now.hear(who);
                    if now.models[who].nodes.len() == self.models[who].nodes.len() {
                        continue; // nothing new: the same history as without
                    }
                }
                for at in 0..=now.models[who].nodes.len() {
                    let mut now = now.clone();
                    now.insert(who, at);
                    now.all(rest, check);
                }
            }
        }
    }

    fn whole_model(mut self) -> Tree {
        self.hear(0);
        self.models[0].clone()
    }
}

fn permutations(len: usize) -> Vec<Vec<usize>> {
    (0..len).fold(vec![vec![]], |all, next| {
        let with_next = |order: Vec<usize>| {
            (0..=order.len()).map(move |at| [&order[..at], &[next], &order[at..]].concat())
        };
        all.into_iter().flat_map(with_next).collect()
    })
}

/// All histories of two replicas that type two characters each, delivered to a third in every order.
#[test]
fn every_small_history_in_every_order() {
    let orders = permutations(4);
    let mut histories = 0;
    Two::default().all([2, 2], &mut |end| {
        let deltas = end.deltas.clone();
        let expected = end.whole_model().shown();
        for order in &orders {
            let mut there = Sequence::default();
            there.remove(0..0).unwrap(); // has its tables from the beginning
            for &nth in order {
                assert!(there.join(deltas[nth].clone()));
            }
            assert_eq!(there.iter().copied().collect::<Vec<_>>(), expected, "{order:?} of {deltas:?}");
        }
        histories += 1;
    });
    assert!(histories > 400, "{histories}");
}

proptest! {
    /// Runs as nobody honest makes them, in any order and in any form: the order of the list is the model's.
    #[test]
    fn the_order_is_a_function_of_the_set(
        nodes in vec((0_u8..3, 1_u64..6, any::<bool>(), (0_u8..3, 0_u64..6), (0_u8..3, 0_u64..6)), 0..14),
        shuffled in Just((0_usize..14).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let dot = |(by, counter): (u8, u64)| (counter > 0).then(|| Dot { replica: replica(by + 1), counter });
        let node = |(by, counter, left, parent, right): (u8, u64, bool, (u8, u64), (u8, u64))| {
            let (id, parent) = (dot((by, counter)), dot(parent));
            let side = if left && parent.is_some() { Side::Left } else { Side::Right };
            let value = u8::try_from(counter).unwrap() * 10 + by;
            Node { id: id.unwrap(), value, side, parent, right_origin: dot(right), left_origin: None }
        };
        let mut nodes: Vec<Node> = nodes.into_iter().map(node).collect();
        nodes.sort_by_key(|node| node.id);
        nodes.dedup_by_key(|node| node.id);
        let expected = Tree { nodes: nodes.clone(), ..Tree::default() }.shown();
        let deltas: Vec<Sequence<u8>> = nodes.iter().map(|node| serde_json::from_str(&bytes(node)).unwrap()).collect();
        let mut there = Sequence::default();
        there.remove(0..0).unwrap();
        for nth in shuffled.into_iter().filter(|nth| *nth < deltas.len()) {
            prop_assert!(there.join(deltas[nth].clone()));
            prop_assert!(!there.join(deltas[nth].clone()));
        }
        let found: Vec<u8> = there.iter().copied().collect();
        prop_assert_eq!(&found, &expected);
        prop_assert_eq!(there.waiting(), (nodes.len() - expected.len()) as u64);
        let small = deltas.into_iter().fold(Sequence::default(), Lattice::joined);
        prop_assert_eq!(small.iter().copied().collect::<Vec<u8>>(), expected);
        prop_assert_eq!(small, there);
    }

    /// What was typed on behind an element stands together behind it: the first half of the paper's definition of
    /// maximal non-interleaving, checked by the left origins and not by the tree.
    #[test]
    fn what_was_typed_on_stands_together(steps in crate::common::history::steps(op())) {
        let (state, log) = crate::common::history::play::<Sequence<u8>, Op>(steps, edit).settle();
        let tree = Tree::of_log(&log);
        let order = tree.order();
        let left: BTreeMap<Dot, Option<Dot>> = tree.nodes.iter().map(|node| (node.id, node.left_origin)).collect();
        for id in &order {
            let is_behind = |mut other: Dot| loop {
                match left[&other] {
                    Some(before) if before == *id => return true,
                    Some(before) => other = before,
                    None => return false,
                }
            };
            let rest = order.iter().skip_while(|other| *other != id).skip(1);
            let together = rest.take_while(|other| is_behind(**other)).count();
            prop_assert_eq!(together, order.iter().filter(|other| is_behind(**other)).count());
        }
        prop_assert_eq!(state.iter().copied().collect::<Vec<_>>(), tree.shown());
    }
}

/// One element in the library's bytes.
fn bytes(node: &Node) -> String {
    let number = |id: Option<Dot>| {
        id.map_or([0, 0], |id| [u64::try_from(id.replica.to_u128()).unwrap() - 1, id.counter])
    };
    let [by, counter] = number(Some(node.id));
    let parent = number(node.parent);
    let place = match node.side {
        Side::Left => format!("{parent:?}"),
        Side::Right => format!("[{parent:?},{:?}]", number(node.right_origin)),
    };
    let ids = [1, 2, 3].map(|number| replica(number).to_string());
    format!("{{\"sequence\":1,\"replicas\":{ids:?},\"runs\":[[{by},{counter},{place},[{}]]]}}", node.value)
}

/// Three replicas each type a word at one place, forwards or backwards: no mixture, whatever the order of delivery.
#[test]
fn words_do_not_mix() {
    let words = ["abc", "xyz", "123"];
    for forwards in [[true; 3], [false; 3], [true, false, true], [false, true, true], [true, false, false]] {
        for (before, behind) in [("", ""), ("(", ""), ("", ")"), ("(", ")"), ("((", "))")] {
            let mut base = Text::default();
            base.insert(replica(9), 0, &format!("{before}{behind}")).unwrap();
            let mut deltas = Vec::new();
            for (who, (word, forwards)) in words.into_iter().zip(forwards).enumerate() {
                let (mut here, me) = (base.clone(), replica(u8::try_from(who).unwrap() + 1));
                for nth in 0..3 {
                    let (at, letter) = if forwards { (nth, nth) } else { (0, 2 - nth) };
                    deltas.push(here.insert(me, before.len() + at, &word[letter..=letter]).unwrap());
                }
            }
            for order in [vec![0, 1, 2, 3, 4, 5, 6, 7, 8], vec![8, 3, 0, 6, 1, 4, 7, 2, 5]] {
                let mut text = base.clone();
                for nth in order {
                    assert!(text.join(deltas[nth].clone()));
                }
                let text = text.to_string();
                let inner = text.strip_prefix(before).unwrap().strip_suffix(behind).unwrap();
                assert_eq!(inner.len(), 9);
                assert!(words.iter().all(|word| inner.contains(word)), "{forwards:?} {text}");
            }
        }
    }
}

/// Where Fugue and `FugueMax` differ: right siblings with different right origins.
///
/// `L` and `R` are typed at once. Its writer types `x` behind `L`, not knowing `R`; another, who knows both, types `y`
/// between them. By ids alone `y` would come first, and `x` stand between it and the `R` that it was typed before.
#[test]
fn the_later_right_origin_comes_first() {
    let (mut left, mut right) = (Text::default(), Text::default());
    let l = left.insert(replica(2), 0, "L").unwrap();
    let r = right.insert(replica(3), 0, "R").unwrap();
    let mut both = l.joined(r);
    both.insert(replica(1), 1, "y").unwrap();
    assert_eq!(both.to_string(), "LyR");
    let x = left.insert(replica(2), 1, "x").unwrap();
    assert_eq!(both.joined(x).to_string(), "LxyR");
}

/// Two right siblings with different right origins, neither of which is the end: the later one's comes first, and not
/// the one with the lesser id.
#[test]
fn the_later_of_two_right_origins_comes_first() {
    let dot = |by, counter| Some(Dot { replica: replica(by), counter });
    let node = |by, counter, parent, right_origin, value| {
        let id = Dot { replica: replica(by), counter };
        Node { id, value, side: Side::Right, parent, right_origin, left_origin: None }
    };
    let run = [node(1, 1, None, None, 1), node(1, 2, dot(1, 1), None, 2), node(1, 3, dot(1, 2), None, 3)];
    for (first, second, expected) in [(1, 2, [1, 2, 3, 5, 4]), (2, 1, [1, 2, 3, 4, 5])] {
        let (one, two) = (node(2, 1, dot(1, 3), dot(1, first), 4), node(2, 2, dot(1, 3), dot(1, second), 5));
        let mut nodes = [&run[..], &[one, two]].concat();
        assert_eq!(Tree { nodes: nodes.clone(), ..Tree::default() }.shown(), expected);
        for _ in 0..nodes.len() {
            nodes.rotate_left(1);
            let deltas = nodes.iter().map(|node| serde_json::from_str::<Sequence<u8>>(&bytes(node)).unwrap());
            assert!(deltas.fold(Sequence::default(), Lattice::joined).iter().eq(&expected));
        }
    }
}

/// All histories with three characters of each of the two. Each is delivered in one order, the next one in another, so
/// that every order has its turn with many of them.
#[test]
fn every_history_of_three_characters_each() {
    let (mut orders, mut histories) = (permutations(6).into_iter().cycle(), 0);
    Two::default().all([3, 3], &mut |end| {
        let deltas = end.deltas.clone();
        let expected = end.whole_model().shown();
        let order = orders.next().unwrap();
        let mut there = Sequence::default();
        for &nth in &order {
            assert!(there.join(deltas[nth].clone()));
        }
        assert_eq!(there.iter().copied().collect::<Vec<_>>(), expected, "{order:?} of {deltas:?}");
        histories += 1;
    });
    assert!(histories > 10_000, "{histories}");
}

/// Thousands of edits at random places by three writers who rarely hear of each other: enough for a tree of several
/// levels. Between two exchanges a plain vector says what a writer must see.
#[test]
fn a_long_history() {
    const ROUNDS: usize = 6;
    let mut number = 7_u64;
    let mut random = move |below: usize| {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(number >> 33).unwrap() % below
    };
    let mut writers: Vec<Sequence<u32>> = vec![Sequence::default(); 3];
    let (mut deltas, mut value) = (Vec::new(), 0);
    for round in 0..ROUNDS {
        for (who, state) in writers.iter_mut().enumerate() {
            let me = replica(u8::try_from(who).unwrap() + 1);
            let mut plain: Vec<u32> = state.iter().copied().collect();
            for step in 0..700 {
                let at = random(plain.len() + 1);
                if step % 3 == 2 {
                    let end = (at + random(6)).min(plain.len());
                    plain.drain(at..end);
                    deltas.push(state.remove(at..end).unwrap());
                } else {
                    let len = if step == 300 { 1_500 } else { u32::try_from(random(4)).unwrap() };
                    plain.splice(at..at, value..value + len);
                    deltas.push(state.insert(me, at, value..value + len).unwrap());
                    value += len;
                }
                let probe = random(plain.len() + 1);
                assert_eq!(state.get(probe), plain.get(probe));
                assert_eq!(
                    state.id_at(probe).and_then(|id| state.position(id)),
                    plain.get(probe).map(|_| probe)
                );
            }
            assert!(state.iter().eq(&plain), "round {round}");
        }
        let next = writers[(round + 1) % 3].clone();
        assert!(writers[round % 3].join(next));
    }
    let all = writers.iter().cloned().fold(Sequence::default(), Lattice::joined);
    let expected: Vec<(Dot, u32)> = all.iter_ids().map(|(id, value)| (id, *value)).collect();
    let again: Sequence<u32> = serde_json::from_str(&serde_json::to_string(&all).unwrap()).unwrap();
    let forwards = deltas.iter().cloned().fold(Sequence::default(), Lattice::joined);
    let backwards = deltas.iter().rev().cloned().fold(Sequence::default(), Lattice::joined);
    for nth in (0..deltas.len()).rev() {
        deltas.swap(nth, random(nth + 1));
    }
    let shuffled = deltas.iter().cloned().fold(Sequence::default(), Lattice::joined);
    for other in [again, forwards, backwards, shuffled] {
        assert!(other.iter_ids().map(|(id, value)| (id, *value)).eq(expected.iter().copied()));
        assert!(other == all && other.covers(&all) && all.covers(&other) && other.waiting() == 0);
    }
}
