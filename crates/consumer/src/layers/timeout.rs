use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use crate::later::later;
use crate::{BatchHandler, Context, Handler, HandlerError, Layer, Request};

/// Drops a handler that takes too long; the message is tried again.
///
/// A slow handler keeps its lease, so nothing demands this. It is for handlers that may hang.
#[derive(Debug, Clone, Copy)]
pub struct Timeout {
    limit: Duration,
}

impl Timeout {
    /// At most `limit` per call. Inside of [`Retry`](super::Retry) that is per try, outside for all tries.
    pub fn new(limit: Duration) -> Self {
        Self { limit }
    }
}

impl<H> Layer<H> for Timeout {
    type Handler = TimeoutHandler<H>;

    fn layer(&self, inner: H) -> TimeoutHandler<H> {
        TimeoutHandler { inner, limit: self.limit }
    }
}

/// See [`Timeout`].
#[derive(Debug, Clone)]
pub struct TimeoutHandler<H> {
    inner: H,
    limit: Duration,
}

/// The handler took longer than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeoutError {
    /// What it was allowed.
    pub limit: Duration,
}

impl fmt::Display for TimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the handler took longer than {:?}", self.limit)
    }
}

impl std::error::Error for TimeoutError {}

impl<M: Sync, H: Handler<M>> Handler<M> for TimeoutHandler<H> {
    async fn handle(&self, message: &M, context: &Context) -> Result<(), HandlerError> {
        let deadline = later(Instant::now(), self.limit);
        let context = context.clone().with_deadline(deadline);
        match tokio::time::timeout_at(deadline, self.inner.handle(message, &context)).await {
            Ok(answer) => answer,
            Err(_) => Err(TimeoutError { limit: self.limit }.into()),
        }
    }
}

/// The whole batch has the limit.
impl<M: Clone + Send + Sync, H: BatchHandler<M>> BatchHandler<M> for TimeoutHandler<H> {
    async fn handle_batch(&self, batch: &[Request<M>]) -> Vec<Result<(), HandlerError>> {
        let deadline = later(Instant::now(), self.limit);
        let mut due = batch.to_vec();
        for item in &mut due {
            item.context = item.context.clone().with_deadline(deadline);
        }
        match tokio::time::timeout_at(deadline, self.inner.handle_batch(&due)).await {
            Ok(answers) => answers,
            Err(_) => batch.iter().map(|_| Err(TimeoutError { limit: self.limit }.into())).collect(),
        }
    }
}
