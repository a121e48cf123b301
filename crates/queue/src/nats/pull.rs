//! Taking messages from a consumer.
//!
//! A request says for how long it waits and that it wants what is there as soon as anything is (`no_wait` with
//! `expires`). The server ends each with a status, so that none is left behind when we go: what it sent to nobody would
//! stay away until its lease is over. A request that its caller drops is seen to its end in the background, and what it
//! brings is given back at once.

use std::time::Duration;

use async_nats::{Message, StatusCode, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::time::{Instant, sleep_until, timeout};

use super::link::{ApiError, Failure, Link, REQUEST_WAIT};
use super::streams::{ConsumerSeen, consumer_operation};
use crate::QueueError;

/// How much later than promised the end of a request may come, before we look what is wrong. Nothing need be: a server
/// that finds a request over just when it has a message for it forgets the request without a word.
const GRACE: Duration = Duration::from_millis(500);
/// For how long what comes even later is given back.
const LATE_MAX: Duration = Duration::from_secs(2);
/// Longest time that a server without a leader for this consumer is given, before the next attempt.
const LEADER_PAUSE: Duration = Duration::from_millis(50);

/// Gives the message back at once.
pub(super) const NAK: &[u8] = b"-NAK";

/// Messages that were taken. What is left in it when it is dropped is given back.
#[derive(Debug)]
pub(super) struct Taken {
    link: Link,
    messages: Vec<Message>,
    /// Where more may come.
    coming: Option<(Subscriber, Instant)>,
}

impl Taken {
    pub(super) fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Keeps all of them.
    pub(super) fn keep(mut self) -> Vec<Message> {
        std::mem::take(&mut self.messages)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let (messages, coming) = (std::mem::take(&mut self.messages), self.coming.take());
        if messages.is_empty() && coming.is_none() {
            return;
        }
        // Without a runtime nothing can be sent any more: then they come again when their lease is over.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            drop(runtime.spawn(hand_back(self.link.clone(), messages, coming)));
        }
    }
}

async fn hand_back(link: Link, messages: Vec<Message>, coming: Option<(Subscriber, Instant)>) {
    for message in messages {
        give_back(&link, message).await;
    }
    let Some((mut subscriber, until)) = coming else { return };
    loop {
        tokio::select! {
            message = subscriber.next() => match message {
                Some(message) if message.status.is_none() => give_back(&link, message).await,
                _ => return,
            },
            () = sleep_until(until) => return,
        }
    }
}

async fn give_back(link: &Link, message: Message) {
    let Some(reply) = message.reply else { return };
    let sent = timeout(REQUEST_WAIT, link.client().publish(reply, Bytes::from_static(NAK))).await;
    if !matches!(sent, Ok(Ok(()))) {
        tracing::debug!("a message could not be given back, and comes again when its lease is over");
    }
}

/// What to take, and from where.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pull<'a> {
    pub(super) stream: &'a str,
    pub(super) consumer: &'a str,
    /// Most messages.
    pub(super) max: usize,
    /// Most bytes of messages together.
    pub(super) bytes_max: Option<usize>,
    /// How long the first may take to come.
    pub(super) wait: Duration,
}

/// What a status without a message says.
enum Said {
    /// There is no more.
    Over,
    /// Not now.
    Busy(String),
    /// The consumer is gone.
    Gone,
    /// It will not do this.
    Refused(String),
}

fn said(status: StatusCode, description: &str) -> Said {
    let has = |text: &str| description.to_lowercase().contains(text);
    match status {
        StatusCode::NOT_FOUND | StatusCode::TIMEOUT => Said::Over,
        // The end of a request that is limited in bytes.
        _ if has("maxbytes") && !has("exceeded maxrequest") => Said::Over,
        _ if has("batch completed") => Said::Over,
        StatusCode::NO_RESPONDERS => Said::Gone,
        _ if has("consumer deleted") => Said::Gone,
        _ if has("exceeded maxrequest") || has("push based") || has("bad request") => {
            Said::Refused(description.to_owned())
        }
        _ => Said::Busy(format!("{status} {description}")),
    }
}

impl Link {
    /// Takes what is there, or the first that comes.
    pub(super) async fn pull(&self, pull: Pull<'_>) -> Result<Taken, QueueError> {
        self.connected().await?;
        let (since, lost) = (Instant::now(), self.lost());
        let mut request = serde_json::json!({
            "batch": pull.max,
            "expires": u64::try_from(pull.wait.as_nanos()).unwrap_or(u64::MAX),
            "no_wait": true,
        });
        if let (Some(bytes_max), Some(request)) = (pull.bytes_max, request.as_object_mut()) {
            request.insert("max_bytes".to_owned(), bytes_max.into());
        }
        let subject = self.api_subject(&consumer_operation("CONSUMER.MSG.NEXT", pull.stream, pull.consumer));
        let inbox = self.client().new_inbox();
        let sending = async {
            let subscriber = self.client().subscribe(inbox.clone()).await.map_err(|e| self.unavailable(e))?;
            let request = Bytes::from(request.to_string());
            let sent = self.client().publish_with_reply(subject, inbox, request).await;
            sent.map_err(|error| self.unavailable(error)).map(|()| subscriber)
        };
        let subscriber = match timeout(REQUEST_WAIT, sending).await {
            Ok(subscriber) => subscriber?,
            Err(_) => return Err(self.unanswered(since, "asking for messages".to_owned()).await),
        };
        let until = since + pull.wait + GRACE;
        let mut taken = Taken { link: self.clone(), messages: Vec::new(), coming: Some((subscriber, until)) };
        tokio::pin!(lost);
        while taken.messages.len() < pull.max {
            let Some((subscriber, _)) = &mut taken.coming else { break };
            let message = tokio::select! {
                biased;
                message = subscriber.next() => message,
                () = &mut lost => None,
                () = sleep_until(until) => {
                    taken.coming = taken.coming.take().map(|(subscriber, _)| (subscriber, until + LATE_MAX));
                    return match self.is_there(pull).await {
                        Err(error) if taken.messages.is_empty() => Err(error),
                        _ => Ok(taken),
                    };
                }
            };
            let Some(message) = message else {
                let failed = self.unavailable("the connection was lost");
                taken.coming = None;
                return if taken.messages.is_empty() { Err(failed) } else { Ok(taken) };
            };
            match message.status {
                None => taken.messages.push(message),
                Some(StatusCode::IDLE_HEARTBEAT) => {}
                Some(status) => {
                    taken.coming = None;
                    let said = said(status, message.description.as_deref().unwrap_or_default());
                    if taken.messages.is_empty() {
                        self.heard(said, pull).await?;
                    }
                    return Ok(taken);
                }
            }
        }
        taken.coming = None;
        Ok(taken)
    }

    async fn heard(&self, said: Said, pull: Pull<'_>) -> Result<(), QueueError> {
        let target = format!("consumer {:?} of stream {:?}", pull.consumer, pull.stream);
        match said {
            Said::Over => Ok(()),
            Said::Busy(why) => Err(self.unavailable(format_args!("{target}: {why}"))),
            Said::Refused(why) => Err(QueueError::Refused(format!(
                "{target} does not allow what is needed: {why}: correct its settings at the broker"
            ))),
            Said::Gone => {
                self.is_there(pull).await?;
                // Then nobody leads it just now.
                tokio::time::sleep(LEADER_PAUSE).await;
                Err(self.unavailable(format_args!("{target} has no leader")))
            }
        }
    }

    /// Whether the consumer is there. The server is silent to those who want messages of one that is not.
    async fn is_there(&self, pull: Pull<'_>) -> Result<(), QueueError> {
        let target = format!("consumer {:?} of stream {:?}", pull.consumer, pull.stream);
        let operation = consumer_operation("CONSUMER.INFO", pull.stream, pull.consumer);
        match self.ask::<ConsumerSeen>(&operation, &serde_json::Value::Null).await {
            Err(Failure::Told(error))
                if [ApiError::NO_CONSUMER, ApiError::NO_STREAM].contains(&error.err_code) =>
            {
                Err(self.broken(format_args!("{target} was deleted: subscribe again")))
            }
            Err(failure) => Err(self.failed(failure, &target)),
            Ok(_) => Ok(()),
        }
    }
}
