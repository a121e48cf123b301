//! The counter that goes up and down: the join of two states.

use crate::harness::{Contender, Workload, timed};
use antiphon_lattice::{Lattice, PnCounter, ReplicaId};
use crdts::{CmRDT, CvRDT, PNCounter};
use std::time::Duration;

pub(crate) const NAMES: [(&str, u128); 2] =
    [("pn-counter: merge, 3 replicas", 3), ("pn-counter: merge, 5 replicas", 5)];

/// How many pairs are joined in one sample: one join is too short for the clock.
const PAIRS: u32 = 1_000;

/// What a state knows: a replica, what it added, what it took away.
type Known = [(u128, u64, u64)];

/// Two states of these replicas: the evens are ahead here, the odds there.
fn known(replicas: u128) -> [Vec<(u128, u64, u64)>; 2] {
    [0, 1].map(|ahead| {
        let state =
            |replica: u128| if replica % 2 == ahead { (replica, 900, 31) } else { (replica, 870, 30) };
        (1..=replicas).map(state).collect()
    })
}

/// All are as far as anybody knows of them.
fn expected(replicas: u128) -> String {
    (replicas * (900 - 31)).to_string()
}

/// Joins clones of two states, and says what came of it if it is not what should.
pub(crate) fn joined<S: Clone, R>(
    pairs: u32,
    states: [&S; 2],
    join: impl Fn(&mut S, S) -> R,
    wrong: impl Fn(&S) -> Option<String>,
) -> Result<Duration, String> {
    let [here, there] = states;
    let mut all: Vec<S> = (0..pairs).map(|_| here.clone()).collect();
    let others: Vec<S> = (0..pairs).map(|_| there.clone()).collect();
    let (_, took) =
        timed(|| all.iter_mut().zip(others).map(|(here, there)| join(here, there)).map(drop).count());
    all.iter().find_map(wrong).map_or(Ok(took), Err)
}

fn ours(known: &Known) -> PnCounter {
    let mut counter = PnCounter::default();
    for &(replica, added, taken) in known {
        counter.increment(ReplicaId::from_u128(replica), added);
        counter.decrement(ReplicaId::from_u128(replica), taken);
    }
    counter
}

fn theirs(known: &Known) -> PNCounter<u128> {
    let mut counter = PNCounter::new();
    for &(replica, added, taken) in known {
        counter.apply(counter.inc_many(replica, added));
        counter.apply(counter.dec_many(replica, taken));
    }
    counter
}

/// Two states that know the same replicas, each some of them better than the other.
pub(crate) fn merge((name, replicas): (&'static str, u128), rounds: usize) -> Workload<'static> {
    let not = move |found: String| {
        let right = expected(replicas);
        (found != right).then(|| format!("it came to {found}, not to {right}"))
    };
    let [here, there] = known(replicas).map(|known| ours(&known));
    let first = Contender {
        name: "antiphon PnCounter",
        does: "says whether it grew",
        sample: Box::new(move || {
            joined(PAIRS, [&here, &there], PnCounter::join, |counter| not(counter.value().to_string()))
        }),
    };
    let [here, there] = known(replicas).map(|known| theirs(&known));
    let second = Contender {
        name: "crdts PNCounter",
        does: "two maps",
        sample: Box::new(move || {
            joined(PAIRS, [&here, &there], PNCounter::merge, |counter| not(counter.read().to_string()))
        }),
    };
    Workload {
        name,
        about: format!(
            "Two states of the same {replicas} replicas, each ahead in some; by value, cloned beforehand"
        ),
        operations: PAIRS,
        rounds,
        contenders: vec![first, second],
    }
}
