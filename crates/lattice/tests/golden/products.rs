//! Lattices of lattices.

use crate::{A, B};
use antiphon_lattice::{Life, Map, Max, Pair, ReplicaId};

golden! {
    pair: Pair<Max<u8>, Life> = vec![Pair(Max(0), Life::Live), Pair(Max(255), Life::Gone)];
    map: Map<ReplicaId, Max<u8>> = vec![Map::default(), [(B, Max(2)), (A, Max(1))].into_iter().collect()];
}
