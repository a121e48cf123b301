use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use queue::{Clock, LEASE_DEFAULT, Message, Receiver, WAIT_MAX};

use super::Pump;
use super::order::Order;
use super::work::{Batches, Single, Work};
use crate::{Backoff, BatchHandler, DeadLetters, Gate, Handler, QueueDeadLetters};

/// Messages in memory at a time unless told otherwise.
pub const PERMITS_DEFAULT: usize = 64;
/// Time for handlers to finish after a shutdown unless told otherwise.
pub const DRAIN_DEFAULT: Duration = Duration::from_secs(20);
/// Time that a handler gets to notice that its lease is lost, before it is dropped, unless told otherwise.
pub const CANCEL_GRACE_DEFAULT: Duration = Duration::from_secs(1);
/// Most messages of a batch unless told otherwise: what SQS hands out at a time.
pub const BATCH_MAX_DEFAULT: usize = 10;
/// Longest time that a message waits for others to be handled with unless told otherwise.
pub const LINGER_DEFAULT: Duration = Duration::from_millis(100);
/// Pauses after receives that failed.
const RECEIVE_BACKOFF_DEFAULT: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(30));
/// Delays of messages given back, by their receive count.
const NACK_BACKOFF_DEFAULT: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_mins(5));

#[derive(Debug, Clone)]
pub(super) struct Config {
    pub(super) permits: usize,
    pub(super) lease: Duration,
    pub(super) wait: Duration,
    pub(super) drain: Duration,
    pub(super) cancel_grace: Duration,
    pub(super) receive_backoff: Backoff,
    pub(super) nack_backoff: Backoff,
    pub(super) clock: Option<Clock>,
    pub(super) gate: Gate,
    /// Most messages of one call of the handler; 1 if it takes single ones.
    pub(super) batch_max: usize,
    pub(super) linger: Duration,
}

/// Of a [`PumpBuilder`]: the handler takes one message at a time.
#[derive(Debug)]
pub struct Messages;

/// Of a [`PumpBuilder`]: the handler takes several messages at a time.
#[derive(Debug)]
pub struct MessageBatches;

/// Configures a [`Pump`]; made by [`Pump::builder`] and [`Pump::batched`].
pub struct PumpBuilder<Kind = Messages> {
    receiver: Arc<dyn Receiver>,
    work: Arc<dyn Work>,
    order: Order,
    kind: PhantomData<fn() -> Kind>,
    dead_letters: Option<Arc<dyn DeadLetters>>,
    seed: u64,
    config: Config,
}

impl<Kind> std::fmt::Debug for PumpBuilder<Kind> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PumpBuilder")
            .field("receiver", &self.receiver)
            .field("seed", &self.seed)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl PumpBuilder<Messages> {
    pub(super) fn single(receiver: Arc<dyn Receiver>, handler: impl Handler + 'static) -> Self {
        Self::new(receiver, Arc::new(Single(handler)), 1)
    }

    /// Handles the messages of one key one after another, in the order in which they were received, and those of different
    /// keys at the same time; a message for which `key` says `None` waits for no other.
    ///
    /// A message begins when the one before it said `Ok` or was put aside as poison. **When one fails**, or its lease is
    /// lost, those of its key that are held here are given back behind it, each a little later, so that none overtakes it
    /// here. (What fails for a moment only is better tried again in place, by [`Retry`](crate::layers::Retry).) All of
    /// them hold permits while they wait, and their leases are kept; so one key with more messages than there are permits
    /// does hold up the others. To be given back counts as a receive, though the handler never saw the message: give
    /// [`DeadLetterAfter`](crate::layers::DeadLetterAfter), and the broker's own limit, room for that.
    ///
    /// # What order means on a queue
    /// The order of receipt, in this one pump. A queue that reorders hands out the second message first, another process
    /// that reads the subscription has the third, and what was given back may come back after what was published since. On
    /// SQS FIFO, or a Kafka partition, receipt is in the order of publishing, and one consumer has all of a group; then it
    /// is the order of the key, until a message fails. Whoever needs more sends states that can be merged in any order.
    #[must_use]
    pub fn ordered_by(mut self, key: impl Fn(&Message) -> Option<String> + Send + Sync + 'static) -> Self {
        self.order = Order::by(Arc::new(key));
        self
    }
}

impl PumpBuilder<MessageBatches> {
    pub(super) fn batches(receiver: Arc<dyn Receiver>, handler: impl BatchHandler + 'static) -> Self {
        Self::new(receiver, Arc::new(Batches(handler)), BATCH_MAX_DEFAULT)
    }

    /// Most messages of one call, at least 1 and at most as many as there are permits, and the longest time that the first
    /// of them waits for others; default [`BATCH_MAX_DEFAULT`] and [`LINGER_DEFAULT`]. With a `linger` of zero, what was
    /// received together is handled together.
    #[must_use]
    pub fn batch(mut self, max: usize, linger: Duration) -> Self {
        self.config.batch_max = max.max(1);
        self.config.linger = linger;
        self
    }
}

impl<Kind> PumpBuilder<Kind> {
    fn new(receiver: Arc<dyn Receiver>, work: Arc<dyn Work>, batch_max: usize) -> Self {
        let config = Config {
            permits: PERMITS_DEFAULT,
            lease: LEASE_DEFAULT,
            wait: WAIT_MAX,
            drain: DRAIN_DEFAULT,
            cancel_grace: CANCEL_GRACE_DEFAULT,
            receive_backoff: RECEIVE_BACKOFF_DEFAULT,
            nack_backoff: NACK_BACKOFF_DEFAULT,
            clock: None,
            gate: Gate::new(),
            batch_max,
            linger: LINGER_DEFAULT,
        };
        Self {
            receiver,
            work,
            order: Order::default(),
            kind: PhantomData,
            dead_letters: None,
            seed: 0,
            config,
        }
    }

    /// Most messages in memory at a time, from receive until settled; default [`PERMITS_DEFAULT`], at least 1. So it is
    /// also how many handlers run at a time.
    #[must_use]
    pub fn permits(mut self, permits: usize) -> Self {
        self.config.permits = permits.max(1);
        self
    }

    /// How long each extension of a lease asks for; default [`LEASE_DEFAULT`]. The first lease is the subscription's.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.config.lease = lease;
        self
    }

    /// How long one receive waits for messages; default, and at most, [`WAIT_MAX`].
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.config.wait = wait.min(WAIT_MAX);
        self
    }

    /// How long handlers may go on after the shutdown began; default [`DRAIN_DEFAULT`].
    #[must_use]
    pub fn drain(mut self, drain: Duration) -> Self {
        self.config.drain = drain;
        self
    }

    /// How long a handler whose lease is lost may go on after its token fired; default [`CANCEL_GRACE_DEFAULT`].
    #[must_use]
    pub fn cancel_grace(mut self, grace: Duration) -> Self {
        self.config.cancel_grace = grace;
        self
    }

    /// Pauses after receives that failed in a row; default up to 100 ms, doubling, up to 30 s.
    #[must_use]
    pub fn receive_backoff(mut self, backoff: Backoff) -> Self {
        self.config.receive_backoff = backoff;
        self
    }

    /// Delays of messages whose handler failed, by how often they were received; default up to 1 s, doubling, up to
    /// 5 min.
    #[must_use]
    pub fn nack_backoff(mut self, backoff: Backoff) -> Self {
        self.config.nack_backoff = backoff;
        self
    }

    /// Decides all jitter; default 0. Give each process another, or they pause in step.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The wall clock by which handlers are told the age of a message; without it they are told none.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.config.clock = Some(clock);
        self
    }

    /// What holds it back; default: nothing does.
    #[must_use]
    pub fn gate(mut self, gate: Gate) -> Self {
        self.config.gate = gate;
        self
    }

    /// Where poison is kept; default [`QueueDeadLetters`].
    #[must_use]
    pub fn dead_letters(mut self, dead_letters: impl DeadLetters + 'static) -> Self {
        self.dead_letters = Some(Arc::new(dead_letters));
        self
    }

    /// The pump, which has not begun.
    pub fn build(mut self) -> Pump {
        self.config.batch_max = self.config.batch_max.min(self.config.permits);
        let dead_letters =
            self.dead_letters.unwrap_or_else(|| Arc::new(QueueDeadLetters::new(Arc::clone(&self.receiver))));
        let rng = fastrand::Rng::with_seed(self.seed);
        Pump::new(self.receiver, self.work, self.order, dead_letters, rng, self.config)
    }
}
