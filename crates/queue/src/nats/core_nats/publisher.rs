//! Publishing: a batch is sent, and answered when the server has read it.

use async_nats::client::PublishErrorKind;
use tokio::time::{Instant, timeout};

use super::Core;
use crate::nats::link::REQUEST_WAIT;
use crate::nats::wire::{encode, message_bytes};
use crate::{BoxFuture, Message, PublishError, Publisher, QueueError, Topic};

/// Publishes to whoever listens.
#[derive(Debug)]
pub(super) struct CorePublisher(pub(super) Core);

impl CorePublisher {
    async fn publish_all(&self, topic: &Topic, batch: Vec<Message>) -> Vec<Result<(), PublishError>> {
        let link = &self.0.link;
        if let Err(error) = link.connected().await {
            return batch.iter().map(|_| Err(error.clone().into())).collect();
        }
        let (since, lost) = (Instant::now(), link.lost());
        let subject = self.0.names.core_subject(topic);
        let mut answers = Vec::with_capacity(batch.len());
        for message in &batch {
            answers.push(self.send(&subject, message).await);
        }
        if answers.iter().any(Result::is_ok) {
            let read = tokio::select! {
                biased;
                () = lost => Err(link.unavailable("the connection was lost")),
                read = self.0.flushed() => read,
            };
            let read = read.and_then(|()| link.allowed(since, &format!("publishing to {subject}")));
            if let Err(error) = read {
                for answer in answers.iter_mut().filter(|answer| answer.is_ok()) {
                    *answer = Err(error.clone().into());
                }
            }
        }
        answers
    }

    async fn send(&self, subject: &str, message: &Message) -> Result<(), PublishError> {
        message.check_size()?;
        let link = &self.0.link;
        let (headers, payload) = encode(message);
        let (bytes, bytes_max) = (message_bytes(&headers, &payload), link.payload_bytes_max());
        if bytes > bytes_max {
            let limit = "the max_payload of the NATS server";
            return Err(PublishError::TooLarge { bytes, bytes_max, limit });
        }
        let client = link.client();
        // The client's own queue may be full while it connects again: nobody waits for that without end.
        let sent = timeout(REQUEST_WAIT, async {
            if headers.is_empty() {
                client.publish(subject.to_owned(), payload).await
            } else {
                client.publish_with_headers(subject.to_owned(), headers, payload).await
            }
        });
        match sent.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(match error.kind() {
                PublishErrorKind::MaxPayloadExceeded | PublishErrorKind::InvalidSubject => {
                    QueueError::Refused(format!("a message to {subject}: {error}")).into()
                }
                PublishErrorKind::Send => link.unavailable(error).into(),
            }),
            Err(_) => Err(link.unavailable(format_args!("a message to {subject} could not be sent")).into()),
        }
    }
}

impl Publisher for CorePublisher {
    fn publish<'a>(
        &'a self,
        topic: &'a Topic,
        batch: Vec<Message>,
    ) -> BoxFuture<'a, Vec<Result<(), PublishError>>> {
        Box::pin(self.publish_all(topic, batch))
    }
}
