//! Causal delivery over a queue that reorders and repeats, against causal histories.

#![expect(clippy::panic, clippy::indexing_slicing, reason = "a test may panic, in its helpers too")]

use antiphon_lattice::{
    CausalDelivery, CausalMessage, Dot, NotTaken, ReplicaId, VersionVector, identity_faults,
};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

const PROCESSES: usize = 4;

#[derive(Clone, Debug)]
enum Step {
    Send { at: usize },
    Deliver { nth: prop::sample::Index, repeat: bool },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => (0..PROCESSES).prop_map(|at| Step::Send { at }),
        3 => (any::<prop::sample::Index>(), any::<bool>()).prop_map(|(nth, repeat)| Step::Deliver { nth, repeat }),
    ]
}

/// One process, what it handled in order, and for each message which had been sent or handled before it was sent.
struct Process {
    delivery: CausalDelivery<usize>,
    handled: Vec<usize>,
}

struct World {
    processes: Vec<Process>,
    before: Vec<BTreeSet<usize>>,
    queue: VecDeque<(usize, CausalMessage<usize>)>,
}

impl World {
    fn new(capacity: usize) -> Self {
        let process = |id| Process {
            delivery: CausalDelivery::new(ReplicaId::from_u128(id), capacity),
            handled: Vec::new(),
        };
        Self { processes: [1, 2, 3, 4].map(process).into(), before: Vec::new(), queue: VecDeque::new() }
    }

    fn send(&mut self, at: usize) {
        let number = self.before.len();
        let process = &mut self.processes[at];
        self.before.push(process.handled.iter().copied().collect());
        process.handled.push(number);
        let message = process.delivery.send(number);
        for to in (0..PROCESSES).filter(|to| *to != at) {
            self.queue.push_back((to, message.clone()));
        }
    }

    /// A message that is not taken goes back to the queue.
    fn deliver(&mut self, to: usize, message: CausalMessage<usize>) {
        let process = &mut self.processes[to];
        match process.delivery.receive(message) {
            Ok(ready) => {
                for message in ready {
                    let before = &self.before[message.payload];
                    assert!(
                        before.iter().all(|led| process.handled.contains(led)),
                        "after all that led to it"
                    );
                    assert!(!process.handled.contains(&message.payload), "once");
                    process.handled.push(message.payload);
                }
            }
            Err(NotTaken::Full(message)) => self.queue.push_back((to, message)),
            Err(NotTaken::Unnumbered(message)) => panic!("{message:?} has no number"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn each_message_once_and_in_causal_order(steps in vec(step(), 1..80), capacity in 0_usize..5) {
        let mut world = World::new(capacity);
        for step in steps {
            match step {
                Step::Send { at } => world.send(at),
                Step::Deliver { nth, repeat } if !world.queue.is_empty() => {
                    let nth = nth.index(world.queue.len());
                    let (to, message) = if repeat {
                        world.queue[nth].clone()
                    } else {
                        world.queue.remove(nth).expect("it is there")
                    };
                    world.deliver(to, message);
                }
                Step::Deliver { .. } => {}
            }
            for process in &world.processes {
                prop_assert!(process.delivery.waiting().count() <= capacity);
            }
        }
        // What waits is waiting for what is missing, and for nothing else.
        for (at, process) in world.processes.iter().enumerate() {
            let waiting: BTreeMap<usize, &CausalMessage<usize>> =
                process.delivery.waiting().map(|message| (message.payload, message)).collect();
            let led: BTreeSet<usize> = waiting.keys().flat_map(|number| world.before[*number].clone()).collect();
            let missing = led.iter().filter(|led| !process.handled.contains(led) && !waiting.contains_key(led));
            prop_assert_eq!(process.delivery.missing().count(), missing.count(), "{}", at);
        }
        // Even the smallest buffer is no deadlock: the queue brings again what was not taken.
        let mut rounds = 0;
        while let Some((to, message)) = world.queue.pop_front() {
            world.deliver(to, message);
            rounds += 1;
            prop_assert!(rounds < 100_000, "no progress");
        }
        for process in &world.processes {
            prop_assert_eq!(process.handled.len(), world.before.len(), "all");
            prop_assert_eq!(process.delivery.waiting().count() + process.delivery.missing().count(), 0);
        }
    }
}

fn message(from: u128, stamp: &[(u128, u64)]) -> CausalMessage<&'static str> {
    let dots = stamp.iter().map(|&(id, counter)| Dot { replica: ReplicaId::from_u128(id), counter });
    CausalMessage { from: ReplicaId::from_u128(from), stamp: dots.collect(), payload: "" }
}

fn of_process_nine(capacity: usize) -> CausalDelivery<&'static str> {
    CausalDelivery::new(ReplicaId::from_u128(9), capacity)
}

#[test]
fn a_full_buffer_takes_what_need_not_wait() {
    let mut delivery = of_process_nine(1);
    let late = |counter| message(1, &[(1, counter)]);
    assert_eq!(delivery.receive(late(2)), Ok(vec![]));
    assert_eq!(delivery.receive(late(2)), Ok(vec![]), "again");
    let error = delivery.receive(late(3)).expect_err("no room");
    assert_eq!(error, NotTaken::Full(late(3)));
    assert!(error.to_string().starts_with("no room for message 00000000000000000000000000000001-"));
    assert_eq!(delivery.receive(message(2, &[(2, 1)])), Ok(vec![message(2, &[(2, 1)])]));
    assert_eq!(delivery.receive(late(1)), Ok(vec![late(1), late(2)]));
    assert_eq!(delivery.receive(late(3)), Ok(vec![late(3)]));
}

#[test]
fn what_is_given_up_releases_what_waited() {
    let mut delivery = of_process_nine(9);
    let waits = message(2, &[(1, 3), (2, 1)]);
    let covered = message(1, &[(1, 2)]);
    for message in [waits.clone(), covered] {
        assert_eq!(delivery.receive(message), Ok(vec![]));
    }
    let id = ReplicaId::from_u128(1);
    let dot = |counter| Dot { replica: id, counter };
    assert_eq!(delivery.missing().collect::<Vec<_>>(), [dot(1), dot(3)]);
    assert_eq!(delivery.give_up(VersionVector::up_to(dot(3))), [waits]);
    assert_eq!(delivery.waiting().count(), 0);
}

#[test]
fn stamps_that_no_honest_process_sends() {
    let before = identity_faults();
    let mut delivery = of_process_nine(9);
    let unnumbered = message(1, &[(2, 1)]);
    assert_eq!(delivery.receive(unnumbered.clone()), Err(NotTaken::Unnumbered(unnumbered)));
    // One that claims as many messages before it as can be: what is missing is lazy.
    assert_eq!(delivery.receive(message(1, &[(1, u64::MAX)])), Ok(vec![]));
    assert_eq!(delivery.missing().take(3).count(), 3);
    // One dot with two stamps.
    assert_eq!(delivery.receive(message(2, &[(2, 2)])), Ok(vec![]));
    assert_eq!(delivery.receive(message(2, &[(2, 2), (3, 1)])), Ok(vec![]));
    assert!(identity_faults() > before);
    assert_eq!(delivery.receive(message(2, &[(2, 1)])).map(|ready| ready.len()), Ok(2), "the first stays");
}

/// Resumed from what was committed, with what waited received again.
#[test]
fn a_restart_loses_and_repeats_nothing() {
    let mut delivery = of_process_nine(9);
    assert_eq!(delivery.receive(message(1, &[(1, 1)])).map(|ready| ready.len()), Ok(1));
    let sent = delivery.send("");
    assert_eq!(delivery.receive(message(1, &[(1, 3)])), Ok(vec![]));
    let mut again = CausalDelivery::resume(ReplicaId::from_u128(9), 9, delivery.seen().clone());
    for waited in delivery.waiting() {
        assert_eq!(again.receive(waited.clone()), Ok(vec![]));
    }
    assert_eq!(again.receive(message(1, &[(1, 1)])), Ok(vec![]), "handled before");
    assert_eq!(again.receive(message(1, &[(1, 2)])).map(|ready| ready.len()), Ok(2));
    assert!(again.send("").dot() > sent.dot());
}
