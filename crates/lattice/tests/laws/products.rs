//! Lattices of lattices.

use crate::any_three;
use crate::common::{random_gset, random_life, random_lww, random_map, random_min};
use antiphon_lattice::{GSet, Life, Lww, Map, Max, Min, Pair};
use proptest::prelude::*;

every_type! {
    unit: (), vec![()], any_three(Just(()));
    pair: Pair<Max<u8>, Life>, picked_pairs(),
        any_three((any::<u8>(), random_life()).prop_map(|(a, b)| Pair(Max(a), b)));
    map: Map<String, Max<u8>>, picked_maps(), any_three(random_map(any::<u8>().prop_map(Max)));
    map_of_registers: Map<String, Lww<u8>>, vec![Map::of("a".into(), Lww::default())],
        any_three(random_map(random_lww()));
    deep: Pair<Map<String, Pair<Lww<u8>, GSet<u8>>>, Min<(u8, u8)>>, vec![],
        any_three((random_map((random_lww(), random_gset()).prop_map(|(a, b)| Pair(a, b))), random_min())
            .prop_map(|(a, b)| Pair(a, b)));
}

fn picked_pairs() -> Vec<Pair<Max<u8>, Life>> {
    vec![Pair(Max(1), Life::Live), Pair(Max(0), Life::Gone), Pair(Max(1), Life::Gone)]
}

fn picked_maps() -> Vec<Map<String, Max<u8>>> {
    let map = |a, b| [("a".to_owned(), Max(a)), ("b".to_owned(), Max(b))].into_iter().collect();
    vec![map(0, 0), map(1, 0), map(0, 1), map(1, 2), map(2, 1)]
}
