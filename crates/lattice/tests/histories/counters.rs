//! How many.

use crate::common::history::{Logged, Writer};
use crate::common::replica;
use antiphon_lattice::{
    BoundedCounter, Epoch, GCounter, HyperLogLog, Map, PnCounter, ReplicaId, Tally, total,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

histories! {
    gcounter: GCounter, by u8, any::<u8>(), |state, op, writer| state.increment(writer.id, op.into()),
        answers GCounter::value, as would |log| log.iter().map(|line| u128::from(line.op)).sum();

    pncounter: PnCounter, by i8, any::<i8>(),
        |state, op, writer| if op < 0 {
            state.decrement(writer.id, op.unsigned_abs().into())
        } else {
            state.increment(writer.id, op.unsigned_abs().into())
        },
        answers PnCounter::value, as would |log| log.iter().map(|line| i128::from(line.op)).sum();

    bounded_counter: BoundedCounter, by Right, right(), use_rights,
        answers |state| (state.value(), [1, 2, 3].map(|of| state.rights(replica(of)))), as would rights_at_the_end;
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

    hyperloglog_while_sparse: HyperLogLog, by u8, any::<u8>(), |state, op, _| state.insert_bytes(&[op]),
        answers HyperLogLog::estimate,
        as would |log| log.iter().map(|line| line.op).collect::<BTreeSet<_>>().len() as u64;

    hyperloglog: HyperLogLog<4>, by u8, any::<u8>(), |state, op, _| state.insert_hash(op.into()),
        answers HyperLogLog::to_bytes,
        as would |log| {
            // One replica that did it all, in the other order: to be dense or not, and each register, is no matter of how.
            let mut all = HyperLogLog::<4>::default();
            log.iter().rev().for_each(|line| drop(all.insert_hash(line.op.into())));
            all.to_bytes()
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

/// What one replica does with its rights.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Right {
    Make(u64),
    Use(u64),
    Give(u64, ReplicaId),
}

fn right() -> impl Strategy<Value = Right> {
    prop_oneof![
        (0_u64..6).prop_map(Right::Make),
        (0_u64..6).prop_map(Right::Use),
        (0_u64..6, 1_u8..4).prop_map(|(many, to)| Right::Give(many, replica(to))),
    ]
}

fn use_rights(state: &mut BoundedCounter, op: Right, writer: &mut Writer) -> BoundedCounter {
    let done = match op {
        Right::Make(many) => state.increment(writer.id, many),
        Right::Use(many) => state.decrement(writer.id, many),
        Right::Give(many, to) => state.transfer(writer.id, to, many),
    };
    done.unwrap_or_default()
}

/// A ledger: what each replica holds of what it knows. A number that arrives says all that was added to it before.
fn rights_at_the_end(log: &[Logged<Right>]) -> (u128, [u128; 3]) {
    let held = |of: ReplicaId, known: &dyn Fn(usize) -> bool, done: &[bool]| -> i128 {
        let lines = log.iter().zip(done).enumerate().filter(|(nth, (_, done))| **done && known(*nth));
        let moved = lines.map(|(_, (line, _))| match line.op {
            Right::Make(many) if line.by == of => i128::from(many),
            Right::Use(many) if line.by == of => -i128::from(many),
            Right::Give(many, to) => i128::from(many) * (i128::from(to == of) - i128::from(line.by == of)),
            _ => 0,
        });
        moved.sum()
    };
    let mut done: Vec<bool> = Vec::new();
    for line in log {
        let same = |a: usize, b: usize| match (log[a].op, log[b].op) {
            (Right::Give(_, to), Right::Give(_, other)) => log[a].by == log[b].by && to == other,
            _ => a == b,
        };
        let known = |nth: usize| line.saw.iter().any(|seen| *seen >= nth && done[*seen] && same(*seen, nth));
        let has = held(line.by, &known, &done);
        let may = match line.op {
            Right::Make(_) => true,
            Right::Use(many) | Right::Give(many, _) => i128::from(many) <= has,
        };
        done.push(may);
    }
    let rights = [1, 2, 3].map(|of| held(replica(of), &|_| true, &done));
    (
        rights.iter().sum::<i128>().try_into().unwrap_or(u128::MAX),
        rights.map(|held| held.try_into().unwrap_or(u128::MAX)),
    )
}
