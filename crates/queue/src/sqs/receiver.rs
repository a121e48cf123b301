//! One receiver of a subscription's queue.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::batch;
use super::broker::{self, Shared};
use super::calls::{Change, Delete, Place, Send};
use super::codec::{Death, Wire};
use super::error::Failure;
use super::fetch::{self, Fetched};
use super::leases::{Held, Leases};
use super::limits::{BATCH_ENTRIES_MAX, IN_FLIGHT_MAX, SQS_BYTES_MAX, VISIBILITY_MAX};
use crate::rows::cut_reason;
use crate::{
    AckError, BoxFuture, Delivery, Depth, LEASE_MAX, Lease, QueueError, Receipt, Receiver, Subscription,
    SubscriptionConfig, WAIT_MAX,
};

/// Most deliveries of one receive: ten requests side by side.
const RECEIVE_MESSAGES_MAX: usize = 10 * BATCH_ENTRIES_MAX;
/// A poll that took longer than this share of a lease is followed by an extension, so that nobody is handed a lease that is
/// half over: when within the poll the broker gave it out is not known.
const STALE_SHARE: u32 = 10;

#[derive(Debug)]
pub(super) struct SqsReceiver {
    shared: Arc<Shared>,
    subscription: Subscription,
    config: SubscriptionConfig,
    queue: Place,
    dead: Place,
    /// The topic whose notifications are unwrapped.
    unwrap: Option<String>,
    leases: Leases,
}

/// Whole seconds that are no less.
fn secs(duration: Duration) -> i32 {
    let whole = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    i32::try_from(whole).unwrap_or(i32::MAX)
}

/// Cut to what is left of the twelve hours for which a message that was `received` then may be kept at all.
fn within_twelve_hours(duration: Duration, received: Instant, now: Instant) -> Duration {
    let left = VISIBILITY_MAX.saturating_sub(now.duration_since(received));
    // What is left is no whole number of seconds, and rounding up would be refused.
    duration.min(Duration::from_secs(left.as_secs()))
}

impl SqsReceiver {
    pub(super) fn new(
        shared: Arc<Shared>,
        subscription: Subscription,
        config: SubscriptionConfig,
        queue: Place,
        dead: Place,
        unwrap: Option<String>,
    ) -> Self {
        Self { shared, subscription, config, queue, dead, unwrap, leases: Leases::default() }
    }

    async fn receive_within(&self, max: usize, wait: Duration) -> Result<Vec<Delivery>, QueueError> {
        let max = max.min(RECEIVE_MESSAGES_MAX);
        if max == 0 {
            return Ok(Vec::new());
        }
        let in_flight = self.leases.sweep(Instant::now());
        let max = max.min(IN_FLIGHT_MAX.saturating_sub(in_flight));
        if max == 0 {
            let told = format!(
                "receiving from {} at {}: {IN_FLIGHT_MAX} messages are in flight, which is the most: settle some",
                self.queue.target, self.queue.shown
            );
            return Err(Failure::busy(told).into());
        }
        let (began, lease) = (Instant::now(), self.config.lease);
        let first = max.min(BATCH_ENTRIES_MAX);
        let mut found = fetch::receive(&self.queue, first, wait.min(WAIT_MAX), secs(lease)).await?;
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let until = if began.elapsed() > lease / STALE_SHARE {
            self.refreshed(&found, began + lease).await
        } else {
            vec![began + lease; found.len()]
        };
        let mut until: Vec<(Instant, Instant)> = until.into_iter().map(|until| (began, until)).collect();
        if found.len() == BATCH_ENTRIES_MAX && max > BATCH_ENTRIES_MAX {
            let began = Instant::now();
            let more = self.more(max - BATCH_ENTRIES_MAX).await;
            until.extend(more.iter().map(|_| (began, began + lease)));
            found.extend(more);
        }
        self.hand_out(found, until).await
    }

    /// Begins the leases anew, now that it is known from when on they run. Those that cannot be keep what they have.
    async fn refreshed(&self, found: &[Fetched], until: Instant) -> Vec<Instant> {
        let asked = Instant::now();
        let lease = secs(self.config.lease);
        let entries: Vec<_> = found.iter().map(|fetched| (fetched.handle.clone(), lease)).collect();
        let answers = batch::run(&Change(&self.queue), &entries, &self.shared.jitter).await;
        let begins =
            |answer: Result<(), Failure>| if answer.is_ok() { asked + self.config.lease } else { until };
        answers.into_iter().map(begins).collect()
    }

    /// What else there is at once, up to `max`. A request that fails spoils nothing: the first one had an answer.
    async fn more(&self, max: usize) -> Vec<Fetched> {
        let counts = (0..max).step_by(BATCH_ENTRIES_MAX).map(|from| BATCH_ENTRIES_MAX.min(max - from));
        let lease = secs(self.config.lease);
        let asking = counts.map(|count| fetch::receive(&self.queue, count, Duration::ZERO, lease));
        let mut more = Vec::new();
        for answer in join_all(asking).await {
            match answer {
                Ok(found) => more.extend(found),
                Err(error) => tracing::debug!(%error, "one of several receives failed"),
            }
        }
        more
    }

    /// Notes the leases, puts aside what came too often, and hands out the rest.
    async fn hand_out(
        &self,
        found: Vec<Fetched>,
        times: Vec<(Instant, Instant)>,
    ) -> Result<Vec<Delivery>, QueueError> {
        let now = Instant::now();
        let mut deliveries = Vec::with_capacity(found.len());
        let mut worn_out = Vec::new();
        for (fetched, (received, until)) in found.into_iter().zip(times) {
            if until <= now {
                continue; // it comes again
            }
            let Fetched { wire, handle, receive_count, sent_ms, .. } = fetched;
            let (message, _) = self.read(wire);
            let receipt = Receipt::new(handle);
            let death = Death { reason: String::new(), receive_count, published_at_ms: sent_ms };
            let held = Held { until, received, settling: false, message: message.clone(), death };
            self.leases.insert(receipt.clone(), held);
            match self.config.receives_max {
                Some(max) if receive_count > max => worn_out.push((receipt, max)),
                _ => deliveries.push(Delivery {
                    message,
                    receive_count,
                    published_at_ms: sent_ms,
                    lease: Lease::until(until),
                    receipt,
                }),
            }
        }
        // Usually the queue's own policy has been faster; another receiver may have set it to more.
        let mut failed = false;
        for (receipt, max) in worn_out {
            // After one failure the others are not tried, each with a timeout of its own: whoever receives is waiting.
            if !failed {
                let reason = crate::rows::received_too_often(max);
                if let Err(error) = self.bury(&receipt, &reason, Some(max)).await {
                    tracing::debug!(%error, "messages that were received too often come once more");
                    failed = true;
                }
            }
            // Buried, or to come again: either way it was never handed out.
            self.leases.forget(&receipt);
        }
        Ok(deliveries)
    }

    fn read(&self, wire: Wire) -> (crate::Message, Option<Death>) {
        fetch::read(wire, self.unwrap.as_deref())
    }

    async fn ack_all(&self, receipts: &[Receipt]) -> Vec<Result<(), AckError>> {
        let (settling, ours) = self.leases.settle(receipts, Instant::now());
        let handles: Vec<String> = settling.receipts().iter().map(handle_of).collect();
        let answers = batch::run(&Delete(&self.queue), &handles, &self.shared.jitter).await;
        let now = Instant::now();
        let mut settled = settling.receipts().iter().zip(answers).map(|(receipt, answer)| match answer {
            Ok(()) if settling.finish(receipt, now) => Ok(()),
            Ok(()) => Err(AckError::LeaseLost),
            Err(failure) => Err(self.lost_if_over(receipt, failure, now)),
        });
        let mut answer = |ours: &bool| if *ours { settled.next() } else { None };
        ours.iter().map(|ours| answer(ours).unwrap_or(Err(AckError::LeaseLost))).collect()
    }

    /// What a failed settlement tells: worth a retry only while the lease lives.
    fn lost_if_over(&self, receipt: &Receipt, failure: Failure, now: Instant) -> AckError {
        match AckError::from(failure) {
            AckError::Queue(error) if self.leases.live(receipt, now).is_some() => AckError::Queue(error),
            _ => {
                self.leases.forget(receipt);
                AckError::LeaseLost
            }
        }
    }

    async fn give_back(&self, receipt: &Receipt, delay: Duration) -> Result<(), AckError> {
        let now = Instant::now();
        let held = self.leases.live(receipt, now).ok_or(AckError::LeaseLost)?;
        let (mut settling, ours) = self.leases.settle(std::slice::from_ref(receipt), now);
        if ours != [true] {
            return Err(AckError::LeaseLost);
        }
        settling.give();
        let delay = within_twelve_hours(delay.min(LEASE_MAX), held.received, now);
        let entries = [(handle_of(receipt), secs(delay))];
        let answer = batch::run(&Change(&self.queue), &entries, &self.shared.jitter).await.pop();
        let now = Instant::now();
        match answer {
            Some(Ok(())) if settling.finish(receipt, now) => {
                if !delay.is_zero() {
                    self.shared.delays.note(&self.queue.target, now + delay, now);
                }
                Ok(())
            }
            Some(Err(failure)) => {
                if !failure.is_busy() {
                    settling.keep();
                }
                Err(self.lost_if_over(receipt, failure, now))
            }
            _ => Err(AckError::LeaseLost),
        }
    }

    async fn extend_all(&self, receipts: &[Receipt], lease: Duration) -> Vec<Result<Lease, AckError>> {
        let asked = Instant::now();
        let lease = lease.min(LEASE_MAX);
        let (mut entries, mut kept) = (Vec::new(), Vec::new());
        let wanted: Vec<bool> = receipts
            .iter()
            .map(|receipt| {
                let Some(held) = self.leases.live(receipt, asked) else { return false };
                let lease = within_twelve_hours(lease, held.received, asked);
                let until = asked + lease;
                entries.push((handle_of(receipt), secs(lease)));
                kept.push((receipt, until));
                // Shortened as soon as the broker may have heard of it, lengthened only when it has.
                self.leases.moved(receipt, asked, held.until.min(until))
            })
            .collect();
        let answers = batch::run(&Change(&self.queue), &entries, &self.shared.jitter).await;
        let now = Instant::now();
        let mut extended = kept.into_iter().zip(answers).map(|((receipt, until), answer)| match answer {
            Ok(()) if self.leases.moved(receipt, now, until) => Ok(Lease::until(until)),
            Ok(()) => Err(AckError::LeaseLost),
            Err(failure) => Err(self.lost_if_over(receipt, failure, now)),
        });
        let mut answer = |wanted: &bool| if *wanted { extended.next() } else { None };
        wanted.iter().map(|wanted| answer(wanted).unwrap_or(Err(AckError::LeaseLost))).collect()
    }

    /// Puts a message aside: first there, then no more here. Between the two it may be in both, never in none.
    async fn bury(&self, receipt: &Receipt, reason: &str, count: Option<u32>) -> Result<(), AckError> {
        let now = Instant::now();
        let held = self.leases.live(receipt, now).ok_or(AckError::LeaseLost)?;
        let (settling, ours) = self.leases.settle(std::slice::from_ref(receipt), now);
        if ours != [true] {
            return Err(AckError::LeaseLost);
        }
        let receive_count = count.unwrap_or(held.death.receive_count);
        let death = Death { reason: cut_reason(reason), receive_count, ..held.death };
        let mut wire = Wire::of(&held.message, Some(&death));
        if wire.bytes() > SQS_BYTES_MAX {
            // Only a message that somebody else filled to the brim has no room for its reason.
            wire = Wire::of(&held.message, None);
        }
        first(batch::run(&Send(&self.dead), &[wire], &self.shared.jitter).await)?;
        let handle = handle_of(receipt);
        let answer = first(batch::run(&Delete(&self.queue), &[handle], &self.shared.jitter).await);
        let now = Instant::now();
        match answer {
            Ok(()) if settling.finish(receipt, now) => Ok(()),
            Ok(()) => Err(AckError::LeaseLost),
            Err(failure) => Err(self.lost_if_over(receipt, failure, now)),
        }
    }
}

/// The answer to a batch of one.
fn first(mut answers: Vec<Result<(), Failure>>) -> Result<(), Failure> {
    answers.pop().unwrap_or(Ok(()))
}

fn handle_of(receipt: &Receipt) -> String {
    String::from_utf8_lossy(receipt.as_bytes()).into_owned()
}

impl Receiver for SqsReceiver {
    fn subscription(&self) -> &Subscription {
        &self.subscription
    }

    fn receive(&self, max: usize, wait: Duration) -> BoxFuture<'_, Result<Vec<Delivery>, QueueError>> {
        Box::pin(self.receive_within(max, wait))
    }

    fn ack<'a>(&'a self, receipts: &'a [Receipt]) -> BoxFuture<'a, Vec<Result<(), AckError>>> {
        Box::pin(self.ack_all(receipts))
    }

    fn nack<'a>(&'a self, receipt: &'a Receipt, delay: Duration) -> BoxFuture<'a, Result<(), AckError>> {
        Box::pin(self.give_back(receipt, delay))
    }

    fn extend<'a>(
        &'a self,
        receipts: &'a [Receipt],
        lease: Duration,
    ) -> BoxFuture<'a, Vec<Result<Lease, AckError>>> {
        Box::pin(self.extend_all(receipts, lease))
    }

    fn dead_letter<'a>(
        &'a self,
        receipt: &'a Receipt,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<(), AckError>> {
        Box::pin(self.bury(receipt, reason, None))
    }

    fn depth(&self) -> BoxFuture<'_, Result<Depth, QueueError>> {
        Box::pin(broker::depth(&self.shared, &self.queue, Some(&self.dead)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_rounded_up() {
        for (duration, whole) in [(0, 0), (1, 1), (999, 1), (1_000, 1), (1_001, 2)] {
            assert_eq!(secs(Duration::from_millis(duration)), whole);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn twelve_hours_are_counted_from_the_receive_on() {
        let received = Instant::now();
        let hours = |hours| Duration::from_hours(hours);
        assert_eq!(within_twelve_hours(hours(12), received, received), hours(12));
        assert_eq!(within_twelve_hours(hours(2), received, received + hours(11)), hours(1));
        assert_eq!(within_twelve_hours(hours(1), received, received + hours(13)), Duration::ZERO);
        let odd = received + Duration::from_millis(500);
        assert_eq!(secs(within_twelve_hours(hours(12), received, odd)), 12 * 60 * 60 - 1);
    }
}
