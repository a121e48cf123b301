//! Replicas that mutate and gossip over a queue that loses, repeats and reorders.
#![allow(clippy::indexing_slicing, reason = "a test may panic, in its helpers too")]

use super::replica;
use antiphon_lattice::{Clock, Lane, Lattice, ReplicaId, Stamp};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::BTreeSet;
use std::fmt::Debug;

/// The first three write. The fourth only listens, and joins the same in its own order.
pub(crate) const WRITERS: usize = 3;
const REPLICAS: usize = 4;

/// Who carries out an operation, with a clock that may be wrong.
pub(crate) struct Writer {
    pub(crate) id: ReplicaId,
    clock: Clock,
    now_ms: u64,
    stamp: Stamp,
}

impl Writer {
    /// A stamp above the given one.
    pub(crate) fn mint(&mut self, above: Option<Stamp>) -> Stamp {
        self.stamp = self.clock.mint(self.now_ms, above);
        self.stamp
    }
}

/// One line of the log that the plain model reads: the operations in the order in which they happened.
#[derive(Clone, Debug)]
pub(crate) struct Logged<Op> {
    pub(crate) op: Op,
    pub(crate) by: ReplicaId,
    /// The last stamp that the writer had minted: this write's, where it mints one.
    pub(crate) stamp: Stamp,
    /// Which earlier lines, by index, had reached the writer.
    pub(crate) saw: BTreeSet<usize>,
}

#[derive(Clone, Debug)]
pub(crate) enum Step<Op> {
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

pub(crate) fn steps<Op: Debug + Clone>(
    op: impl Strategy<Value = Op>,
) -> impl Strategy<Value = Vec<Step<Op>>> {
    let nth = any::<Index>;
    let step = prop_oneof![
        4 => (0..WRITERS, 0_u64..2_000, op).prop_map(|(at, now_ms, op)| Step::Write { at, now_ms, op }),
        4 => (nth(), 0..REPLICAS, any::<bool>()).prop_map(|(nth, to, repeat)| Step::Deliver { nth, to, repeat }),
        1 => nth().prop_map(|nth| Step::Lose { nth }),
        1 => (0..REPLICAS).prop_map(|at| Step::Announce { at }),
    ];
    vec(step, 0..50)
}

/// A state, and the lines of the log that went into it.
#[derive(Clone, Debug, Default)]
struct Told<L> {
    state: L,
    lines: BTreeSet<usize>,
}

impl<L: Lattice> Told<L> {
    fn join(&mut self, other: Self) {
        self.state.join(other.state);
        self.lines.extend(other.lines);
    }
}

/// All replicas and what is still under way, after some steps.
pub(crate) struct Played<L, Op> {
    replicas: Vec<Told<L>>,
    queue: Vec<Told<L>>,
    log: Vec<Logged<Op>>,
}

/// Plays the steps. Panics if a mutator did not do what its delta says.
pub(crate) fn play<L: Lattice + Debug, Op: Clone>(
    steps: Vec<Step<Op>>,
    mutate: impl Fn(&mut L, Op, &mut Writer) -> L,
) -> Played<L, Op> {
    let nothing = Told { state: L::default(), lines: BTreeSet::new() };
    let mut replicas = vec![nothing; REPLICAS];
    let mut writers: Vec<Writer> = [1, 2, 3]
        .map(replica)
        .map(|id| Writer { id, clock: Clock::new(id, Lane(0)), now_ms: 0, stamp: Stamp::default() })
        .into();
    let (mut log, mut queue) = (Vec::new(), Vec::new());
    for step in steps {
        match step {
            Step::Write { at, now_ms, op } => {
                let (told, writer) = (&mut replicas[at], &mut writers[at]);
                let before = told.state.clone();
                writer.now_ms = now_ms;
                let delta = mutate(&mut told.state, op.clone(), writer);
                assert_eq!(before.joined(delta.clone()), told.state, "the delta says what the mutator did");
                log.push(Logged { op, by: writer.id, stamp: writer.stamp, saw: told.lines.clone() });
                told.lines.insert(log.len() - 1);
                queue.push(Told { state: delta, lines: [log.len() - 1].into() });
            }
            Step::Deliver { nth, to, repeat } if !queue.is_empty() => {
                let nth = nth.index(queue.len());
                let message = if repeat { queue[nth].clone() } else { queue.swap_remove(nth) };
                replicas[to].join(message);
            }
            Step::Lose { nth } if !queue.is_empty() => {
                queue.swap_remove(nth.index(queue.len()));
            }
            Step::Announce { at } => queue.push(replicas[at].clone()),
            Step::Deliver { .. } | Step::Lose { .. } => {}
        }
    }
    Played { replicas, queue, log }
}

impl<L: Lattice + Debug, Op> Played<L, Op> {
    /// A last full exchange. Returns the state that all ended in, and the log.
    pub(crate) fn settle(mut self) -> (L, Vec<Logged<Op>>) {
        let last = self.replicas.clone();
        for (nth, told) in self.replicas.iter_mut().enumerate() {
            // Each hears of the others in an order of its own.
            for other in 0..REPLICAS {
                told.join(last[(nth + other) % REPLICAS].clone());
            }
        }
        let same = self.replicas.windows(2).all(|two| two[0].state == two[1].state);
        assert!(same, "diverged: {:?}", self.replicas);
        (self.replicas.swap_remove(0).state, self.log)
    }

    /// The states of the writers and the last delta that is still under way: values that may meet, while not any do.
    pub(crate) fn states(self) -> Vec<L> {
        let under_way = self.queue.into_iter().next_back();
        self.replicas.into_iter().take(WRITERS).chain(under_way).map(|told| told.state).collect()
    }
}

/// States that one history can bring about, for the laws of types that promise nothing of states that cannot meet (one
/// dot with two contents).
pub(crate) fn of_one_history<L: Lattice + Debug, Op: Debug + Clone>(
    op: impl Strategy<Value = Op>,
    mutate: impl Fn(&mut L, Op, &mut Writer) -> L,
) -> impl Strategy<Value = Vec<L>> {
    steps(op).prop_map(move |steps| play(steps, &mutate).states())
}
