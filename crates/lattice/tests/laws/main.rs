//! Every type obeys the laws: on all triples of a few picked values, and on random ones. A new type adds one line.
//!
//! The same line checks what the trait says about `Eq`: equal states have equal bytes, different ones have different
//! bytes, and what was encoded decodes to the same, in JSON and packed. And it damages those bytes: decoding gives an
//! error that says where, or a state that obeys the laws.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic, in its helpers too")]

#[path = "../common/mod.rs"]
mod common;

use antiphon_lattice::{Lattice, laws};
use proptest::prelude::*;
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Debug;

/// Each line: a name, the type, picked values (ties and incomparable ones among them; the bottom is added), and a
/// strategy of random values *that may meet*, several at a time: [`any_three`] where all values may, else
/// [`three_of_one_history`](common::history::three_of_one_history).
macro_rules! every_type {
    ($($name:ident: $type:ty, $picked:expr, $random:expr;)*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn exhaustively() {
                let picked: Vec<$type> = $picked.into_iter().chain([<$type>::default()]).collect();
                let triples = antiphon_lattice::laws::check_exhaustively(&picked);
                assert_eq!(triples, Ok(picked.len().pow(3)));
                println!("{}: {} triples of picked values", stringify!($type), picked.len().pow(3));
                crate::same_bytes_exactly_if_equal(&picked);
            }

            proptest::proptest! {
                #[test]
                fn at_random(values in $random) {
                    let values: Vec<$type> = values;
                    let triples = antiphon_lattice::laws::check_exhaustively(&values);
                    proptest::prop_assert_eq!(triples, Ok(values.len().pow(3)));
                    crate::same_bytes_exactly_if_equal(&values);
                }

                #[test]
                fn damaged(values in $random, damage in crate::damage()) {
                    let values: Vec<$type> = values;
                    crate::survives(&values, &damage);
                }
            }
        }
    )*};
}

mod broken;
mod causal;
mod clocks;
mod counters;
mod graphs;
mod products;
mod registers;
mod sequences;
mod sets;

/// Three values of which any may meet any other.
fn any_three<L: Debug>(value: impl Strategy<Value = L>) -> impl Strategy<Value = Vec<L>> {
    proptest::collection::vec(value, 3)
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
        // A format that does not describe itself: the reader knows what comes, or is lost.
        let packed = postcard::to_allocvec(a).expect("every state encodes");
        assert_eq!(postcard::from_bytes::<L>(&packed).expect("what was packed decodes"), *a);
        for (b, b_bytes) in &states {
            assert_eq!(a == b, a_bytes == b_bytes, "{a:?} is {a_bytes}, {b:?} is {b_bytes}");
        }
    }
}

/// What happens to bytes on their way, at places that are drawn.
type Damage = Vec<(prop::sample::Index, u8, u8)>;

fn damage() -> impl Strategy<Value = Damage> {
    proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..5), 0..4)
}

/// The bytes of the states, damaged, decode to an error, or to a state that obeys the laws, survives its own encoding,
/// and can be joined with the others.
fn survives<L: Lattice + Debug + Serialize + DeserializeOwned>(states: &[L], damage: &Damage) {
    for state in states {
        let json = serde_json::to_vec(state).expect("every state encodes");
        let packed = postcard::to_allocvec(state).expect("every state encodes");
        let read = [
            serde_json::from_slice::<L>(&damaged(json, damage)).ok(),
            postcard::from_bytes::<L>(&damaged(packed, damage)).ok(),
        ];
        for read in read.into_iter().flatten() {
            let again = serde_json::to_vec(&read).expect("every state encodes");
            assert_eq!(serde_json::from_slice::<L>(&again).expect("what was encoded decodes"), read);
            assert_eq!(laws::check_exhaustively(&[L::default(), read.clone()]), Ok(8));
            for other in states {
                // Two that never could have met: nothing is promised of their join but that there is one.
                let joined = read.clone().joined(other.clone());
                assert!(serde_json::to_vec(&joined).is_ok(), "{joined:?}");
            }
        }
    }
}

fn damaged(mut bytes: Vec<u8>, damage: &Damage) -> Vec<u8> {
    for &(at, byte, kind) in damage {
        let at = at.index(bytes.len() + 1);
        match kind {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, byte),
            2 if at < bytes.len() => bytes[at] = byte,
            // Another digit or letter: more often than not these bytes still mean something.
            3 if at < bytes.len() && bytes[at].is_ascii_alphanumeric() => {
                bytes[at] = b"019afz"[usize::from(byte % 6)];
            }
            _ => bytes.extend_from_within(at..),
        }
    }
    bytes
}
