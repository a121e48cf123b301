//! `ReceiveMessage`, and what it brings.

use std::time::Duration;

use aws_sdk_sqs::config::Config;
use aws_sdk_sqs::types::{
    Message as SqsMessage, MessageAttributeValue, MessageSystemAttributeName as System,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::batch::Batch;
use super::calls::{Change, Place};
use super::client::timeouts;
use super::codec::{Death, Wire, unwrapped};
use super::error::Failure;
use super::limits::WAIT_SECS_MAX;
use crate::Message;

/// A message as it came.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) wire: Wire,
    pub(super) handle: String,
    pub(super) message_id: String,
    pub(super) receive_count: u32,
    pub(super) sent_ms: Option<u64>,
}

/// The protocol waits for whole seconds. Less is waited for by asking this often.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// Takes up to `max` (at most ten) messages out of the queue for `visibility_secs`. With a `wait` of less than a second
/// Amazon asks only some of its servers, and may miss what the others have.
///
/// Dropping it loses nothing: what was taken comes again.
pub(super) async fn receive(
    place: &Place,
    max: usize,
    wait: Duration,
    visibility_secs: i32,
) -> Result<Vec<Fetched>, Failure> {
    let give_up = Instant::now() + wait;
    let wait_secs = wait.as_secs().min(WAIT_SECS_MAX);
    loop {
        let found = ask(place, max, wait_secs, visibility_secs).await?;
        let now = Instant::now();
        if !found.is_empty() || wait_secs > 0 || now >= give_up {
            return Ok(found);
        }
        tokio::time::sleep_until(give_up.min(now + ASK_EVERY)).await;
    }
}

/// One request. It is seen to its end also if nobody waits for it any more: the broker may go on answering it long after
/// the connection is gone, and would lease to nobody what somebody has just handed back. What comes then is handed back.
async fn ask(
    place: &Place,
    max: usize,
    wait_secs: u64,
    visibility_secs: i32,
) -> Result<Vec<Fetched>, Failure> {
    let (tell, told) = oneshot::channel();
    let unheard = place.clone();
    tokio::spawn(async move {
        let answer = request(&unheard, max, wait_secs, visibility_secs).await;
        if let Err(Ok(found)) = tell.send(answer) {
            hand_back(&unheard, found).await;
        }
    });
    // The task answers unless it panicked.
    told.await.unwrap_or_else(|_| Err(Failure::unanswered(place.doing("receiving from"))))
}

async fn hand_back(place: &Place, found: Vec<Fetched>) {
    if found.is_empty() {
        return;
    }
    let entries: Vec<_> = found.into_iter().map(|fetched| (fetched.handle, 0)).collect();
    let failed = match Change(place).send(&entries.iter().collect::<Vec<_>>()).await {
        Ok(failed) if failed.is_empty() => return,
        Ok(failed) => failed.len(),
        Err(_) => entries.len(),
    };
    tracing::debug!(failed, queue = %place.target, "messages that nobody waited for come again when their lease ends");
}

async fn request(
    place: &Place,
    max: usize,
    wait_secs: u64,
    visibility_secs: i32,
) -> Result<Vec<Fetched>, Failure> {
    let asking = place
        .sqs
        .receive_message()
        .queue_url(&place.queue_url)
        .max_number_of_messages(i32::try_from(max).unwrap_or(i32::MAX))
        .visibility_timeout(visibility_secs)
        .wait_time_seconds(i32::try_from(wait_secs).unwrap_or(i32::MAX))
        .message_system_attribute_names(System::ApproximateReceiveCount)
        .message_system_attribute_names(System::SentTimestamp)
        .message_attribute_names("All")
        .customize()
        .config_override(Config::builder().timeout_config(timeouts(Duration::from_secs(wait_secs))));
    let answer = asking.send().await.map_err(|error| Failure::of(error, place.doing("receiving from")))?;
    Ok(answer.messages.unwrap_or_default().into_iter().filter_map(fetched).collect())
}

fn fetched(message: SqsMessage) -> Option<Fetched> {
    // Without a handle it cannot be settled: it comes again, with one.
    let handle = message.receipt_handle?;
    let system = message.attributes.unwrap_or_default();
    let number = |name: System| system.get(&name).and_then(|text| text.parse::<u64>().ok());
    let count = number(System::ApproximateReceiveCount).unwrap_or(1);
    let attributes = message.message_attributes.unwrap_or_default().into_iter();
    let attributes = attributes.map(|(name, value)| (name, text_of(value))).collect();
    Some(Fetched {
        receive_count: u32::try_from(count).unwrap_or(u32::MAX).max(1),
        sent_ms: number(System::SentTimestamp),
        wire: Wire { body: message.body.unwrap_or_default(), attributes },
        message_id: message.message_id.unwrap_or_default(),
        handle,
    })
}

/// An attribute's value: text and numbers as they are, bytes (which only others send) in base64.
fn text_of(value: MessageAttributeValue) -> String {
    match (value.string_value, value.binary_value) {
        (Some(text), _) => text,
        (None, Some(bytes)) => BASE64.encode(bytes),
        (None, None) => String::new(),
    }
}

/// What was published; `unwrap` is the topic whose notifications are opened.
pub(super) fn read(wire: Wire, unwrap: Option<&str>) -> (Message, Option<Death>) {
    match unwrap {
        Some(topic_arn) => unwrapped(wire, topic_arn).read(),
        None => wire.read(),
    }
}
