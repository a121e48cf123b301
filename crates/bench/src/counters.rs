//! The counter that goes up and down: the join of two states.

use crate::harness::{Contender, Workload, timed};
use antiphon_lattice::{Lattice, PnCounter, ReplicaId};
use crdts::{CmRDT, CvRDT, PNCounter};
use std::hint::black_box;
use std::time::Duration;

/// A name, how many replicas, and whether the clones that the joins take belong to the work, as they do for whoever reads
/// a row, joins what came, and keeps the row.
pub(crate) const MERGES: [(&str, u128, bool); 4] = [
    ("pn-counter: clone two and merge, 3 replicas", 3, true),
    ("pn-counter: clone two and merge, 5 replicas", 5, true),
    ("pn-counter: merge, 3 replicas", 3, false),
    ("pn-counter: merge, 5 replicas", 5, false),
];

/// How many pairs are joined in one sample: one join is too short for the clock.
const PAIRS: u32 = 1_000;

/// How often two states are cloned and joined in one sample: this needs no room, so a sample can be long.
const ROUNDS: u32 = 20_000;

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

/// Clones two states and joins the clones, again and again.
fn cloned_and_joined<S: Clone, R>(
    [here, there]: [&S; 2],
    join: impl Fn(&mut S, S) -> R,
    wrong: impl Fn(&S) -> Option<String>,
) -> Result<Duration, String> {
    let clones_joined = || {
        let mut state = black_box(here).clone();
        black_box(join(&mut state, black_box(there).clone()));
        state
    };
    let ((), took) = timed(|| {
        for _ in 0..ROUNDS {
            let mut state = black_box(here).clone();
            black_box(join(&mut state, black_box(there).clone()));
            black_box(&state);
        }
    });
    wrong(&clones_joined()).map_or(Ok(took), Err)
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
pub(crate) fn merge(
    (name, replicas, with_clones): (&'static str, u128, bool),
    rounds: usize,
) -> Workload<'static> {
    let wrong = move |found: String| {
        let right = expected(replicas);
        (found != right).then(|| format!("it came to {found}, not to {right}"))
    };
    let cloned = if with_clones { "both cloned first, which counts" } else { "cloned beforehand" };
    Workload {
        name,
        about: format!("Two states of the same {replicas} replicas, each ahead in some; by value, {cloned}"),
        operations: if with_clones { ROUNDS } else { PAIRS },
        rounds,
        contenders: vec![
            contender(
                "antiphon PnCounter",
                "says whether it grew",
                with_clones,
                known(replicas).map(|known| ours(&known)),
                PnCounter::join,
                move |counter| wrong(counter.value().to_string()),
            ),
            contender(
                "crdts PNCounter",
                "two maps",
                with_clones,
                known(replicas).map(|known| theirs(&known)),
                PNCounter::merge,
                move |counter| wrong(counter.read().to_string()),
            ),
        ],
    }
}

fn contender<S: Clone + 'static, R>(
    name: &'static str,
    does: &'static str,
    with_clones: bool,
    [here, there]: [S; 2],
    join: impl Fn(&mut S, S) -> R + 'static,
    wrong: impl Fn(&S) -> Option<String> + 'static,
) -> Contender<'static> {
    let sample: Box<dyn FnMut() -> Result<Duration, String>> = if with_clones {
        Box::new(move || cloned_and_joined([&here, &there], &join, &wrong))
    } else {
        Box::new(move || joined(PAIRS, [&here, &there], &join, &wrong))
    };
    Contender { name, does, sample }
}
