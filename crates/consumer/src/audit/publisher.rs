use std::sync::Arc;

use queue::{BoxFuture, Message, PublishError, Publisher, QueueError, Topic};

use super::{AUDIT_ATTRIBUTE, Ledger, name};

/// Gives each message a dot, publishes it, and notes those that the broker confirmed as *sent*; made by
/// [`Ledger::publisher`].
///
/// `Ok` means that the broker has the message **and** that the ledger knows. If the ledger cannot be written, messages
/// that the broker has are answered with [`QueueError::Unavailable`]: whoever sends them again sends duplicates, under new
/// dots, as after any answer that was lost. The attribute adds at most 50 bytes to a message, and replaces one of its
/// name.
#[derive(Debug, Clone)]
pub struct AuditedPublisher {
    ledger: Ledger,
    inner: Arc<dyn Publisher>,
}

impl AuditedPublisher {
    pub(super) fn new(ledger: Ledger, inner: Arc<dyn Publisher>) -> Self {
        Self { ledger, inner }
    }
}

impl Publisher for AuditedPublisher {
    fn publish<'a>(
        &'a self,
        topic: &'a Topic,
        mut batch: Vec<Message>,
    ) -> BoxFuture<'a, Vec<Result<(), PublishError>>> {
        Box::pin(async move {
            let lane = self.ledger.lane();
            let mut dots = Vec::with_capacity(batch.len());
            for message in &mut batch {
                let number = self.ledger.next_number();
                message.attributes.insert(AUDIT_ATTRIBUTE.to_owned(), name::written(lane, number));
                dots.push(name::dot(lane, number));
            }
            let mut answers = self.inner.publish(topic, batch).await;
            let confirmed = answers.iter().zip(&dots).filter(|(answer, _)| answer.is_ok());
            let confirmed: Vec<_> = confirmed.map(|(_, dot)| *dot).collect();
            if let Err(error) = self.ledger.sent(topic, &confirmed).await {
                let error = QueueError::unavailable(error);
                for answer in answers.iter_mut().filter(|answer| answer.is_ok()) {
                    *answer = Err(error.clone().into());
                }
            }
            answers
        })
    }
}
