//! Messages as records: the body is the value, an attribute is a header.

use std::collections::BTreeMap;

use bytes::Bytes;
use rdkafka::Timestamp;
use rdkafka::message::{BorrowedMessage, Header, Headers, Message as _, OwnedHeaders};

use crate::Message;

/// Begins the names of headers that are ours. An attribute that begins so travels in [`MORE`].
const OURS: &str = "antiphon-";
/// Attributes that are no header: a JSON object of names and values.
const MORE: &str = "antiphon-more";
/// Of a dead letter: why it is one.
pub(super) const REASON: &str = "antiphon-reason";
/// Of a dead letter: how often it was handed out.
pub(super) const RECEIVE_COUNT: &str = "antiphon-receive-count";
/// Of a dead letter: when the topic got it, in milliseconds since the Unix epoch.
pub(super) const PUBLISHED_AT_MS: &str = "antiphon-published-at-ms";

/// A name that the client cannot hand out as it is: it ends names at a zero byte.
fn is_packed(name: &str) -> bool {
    name.contains('\0') || name.starts_with(OURS)
}

/// The headers of a message, and `ours` beside them.
pub(super) fn headers(message: &Message, ours: &[(&str, &str)]) -> OwnedHeaders {
    let mut headers = OwnedHeaders::new_with_capacity(message.attributes.len() + ours.len() + 1);
    let mut packed = BTreeMap::new();
    for (name, value) in &message.attributes {
        if is_packed(name) {
            packed.insert(name, value);
        } else {
            headers = headers.insert(Header { key: name, value: Some(value.as_bytes()) });
        }
    }
    if !packed.is_empty() {
        let more = serde_json::json!(packed).to_string();
        headers = headers.insert(Header { key: MORE, value: Some(more.as_bytes()) });
    }
    for (name, value) in ours {
        headers = headers.insert(Header { key: name, value: Some(value.as_bytes()) });
    }
    headers
}

/// A record, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) message: Message,
    /// When the broker, or the publisher, says that it was published.
    pub(super) published_at_ms: Option<u64>,
    /// The headers that are ours.
    pub(super) ours: BTreeMap<String, String>,
}

fn attribute(record: &mut Record, name: &str, value: &[u8]) {
    // A foreign header may be any bytes: what is no text is shown as well as it can be.
    let value = String::from_utf8_lossy(value).into_owned();
    if name == MORE
        && let Ok(packed) = serde_json::from_str::<BTreeMap<String, String>>(&value)
    {
        record.message.attributes.extend(packed);
    } else if matches!(name, REASON | RECEIVE_COUNT | PUBLISHED_AT_MS) {
        record.ours.insert(name.to_owned(), value);
    } else {
        record.message.attributes.insert(name.to_owned(), value);
    }
}

/// Reads a record, whoever published it. Keys are not read; a record without a value has an empty body.
pub(super) fn read(raw: &BorrowedMessage<'_>) -> Record {
    let body = Bytes::copy_from_slice(raw.payload().unwrap_or_default());
    let published_at_ms = match raw.timestamp() {
        Timestamp::NotAvailable => None,
        Timestamp::CreateTime(ms) | Timestamp::LogAppendTime(ms) => u64::try_from(ms).ok(),
    };
    let mut record = Record { message: Message::new(body), published_at_ms, ours: BTreeMap::new() };
    for header in raw.headers().iter().flat_map(|headers| headers.iter()) {
        attribute(&mut record, header.key, header.value.unwrap_or_default());
    }
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_survive() {
        let message = Message::new("x")
            .with_attribute("", "")
            .with_attribute("type", "ü\n\"\0")
            .with_attribute("with\0zero", "1")
            .with_attribute("antiphon-reason", "mine");
        let headers = headers(&message, &[(REASON, "why")]);
        let mut record = Record { message: Message::new("x"), published_at_ms: None, ours: BTreeMap::new() };
        for header in headers.as_borrowed().iter() {
            attribute(&mut record, header.key, header.value.unwrap_or_default());
        }
        assert_eq!(record.message, message);
        assert_eq!(record.ours.get(REASON).map(String::as_str), Some("why"));
    }

    #[test]
    fn a_foreign_header_is_an_attribute() {
        let mut record = Record { message: Message::default(), published_at_ms: None, ours: BTreeMap::new() };
        attribute(&mut record, "antiphon-more", b"not JSON");
        attribute(&mut record, "bytes", &[0xff, b'a']);
        assert_eq!(record.message.attributes.get("antiphon-more").map(String::as_str), Some("not JSON"));
        assert_eq!(record.message.attributes.get("bytes").map(String::as_str), Some("\u{fffd}a"));
    }
}
