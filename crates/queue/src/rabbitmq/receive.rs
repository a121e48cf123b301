//! One receive, in a task of its own: dropping the caller's future ends it early, and it cleans up after itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use lapin::message::Delivery as RabbitDelivery;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicGetOptions, BasicQosOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Consumer};
use tokio::sync::{Mutex, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use super::Shared;
use super::codec::Parcel;
use super::error::{failed, late};
use super::leases::{Held, Leases, give_back};
use super::link::CALL_MAX;
use super::names::QueueNames;
use super::receiver::bury;
use crate::{Delivery, Lease, QueueError, SubscriptionConfig};

/// Most deliveries of one receive: RabbitMQ advises against prefetching more.
const RECEIVE_MESSAGES_MAX: usize = 1_000;
/// How long more is waited for once the broker has said that there is more.
const GATHER_MAX: Duration = Duration::from_millis(50);
/// How many messages are put aside at a time that were received too often.
const BURIED_AT_A_TIME: usize = 16;

/// Names consumers within their channel.
static CONSUMERS: AtomicU64 = AtomicU64::new(0);

/// The answer of a receive.
pub(super) type Received = Result<Vec<Delivery>, QueueError>;

/// The channel of one receiver. All its deliveries end with it.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) shared: Arc<Shared>,
    pub(super) names: QueueNames,
    pub(super) config: SubscriptionConfig,
    pub(super) leases: Arc<Leases>,
    /// Held while a consumer is set up: its prefetch is a setting of the channel.
    channel: Mutex<Option<Channel>>,
}

impl Line {
    pub(super) fn new(
        shared: Arc<Shared>,
        names: QueueNames,
        config: SubscriptionConfig,
        leases: Arc<Leases>,
    ) -> Self {
        Self { shared, names, config, leases, channel: Mutex::default() }
    }

    /// The channel, made again if it was lost.
    async fn opened(&self, slot: &mut Option<Channel>) -> Result<Channel, QueueError> {
        if let Some(channel) = slot.as_ref().filter(|channel| channel.status().connected()) {
            return Ok(channel.clone());
        }
        *slot = None;
        Ok(slot.insert(self.shared.consuming.channel().await?).clone())
    }

    /// The channel as it is.
    pub(super) async fn current(&self) -> Option<Channel> {
        self.channel.lock().await.clone()
    }

    /// Forgets the channel, which closes it: what it has delivered is ready again.
    pub(super) async fn close(&self) {
        if let Some(channel) = self.channel.lock().await.take() {
            drop(channel);
        }
    }

    /// Takes up to `max`, waiting until `give_up`, and answers `caller`.
    pub(super) async fn receive(
        self: Arc<Self>,
        max: usize,
        give_up: Instant,
        mut caller: oneshot::Sender<Received>,
    ) {
        let taken = self.take(max.min(RECEIVE_MESSAGES_MAX), give_up, &mut caller).await;
        let found = match taken {
            Ok(found) => found,
            Err(error) => {
                // Whatever state it is in, its deliveries are to come again.
                self.close().await;
                if caller.send(Err(error)).is_err() {
                    tracing::debug!("a receive failed that nobody waits for");
                }
                return;
            }
        };
        if caller.is_closed() {
            give_back(found.iter().map(|delivery| &delivery.acker)).await;
            return;
        }
        let deliveries = self.hand_out(found).await;
        let receipts: Vec<_> = deliveries.iter().map(|delivery| delivery.receipt.clone()).collect();
        if caller.send(Ok(deliveries)).is_err() {
            let mut settling = self.leases.settle(&receipts);
            let taken = std::mem::take(&mut settling.taken);
            give_back(taken.iter().flatten().map(|(_, held)| &held.acker)).await;
        }
    }

    async fn take(
        &self,
        max: usize,
        give_up: Instant,
        caller: &mut oneshot::Sender<Received>,
    ) -> Result<Vec<RabbitDelivery>, QueueError> {
        let link = &self.shared.consuming;
        let channel = self.opened(&mut *self.channel.lock().await).await?;
        let what = format!("receiving from queue \"{}\"", self.names.queue);
        let get = channel.basic_get(self.names.queue.clone(), BasicGetOptions::default());
        let mut found = Vec::new();
        let mut wait_until = give_up;
        if let Some(first) = link.call(&what, get).await? {
            found.push(first.delivery);
            if max == 1 || first.message_count == 0 {
                return Ok(found);
            }
            wait_until = Instant::now() + GATHER_MAX;
        } else if give_up <= Instant::now() {
            return Ok(found);
        }
        let mut consumer = self.consume(max - found.len(), &what).await?;
        let first = tokio::select! {
            biased;
            first = consumer.next() => Some(first),
            () = sleep_until(wait_until) => None,
            () = caller.closed() => None,
        };
        let tag = consumer.tag();
        if let Some(first) = first {
            found.push(self.delivered(first, &what)?);
        }
        // What was delivered until the broker has cancelled is ours: no more than was asked for.
        link.call(&what, channel.basic_cancel(tag, BasicCancelOptions::default())).await?;
        let rest = timeout(CALL_MAX, consumer.collect::<Vec<_>>()).await;
        for next in rest.map_err(|_| late(&self.shared.target, &what))? {
            found.push(self.delivered(Some(next), &what)?);
        }
        Ok(found)
    }

    async fn consume(&self, prefetch: usize, what: &str) -> Result<Consumer, QueueError> {
        let link = &self.shared.consuming;
        let mut slot = self.channel.lock().await;
        let channel = self.opened(&mut slot).await?;
        let prefetch = u16::try_from(prefetch).unwrap_or(u16::MAX);
        link.call(what, channel.basic_qos(prefetch, BasicQosOptions::default())).await?;
        let tag = format!("antiphon-{}", CONSUMERS.fetch_add(1, Ordering::Relaxed));
        let consume = channel.basic_consume(
            self.names.queue.clone(),
            ShortString::from(tag),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        link.call(what, consume).await
    }

    fn delivered(
        &self,
        next: Option<lapin::Result<RabbitDelivery>>,
        what: &str,
    ) -> Result<RabbitDelivery, QueueError> {
        match next {
            Some(Ok(delivery)) => Ok(delivery),
            Some(Err(error)) => Err(failed(&self.shared.target, what, &error)),
            None => Err(QueueError::unavailable(format!(
                "{}: {what}: the broker cancelled: the queue was deleted, or its node went down",
                self.shared.target
            ))),
        }
    }

    /// Leases them, and puts aside what was received too often.
    async fn hand_out(&self, found: Vec<RabbitDelivery>) -> Vec<Delivery> {
        let held = |delivery: RabbitDelivery| {
            let parcel = Parcel::new(delivery.properties, delivery.data);
            Held {
                receive_count: parcel.receive_count(),
                acker: delivery.acker,
                parcel,
                until: Instant::now(),
            }
        };
        let is_spent = |held: &Held| self.config.receives_max.is_some_and(|max| held.receive_count > max);
        let (spent, fresh): (Vec<_>, Vec<_>) = found.into_iter().map(held).partition(is_spent);
        self.bury_spent(spent).await;
        // Only now, so that nobody is handed a lease that ran meanwhile.
        let until = Instant::now() + self.config.lease;
        let lease = |held: Held| Delivery {
            message: held.parcel.message(),
            receive_count: held.receive_count,
            published_at_ms: held.parcel.published_at_ms(),
            lease: Lease::until(until),
            receipt: self.leases.add(Held { until, ..held }),
        };
        fresh.into_iter().map(lease).collect()
    }

    /// Some at a time. After a failure the others are not tried, each with a timeout of its own: a caller is waiting.
    async fn bury_spent(&self, mut spent: Vec<Held>) {
        while !spent.is_empty() {
            let rest = spent.split_off(spent.len().min(BURIED_AT_A_TIME));
            let burying = join_all(spent.iter_mut().map(|held| self.bury_one(held))).await;
            let failed = spent.iter().zip(burying).filter(|(_, is_buried)| !is_buried);
            let failed: Vec<_> = failed.map(|(held, _)| &held.acker).collect();
            if !failed.is_empty() {
                give_back(failed.into_iter().chain(rest.iter().map(|held| &held.acker))).await;
                return;
            }
            spent = rest;
        }
    }

    async fn bury_one(&self, held: &mut Held) -> bool {
        held.receive_count -= 1;
        let reason = crate::rows::received_too_often(held.receive_count);
        let buried = bury(&self.shared, &self.names, held, &reason).await;
        if let Err(error) = &buried {
            tracing::warn!(queue = %self.names.queue, %error, "a message that was received too often comes once more");
        }
        buried.is_ok()
    }
}
