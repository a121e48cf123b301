//! RabbitMQ: quorum queues, publisher confirms, leases of our own.
//!
//! # URL
//! `amqp://USER:PASSWORD@HOST:PORT,HOST:PORT/VHOST`, with TLS `amqps://…`. Without a user it is `guest`, without a port
//! 5672 (5671 with TLS), without a path the virtual host `/`. The hosts are tried in turn.
//!
//! | parameter | what | unless given |
//! |---|---|---|
//! | `prefix` | stands before every name at the broker | none |
//! | `max_messages` | how many messages a subscription holds, its dead letters and each of its delays apart | 1,000,000 |
//! | `heartbeat` | seconds of silence after which a link is suspected; it is given up after twice as many | 10 |
//! | `ca` | a file of PEM certificates that are trusted beside the system's | none |
//!
//! # What is at the broker
//! | ours | theirs |
//! |---|---|
//! | topic `t` | durable fanout exchange `t` |
//! | subscription `t/s/x` | durable quorum queue `t/s/x`, bound to it |
//! | its dead letters | quorum queue `t/s/x/dead` |
//! | its delays | quorum queues `t/s/x/delay/1s`, `…/2s`, `…/4s` and so on, made when they are first needed |
//! | the list of subscriptions | quorum queue `/subscriptions` |
//!
//! While dead letters or the list are read, an exclusive queue `t/s/x/lock` or `/lock` is there as well.
//!
//! With a prefix `p` each of these names begins with `p:`. Names are limited to 255 bytes, and `amq.` is the broker's.
//!
//! # What the contract maps to
//! - **publish**: persistent messages, many in flight, each confirmed by its own
//!   [publisher confirm](https://www.rabbitmq.com/docs/confirms#publisher-confirms), which for quorum queues means on
//!   disk at a majority. A refused confirm is [`PublishError::Full`](crate::PublishError::Full). **Here the contract is
//!   not kept to the letter**: if one of several queues of a topic is full, the others have their copy already, and the
//!   message sent again is a duplicate to them. A quorum queue also notices late that it is full, and takes a few more
//!   than `max_messages` ([limits](https://www.rabbitmq.com/docs/maxlength)).
//! - **receive**: one `basic.get`, and if there is more, or nothing yet, a consumer whose prefetch is exactly what was
//!   asked for, cancelled as soon as the first delivery is there. So nothing is ever taken that was not asked for, and
//!   receivers share.
//! - **lease**: the broker knows none: a delivery is ours while its channel lives. The receiver keeps the time, and gives
//!   back what is neither settled nor extended. If this process dies the broker notices, and hands out again at once,
//!   sooner than the lease. `x-consumer-timeout` is set above the longest lease; brokers before 3.12 ignore it and close
//!   the channel (its deliveries come again) after the server's own
//!   [`consumer_timeout`](https://www.rabbitmq.com/docs/consumers#acknowledgement-timeout), 30 minutes unless set: raise
//!   that if handlers take so long.
//! - **ack**: AMQP answers nothing to an ack. So one call with an answer follows on the same channel, which is done in
//!   order. A broker that is killed in that very instant may still hand out again.
//! - **nack**: at once without a delay; with one, a copy goes to a delay queue with its own time to live, whose
//!   [at-least-once dead-lettering](https://www.rabbitmq.com/docs/quorum-queues#activating-at-least-once-dead-lettering)
//!   leads back to the one subscription, and then the original is acked. A crash between the two duplicates. Only the
//!   head of a queue expires, so a delay behind a longer one of its queue (each spans a factor of two, the first up to one
//!   second) is late by less than that factor. Delays survive restarts of both sides.
//! - **receive count**: the broker's `x-delivery-count`, and what a header of ours carries through delays. What a reader
//!   of dead letters or a cancelled receive gave back unseen is counted as well.
//! - **dead letters**: copies with headers for the reason, confirmed before the original is acked. They are listed by
//!   taking all and giving them back, one lister at a time (an exclusive queue is the lock), in the order in which they
//!   died. That costs about a second for a few thousand, and no more than the first 100,000 are looked at.
//! - **depth**: what is ready, delayed and dead as the broker counts it (delay queues that another process has made are
//!   found within a minute); in flight is what receivers of this very
//!   [`Queue`] value hold, since AMQP does not tell of others.
//!
//! # Crashes
//! A broker that comes back has everything that it confirmed. Receipts of the time before are lost leases. Links are made
//! again by whatever call needs them, after pauses that grow to two seconds; each call meanwhile fails as unavailable
//! within its bound. A memory or disk alarm blocks publishers, also those of delays and dead letters, and not receivers
//! and acks, which have a connection of their own.
//!
//! # Versions
//! Tested with 3.10. Quorum queues that expire messages need 3.10; from 4.0 on the broker drops what came back 20 times
//! unless told otherwise: our queues say two billion.
//!
//! # Not offered
//! Exchanges of other kinds, priorities, order. A `CC` header of a foreign message is dropped when the message is
//! delayed, put aside or redriven, since it would send copies elsewhere. The names of its headers and its properties have
//! to be UTF-8: the client library ends the connection over others, until such a message is removed by hand. Whether a
//! queue is still bound to its exchange cannot be asked: `plan` cannot tell, and `subscribe` binds again. Nothing at the
//! broker is ever deleted by us.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use lapin::types::ShortString;
use tokio::time::Instant;

use crate::{
    BoxFuture, Change, Clock, DeadLetter, DeadLetterId, Depth, Publisher, Queue, QueueError, QueueUrl,
    Receiver, Settings, Subscription, SubscriptionConfig,
};

mod codec;
mod dead;
mod error;
mod leases;
mod link;
mod names;
mod publish;
mod receive;
mod receiver;
mod scan;
mod target;
mod topology;

use leases::Leases;
use link::Link;
use names::Names;
use publish::Sender;
use receiver::RabbitReceiver;
use target::Target;

/// Most messages of one queue, unless the URL says otherwise.
const MESSAGES_MAX: u32 = 1_000_000;

/// A virtual host of a RabbitMQ broker.
#[derive(Debug)]
struct RabbitQueue {
    shared: Arc<Shared>,
}

/// What receivers, publishers and commands share.
#[derive(Debug)]
struct Shared {
    target: Arc<Target>,
    names: Names,
    clock: Clock,
    messages_max: u32,
    /// For receiving and asking. Apart from the publisher's, which the broker stops reading while it is short of memory.
    consuming: Link,
    sender: Sender,
    /// What each receiver holds.
    receivers: Mutex<BTreeMap<Subscription, Vec<Weak<Leases>>>>,
    /// The delay queues of each subscription's queue.
    delays: Mutex<BTreeMap<ShortString, Delays>>,
    /// Tells the dead letters of this value from those of others.
    nonce: u64,
}

/// The delay queues of one subscription, as far as this process knows.
#[derive(Debug, Default)]
struct Delays {
    found: BTreeSet<ShortString>,
    /// When all that are possible were looked for.
    probed: Option<Instant>,
}

impl Shared {
    /// Reads or changes what is known of the delay queues of a subscription's queue.
    fn with_delays<T>(&self, queue: &ShortString, with: impl FnOnce(&mut Delays) -> T) -> T {
        let mut delays = self.delays.lock().unwrap_or_else(PoisonError::into_inner);
        with(delays.entry(queue.clone()).or_default())
    }

    /// The leases of a new receiver.
    fn leases(&self, subscription: &Subscription) -> Arc<Leases> {
        let leases = Arc::new(Leases::default());
        let mut receivers = self.receivers.lock().unwrap_or_else(PoisonError::into_inner);
        let known = receivers.entry(subscription.clone()).or_default();
        known.retain(|leases| leases.strong_count() > 0);
        known.push(Arc::downgrade(&leases));
        leases
    }

    fn in_flight(&self, subscription: &Subscription) -> u64 {
        let receivers = self.receivers.lock().unwrap_or_else(PoisonError::into_inner);
        let known = receivers.get(subscription).map(Vec::as_slice).unwrap_or_default();
        known.iter().filter_map(Weak::upgrade).map(|leases| leases.in_flight()).sum()
    }

    async fn depth(&self, subscription: &Subscription) -> Result<Depth, QueueError> {
        let counts = topology::counts(self, subscription).await?;
        Ok(Depth { in_flight: self.in_flight(subscription), ..counts })
    }
}

pub(crate) async fn connect(url: &QueueUrl, settings: &Settings) -> Result<Arc<dyn Queue>, QueueError> {
    url.only(&["max_messages", "heartbeat", "ca"])?;
    let target = Arc::new(Target::new(url)?);
    let messages_max = match url.parsed("max_messages")? {
        Some(0) => {
            return Err(QueueError::Refused(format!("max_messages of {url} is 0: a queue holds at least 1")));
        }
        Some(messages_max) => messages_max,
        None => MESSAGES_MAX,
    };
    let consuming = Link::new(Arc::clone(&target), "receiving", settings.seed);
    let publishing = Link::new(Arc::clone(&target), "publishing", settings.seed.wrapping_add(1));
    // Whatever is wrong with the URL or the credentials is told now.
    consuming.check().await?;
    let shared = Shared {
        names: Names::new(url.prefix()),
        clock: settings.clock.clone(),
        messages_max,
        consuming,
        sender: Sender::new(publishing),
        receivers: Mutex::default(),
        delays: Mutex::default(),
        nonce: fastrand::Rng::with_seed(settings.seed ^ settings.clock.now_ms()).u64(..),
        target,
    };
    Ok(Arc::new(RabbitQueue { shared: Arc::new(shared) }))
}

impl Queue for RabbitQueue {
    fn publisher(&self) -> Arc<dyn Publisher> {
        Arc::new(publish::RabbitPublisher::new(Arc::clone(&self.shared)))
    }

    fn subscribe<'a>(
        &'a self,
        subscription: &'a Subscription,
        config: SubscriptionConfig,
    ) -> BoxFuture<'a, Result<Arc<dyn Receiver>, QueueError>> {
        Box::pin(async move {
            config.check()?;
            topology::declare(&self.shared, subscription).await?;
            let names = self.shared.names.of(subscription)?;
            let leases = self.shared.leases(subscription);
            let receiver =
                RabbitReceiver::new(Arc::clone(&self.shared), subscription.clone(), names, config, leases);
            Ok(Arc::new(receiver) as Arc<dyn Receiver>)
        })
    }

    fn plan<'a>(
        &'a self,
        subscription: &'a Subscription,
        config: SubscriptionConfig,
    ) -> BoxFuture<'a, Result<Vec<Change>, QueueError>> {
        Box::pin(async move {
            config.check()?;
            topology::plan(&self.shared, subscription).await
        })
    }

    fn subscriptions(&self) -> BoxFuture<'_, Result<Vec<(Subscription, Depth)>, QueueError>> {
        Box::pin(async move {
            let mut listed = Vec::new();
            for subscription in scan::registered(&self.shared).await? {
                match self.shared.depth(&subscription).await {
                    Ok(depth) => listed.push((subscription, depth)),
                    // Its queue was deleted by hand, or a first subscribe did not get so far.
                    Err(QueueError::Refused(reason)) => {
                        tracing::debug!(%subscription, reason, "listed, and not there");
                    }
                    Err(error) => return Err(error),
                }
            }
            Ok(listed)
        })
    }

    fn dead_letters<'a>(
        &'a self,
        subscription: &'a Subscription,
        after: Option<&'a DeadLetterId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<DeadLetter>, QueueError>> {
        Box::pin(dead::list(&self.shared, subscription, after, limit))
    }

    fn redrive<'a>(
        &'a self,
        subscription: &'a Subscription,
        limit: usize,
    ) -> BoxFuture<'a, Result<usize, QueueError>> {
        Box::pin(dead::redrive(&self.shared, subscription, limit))
    }
}
