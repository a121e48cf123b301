//! Which receipts are still ours.
//!
//! SQS answers "deleted" to the receipt of an earlier hand-out, and forgets to say that a lease ran out. So what is ours is
//! decided here, by the clock of this process, and by a time that is measured from before the request was sent.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::codec::Death;
use crate::{Message, Receipt};

/// One hand-out that is not settled.
#[derive(Debug, Clone)]
pub(super) struct Held {
    /// From when on it is no longer ours.
    pub(super) until: Instant,
    /// Before it was received: from there the twelve hours count.
    pub(super) received: Instant,
    /// Whether an ack, a nack or a dead letter is on its way: a second one has to lose.
    pub(super) settling: bool,
    /// For the queue of dead letters. Its body is shared with the delivery.
    pub(super) message: Message,
    /// How it would be told as a dead letter; the reason is still to come.
    pub(super) death: Death,
}

/// The hand-outs of one receiver.
#[derive(Debug, Default)]
pub(super) struct Leases {
    /// A plain lock: held for a few map operations, never across an await.
    held: Mutex<BTreeMap<Receipt, Held>>,
}

/// Receipts that are being settled; those that were not [finished](Self::finish) may be settled again once it is dropped.
#[derive(Debug)]
pub(super) struct Settling<'a> {
    leases: &'a Leases,
    receipts: Vec<Receipt>,
    /// Whether the broker may have given them to somebody else by the time this is dropped.
    given: bool,
}

impl Leases {
    fn held(&self) -> MutexGuard<'_, BTreeMap<Receipt, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn insert(&self, receipt: Receipt, held: Held) {
        self.held().insert(receipt, held);
    }

    /// Forgets what is over at `now`, and says how many are left.
    pub(super) fn sweep(&self, now: Instant) -> usize {
        let mut held = self.held();
        held.retain(|_, held| held.until > now);
        held.len()
    }

    /// What `receipt` stands for, if it is ours at `now`.
    pub(super) fn live(&self, receipt: &Receipt, now: Instant) -> Option<Held> {
        self.held().get(receipt).filter(|held| held.until > now).cloned()
    }

    /// Moves the end of a lease, if it is ours at `now`.
    pub(super) fn moved(&self, receipt: &Receipt, now: Instant, until: Instant) -> bool {
        match self.held().get_mut(receipt) {
            Some(held) if held.until > now => {
                held.until = until;
                true
            }
            _ => false,
        }
    }

    pub(super) fn forget(&self, receipt: &Receipt) {
        self.held().remove(receipt);
    }

    /// Begins to settle those of `receipts` that are ours at `now` and that nobody settles; says which those are.
    pub(super) fn settle(&self, receipts: &[Receipt], now: Instant) -> (Settling<'_>, Vec<bool>) {
        let mut held = self.held();
        let ours: Vec<bool> = receipts
            .iter()
            .map(|receipt| match held.get_mut(receipt) {
                Some(held) if held.until > now && !held.settling => {
                    held.settling = true;
                    true
                }
                _ => false,
            })
            .collect();
        drop(held);
        let receipts = receipts.iter().zip(&ours).filter(|(_, ours)| **ours);
        let receipts = receipts.map(|(receipt, _)| receipt.clone()).collect();
        (Settling { leases: self, receipts, given: false }, ours)
    }
}

impl Settling<'_> {
    /// Those that are being settled, in the order in which they were given.
    pub(super) fn receipts(&self) -> &[Receipt] {
        &self.receipts
    }

    /// The broker is about to be told that they may go to somebody else. What becomes of that need not be known: unless
    /// it is [certain](Self::keep) that it was not done, they are forgotten, also if the caller leaves.
    pub(super) fn give(&mut self) {
        self.given = true;
    }

    /// The broker did not do it: they are ours as before.
    pub(super) fn keep(&mut self) {
        self.given = false;
    }

    /// `receipt` was settled at the broker: it is forgotten. False if its lease had ended by `now`: then the broker may have
    /// given it to somebody else before, and what it answered is worth nothing.
    pub(super) fn finish(&self, receipt: &Receipt, now: Instant) -> bool {
        self.leases.held().remove(receipt).is_some_and(|held| held.until > now)
    }
}

impl Drop for Settling<'_> {
    fn drop(&mut self) {
        let mut held = self.leases.held();
        for receipt in &self.receipts {
            if self.given {
                held.remove(receipt);
            } else if let Some(held) = held.get_mut(receipt) {
                held.settling = false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LEASE: Duration = Duration::from_secs(10);

    fn leases(receipts: &[&Receipt]) -> Leases {
        let leases = Leases::default();
        let now = Instant::now();
        for receipt in receipts {
            let death = Death { reason: String::new(), receive_count: 1, published_at_ms: None };
            let message = Message::default();
            let held = Held { until: now + LEASE, received: now, settling: false, message, death };
            leases.insert((*receipt).clone(), held);
        }
        leases
    }

    #[tokio::test(start_paused = true)]
    async fn only_one_settles_and_only_once() {
        let [a, b] = ["a", "b"].map(Receipt::new);
        let leases = leases(&[&a, &b]);
        let (first, ours) = leases.settle(&[a.clone(), a.clone(), b.clone()], Instant::now());
        assert_eq!(ours, [true, false, true]);
        assert_eq!(leases.settle(std::slice::from_ref(&a), Instant::now()).1, [false], "on its way");
        assert!(leases.moved(&a, Instant::now(), Instant::now() + LEASE), "and kept meanwhile");
        assert!(first.finish(&a, Instant::now()));
        assert_eq!(leases.settle(std::slice::from_ref(&a), Instant::now()).1, [false], "settled before");
        drop(first);
        assert_eq!(leases.settle(std::slice::from_ref(&b), Instant::now()).1, [true], "it was given up");
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_be_somebody_elses_is_forgotten() {
        let [a, b] = ["a", "b"].map(Receipt::new);
        let (leases, now) = (leases(&[&a, &b]), Instant::now());
        let (mut settling, _) = leases.settle(std::slice::from_ref(&a), now);
        settling.give();
        drop(settling);
        assert!(leases.live(&a, now).is_none(), "the caller left, and nobody knows what the broker did");
        let (mut settling, _) = leases.settle(std::slice::from_ref(&b), now);
        settling.give();
        settling.keep();
        drop(settling);
        assert!(leases.live(&b, now).is_some(), "the broker refused");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_ended_on_the_way_is_lost() {
        let a = Receipt::new("a");
        let leases = leases(&[&a]);
        let (settling, ours) = leases.settle(std::slice::from_ref(&a), Instant::now());
        assert_eq!(ours, [true]);
        tokio::time::advance(LEASE).await;
        assert!(!settling.finish(&a, Instant::now()));
        assert!(leases.live(&a, Instant::now()).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_over_is_forgotten() {
        let [a, b] = ["a", "b"].map(Receipt::new);
        let leases = leases(&[&a, &b]);
        tokio::time::advance(LEASE / 2).await;
        assert!(leases.moved(&b, Instant::now(), Instant::now() + LEASE));
        assert_eq!(leases.sweep(Instant::now()), 2);
        tokio::time::advance(LEASE / 2).await;
        assert_eq!(leases.sweep(Instant::now()), 1);
        assert!(!leases.moved(&a, Instant::now(), Instant::now() + LEASE));
    }
}
