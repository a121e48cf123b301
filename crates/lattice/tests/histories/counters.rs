//! How many.

use antiphon_lattice::{Epoch, Map, ReplicaId, Tally, total};
use proptest::prelude::*;
use std::collections::BTreeMap;

histories! {
    tallies: Map<ReplicaId, Tally>, by Counted, prop_oneof![4 => Just(Counted::Came), 2 => Just(Counted::Left), 1 => Just(Counted::Again)],
        |state, op, writer| state.update(writer.id, |tally| count(tally, op, writer.id)),
        answers |state| total(state.values()),
        as would |log| {
            let mut counts: BTreeMap<ReplicaId, u64> = BTreeMap::new();
            for line in log {
                let count = counts.entry(line.by).or_default();
                *count = match line.op {
                    Counted::Came => *count + 1,
                    Counted::Left => count.saturating_sub(1),
                    Counted::Again => *count,
                };
            }
            counts.values().sum()
        };
}

/// What one writer does to its tally.
#[derive(Clone, Copy, Debug)]
enum Counted {
    Came,
    Left,
    /// Counts what there is once more, in the next generation.
    Again,
}

fn count(tally: &mut Tally, op: Counted, owner: ReplicaId) -> Tally {
    if *tally == Tally::default() {
        *tally = Tally::opened(Epoch { generation: 0, owner });
    }
    match op {
        Counted::Came => tally.added_one(),
        Counted::Left if tally.value() > 0 => tally.removed_one(),
        Counted::Left => *tally,
        Counted::Again => {
            let epoch = Epoch { generation: tally.epoch.generation + 1, owner };
            *tally = Tally { epoch, added: tally.value(), removed: 0 };
            *tally
        }
    }
}
