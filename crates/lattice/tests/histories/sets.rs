//! Which.

use antiphon_lattice::{GSet, Life, Map, Pair};
use proptest::prelude::*;
use std::collections::BTreeSet;

histories! {
    life: Life, by (), Just(()), |state, (), _| state.end(),
        answers |state| state.is_gone(), as would |log| !log.is_empty();

    gset: GSet<u8>, by u8, 0_u8..20, |state, op, _| state.insert(op),
        answers |state| state.iter().copied().collect(), as would |log| -> BTreeSet<u8> { log.iter().map(|line| line.op).collect() };

    pair_as_two_phase_set: Pair<GSet<u8>, Map<u8, Life>>, by (u8, bool), (0_u8..6, any::<bool>()),
        |Pair(came, left), (element, comes), _| if comes {
            Pair(came.insert(element), Map::default())
        } else {
            Pair(GSet::default(), left.update(element, Life::end))
        },
        answers |state| state.0.iter().copied().filter(|element| state.1.get(element).is_none()).collect(),
        as would |log| -> BTreeSet<u8> {
            let all = |comes| log.iter().filter(move |line| line.op.1 == comes).map(|line| line.op.0);
            let left: BTreeSet<u8> = all(false).collect();
            all(true).filter(|element| !left.contains(element)).collect()
        };
}
