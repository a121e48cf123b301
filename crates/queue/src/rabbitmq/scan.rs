//! Looking through a queue without taking anything: AMQP cannot, so messages are taken and given back, by one reader at a
//! time. An exclusive queue is the lock: it is gone with the connection of its owner, whatever happens to that one.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use futures_util::StreamExt;
use lapin::message::Delivery as RabbitDelivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions,
    QueueDeclareOptions,
};
use lapin::types::{FieldTable, ShortString};
use lapin::{Acker, Channel};
use tokio::time::{Instant, sleep, timeout};

use super::codec::{Parcel, pack};
use super::error::{Closed, closed, failed, late};
use super::link::{Apart, CALL_MAX, Link};
use super::publish::{Outgoing, SendError};
use super::{Shared, topology};
use crate::{Message, QueueError, Subscription};

/// Most messages that a reader takes at a time.
const CHUNK_MAX: u16 = 100;
/// Stands for everything that a channel has delivered.
const ALL: u64 = 0;
/// How often a reader looks whether the broker has back what it gave back.
const BACK_POLLS_MAX: usize = 40;
const BACK_POLL: Duration = Duration::from_millis(25);
/// How long it waits for one that was counted.
const CHUNK_WAIT_MAX: Duration = Duration::from_secs(1);
/// How long a reader waits for the one before.
const LOCK_MAX: Duration = Duration::from_secs(20);
const LOCK_POLL: Duration = Duration::from_millis(50);
/// Most subscriptions of one prefix.
const SUBSCRIPTIONS_MAX: usize = 10_000;

/// One reader of one queue. What it took comes back when it is closed or dropped.
///
/// In which order nobody can tell: a quorum queue with a delivery limit puts back at its end what it gets back, and not
/// as it was. So whoever wants an order reads everything, and sorts.
pub(super) struct Scan<'a> {
    link: &'a Link,
    connection: Apart<'a>,
    channel: Channel,
    queue: ShortString,
    /// How many there may be that were not taken.
    left: u32,
    /// How many were taken and not removed.
    taken: u32,
    chunks: usize,
    /// Taken and not looked at.
    waiting: VecDeque<RabbitDelivery>,
}

impl<'a> Scan<'a> {
    /// Waits for its turn.
    pub(super) async fn open(
        shared: &'a Shared,
        queue: &ShortString,
        lock: &ShortString,
    ) -> Result<Self, QueueError> {
        let link = &shared.consuming;
        let connection = link.apart().await?;
        let what = format!("locking queue \"{queue}\"");
        let give_up = Instant::now() + LOCK_MAX;
        let channel = loop {
            let channel = connection.channel().await?;
            let options = QueueDeclareOptions::exclusive().auto_delete();
            let declare = channel.queue_declare(lock.clone(), options, FieldTable::default());
            match link.bounded(&what, declare).await? {
                Ok(_) => break channel,
                Err(error) if closed(&error) == Closed::Locked => {}
                Err(error) => return Err(failed(&shared.target, &what, &error)),
            }
            if Instant::now() >= give_up {
                return Err(late(&shared.target, &what));
            }
            sleep(LOCK_POLL).await;
        };
        let (waiting, queue) = (VecDeque::new(), queue.clone());
        let mut scan = Self { link, connection, channel, queue, left: 0, taken: 0, chunks: 0, waiting };
        scan.left = scan.count().await?;
        Ok(scan)
    }

    async fn count(&self) -> Result<u32, QueueError> {
        let passive = QueueDeclareOptions::durable().passive();
        let declare = self.channel.queue_declare(self.queue.clone(), passive, FieldTable::default());
        Ok(self.link.call("reading a queue", declare).await?.message_count())
    }

    /// The next message, or none if all were seen.
    pub(super) async fn next(&mut self) -> Result<Option<(Parcel, Acker)>, QueueError> {
        if self.waiting.is_empty() && self.left > 0 {
            self.fill().await?;
        }
        let delivery = self.waiting.pop_front();
        Ok(delivery.map(|delivery| (Parcel::new(delivery.properties, delivery.data), delivery.acker)))
    }

    async fn fill(&mut self) -> Result<(), QueueError> {
        let (what, link) = ("reading a queue", self.link);
        let size = u16::try_from(self.left).unwrap_or(CHUNK_MAX).min(CHUNK_MAX);
        link.call(what, self.channel.basic_qos(size, BasicQosOptions::default())).await?;
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let tag = ShortString::from(format!("scan-{}", self.chunks));
        let consume = self.channel.basic_consume(self.queue.clone(), tag.clone(), options, arguments);
        let mut consumer = link.call(what, consume).await?;
        for _ in 0..size {
            // Fewer came than were counted: somebody else receives from here.
            let Ok(Some(next)) = timeout(CHUNK_WAIT_MAX, consumer.next()).await else { break };
            self.waiting.push_back(next.map_err(|error| failed(link.target(), what, &error))?);
        }
        link.call(what, self.channel.basic_cancel(tag, BasicCancelOptions::default())).await?;
        let rest =
            timeout(CALL_MAX, consumer.collect::<Vec<_>>()).await.map_err(|_| late(link.target(), what))?;
        for next in rest {
            self.waiting.push_back(next.map_err(|error| failed(link.target(), what, &error))?);
        }
        let taken = u32::try_from(self.waiting.len()).unwrap_or(u32::MAX);
        self.left = if taken < u32::from(size) { 0 } else { self.left.saturating_sub(taken) };
        self.taken = self.taken.saturating_add(taken);
        self.chunks += 1;
        Ok(())
    }

    /// Takes one out for good. It comes again if this fails, or is not [closed](Self::close).
    pub(super) async fn remove(&mut self, acker: &Acker) -> Result<(), QueueError> {
        self.link.call("acking", acker.ack(BasicAckOptions::default())).await?;
        self.taken = self.taken.saturating_sub(1);
        Ok(())
    }

    /// Gives the rest back. Returns when the broker has done that, and all that was asked before.
    pub(super) async fn close(self) {
        if let Err(error) = self.give_back().await {
            // Closing the connection does it as well, but nobody tells when.
            tracing::debug!(%error, queue = %self.queue, "a reader could not give back");
        }
        self.connection.close().await;
    }

    async fn give_back(&self) -> Result<(), QueueError> {
        let all = BasicNackOptions { requeue: true, multiple: true };
        if self.taken > 0 {
            self.link.call("giving back", self.channel.basic_nack(ALL, all)).await?;
        }
        for _ in 0..BACK_POLLS_MAX {
            if self.count().await? >= self.taken {
                break;
            }
            sleep(BACK_POLL).await;
        }
        Ok(())
    }
}

/// All subscriptions that were ever made, in order.
pub(super) async fn registered(shared: &Shared) -> Result<BTreeSet<Subscription>, QueueError> {
    let registry = topology::declare_registry(shared).await?;
    let mut scan = Scan::open(shared, &registry, &shared.names.registry_lock()?).await?;
    let found = read_all(&mut scan).await?;
    scan.close().await;
    Ok(found)
}

async fn read_all(scan: &mut Scan<'_>) -> Result<BTreeSet<Subscription>, QueueError> {
    let mut found = BTreeSet::new();
    while let Some((parcel, _)) = scan.next().await? {
        let name = std::str::from_utf8(&parcel.body).ok().and_then(|name| name.parse().ok());
        if name.is_none() {
            tracing::warn!(queue = %scan.queue, "a message in the list of subscriptions is no name");
        }
        found.extend(name);
        if found.len() > SUBSCRIPTIONS_MAX {
            return Err(QueueError::Refused(format!(
                "queue \"{}\" lists more than {SUBSCRIPTIONS_MAX} subscriptions: use several prefixes",
                scan.queue
            )));
        }
    }
    Ok(found)
}

/// Notes the name of a subscription.
pub(super) async fn register(shared: &Shared, subscription: &Subscription) -> Result<(), QueueError> {
    let registry = topology::declare_registry(shared).await?;
    let mut scan = Scan::open(shared, &registry, &shared.names.registry_lock()?).await?;
    let known = read_all(&mut scan).await?;
    if !known.contains(subscription) {
        if known.len() >= SUBSCRIPTIONS_MAX {
            return Err(QueueError::Refused(format!(
                "{subscription} would be one more than the {SUBSCRIPTIONS_MAX} subscriptions of one prefix: use another"
            )));
        }
        let parcel = pack(&Message::new(subscription.to_string()), shared.clock.now_ms());
        shared.sender.send_one(Outgoing::to_queue(&registry, parcel)).await.map_err(|error| match error {
            SendError::Queue(error) => error,
            SendError::Full | SendError::NoQueue => {
                QueueError::unavailable(format!("queue \"{registry}\" takes no more names"))
            }
        })?;
    }
    scan.close().await;
    Ok(())
}
