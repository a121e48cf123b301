//! Settling: what the broker is told, and when it is believed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use lapin::options::{BasicAckOptions, BasicNackOptions, ChannelFlowOptions};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::codec::Death;
use super::error::failed;
use super::leases::{Held, Leases, keep};
use super::names::QueueNames;
use super::publish::{Outgoing, SendError};
use super::receive::Line;
use super::{Shared, dead, topology};
use crate::rows::cut_reason;
use crate::{
    AckError, BoxFuture, Delivery, Depth, LEASE_MAX, Lease, QueueError, Receipt, Receiver, Subscription,
    SubscriptionConfig, WAIT_MAX,
};

/// Numbers the dead letters of this process.
static DEAD_LETTERS: AtomicUsize = AtomicUsize::new(0);

/// A receiver of one subscription, with a channel of its own.
#[derive(Debug)]
pub(super) struct RabbitReceiver {
    line: Arc<Line>,
    subscription: Subscription,
    keeper: JoinHandle<()>,
}

impl Drop for RabbitReceiver {
    fn drop(&mut self) {
        // The channel goes with the line, and gives back what was held.
        self.keeper.abort();
    }
}

impl RabbitReceiver {
    pub(super) fn new(
        shared: Arc<Shared>,
        subscription: Subscription,
        names: QueueNames,
        config: SubscriptionConfig,
        leases: Arc<Leases>,
    ) -> Self {
        let keeper = tokio::spawn(keep(Arc::clone(&leases)));
        let line = Arc::new(Line::new(shared, names, config, leases));
        Self { line, subscription, keeper }
    }

    fn lost(error: &lapin::Error) -> AckError {
        // The channel is gone, and all that it had delivered is ready again.
        tracing::debug!(%error, "settling on a channel that was lost");
        AckError::LeaseLost
    }

    async fn ack_all(&self, receipts: &[Receipt]) -> Vec<Result<(), AckError>> {
        let mut settling = self.line.leases.settle(receipts);
        let live: Vec<bool> = settling.taken.iter().map(Option::is_some).collect();
        if !live.contains(&true) {
            return live.iter().map(|_| Err(AckError::LeaseLost)).collect();
        }
        let acking = settling.held().map(async |held| match held {
            Some(held) => held.acker.ack(BasicAckOptions::default()).await,
            None => Ok(false),
        });
        let link = &self.line.shared.consuming;
        let acked = match link.bounded("acking", async { Ok(join_all(acking).await) }).await {
            Ok(Ok(acked)) => acked,
            Ok(Err(error)) => {
                let error = failed(&self.line.shared.target, "acking", &error);
                return live.iter().map(|_| Err(AckError::Queue(error.clone()))).collect();
            }
            Err(error) => {
                self.line.close().await;
                return live.iter().map(|_| Err(AckError::Queue(error.clone()))).collect();
            }
        };
        let taken = std::mem::take(&mut settling.taken);
        let done = self.done().await;
        let answer = |(acked, taken): (_, Option<(u64, Held)>)| match (acked, &done) {
            // What was sent on a channel that was lost meanwhile may not have arrived.
            (Ok(true), Ok(())) if taken.is_some_and(|(_, held)| held.acker.poisoned()) => {
                Err(AckError::Queue(unsettled()))
            }
            (Ok(true), Ok(())) => Ok(()),
            (Ok(true), Err(error)) => Err(AckError::Queue(error.clone())),
            (Ok(false), _) => Err(AckError::LeaseLost),
            (Err(error), _) => Err(Self::lost(&error)),
        };
        acked.into_iter().zip(taken).map(answer).collect()
    }

    /// Returns when the broker has done what was sent before: it does one thing after the other, and answers this one.
    async fn done(&self) -> Result<(), QueueError> {
        let Some(channel) = self.line.current().await else {
            return Err(unsettled());
        };
        let flow = channel.channel_flow(ChannelFlowOptions { active: true });
        let answer = self.line.shared.consuming.call("acking", flow).await;
        if answer.is_err() {
            self.line.close().await;
        }
        answer.map(drop)
    }

    async fn nack_one(&self, receipt: &Receipt, delay: Duration) -> Result<(), AckError> {
        let mut settling = self.line.leases.settle(std::slice::from_ref(receipt));
        let Some(held) = settling.held().flatten().next() else { return Err(AckError::LeaseLost) };
        if delay.is_zero() {
            let requeue = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
            let nacked = self.line.shared.consuming.bounded("giving back", held.acker.nack(requeue)).await?;
            settling.taken.clear();
            return if nacked.map_err(|error| Self::lost(&error))? {
                Ok(())
            } else {
                Err(AckError::LeaseLost)
            };
        }
        let delay = delay.min(LEASE_MAX);
        let queue = topology::declare_delay(&self.line.shared, &self.line.names, delay).await?;
        let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX).max(1);
        let parcel = held.parcel.delayed(held.receive_count, delay_ms);
        self.line
            .shared
            .sender
            .send_one(Outgoing::to_queue(&queue, parcel))
            .await
            .map_err(|error| unsent(&queue, error))?;
        let acked = held.acker.ack(BasicAckOptions::default()).await;
        settling.taken.clear();
        // If the ack was lost the message comes twice: at once, and after its delay.
        if acked.map_err(|error| Self::lost(&error))? { Ok(()) } else { Err(AckError::LeaseLost) }
    }

    async fn bury_one(&self, receipt: &Receipt, reason: &str) -> Result<(), AckError> {
        let mut settling = self.line.leases.settle(std::slice::from_ref(receipt));
        let Some(held) = settling.held().flatten().next() else { return Err(AckError::LeaseLost) };
        bury(&self.line.shared, &self.line.names, held, reason).await?;
        settling.taken.clear();
        Ok(())
    }
}

fn unsettled() -> QueueError {
    QueueError::unavailable("the channel was lost while acks were on their way")
}

/// Why a copy was not taken. The original is still ours then.
fn unsent(queue: impl std::fmt::Display, error: SendError) -> QueueError {
    match error {
        SendError::Queue(error) => error,
        SendError::Full => {
            QueueError::unavailable(format!("queue \"{queue}\" is full: drain it, or raise max_messages"))
        }
        SendError::NoQueue => {
            QueueError::Refused(format!("queue \"{queue}\" is gone: subscribe again to make it"))
        }
    }
}

/// Puts a copy aside, and then acks the original.
pub(super) async fn bury(
    shared: &Shared,
    names: &QueueNames,
    held: &Held,
    reason: &str,
) -> Result<(), AckError> {
    let number = DEAD_LETTERS.fetch_add(1, Ordering::Relaxed);
    let death = Death {
        id: Some(dead::id(shared.clock.now_ms(), number, shared.nonce)),
        reason: cut_reason(reason),
        receive_count: held.receive_count,
    };
    let outgoing = Outgoing::to_queue(&names.dead, held.parcel.dead(&death));
    shared.sender.send_one(outgoing).await.map_err(|error| unsent(&names.dead, error))?;
    let acking = held.acker.ack(BasicAckOptions::default());
    // If the ack was lost the message comes again beside its dead letter, as a duplicate.
    if shared.consuming.bounded("acking", acking).await?.map_err(|error| RabbitReceiver::lost(&error))? {
        Ok(())
    } else {
        Err(AckError::LeaseLost)
    }
}

impl Receiver for RabbitReceiver {
    fn subscription(&self) -> &Subscription {
        &self.subscription
    }

    fn receive(&self, max: usize, wait: Duration) -> BoxFuture<'_, Result<Vec<Delivery>, QueueError>> {
        Box::pin(async move {
            if max == 0 {
                return Ok(Vec::new());
            }
            let give_up = Instant::now() + wait.min(WAIT_MAX);
            let (caller, answer) = oneshot::channel();
            tokio::spawn(Arc::clone(&self.line).receive(max, give_up, caller));
            answer.await.map_err(QueueError::broken)?
        })
    }

    fn ack<'a>(&'a self, receipts: &'a [Receipt]) -> BoxFuture<'a, Vec<Result<(), AckError>>> {
        Box::pin(self.ack_all(receipts))
    }

    fn nack<'a>(&'a self, receipt: &'a Receipt, delay: Duration) -> BoxFuture<'a, Result<(), AckError>> {
        Box::pin(self.nack_one(receipt, delay))
    }

    fn extend<'a>(
        &'a self,
        receipts: &'a [Receipt],
        lease: Duration,
    ) -> BoxFuture<'a, Vec<Result<Lease, AckError>>> {
        Box::pin(async move {
            let until = Instant::now() + lease.min(LEASE_MAX);
            let extend = |receipt| {
                if self.line.leases.extend(receipt, until) {
                    Ok(Lease::until(until))
                } else {
                    Err(AckError::LeaseLost)
                }
            };
            receipts.iter().map(extend).collect()
        })
    }

    fn dead_letter<'a>(
        &'a self,
        receipt: &'a Receipt,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<(), AckError>> {
        Box::pin(self.bury_one(receipt, reason))
    }

    fn depth(&self) -> BoxFuture<'_, Result<Depth, QueueError>> {
        Box::pin(self.line.shared.depth(&self.subscription))
    }
}
