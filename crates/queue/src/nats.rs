//! NATS JetStream.
//!
//! # The URL
//! `nats://[USER:PASSWORD@|TOKEN@]HOST:PORT[,HOST:PORT…]`, and `tls://…` with a certificate that is checked.
//!
//! | parameter | what | default |
//! |---|---|---|
//! | `prefix` | stands before every name at the broker | `antiphon` |
//! | `creds` | a file with the credentials of a user (JWT and seed) | |
//! | `ca` | a PEM file with certificates to trust beside those of the system | |
//! | `domain` | the JetStream domain, if it is not that of the server | |
//! | `replicas` | 1, 3 or 5 servers that hold each stream | 1 |
//! | `max_messages` | most messages of a topic, and most dead letters of a topic | 1,000,000 |
//! | `storage` | `file`, or `memory`, which forgets all in a restart | `file` |
//!
//! What `replicas`, `max_messages` and `storage` say is also made so in streams that are there already, or refused
//! where the server does not change it; what is left out is left alone.
//!
//! # What is at the broker
//! For the topic `t` and the subscription `t/service/site` (a `.` in a name is written `=`):
//!
//! | what | name | subjects |
//! |---|---|---|
//! | stream of the topic, retention *interest* | `antiphon+t` | `antiphon.topic.t`, `antiphon.again.t.*.*` |
//! | durable pull consumer | `service+site` | `antiphon.topic.t` |
//! | the same for what was redriven | `service+site+again` | `antiphon.again.t.service.site` |
//! | stream of dead letters, retention *limits* | `antiphon+t+dead` | `antiphon.dead.t.*.*` |
//!
//! Both streams discard what is *new* when they are full. Anybody may publish to `antiphon.topic.t`: the payload is
//! delivered as it is, and the headers become attributes. (Names and values of headers have to be what the specification
//! allows, in UTF-8: the client library ends the connection over others.)
//!
//! # How the contract is kept
//! - **Publish**: each message alone, 256 at a time, `Ok` with the server's acknowledgement that it is stored. If nobody
//!   listens, then either there is no stream, so no subscription, or the stream has no leader just now: the server is
//!   asked which. A full stream (`max_messages`) is [`PublishError::Full`](crate::PublishError::Full). It holds one copy
//!   for all subscriptions, so the slowest decides.
//! - **Receive**: a request for up to 256 messages, for at most a second at a time. Nothing is fetched in advance. A
//!   receive that is dropped gives back what it got.
//! - **Lease**: the consumer's *ack wait* is the lease of whoever made it; a receiver with another lease sets it for each
//!   message. It is counted from when the request was sent, so by our clock it ends before it does at the server.
//! - **Extend**: *progress* where the lease is the consumer's, else a *nak with delay*, which sets any length. **Nack**:
//!   the same, or a plain *nak*. Both, and **ack**, are confirmed by the server, and `Ok` only if the confirmation came
//!   within the lease: the server confirms anything.
//! - **Receive count**: the server's. What was received too often the receiver puts aside.
//! - **Dead letter**: stored in the stream of dead letters, then acked. **Redrive**: stored under the subscription's own
//!   subject, then removed from the dead ones. A receiver looks there once a second.
//! - **Depth**: the server's. It counts what is in flight and what is delayed as one; the two are told apart for what
//!   this process handed out.
//!
//! # Limits
//! - [`max_payload`](https://docs.nats.io/running-a-nats-service/configuration#limits) of the server, 1 MiB unless set,
//!   headers included; 16 KiB of it are kept free for the reason of a dead letter. Attributes may be longer than the 64
//!   KiB that the server allows for headers: they then stand before the body.
//! - 65,536 messages of a subscription may be handed out or delayed at a time; the server hands out no more until some
//!   are acked.
//! - Names always fit: the longest is 135 characters, [255](https://docs.nats.io/nats-concepts/jetstream/streams) are
//!   allowed.
//!
//! # When something dies
//! - *A consumer*: its messages come again when their lease ends.
//! - *The server, killed*: what it acknowledged it had given to its operating system, and is there after a restart. Which
//!   messages were handed out and acked it writes down ten times a second, so an ack or an extension of the last tenth
//!   may be forgotten, and the message is seen again. Streams are written through to the disk
//!   [every two minutes](https://docs.nats.io/running-a-nats-service/configuration#jetstream) only: against a power cut
//!   use `replicas=3`.
//! - *One of three servers* (`replicas=3`): the others elect a leader within seconds; until then calls are answered
//!   [`QueueError::Unavailable`]. An ack is confirmed before the others have it, so that it may be forgotten, too.
//! - *The connection*: it is made again, after pauses of up to 2 s. Meanwhile every call fails within seconds. What was
//!   handed out stays ours, and can be acked over the new connection.
//! - *A stream or consumer, deleted by somebody*: [`QueueError::Broken`] names it; the next `subscribe` makes it again.
//!
//! # What is not offered
//! Push and ordered consumers; ids against duplicates; per-subject limits. Core NATS is another scheme: see [`core_nats`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    BoxFuture, Change, DeadLetter, DeadLetterId, Depth, Publisher, Queue, QueueError, QueueUrl, Receiver,
    Settings, Subscription, SubscriptionConfig,
};

pub mod core_nats;
mod dead;
mod line;
mod link;
mod names;
mod publisher;
mod pull;
mod receiver;
mod streams;
mod wire;

use line::Line;
use link::{Failure, Link};
use names::{Names, again_consumer, subscription_of, topic_consumer};
use publisher::NatsPublisher;
use receiver::{NatsReceiver, Outlet, depth};
use streams::{ConsumerSeen, Options, StreamSeen, Streams};

/// Most pages of a listing at the server: 256 entries each.
const PAGES_MAX: usize = 1_000;

#[derive(Debug)]
struct NatsQueue {
    streams: Streams,
    /// What this process handed out.
    lines: Mutex<BTreeMap<Subscription, Arc<Line>>>,
}

/// Connects to NATS. See the top of this file for the URL.
pub(crate) async fn connect(url: &QueueUrl, settings: &Settings) -> Result<Arc<dyn Queue>, QueueError> {
    url.only(&[link::PARAMETERS, streams::PARAMETERS].concat())?;
    if url.hosts().is_empty() || !url.path().is_empty() {
        return Err(QueueError::Refused(format!(
            "{url}: it is {}://HOST:PORT,HOST:PORT?name=value, without a path",
            url.scheme()
        )));
    }
    let (options, names) = (Options::of(url)?, Names::new(url.prefix()));
    let link = Link::connect(url, settings.seed).await?;
    let streams = Streams { link, names, options };
    Ok(Arc::new(NatsQueue { streams, lines: Mutex::default() }))
}

/// One page of a listing.
#[derive(Deserialize)]
struct Page<T> {
    #[serde(alias = "streams", alias = "consumers")]
    entries: Option<Vec<T>>,
    #[serde(default)]
    total: usize,
    /// Servers that should know an entry and did not answer.
    #[serde(default)]
    missing: Option<Vec<String>>,
}

impl NatsQueue {
    fn line(&self, subscription: &Subscription) -> Option<Arc<Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).get(subscription).cloned()
    }

    async fn subscribe_to(
        &self,
        subscription: &Subscription,
        config: SubscriptionConfig,
    ) -> Result<Arc<dyn Receiver>, QueueError> {
        config.check()?;
        self.streams.apply(subscription, config).await?;
        let stream = self.streams.names.topic_stream(subscription.topic());
        let outlet = async |consumer: String| {
            let Some(seen) = self.streams.consumer(&stream, &consumer).await? else {
                let told = format!("consumer {consumer:?} of stream {stream:?} was made and is not there");
                return Err(self.streams.link.unavailable(told));
            };
            Ok(Outlet { consumer, ack_wait: seen.config.ack_wait() })
        };
        let topic = outlet(topic_consumer(subscription)).await?;
        let again = outlet(again_consumer(subscription)).await?;
        let line = Arc::clone(
            self.lines
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(subscription.clone())
                .or_default(),
        );
        let streams = self.streams.clone();
        Ok(Arc::new(NatsReceiver::new(streams, subscription, config, line, topic, again)))
    }

    async fn list<T: DeserializeOwned>(&self, operation: &str, body: Value) -> Result<Vec<T>, QueueError> {
        let mut found: Vec<T> = Vec::new();
        for _ in 0..PAGES_MAX {
            let mut body = body.clone();
            if let Some(body) = body.as_object_mut() {
                body.insert("offset".to_owned(), found.len().into());
            }
            let page: Page<T> = match self.streams.link.ask(operation, &body).await {
                Ok(page) => page,
                // Deleted since it was listed.
                Err(Failure::Told(error)) if error.err_code == link::ApiError::NO_STREAM => return Ok(found),
                Err(failure) => return Err(self.streams.link.failed(failure, operation)),
            };
            if let Some(missing) = page.missing.filter(|missing| !missing.is_empty()) {
                let told = format!("{operation}: no answer for {}", missing.join(", "));
                return Err(self.streams.link.unavailable(told));
            }
            let entries = page.entries.unwrap_or_default();
            let is_last = entries.is_empty() || found.len() + entries.len() >= page.total;
            found.extend(entries);
            if is_last {
                break;
            }
        }
        Ok(found)
    }

    async fn subscriptions_now(&self) -> Result<Vec<(Subscription, Depth)>, QueueError> {
        let names = &self.streams.names;
        let streams: Vec<StreamSeen> =
            self.list("STREAM.LIST", json!({ "subject": names.topic_subjects() })).await?;
        let mut listed = BTreeMap::new();
        for stream in streams {
            let name = stream.config.get("name").and_then(Value::as_str).unwrap_or_default();
            let Some(topic) = names.topic_of(name) else { continue };
            let told: Vec<ConsumerSeen> = self.list(&format!("CONSUMER.LIST.{name}"), json!({})).await?;
            let mut consumers = Vec::with_capacity(told.len());
            for consumer in told {
                consumers.push(self.streams.without_ghosts(name, consumer).await?);
            }
            for consumer in &consumers {
                let Some(subscription) = subscription_of(&topic, &consumer.name) else { continue };
                let again = again_consumer(&subscription);
                let again = consumers.iter().find(|other| other.name == again);
                let dead = self.streams.dead_count(&subscription).await?;
                let line = self.line(&subscription);
                listed.insert(subscription, depth(consumer, again, dead, line.as_deref()));
            }
        }
        Ok(listed.into_iter().collect())
    }
}

impl Queue for NatsQueue {
    fn publisher(&self) -> Arc<dyn Publisher> {
        Arc::new(NatsPublisher(self.streams.clone()))
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
        subscription: &'a Subscription,
        config: SubscriptionConfig,
    ) -> BoxFuture<'a, Result<Vec<Change>, QueueError>> {
        Box::pin(async move {
            config.check()?;
            self.streams.plan(subscription, config).await
        })
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
        Box::pin(self.streams.dead_letters(subscription, after, limit))
    }

    fn redrive<'a>(
        &'a self,
        subscription: &'a Subscription,
        limit: usize,
    ) -> BoxFuture<'a, Result<usize, QueueError>> {
        Box::pin(self.streams.redrive(subscription, limit))
    }
}
