use queue::Message;
use tracing::Instrument;

use crate::trace_context::Origin;
use crate::{BatchHandler, Context, Handler, HandlerError, Layer, Request};

/// Reads where a message comes from ([W3C trace context](https://www.w3.org/TR/trace-context/) and a correlation id, from
/// attributes or the extensions of a `CloudEvent`), tells the handler in [`Context::origin`], and handles it inside a
/// span `message` with the fields `trace_id`, `parent_id` and `correlation_id`, each if there is one.
///
/// Put it outermost (but inside of [`SnsUnwrap`](super::SnsUnwrap)), so that what other layers log has the fields too. What is invalid is ignored, as the specification
/// demands: a handler never fails for it. What the handler sends on gets the origin by [`Origin::put_on`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Correlate;

impl<H> Layer<H> for Correlate {
    type Handler = CorrelateHandler<H>;

    fn layer(&self, inner: H) -> CorrelateHandler<H> {
        CorrelateHandler { inner }
    }
}

/// See [`Correlate`].
#[derive(Debug, Clone)]
pub struct CorrelateHandler<H> {
    inner: H,
}

impl<H: Handler> Handler for CorrelateHandler<H> {
    async fn handle(&self, message: &Message, context: &Context) -> Result<(), HandlerError> {
        let origin = Origin::of(message);
        let span = tracing::info_span!(
            "message",
            trace_id =
                origin.parent.map(|parent| tracing::field::display(format!("{:032x}", parent.trace_id()))),
            parent_id =
                origin.parent.map(|parent| tracing::field::display(format!("{:016x}", parent.parent_id()))),
            correlation_id = origin.correlation_id.as_deref(),
        );
        let context = context.clone().with_origin(origin);
        self.inner.handle(message, &context).instrument(span).await
    }
}

/// Only the contexts: one span cannot stand for several traces.
impl<H: BatchHandler> BatchHandler for CorrelateHandler<H> {
    async fn handle_batch(&self, batch: &[Request<Message>]) -> Vec<Result<(), HandlerError>> {
        let mut batch = batch.to_vec();
        for item in &mut batch {
            item.context = item.context.clone().with_origin(Origin::of(&item.message));
        }
        self.inner.handle_batch(&batch).await
    }
}
