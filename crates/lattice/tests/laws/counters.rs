//! How many.

use crate::any_three;
use crate::common::history::of_one_history;
use crate::common::{random_map, random_tally, replica};
use antiphon_lattice::{
    BoundedCounter, BoundedCounterError, Epoch, GCounter, HyperLogLog, Lattice, Map, PnCounter, ReplicaId,
    Tally,
};
use proptest::collection::vec;
use proptest::prelude::*;

every_type! {
    gcounter: GCounter, [&[1, 0][..], &[2, 0], &[0, 1], &[1, 2, 3, 4, 5], &[0, 0, 0, 0, 9]].map(counted).to_vec(),
        any_three(vec(0_u8..3, 0..7).prop_map(|numbers| counted(&numbers)));
    pncounter: PnCounter, picked_pncounters(), any_three(vec((0_u8..3, 0_u8..3), 0..7).prop_map(|numbers| {
        numbers.into_iter().enumerate().fold(PnCounter::default(), |all, (nth, (added, taken))| {
            all.joined(moved(nth, added)).joined(taken_away(nth, taken))
        })
    }));
    bounded_counter: BoundedCounter, picked_bounded(),
        of_one_history((0_u8..3, 0_u8..4, 0_u8..4), |state, (what, many, to), writer| {
            bounded(state, what, many.into(), writer.id, replica(to)).unwrap_or_default()
        });
    tally: Tally, picked_tallies(), any_three(random_tally());
    tallies: Map<String, Tally>, vec![Map::of("a".into(), Tally::default())], any_three(random_map(random_tally()));
    hyperloglog: HyperLogLog<4>, [&[1][..], &[2], &[1, 2], &[1, 2, 3], &[4, 5, 6, 7, 8], &[3, 8, 9, 10]].map(sketch).to_vec(),
        any_three(vec(any::<u8>(), 0..9).prop_map(|elements| sketch(&elements)));
    hyperloglog_of_a_thousand: HyperLogLog, vec![],
        any_three((0..1_000_u64).prop_map(|many| (0..many).fold(HyperLogLog::default(), |all, hash| {
            all.joined(HyperLogLog::of_hash(hash * many))
        })));
}

/// At precision 4, three elements are sparse, and more are dense.
fn sketch(elements: &[u8]) -> HyperLogLog<4> {
    elements
        .iter()
        .fold(HyperLogLog::default(), |all, element| all.joined(HyperLogLog::of_bytes(&[*element])))
}

/// Every number among the least and the greatest, in epochs that differ in generation, in owner, and not at all.
fn picked_tallies() -> Vec<Tally> {
    let epochs =
        [(0, 0), (0, 1), (1, 0)].map(|(generation, owner)| Epoch { generation, owner: replica(owner) });
    let numbers = [(0, 0), (1, 0), (0, 1), (2, 1), (u64::MAX, u64::MAX)];
    epochs.iter().flat_map(|&epoch| numbers.map(|(added, removed)| Tally { epoch, added, removed })).collect()
}

/// So many at each replica in turn.
fn counted(numbers: &[u8]) -> GCounter {
    let mut counter = GCounter::default();
    for (by, many) in (1..).zip(numbers) {
        counter.increment(replica(by), (*many).into());
    }
    counter
}

fn moved(nth: usize, added: u8) -> PnCounter {
    PnCounter::default().increment(replica(u8::try_from(nth).unwrap_or(u8::MAX)), added.into())
}

fn taken_away(nth: usize, taken: u8) -> PnCounter {
    PnCounter::default().decrement(replica(u8::try_from(nth).unwrap_or(u8::MAX)), taken.into())
}

/// Each number alone, both, two replicas, and more than fit without an allocation.
fn picked_pncounters() -> Vec<PnCounter> {
    let many = (0..6).fold(PnCounter::default(), |all, nth| all.joined(moved(nth, 1)));
    let full = PnCounter::default().decrement(replica(9), u64::MAX);
    vec![
        moved(1, 1),
        taken_away(1, 1),
        moved(1, 1).joined(taken_away(1, 2)),
        moved(2, 2),
        many.clone(),
        many.joined(full.clone()),
        full,
    ]
}

/// Adds, takes away or gives.
fn bounded(
    state: &mut BoundedCounter,
    what: u8,
    many: u64,
    by: ReplicaId,
    to: ReplicaId,
) -> Result<BoundedCounter, BoundedCounterError> {
    match what {
        0 => state.increment(by, many),
        1 => state.decrement(by, many),
        _ => state.transfer(by, to, many),
    }
}

fn picked_bounded() -> Vec<BoundedCounter> {
    let [a, b] = [1, 2].map(replica);
    let mut state = BoundedCounter::default();
    let deltas = [(0, 5, a, b), (1, 2, a, b), (2, 3, a, b), (1, 1, b, a), (2, 1, b, a), (0, 1, b, a)]
        .map(|(what, many, by, to)| bounded(&mut state, what, many, by, to).unwrap_or_default());
    deltas.into_iter().chain([state]).collect()
}
