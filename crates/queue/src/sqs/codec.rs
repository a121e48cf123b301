//! A message of ours as a message of SQS or SNS, and back.
//!
//! Those carry text that XML 1.0 can hold, at least one character of it, and up to ten attributes whose names and values
//! are restricted. A message that fits is sent as it is, so that any client of SQS can read it. What does not fit goes into
//! one attribute of ours, [`EXTRA`], as JSON: that the body is in base64, and the attributes that had no place.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::limits::{ATTRIBUTE_NAME_CHARS_MAX, ATTRIBUTES_MAX};
use crate::Message;

/// The attribute that holds what has no place elsewhere.
const EXTRA: &str = "antiphon";
/// The type of every attribute that we send; SQS counts it into the size of the message.
pub(super) const DATA_TYPE: &str = "String";
/// Stands for an empty body, which may not be sent.
const EMPTY: &str = "-";

/// A message as it is on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wire {
    pub(super) body: String,
    /// Attributes of the type [`DATA_TYPE`]; at most [`ATTRIBUTES_MAX`].
    pub(super) attributes: BTreeMap<String, String>,
}

/// What a dead letter says of its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Death {
    pub(super) reason: String,
    pub(super) receive_count: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) published_at_ms: Option<u64>,
}

/// What is in [`EXTRA`]. Old readers ignore fields that are added to it; a body in an encoding that they do not know is
/// handed out as it came.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Extra {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dead: Option<Death>,
}

const IN_BASE64: &str = "base64";
const IS_EMPTY: &str = "empty";

impl Wire {
    /// How [`Message`] travels, with the story of its `death` if it is a dead letter.
    pub(super) fn of(message: &Message, death: Option<&Death>) -> Self {
        let (body, encoding) = match std::str::from_utf8(&message.body) {
            Ok("") => (EMPTY.to_owned(), Some(IS_EMPTY)),
            Ok(text) if text.chars().all(is_xml) => (text.to_owned(), None),
            _ => (BASE64.encode(&message.body), Some(IN_BASE64)),
        };
        let mut extra =
            Extra { body: encoding.map(str::to_owned), attributes: BTreeMap::new(), dead: death.cloned() };
        let (native, packed): (BTreeMap<_, _>, BTreeMap<_, _>) =
            message.attributes.clone().into_iter().partition(|(name, value)| is_native(name, value));
        let (mut attributes, all_native) = (native, packed.is_empty());
        extra.attributes = packed;
        let needs_extra = !all_native || encoding.is_some() || death.is_some();
        if needs_extra || attributes.len() > ATTRIBUTES_MAX {
            while attributes.len() >= ATTRIBUTES_MAX {
                extra.attributes.extend(attributes.pop_last());
            }
            attributes.insert(EXTRA.to_owned(), json(&extra));
        }
        Self { body, attributes }
    }

    /// Its size as SQS and SNS count it, in bytes: the body, and the name, the type and the value of each attribute.
    pub(super) fn bytes(&self) -> usize {
        let attribute = |(name, value): (&String, &String)| name.len() + DATA_TYPE.len() + value.len();
        self.body.len() + self.attributes.iter().map(attribute).sum::<usize>()
    }

    /// What was sent. A message that was not sent by us is handed out as it came.
    pub(super) fn read(self) -> (Message, Option<Death>) {
        let Self { body, mut attributes } = self;
        let extra = attributes.get(EXTRA).and_then(|text| serde_json::from_str::<Extra>(text).ok());
        let Some(extra) = extra else { return (Message { body: body.into(), attributes }, None) };
        let decoded = match extra.body.as_deref() {
            None => Ok(Bytes::from(body)),
            Some(IS_EMPTY) => Ok(Bytes::new()),
            Some(IN_BASE64) => BASE64.decode(&body).map(Bytes::from).map_err(|_| body),
            Some(_) => Err(body),
        };
        match decoded {
            Ok(body) => {
                attributes.remove(EXTRA);
                attributes.extend(extra.attributes);
                (Message { body, attributes }, extra.dead)
            }
            Err(body) => (Message { body: body.into(), attributes }, extra.dead),
        }
    }
}

/// Whether XML 1.0 can hold it, which is what SQS takes.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>
fn is_xml(char: char) -> bool {
    matches!(char, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// Whether it may be an attribute.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html>
fn is_native(name: &str, value: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let lower = name.to_ascii_lowercase();
    !name.is_empty()
        && name.len() <= ATTRIBUTE_NAME_CHARS_MAX
        && name.bytes().all(legal)
        && !name.starts_with('.')
        && !name.ends_with('.')
        && !name.contains("..")
        && !lower.starts_with("aws.")
        && !lower.starts_with("amazon.")
        && name != EXTRA
        && !value.is_empty()
        && value.chars().all(is_xml)
}

/// JSON that XML can hold: JSON itself escapes control characters, but not these two.
fn json(extra: &Extra) -> String {
    // Strings, numbers and maps with text for keys: nothing that JSON cannot say.
    let text = serde_json::to_string(extra).unwrap_or_default();
    text.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff")
}

/// What SNS wraps a message into, unless it delivers raw.
/// <https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html>
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Notification {
    #[serde(rename = "Type")]
    kind: String,
    topic_arn: String,
    message: String,
    #[serde(default)]
    message_attributes: BTreeMap<String, NotificationAttribute>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NotificationAttribute {
    value: String,
}

/// What `topic_arn` sent with `wire` as the notification of it; `wire` itself if it is none.
pub(super) fn unwrapped(wire: Wire, topic_arn: &str) -> Wire {
    match serde_json::from_str::<Notification>(&wire.body) {
        Ok(found) if found.kind == "Notification" && found.topic_arn == topic_arn => {
            let attributes = found.message_attributes.into_iter();
            Wire {
                body: found.message,
                attributes: attributes.map(|(name, attribute)| (name, attribute.value)).collect(),
            }
        }
        _ => wire,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_legal(wire: &Wire) -> bool {
        let legal = |(name, value): (&String, &String)| {
            (name == EXTRA || is_native(name, value)) && !value.is_empty() && value.chars().all(is_xml)
        };
        !wire.body.is_empty()
            && wire.body.chars().all(is_xml)
            && wire.attributes.len() <= ATTRIBUTES_MAX
            && wire.attributes.iter().all(legal)
    }

    #[test]
    fn what_fits_is_sent_as_it_is() {
        let message = Message::new("{\"specversion\":\"1.0\"}").with_attribute("type", "ü");
        let wire = Wire::of(&message, None);
        assert_eq!(wire.body.as_bytes(), message.body);
        assert_eq!(wire.attributes, message.attributes);
        assert_eq!(wire.bytes(), message.size_bytes() + DATA_TYPE.len());
    }

    #[test]
    fn what_does_not_fit_is_packed() {
        let mut many = Message::new("x");
        for number in 0..20 {
            many = many.with_attribute(format!("n{number}"), "v");
        }
        let awkward = Message::new("x").with_attribute("", "").with_attribute(EXTRA, "mine");
        for message in [
            Message::default(),
            Message::new(vec![0, 255]),
            Message::new("\u{fffe}"),
            Message::new("x").with_attribute("a..b", "\u{ffff}\u{0}\"").with_attribute("AWS.x", "1"),
            awkward,
            many,
        ] {
            let wire = Wire::of(&message, None);
            assert!(is_legal(&wire) && wire.attributes.contains_key(EXTRA), "{wire:?}");
            assert_eq!(wire.read(), (message, None));
        }
    }

    #[test]
    fn a_dead_letter_keeps_its_story() {
        let message = Message::new("x").with_attribute("a", "b");
        let death = Death { reason: "no type\n".to_owned(), receive_count: 3, published_at_ms: Some(7) };
        let wire = Wire::of(&message, Some(&death));
        assert!(is_legal(&wire));
        assert_eq!(wire.read(), (message, Some(death)));
    }

    #[test]
    fn what_others_send_is_handed_out_as_it_came() {
        for extra in ["not JSON", "{\"body\":\"zstd\"}", "{\"body\":\"base64\"}"] {
            let attributes = BTreeMap::from([(EXTRA.to_owned(), extra.to_owned())]);
            let wire = Wire { body: "not base64".to_owned(), attributes: attributes.clone() };
            assert_eq!(wire.read().0, Message { body: "not base64".into(), attributes });
        }
    }

    #[test]
    fn a_notification_of_our_topic_is_unwrapped() {
        let body = r#"{"Type":"Notification","MessageId":"m","TopicArn":"arn:t","Subject":"s","Message":"hello",
            "MessageAttributes":{"type":{"Type":"String","Value":"greeting"}}}"#;
        let wire = Wire { body: body.to_owned(), attributes: BTreeMap::new() };
        let inner = unwrapped(wire.clone(), "arn:t");
        assert_eq!(inner.body, "hello");
        assert_eq!(inner.attributes, BTreeMap::from([("type".to_owned(), "greeting".to_owned())]));
        assert_eq!(unwrapped(wire.clone(), "arn:other"), wire, "another topic's is somebody else's business");
        let plain = Wire { body: "hello".to_owned(), attributes: BTreeMap::new() };
        assert_eq!(unwrapped(plain.clone(), "arn:t"), plain);
    }

    proptest! {
        #[test]
        fn every_message_survives(
            body in proptest::collection::vec(any::<u8>(), 0..40),
            text in any::<String>(),
            attributes in proptest::collection::btree_map("[a-c.\u{fffe}]{0,3}", any::<String>(), 0..16),
            textual in any::<bool>(),
        ) {
            let body = if textual { Bytes::from(text) } else { Bytes::from(body) };
            let message = Message { body, attributes };
            let wire = Wire::of(&message, None);
            prop_assert!(is_legal(&wire), "{:?}", wire);
            prop_assert_eq!(wire.read().0, message);
        }
    }
}
