//! How many.

use crate::any_three;
use crate::common::{random_map, random_tally, replica};
use antiphon_lattice::{Epoch, Map, Tally};

every_type! {
    tally: Tally, picked_tallies(), any_three(random_tally());
    tallies: Map<String, Tally>, vec![Map::of("a".into(), Tally::default())], any_three(random_map(random_tally()));
}

/// Every number among the least and the greatest, in epochs that differ in generation, in owner, and not at all.
fn picked_tallies() -> Vec<Tally> {
    let epochs =
        [(0, 0), (0, 1), (1, 0)].map(|(generation, owner)| Epoch { generation, owner: replica(owner) });
    let numbers = [(0, 0), (1, 0), (0, 1), (2, 1), (u64::MAX, u64::MAX)];
    epochs.iter().flat_map(|&epoch| numbers.map(|(added, removed)| Tally { epoch, added, removed })).collect()
}
