//! What a handler is told about a message beside the message.

use std::time::Duration;

use queue::Subscription;
use tokio::time::Instant;

use crate::{Cancellation, Origin};

/// The circumstances of one hand-out. Cheap to clone.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Context {
    /// Where the message came from.
    pub subscription: Subscription,
    /// How often it was handed out, this time included; at least 1, and a lower bound.
    pub receive_count: u32,
    /// When the broker accepted it, in milliseconds since the Unix epoch, if it says so.
    pub published_at_ms: Option<u64>,
    /// How long ago that was when it was handed out, if the consumer was given a clock; zero if the clocks disagree.
    pub age: Option<Duration>,
    /// Fires when the lease is lost, or on a hard stop. A handler that does not look is dropped at its next await, after
    /// a grace.
    pub cancellation: Cancellation,
    /// When a layer will give up on the handler, if one will. The lease is no deadline: it is extended.
    pub deadline: Option<Instant>,
    /// Where the message comes from, as read by [`Correlate`](crate::layers::Correlate); empty without that layer.
    pub origin: Origin,
}

impl Context {
    /// The context of a first hand-out that is never cancelled: for tests of handlers.
    pub fn new(subscription: Subscription) -> Self {
        Self {
            subscription,
            receive_count: 1,
            published_at_ms: None,
            age: None,
            cancellation: Cancellation::never(),
            deadline: None,
            origin: Origin::default(),
        }
    }

    /// Sets the receive count.
    #[must_use]
    pub fn with_receive_count(mut self, receive_count: u32) -> Self {
        self.receive_count = receive_count;
        self
    }

    /// Sets the token.
    #[must_use]
    pub fn with_cancellation(mut self, cancellation: Cancellation) -> Self {
        self.cancellation = cancellation;
        self
    }

    /// Sets the deadline, unless there is an earlier one.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(self.deadline.map_or(deadline, |earlier| earlier.min(deadline)));
        self
    }
}
