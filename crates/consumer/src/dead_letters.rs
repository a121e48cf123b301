//! Where poison goes.

use std::sync::Arc;

use queue::{BoxFuture, Delivery, Receiver};

use crate::BoxError;

/// What is left to be done with a message that was put aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It is safe somewhere else: the consumer acks it now.
    Elsewhere,
    /// The broker has it as a dead letter: there is nothing left to settle.
    Settled,
}

/// Keeps what cannot be handled.
///
/// # What the implementer owes
/// After `Ok` the message and its reason are as durable as the subscriber's own data, since it is acked next. The same
/// message may come twice. An error means that it is not kept: the consumer tries again, with backoff, for as long as
/// the lease lives (it is extended meanwhile), and never drops the message. [`AckError::LeaseLost`](queue::AckError) as
/// that error means that there is nothing left to keep: whoever has the message now will find the same poison.
pub trait DeadLetters: Send + Sync {
    /// Keeps `delivery` because of `reason`.
    fn keep<'a>(&'a self, delivery: &'a Delivery, reason: &'a str) -> BoxFuture<'a, Result<Kept, BoxError>>;
}

/// Leaves poison to the broker: [`Receiver::dead_letter`]. The default.
#[derive(Debug, Clone)]
pub struct QueueDeadLetters {
    receiver: Arc<dyn Receiver>,
}

impl QueueDeadLetters {
    /// Dead-letters what `receiver` handed out.
    pub fn new(receiver: Arc<dyn Receiver>) -> Self {
        Self { receiver }
    }
}

impl DeadLetters for QueueDeadLetters {
    fn keep<'a>(&'a self, delivery: &'a Delivery, reason: &'a str) -> BoxFuture<'a, Result<Kept, BoxError>> {
        Box::pin(async move {
            self.receiver.dead_letter(&delivery.receipt, reason).await?;
            Ok(Kept::Settled)
        })
    }
}
