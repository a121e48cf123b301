use tracing::Instrument;

use crate::{BatchHandler, Context, Handler, HandlerError, Layer, Request};

/// Handles each message inside a span `handle` with its subscription and receive count, and logs what failed: a retry as
/// a warning, poison as an error. A batch is one span `handle_batch`, with the number of its messages. Success is logged at
/// debug level, or a busy consumer would drown the rest.
#[derive(Debug, Clone, Copy, Default)]
pub struct Trace;

impl<H> Layer<H> for Trace {
    type Handler = TraceHandler<H>;

    fn layer(&self, inner: H) -> TraceHandler<H> {
        TraceHandler { inner }
    }
}

/// See [`Trace`].
#[derive(Debug, Clone)]
pub struct TraceHandler<H> {
    inner: H,
}

impl<M: Sync, H: Handler<M>> Handler<M> for TraceHandler<H> {
    async fn handle(&self, message: &M, context: &Context) -> Result<(), HandlerError> {
        let Context { subscription, receive_count, .. } = context;
        let span = tracing::info_span!("handle", %subscription, receive_count);
        async {
            let answer = self.inner.handle(message, context).await;
            log(&answer);
            answer
        }
        .instrument(span)
        .await
    }
}

impl<M: Sync, H: BatchHandler<M>> BatchHandler<M> for TraceHandler<H> {
    async fn handle_batch(&self, batch: &[Request<M>]) -> Vec<Result<(), HandlerError>> {
        let Some(Request { context: Context { subscription, .. }, .. }) = batch.first() else {
            return Vec::new();
        };
        let span = tracing::info_span!("handle_batch", %subscription, messages = batch.len());
        async {
            let answers = self.inner.handle_batch(batch).await;
            answers.iter().for_each(log);
            answers
        }
        .instrument(span)
        .await
    }
}

fn log(answer: &Result<(), HandlerError>) {
    match answer {
        Ok(()) => tracing::debug!("handled"),
        Err(error @ HandlerError::Retry { .. }) => tracing::warn!(%error, "not handled"),
        Err(error @ HandlerError::Poison { .. }) => tracing::error!(%error, "not handled"),
    }
}
