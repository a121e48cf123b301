//! Core NATS: **best effort, anti-entropy required**.
//!
//! The server forwards what is published to whoever listens at that instant, and keeps nothing. So this backend breaks
//! what [`Publisher`], [`Receiver`] and [`Queue`] owe, on purpose: a message that nobody
//! holds is gone, and nobody is told. It is for those who find out by themselves what they lack, as the services do by
//! anti-entropy: then it is the cheapest queue there is.
//!
//! # The URL
//! `nats-core://[USER:PASSWORD@|TOKEN@]HOST:PORT[,HOST:PORT…]`, and `nats-core+tls://…` with a certificate that is
//! checked. Its parameters are `prefix`, `creds` and `ca`, as for [JetStream](super). The server needs no `-js`.
//!
//! # What is at the broker
//! Nothing. A topic `t` is the subject `antiphon.core.t`, a subscription `t/service/site` its queue group `service+site`
//! (a `.` in a name is written `=`). Under the same prefix JetStream's streams take none of it.
//!
//! # What is kept of the contract, and where
//! A message that arrived is kept by the process that it arrived in, in memory, with leases, delays, receive counts and
//! dead letters as any broker of ours has them. Ack, nack and extend never leave the process.
//!
//! | of the contract | here |
//! |---|---|
//! | `Ok` to a publish: it is as safe as the broker makes anything | the server has read it, and perhaps nobody hears it |
//! | a subscription lives from its first `subscribe` on | only while somebody has a receiver of it, and is connected |
//! | each subscription gets every message | those that live, and have room |
//! | receivers of a subscription share | yes, over processes too; what one has taken in, it alone hands out |
//! | what is not acked comes again | in the same process; with its last receiver all that it held is gone |
//! | a full subscription is told, nothing is dropped | what comes is dropped, counted and logged; the publisher never waits |
//! | receive counts, dead letters, redrive | of this process, gone with it |
//! | the time of publishing | when it arrived here |
//! | [`Queue::plan`] | always empty: there is nothing to make |
//! | [`Queue::subscriptions`] | those that live in this process: the server knows of no others |
//!
//! # Bounds
//! A subscription holds in a process up to 65,536 messages or 32 MiB, dead letters included, and up to 4,096 dead
//! letters: then the oldest of those is forgotten, with a warning that gives its reason. What comes to a full one is the
//! newest, and it is dropped: `antiphon_queue_dropped_total` counts it by reason, and by subscription but for what the
//! client drops before we see it.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use async_nats::Subscriber;
use futures_util::StreamExt;
use tokio::sync::Mutex;
use tokio::task::AbortHandle;
use tokio::time::{Duration, Instant, sleep};

use super::link::{self, Link, NoAnswer, REQUEST_WAIT};
use super::names::{Names, topic_consumer};
use super::wire::decode;
use crate::memory::Bounds;
use crate::{
    BoxFuture, Change, Clock, DeadLetter, DeadLetterId, Depth, MemoryQueue, PublishError, Publisher, Queue,
    QueueError, QueueUrl, Receiver, Settings, Subscription, SubscriptionConfig,
};

mod publisher;
mod receiver;

use publisher::CorePublisher;
use receiver::CoreReceiver;

/// Most messages that a subscription holds in this process, dead letters included.
const MESSAGES_MAX: u64 = 65_536;
/// Most bytes of them.
const BYTES_MAX: usize = 32 << 20;
/// Most dead letters among them.
const DEAD_MAX: usize = 4_096;
/// Most messages of a subscription that the client took in and that are not yet among those.
const WAITING_MAX: usize = 8_192;
/// How often at most a full subscription is logged.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// What the server forbids it says beside its answers: so long it may take to be read.
const FORBIDDEN_WAIT: Duration = Duration::from_millis(50);

/// A connection, and the names of what passes over it. Clones are the same.
#[derive(Debug, Clone)]
struct Core {
    link: Link,
    names: Names,
}

/// A subscription as far as this process has it. It lives as long as its receivers: if this process went on listening
/// when nobody receives, it would take messages from the others of its group.
#[derive(Debug)]
struct Line {
    core: Core,
    subscription: Subscription,
    /// What arrived: a broker in memory for this subscription alone.
    here: MemoryQueue,
    listening: AbortHandle,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

#[derive(Debug)]
struct CoreQueue {
    core: Core,
    clock: Clock,
    /// Held while one is made, so that none is made twice.
    lines: Mutex<BTreeMap<Subscription, Weak<Line>>>,
}

/// Connects to NATS. See the top of this file for the URL.
pub(crate) async fn connect(url: &QueueUrl, settings: &Settings) -> Result<Arc<dyn Queue>, QueueError> {
    url.only(&link::CONNECTING)?;
    if url.hosts().is_empty() || !url.path().is_empty() {
        return Err(QueueError::Refused(format!(
            "{url}: it is {}://HOST:PORT,HOST:PORT?name=value, without a path",
            url.scheme()
        )));
    }
    let link = Link::open(url, settings.seed, WAITING_MAX).await?;
    let core = Core { link, names: Names::new(url.prefix()) };
    Ok(Arc::new(CoreQueue { core, clock: settings.clock.clone(), lines: Mutex::default() }))
}

impl Core {
    /// Returns when the server has read everything that was sent before over this connection.
    async fn flushed(&self) -> Result<(), QueueError> {
        match self.link.request(self.names.flush_subject(), None, bytes::Bytes::new(), REQUEST_WAIT).await {
            // That nobody listens there is the answer that we want, and comes from the server itself.
            Ok(_) | Err(NoAnswer::Nobody) => Ok(()),
            Err(NoAnswer::Other(error)) => Err(error),
        }
    }
}

impl CoreQueue {
    async fn line(&self, subscription: &Subscription) -> Result<Arc<Line>, QueueError> {
        let lines = self.lines.lock().await;
        lines.get(subscription).and_then(Weak::upgrade).ok_or_else(|| crate::rows::unknown(subscription))
    }

    async fn subscribe_to(
        &self,
        subscription: &Subscription,
        config: SubscriptionConfig,
    ) -> Result<Arc<dyn Receiver>, QueueError> {
        config.check()?;
        let mut lines = self.lines.lock().await;
        lines.retain(|_, line| line.strong_count() > 0);
        let known = lines.get(subscription).and_then(Weak::upgrade);
        let line = if let Some(line) = known {
            line
        } else {
            let line = Arc::new(self.listen(subscription).await?);
            lines.insert(subscription.clone(), Arc::downgrade(&line));
            line
        };
        drop(lines);
        let inner = line.here.subscribe(subscription, config).await?;
        Ok(Arc::new(CoreReceiver { inner, line }))
    }

    /// Begins to listen; returns when the server knows of it.
    async fn listen(&self, subscription: &Subscription) -> Result<Line, QueueError> {
        let bounds = Bounds { messages: MESSAGES_MAX, bytes: BYTES_MAX, dead: DEAD_MAX };
        let here = MemoryQueue::bounded(self.clock.clone(), bounds);
        // From now on it keeps what arrives, whether somebody receives or not.
        here.subscribe(subscription, SubscriptionConfig::default()).await?;
        let link = &self.core.link;
        link.connected().await?;
        let since = Instant::now();
        let subject = self.core.names.core_subject(subscription.topic());
        let what = format!("listening to {subject}");
        let listening = link.client().queue_subscribe(subject, topic_consumer(subscription));
        let told = tokio::time::timeout(REQUEST_WAIT, listening).await;
        let subscriber = told
            .map_err(|_| link.unavailable(format_args!("{what}: no answer")))?
            .map_err(|error| link.unavailable(format_args!("{what}: {error}")))?;
        self.core.flushed().await?;
        sleep(FORBIDDEN_WAIT).await;
        link.allowed(since, &what)?;
        let arriving = arrive(subscriber, here.publisher(), subscription.clone());
        let listening = tokio::spawn(arriving).abort_handle();
        Ok(Line { core: self.core.clone(), subscription: subscription.clone(), here, listening })
    }

    async fn subscriptions_now(&self) -> Result<Vec<(Subscription, Depth)>, QueueError> {
        // A connection that is not there hears nothing: then these numbers would only look well.
        self.core.link.connected().await?;
        let lines: Vec<_> = self.lines.lock().await.values().filter_map(Weak::upgrade).collect();
        let mut listed = Vec::with_capacity(lines.len());
        for line in lines {
            listed.extend(line.here.subscriptions().await?);
        }
        Ok(listed)
    }
}

/// Takes in what arrives. Ends with the connection's end, or when it is aborted.
async fn arrive(mut subscriber: Subscriber, here: Arc<dyn Publisher>, subscription: Subscription) {
    let (mut dropped, mut told): (u64, Option<Instant>) = (0, None);
    while let Some(arrived) = subscriber.next().await {
        let message = decode(arrived.headers.as_ref(), arrived.payload);
        for answer in here.publish(subscription.topic(), vec![message]).await {
            let Err(error) = answer else { continue };
            let reason = if matches!(error, PublishError::Full) { "full" } else { "refused" };
            let labels = [("subscription", subscription.to_string()), ("reason", reason.to_owned())];
            metrics::counter!(link::DROPPED, &labels).increment(1);
            dropped += 1;
            if told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
                tracing::warn!(%subscription, %error, dropped, "what arrives is dropped; anti-entropy has to find it");
                told = Some(Instant::now());
            }
        }
    }
    tracing::debug!(%subscription, "the client is gone");
}

impl Queue for CoreQueue {
    fn publisher(&self) -> Arc<dyn Publisher> {
        Arc::new(CorePublisher(self.core.clone()))
    }

    fn subscribe<'a>(
        &'a self,
        subscription: &'a Subscription,
        config: SubscriptionConfig,
    ) -> BoxFuture<'a, Result<Arc<dyn Receiver>, QueueError>> {
        Box::pin(self.subscribe_to(subscription, config))
    }

    fn plan<'a>(
        &'a self,
        _: &'a Subscription,
        config: SubscriptionConfig,
    ) -> BoxFuture<'a, Result<Vec<Change>, QueueError>> {
        Box::pin(async move { config.check().map(|()| Vec::new()) })
    }

    fn subscriptions(&self) -> BoxFuture<'_, Result<Vec<(Subscription, Depth)>, QueueError>> {
        Box::pin(self.subscriptions_now())
    }

    fn dead_letters<'a>(
        &'a self,
        subscription: &'a Subscription,
        after: Option<&'a DeadLetterId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<DeadLetter>, QueueError>> {
        Box::pin(async move {
            let line = self.line(subscription).await?;
            line.here.dead_letters(subscription, after, limit).await
        })
    }

    fn redrive<'a>(
        &'a self,
        subscription: &'a Subscription,
        limit: usize,
    ) -> BoxFuture<'a, Result<usize, QueueError>> {
        Box::pin(async move { self.line(subscription).await?.here.redrive(subscription, limit).await })
    }
}
