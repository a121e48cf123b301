//! One value at a time.

use crate::any_three;
use crate::clocks::random_dvvs;
use crate::common::{picked_stamps, random_lww, random_min, replica};
use antiphon_lattice::{Lattice, Lww, Max, Min, MvRegister};
use proptest::prelude::*;

every_type! {
    max: Max<u8>, vec![Max(1), Max(1), Max(2), Max(255)], any_three(any::<u8>().prop_map(Max));
    min: Min<(u8, u8)>, vec![Min::of((0, 0)), Min::of((0, 1)), Min::of((1, 0))], any_three(random_min());
    lww: Lww<u8>, picked_lww(), any_three(random_lww());
    lww_text: Lww<String>, vec![], any_three(random_lww().prop_map(words));
    mv_register: MvRegister<u8>, picked_mv_registers(), any_three(random_mv_register());
}

/// Every picked stamp with two values: the tie that must not depend on who came first.
fn picked_lww() -> Vec<Lww<u8>> {
    picked_stamps().into_iter().flat_map(|at| [Lww::new(at, 0), Lww::new(at, 1)]).collect()
}

fn words(number: Lww<u8>) -> Lww<String> {
    number
        .stamp()
        .zip(number.get())
        .map_or_else(Lww::default, |(at, value)| Lww::new(at, format!("a \"{value}\" é")))
}

/// A write, one after it, one beside it, both, one after both, and what was cleared.
fn picked_mv_registers() -> Vec<MvRegister<u8>> {
    let set = |state: &MvRegister<u8>, number: u8, value: u8| {
        let mut state = state.clone();
        state.set(replica(number), value);
        state
    };
    let first = set(&MvRegister::default(), 1, 1);
    let (after, beside) = (set(&first, 1, 2), set(&MvRegister::default(), 2, 1));
    let both = after.clone().joined(beside.clone());
    let after_both = set(&both, 2, 3);
    let mut cleared = both.clone();
    cleared.clear();
    vec![first, after, beside, both, after_both, cleared]
}

/// Any at all: it has the bytes of a dotted version vector set.
fn random_mv_register() -> impl Strategy<Value = MvRegister<u8>> {
    random_dvvs().prop_map(|set| {
        let bytes = serde_json::to_string(&set).expect("it encodes");
        serde_json::from_str(&bytes).expect("a register")
    })
}
