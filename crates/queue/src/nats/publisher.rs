//! Publishing: each message alone, many at a time, each answered by the server when it has it.

use std::fmt;
use std::time::Duration;

use async_nats::header::HeaderMap;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use tokio::sync::OnceCell;
use tokio::time::sleep;

use super::link::{Failure, NoAnswer, REQUEST_WAIT, read_answer};
use super::streams::Streams;
use super::wire::{LETTER_BYTES_MAX, encode, message_bytes};
use crate::{BoxFuture, Message, PublishError, Publisher, QueueError, Topic};

/// Most messages that wait for the server's answer at a time, per call.
pub(super) const IN_FLIGHT_MAX: usize = 256;
/// How often a message is sent that the server was too busy to take.
const ATTEMPTS_MAX: u32 = 4;
/// The first pause between two of them; it doubles.
const ATTEMPT_PAUSE: Duration = Duration::from_millis(50);
/// The server could not store a message.
const NOT_STORED: u16 = 10_077;
/// A message, or its headers, exceed a limit that somebody set for the stream.
const OVER_A_LIMIT: [u16; 2] = [10_054, 10_097];

/// Where the server put a message.
#[derive(Debug, Deserialize)]
pub(super) struct Stored {
    pub(super) seq: u64,
}

/// Why a message was not stored.
#[derive(Debug)]
pub(super) enum NotStored {
    /// No stream takes its subject.
    Nobody,
    /// The stream is full.
    Full,
    /// Something else.
    Other(QueueError),
}

/// Publishes to streams.
#[derive(Debug)]
pub(super) struct NatsPublisher(pub(super) Streams);

impl Streams {
    /// Sends one message, and waits for the server to have it.
    pub(super) async fn store(
        &self,
        subject: &str,
        headers: &HeaderMap,
        payload: &Bytes,
    ) -> Result<Stored, NotStored> {
        let mut pause = ATTEMPT_PAUSE;
        let mut attempts = 1;
        loop {
            let headers = (!headers.is_empty()).then(|| headers.clone());
            let sent = self.link.request(subject.to_owned(), headers, payload.clone(), REQUEST_WAIT).await;
            let failed = match sent {
                Err(NoAnswer::Nobody) => return Err(NotStored::Nobody),
                Err(NoAnswer::Other(error)) => return Err(NotStored::Other(error)),
                Ok(answer) => match read_answer(&answer.payload) {
                    Ok(stored) => return Ok(stored),
                    Err(Failure::Silent(error)) => return Err(NotStored::Other(error)),
                    Err(Failure::Told(error)) => error,
                },
            };
            if failed.err_code == NOT_STORED && failed.description.contains("maximum") {
                return Err(NotStored::Full);
            }
            if OVER_A_LIMIT.contains(&failed.err_code) {
                let told = format!("a message to {subject}: {failed}: raise the limit of the stream");
                return Err(NotStored::Other(QueueError::Refused(told)));
            }
            // The server says that it did not store it, and that it is the server's own fault.
            if failed.code != 503 || attempts >= ATTEMPTS_MAX {
                let told = format!("a message to {subject}");
                return Err(NotStored::Other(self.link.failed(Failure::Told(failed), &told)));
            }
            sleep(pause).await;
            (pause, attempts) = (pause * 2, attempts + 1);
        }
    }

    async fn publish_one(
        &self,
        topic: &Topic,
        message: &Message,
        is_missing: &OnceCell<bool>,
    ) -> Result<(), PublishError> {
        message.check_size()?;
        let (headers, payload) = encode(message);
        let (bytes, payload_max) = (message_bytes(&headers, &payload), self.link.payload_bytes_max());
        if bytes + LETTER_BYTES_MAX > payload_max {
            let bytes_max = payload_max.saturating_sub(LETTER_BYTES_MAX);
            let limit = "the max_payload of the NATS server, less the room for a dead letter's headers,";
            return Err(PublishError::TooLarge { bytes, bytes_max, limit });
        }
        let subject = self.names.topic_subject(topic);
        let mut pause = ATTEMPT_PAUSE;
        for _ in 0..ATTEMPTS_MAX {
            match self.store(&subject, &headers, &payload).await {
                Ok(_) => return Ok(()),
                Err(NotStored::Full) => return Err(PublishError::Full),
                Err(NotStored::Other(error)) => return Err(error.into()),
                // Either there is no stream, so there was no subscription either and the message is for nobody; or
                // the stream has no leader just now, and then there may be subscriptions.
                Err(NotStored::Nobody) => {
                    let name = self.names.topic_stream(topic);
                    let look = async || Ok(self.stream(&name, &serde_json::Value::Null).await?.is_none());
                    if *is_missing.get_or_try_init(look).await.map_err(|error: QueueError| error)? {
                        return Ok(());
                    }
                    sleep(pause).await;
                    pause *= 2;
                }
            }
        }
        let told = format!("nobody takes what is published to {subject}: its stream has no leader");
        Err(self.link.unavailable(told).into())
    }
}

impl Publisher for NatsPublisher {
    fn publish<'a>(
        &'a self,
        topic: &'a Topic,
        batch: Vec<Message>,
    ) -> BoxFuture<'a, Vec<Result<(), PublishError>>> {
        Box::pin(async move {
            // Streams are never deleted by us: one that is missing now was missing when the call began.
            let is_missing = OnceCell::new();
            let is_missing = &is_missing;
            let one = |message: Message| async move { self.0.publish_one(topic, &message, is_missing).await };
            stream::iter(batch).map(one).buffered(IN_FLIGHT_MAX).collect().await
        })
    }
}

impl fmt::Display for NotStored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => f.write_str("no stream takes it"),
            Self::Full => f.write_str("the stream is full"),
            Self::Other(error) => error.fmt(f),
        }
    }
}
