use std::sync::Arc;
use std::time::Duration;

use queue::{Clock, LEASE_DEFAULT, Receiver, WAIT_MAX};

use super::Pump;
use crate::{Backoff, DeadLetters, Handler, QueueDeadLetters};

/// Messages in memory at a time unless told otherwise.
pub const PERMITS_DEFAULT: usize = 64;
/// Time for handlers to finish after a shutdown unless told otherwise.
pub const DRAIN_DEFAULT: Duration = Duration::from_secs(20);
/// Time that a handler gets to notice that its lease is lost, before it is dropped, unless told otherwise.
pub const CANCEL_GRACE_DEFAULT: Duration = Duration::from_secs(1);
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
}

/// Configures a [`Pump`]; made by [`Pump::builder`].
pub struct PumpBuilder<H> {
    receiver: Arc<dyn Receiver>,
    handler: H,
    dead_letters: Option<Arc<dyn DeadLetters>>,
    seed: u64,
    config: Config,
}

impl<H> std::fmt::Debug for PumpBuilder<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PumpBuilder")
            .field("receiver", &self.receiver)
            .field("seed", &self.seed)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl<H: Handler + 'static> PumpBuilder<H> {
    pub(super) fn new(receiver: Arc<dyn Receiver>, handler: H) -> Self {
        let config = Config {
            permits: PERMITS_DEFAULT,
            lease: LEASE_DEFAULT,
            wait: WAIT_MAX,
            drain: DRAIN_DEFAULT,
            cancel_grace: CANCEL_GRACE_DEFAULT,
            receive_backoff: RECEIVE_BACKOFF_DEFAULT,
            nack_backoff: NACK_BACKOFF_DEFAULT,
            clock: None,
        };
        Self { receiver, handler, dead_letters: None, seed: 0, config }
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

    /// Where poison is kept; default [`QueueDeadLetters`].
    #[must_use]
    pub fn dead_letters(mut self, dead_letters: impl DeadLetters + 'static) -> Self {
        self.dead_letters = Some(Arc::new(dead_letters));
        self
    }

    /// The pump, which has not begun.
    pub fn build(self) -> Pump<H> {
        let dead_letters =
            self.dead_letters.unwrap_or_else(|| Arc::new(QueueDeadLetters::new(Arc::clone(&self.receiver))));
        Pump::new(self.receiver, self.handler, dead_letters, fastrand::Rng::with_seed(self.seed), self.config)
    }
}
