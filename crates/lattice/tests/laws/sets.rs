//! Which.

use crate::any_three;
use crate::common::{random_gset, random_life};
use antiphon_lattice::{GSet, Life};

every_type! {
    life: Life, vec![Life::Live, Life::Gone], any_three(random_life());
    gset: GSet<u8>, vec![GSet::of(1), GSet::of(2), [1, 2].into_iter().collect()], any_three(random_gset());
}
