//! Who holds which message until when: the part of a queue that lives in memory.
//!
//! Messages are numbered in the order in which they were accepted. Those from `cursor` on were not looked at by this
//! process and need no memory here, apart from those that were sent with a delay. Below it, only what is in flight,
//! delayed, given back, or waits behind its group is remembered.
//!
//! In a FIFO queue a group is one line: while one of its messages is in flight none behind it is handed out, except
//! together in one receive, and nothing overtakes within it. Groups take turns: one that was served goes to the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::time::Instant;

/// A message group.
pub(super) type GroupName = Arc<str>;

/// One lease in memory: which message, and which lease of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) number: u64,
    lease: u64,
}

/// What the cursor meets.
#[derive(Debug, Clone)]
pub(super) struct Met {
    pub(super) number: u64,
    /// Of a FIFO queue only: elsewhere groups change nothing.
    pub(super) group: Option<GroupName>,
    /// When it may be handed out, if that is not yet.
    pub(super) until: Option<Instant>,
    /// The hand-out that it is in flight for; 0 if it waits for its delay.
    pub(super) hand_out: u64,
}

#[derive(Debug, Clone)]
struct Held {
    /// When it is ready again.
    until: Instant,
    /// Which lease this is; none for one that is delayed.
    lease: Option<u64>,
    /// Which hand-out, once it is known: what receipts name.
    hand_out: u64,
    /// When this hand-out began.
    since: Instant,
    group: Option<GroupName>,
}

#[derive(Debug, Default)]
struct Group {
    /// Passed by the cursor and not handed out; true while it is delayed.
    waiting: BTreeMap<u64, bool>,
    in_flight: BTreeSet<u64>,
    /// Its turn: under which number it stands in `available`.
    listed: Option<u64>,
}

#[derive(Debug, Default)]
pub(super) struct Schedule {
    cursor: u64,
    held: BTreeMap<u64, Held>,
    /// `held` by the time it ends. Kept in step by [`Self::put`] and [`Self::unhold`] alone.
    due: BTreeSet<(Instant, u64)>,
    delayed: usize,
    /// Ready messages without a group.
    ready: BTreeSet<u64>,
    groups: BTreeMap<GroupName, Group>,
    /// The groups that have something to hand out, in turn.
    available: BTreeMap<u64, GroupName>,
    turns: u64,
    /// Messages that wait behind their group, delayed ones included.
    parked: usize,
    /// Delayed, or in flight (true) since before a restart, and not yet met by the cursor: until when.
    ahead: BTreeMap<u64, (Instant, bool)>,
    leases: u64,
}

impl Schedule {
    /// The first number that was never looked at.
    pub(super) fn cursor(&self) -> u64 {
        self.cursor
    }

    /// When the next message that is held becomes ready, if nothing settles it first.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(until, _)| *until)
    }

    pub(super) fn in_flight(&self) -> usize {
        self.held.len() - self.delayed
    }

    /// How many messages wait behind others of their group.
    pub(super) fn parked(&self) -> usize {
        self.parked
    }

    /// Messages in flight, and messages delayed, at `now`.
    pub(super) fn counts(&mut self, now: Instant) -> (usize, usize) {
        self.expire(now);
        self.ahead.retain(|_, (until, _)| *until > now);
        let in_flight = self.ahead.values().filter(|(_, in_flight)| *in_flight).count();
        (self.in_flight() + in_flight, self.delayed + self.ahead.len() - in_flight)
    }

    /// Whether a message is in flight or delayed.
    pub(super) fn is_held(&mut self, number: u64, now: Instant) -> bool {
        self.expire(now);
        self.held.contains_key(&number)
    }

    /// Remembers a message that cannot be handed out before `until`: to be counted until the cursor meets it.
    pub(super) fn expect(&mut self, number: u64, until: Instant, in_flight: bool) {
        if number >= self.cursor {
            self.ahead.insert(number, (until, in_flight));
        }
    }

    /// Leases up to `max` of those that are ready.
    pub(super) fn lease_ready(&mut self, max: usize, now: Instant, until: Instant) -> Vec<Slot> {
        self.expire(now);
        let mut slots = Vec::new();
        while slots.len() < max {
            let Some(number) = self.ready.pop_first() else { break };
            slots.push(self.lease(number, None, now, until));
        }
        while slots.len() < max {
            let Some((_, name)) = self.available.first_key_value() else { break };
            let name = Arc::clone(name);
            let held_from = self.groups.get(&name).and_then(|group| group.in_flight.first().copied());
            // As many of one group as there is room for: they go to the same receiver, in order.
            while slots.len() < max {
                let first = self.groups.get(&name).and_then(|group| group.waiting.first_key_value());
                let Some((number, false)) = first.map(|(number, delayed)| (*number, *delayed)) else { break };
                if held_from.is_some_and(|held_from| held_from < number) {
                    break;
                }
                slots.push(self.lease(number, Some(Arc::clone(&name)), now, until));
            }
        }
        slots
    }

    /// Moves the cursor behind a message, and leases it, unless it is of a group: then it waits for its turn.
    pub(super) fn meet(&mut self, met: Met, now: Instant, until: Instant) -> Option<Slot> {
        let Met { number, group, until: held_until, hand_out } = met;
        if number < self.cursor {
            return None; // somebody else met it meanwhile
        }
        self.cursor = number + 1;
        self.ahead.remove(&number);
        match held_until.filter(|held_until| *held_until > now) {
            Some(held_until) if hand_out != 0 => {
                let slot = self.lease(number, group, now, held_until);
                self.confirm(slot, hand_out);
                None
            }
            Some(held_until) => {
                if let Some(name) = &group {
                    self.park(name, number, true);
                }
                let held = Held { until: held_until, lease: None, hand_out: 0, since: now, group };
                self.put(number, held);
                None
            }
            None => {
                if let Some(name) = &group {
                    self.park(name, number, false);
                    return None;
                }
                Some(self.lease(number, None, now, until))
            }
        }
    }

    /// Whether a group has something to hand out.
    pub(super) fn has_available(&mut self, now: Instant) -> bool {
        self.expire(now);
        !self.available.is_empty()
    }

    fn lease(&mut self, number: u64, group: Option<GroupName>, now: Instant, until: Instant) -> Slot {
        self.leases += 1;
        if let Some(name) = &group {
            let line = self.groups.entry(Arc::clone(name)).or_default();
            if line.waiting.remove(&number).is_some() {
                self.parked -= 1;
            }
            line.in_flight.insert(number);
            self.relist(name);
        }
        self.put(number, Held { until, lease: Some(self.leases), hand_out: 0, since: now, group });
        Slot { number, lease: self.leases }
    }

    /// Notes under which name a leased message was handed out; nothing if the lease is over.
    pub(super) fn confirm(&mut self, slot: Slot, hand_out: u64) {
        if let Some(held) = self.held.get_mut(&slot.number)
            && held.lease == Some(slot.lease)
        {
            held.hand_out = hand_out;
        }
    }

    /// Gives a lease back as if it had never been; nothing if it is over.
    pub(super) fn release(&mut self, slot: Slot) {
        if self.held.get(&slot.number).is_some_and(|held| held.lease == Some(slot.lease)) {
            self.make_ready(slot.number);
        }
    }

    /// When the hand-out began, if it lives at `now`.
    pub(super) fn since(&self, number: u64, hand_out: u64, now: Instant) -> Option<Instant> {
        let held = self.held.get(&number)?;
        (held.lease.is_some() && held.hand_out == hand_out && held.until > now).then_some(held.since)
    }

    /// Moves the end of a lease. One that is over is taken up again, unless somebody else has the message.
    pub(super) fn change(&mut self, number: u64, hand_out: u64, now: Instant, until: Instant) {
        self.expire(now);
        if self.ready.remove(&number) {
            self.leases += 1;
            let lease = Some(self.leases);
            self.put(number, Held { until, lease, hand_out, since: now, group: None });
        } else if self.since(number, hand_out, now).is_some()
            && let Some(mut held) = self.unhold(number)
        {
            held.until = until;
            self.put(number, held);
        }
    }

    /// The message is gone.
    pub(super) fn forget(&mut self, number: u64) {
        self.ready.remove(&number);
        if let Some(held) = self.unhold(number) {
            let Some(name) = held.group else { return };
            if let Some(group) = self.groups.get_mut(&name) {
                if held.lease.is_some() {
                    group.in_flight.remove(&number);
                } else if group.waiting.remove(&number).is_some() {
                    self.parked -= 1;
                }
            }
            self.relist(&name);
        }
        // One that waits in its group is found to be gone when its turn comes.
    }

    /// Forgets everything, and goes on at `cursor`.
    pub(super) fn clear(&mut self, cursor: u64) {
        *self = Self { cursor, leases: self.leases, turns: self.turns, ..Self::default() };
    }

    fn put(&mut self, number: u64, held: Held) {
        self.due.insert((held.until, number));
        self.delayed += usize::from(held.lease.is_none());
        self.held.insert(number, held);
    }

    fn unhold(&mut self, number: u64) -> Option<Held> {
        let held = self.held.remove(&number)?;
        self.due.remove(&(held.until, number));
        self.delayed -= usize::from(held.lease.is_none());
        Some(held)
    }

    fn expire(&mut self, now: Instant) {
        while let Some((until, number)) = self.due.first().copied()
            && until <= now
        {
            self.make_ready(number);
        }
    }

    fn make_ready(&mut self, number: u64) {
        let Some(held) = self.unhold(number) else { return };
        match held.group {
            None => {
                self.ready.insert(number);
            }
            Some(name) => {
                if held.lease.is_some()
                    && let Some(group) = self.groups.get_mut(&name)
                {
                    group.in_flight.remove(&number);
                }
                self.park(&name, number, false);
            }
        }
    }

    fn park(&mut self, name: &GroupName, number: u64, delayed: bool) {
        let group = self.groups.entry(Arc::clone(name)).or_default();
        if group.waiting.insert(number, delayed).is_none() {
            self.parked += 1;
        }
        self.relist(name);
    }

    /// Gives a group a turn if it has something to hand out, or takes its turn away.
    fn relist(&mut self, name: &GroupName) {
        let Some(group) = self.groups.get_mut(name) else { return };
        let is_free = group.waiting.first_key_value().is_some_and(|(first, delayed)| {
            !*delayed && group.in_flight.first().is_none_or(|held| first < held)
        });
        match (is_free, group.listed) {
            (true, None) => {
                self.turns += 1;
                group.listed = Some(self.turns);
                self.available.insert(self.turns, Arc::clone(name));
            }
            (false, Some(turn)) => {
                group.listed = None;
                self.available.remove(&turn);
            }
            (true, Some(_)) | (false, None) => {}
        }
        if group.waiting.is_empty() && group.in_flight.is_empty() {
            self.groups.remove(name);
        }
    }
}

#[cfg(test)]
mod tests;
