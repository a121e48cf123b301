//! Functions that handle several messages at once.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use futures_util::future::join_all;
use queue::Message;

use crate::layers::catching;
use crate::{Handler, HandlerError, Request};

/// Handles several messages at once, and answers for each: for what is cheaper together, such as one transaction, or one
/// request to a service that takes lists.
///
/// # What the implementer owes
/// - All that a [`Handler`] owes, for each message by itself: idempotence, `Ok` only for what is done for good, and that
///   it may be dropped at any await.
/// - **One answer per message, in the order of the batch.** If there are fewer, those at the end that are unanswered are
///   tried again; if there are more, nobody knows which belongs to which, and all are tried again. Both are logged as
///   errors.
///
/// # What it may rely on
/// - Between one and as many messages as the pump was built with, in the order in which they were received; the leases of
///   all are kept until their acks are confirmed. Each is settled by its own answer.
/// - A message of the batch whose lease is lost all the same fires the token of *its* context, and its answer no longer
///   counts. The handler is dropped only when all of its messages are lost.
/// - A panic is a failure of every message of the batch.
pub trait BatchHandler<M = Message>: Send + Sync {
    /// Handles a batch.
    fn handle_batch(
        &self,
        batch: &[Request<M>],
    ) -> impl Future<Output = Vec<Result<(), HandlerError>>> + Send;
}

impl<M: Sync, B: BatchHandler<M> + ?Sized> BatchHandler<M> for Arc<B> {
    fn handle_batch(
        &self,
        batch: &[Request<M>],
    ) -> impl Future<Output = Vec<Result<(), HandlerError>>> + Send {
        (**self).handle_batch(batch)
    }
}

/// A batch handler made of an async function; see [`batch_fn`].
pub struct BatchFn<F, M> {
    function: F,
    message: PhantomData<fn(&M)>,
}

impl<F, M> fmt::Debug for BatchFn<F, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BatchFn")
    }
}

impl<F: Clone, M> Clone for BatchFn<F, M> {
    fn clone(&self) -> Self {
        Self { function: self.function.clone(), message: PhantomData }
    }
}

/// A batch handler made of an async function of the batch, owned.
///
/// ```
/// # use antiphon_consumer::{Request, batch_fn};
/// # use queue::Message;
/// # struct Store; impl Store { async fn write(&self, _: &[Request<Message>]) -> Result<(), std::io::Error> { Ok(()) } }
/// # static STORE: Store = Store;
/// let handler = batch_fn(|batch: Vec<Request<Message>>| async move {
///     // One transaction for all; if it fails, all come again.
///     match STORE.write(&batch).await {
///         Ok(()) => batch.iter().map(|_| Ok(())).collect(),
///         Err(error) => antiphon_consumer::fail_all(&batch, &error.to_string()),
///     }
/// });
/// # fn is_handler(_: impl antiphon_consumer::BatchHandler) {}
/// # is_handler(handler);
/// ```
pub fn batch_fn<M, F, Fut>(function: F) -> BatchFn<F, M>
where
    M: Clone + Send + Sync,
    F: Fn(Vec<Request<M>>) -> Fut + Send + Sync,
    Fut: Future<Output = Vec<Result<(), HandlerError>>> + Send,
{
    BatchFn { function, message: PhantomData }
}

impl<M, F, Fut> BatchHandler<M> for BatchFn<F, M>
where
    M: Clone + Send + Sync,
    F: Fn(Vec<Request<M>>) -> Fut + Send + Sync,
    Fut: Future<Output = Vec<Result<(), HandlerError>>> + Send,
{
    fn handle_batch(
        &self,
        batch: &[Request<M>],
    ) -> impl Future<Output = Vec<Result<(), HandlerError>>> + Send {
        (self.function)(batch.to_vec())
    }
}

/// Answers that the whole batch is to be tried again, because of `why`.
pub fn fail_all<M>(batch: &[Request<M>], why: &str) -> Vec<Result<(), HandlerError>> {
    batch.iter().map(|_| Err(HandlerError::retry(why))).collect()
}

/// A [`Handler`] for single messages as a batch handler: it handles all of a batch at the same time. For a
/// [pump of batches](crate::Pump::batched) of which only some steps are cheaper together.
#[derive(Debug, Clone)]
pub struct Each<H>(pub H);

impl<M: Sync + Send, H: Handler<M>> BatchHandler<M> for Each<H> {
    async fn handle_batch(&self, batch: &[Request<M>]) -> Vec<Result<(), HandlerError>> {
        let each = batch.iter().map(|item| {
            // Caught here, so that it is the failure of its own message and not of the whole batch.
            catching(async { self.0.handle(&item.message, &item.context).await })
        });
        join_all(each).await
    }
}

/// A batch handler's answers are not as many as its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrongAnswers {
    /// How many answers there were.
    pub answers: usize,
    /// How many messages.
    pub messages: usize,
}

impl fmt::Display for WrongAnswers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { answers, messages } = self;
        write!(
            f,
            "the batch handler gave {answers} answers for {messages} messages; it owes one for each, in order"
        )
    }
}

impl std::error::Error for WrongAnswers {}

/// One answer for each of `messages`, whatever came.
pub(crate) fn matched(
    mut answers: Vec<Result<(), HandlerError>>,
    messages: usize,
) -> Vec<Result<(), HandlerError>> {
    if answers.len() != messages {
        let wrong = WrongAnswers { answers: answers.len(), messages };
        tracing::error!(error = %wrong, "those without an answer of their own are tried again");
        if answers.len() > messages {
            answers.clear();
        }
        answers.resize_with(messages, || Err(HandlerError::retry(wrong)));
    }
    answers
}
