//! Who holds which message until when: the part of a subscription that lives in memory, whatever keeps its messages.
//!
//! Messages are numbered in the order in which they were accepted. Those from `cursor` on were never handed out by this
//! process and need no memory here; below it, only what is in flight, delayed, or given back is remembered. So the size
//! is bounded by what receivers hold, not by how much waits.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use crate::Receipt;

/// One hand-out of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) number: u64,
    generation: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    /// When it is ready again.
    until: Instant,
    /// Which hand-out this is: a receipt of another one is stale.
    generation: u64,
    /// Given back with a delay: nobody has it.
    delayed: bool,
    receive_count: u32,
}

impl Held {
    pub(crate) fn receive_count(&self) -> u32 {
        self.receive_count
    }
}

#[derive(Debug, Default)]
pub(crate) struct Schedule {
    cursor: u64,
    held: BTreeMap<u64, Held>,
    /// `held` by the time it ends. Kept in step by [`Self::put`] and [`Self::remove`] alone.
    due: BTreeSet<(Instant, u64)>,
    returned: BTreeSet<u64>,
    generation: u64,
}

impl Schedule {
    /// The first number that was never handed out.
    pub(crate) fn cursor(&self) -> u64 {
        self.cursor
    }

    /// When the next message that is held becomes ready, if nothing settles it first.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(until, _)| *until)
    }

    /// Messages handed out, and messages delayed, at `now`.
    pub(crate) fn counts(&mut self, now: Instant) -> (u64, u64) {
        self.expire(now);
        let delayed = self.held.values().filter(|held| held.delayed).count();
        let in_flight = self.held.len() - delayed;
        (u64::try_from(in_flight).unwrap_or(u64::MAX), u64::try_from(delayed).unwrap_or(u64::MAX))
    }

    /// Takes up to `max` of those that were given back or whose lease ended, and leases them.
    pub(crate) fn lease_returned(&mut self, max: usize, now: Instant, until: Instant) -> Vec<Slot> {
        self.expire(now);
        let numbers: Vec<u64> = self.returned.iter().copied().take(max).collect();
        let lease = |number: u64| {
            self.returned.remove(&number);
            self.lease(number, until)
        };
        numbers.into_iter().map(lease).collect()
    }

    /// Leases messages at and after the cursor, and moves it behind them.
    pub(crate) fn lease_fresh(&mut self, numbers: impl Iterator<Item = u64>, until: Instant) -> Vec<Slot> {
        let lease = |number: u64| {
            assert!(
                number >= self.cursor,
                "{number} was handed out before: the cursor is at {}",
                self.cursor
            );
            self.cursor = number + 1;
            self.lease(number, until)
        };
        numbers.map(lease).collect()
    }

    fn lease(&mut self, number: u64, until: Instant) -> Slot {
        self.generation += 1;
        let generation = self.generation;
        self.put(number, Held { until, generation, delayed: false, receive_count: 0 });
        Slot { number, generation }
    }

    /// Notes how often a leased message was received, and returns the receipt of this hand-out; `None` if the lease
    /// ended before anybody got it.
    pub(crate) fn hand_out(&mut self, slot: Slot, receive_count: u32) -> Option<(Receipt, Instant)> {
        let held = self.held.get_mut(&slot.number).filter(|held| held.generation == slot.generation)?;
        held.receive_count = receive_count;
        Some((receipt(slot), held.until))
    }

    /// The message of a receipt whose lease lives at `now`.
    fn live(&self, receipt: &Receipt, now: Instant) -> Option<(u64, Held)> {
        let Slot { number, generation } = parse(receipt)?;
        let held = *self.held.get(&number)?;
        (held.generation == generation && !held.delayed && held.until > now).then_some((number, held))
    }

    /// Takes the message out, so that nobody else gets it while it is being settled; `None` if its lease is lost.
    /// Either the message is then gone for good, or [`Self::restore`] brings it back.
    pub(crate) fn take(&mut self, receipt: &Receipt, now: Instant) -> Option<(u64, Held)> {
        let (number, held) = self.live(receipt, now)?;
        self.remove(number);
        Some((number, held))
    }

    /// Undoes [`Self::take`]: the lease is as it was, and may have ended meanwhile.
    pub(crate) fn restore(&mut self, number: u64, held: Held) {
        self.put(number, held);
    }

    /// Moves the end of a live lease; false if it is lost.
    pub(crate) fn extend(&mut self, receipt: &Receipt, now: Instant, until: Instant) -> bool {
        let Some((number, held)) = self.live(receipt, now) else { return false };
        self.put(number, Held { until, ..held });
        true
    }

    /// Gives a live one back until `at`; false if it is lost.
    pub(crate) fn give_back(&mut self, receipt: &Receipt, now: Instant, at: Instant) -> bool {
        let Some((number, held)) = self.live(receipt, now) else { return false };
        if at <= now {
            self.remove(number);
            self.returned.insert(number);
        } else {
            self.put(number, Held { until: at, delayed: true, ..held });
        }
        true
    }

    /// Gives back what was leased but never reached anybody.
    pub(crate) fn release(&mut self, slot: Slot) {
        if self.held.get(&slot.number).is_some_and(|held| held.generation == slot.generation) {
            self.remove(slot.number);
            self.returned.insert(slot.number);
        }
    }

    /// Forgets a message that is no more.
    pub(crate) fn forget(&mut self, number: u64) {
        self.remove(number);
        self.returned.remove(&number);
    }

    fn expire(&mut self, now: Instant) {
        while let Some((until, number)) = self.due.first().copied() {
            if until > now {
                break;
            }
            self.remove(number);
            self.returned.insert(number);
        }
    }

    fn put(&mut self, number: u64, held: Held) {
        self.remove(number);
        self.due.insert((held.until, number));
        self.held.insert(number, held);
    }

    fn remove(&mut self, number: u64) {
        if let Some(held) = self.held.remove(&number) {
            self.due.remove(&(held.until, number));
        }
    }
}

fn receipt(slot: Slot) -> Receipt {
    Receipt::new([slot.number.to_be_bytes(), slot.generation.to_be_bytes()].concat())
}

fn parse(receipt: &Receipt) -> Option<Slot> {
    let (number, rest) = receipt.as_bytes().split_first_chunk::<8>()?;
    let generation = <[u8; 8]>::try_from(rest).ok()?;
    Some(Slot { number: u64::from_be_bytes(*number), generation: u64::from_be_bytes(generation) })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Fresh(u64),
        Returned(usize),
        Settle(usize),
        SettleInVain(usize),
        Extend(usize),
        GiveBack(usize, u64),
        Elapse(u64),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (1_u64..4).prop_map(Step::Fresh),
            (1_usize..4).prop_map(Step::Returned),
            any::<usize>().prop_map(Step::Settle),
            any::<usize>().prop_map(Step::SettleInVain),
            any::<usize>().prop_map(Step::Extend),
            (any::<usize>(), 0_u64..5).prop_map(|(which, delay)| Step::GiveBack(which, delay)),
            (1_u64..8).prop_map(Step::Elapse),
        ]
    }

    const LEASE: Duration = Duration::from_secs(5);

    /// The plain model: every hand-out ever made, and when it ends.
    struct HandOut {
        number: u64,
        receipt: Receipt,
        ends: Instant,
        over: bool,
    }

    fn hand_out(schedule: &mut Schedule, made: &mut Vec<HandOut>, slots: Vec<Slot>, now: Instant) {
        for slot in slots {
            let taken =
                made.iter().any(|other| other.number == slot.number && !other.over && other.ends > now);
            assert!(!taken, "{} is handed out while somebody has it", slot.number);
            let (receipt, ends) = schedule.hand_out(slot, 1).unwrap();
            made.push(HandOut { number: slot.number, receipt, ends, over: false });
        }
    }

    proptest! {
        #[test]
        fn a_message_is_in_one_place_and_a_receipt_works_while_its_lease_lives(
            steps in proptest::collection::vec(any_step(), 1..60),
        ) {
            let mut now = Instant::now();
            let mut schedule = Schedule::default();
            let mut made: Vec<HandOut> = Vec::new();
            let mut settled = BTreeSet::new();
            for step in steps {
                match step {
                    Step::Fresh(count) => {
                        let from = schedule.cursor();
                        let slots = schedule.lease_fresh(from..from + count, now + LEASE);
                        hand_out(&mut schedule, &mut made, slots, now);
                    }
                    Step::Returned(max) => {
                        let slots = schedule.lease_returned(max, now, now + LEASE);
                        hand_out(&mut schedule, &mut made, slots, now);
                    }
                    Step::Elapse(seconds) => now += Duration::from_secs(seconds),
                    Step::Settle(which) | Step::SettleInVain(which) | Step::Extend(which) | Step::GiveBack(which, _) => {
                        let count = made.len();
                        let Some(one) = made.get_mut(which % count.max(1)) else { continue };
                        let lives = !one.over && one.ends > now;
                        let worked = match step {
                            Step::Extend(_) => {
                                let until = now + LEASE * 2;
                                let worked = schedule.extend(&one.receipt, now, until);
                                if worked { one.ends = until; }
                                worked
                            }
                            Step::GiveBack(_, delay) => {
                                let at = now + Duration::from_secs(delay);
                                let worked = schedule.give_back(&one.receipt, now, at);
                                one.over |= worked;
                                worked
                            }
                            _ => match schedule.take(&one.receipt, now) {
                                Some((number, held)) if matches!(step, Step::SettleInVain(_)) => {
                                    schedule.restore(number, held);
                                    true
                                }
                                Some((number, _)) => {
                                    one.over = true;
                                    settled.insert(number)
                                }
                                None => false,
                            },
                        };
                        prop_assert_eq!(worked, lives, "{:?}", step);
                    }
                }
                prop_assert_eq!(schedule.due.len(), schedule.held.len(), "the index is in step");
                for number in 0..schedule.cursor() {
                    let places = [
                        schedule.held.contains_key(&number),
                        schedule.returned.contains(&number),
                        settled.contains(&number),
                    ];
                    prop_assert_eq!(places.iter().filter(|there| **there).count(), 1, "{} is in one place", number);
                }
            }
        }
    }
}
