//! One receiver of a [`Broker`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Broker, Line};
use crate::rows::{Burial, Rows, Stored, cut_reason, received_too_often};
use crate::schedule::{Held, Slot};
use crate::{
    AckError, BoxFuture, Delivery, Depth, LEASE_MAX, Lease, QueueError, Receipt, Receiver, Subscription,
    SubscriptionConfig, WAIT_MAX,
};

/// Most deliveries of one receive.
const RECEIVE_MESSAGES_MAX: usize = 1_024;

#[derive(Debug)]
pub(super) struct BrokerReceiver<R> {
    broker: Arc<Broker<R>>,
    line: Arc<Line>,
    config: SubscriptionConfig,
}

/// Gives back what was leased for a receive that was dropped, or failed, before it returned.
struct Handing<'a> {
    line: &'a Line,
    slots: Vec<Slot>,
}

impl Drop for Handing<'_> {
    fn drop(&mut self) {
        if self.slots.is_empty() {
            return;
        }
        let mut schedule = self.line.schedule();
        for slot in self.slots.drain(..) {
            schedule.release(slot);
        }
        drop(schedule);
        self.line.wake.notify_waiters();
    }
}

/// Brings back what was taken for a settlement that was dropped, or failed, before it was stored.
struct Settling<'a> {
    line: &'a Line,
    taken: Vec<(u64, Held)>,
}

impl Drop for Settling<'_> {
    fn drop(&mut self) {
        if self.taken.is_empty() {
            return;
        }
        let mut schedule = self.line.schedule();
        for (number, held) in self.taken.drain(..) {
            schedule.restore(number, held);
        }
        drop(schedule);
        self.line.wake.notify_waiters();
    }
}

impl<R: Rows> BrokerReceiver<R> {
    pub(super) fn new(broker: Arc<Broker<R>>, line: Arc<Line>, config: SubscriptionConfig) -> Self {
        Self { broker, line, config }
    }

    async fn receive_within(&self, max: usize, wait: Duration) -> Result<Vec<Delivery>, QueueError> {
        let max = max.min(RECEIVE_MESSAGES_MAX);
        let give_up = Instant::now() + wait.min(WAIT_MAX);
        if max == 0 {
            return Ok(Vec::new());
        }
        loop {
            // Registered before looking, so that what is published while we look wakes us.
            let woken = self.line.wake.notified();
            tokio::pin!(woken);
            woken.as_mut().enable();
            let deliveries = self.take(max).await?;
            if !deliveries.is_empty() {
                return Ok(deliveries);
            }
            let next_due = self.line.schedule().next_due();
            if Instant::now() >= give_up {
                return Ok(Vec::new());
            }
            let until = next_due.map_or(give_up, |due| due.min(give_up));
            tokio::select! {
                biased;
                () = &mut woken => {}
                () = tokio::time::sleep_until(until) => {}
            }
        }
    }

    /// Leases up to `max`, what came back before what is new, and counts the hand-out.
    async fn take(&self, max: usize) -> Result<Vec<Delivery>, QueueError> {
        let (line, rows) = (&*self.line, &self.broker.rows);
        let mut handing = Handing { line, slots: Vec::new() };
        let mut found: Vec<(Slot, Stored)> = Vec::new();
        let now = Instant::now();
        handing.slots = line.schedule().lease_returned(max, now, now + self.config.lease);
        if !handing.slots.is_empty() {
            let numbers: Vec<u64> = handing.slots.iter().map(|slot| slot.number).collect();
            let mut there: BTreeMap<u64, Stored> =
                rows.read(&line.subscription, &numbers).await?.into_iter().collect();
            let mut schedule = line.schedule();
            for slot in std::mem::take(&mut handing.slots) {
                match there.remove(&slot.number) {
                    Some(stored) => {
                        handing.slots.push(slot);
                        found.push((slot, stored));
                    }
                    // A settlement that was dropped half-way had reached the disk: there is nothing to hand out.
                    None => schedule.forget(slot.number),
                }
            }
        }
        if found.len() < max {
            let fetching = line.fetch.lock().await;
            let cursor = line.schedule().cursor();
            let fresh = rows.read_from(&line.subscription, cursor, max - found.len()).await?;
            let numbers = fresh.iter().map(|(number, _)| *number);
            let slots = line.schedule().lease_fresh(numbers, Instant::now() + self.config.lease);
            drop(fetching);
            handing.slots.extend(&slots);
            found.extend(slots.into_iter().zip(fresh.into_iter().map(|(_, stored)| stored)));
        }
        if found.is_empty() {
            return Ok(Vec::new());
        }
        self.hand_out(found, handing).await
    }

    async fn hand_out(
        &self,
        mut found: Vec<(Slot, Stored)>,
        mut handing: Handing<'_>,
    ) -> Result<Vec<Delivery>, QueueError> {
        let (line, rows) = (handing.line, &self.broker.rows);
        for (_, stored) in &mut found {
            stored.receive_count = stored.receive_count.saturating_add(1);
        }
        let too_often =
            |stored: &Stored| self.config.receives_max.is_some_and(|max| stored.receive_count > max);
        let (buried, found): (Vec<_>, Vec<_>) = found.into_iter().partition(|(_, stored)| too_often(stored));
        if !buried.is_empty() {
            let burial = |(slot, stored): &(Slot, Stored)| Burial {
                number: slot.number,
                receive_count: stored.receive_count - 1,
                reason: received_too_often(stored.receive_count - 1),
            };
            rows.bury(&line.subscription, buried.iter().map(burial).collect()).await?;
            let mut schedule = line.schedule();
            for (slot, _) in &buried {
                schedule.forget(slot.number);
            }
        }
        // Before the hand-out, so that a message that kills the process has been counted.
        let counts = found.iter().map(|(slot, stored)| (slot.number, stored.receive_count)).collect();
        rows.count(&line.subscription, counts).await?;
        let mut schedule = line.schedule();
        let deliveries = found.into_iter().filter_map(|(slot, stored)| {
            let (receipt, until) = schedule.hand_out(slot, stored.receive_count)?;
            Some(Delivery {
                message: stored.message,
                receive_count: stored.receive_count,
                published_at_ms: Some(stored.published_at_ms),
                lease: Lease::until(until),
                receipt,
            })
        });
        let deliveries = deliveries.collect();
        handing.slots.clear();
        Ok(deliveries)
    }

    /// Takes what the receipts stand for; `None` where the lease is lost.
    fn settle(&self, receipts: &[Receipt]) -> (Settling<'_>, Vec<bool>) {
        let now = Instant::now();
        let mut schedule = self.line.schedule();
        let taken: Vec<_> = receipts.iter().map(|receipt| schedule.take(receipt, now)).collect();
        drop(schedule);
        let live = taken.iter().map(Option::is_some).collect();
        (Settling { line: &self.line, taken: taken.into_iter().flatten().collect() }, live)
    }

    async fn ack_all(&self, receipts: &[Receipt]) -> Vec<Result<(), AckError>> {
        let (mut settling, live) = self.settle(receipts);
        let numbers: Vec<u64> = settling.taken.iter().map(|(number, _)| *number).collect();
        let removed = if numbers.is_empty() {
            Ok(())
        } else {
            self.broker.rows.remove(&self.line.subscription, numbers).await
        };
        if removed.is_ok() {
            settling.taken.clear();
        }
        let answer = |live: bool| match &removed {
            _ if !live => Err(AckError::LeaseLost),
            Ok(()) => Ok(()),
            Err(error) => Err(AckError::Queue(error.clone())),
        };
        live.into_iter().map(answer).collect()
    }

    async fn bury(&self, receipt: &Receipt, reason: &str) -> Result<(), AckError> {
        let (mut settling, _) = self.settle(std::slice::from_ref(receipt));
        let Some((number, held)) = settling.taken.first().copied() else { return Err(AckError::LeaseLost) };
        let burial = Burial { number, receive_count: held.receive_count(), reason: cut_reason(reason) };
        self.broker.rows.bury(&self.line.subscription, vec![burial]).await?;
        settling.taken.clear();
        Ok(())
    }
}

impl<R: Rows> Receiver for BrokerReceiver<R> {
    fn subscription(&self) -> &Subscription {
        &self.line.subscription
    }

    fn receive(&self, max: usize, wait: Duration) -> BoxFuture<'_, Result<Vec<Delivery>, QueueError>> {
        Box::pin(self.receive_within(max, wait))
    }

    fn ack<'a>(&'a self, receipts: &'a [Receipt]) -> BoxFuture<'a, Vec<Result<(), AckError>>> {
        Box::pin(self.ack_all(receipts))
    }

    fn nack<'a>(&'a self, receipt: &'a Receipt, delay: Duration) -> BoxFuture<'a, Result<(), AckError>> {
        Box::pin(async move {
            let now = Instant::now();
            let given_back = self.line.schedule().give_back(receipt, now, now + delay.min(LEASE_MAX));
            self.line.wake.notify_waiters();
            if given_back { Ok(()) } else { Err(AckError::LeaseLost) }
        })
    }

    fn extend<'a>(
        &'a self,
        receipts: &'a [Receipt],
        lease: Duration,
    ) -> BoxFuture<'a, Vec<Result<Lease, AckError>>> {
        Box::pin(async move {
            let now = Instant::now();
            let until = now + lease.min(LEASE_MAX);
            let mut schedule = self.line.schedule();
            let extended = receipts.iter().map(|receipt| {
                if schedule.extend(receipt, now, until) {
                    Ok(Lease::until(until))
                } else {
                    Err(AckError::LeaseLost)
                }
            });
            extended.collect()
        })
    }

    fn dead_letter<'a>(
        &'a self,
        receipt: &'a Receipt,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<(), AckError>> {
        Box::pin(self.bury(receipt, reason))
    }

    fn depth(&self) -> BoxFuture<'_, Result<Depth, QueueError>> {
        Box::pin(self.broker.depth(&self.line))
    }
}
