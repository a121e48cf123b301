//! Replicas mutate and gossip over a queue that loses, repeats and reorders, and end as a plain model says.
//!
//! A new type adds one entry: its operations, how one is carried out, what a state answers, and what a plain program
//! that saw the whole log would answer.

#![expect(clippy::indexing_slicing, reason = "a test may panic, in its helpers too")]

#[path = "../common/mod.rs"]
mod common;

use common::history::Logged;
use std::fmt::Debug;

macro_rules! histories {
    ($($name:ident: $type:ty, by $op:ty, $ops:expr, $mutate:expr, answers $answer:expr, as would $model:expr;)*) => {$(
        proptest::proptest! {
            #[test]
            fn $name(steps in $crate::common::history::steps($ops)) {
                let end = $crate::common::history::play::<$type, $op>(steps, $mutate).settle();
                $crate::agree(&end, $answer, $model);
            }
        }
    )*};
}

mod causal;
mod clocks;
mod counters;
mod graphs;
mod products;
mod registers;
mod sequences;
mod sets;

/// The state answers what the model answers.
fn agree<L, Op, Answer: PartialEq + Debug>(
    (state, log): &(L, Vec<Logged<Op>>),
    answer: fn(&L) -> Answer,
    model: fn(&[Logged<Op>]) -> Answer,
) {
    assert_eq!(answer(state), model(log));
}
