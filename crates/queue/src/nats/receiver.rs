//! One receiver of a subscription.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::Message;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde_json::json;
use tokio::time::{Instant, sleep, timeout_at};

use super::line::{Claim, Key, Line, Source, Told, receipt};
use super::link::{NoAnswer, REQUEST_WAIT};
use super::pull::{NAK, Pull, Taken};
use super::streams::{ConsumerSeen, Streams};
use super::wire::{Burial, decode};
use crate::rows::{cut_reason, received_too_often};
use crate::{
    AckError, BoxFuture, Delivery, Depth, LEASE_MAX, Lease, QueueError, Receipt, Receiver, Subscription,
    SubscriptionConfig, WAIT_MAX,
};

/// Most deliveries of one receive: with the largest messages, 64 MiB.
const RECEIVE_MESSAGES_MAX: usize = 256;
/// Most settlements that wait for the server's answer at a time, per call.
const SETTLING_MAX: usize = 256;
/// How long one request for messages waits. Between two of them the subscription's other consumer is asked, so this is
/// also the longest time that a message takes from there.
const PULL_WAIT: Duration = Duration::from_secs(1);
/// How long a request waits that should not: the server ends only those that wait.
const PULL_WAIT_MIN: Duration = Duration::from_millis(50);
/// The pause after a request that the server ended at once without a message: others wait for what there is.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

const ACK: &[u8] = b"+ACK";
const PROGRESS: &[u8] = b"+WPI";

/// A message on its way to becoming a delivery.
struct Fresh {
    key: Key,
    reply: String,
    delivery: Delivery,
}

/// A consumer of the subscription.
#[derive(Debug)]
pub(super) struct Outlet {
    pub(super) consumer: String,
    /// The lease that the server gives by itself.
    pub(super) ack_wait: Duration,
}

#[derive(Debug)]
pub(super) struct NatsReceiver {
    streams: Streams,
    subscription: Subscription,
    config: SubscriptionConfig,
    line: Arc<Line>,
    stream: String,
    topic: Outlet,
    again: Outlet,
    /// When the consumer of what was made ready again was last asked; `None` if it had something then.
    again_asked: Mutex<Option<Instant>>,
}

/// What the server says to a settlement.
enum Confirmed {
    InTime,
    TooLate,
}

impl NatsReceiver {
    pub(super) fn new(
        streams: Streams,
        subscription: &Subscription,
        config: SubscriptionConfig,
        line: Arc<Line>,
        topic: Outlet,
        again: Outlet,
    ) -> Self {
        Self {
            stream: streams.names.topic_stream(subscription.topic()),
            streams,
            subscription: subscription.clone(),
            config,
            line,
            topic,
            again,
            again_asked: Mutex::new(None),
        }
    }

    fn outlet(&self, source: Source) -> &Outlet {
        match source {
            Source::Again => &self.again,
            Source::Topic => &self.topic,
        }
    }

    fn is_again_due(&self, now: Instant) -> bool {
        let asked = *self.again_asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.is_none_or(|asked| now >= asked + PULL_WAIT) || self.line.knows(Source::Again)
    }

    async fn receive_within(&self, max: usize, wait: Duration) -> Result<Vec<Delivery>, QueueError> {
        let max = max.min(RECEIVE_MESSAGES_MAX);
        if max == 0 {
            return Ok(Vec::new());
        }
        let give_up = Instant::now() + wait.min(WAIT_MAX);
        // The lease is counted from when the request was sent, so a short one must not be spent waiting.
        let longest = PULL_WAIT.min(self.config.lease / 4).max(PULL_WAIT_MIN);
        loop {
            if wait.is_zero() || self.is_again_due(Instant::now()) {
                let found = self.take(Source::Again, max, PULL_WAIT_MIN).await?;
                let asked = found.is_empty().then(Instant::now);
                *self.again_asked.lock().unwrap_or_else(PoisonError::into_inner) = asked;
                if !found.is_empty() {
                    return Ok(found);
                }
            }
            let left = give_up.saturating_duration_since(Instant::now());
            let asked = Instant::now();
            let found = self.take(Source::Topic, max, left.clamp(PULL_WAIT_MIN, longest)).await?;
            if !found.is_empty() || Instant::now() >= give_up {
                return Ok(found);
            }
            if asked.elapsed() < BUSY_PAUSE {
                sleep(BUSY_PAUSE).await;
            }
        }
    }

    async fn take(&self, source: Source, max: usize, wait: Duration) -> Result<Vec<Delivery>, QueueError> {
        let sent = Instant::now();
        let consumer = &self.outlet(source).consumer;
        let pull = Pull { stream: &self.stream, consumer, max, bytes_max: None, wait };
        let taken = self.streams.link.pull(pull).await?;
        if taken.messages().is_empty() {
            return Ok(Vec::new());
        }
        self.hand_out(source, sent, taken).await
    }

    /// Gives each its lease. Until the end the messages are in `taken`, which gives them back if we are dropped.
    async fn hand_out(
        &self,
        source: Source,
        sent: Instant,
        taken: Taken,
    ) -> Result<Vec<Delivery>, QueueError> {
        let (lease, ack_wait) = (self.config.lease, self.outlet(source).ack_wait);
        // The server counts from when it sent the message, which was not before we asked.
        let until = sent + lease.min(ack_wait);
        let mut fresh = Vec::with_capacity(taken.messages().len());
        for message in taken.messages() {
            fresh.push(self.read(source, message, until)?);
        }
        if lease != ack_wait {
            let adjust = |mut fresh: Fresh| async move {
                let now = Instant::now();
                if let Ok(Confirmed::InTime) = self.tell(&fresh.reply, delayed_nak(lease), until).await {
                    fresh.delivery.lease = Lease::until(now + lease);
                }
                fresh
            };
            fresh = stream::iter(fresh).map(adjust).buffered(SETTLING_MAX).collect().await;
        }
        let often = |fresh: &Fresh| {
            self.config.receives_max.is_some_and(|receives_max| fresh.delivery.receive_count > receives_max)
        };
        let (often, fresh): (Vec<_>, Vec<_>) = fresh.into_iter().partition(often);
        let burying = stream::iter(often).map(|fresh| self.bury_often(fresh));
        burying.buffer_unordered(SETTLING_MAX).collect::<()>().await;
        let hand = |fresh: Fresh| {
            if let Some(until) = fresh.delivery.lease.expires_at {
                self.line.hand_out(fresh.key, fresh.delivery.receipt.clone(), until);
            }
            fresh.delivery
        };
        let handed = fresh.into_iter().map(hand).collect();
        drop(taken.keep());
        Ok(handed)
    }

    fn read(&self, source: Source, message: &Message, until: Instant) -> Result<Fresh, QueueError> {
        let reply = message.reply.as_ref().map(ToString::to_string).unwrap_or_default();
        let Some(told) = Told::of(&reply) else {
            return Err(self.streams.link.broken(format_args!("{reply:?} settles nothing")));
        };
        let key = (source, told.number);
        let delivery = Delivery {
            message: decode(message.headers.as_ref(), message.payload.clone()),
            receive_count: told.receive_count,
            published_at_ms: Some(told.published_at_ms),
            lease: Lease::until(until),
            receipt: receipt(key, &reply),
        };
        Ok(Fresh { key, reply, delivery })
    }

    /// Puts aside what was received too often. If that fails it comes again when its lease is over.
    async fn bury_often(&self, fresh: Fresh) {
        let receive_count = fresh.delivery.receive_count.saturating_sub(1);
        let burial = Burial {
            reason: received_too_often(receive_count),
            receive_count,
            published_at_ms: fresh.delivery.published_at_ms,
        };
        let burying = self.streams.bury(&self.subscription, &fresh.delivery.message, &burial, &fresh.reply);
        let until = Instant::now() + REQUEST_WAIT;
        let answer = match burying.await {
            Ok(_) => self.tell(&fresh.reply, Bytes::from_static(ACK), until).await.map(drop),
            Err(error) => Err(error),
        };
        if let Err(error) = answer {
            let subscription = &self.subscription;
            tracing::warn!(%error, %subscription, "what was received too often could not be put aside");
        }
    }

    /// Sends a settlement, and waits for the server to confirm it. What is confirmed at or after `until` may have come
    /// too late: then the message may be somebody else's by now.
    async fn tell(&self, reply: &str, what: Bytes, until: Instant) -> Result<Confirmed, QueueError> {
        let asking = self.streams.link.request(reply.to_owned(), None, what, REQUEST_WAIT);
        match timeout_at(until, asking).await {
            Err(_) => Ok(Confirmed::TooLate),
            Ok(_) if Instant::now() >= until => Ok(Confirmed::TooLate),
            Ok(Ok(_)) => Ok(Confirmed::InTime),
            Ok(Err(NoAnswer::Other(error))) => Err(error),
            Ok(Err(NoAnswer::Nobody)) => Err(self.streams.link.unavailable(format_args!(
                "nobody settles messages of {}: its consumer has no leader, or was deleted",
                self.subscription
            ))),
        }
    }

    async fn ack_one(&self, receipt: &Receipt) -> Result<(), AckError> {
        let claim = self.line.claim(receipt, Instant::now())?;
        let confirmed = self.tell(claim.reply, Bytes::from_static(ACK), claim.until).await?;
        confirmed.settle(claim)
    }

    async fn extend_one(&self, receipt: &Receipt, lease: Duration) -> Result<Lease, AckError> {
        let sent = Instant::now();
        let ((source, _), reply, until) = self.line.lease_of(receipt, sent)?;
        let lease = lease.min(LEASE_MAX);
        let (extended, what) = if lease == self.outlet(source).ack_wait {
            (sent + lease, Bytes::from_static(PROGRESS))
        } else {
            (sent + lease, delayed_nak(lease))
        };
        // Shortened as soon as the server may have heard of it, lengthened only when it has.
        self.line.set_lease(receipt, until.min(extended));
        match self.tell(reply, what, until).await? {
            Confirmed::TooLate => Err(AckError::LeaseLost),
            Confirmed::InTime => {
                self.line.set_lease(receipt, extended);
                Ok(Lease::until(extended))
            }
        }
    }

    async fn nack_one(&self, receipt: &Receipt, delay: Duration) -> Result<(), AckError> {
        let delay = delay.min(LEASE_MAX);
        let claim = self.line.claim(receipt, Instant::now())?;
        let (reply, until) = (claim.reply, claim.until);
        // Before it is sent: from then on the message may go to somebody else.
        claim.give_back(Instant::now() + delay);
        let what = if delay.is_zero() { Bytes::from_static(NAK) } else { delayed_nak(delay) };
        match self.tell(reply, what, until).await? {
            Confirmed::InTime => Ok(()),
            Confirmed::TooLate => Err(AckError::LeaseLost),
        }
    }

    async fn dead_letter_one(&self, receipt: &Receipt, reason: &str) -> Result<(), AckError> {
        let claim = self.line.claim(receipt, Instant::now())?;
        let told = Told::of(claim.reply).ok_or(AckError::LeaseLost)?;
        // Nobody has acked it, so its stream still has it.
        let message = self.streams.message(&self.stream, told.number).await?.ok_or(AckError::LeaseLost)?;
        let burial = Burial {
            reason: cut_reason(reason),
            receive_count: told.receive_count,
            published_at_ms: Some(told.published_at_ms),
        };
        let letter = self.streams.bury(&self.subscription, &message, &burial, claim.reply).await?;
        let confirmed = self.tell(claim.reply, Bytes::from_static(ACK), claim.until).await?;
        if let Confirmed::TooLate = confirmed {
            // Whether the server took the ack is not known: only its answer was late for certain. So the letter stays. If
            // the message comes again as well, a redrive makes a duplicate; without the letter it might be in neither.
            tracing::debug!(letter, subscription = %self.subscription, "a dead letter may come again");
        }
        confirmed.settle(claim)
    }

    async fn depth_now(&self) -> Result<Depth, QueueError> {
        let missing = |source| {
            let (consumer, stream) = (&self.outlet(source).consumer, &self.stream);
            self.streams.link.broken(format_args!(
                "consumer {consumer:?} of stream {stream:?} was deleted: subscribe again"
            ))
        };
        let seen = async |source| {
            let seen = self.streams.consumer(&self.stream, &self.outlet(source).consumer).await?;
            self.streams.without_ghosts(&self.stream, seen.ok_or_else(|| missing(source))?).await
        };
        let (topic, again) = (seen(Source::Topic).await?, seen(Source::Again).await?);
        let dead = self.streams.dead_count(&self.subscription).await?;
        Ok(depth(&topic, Some(&again), dead, Some(&self.line)))
    }
}

impl Confirmed {
    fn settle(self, claim: Claim<'_>) -> Result<(), AckError> {
        match self {
            Self::InTime => {
                claim.settled();
                Ok(())
            }
            Self::TooLate => {
                let until = claim.until;
                claim.give_back(until);
                Err(AckError::LeaseLost)
            }
        }
    }
}

/// Hands the message out again after this time: so it is a delay, and as well a lease of any length, since the server
/// takes an ack all the while.
fn delayed_nak(delay: Duration) -> Bytes {
    let nanos = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
    Bytes::from(format!("-NAK {}", json!({ "delay": nanos })))
}

/// How much a subscription holds. The server counts what is handed out, delayed, and waiting to be handed out again as
/// one number; what we handed out ourselves tells them apart, and what others did counts as in flight.
pub(super) fn depth(
    topic: &ConsumerSeen,
    again: Option<&ConsumerSeen>,
    dead: u64,
    line: Option<&Line>,
) -> Depth {
    let floors = [
        (Source::Topic, topic.ack_floor.stream_seq),
        (Source::Again, again.map_or(0, |again| again.ack_floor.stream_seq)),
    ];
    let known = line.map(|line| line.counts(floors, Instant::now())).unwrap_or_default();
    let unacked = topic.num_ack_pending + again.map_or(0, |again| again.num_ack_pending);
    let delayed = known.delayed.min(unacked);
    let leased = known.leased.min(unacked - delayed);
    let over = known.over.min(unacked - delayed - leased);
    let ready = topic.num_pending + again.map_or(0, |again| again.num_pending) + over;
    Depth { ready, in_flight: unacked - delayed - over, delayed, dead }
}

impl Receiver for NatsReceiver {
    fn subscription(&self) -> &Subscription {
        &self.subscription
    }

    fn receive(&self, max: usize, wait: Duration) -> BoxFuture<'_, Result<Vec<Delivery>, QueueError>> {
        Box::pin(self.receive_within(max, wait))
    }

    fn ack<'a>(&'a self, receipts: &'a [Receipt]) -> BoxFuture<'a, Vec<Result<(), AckError>>> {
        let acking = receipts.iter().map(|receipt| self.ack_one(receipt));
        Box::pin(stream::iter(acking).buffered(SETTLING_MAX).collect())
    }

    fn nack<'a>(&'a self, receipt: &'a Receipt, delay: Duration) -> BoxFuture<'a, Result<(), AckError>> {
        Box::pin(self.nack_one(receipt, delay))
    }

    fn extend<'a>(
        &'a self,
        receipts: &'a [Receipt],
        lease: Duration,
    ) -> BoxFuture<'a, Vec<Result<Lease, AckError>>> {
        let extending = receipts.iter().map(move |receipt| self.extend_one(receipt, lease));
        Box::pin(stream::iter(extending).buffered(SETTLING_MAX).collect())
    }

    fn dead_letter<'a>(
        &'a self,
        receipt: &'a Receipt,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<(), AckError>> {
        Box::pin(self.dead_letter_one(receipt, reason))
    }

    fn depth(&self) -> BoxFuture<'_, Result<Depth, QueueError>> {
        Box::pin(self.depth_now())
    }
}
