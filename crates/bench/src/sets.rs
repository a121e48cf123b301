//! The set whose additions win: the join of two states of a thousand elements.

use crate::counters::joined;
use crate::harness::{Contender, Workload};
use antiphon_lattice::{Lattice, OrSet, ReplicaId};
use crdts::{CmRDT, CvRDT, Orswot};
use std::collections::BTreeSet;

pub(crate) const NAME: &str = "or-set: merge of 1,000 elements";

/// How many pairs are joined in one sample.
const PAIRS: u32 = 10;
/// What both sides knew before they parted.
const SHARED: u64 = 960;
/// What each side added since, and how much of the shared it removed.
const ADDED: u64 = 40;
const REMOVED: u64 = 40;

/// The elements, as numbers that do not stand in the order of their addition.
fn element(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// What happened on one side of the two after they parted: additions, and removals of what both had.
fn since(side: u64) -> (impl Iterator<Item = u64>, impl Iterator<Item = u64>) {
    let added = (0..ADDED).map(move |number| element(SHARED + side * ADDED + number));
    // Every twelfth of the shared, another one on each side.
    let removed = (0..REMOVED).map(move |number| element(number * 12 + side));
    (added, removed)
}

fn expected() -> BTreeSet<u64> {
    let mut set: BTreeSet<u64> = (0..SHARED).map(element).collect();
    for side in 0..2 {
        let (added, removed) = since(side);
        set.extend(added);
        removed.for_each(|gone| assert!(set.remove(&gone), "removed twice"));
    }
    set
}

fn ours() -> Result<[OrSet<u64>; 2], String> {
    let ids = [1, 2].map(ReplicaId::from_u128);
    let mut shared = OrSet::default();
    for (number, me) in (0..SHARED).zip(ids.iter().cycle()) {
        shared.insert(*me, element(number)).map_err(|error| error.to_string())?;
    }
    let mut sides = [shared.clone(), shared];
    for ((side, set), me) in (0..).zip(&mut sides).zip(ids) {
        let (added, removed) = since(side);
        for new in added {
            set.insert(me, new).map_err(|error| error.to_string())?;
        }
        for old in removed {
            set.remove(&old);
        }
    }
    Ok(sides)
}

fn theirs() -> [Orswot<u64, u128>; 2] {
    let add =
        |set: &mut Orswot<u64, u128>, me, new| set.apply(set.add(new, set.read_ctx().derive_add_ctx(me)));
    let mut shared = Orswot::new();
    for (number, me) in (0..SHARED).zip([1, 2].iter().cycle()) {
        add(&mut shared, *me, element(number));
    }
    let mut sides = [shared.clone(), shared];
    for ((side, set), me) in (0..).zip(&mut sides).zip([1, 2]) {
        let (added, removed) = since(side);
        added.for_each(|new| add(set, me, new));
        for old in removed {
            let seen = set.contains(&old).derive_rm_ctx();
            set.apply(set.rm(old, seen));
        }
    }
    sides
}

/// Two replicas that share nearly all: each added some since, and removed some.
pub(crate) fn merge(rounds: usize) -> Result<Workload<'static>, String> {
    let right = expected();
    let same = right.clone();
    let [here, there] = ours()?;
    let first = Contender {
        name: "antiphon OrSet",
        does: "in order, equal sets have equal bytes; says whether it grew",
        sample: Box::new(move || {
            joined(PAIRS, [&here, &there], OrSet::join, |set| {
                (!set.iter().eq(&right)).then(|| "it came to another set".to_owned())
            })
        }),
    };
    let [here, there] = theirs();
    let second = Contender {
        name: "crdts Orswot",
        does: "hash maps, in no order",
        sample: Box::new(move || {
            joined(PAIRS, [&here, &there], Orswot::merge, |set| {
                let found: BTreeSet<u64> = set.read().val.into_iter().collect();
                (found != same).then(|| "it came to another set".to_owned())
            })
        }),
    };
    Ok(Workload {
        name: NAME,
        about: format!(
            "Two replicas that share {SHARED} elements; each added {ADDED} and removed {REMOVED}; by value, cloned beforehand"
        ),
        operations: PAIRS,
        rounds,
        contenders: vec![first, second],
    })
}
