//! What this process knows of a subscription's hand-outs.
//!
//! The server accepts the ack of an old hand-out as gladly as that of the last one. So each hand-out is kept here with the
//! end of its lease by our own clock, and nothing is sent for one that is over.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::time::Instant;

use crate::{AckError, Receipt};

/// Most hand-outs that the server allows to be open in one consumer; also a bound on what is kept here of each.
pub(super) const OPEN_MAX: usize = 65_536;

/// Which of a subscription's two consumers handed a message out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// The topic's messages.
    Topic,
    /// Dead letters that were made ready again.
    Again,
}

/// A message: its consumer and its number in the stream.
pub(super) type Key = (Source, u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Ours.
    Leased,
    /// Ours, and being settled just now.
    Settling,
    /// Given back.
    Given,
}

#[derive(Debug)]
struct Open {
    receipt: Receipt,
    state: State,
    /// End of the lease, or of the delay if it was given back.
    until: Instant,
}

/// What the server says of a hand-out in the subject that settles it. It has 9 tokens, or 11 and more with the domain:
/// <https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-15.md>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told {
    /// The message's number in its stream.
    pub(super) number: u64,
    pub(super) receive_count: u32,
    pub(super) published_at_ms: u64,
}

impl Told {
    pub(super) fn of(reply: &str) -> Option<Self> {
        let tokens: Vec<&str> = reply.strip_prefix("$JS.ACK.")?.split('.').collect();
        let tokens = if tokens.len() == 7 { tokens.as_slice() } else { tokens.get(2..)? };
        // Stream, consumer, hand-outs, number in the stream, number of the hand-out, nanoseconds, how many are left.
        let [_, _, receives, number, _, published, _, ..] = tokens else { return None };
        let published: u64 = published.parse().ok()?;
        Some(Self {
            number: number.parse().ok()?,
            receive_count: receives.parse().ok()?,
            published_at_ms: published / 1_000_000,
        })
    }
}

/// How many of the hand-outs known here are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) leased: u64,
    pub(super) delayed: u64,
    /// Their lease or their delay is over, and we have not seen them since.
    pub(super) over: u64,
}

/// The open hand-outs of one subscription. The last hand-out of a message replaces an earlier one.
#[derive(Debug, Default)]
pub(super) struct Line {
    open: Mutex<BTreeMap<Key, Open>>,
}

/// What a receipt holds: which message, and the subject that settles it.
pub(super) fn receipt(key: Key, reply: &str) -> Receipt {
    let source = match key.0 {
        Source::Topic => 't',
        Source::Again => 'a',
    };
    Receipt::new(Bytes::from(format!("{source}{} {reply}", key.1)))
}

fn parsed(receipt: &Receipt) -> Option<(Key, &str)> {
    let text = std::str::from_utf8(receipt.as_bytes()).ok()?;
    let (key, reply) = text.split_once(' ')?;
    let source = match key.as_bytes().first()? {
        b't' => Source::Topic,
        b'a' => Source::Again,
        _ => return None,
    };
    Some(((source, key.get(1..)?.parse().ok()?), reply))
}

impl Line {
    fn open(&self) -> MutexGuard<'_, BTreeMap<Key, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a hand-out.
    pub(super) fn hand_out(&self, key: Key, receipt: Receipt, until: Instant) {
        let mut open = self.open();
        if open.len() >= OPEN_MAX {
            // They were received by others since, or wait at the server: only the depth knows a little less.
            let now = Instant::now();
            open.retain(|_, open| open.until > now);
        }
        open.insert(key, Open { receipt, state: State::Leased, until });
    }

    /// Whether hand-outs of `source` are known, so that some of it may come back.
    pub(super) fn knows(&self, source: Source) -> bool {
        self.open().range((source, 0)..=(source, u64::MAX)).next().is_some()
    }

    /// A hand-out that is ours: which message, what settles it, and until when.
    pub(super) fn lease_of<'r>(
        &self,
        receipt: &'r Receipt,
        now: Instant,
    ) -> Result<(Key, &'r str, Instant), AckError> {
        let (key, reply) = parsed(receipt).ok_or(AckError::LeaseLost)?;
        match self.open().get(&key) {
            Some(open) if open.state == State::Leased && open.receipt == *receipt && open.until > now => {
                Ok((key, reply, open.until))
            }
            _ => Err(AckError::LeaseLost),
        }
    }

    /// Sets the end of a lease that is still ours.
    pub(super) fn set_lease(&self, receipt: &Receipt, until: Instant) {
        let Some((key, _)) = parsed(receipt) else { return };
        if let Some(open) = self.open().get_mut(&key)
            && open.receipt == *receipt
            && open.state != State::Given
        {
            open.until = until;
        }
    }

    /// Takes a hand-out in order to settle it: nobody else can meanwhile.
    pub(super) fn claim<'a>(&'a self, receipt: &'a Receipt, now: Instant) -> Result<Claim<'a>, AckError> {
        let (key, reply, until) = self.lease_of(receipt, now)?;
        if let Some(open) = self.open().get_mut(&key) {
            open.state = State::Settling;
        }
        Ok(Claim { line: self, receipt, key, reply, until, done: false })
    }

    /// How many there are. What is at or below the floors was acked by somebody, and is forgotten.
    pub(super) fn counts(&self, floors: [(Source, u64); 2], now: Instant) -> Counts {
        let mut open = self.open();
        open.retain(|(source, number), open| {
            open.until > now || floors.iter().all(|(of, floor)| of != source || number > floor)
        });
        let mut counts = Counts::default();
        for open in open.values() {
            match open.state {
                _ if open.until <= now => counts.over += 1,
                State::Leased | State::Settling => counts.leased += 1,
                State::Given => counts.delayed += 1,
            }
        }
        counts
    }
}

/// A hand-out that is being settled. Dropped before it is: it is ours again, until its lease ends.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    line: &'a Line,
    receipt: &'a Receipt,
    key: Key,
    /// The subject that settles it.
    pub(super) reply: &'a str,
    /// End of its lease.
    pub(super) until: Instant,
    done: bool,
}

impl Claim<'_> {
    /// It is gone.
    pub(super) fn settled(mut self) {
        self.done = true;
        let mut open = self.line.open();
        if open.get(&self.key).is_some_and(|open| open.receipt == *self.receipt) {
            open.remove(&self.key);
        }
    }

    /// It is no longer ours, whatever becomes of the request that says so, and comes again at `until`.
    pub(super) fn give_back(mut self, until: Instant) {
        self.done = true;
        self.set(State::Given, until);
    }

    fn set(&self, state: State, until: Instant) {
        let mut open = self.line.open();
        if let Some(open) = open.get_mut(&self.key)
            && open.receipt == *self.receipt
        {
            (open.state, open.until) = (state, until);
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.set(State::Leased, self.until);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const KEY: Key = (Source::Topic, 7);

    fn after(seconds: u64) -> Instant {
        Instant::now() + Duration::from_secs(seconds)
    }

    #[test]
    fn a_hand_out_is_settled_once_and_in_time() {
        let line = Line::default();
        let (now, first) = (Instant::now(), receipt(KEY, "$JS.ACK.1"));
        assert!(line.claim(&first, now).is_err(), "never handed out");
        line.hand_out(KEY, first.clone(), after(10));
        assert_eq!(line.lease_of(&first, now).unwrap().1, "$JS.ACK.1");
        assert!(line.claim(&first, after(11)).is_err(), "its lease is over");
        let claim = line.claim(&first, now).unwrap();
        assert!(line.claim(&first, now).is_err(), "somebody settles it");
        drop(claim);
        let again = receipt(KEY, "$JS.ACK.2");
        line.hand_out(KEY, again.clone(), after(20));
        assert!(line.claim(&first, now).is_err(), "it was handed out again");
        line.claim(&again, now).unwrap().settled();
        assert!(line.claim(&again, now).is_err(), "it was settled");
        for foreign in ["", "x", "t", "t9", "é 1", "tx y", "t7 $JS.ACK.2"] {
            assert!(line.claim(&Receipt::new(foreign), now).is_err(), "{foreign:?}");
        }
    }

    #[test]
    fn the_subject_that_settles_tells_of_the_hand_out() {
        let told = Told { number: 7, receive_count: 3, published_at_ms: 1_469_727_000_123 };
        for reply in [
            "$JS.ACK.a+t.s+x.3.7.9.1469727000123456789.0",
            "$JS.ACK.hub.Ab1.a+t.s+x.3.7.9.1469727000123456789.0",
            "$JS.ACK._.Ab1.a+t.s+x.3.7.9.1469727000123456789.0.token",
        ] {
            assert_eq!(Told::of(reply), Some(told), "{reply}");
        }
        for foreign in ["", "_INBOX.a", "$JS.ACK.", "$JS.ACK.a.b", "$JS.ACK.s.c.x.7.9.1.0"] {
            assert_eq!(Told::of(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn each_is_counted_once() {
        let line = Line::default();
        let receipts: Vec<_> = (1..=4).map(|number| receipt((Source::Again, number), "r")).collect();
        for (number, receipt) in (1..).zip(&receipts) {
            line.hand_out((Source::Again, number), receipt.clone(), after(10));
        }
        line.claim(&receipts[0], Instant::now()).unwrap().give_back(after(100));
        line.claim(&receipts[1], Instant::now()).unwrap().settled();
        let floors = |again| [(Source::Topic, 9), (Source::Again, again)];
        let counts = line.counts(floors(0), Instant::now());
        assert_eq!((counts.leased, counts.delayed, counts.over), (2, 1, 0));
        let counts = line.counts(floors(0), after(50));
        assert_eq!((counts.leased, counts.delayed, counts.over), (0, 1, 2));
        assert!(line.knows(Source::Again) && !line.knows(Source::Topic));
        let counts = line.counts(floors(3), after(200));
        assert_eq!((counts.leased, counts.delayed, counts.over), (0, 0, 1));
    }
}
