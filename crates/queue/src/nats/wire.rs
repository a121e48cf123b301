//! Messages as headers and payload.
//!
//! The payload is the body, byte for byte. An attribute is a header where that is legal; the others are packed as JSON
//! into one header, or before the body if they are too long for one: the server allows 64 KiB of headers. A message of
//! somebody else has none of our headers, and keeps its own as attributes.

use std::collections::BTreeMap;

use async_nats::header::{HeaderMap, HeaderName, HeaderValue};
use bytes::{BufMut, Bytes, BytesMut};

use crate::Message;

/// The packed attributes, as a JSON object.
const PACKED: &str = "Antiphon-Attributes";
/// How many bytes of packed attributes stand before the body.
const PACKED_LENGTH: &str = "Antiphon-Attributes-Length";
/// Why a letter is dead, as a JSON string.
const REASON: &str = "Antiphon-Reason";
/// How often a dead letter was handed out.
const RECEIVES: &str = "Antiphon-Receives";
/// When a dead letter was published, in milliseconds since the Unix epoch.
const PUBLISHED_MS: &str = "Antiphon-Published-Ms";
/// What begins so is not an attribute: the server gives a meaning to its own, and we to ours.
const RESERVED: [&str; 2] = ["nats-", "antiphon-"];

/// Most bytes of attributes that become headers of their own.
const PLAIN_BYTES_MAX: usize = 16 * 1024;
/// Most bytes of packed attributes within a header.
const PACKED_BYTES_MAX: usize = 8 * 1024;
/// What a dead letter may need beside its message, in bytes: kept free in every message, so that each can become one.
pub(super) const LETTER_BYTES_MAX: usize = 16 * 1024;

/// Most bytes of headers that the server accepts.
const HEADERS_BYTES_MAX: usize = 65_535;
/// What stands around a name and its value: ": " and "\r\n".
const HEADER_BYTES: usize = 4;
/// What stands around all: "NATS/1.0\r\n" and "\r\n".
const HEADERS_BYTES: usize = 12;
const _: () = assert!(
    PLAIN_BYTES_MAX + PACKED_BYTES_MAX + PACKED.len() + HEADER_BYTES + HEADERS_BYTES + LETTER_BYTES_MAX
        <= HEADERS_BYTES_MAX,
    "every message and its dead letter stay within the server's limit of headers"
);

/// What is known of a dead letter beside its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Burial {
    pub(super) reason: String,
    pub(super) receive_count: u32,
    pub(super) published_at_ms: Option<u64>,
}

fn is_reserved(name: &str) -> bool {
    RESERVED
        .iter()
        .any(|reserved| name.get(..reserved.len()).is_some_and(|start| start.eq_ignore_ascii_case(reserved)))
}

/// Whether every client reads the same from a header of this name and value.
fn is_plain(name: &str, value: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !name.is_empty()
        && name.bytes().all(legal)
        && !is_reserved(name)
        && !value.is_empty()
        && value.trim() == value
        && !value.chars().any(char::is_control)
}

fn header(headers: &mut HeaderMap, name: &str, value: &str) -> bool {
    match (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
        (Ok(name), Ok(value)) => {
            headers.append(name, value);
            true
        }
        _ => false,
    }
}

/// Writes a message.
pub(super) fn encode(message: &Message) -> (HeaderMap, Bytes) {
    let mut headers = HeaderMap::new();
    let mut packed: BTreeMap<&str, &str> = BTreeMap::new();
    let mut plain_bytes = 0;
    for (name, value) in &message.attributes {
        let bytes = name.len() + value.len() + HEADER_BYTES;
        let fits = is_plain(name, value) && plain_bytes + bytes <= PLAIN_BYTES_MAX;
        if fits && header(&mut headers, name, value) {
            plain_bytes += bytes;
        } else {
            packed.insert(name, value);
        }
    }
    if packed.is_empty() {
        return (headers, message.body.clone());
    }
    let json = serde_json::json!(packed).to_string();
    if json.len() <= PACKED_BYTES_MAX && header(&mut headers, PACKED, &json) {
        return (headers, message.body.clone());
    }
    header(&mut headers, PACKED_LENGTH, &json.len().to_string());
    let mut payload = BytesMut::with_capacity(json.len() + message.body.len());
    payload.put_slice(json.as_bytes());
    payload.put_slice(&message.body);
    (headers, payload.freeze())
}

/// Writes a dead letter.
pub(super) fn encode_letter(message: &Message, burial: &Burial) -> (HeaderMap, Bytes) {
    let (mut headers, payload) = encode(message);
    header(&mut headers, REASON, &serde_json::json!(burial.reason).to_string());
    header(&mut headers, RECEIVES, &burial.receive_count.to_string());
    if let Some(published_at_ms) = burial.published_at_ms {
        header(&mut headers, PUBLISHED_MS, &published_at_ms.to_string());
    }
    (headers, payload)
}

fn one<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).map(HeaderValue::as_str)
}

/// Reads a message. What cannot be read as ours is delivered as it is.
pub(super) fn decode(headers: Option<&HeaderMap>, payload: Bytes) -> Message {
    let Some(headers) = headers else { return Message::new(payload) };
    let attribute = |(name, values): (&HeaderName, &Vec<HeaderValue>)| {
        let name = name.to_string();
        let values: Vec<_> = values.iter().map(HeaderValue::as_str).collect();
        (!is_reserved(&name)).then(|| (name, values.join(", ")))
    };
    let mut attributes: BTreeMap<String, String> = headers.iter().filter_map(attribute).collect();
    let mut body = payload;
    if let Some(json) = one(headers, PACKED) {
        attributes.extend(unpacked(json.as_bytes()).unwrap_or_default());
    } else if let Some(length) = one(headers, PACKED_LENGTH).and_then(|length| length.parse().ok())
        && let Some((json, rest)) = body.split_at_checked(length)
        && let Some(packed) = unpacked(json)
    {
        attributes.extend(packed);
        body = body.slice_ref(rest);
    }
    Message { body, attributes }
}

fn unpacked(json: &[u8]) -> Option<BTreeMap<String, String>> {
    serde_json::from_slice(json).ok()
}

/// Reads what a dead letter says beside its message.
pub(super) fn decode_burial(headers: Option<&HeaderMap>) -> Burial {
    let text = |name| headers.and_then(|headers| one(headers, name));
    Burial {
        reason: text(REASON)
            .map(|json| serde_json::from_str(json).unwrap_or_else(|_| json.to_owned()))
            .unwrap_or_default(),
        receive_count: text(RECEIVES).and_then(|text| text.parse().ok()).unwrap_or_default(),
        published_at_ms: text(PUBLISHED_MS).and_then(|text| text.parse().ok()),
    }
}

/// How many bytes headers take in a message, at most.
fn headers_bytes(headers: &HeaderMap) -> usize {
    let line = |(name, values): (&HeaderName, &Vec<HeaderValue>)| {
        let name = name.to_string().len();
        values.iter().map(|value| name + value.as_str().len() + HEADER_BYTES).sum::<usize>()
    };
    headers.iter().map(line).sum::<usize>() + HEADERS_BYTES
}

/// How many bytes a message has as the server counts it.
pub(super) fn message_bytes(headers: &HeaderMap, payload: &Bytes) -> usize {
    let headers = if headers.is_empty() { 0 } else { headers_bytes(headers) };
    headers + payload.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_plain_is_a_header() {
        let message = Message::new("b").with_attribute("type", "antiphon.tallies").with_attribute("k", " ");
        let (headers, payload) = encode(&message);
        assert_eq!(one(&headers, "type"), Some("antiphon.tallies"));
        assert_eq!(one(&headers, PACKED), Some(r#"{"k":" "}"#));
        assert_eq!(payload, "b");
        assert_eq!(decode(Some(&headers), payload), message);
    }

    #[test]
    fn what_somebody_else_sent_is_kept() {
        let mut headers = HeaderMap::new();
        headers.append("Trace", "a");
        headers.append("Trace", "b");
        headers.append("Nats-Msg-Id", "7");
        headers.append(PACKED_LENGTH, "700");
        let message = decode(Some(&headers), Bytes::from_static(&[0xff, 0]));
        assert_eq!(message, Message::new(vec![0xff, 0]).with_attribute("Trace", "a, b"));
        assert_eq!(decode(None, Bytes::new()), Message::default());
    }

    #[test]
    fn attributes_of_any_length_survive_within_the_limit_of_headers() {
        let long = "ü".repeat(60_000);
        let message = Message::new(vec![0, 1, 2]).with_attribute("a", long.clone()).with_attribute("b", long);
        let (headers, payload) = encode(&message);
        assert!(headers_bytes(&headers) < 1_000);
        assert_eq!(decode(Some(&headers), payload), message);
    }

    #[test]
    fn so_do_many_short_ones() {
        let attributes = (0..30_000).map(|number| (format!("a{number}"), "b".to_owned())).collect();
        let message = Message { body: Bytes::from_static(b"c"), attributes };
        let (headers, payload) = encode(&message);
        assert!(headers_bytes(&headers) + LETTER_BYTES_MAX <= HEADERS_BYTES_MAX);
        assert_eq!(decode(Some(&headers), payload), message);
    }

    #[test]
    fn the_worst_reason_fits() {
        let reason = "\u{1}".repeat(crate::rows::REASON_CHARS_MAX);
        let burial = Burial { reason, receive_count: u32::MAX, published_at_ms: Some(u64::MAX) };
        let (headers, _) = encode_letter(&Message::default(), &burial);
        // The receipt is a header of the letter, too.
        assert!(headers_bytes(&headers) + 1_024 < LETTER_BYTES_MAX);
        assert_eq!(decode_burial(Some(&headers)), burial);
    }

    proptest! {
        #[test]
        fn every_message_comes_back(
            body in proptest::collection::vec(any::<u8>(), 0..64),
            attributes in proptest::collection::btree_map(any::<String>(), any::<String>(), 0..6),
        ) {
            let message = Message { body: body.into(), attributes };
            let (headers, payload) = encode(&message);
            prop_assert_eq!(decode(Some(&headers), payload), message);
        }
    }
}
