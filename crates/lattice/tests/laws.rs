//! Every type obeys the laws: on all triples of a few picked values, and on random ones. A new type adds one line.
//!
//! The same line checks what the trait says about `Eq`: equal states have equal bytes, different ones have different
//! bytes, and what was encoded decodes to the same.

#![expect(clippy::expect_used, reason = "a test may panic, in its helpers too")]

mod common;

use antiphon_lattice::{Epoch, GSet, Lattice, Life, Lww, Map, Max, Min, Pair, Tally, laws};
use common::{epoch, picked_stamps, replica, stamp};
use proptest::collection::{btree_map, btree_set};
use proptest::option;
use proptest::prelude::*;
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Debug;

/// Each line: a name, the type, picked values (the bottom, ties and incomparable ones among them), random values.
macro_rules! every_type {
    ($($name:ident: $type:ty, $picked:expr, $random:expr;)*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn exhaustively() {
                let picked: Vec<$type> = $picked.into_iter().chain([<$type>::default()]).collect();
                assert_eq!(laws::check_exhaustively(&picked), Ok(picked.len().pow(3)));
                same_bytes_exactly_if_equal(&picked);
            }

            proptest! {
                #[test]
                fn at_random(values in proptest::collection::vec($random, 3)) {
                    let values: Vec<$type> = values;
                    prop_assert_eq!(laws::check_exhaustively(&values), Ok(27));
                    same_bytes_exactly_if_equal(&values);
                }
            }
        }
    )*};
}

every_type! {
    unit: (), vec![()], Just(());
    max: Max<u8>, vec![Max(1), Max(1), Max(2), Max(255)], any::<u8>().prop_map(Max);
    min: Min<(u8, u8)>, vec![Min::of((0, 0)), Min::of((0, 1)), Min::of((1, 0))], random_min();
    pair: Pair<Max<u8>, Life>, picked_pairs(), (any::<u8>(), random_life()).prop_map(|(a, b)| Pair(Max(a), b));
    life: Life, vec![Life::Live, Life::Gone], random_life();
    lww: Lww<u8>, picked_lww(), random_lww();
    gset: GSet<u8>, vec![GSet::of(1), GSet::of(2), [1, 2].into_iter().collect()], random_gset();
    map: Map<String, Max<u8>>, picked_maps(), random_map(any::<u8>().prop_map(Max));
    map_of_registers: Map<String, Lww<u8>>, vec![Map::of("a".into(), Lww::default())], random_map(random_lww());
    tally: Tally, picked_tallies(), random_tally();
    tallies: Map<String, Tally>, vec![Map::of("a".into(), Tally::default())], random_map(random_tally());
    deep: Pair<Map<String, Pair<Lww<u8>, GSet<u8>>>, Min<(u8, u8)>>, vec![],
        (random_map((random_lww(), random_gset()).prop_map(|(a, b)| Pair(a, b))), random_min())
            .prop_map(|(a, b)| Pair(a, b));
}

fn same_bytes_exactly_if_equal<L: Lattice + Debug + Serialize + DeserializeOwned>(values: &[L]) {
    // The joins too: a state is reached on many ways, and its bytes must not tell which.
    let joins = values.iter().flat_map(|a| values.iter().map(|b| a.clone().joined(b.clone())));
    let states: Vec<(L, String)> = values
        .iter()
        .cloned()
        .chain(joins)
        .map(|state| {
            let bytes = serde_json::to_string(&state).expect("every state encodes");
            (state, bytes)
        })
        .collect();
    for (a, a_bytes) in &states {
        assert_eq!(serde_json::from_str::<L>(a_bytes).expect("what was encoded decodes"), *a);
        for (b, b_bytes) in &states {
            assert_eq!(a == b, a_bytes == b_bytes, "{a:?} is {a_bytes}, {b:?} is {b_bytes}");
        }
    }
}

fn picked_pairs() -> Vec<Pair<Max<u8>, Life>> {
    vec![Pair(Max(1), Life::Live), Pair(Max(0), Life::Gone), Pair(Max(1), Life::Gone)]
}

/// Every picked stamp with two values: the tie that must not depend on who came first.
fn picked_lww() -> Vec<Lww<u8>> {
    picked_stamps().into_iter().flat_map(|at| [Lww::new(at, 0), Lww::new(at, 1)]).collect()
}

fn picked_maps() -> Vec<Map<String, Max<u8>>> {
    let map = |a, b| [("a".to_owned(), Max(a)), ("b".to_owned(), Max(b))].into_iter().collect();
    vec![map(0, 0), map(1, 0), map(0, 1), map(1, 2), map(2, 1)]
}

/// Every number among the least and the greatest, in epochs that differ in generation, in owner, and not at all.
fn picked_tallies() -> Vec<Tally> {
    let epochs =
        [(0, 0), (0, 1), (1, 0)].map(|(generation, owner)| Epoch { generation, owner: replica(owner) });
    let numbers = [(0, 0), (1, 0), (0, 1), (2, 1), (u64::MAX, u64::MAX)];
    epochs.iter().flat_map(|&epoch| numbers.map(|(added, removed)| Tally { epoch, added, removed })).collect()
}

fn random_life() -> impl Strategy<Value = Life> {
    prop_oneof![Just(Life::Live), Just(Life::Gone)]
}

fn random_min() -> impl Strategy<Value = Min<(u8, u8)>> {
    option::of((0_u8..3, 0_u8..3)).prop_map(|value| value.map_or_else(Min::bottom, Min::of))
}

fn random_lww() -> impl Strategy<Value = Lww<u8>> {
    option::of((stamp(), 0_u8..3))
        .prop_map(|written| written.map_or_else(Lww::default, |(at, v)| Lww::new(at, v)))
}

fn random_gset() -> impl Strategy<Value = GSet<u8>> {
    btree_set(0_u8..9, 0..5).prop_map(GSet::from_iter)
}

fn random_map<V: Lattice + Debug>(value: impl Strategy<Value = V>) -> impl Strategy<Value = Map<String, V>> {
    btree_map("[a-c]", value, 0..4).prop_map(Map::from_iter)
}

fn random_tally() -> impl Strategy<Value = Tally> {
    (epoch(), 0_u64..4, 0_u64..4).prop_map(|(epoch, added, removed)| Tally { epoch, added, removed })
}

/// The check itself is checked: each broken lattice is caught, by the law that it breaks.
mod broken {
    use super::*;

    /// A type whose join is the given function, over two small numbers.
    macro_rules! caught {
        ($($name:ident: $join:expr, $law:literal;)*) => {$(
            #[test]
            fn $name() {
                #[derive(Clone, Debug, Default, PartialEq, Eq)]
                struct Broken(u8, u8);

                impl Lattice for Broken {
                    fn join(&mut self, other: Self) -> bool {
                        let join: fn(&mut Self, Self) -> bool = $join;
                        join(self, other)
                    }
                }

                let values: Vec<_> = [(0, 0), (1, 0), (0, 1), (1, 1), (1, 2), (2, 1)].map(|(a, b)| Broken(a, b)).into();
                let law = laws::check_exhaustively(&values).expect_err("is caught");
                assert!(law.starts_with($law), "{law}");
            }
        )*};
    }

    caught! {
        // Addition instead of join: counts every redelivery.
        sum: |a, b| { *a = Broken(a.0.wrapping_add(b.0), 0); b.0 > 0 }, "not idempotent";
        // The last to arrive wins, whatever its rank.
        arrival: |a, b| { let grew = *a != b && b != Broken(0, 0); if grew { *a = b; } grew }, "not commutative";
        // The greater rank wins, and of a tie the first to arrive.
        tie: |a, b| { let grew = b.0 > a.0; if grew { *a = b; } grew }, "default is not the bottom";
        tie_above_bottom: |a, b| {
            let grew = b.0 > a.0 || (*a == Broken(0, 0) && b != *a);
            if grew { *a = b; }
            grew
        }, "not commutative";
        // The least wins, with a bottom that is the least.
        upside_down: |a, b| { let grew = (b.0, b.1) < (a.0, a.1); if grew { *a = b; } grew }, "default is not the bottom";
        // The second field is not joined if the first grew.
        short_circuit: |a, b| {
            let raise = |mine: &mut u8, theirs: u8| { let grew = theirs > *mine; *mine = theirs.max(*mine); grew };
            raise(&mut a.0, b.0) || raise(&mut a.1, b.1)
        }, "default is not the bottom";
        always_news: |a, b| { *a = Broken(a.0.max(b.0), a.1.max(b.1)); true }, "dishonest answer";
        never_news: |a, b| { *a = Broken(a.0.max(b.0), a.1.max(b.1)); false }, "dishonest answer";
        // Stone, scissors, paper: each pair is settled, the three are not.
        rock_paper_scissors: |a, b| {
            let beats = |x: u8, y: u8| x != y && (y == 0 || (x != 0 && (x + 1) % 3 == y % 3));
            let grew = beats(b.0 + b.1, a.0 + a.1);
            if grew || (b.0 + b.1 == a.0 + a.1 && b.0 > a.0) { *a = b; return true; }
            false
        }, "not associative";
    }
}
