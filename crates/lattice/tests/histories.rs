//! Replicas mutate and gossip over a queue that loses, repeats and reorders, and end as a plain model says.
//!
//! A new type adds one entry: its operations, how one is carried out, what a state answers, and what a plain program
//! that saw the whole log would answer.

#![expect(clippy::indexing_slicing, reason = "a test may panic, in its helpers too")]

mod common;

use antiphon_lattice::{
    Clock, Epoch, GSet, Lane, Lattice, Life, Lww, Map, Max, Min, Pair, ReplicaId, Stamp, Tally, total,
};
use common::replica;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

/// The first three write. The fourth only listens, and joins the same in its own order.
const WRITERS: usize = 3;
const REPLICAS: usize = 4;

/// Who carries out an operation, with a clock that may be wrong.
struct Writer {
    id: ReplicaId,
    clock: Clock,
    now_ms: u64,
    stamp: Stamp,
}

impl Writer {
    fn mint(&mut self, above: Option<Stamp>) -> Stamp {
        self.stamp = self.clock.mint(self.now_ms, above);
        self.stamp
    }
}

/// One line of the log that the plain model reads: the operations in the order in which they happened.
#[derive(Debug)]
struct Logged<Op> {
    op: Op,
    by: ReplicaId,
    stamp: Stamp,
}

#[derive(Clone, Debug)]
enum Step<Op> {
    Write {
        at: usize,
        now_ms: u64,
        op: Op,
    },
    Deliver {
        nth: Index,
        to: usize,
        repeat: bool,
    },
    Lose {
        nth: Index,
    },
    /// A full state is sent, as anti-entropy does.
    Announce {
        at: usize,
    },
}

fn steps<Op: Debug + Clone>(op: impl Strategy<Value = Op>) -> impl Strategy<Value = Vec<Step<Op>>> {
    let nth = any::<Index>;
    let step = prop_oneof![
        4 => (0..WRITERS, 0_u64..2_000, op).prop_map(|(at, now_ms, op)| Step::Write { at, now_ms, op }),
        4 => (nth(), 0..REPLICAS, any::<bool>()).prop_map(|(nth, to, repeat)| Step::Deliver { nth, to, repeat }),
        1 => nth().prop_map(|nth| Step::Lose { nth }),
        1 => (0..REPLICAS).prop_map(|at| Step::Announce { at }),
    ];
    vec(step, 0..50)
}

/// Plays the steps and a last full exchange, and returns the state that all ended in, with the log.
fn play<L: Lattice + Debug, Op: Clone>(
    steps: Vec<Step<Op>>,
    mutate: impl Fn(&mut L, Op, &mut Writer) -> L,
) -> (L, Vec<Logged<Op>>) {
    let mut states = vec![L::default(); REPLICAS];
    let mut writers: Vec<Writer> = [1, 2, 3]
        .map(replica)
        .map(|id| Writer { id, clock: Clock::new(id, Lane(0)), now_ms: 0, stamp: Stamp::default() })
        .into();
    let (mut log, mut queue) = (Vec::new(), Vec::new());
    for step in steps {
        match step {
            Step::Write { at, now_ms, op } => {
                let (before, writer) = (states[at].clone(), &mut writers[at]);
                writer.now_ms = now_ms;
                let delta = mutate(&mut states[at], op.clone(), writer);
                assert_eq!(before.joined(delta.clone()), states[at], "the delta says what the mutator did");
                queue.push(delta);
                log.push(Logged { op, by: writer.id, stamp: writer.stamp });
            }
            Step::Deliver { nth, to, repeat } if !queue.is_empty() => {
                let nth = nth.index(queue.len());
                let message = if repeat { queue[nth].clone() } else { queue.swap_remove(nth) };
                states[to].join(message);
            }
            Step::Lose { nth } if !queue.is_empty() => {
                queue.swap_remove(nth.index(queue.len()));
            }
            Step::Announce { at } => queue.push(states[at].clone()),
            Step::Deliver { .. } | Step::Lose { .. } => {}
        }
    }
    let last = states.clone();
    for (nth, state) in states.iter_mut().enumerate() {
        // Each hears of the others in an order of its own.
        for other in 0..REPLICAS {
            state.join(last[(nth + other) % REPLICAS].clone());
        }
    }
    assert!(states.windows(2).all(|two| two[0] == two[1]), "diverged: {states:?}");
    (states.remove(0), log)
}

/// The state answers what the model answers.
fn agree<L, Op, Answer: PartialEq + Debug>(
    (state, log): &(L, Vec<Logged<Op>>),
    answer: fn(&L) -> Answer,
    model: fn(&[Logged<Op>]) -> Answer,
) {
    assert_eq!(answer(state), model(log));
}

macro_rules! histories {
    ($($name:ident: $type:ty, by $op:ty, $ops:expr, $mutate:expr, answers $answer:expr, as would $model:expr;)*) => {$(
        proptest! {
            #[test]
            fn $name(steps in steps($ops)) {
                agree(&play::<$type, $op>(steps, $mutate), $answer, $model);
            }
        }
    )*};
}

histories! {
    max: Max<u8>, by u8, any::<u8>(), |state, op, _| state.raise(op),
        answers |state| state.0, as would |log| log.iter().map(|line| line.op).max().unwrap_or(0);

    min: Min<u8>, by u8, any::<u8>(), |state, op, _| state.write(op),
        answers |state| state.get().copied(), as would |log| log.iter().map(|line| line.op).min();

    life: Life, by (), Just(()), |state, (), _| state.end(),
        answers |state| state.is_gone(), as would |log| !log.is_empty();

    gset: GSet<u8>, by u8, 0_u8..20, |state, op, _| state.insert(op),
        answers |state| state.iter().copied().collect(), as would |log| -> BTreeSet<u8> { log.iter().map(|line| line.op).collect() };

    lww: Lww<u8>, by u8, any::<u8>(), |state, op, writer| state.set(writer.mint(state.stamp()), op),
        answers |state| state.get().copied(), as would |log| last_writer(log.iter().map(|line| (line.stamp, line.op)));

    map_of_registers: Map<u8, Lww<u8>>, by (u8, u8), (0_u8..4, any::<u8>()),
        |state, (key, value), writer| state.update(key, |entry| entry.set(writer.mint(entry.stamp()), value)),
        answers |state| state.iter().map(|(&key, entry)| (key, entry.get().copied())).collect(),
        as would |log| -> BTreeMap<u8, Option<u8>> {
            let written = |key| log.iter().filter(move |line| line.op.0 == key).map(|line| (line.stamp, line.op.1));
            log.iter().map(|line| (line.op.0, last_writer(written(line.op.0)))).collect()
        };

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

fn last_writer(written: impl Iterator<Item = (Stamp, u8)>) -> Option<u8> {
    written.max().map(|(_, value)| value)
}

proptest! {
    /// Where everybody has read all before writing, the last writer is the one who wrote last, whatever the clocks say.
    #[test]
    fn lww_under_clocks_that_are_wrong(writes in vec((0..WRITERS, 0_u64..1_000_000, any::<u8>()), 1..30)) {
        let mut clocks = [1, 2, 3].map(|id| Clock::new(replica(id), Lane(0)));
        let mut row = Lww::default();
        for (at, now_ms, value) in writes {
            row.set(clocks[at].mint(now_ms, row.stamp()), value);
            prop_assert_eq!(row.get(), Some(&value));
        }
    }
}
