//! Dead letters: a stream of them per topic, a subject per subscription.

use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::stream::RawMessageErrorKind;
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};

use super::line::Told;
use super::link::{ApiError, Failure, REQUEST_WAIT};
use super::names::{again_consumer, topic_consumer};
use super::publisher::{IN_FLIGHT_MAX, NotStored};
use super::pull::Pull;
use super::streams::{Streams, consumer_operation};
use super::wire::{Burial, decode, decode_burial, encode, encode_letter, message_bytes};
use crate::rows::{dead_letter_id, dead_letter_number, unknown};
use crate::{DEAD_LETTERS_PAGE_MAX, DeadLetter, DeadLetterId, Message, QueueError, Subscription};

/// Most bytes of dead letters in one page. A page that would be larger ends early; its last letter is the cursor of the
/// next one.
const PAGE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long the server may take to find the first letter of a page.
const PAGE_WAIT: Duration = Duration::from_secs(2);
/// When the server deletes the reader of a page that we could not delete.
const READER_IDLE_MAX: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
struct Made {
    name: String,
}

#[derive(Deserialize)]
struct Deleted {}

impl Streams {
    /// Keeps a dead letter, once however often it is sent under this `id`. Returns its number.
    pub(super) async fn bury(
        &self,
        subscription: &Subscription,
        message: &Message,
        burial: &Burial,
        id: &str,
    ) -> Result<u64, QueueError> {
        let (mut headers, mut payload) = encode_letter(message, burial);
        headers.insert(async_nats::header::NATS_MESSAGE_ID, id);
        let (subject, bytes_max) = (self.names.dead_subject(subscription), self.link.payload_bytes_max());
        if message_bytes(&headers, &payload) > bytes_max {
            // Only a message that somebody else filled to the brim has no room for its story.
            (headers, payload) = encode(message);
        }
        let bytes = message_bytes(&headers, &payload);
        if bytes > bytes_max {
            // The server would end the connection.
            return Err(QueueError::Refused(format!(
                "a dead letter for {subject} has {bytes} bytes, and the server takes {bytes_max}: raise its max_payload"
            )));
        }
        match self.store(&subject, &headers, &payload).await {
            Ok(stored) => Ok(stored.seq),
            Err(NotStored::Other(error)) => Err(error),
            Err(NotStored::Full) => Err(QueueError::Refused(format!(
                "stream {:?} is full of dead letters: redrive them, or raise its max_msgs",
                self.names.dead_stream(subscription.topic())
            ))),
            Err(NotStored::Nobody) => Err(self.link.unavailable(format!(
                "stream {:?} takes no dead letters: it was deleted, or has no leader: subscribe again",
                self.names.dead_stream(subscription.topic())
            ))),
        }
    }

    /// A message of a stream, if it is still there.
    pub(super) async fn message(&self, stream: &str, number: u64) -> Result<Option<Message>, QueueError> {
        self.link.connected().await?;
        let mut context = jetstream::new(self.link.client().clone());
        context.set_timeout(REQUEST_WAIT);
        let told =
            |error| self.link.unavailable(format_args!("message {number} of stream {stream:?}: {error}"));
        let stream = match context.get_stream_no_info(stream).await {
            Ok(stream) => stream,
            Err(error) => return Err(told(error.to_string())),
        };
        match stream.get_raw_message(number).await {
            Ok(message) => Ok(Some(decode(Some(&message.headers), message.payload))),
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(told(error.to_string())),
        }
    }

    /// How many dead letters a subscription has.
    pub(super) async fn dead_count(&self, subscription: &Subscription) -> Result<u64, QueueError> {
        let subject = self.names.dead_subject(subscription);
        let seen = self
            .stream(&self.names.dead_stream(subscription.topic()), &json!({ "subjects_filter": subject }))
            .await?;
        let subjects = seen.and_then(|seen| seen.state.subjects).unwrap_or_default();
        Ok(subjects.get(&subject).copied().unwrap_or_default())
    }

    /// Removes a dead letter; true if it was there.
    pub(super) async fn remove_letter(
        &self,
        subscription: &Subscription,
        number: u64,
    ) -> Result<bool, QueueError> {
        let stream = self.names.dead_stream(subscription.topic());
        let operation = format!("STREAM.MSG.DELETE.{stream}");
        match self.link.ask::<Deleted>(&operation, &json!({ "seq": number, "no_erase": true })).await {
            Ok(_) => Ok(true),
            // Somebody else was faster.
            Err(Failure::Told(error)) if error.description.contains("no message found") => Ok(false),
            Err(failure) => Err(self.link.failed(failure, &format!("a dead letter of stream {stream:?}"))),
        }
    }

    /// The first dead letters behind `after`.
    pub(super) async fn dead_letters(
        &self,
        subscription: &Subscription,
        after: Option<&DeadLetterId>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, QueueError> {
        let after = after.map(dead_letter_number).transpose()?.unwrap_or_default();
        let topic_stream = self.names.topic_stream(subscription.topic());
        if self.consumer(&topic_stream, &topic_consumer(subscription)).await?.is_none() {
            return Err(unknown(subscription));
        }
        let limit = limit.min(DEAD_LETTERS_PAGE_MAX);
        if limit == 0 {
            return Ok(Vec::new());
        }
        let stream = self.names.dead_stream(subscription.topic());
        let body = json!({
            "stream_name": stream,
            "config": {
                "deliver_policy": "by_start_sequence",
                "opt_start_seq": after.saturating_add(1),
                "ack_policy": "none",
                "filter_subject": self.names.dead_subject(subscription),
                "replay_policy": "instant",
                "mem_storage": true,
                "num_replicas": 1,
                "inactive_threshold": u64::try_from(READER_IDLE_MAX.as_nanos()).unwrap_or(u64::MAX),
            },
        });
        let reader: Made = match self.link.ask(&format!("CONSUMER.CREATE.{stream}"), &body).await {
            Ok(made) => made,
            Err(Failure::Told(error)) if error.err_code == ApiError::NO_STREAM => return Ok(Vec::new()),
            Err(failure) => return Err(self.link.failed(failure, &format!("a reader of stream {stream:?}"))),
        };
        let pull = Pull {
            stream: &stream,
            consumer: &reader.name,
            max: limit,
            bytes_max: Some(PAGE_BYTES_MAX),
            wait: PAGE_WAIT,
        };
        let page = if self.dead_count(subscription).await? == 0 {
            Ok(Vec::new())
        } else {
            self.link.pull(pull).await.map(super::pull::Taken::keep)
        };
        let deleting = consumer_operation("CONSUMER.DELETE", &stream, &reader.name);
        if let Err(failure) = self.link.ask::<Value>(&deleting, &Value::Null).await {
            tracing::debug!(?failure, "the reader of dead letters stays until the server forgets it");
        }
        page?.into_iter().map(|message| self.letter(message)).collect()
    }

    fn letter(&self, message: async_nats::Message) -> Result<DeadLetter, QueueError> {
        let reply = message.reply.as_ref().map(async_nats::Subject::as_str).unwrap_or_default();
        let Some(Told { number, .. }) = Told::of(reply) else {
            return Err(self.link.broken(format_args!("{reply:?} names no dead letter")));
        };
        let burial = decode_burial(message.headers.as_ref());
        Ok(DeadLetter {
            id: dead_letter_id(number),
            message: decode(message.headers.as_ref(), message.payload),
            reason: burial.reason,
            receive_count: burial.receive_count,
            published_at_ms: burial.published_at_ms,
        })
    }

    /// Makes the oldest dead letters ready again, for this subscription alone.
    pub(super) async fn redrive(
        &self,
        subscription: &Subscription,
        limit: usize,
    ) -> Result<usize, QueueError> {
        let letters = self.dead_letters(subscription, None, limit).await?;
        let (topic_stream, again) =
            (self.names.topic_stream(subscription.topic()), again_consumer(subscription));
        if self.consumer(&topic_stream, &again).await?.is_none() {
            // The server confirms what nobody will read, and keeps nothing of it.
            return Err(self.link.broken(format_args!(
                "consumer {again:?} of stream {topic_stream:?} was deleted: subscribe again"
            )));
        }
        let subject = self.names.again_subject(subscription);
        let one = |letter: DeadLetter| {
            let subject = &subject;
            async move {
                let (headers, payload) = encode(&letter.message);
                let number = dead_letter_number(&letter.id)?;
                match self.store(subject, &headers, &payload).await {
                    // Only now: a crash in between leaves a duplicate rather than a gap.
                    Ok(_) => self.remove_letter(subscription, number).await.map(|_| true),
                    Err(NotStored::Full) => Ok(false),
                    Err(NotStored::Nobody) => Err(self.link.unavailable(format!("nobody takes {subject}"))),
                    Err(NotStored::Other(error)) => Err(error),
                }
            }
        };
        let answers: Vec<Result<bool, QueueError>> =
            stream::iter(letters).map(one).buffered(IN_FLIGHT_MAX).collect().await;
        let redriven = answers.iter().filter(|answer| matches!(answer, Ok(true))).count();
        match answers.into_iter().find_map(Result::err) {
            Some(error) if redriven == 0 => Err(error),
            Some(error) => {
                tracing::warn!(%error, %subscription, redriven, "some dead letters stay dead");
                Ok(redriven)
            }
            None => Ok(redriven),
        }
    }
}
