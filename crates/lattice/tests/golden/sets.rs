//! Which.

use antiphon_lattice::{GSet, Life};

golden! {
    life: Life = vec![Life::Live, Life::Gone];
    gset: GSet<String> = vec![GSet::default(), ["b", "a", "é"].map(String::from).into_iter().collect()];
}
