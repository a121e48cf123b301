//! What a message is, and how it becomes bytes: one byte of version, the length of a JSON header (`u32` big-endian), the
//! header, and then the body as it came. Fields may be added to the header; an old reader skips them.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::error::{SqsError, SqsResult};

const VERSION: u8 = 1;

/// The value of a message attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AttributeValue {
    /// Of the types `String` and `Number`.
    Text(String),
    /// Of the type `Binary`.
    Binary(Vec<u8>),
}

/// A message attribute: a value, and its type with whatever label the sender put behind it (`Number.int`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attribute {
    /// `String`, `Number` or `Binary`, and perhaps a dot and a label.
    pub(crate) data_type: String,
    /// The value.
    pub(crate) value: AttributeValue,
}

/// A message as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    /// Minted when it was accepted.
    pub(crate) message_id: String,
    /// What was sent.
    pub(crate) body: String,
    /// The sender's attributes.
    pub(crate) attributes: BTreeMap<String, Attribute>,
    /// The system attribute `AWSTraceHeader`.
    pub(crate) trace_header: Option<String>,
    /// Given, or made of the body; FIFO queues only.
    pub(crate) dedup_id: Option<String>,
    /// The ARN of the queue that it was dead-lettered from.
    pub(crate) dead_letter_source: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    message_id: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<String, StoredAttribute>,
    #[serde(rename = "trace_header", default, skip_serializing_if = "Option::is_none")]
    trace: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dedup_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dead_letter_source: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct StoredAttribute {
    #[serde(rename = "type")]
    data_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

impl StoredAttribute {
    fn of(attribute: &Attribute) -> Self {
        let data_type = attribute.data_type.clone();
        match &attribute.value {
            AttributeValue::Text(text) => Self { data_type, text: Some(text.clone()), base64: None },
            AttributeValue::Binary(bytes) => {
                Self { data_type, text: None, base64: Some(STANDARD.encode(bytes)) }
            }
        }
    }

    fn read(self) -> Result<Attribute, String> {
        let value = match (self.text, self.base64) {
            (Some(text), None) => AttributeValue::Text(text),
            (None, Some(coded)) => {
                AttributeValue::Binary(STANDARD.decode(coded).map_err(|error| error.to_string())?)
            }
            _ => return Err("an attribute has no value, or two".into()),
        };
        Ok(Attribute { data_type: self.data_type, value })
    }
}

impl Content {
    pub(super) fn encode(&self) -> SqsResult<Bytes> {
        let header = Header {
            message_id: self.message_id.clone(),
            attributes: self
                .attributes
                .iter()
                .map(|(name, value)| (name.clone(), StoredAttribute::of(value)))
                .collect(),
            trace: self.trace_header.clone(),
            dedup_id: self.dedup_id.clone(),
            dead_letter_source: self.dead_letter_source.clone(),
        };
        let header = serde_json::to_vec(&header).map_err(|error| SqsError::damaged("a message", error))?;
        let header_len =
            u32::try_from(header.len()).map_err(|error| SqsError::damaged("a message", error))?;
        Ok([&[VERSION], &header_len.to_be_bytes()[..], &header, self.body.as_bytes()].concat().into())
    }

    pub(super) fn decode(bytes: &[u8]) -> SqsResult<Self> {
        Self::read(bytes).map_err(|detail| SqsError::damaged("a message", detail))
    }

    fn read(bytes: &[u8]) -> Result<Self, String> {
        let short = || "it is too short".to_owned();
        let (version, rest) = bytes.split_first().ok_or_else(short)?;
        if *version != VERSION {
            return Err(format!("its version is {version}, and {VERSION} is known"));
        }
        let (header_len, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        let header_len =
            usize::try_from(u32::from_be_bytes(*header_len)).map_err(|error| error.to_string())?;
        let (header, body) = rest.split_at_checked(header_len).ok_or_else(short)?;
        let header: Header = serde_json::from_slice(header).map_err(|error| error.to_string())?;
        let attributes = header.attributes.into_iter();
        Ok(Self {
            message_id: header.message_id,
            body: std::str::from_utf8(body).map_err(|error| error.to_string())?.to_owned(),
            attributes: attributes
                .map(|(name, value)| Ok((name, value.read()?)))
                .collect::<Result<_, String>>()?,
            trace_header: header.trace,
            dedup_id: header.dedup_id,
            dead_letter_source: header.dead_letter_source,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content() -> Content {
        let text = Attribute { data_type: "String.x".into(), value: AttributeValue::Text("t".into()) };
        let bytes = Attribute { data_type: "Binary".into(), value: AttributeValue::Binary(vec![0, 255]) };
        Content {
            message_id: "id".into(),
            body: "body ✓".into(),
            attributes: BTreeMap::from([("a".into(), text), ("b".into(), bytes)]),
            trace_header: Some("Root=1".into()),
            dedup_id: None,
            dead_letter_source: None,
        }
    }

    #[test]
    fn reads_what_it_writes_and_what_was_written_first() {
        assert_eq!(Content::decode(&content().encode().unwrap()).unwrap(), content());
        let old = b"\x01\x00\x00\x00\x12{\"message_id\":\"m\"}hello";
        assert_eq!(Content::decode(old).unwrap().body, "hello");
        let newer = b"\x01\x00\x00\x00\x18{\"message_id\":\"m\",\"x\":1}hi";
        assert_eq!(Content::decode(newer).unwrap().body, "hi");
    }

    #[test]
    fn damage_is_an_error() {
        let whole = content().encode().unwrap();
        for cut in 0..whole.len() - content().body.len() {
            assert!(Content::decode(&whole[..cut]).is_err(), "cut at {cut}");
        }
        assert!(Content::decode(b"\x02\x00\x00\x00\x00").unwrap_err().message.contains("version"));
    }
}
