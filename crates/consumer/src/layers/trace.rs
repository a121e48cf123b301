use tracing::Instrument;

use crate::{Context, Handler, HandlerError, Layer};

/// Handles each message inside a span `handle` with its subscription and receive count, and logs what failed: a retry as
/// a warning, poison as an error. Success is logged at debug level, or a busy consumer would drown the rest.
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
            match &answer {
                Ok(()) => tracing::debug!("handled"),
                Err(error @ HandlerError::Retry { .. }) => tracing::warn!(%error, "not handled"),
                Err(error @ HandlerError::Poison { .. }) => tracing::error!(%error, "not handled"),
            }
            answer
        }
        .instrument(span)
        .await
    }
}
