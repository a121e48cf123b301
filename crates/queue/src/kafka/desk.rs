//! What one receiver has in its hands: handed out, waiting to be handed out again, or settled and not yet confirmed.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use super::codec::Record;

/// A partition of one of the two topics that a subscription reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Of the topic of this subscription alone.
    pub(super) again: bool,
    pub(super) partition: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Somebody has it until then.
    Out(Instant),
    /// It is being put aside.
    Aside,
    /// Nobody has it until then.
    Waiting(Instant),
    /// It is done, and the broker does not know yet.
    Settled,
}

/// One message in hand.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) place: Place,
    pub(super) offset: i64,
    pub(super) record: Record,
    pub(super) receive_count: u32,
    /// The receiver that handed it out last.
    owner: u64,
    stage: Stage,
}

impl Held {
    pub(super) fn new(place: Place, offset: i64, record: Record) -> Self {
        Self { place, offset, record, receive_count: 0, owner: 0, stage: Stage::Aside }
    }

    /// Until when somebody has it.
    pub(super) fn until(&self) -> Option<Instant> {
        match self.stage {
            Stage::Out(until) => Some(until),
            Stage::Aside | Stage::Waiting(_) | Stage::Settled => None,
        }
    }

    /// When it is ready to be handed out again, if nothing happens before.
    fn ready_at(&self) -> Option<Instant> {
        match self.stage {
            Stage::Out(at) | Stage::Waiting(at) => Some(at),
            Stage::Aside | Stage::Settled => None,
        }
    }
}

/// What a receipt stands for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// Nothing any more.
    Lost,
    /// A message that is ours.
    Ours,
    /// One that is settled, and waits for the broker's word.
    Unconfirmed,
}

#[derive(Debug, Default)]
pub(super) struct Desk {
    held: BTreeMap<u64, Held>,
    /// The waiting ones by the time at which they are ready.
    due: BTreeSet<(Instant, u64)>,
    /// Never used twice: a receipt of an earlier hand-out settles nothing.
    last: u64,
}

impl Desk {
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    fn put(&mut self, held: Held) -> u64 {
        self.last += 1;
        self.insert(self.last, held);
        self.last
    }

    fn insert(&mut self, number: u64, held: Held) {
        if let Some(at) = held.ready_at() {
            self.due.insert((at, number));
        }
        self.held.insert(number, held);
    }

    fn remove(&mut self, number: u64) -> Option<Held> {
        let held = self.held.remove(&number)?;
        if let Some(at) = held.ready_at() {
            self.due.remove(&(at, number));
        }
        Some(held)
    }

    /// Counts a hand-out, and returns the number of its receipt.
    pub(super) fn hand_out(&mut self, mut held: Held, owner: u64, until: Instant) -> u64 {
        held.receive_count = held.receive_count.saturating_add(1);
        held.owner = owner;
        held.stage = Stage::Out(until);
        self.put(held)
    }

    /// Takes one whose delay has passed, or whose lease has ended.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Held> {
        let (at, number) = *self.due.first()?;
        if at > now { None } else { self.remove(number) }
    }

    /// When the next one that waits is ready.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Makes it wait until `due`, without a receipt.
    pub(super) fn keep_until(&mut self, mut held: Held, due: Instant) {
        held.stage = Stage::Waiting(due);
        self.put(held);
    }

    pub(super) fn claim(&self, number: u64, now: Instant) -> Claim {
        match self.held.get(&number).map(|held| held.stage) {
            Some(Stage::Out(until)) if until > now => Claim::Ours,
            Some(Stage::Settled) => Claim::Unconfirmed,
            Some(Stage::Out(_) | Stage::Waiting(_) | Stage::Aside) | None => Claim::Lost,
        }
    }

    pub(super) fn get(&self, number: u64) -> Option<&Held> {
        self.held.get(&number)
    }

    fn change(&mut self, number: u64, to: Stage) -> Option<(Place, i64)> {
        let mut held = self.remove(number)?;
        let at = (held.place, held.offset);
        held.stage = to;
        self.insert(number, held);
        Some(at)
    }

    fn change_ours(&mut self, number: u64, now: Instant, to: Stage) -> Option<(Place, i64)> {
        if self.claim(number, now) == Claim::Ours { self.change(number, to) } else { None }
    }

    fn change_aside(&mut self, number: u64, to: Stage) -> Option<(Place, i64)> {
        let is_aside = self.held.get(&number).is_some_and(|held| held.stage == Stage::Aside);
        if is_aside { self.change(number, to) } else { None }
    }

    /// Settles what is handed out; where it was, if it was ours.
    pub(super) fn settle(&mut self, number: u64, now: Instant) -> Option<(Place, i64)> {
        self.change_ours(number, now, Stage::Settled)
    }

    /// Moves the end of a lease; false if it was lost.
    pub(super) fn extend(&mut self, number: u64, now: Instant, until: Instant) -> bool {
        self.change_ours(number, now, Stage::Out(until)).is_some()
    }

    /// Begins to put it aside, and returns until when it was ours: until it is settled, or given back, nobody else may
    /// do anything with it.
    pub(super) fn set_aside(&mut self, number: u64, now: Instant) -> Option<Instant> {
        let until = self.held.get(&number)?.until()?;
        self.change_ours(number, now, Stage::Aside).map(|_| until)
    }

    /// The same for one that nobody has, and that will not be handed out. Returns its number.
    pub(super) fn put_aside(&mut self, mut held: Held) -> u64 {
        held.stage = Stage::Aside;
        self.put(held)
    }

    /// Undoes [`put_aside`](Self::put_aside), if it was not ended: it is tried again at `due`.
    pub(super) fn release(&mut self, number: u64, due: Instant) {
        self.change_aside(number, Stage::Waiting(due));
    }

    /// Undoes [`set_aside`](Self::set_aside), if it was not ended: the lease is as it was, and may have ended meanwhile.
    pub(super) fn not_aside(&mut self, number: u64, until: Instant) {
        self.change_aside(number, Stage::Out(until));
    }

    /// Ends what either of them began.
    pub(super) fn settle_aside(&mut self, number: u64) -> Option<(Place, i64)> {
        self.change_aside(number, Stage::Settled)
    }

    /// Gives it back until `due`; false if it was not ours.
    pub(super) fn give_back(&mut self, number: u64, now: Instant, due: Instant) -> bool {
        self.change_ours(number, now, Stage::Waiting(due)).is_some()
    }

    /// Gives back all that a receiver has: it is gone.
    pub(super) fn abandon(&mut self, owner: u64, now: Instant) {
        let of = |held: &Held| held.owner == owner && matches!(held.stage, Stage::Out(_) | Stage::Aside);
        let numbers: Vec<u64> =
            self.held.iter().filter(|(_, held)| of(held)).map(|(number, _)| *number).collect();
        for number in numbers {
            self.change(number, Stage::Waiting(now));
        }
    }

    /// Forgets what is settled there, up to this number: the broker knows.
    pub(super) fn confirmed(&mut self, place: Place, settled: &BTreeSet<u64>) {
        self.held.retain(|number, held| held.place != place || !settled.contains(number));
    }

    /// The settled ones there.
    pub(super) fn settled(&self, place: Place) -> BTreeSet<u64> {
        let settled =
            self.held.iter().filter(|(_, held)| held.place == place && held.stage == Stage::Settled);
        settled.map(|(number, _)| *number).collect()
    }

    /// Forgets everything there: it is somebody else's now.
    pub(super) fn revoke(&mut self, place: Place) {
        self.held.retain(|_, held| held.place != place);
        let held = &self.held;
        self.due.retain(|(_, number)| held.contains_key(number));
    }

    /// How many of a place are out, and how many wait for a time after `now`.
    pub(super) fn counts(&self, place: Place, now: Instant) -> (u64, u64) {
        let (mut out, mut delayed) = (0, 0);
        for held in self.held.values().filter(|held| held.place == place) {
            match held.stage {
                Stage::Aside => out += 1,
                Stage::Out(until) if until > now => out += 1,
                Stage::Waiting(due) if due > now => delayed += 1,
                Stage::Out(_) | Stage::Waiting(_) | Stage::Settled => {}
            }
        }
        (out, delayed)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Message;

    fn held(offset: i64) -> Held {
        let record = Record { message: Message::default(), published_at_ms: None, ours: BTreeMap::new() };
        Held::new(Place { again: false, partition: 0 }, offset, record)
    }

    const OWNER: u64 = 7;
    const LEASE: Duration = Duration::from_secs(5);

    #[test]
    fn a_receipt_settles_its_own_hand_out_once() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let mut desk = Desk::default();
        let first = desk.hand_out(held(0), OWNER, now + LEASE);
        assert!(desk.give_back(first, now, later));
        assert!(!desk.give_back(first, now, now) && desk.settle(first, now).is_none());
        assert!(desk.take_due(now).is_none());
        assert_eq!(desk.counts(held(0).place, now), (0, 1));
        let again = desk.take_due(later).unwrap();
        assert_eq!(again.receive_count, 1);
        let second = desk.hand_out(again, OWNER, now + LEASE);
        assert_ne!(first, second);
        assert_eq!((desk.claim(first, now), desk.claim(second, now)), (Claim::Lost, Claim::Ours));
        assert_eq!(desk.get(second).unwrap().receive_count, 2);
        let place = held(0).place;
        assert_eq!(desk.settle(second, now), Some((place, 0)));
        assert_eq!(desk.claim(second, now + LEASE), Claim::Unconfirmed);
        desk.confirmed(place, &desk.settled(place));
        assert_eq!((desk.claim(second, now), desk.len()), (Claim::Lost, 0));
    }

    #[test]
    fn a_lease_ends_unless_it_is_extended() {
        let now = Instant::now();
        let mut desk = Desk::default();
        let number = desk.hand_out(held(0), OWNER, now + LEASE);
        assert_eq!(desk.counts(held(0).place, now), (1, 0));
        assert!(desk.extend(number, now, now + LEASE * 2));
        assert!(desk.take_due(now + LEASE).is_none());
        let end = now + LEASE * 2;
        assert!(!desk.extend(number, end, end + LEASE) && desk.settle(number, end).is_none());
        assert!(!desk.give_back(number, end, end) && desk.set_aside(number, end).is_none());
        assert_eq!(desk.counts(held(0).place, end), (0, 0));
        assert_eq!(desk.take_due(end).unwrap().receive_count, 1);
        assert_eq!((desk.len(), desk.next_due()), (0, None));
    }

    #[test]
    fn what_is_put_aside_is_nobodys() {
        let now = Instant::now();
        let mut desk = Desk::default();
        let number = desk.hand_out(held(0), OWNER, now + LEASE);
        assert_eq!(desk.set_aside(number, now), Some(now + LEASE));
        assert!(desk.set_aside(number, now).is_none() && desk.next_due().is_none());
        assert_eq!(desk.claim(number, now), Claim::Lost);
        desk.not_aside(number, now + LEASE);
        assert!(desk.set_aside(number, now).is_some());
        assert!(desk.settle_aside(number).is_some());
        desk.not_aside(number, now + LEASE);
        desk.release(number, now);
        assert_eq!(desk.claim(number, now), Claim::Unconfirmed, "it stays settled");
        let number = desk.put_aside(held(1));
        assert_eq!((desk.claim(number, now), desk.next_due()), (Claim::Lost, None));
        desk.release(number, now);
        assert_eq!(desk.take_due(now).unwrap().receive_count, 0, "it was not handed out");
    }

    #[test]
    fn what_is_revoked_is_lost_and_what_is_abandoned_comes_again() {
        let now = Instant::now();
        let mut desk = Desk::default();
        let number = desk.hand_out(held(0), OWNER, now + LEASE);
        desk.keep_until(held(1), now);
        let elsewhere = Held { place: Place { again: true, partition: 0 }, ..held(2) };
        let other = desk.hand_out(elsewhere, OWNER, now + LEASE);
        desk.revoke(held(0).place);
        assert_eq!((desk.claim(number, now), desk.claim(other, now)), (Claim::Lost, Claim::Ours));
        assert!(desk.take_due(now).is_none());
        desk.abandon(OWNER + 1, now);
        assert!(desk.take_due(now).is_none(), "another receiver's");
        desk.abandon(OWNER, now);
        assert_eq!(desk.take_due(now).unwrap().offset, 2);
    }
}
