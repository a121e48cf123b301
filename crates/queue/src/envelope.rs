//! The envelope: a `CloudEvents` 1.0 event in the structured JSON format.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::rfc3339;

/// Largest encoded envelope, in bytes. 256 KiB was the largest message of SQS for its first nineteen years, and no
/// broker that we speak to allows less by default; more would tie a deployment to its broker.
pub const ENVELOPE_BYTES_MAX: usize = 256 * 1024;

const SPECVERSION: &str = "1.0";

/// The media type that `data` has unless `datacontenttype` says otherwise.
pub const DATA_CONTENT_TYPE_DEFAULT: &str = "application/json";

/// One event, as other languages read it too.
///
/// Decoding keeps what it does not know: an attribute that a newer version or another system added is in
/// [`extensions`](Self::extensions), and is encoded again.
///
/// ```
/// use antiphon_queue::{Envelope, EnvelopeData};
///
/// let mut envelope = Envelope::new("7f3a", "/comments/eu-1", "antiphon.tallies");
/// envelope.deployment = Some("d41d8cd9".to_owned());
/// envelope.data = EnvelopeData::Json(serde_json::json!({ "part/1": 5 }));
/// let bytes = envelope.encode();
/// assert_eq!(Envelope::decode(&bytes).unwrap(), envelope);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// With [`source`](Self::source) it names the event: the same event sent twice has the same id. Not empty.
    pub id: String,
    /// Where it happened, a URI reference such as `/comments/eu-1`. Not empty.
    pub source: String,
    /// What happened, the attribute `type`: what a router routes on. Not empty.
    pub event_type: String,
    /// When it happened, RFC 3339; see [`rfc3339::format`].
    pub time: Option<String>,
    /// The media type of the data; absent means [`DATA_CONTENT_TYPE_DEFAULT`].
    pub datacontenttype: Option<String>,
    /// What it happened to.
    pub subject: Option<String>,
    /// The deployment it belongs to, an extension attribute of ours. Events of others do not have it.
    pub deployment: Option<String>,
    /// Every other attribute: strings, booleans and integers.
    pub extensions: BTreeMap<String, Value>,
    /// The content.
    pub data: EnvelopeData,
}

/// The content of an [`Envelope`].
#[derive(Debug, Clone, PartialEq, Default)]
pub enum EnvelopeData {
    /// There is none.
    #[default]
    Absent,
    /// `data`: any JSON value.
    Json(Value),
    /// `data_base64`: bytes, still in base64, kept as they came.
    Base64(String),
}

/// Why bytes are no envelope. **Fix your request**: the same bytes will never decode, so a consumer puts them aside.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// Larger than [`ENVELOPE_BYTES_MAX`].
    #[error("an envelope of {bytes} bytes is larger than the {ENVELOPE_BYTES_MAX} allowed")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Not a JSON object.
    #[error("an envelope is a JSON object")]
    NotJson(#[source] serde_json::Error),
    /// An attribute that every event has is not there.
    #[error("the attribute {attribute:?} is missing")]
    Missing {
        /// Its name.
        attribute: &'static str,
    },
    /// An attribute has a value, or a name, that the specification does not allow.
    #[error("the attribute {attribute:?} {why}")]
    Invalid {
        /// Its name.
        attribute: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl Envelope {
    /// An event with its required attributes and nothing else.
    pub fn new(id: impl Into<String>, source: impl Into<String>, event_type: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            source: source.into(),
            event_type: event_type.into(),
            time: None,
            datacontenttype: None,
            subject: None,
            deployment: None,
            extensions: BTreeMap::new(),
            data: EnvelopeData::Absent,
        }
    }

    /// Sets the time, given in milliseconds since the Unix epoch.
    #[must_use]
    pub fn at(mut self, unix_ms: u64) -> Self {
        self.time = Some(rfc3339::format(unix_ms));
        self
    }

    /// When it happened, in milliseconds since the Unix epoch, if it says so.
    pub fn time_ms(&self) -> Option<u64> {
        self.time.as_deref().and_then(rfc3339::parse)
    }

    /// Reads and checks an event.
    pub fn decode(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        if bytes.len() > ENVELOPE_BYTES_MAX {
            return Err(EnvelopeError::TooLarge { bytes: bytes.len() });
        }
        let mut map: Map<String, Value> = serde_json::from_slice(bytes).map_err(EnvelopeError::NotJson)?;
        // `data: null` is data whose value is null; an attribute that is null is one that is not there.
        let data = match (map.remove("data"), map.remove("data_base64")) {
            (Some(_), Some(_)) => return Err(invalid("data_base64", "excludes data")),
            (Some(value), None) => EnvelopeData::Json(value),
            (None, Some(Value::String(text))) if is_base64(&text) => EnvelopeData::Base64(text),
            (None, Some(_)) => return Err(invalid("data_base64", "is not a string in base64")),
            (None, None) => EnvelopeData::Absent,
        };
        map.retain(|_, value| !value.is_null());
        if required(&mut map, "specversion")? != SPECVERSION {
            return Err(invalid("specversion", "is not \"1.0\""));
        }
        let envelope = Self {
            id: required(&mut map, "id")?,
            source: required(&mut map, "source")?,
            event_type: required(&mut map, "type")?,
            time: optional(&mut map, "time")?,
            datacontenttype: optional(&mut map, "datacontenttype")?,
            subject: optional(&mut map, "subject")?,
            deployment: optional(&mut map, "deployment")?,
            extensions: map.into_iter().collect(),
            data,
        };
        envelope.check()?;
        Ok(envelope)
    }

    /// Checks what a decoded envelope has been checked for, except its size. For a publisher that built one by hand.
    pub fn check(&self) -> Result<(), EnvelopeError> {
        for (attribute, value) in [("id", &self.id), ("source", &self.source), ("type", &self.event_type)] {
            if value.is_empty() {
                return Err(invalid(attribute, "is empty"));
            }
        }
        for (attribute, value) in [
            ("time", &self.time),
            ("datacontenttype", &self.datacontenttype),
            ("subject", &self.subject),
            ("deployment", &self.deployment),
        ] {
            if value.as_deref() == Some("") {
                return Err(invalid(attribute, "is empty"));
            }
        }
        if self.time.as_deref().is_some_and(|time| rfc3339::parse(time).is_none()) {
            return Err(invalid("time", "is no RFC 3339 timestamp"));
        }
        for (name, value) in &self.extensions {
            if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            {
                return Err(invalid(name, "has a name that is not made of a-z and 0-9"));
            }
            if KNOWN.contains(&name.as_str()) {
                return Err(invalid(name, "is no extension"));
            }
            if !(value.is_string() || value.is_boolean() || value.is_i64() || value.is_u64()) {
                return Err(invalid(name, "is no string, boolean or integer"));
            }
        }
        Ok(())
    }

    /// Writes the event, its attributes in the order of their names, so that equal events have equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut members: BTreeMap<&str, String> =
            self.extensions.iter().map(|(name, value)| (name.as_str(), value.to_string())).collect();
        let text = |text: &str| Value::from(text).to_string();
        members.insert("id", text(&self.id));
        members.insert("source", text(&self.source));
        members.insert("specversion", text(SPECVERSION));
        members.insert("type", text(&self.event_type));
        for (name, value) in [
            ("time", &self.time),
            ("datacontenttype", &self.datacontenttype),
            ("subject", &self.subject),
            ("deployment", &self.deployment),
        ] {
            if let Some(value) = value {
                members.insert(name, text(value));
            }
        }
        match &self.data {
            EnvelopeData::Absent => None,
            EnvelopeData::Json(value) => members.insert("data", value.to_string()),
            EnvelopeData::Base64(value) => members.insert("data_base64", text(value)),
        };
        let mut out = String::from("{");
        for (index, (name, value)) in members.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            out.push_str(&text(name));
            out.push(':');
            out.push_str(value);
        }
        out.push('}');
        out.into_bytes()
    }
}

/// Names with a field of their own, or none in this version.
const KNOWN: [&str; 9] =
    ["id", "source", "specversion", "type", "time", "datacontenttype", "subject", "deployment", "data"];

fn invalid(attribute: &str, why: &'static str) -> EnvelopeError {
    EnvelopeError::Invalid { attribute: attribute.to_owned(), why }
}

fn required(map: &mut Map<String, Value>, attribute: &'static str) -> Result<String, EnvelopeError> {
    optional(map, attribute)?.ok_or(EnvelopeError::Missing { attribute })
}

fn optional(map: &mut Map<String, Value>, attribute: &'static str) -> Result<Option<String>, EnvelopeError> {
    match map.remove(attribute) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(invalid(attribute, "is no string")),
    }
}

/// RFC 4648 §4, padded: its alphabet and shape. The bits are left to whoever decodes it.
fn is_base64(text: &str) -> bool {
    let body = text.strip_suffix("==").or_else(|| text.strip_suffix('=')).unwrap_or(text);
    text.len().is_multiple_of(4)
        && body.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/')
}
