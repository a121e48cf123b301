use futures_util::future::join_all;
use metrics::counter;
use queue::Message;

use super::{Ledger, dot_of};
use crate::batch::matched;
use crate::{BatchHandler, Context, Handler, HandlerError, Layer, Request};

/// Notes a message as *merged* once its handler said `Ok`, and says `Ok` itself only when that is on the disk: so the
/// note is older than the ack, and no crash can leave an acked message unaccounted for.
///
/// If the note cannot be written the message is tried again. A message without a dot passes, and is counted in the metric
/// `antiphon_consumer_unaudited_total` (labels `topic`, `service`). Put it outside of [`Retry`](crate::layers::Retry),
/// or a ledger that fails runs the handler again in place.
#[derive(Debug, Clone)]
pub struct Audit {
    ledger: Ledger,
}

impl Audit {
    /// Notes in `ledger`.
    pub fn new(ledger: Ledger) -> Self {
        Self { ledger }
    }
}

impl<H> Layer<H> for Audit {
    type Handler = AuditHandler<H>;

    fn layer(&self, inner: H) -> AuditHandler<H> {
        AuditHandler { inner, ledger: self.ledger.clone() }
    }
}

/// See [`Audit`].
#[derive(Debug, Clone)]
pub struct AuditHandler<H> {
    inner: H,
    ledger: Ledger,
}

impl<H> AuditHandler<H> {
    /// Notes what was merged, and says so when it is on the disk.
    async fn note(&self, message: &Message, context: &Context) -> Result<(), HandlerError> {
        let subscription = &context.subscription;
        let Some(dot) = dot_of(message) else {
            let labels =
                [("topic", subscription.topic().to_string()), ("service", subscription.service().to_owned())];
            counter!("antiphon_consumer_unaudited_total", &labels).increment(1);
            return Ok(());
        };
        Ok(self.ledger.merged(subscription, dot).await?)
    }
}

impl<H: Handler> Handler for AuditHandler<H> {
    async fn handle(&self, message: &Message, context: &Context) -> Result<(), HandlerError> {
        self.inner.handle(message, context).await?;
        self.note(message, context).await
    }
}

/// All that were handled share a sync.
impl<H: BatchHandler> BatchHandler for AuditHandler<H> {
    async fn handle_batch(&self, batch: &[Request<Message>]) -> Vec<Result<(), HandlerError>> {
        let answers = matched(self.inner.handle_batch(batch).await, batch.len());
        let noted = answers.into_iter().zip(batch).map(|(answer, item)| async move {
            answer?;
            self.note(&item.message, &item.context).await
        });
        join_all(noted).await
    }
}
