//! One value at a time.

use crate::any_three;
use crate::common::{picked_stamps, random_lww, random_min};
use antiphon_lattice::{Lww, Max, Min};
use proptest::prelude::*;

every_type! {
    max: Max<u8>, vec![Max(1), Max(1), Max(2), Max(255)], any_three(any::<u8>().prop_map(Max));
    min: Min<(u8, u8)>, vec![Min::of((0, 0)), Min::of((0, 1)), Min::of((1, 0))], any_three(random_min());
    lww: Lww<u8>, picked_lww(), any_three(random_lww());
    lww_text: Lww<String>, vec![], any_three(random_lww().prop_map(words));
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
