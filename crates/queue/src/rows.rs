//! What a broker of ours asks of whatever keeps its messages.

use std::fmt;
use std::future::Future;

use crate::{DeadLetterId, Message, QueueError, Subscription};

/// A message as it is kept.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) message: Message,
    /// How often it was handed out so far.
    pub(crate) receive_count: u32,
    pub(crate) published_at_ms: u64,
}

/// A message that is to be put aside.
#[derive(Debug, Clone)]
pub(crate) struct Burial {
    pub(crate) number: u64,
    pub(crate) receive_count: u32,
    pub(crate) reason: String,
}

/// A dead letter as it is kept.
#[derive(Debug, Clone)]
pub(crate) struct Buried {
    pub(crate) stored: Stored,
    pub(crate) reason: String,
}

/// How many messages there are.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Totals {
    /// Neither acked nor dead: ready, in flight or delayed.
    pub(crate) live: u64,
    pub(crate) dead: u64,
}

/// Numbered messages per subscription.
///
/// The implementer owes: every method is one atomic step; what `append`, `create`, `bury` and `redrive` answered is as
/// durable as it gets, while `count` and `remove` may be forgotten by a power cut (the message is then seen again,
/// which the contract allows); the numbers of a subscription grow in the order in which appends become visible, so that
/// a cursor never passes a number that appears later; a number is never used again.
pub(crate) trait Rows: Send + Sync + fmt::Debug + 'static {
    fn create(&self, subscription: &Subscription) -> impl Future<Output = Result<(), QueueError>> + Send;

    /// Adds each message to all of the subscriptions, or to none if one is full (false).
    fn append(
        &self,
        subscriptions: Vec<Subscription>,
        messages: Vec<Stored>,
    ) -> impl Future<Output = Result<Vec<bool>, QueueError>> + Send;

    /// The first `limit` at or after `from`.
    fn read_from(
        &self,
        subscription: &Subscription,
        from: u64,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<(u64, Stored)>, QueueError>> + Send;

    /// Those of `numbers` that are still there.
    fn read(
        &self,
        subscription: &Subscription,
        numbers: &[u64],
    ) -> impl Future<Output = Result<Vec<(u64, Stored)>, QueueError>> + Send;

    /// Notes receive counts.
    fn count(
        &self,
        subscription: &Subscription,
        counts: Vec<(u64, u32)>,
    ) -> impl Future<Output = Result<(), QueueError>> + Send;

    fn remove(
        &self,
        subscription: &Subscription,
        numbers: Vec<u64>,
    ) -> impl Future<Output = Result<(), QueueError>> + Send;

    fn bury(
        &self,
        subscription: &Subscription,
        burials: Vec<Burial>,
    ) -> impl Future<Output = Result<(), QueueError>> + Send;

    fn totals(&self, subscription: &Subscription) -> impl Future<Output = Result<Totals, QueueError>> + Send;

    /// The first `limit` dead ones with a number above `after`.
    fn dead(
        &self,
        subscription: &Subscription,
        after: Option<u64>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<(u64, Buried)>, QueueError>> + Send;

    /// Appends the first `limit` dead ones again, uncounted and dated `now_ms`.
    fn redrive(
        &self,
        subscription: &Subscription,
        limit: usize,
        now_ms: u64,
    ) -> impl Future<Output = Result<usize, QueueError>> + Send;
}

/// Most characters that are kept of a reason.
pub(crate) const REASON_CHARS_MAX: usize = 1_024;

pub(crate) fn cut_reason(reason: &str) -> String {
    reason.chars().take(REASON_CHARS_MAX).collect()
}

/// Why a message was put aside that was handed out as often as its subscription allows.
pub(crate) fn received_too_often(receives: u32) -> String {
    format!("received {receives} times and never acked")
}

pub(crate) fn dead_letter_id(number: u64) -> DeadLetterId {
    DeadLetterId::new(format!("{number:020}"))
}

pub(crate) fn dead_letter_number(id: &DeadLetterId) -> Result<u64, QueueError> {
    id.as_str().parse().map_err(|_| QueueError::Refused(format!("{:?} names no dead letter", id.as_str())))
}

pub(crate) fn unknown(subscription: &Subscription) -> QueueError {
    QueueError::Refused(format!("there is no subscription {subscription}"))
}
