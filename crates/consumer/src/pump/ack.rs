//! Settling: acks in batches, the rest one by one.

use std::sync::Arc;
use std::time::Duration;

use queue::{AckError, BoxFuture, QueueError, Receipt, Receiver};
use tokio::time::Instant;

use super::flight::{Outcome, Settlement, Stage};
use super::{Done, Phase, Pump};
use crate::error::Chain;
use crate::{Backoff, BoxError, CancelReason, HandlerError, Kept};

/// Most acks of one call: what SQS takes.
pub const ACK_BATCH_MAX: usize = 10;
/// Longest time that a finished message waits for others to be acked with.
pub const ACK_WAIT_MAX: Duration = Duration::from_millis(250);
/// A call to the broker that takes longer has failed.
pub(super) const CALL_MAX: Duration = Duration::from_secs(30);
/// Pauses between attempts to settle a message.
const SETTLE_BACKOFF: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));

impl Pump {
    /// A handler answered.
    pub(super) fn on_handled(&mut self, id: u64, answer: Result<(), HandlerError>, now: Instant) {
        let Some(entry) = self.flight.get(id) else { return };
        match entry.stage {
            Stage::Handling => {}
            Stage::Cancelling(_) => return self.lose(id),
            // It was handed back while its handler ended: too late.
            Stage::Waiting | Stage::Batched | Stage::Pausing(..) | Stage::Settling(_) => return,
        }
        let receive_count = entry.delivery.receive_count;
        let outcome = match answer {
            Ok(()) => Outcome::Acked,
            Err(HandlerError::Retry { .. }) => Outcome::Retried,
            Err(HandlerError::Poison { .. }) => Outcome::Poisoned,
        };
        self.flight.change(id, |entry| entry.outcome = outcome);
        match answer {
            Ok(()) => {
                self.pass_turn(id);
                self.batch_ack(id, now + ACK_WAIT_MAX);
            }
            Err(HandlerError::Retry { source, after }) => {
                let delay =
                    after.unwrap_or_else(|| self.config.nack_backoff.delay(receive_count, &mut self.rng));
                tracing::info!(error = %Chain(&*source), receive_count, ?delay, "not handled: it will come again");
                self.settle(id, Settlement::Nack(delay));
                self.give_back_behind(id, delay);
            }
            Err(HandlerError::Poison { reason }) => {
                tracing::error!(reason, receive_count, "poison: it is put aside");
                self.settle(id, Settlement::Keep(reason.into()));
            }
        }
    }

    /// Puts a message among those to be acked, at the latest at `due`.
    fn batch_ack(&mut self, id: u64, due: Instant) {
        if self.flight.change(id, |entry| entry.stage = Stage::Batched).is_some() {
            self.acks.push(id);
            self.acks_due = Some(self.acks_due.map_or(due, |earlier| earlier.min(due)));
        }
    }

    /// Sends acks: full batches always; the rest when its time has come, and at once when nothing else could join it.
    pub(super) fn flush_acks(&mut self, now: Instant) {
        let is_idle = self.tasks.is_empty() || !matches!(self.phase, Phase::Running);
        let is_due = is_idle || self.acks_due.is_some_and(|due| due <= now);
        // What lost its lease meanwhile has left the flight.
        self.acks.retain(|id| self.flight.get(*id).is_some());
        while self.acks.len() >= ACK_BATCH_MAX || (is_due && !self.acks.is_empty()) {
            let ids: Vec<u64> = self.acks.drain(..self.acks.len().min(ACK_BATCH_MAX)).collect();
            let mut receipts = Vec::with_capacity(ids.len());
            for id in &ids {
                receipts.extend(self.flight.change(*id, |entry| {
                    entry.stage = Stage::Settling(Settlement::Ack);
                    entry.delivery.receipt.clone()
                }));
            }
            self.call_batch(CALL_MAX, ids, receipts, Done::Settled, |receiver, receipts| {
                Box::pin(async move { receiver.ack(&receipts).await })
            });
        }
        if self.acks.is_empty() {
            self.acks_due = None;
        }
    }

    /// Makes the call that settles a message.
    pub(super) fn settle(&mut self, id: u64, settlement: Settlement) {
        let changed = self.flight.change(id, |entry| {
            entry.stage = Stage::Settling(settlement.clone());
            Arc::clone(&entry.delivery)
        });
        let Some(delivery) = changed else { return };
        let receiver = Arc::clone(&self.receiver);
        let dead_letters = Arc::clone(&self.dead_letters);
        self.calls.push(match settlement {
            Settlement::Ack => Box::pin(async move {
                let receipts = [delivery.receipt.clone()];
                let answers = within(CALL_MAX, receiver.ack(&receipts))
                    .await
                    .unwrap_or_else(|error| vec![Err(error.into())]);
                Done::Settled(answers.into_iter().map(|answer| (id, answer)).collect())
            }),
            Settlement::Nack(delay) => Box::pin(async move {
                let answer = within(CALL_MAX, receiver.nack(&delivery.receipt, delay)).await;
                Done::Settled(vec![(id, answer.unwrap_or_else(|error| Err(error.into())))])
            }),
            Settlement::Keep(reason) => Box::pin(async move {
                let answer = within(CALL_MAX, dead_letters.keep(&delivery, &reason)).await;
                Done::Kept(id, answer.unwrap_or_else(|error| Err(error.into())))
            }),
        });
    }

    /// Makes a call for several messages.
    pub(super) fn call_batch<T: Send + 'static>(
        &mut self,
        limit: Duration,
        ids: Vec<u64>,
        receipts: Vec<Receipt>,
        done: impl FnOnce(Vec<(u64, Result<T, AckError>)>) -> Done + Send + 'static,
        call: impl FnOnce(Arc<dyn Receiver>, Vec<Receipt>) -> BoxFuture<'static, Vec<Result<T, AckError>>>
        + Send
        + 'static,
    ) {
        let call = call(Arc::clone(&self.receiver), receipts);
        self.calls.push(Box::pin(async move {
            match within(limit, call).await {
                // A receiver owes one answer per receipt. One that is short of them leaves the rest unknown.
                Ok(answers) => {
                    let short = || Err(QueueError::broken("the receiver left a receipt unanswered").into());
                    let answers = answers.into_iter().chain(std::iter::repeat_with(short));
                    done(ids.into_iter().zip(answers).collect())
                }
                Err(error) => done(ids.into_iter().map(|id| (id, Err(error.clone().into()))).collect()),
            }
        }));
    }

    /// A call to settle a message by an ack or a nack was answered.
    pub(super) fn on_settled(&mut self, id: u64, answer: Result<(), AckError>, now: Instant) {
        match answer {
            Ok(()) => self.settled(id),
            Err(error) => self.on_unsettled(id, &error.into(), now),
        }
    }

    pub(super) fn on_kept(&mut self, id: u64, answer: Result<Kept, BoxError>, now: Instant) {
        match answer {
            Ok(kept) => {
                self.pass_turn(id);
                match kept {
                    Kept::Settled => self.settled(id),
                    Kept::Elsewhere => self.batch_ack(id, now + ACK_WAIT_MAX),
                }
            }
            Err(error) if error.downcast_ref::<AckError>().is_some() => self.on_unsettled(id, &error, now),
            // Whoever keeps poison cannot: the message waits in the queue then, and its permit is for the next one.
            Err(error) => {
                let Some(entry) = self.flight.get(id) else { return };
                let delay = self.config.nack_backoff.ceiling(entry.delivery.receive_count);
                tracing::error!(error = %Chain(&*error), ?delay, "poison could not be kept: it will come again");
                self.flight.change(id, |entry| entry.outcome = Outcome::Retried);
                self.settle(id, Settlement::Nack(delay));
                self.give_back_behind(id, delay);
            }
        }
    }

    fn settled(&mut self, id: u64) {
        let Some(entry) = self.flight.remove(id) else { return };
        self.meter.left();
        *match entry.outcome {
            Outcome::Acked => &mut self.summary.acked,
            Outcome::Retried => &mut self.summary.retried,
            Outcome::Poisoned => &mut self.summary.poisoned,
            Outcome::HandedBack => &mut self.summary.handed_back,
        } += 1;
        self.meter.settled(Instant::now());
    }

    pub(super) fn lose(&mut self, id: u64) {
        self.gathering.forget(id);
        self.give_back_behind(id, Duration::ZERO);
        if self.flight.remove(id).is_some() {
            self.meter.left();
            self.summary.lost += 1;
        }
    }

    /// A message could not be settled: over if its lease is, else to be tried again after a pause.
    fn on_unsettled(&mut self, id: u64, error: &BoxError, now: Instant) {
        if let Some(AckError::LeaseLost) = error.downcast_ref() {
            tracing::warn!("a lease was lost while its message was being settled; it may come again");
            return self.lose(id);
        }
        tracing::warn!(error = %Chain(&**error), "a message was not settled");
        let rng = &mut self.rng;
        self.flight.change(id, |entry| {
            if let Stage::Settling(settlement) = &entry.stage {
                entry.failures = entry.failures.saturating_add(1);
                entry.stage =
                    Stage::Pausing(settlement.clone(), now + SETTLE_BACKOFF.delay(entry.failures, rng));
            }
        });
    }

    /// Does what a timer of a message stands for.
    pub(super) fn on_timer(&mut self, id: u64, now: Instant) {
        let Some(entry) = self.flight.get(id) else { return };
        match &entry.stage {
            Stage::Cancelling(until) if *until <= now => {
                self.drop_handler(id);
                self.lose(id);
            }
            Stage::Waiting | Stage::Handling | Stage::Batched | Stage::Pausing(..)
                if entry.lease.is_over(now) =>
            {
                self.on_lost(id, now);
            }
            Stage::Pausing(settlement, at) if *at <= now => match settlement.clone() {
                Settlement::Ack => self.batch_ack(id, now),
                settlement => self.settle(id, settlement),
            },
            _ => {}
        }
    }

    /// Drops a handler at its next await. Until then it keeps its permit.
    fn drop_handler(&mut self, id: u64) {
        if let Some(entry) = self.flight.get(id) {
            entry.abort.cancel(CancelReason::Stopped);
            self.dropped.insert(id);
        }
    }

    /// Ends everything that has not ended: what is finished is settled, what is not is handed back.
    pub(super) fn close(&mut self) {
        // Nobody's turn comes any more.
        self.order.clear();
        self.gathering.clear();
        let ids: Vec<u64> = self.flight.iter().map(|(id, _)| id).collect();
        for id in ids {
            let Some(entry) = self.flight.get(id) else { continue };
            match &entry.stage {
                Stage::Waiting => {
                    self.flight.change(id, |entry| entry.outcome = Outcome::HandedBack);
                    self.settle(id, Settlement::Nack(Duration::ZERO));
                }
                Stage::Handling => {
                    entry.cancel.cancel(CancelReason::Stopped);
                    self.drop_handler(id);
                    self.flight.change(id, |entry| entry.outcome = Outcome::HandedBack);
                    self.settle(id, Settlement::Nack(Duration::ZERO));
                }
                Stage::Cancelling(_) => {
                    self.drop_handler(id);
                    self.lose(id);
                }
                Stage::Pausing(settlement, _) => {
                    let settlement = settlement.clone();
                    self.settle(id, settlement);
                }
                Stage::Batched | Stage::Settling(_) => {}
            }
        }
    }
}

/// Bounds a call to the broker.
pub(super) async fn within<T>(limit: Duration, call: impl Future<Output = T>) -> Result<T, QueueError> {
    let answer = tokio::time::timeout(limit, call).await;
    answer.map_err(|_| QueueError::unavailable(format!("no answer within {limit:?}")))
}
