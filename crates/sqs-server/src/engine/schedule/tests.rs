//! The schedule against what it promises, step by step.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

const LEASE: Duration = Duration::from_secs(10);

fn met(number: u64, group: Option<&str>) -> Met {
    Met { number, group: group.map(Into::into), until: None, hand_out: 0 }
}

/// Leases as a receive does: what is ready, and then what the cursor meets; in a FIFO queue all is met first.
fn receive(schedule: &mut Schedule, max: usize, now: Instant, tail: &[Option<&str>]) -> Vec<Slot> {
    let fifo = tail.iter().any(Option::is_some);
    let mut slots = Vec::new();
    if !fifo {
        slots = schedule.lease_ready(max, now, now + LEASE);
    }
    while fifo || slots.len() < max {
        let Some(group) = tail.get(usize::try_from(schedule.cursor()).unwrap()) else { break };
        let next = met(schedule.cursor(), *group);
        slots.extend(schedule.meet(next, now, now + LEASE));
    }
    if fifo {
        slots = schedule.lease_ready(max, now, now + LEASE);
    }
    slots
}

fn numbers(slots: &[Slot]) -> Vec<u64> {
    slots.iter().map(|slot| slot.number).collect()
}

#[test]
fn a_group_is_one_line() {
    let now = Instant::now();
    let tail = [Some("a"), Some("b"), Some("a"), Some("a"), Some("b")];
    let mut schedule = Schedule::default();
    let first = receive(&mut schedule, 1, now, &tail);
    assert_eq!(numbers(&first), [0]);
    assert_eq!(numbers(&receive(&mut schedule, 10, now, &tail)), [1, 4], "a waits, b comes together");
    assert_eq!(schedule.parked(), 2);
    schedule.release(first[0]);
    assert_eq!(numbers(&receive(&mut schedule, 2, now, &tail)), [0, 2], "in order, again");
    schedule.forget(0);
    assert!(receive(&mut schedule, 10, now, &tail).is_empty(), "2 is in flight");
    schedule.forget(2);
    assert_eq!(numbers(&receive(&mut schedule, 10, now, &tail)), [3]);
    let later = now + LEASE;
    assert_eq!(numbers(&receive(&mut schedule, 10, later, &tail)), [1, 4, 3], "all leases are over");
    schedule.clear(0);
    assert_eq!(numbers(&receive(&mut schedule, 10, later, &tail)), [0, 2, 3, 1, 4], "group by group");
}

/// As recorded from SQS: what comes back is handed out again though later ones of its group are in flight.
#[test]
fn only_what_is_behind_a_lease_waits_for_it() {
    let now = Instant::now();
    let tail = [Some("a"), Some("a"), Some("a"), Some("b")];
    let mut schedule = Schedule::default();
    let slots = receive(&mut schedule, 2, now, &tail);
    assert_eq!(numbers(&slots), [0, 1]);
    schedule.release(slots[0]);
    assert_eq!(
        numbers(&receive(&mut schedule, 9, now, &tail)),
        [3, 0],
        "b has waited for longer, 2 is behind 1"
    );
    schedule.forget(0);
    schedule.forget(1);
    assert_eq!(numbers(&receive(&mut schedule, 9, now, &tail)), [2]);
}

#[test]
fn what_is_delayed_holds_back_its_group_and_no_other() {
    let now = Instant::now();
    let mut schedule = Schedule::default();
    let delayed = Met { until: Some(now + LEASE), ..met(0, Some("a")) };
    assert_eq!(schedule.meet(delayed, now, now + LEASE), None);
    assert_eq!(schedule.meet(met(1, Some("a")), now, now + LEASE), None);
    assert_eq!(schedule.counts(now), (0, 1));
    assert!(schedule.lease_ready(9, now, now + LEASE).is_empty());
    assert_eq!(schedule.next_due(), Some(now + LEASE));
    let later = now + LEASE;
    assert_eq!(numbers(&schedule.lease_ready(9, later, later + LEASE)), [0, 1]);
}

#[test]
fn what_was_in_flight_before_a_restart_is_so_again() {
    let now = Instant::now();
    let mut schedule = Schedule::default();
    let held = Met { until: Some(now + LEASE), hand_out: 7, ..met(0, None) };
    assert_eq!(schedule.meet(held, now, now + LEASE), None);
    assert_eq!(schedule.counts(now), (1, 0));
    assert_eq!(schedule.since(0, 7, now), Some(now));
    assert_eq!(schedule.since(0, 8, now), None, "another hand-out");
    schedule.change(0, 7, now, now);
    assert_eq!(numbers(&schedule.lease_ready(9, now, now + LEASE)), [0]);
}

#[test]
fn a_stale_slot_changes_nothing() {
    let now = Instant::now();
    let mut schedule = Schedule::default();
    let first = receive(&mut schedule, 1, now, &[None])[0];
    let later = now + LEASE;
    let second = receive(&mut schedule, 1, later, &[None])[0];
    assert_eq!(second.number, 0);
    schedule.confirm(first, 1);
    schedule.release(first);
    assert_eq!(schedule.in_flight(), 1);
    schedule.confirm(second, 2);
    assert_eq!(schedule.since(0, 2, later), Some(later));
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Receive(usize),
    Delete(usize),
    GiveBack(usize),
    Change(usize, u64),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1_usize..4).prop_map(Step::Receive),
        (0_usize..9).prop_map(Step::Delete),
        (0_usize..9).prop_map(Step::GiveBack),
        ((0_usize..9), (0_u64..20)).prop_map(|(which, seconds)| Step::Change(which, seconds)),
        (1_u64..12).prop_map(Step::Wait),
    ]
}

proptest! {
    /// Nothing is handed out twice at a time, no group is overtaken, and in the end nothing is missing.
    #[test]
    fn nothing_is_lost_doubled_or_overtaken(
        tail in prop::collection::vec(prop::option::of(0_usize..3), 1..24),
        fifo in any::<bool>(),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let names = ["a", "b", "c"];
        let group = |one: &Option<usize>| fifo.then(|| names[one.unwrap_or(0)]);
        let tail: Vec<Option<&str>> = tail.iter().map(group).collect();
        let mut schedule = Schedule::default();
        let mut now = Instant::now();
        // Number -> slot, name of the hand-out, end of its lease.
        let mut held: BTreeMap<u64, (Slot, u64, Instant)> = BTreeMap::new();
        let mut gone = BTreeSet::new();
        let mut hand_outs = 0;
        let pick = |held: &BTreeMap<u64, (Slot, u64, Instant)>, which: usize| {
            held.values().nth(which % held.len().max(1)).copied()
        };
        for step in steps {
            held.retain(|_, (.., until)| *until > now);
            match step {
                Step::Wait(seconds) => now += Duration::from_secs(seconds),
                Step::Receive(max) => {
                    let slots = receive(&mut schedule, max, now, &tail);
                    let mut mine = BTreeSet::new();
                    for slot in slots {
                        let number = slot.number;
                        prop_assert!(!gone.contains(&number) && !held.contains_key(&number), "{number} is handed out");
                        if let Some(name) = tail[usize::try_from(number).unwrap()] {
                            let overtaken = (0..number).find(|n| {
                                let same = tail[usize::try_from(*n).unwrap()] == Some(name);
                                same && !gone.contains(n) && !mine.contains(n)
                            });
                            prop_assert_eq!(overtaken, None, "{} overtakes", number);
                        }
                        mine.insert(number);
                        hand_outs += 1;
                        schedule.confirm(slot, hand_outs);
                        held.insert(number, (slot, hand_outs, now + LEASE));
                    }
                }
                Step::Delete(which) => if let Some((slot, ..)) = pick(&held, which) {
                    schedule.forget(slot.number);
                    held.remove(&slot.number);
                    gone.insert(slot.number);
                },
                Step::GiveBack(which) => if let Some((slot, ..)) = pick(&held, which) {
                    schedule.release(slot);
                    held.remove(&slot.number);
                },
                Step::Change(which, seconds) => if let Some((slot, hand_out, _)) = pick(&held, which) {
                    let until = now + Duration::from_secs(seconds);
                    schedule.change(slot.number, hand_out, now, until);
                    held.insert(slot.number, (slot, hand_out, until));
                },
            }
            prop_assert_eq!(schedule.due.len(), schedule.held.len(), "the index is in step");
        }
        now += LEASE * 3;
        let mut left = BTreeSet::new();
        loop {
            let slots = receive(&mut schedule, 3, now, &tail);
            if slots.is_empty() {
                break;
            }
            for slot in slots {
                prop_assert!(left.insert(slot.number), "{} comes twice", slot.number);
                schedule.forget(slot.number);
            }
        }
        let all: BTreeSet<u64> = (0..u64::try_from(tail.len()).unwrap()).collect();
        prop_assert_eq!(&left | &gone, all);
        prop_assert_eq!(left.intersection(&gone).count(), 0);
        prop_assert!(schedule.groups.is_empty() && schedule.available.is_empty() && schedule.parked == 0);
    }
}
