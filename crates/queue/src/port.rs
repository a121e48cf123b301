//! The contract between a broker and those who use it.
//!
//! These traits are kept as `dyn`, and their methods return [`BoxFuture`]s by hand rather than through a macro: what
//! rustdoc shows is then what an implementer writes, and there is one build dependency less.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::{
    AckError, Change, Delivery, Lease, Message, PublishError, QueueError, Receipt, Subscription,
    SubscriptionConfig, Topic,
};

/// A boxed future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Longest wait of one [`Receiver::receive`]: what SQS allows. Longer waits are cut to it.
pub const WAIT_MAX: Duration = Duration::from_secs(20);

/// Most dead letters of one page; larger limits are cut to it.
pub const DEAD_LETTERS_PAGE_MAX: usize = 1_000;

/// Puts messages into a topic.
///
/// # What the implementer owes
/// - A message that was answered `Ok` is as safe as the broker makes anything: on its disk, on its quorum. Every
///   subscription that existed when the call began has its copy. An answer is never given on the strength of a buffer
///   in this process.
/// - One answer per message, in the order of the batch, also when the whole call failed.
/// - [`PublishError::Full`] is all or nothing per message: then no subscription got it.
/// - A message that [`Message::check_size`] refuses is refused without touching the rest of the batch.
/// - Dropping the future at any point is allowed. What was accepted by then is delivered, the rest is not.
///
/// # What the caller owes
/// - After an error that [is retryable](PublishError::is_retryable) the message is sent again, or its loss is made good
///   in another way (an outbox, anti-entropy). The publisher keeps nothing to try again by itself.
/// - Nothing may depend on order, or on a message arriving once only.
///
/// A topic without subscriptions accepts everything and keeps nothing: subscribe first.
pub trait Publisher: Send + Sync + fmt::Debug {
    /// Publishes `batch`, and returns when the broker has it.
    fn publish<'a>(
        &'a self,
        topic: &'a Topic,
        batch: Vec<Message>,
    ) -> BoxFuture<'a, Vec<Result<(), PublishError>>>;
}

/// Takes messages out of a subscription.
///
/// # The life of a delivery
/// `receive` hands it out with a [`Lease`]. Then exactly one of these settles it: `ack` (done, never to be seen again),
/// `nack` (again, after a delay), `dead_letter` (kept aside, with a reason), or the end of its lease (again, to
/// anybody). `extend` moves the end of the lease.
///
/// # What the implementer owes
/// - A message that was not acked or dead-lettered comes again, for as long as the broker keeps anything.
/// - **No `Ok` after a lost lease.** `ack`, `nack`, `extend` and `dead_letter` answer [`AckError::LeaseLost`] once the
///   message may have gone to somebody else, and for a receipt that was settled before. A broker that cannot know this
///   (it answers "deleted" to anything) compares with the lease it gave out.
/// - One answer per receipt, in order, also when the whole call failed.
/// - A new [`Receipt`] for every hand-out.
/// - Dropping a future at any point loses nothing: what `receive` had already taken comes again, at the latest when its
///   lease would have ended.
/// - `receive` returns early as soon as it has one delivery. It may return fewer than `max`, or none, at any time; a
///   return without deliveries is no statement about emptiness.
///
/// # What the caller owes
/// - To settle each delivery, or to extend its lease in time. Whoever forgets does the work twice, beside somebody else.
/// - To ack only what is durably done: after the ack nobody else will do it.
/// - To expect duplicates and any order, always, also from a broker that usually does better.
pub trait Receiver: Send + Sync + fmt::Debug {
    /// Whose messages these are.
    fn subscription(&self) -> &Subscription;

    /// Takes up to `max` deliveries, waiting up to `wait` (cut to [`WAIT_MAX`]) for the first. With `max` 0 it returns
    /// nothing at once.
    fn receive(&self, max: usize, wait: Duration) -> BoxFuture<'_, Result<Vec<Delivery>, QueueError>>;

    /// Done: none of these is to be seen again.
    fn ack<'a>(&'a self, receipts: &'a [Receipt]) -> BoxFuture<'a, Vec<Result<(), AckError>>>;

    /// Not done: hand it out again, not before `delay` (cut to [`LEASE_MAX`](crate::LEASE_MAX)) has passed. A broker
    /// that is restarted may forget the delay.
    fn nack<'a>(&'a self, receipt: &'a Receipt, delay: Duration) -> BoxFuture<'a, Result<(), AckError>>;

    /// Keeps each for `lease` from now (cut to [`LEASE_MAX`](crate::LEASE_MAX)), and returns the new leases.
    fn extend<'a>(
        &'a self,
        receipts: &'a [Receipt],
        lease: Duration,
    ) -> BoxFuture<'a, Vec<Result<Lease, AckError>>>;

    /// Never to be handed out again, but kept with `reason`. Returns when it is as safe as a published message.
    fn dead_letter<'a>(
        &'a self,
        receipt: &'a Receipt,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<(), AckError>>;

    /// How much there is. Brokers count approximately; the numbers of one answer need not belong to one instant.
    fn depth(&self) -> BoxFuture<'_, Result<Depth, QueueError>>;
}

/// How many messages a subscription holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Waiting to be received.
    pub ready: u64,
    /// Handed out, and neither settled nor expired.
    pub in_flight: u64,
    /// Given back, and waiting for their delay to pass.
    pub delayed: u64,
    /// Kept as dead letters.
    pub dead: u64,
}

/// Names a dead letter within its subscription, and a place in their listing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeadLetterId(String);

impl DeadLetterId {
    /// Wraps what a backend needs in order to find the letter again.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The wrapped text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A message that was put aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its name; also the cursor of the page after it.
    pub id: DeadLetterId,
    /// What was published.
    pub message: Message,
    /// Why it was put aside.
    pub reason: String,
    /// How often it had been handed out.
    pub receive_count: u32,
    /// When the broker accepted it, in milliseconds since the Unix epoch, if it said so.
    pub published_at_ms: Option<u64>,
}

/// A broker.
///
/// # What the implementer owes
/// - A subscription lives from its first `subscribe` on, whoever comes and goes: messages that were published while
///   nobody received are there for the next receiver, also of another process.
/// - Receivers of one subscription share its messages; subscriptions of one topic each get every message.
/// - A bound on what one subscription holds, reported as [`PublishError::Full`] rather than by dropping.
///
/// # What the caller owes
/// To subscribe before what must not be missed is published.
pub trait Queue: Send + Sync + fmt::Debug {
    /// A publisher to any topic.
    fn publisher(&self) -> Arc<dyn Publisher>;

    /// A receiver of `subscription`. What the broker needs for it is made if it is missing, and checked if it is there.
    /// Returns when the subscription is durable.
    ///
    /// Errors: [`QueueError::Refused`] for a lease of zero or longer than [`LEASE_MAX`](crate::LEASE_MAX), and if
    /// what is there does not fit and may not be changed, as [`plan`](Self::plan) tells.
    fn subscribe<'a>(
        &'a self,
        subscription: &'a Subscription,
        config: SubscriptionConfig,
    ) -> BoxFuture<'a, Result<Arc<dyn Receiver>, QueueError>>;

    /// What subscribing with `config` would make or change at the broker, and what stands in its way; empty if all is
    /// there as it is needed. Changes nothing.
    fn plan<'a>(
        &'a self,
        subscription: &'a Subscription,
        config: SubscriptionConfig,
    ) -> BoxFuture<'a, Result<Vec<Change>, QueueError>>;

    /// All subscriptions and how much each holds, in the order of their names.
    fn subscriptions(&self) -> BoxFuture<'_, Result<Vec<(Subscription, Depth)>, QueueError>>;

    /// Up to `limit` (cut to [`DEAD_LETTERS_PAGE_MAX`]) dead letters, oldest first, those after `after`.
    fn dead_letters<'a>(
        &'a self,
        subscription: &'a Subscription,
        after: Option<&'a DeadLetterId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<DeadLetter>, QueueError>>;

    /// Makes up to `limit` (cut to [`DEAD_LETTERS_PAGE_MAX`]) of the oldest dead letters ready again, as if they had
    /// just been published, and returns how many those were. What does not fit into the subscription stays dead.
    fn redrive<'a>(
        &'a self,
        subscription: &'a Subscription,
        limit: usize,
    ) -> BoxFuture<'a, Result<usize, QueueError>>;
}

impl<Q: Queue + ?Sized> Queue for Arc<Q> {
    fn publisher(&self) -> Arc<dyn Publisher> {
        (**self).publisher()
    }

    fn subscribe<'a>(
        &'a self,
        subscription: &'a Subscription,
        config: SubscriptionConfig,
    ) -> BoxFuture<'a, Result<Arc<dyn Receiver>, QueueError>> {
        (**self).subscribe(subscription, config)
    }

    fn plan<'a>(
        &'a self,
        subscription: &'a Subscription,
        config: SubscriptionConfig,
    ) -> BoxFuture<'a, Result<Vec<Change>, QueueError>> {
        (**self).plan(subscription, config)
    }

    fn subscriptions(&self) -> BoxFuture<'_, Result<Vec<(Subscription, Depth)>, QueueError>> {
        (**self).subscriptions()
    }

    fn dead_letters<'a>(
        &'a self,
        subscription: &'a Subscription,
        after: Option<&'a DeadLetterId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<DeadLetter>, QueueError>> {
        (**self).dead_letters(subscription, after, limit)
    }

    fn redrive<'a>(
        &'a self,
        subscription: &'a Subscription,
        limit: usize,
    ) -> BoxFuture<'a, Result<usize, QueueError>> {
        (**self).redrive(subscription, limit)
    }
}
