//! The counting rule, whole: three replicas of a comments service announce tallies to a subscriber over a bad queue.
//!
//! A comment may be posted at two replicas, in two places, again and again, and deleted at any of them, also before its
//! post is known there; rows and tallies are repeated, reordered and lost; clocks jump. At every instant the subscriber
//! shows no less than nothing and no more than was accepted, and after a last exchange exactly what is live.
//! Restored replicas and heirs, who count again in the next generation, are for the services' own tests.

#![expect(clippy::indexing_slicing, reason = "a test may panic, in its helpers too")]

mod common;

use antiphon_lattice::contributions::{Contributes, Contribution, Moved, OwnedTallies, moved};
use antiphon_lattice::{Clock, Lane, Lattice, Life, Min, ReplicaId, Stamp, Tally, total};
use common::replica;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use std::collections::{BTreeMap, BTreeSet};

const REPLICAS: usize = 3;
const GROUPS: u8 = 3;

/// A comment: its least post with the group it was posted to, and whether it is still there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Row {
    post: Min<(Stamp, u8)>,
    life: Life,
}

impl Lattice for Row {
    fn join(&mut self, other: Self) -> bool {
        let Self { post, life } = other;
        self.post.join(post) | self.life.join(life)
    }
}

impl Contributes for Row {
    type Group = u8;

    fn contributions(&self) -> BTreeSet<Contribution<u8>> {
        let live = if self.life.is_gone() { None } else { self.post.get() };
        live.map(|&(stamp, group)| Contribution { group, owner: stamp.replica }).into_iter().collect()
    }
}

/// A fault planted in the rule. Each must be caught, or the test that finds none says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Planted {
    Nothing,
    /// The subscriber adds what it is sent.
    Addition,
    /// A merge does not compare contributions.
    MergeUncounted,
    /// Every delivery of a living row is counted, known or not.
    EveryDelivery,
    /// Who changes the row counts it, and not its owner.
    WhoeverMerges,
}

struct Replica {
    id: ReplicaId,
    clock: Clock,
    owned: OwnedTallies,
    rows: BTreeMap<u8, Row>,
    tallies: BTreeMap<u8, Tally>,
    dirty_rows: BTreeSet<u8>,
    dirty_tallies: BTreeSet<u8>,
    planted: Planted,
}

impl Replica {
    fn new(number: u8, planted: Planted) -> Self {
        let id = replica(number);
        Self {
            id,
            clock: Clock::new(id, Lane(0)),
            owned: OwnedTallies::of(id),
            rows: BTreeMap::new(),
            tallies: BTreeMap::new(),
            dirty_rows: BTreeSet::new(),
            dirty_tallies: BTreeSet::new(),
            planted,
        }
    }

    /// The one way in which a row changes: join, compare, count.
    fn join(&mut self, comment: u8, delta: Row, merge: bool) {
        let row = self.rows.entry(comment).or_default();
        let mut before = row.contributions();
        if row.join(delta) {
            self.dirty_rows.insert(comment);
        }
        let after = row.contributions();
        match self.planted {
            Planted::EveryDelivery => before.clear(),
            Planted::MergeUncounted if merge => return,
            _ => {}
        }
        for (contribution, moved) in moved(&before, &after) {
            self.count(contribution, moved);
        }
    }

    fn count(&mut self, Contribution { group, owner }: Contribution<u8>, moved: Moved) {
        let owner = if self.planted == Planted::WhoeverMerges { self.id } else { owner };
        if let Some(epoch) = self.owned.epoch_of(owner) {
            let tally = self.tallies.entry(group).or_default();
            tally.join(Tally::opened(epoch));
            tally.count(moved);
            self.dirty_tallies.insert(group);
        }
    }

    /// Accepts a post, unless one is known already. Says whether it was accepted.
    fn post(&mut self, comment: u8, group: u8, now_ms: u64) -> bool {
        if self.rows.get(&comment).is_some_and(|row| row.post.get().is_some()) {
            return false;
        }
        let stamp = self.clock.mint(now_ms, None);
        self.join(comment, Row { post: Min::of((stamp, group)), life: Life::Live }, false);
        true
    }

    fn delete(&mut self, comment: u8) {
        self.join(comment, Row { life: Life::Gone, ..Row::default() }, false);
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// A client that lost the answers posts to one replica after another, and may be broken and change the place.
    Post {
        comment: u8,
        tries: Vec<(usize, u8, u64)>,
    },
    Delete {
        comment: u8,
        at: Vec<usize>,
    },
    Announce {
        at: usize,
    },
    Deliver {
        nth: Index,
        repeat: bool,
    },
    Lose {
        nth: Index,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let tries = vec((0..REPLICAS, 0..GROUPS, 0_u64..10_000), 1..3);
    prop_oneof![
        7 => (0_u8..12, tries).prop_map(|(comment, tries)| Step::Post { comment, tries }),
        3 => (0_u8..12, vec(0..REPLICAS, 1..3)).prop_map(|(comment, at)| Step::Delete { comment, at }),
        5 => (0..REPLICAS).prop_map(|at| Step::Announce { at }),
        8 => (any::<Index>(), any::<bool>()).prop_map(|(nth, repeat)| Step::Deliver { nth, repeat }),
        2 => any::<Index>().prop_map(|nth| Step::Lose { nth }),
    ]
}

#[derive(Clone)]
enum Message {
    Row { to: usize, comment: u8, row: Row },
    Tally { group: u8, from: ReplicaId, tally: Tally },
}

struct World {
    replicas: Vec<Replica>,
    stories: BTreeMap<(u8, ReplicaId), Tally>,
    queue: Vec<Message>,
    accepted: u64,
    planted: Planted,
}

impl World {
    fn new(planted: Planted) -> Self {
        let replicas = [1, 2, 3].map(|number| Replica::new(number, planted)).into();
        Self { replicas, stories: BTreeMap::new(), queue: Vec::new(), accepted: 0, planted }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Post { comment, tries } => {
                for (at, group, now_ms) in tries {
                    self.accepted += u64::from(self.replicas[at].post(comment, group, now_ms));
                }
            }
            Step::Delete { comment, at } => at.into_iter().for_each(|at| self.replicas[at].delete(comment)),
            Step::Announce { at } => self.announce(at),
            Step::Deliver { nth, repeat } if !self.queue.is_empty() => {
                let nth = nth.index(self.queue.len());
                let message = if repeat { self.queue[nth].clone() } else { self.queue.swap_remove(nth) };
                self.deliver(message);
            }
            Step::Lose { nth } if !self.queue.is_empty() => {
                self.queue.swap_remove(nth.index(self.queue.len()));
            }
            Step::Deliver { .. } | Step::Lose { .. } => {}
        }
    }

    fn announce(&mut self, at: usize) {
        let from = &mut self.replicas[at];
        for comment in std::mem::take(&mut from.dirty_rows) {
            for to in (0..REPLICAS).filter(|to| *to != at) {
                self.queue.push(Message::Row { to, comment, row: from.rows[&comment].clone() });
            }
        }
        for group in std::mem::take(&mut from.dirty_tallies) {
            self.queue.push(Message::Tally { group, from: from.id, tally: from.tallies[&group] });
        }
    }

    fn deliver(&mut self, message: Message) {
        match message {
            Message::Row { to, comment, row } => self.replicas[to].join(comment, row, true),
            Message::Tally { group, from, tally } => {
                let row = self.stories.entry((group, from)).or_default();
                if self.planted == Planted::Addition {
                    row.added += tally.added;
                    row.removed += tally.removed;
                } else {
                    row.join(tally);
                }
            }
        }
    }

    /// What anti-entropy achieves in the end: everybody sends everything, until there is no news.
    fn exchange_all(&mut self) {
        for replica in &mut self.replicas {
            replica.dirty_rows.extend(replica.rows.keys());
            replica.dirty_tallies.extend(replica.tallies.keys());
        }
        for _ in 0..10 {
            (0..REPLICAS).for_each(|at| self.announce(at));
            while let Some(message) = self.queue.pop() {
                self.deliver(message);
            }
        }
    }

    fn shown(&self, group: u8) -> u64 {
        total(self.stories.iter().filter(|((of, _), _)| *of == group).map(|(_, tally)| tally))
    }

    fn check_always(&self) -> Result<(), String> {
        if let Some((key, tally)) = self.stories.iter().find(|(_, tally)| tally.removed > tally.added) {
            return Err(format!("below zero: {key:?} {tally:?}"));
        }
        let shown: u64 = (0..GROUPS).map(|group| self.shown(group)).sum();
        if shown > self.accepted {
            return Err(format!("shows {shown}, and {} were accepted", self.accepted));
        }
        Ok(())
    }

    fn check_at_rest(&self) -> Result<(), String> {
        let rows = &self.replicas[0].rows;
        if self.replicas.iter().any(|replica| replica.rows != *rows) {
            return Err("rows diverged".to_owned());
        }
        for group in 0..GROUPS {
            let is_live =
                |row: &&Row| !row.life.is_gone() && row.post.get().is_some_and(|post| post.1 == group);
            let (live, shown) = (rows.values().filter(is_live).count() as u64, self.shown(group));
            if live != shown {
                return Err(format!("group {group} has {live} and shows {shown}"));
            }
        }
        Ok(())
    }
}

fn run(steps: Vec<Step>, planted: Planted) -> Result<(), String> {
    let mut world = World::new(planted);
    for step in steps {
        world.step(step);
        world.check_always()?;
    }
    world.exchange_all();
    world.check_always()?;
    world.check_at_rest()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn counts_are_exact(steps in vec(step(), 10..120)) {
        prop_assert_eq!(run(steps, Planted::Nothing), Ok(()));
    }
}

#[test]
fn planted_faults_are_caught() {
    let mut runner = TestRunner::deterministic();
    let strategy = vec(step(), 10..120);
    let histories: Vec<Vec<Step>> =
        (0..50).map(|_| strategy.new_tree(&mut runner).expect("steps are made").current()).collect();
    let caught = |planted| histories.iter().filter(|steps| run((*steps).clone(), planted).is_err()).count();
    assert_eq!(caught(Planted::Nothing), 0);
    for planted in
        [Planted::Addition, Planted::MergeUncounted, Planted::EveryDelivery, Planted::WhoeverMerges]
    {
        assert!(caught(planted) > 0, "{planted:?} is not caught");
    }
}
