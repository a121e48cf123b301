//! Maelstrom's protocol: one JSON object a line, its errors, and what waits to be written.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use std::collections::BTreeMap;

/// A line that came in. What else the envelope holds, such as an `id`, is passed over.
#[derive(Debug, Deserialize)]
pub(crate) struct Incoming {
    pub(crate) src: String,
    /// Where it was sent. Whoever delivered it here meant this node; before `init` it is the only name we know.
    #[serde(default)]
    pub(crate) dest: String,
    pub(crate) body: Fields,
}

/// A body, its values unread: an echo hands them on as they were written.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Fields(BTreeMap<String, Box<RawValue>>);

impl Fields {
    /// The value of a field, or the error that answers the request.
    pub(crate) fn get<T: DeserializeOwned>(&self, key: &str) -> Result<T, Fault> {
        serde_json::from_str(self.raw(key)?.get())
            .map_err(|error| Fault::malformed(format!("the field {key}: {error}")))
    }

    /// The value of a field as it was written.
    pub(crate) fn raw(&self, key: &str) -> Result<&RawValue, Fault> {
        match self.0.get(key) {
            Some(raw) => Ok(raw),
            None => Err(Fault::malformed(format!("the field {key} is missing"))),
        }
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }
}

/// An error of Maelstrom's table. All of these are definite: the operation did not happen and will not.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) code: u32,
    pub(crate) text: String,
}

impl Fault {
    fn new(code: u32, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    pub(crate) fn not_supported(text: impl Into<String>) -> Self {
        Self::new(10, text)
    }

    pub(crate) fn unavailable(text: impl Into<String>) -> Self {
        Self::new(11, text)
    }

    pub(crate) fn malformed(text: impl Into<String>) -> Self {
        Self::new(12, text)
    }

    pub(crate) fn precondition_failed(text: impl Into<String>) -> Self {
        Self::new(22, text)
    }
}

/// A reply's type and its payload: at most one field.
#[derive(Debug)]
pub(crate) struct Reply {
    kind: &'static str,
    payload: Option<(&'static str, Box<RawValue>)>,
}

impl Reply {
    pub(crate) fn bare(kind: &'static str) -> Self {
        Self { kind, payload: None }
    }

    pub(crate) fn with<T: Serialize>(kind: &'static str, key: &'static str, value: T) -> Result<Self, Fault> {
        match to_raw_value(&value) {
            Ok(raw) => Ok(Self { kind, payload: Some((key, raw)) }),
            Err(error) => Err(Fault { code: 14, text: format!("this cannot be written as JSON: {error}") }),
        }
    }
}

/// The lines that wait to be written.
#[derive(Debug, Default)]
pub(crate) struct Outbox(Vec<u8>);

impl Outbox {
    /// Adds one message. Whatever cannot be written as JSON is told on stderr and left out.
    pub(crate) fn send(&mut self, src: &str, dest: &str, body: &impl Serialize) {
        #[derive(Serialize)]
        struct Outgoing<'a, B> {
            src: &'a str,
            dest: &'a str,
            body: &'a B,
        }
        let whole = self.0.len();
        match serde_json::to_writer(&mut self.0, &Outgoing { src, dest, body }) {
            Ok(()) => self.0.push(b'\n'),
            Err(error) => {
                self.0.truncate(whole);
                crate::log(format_args!("a message for {dest} was not written: {error}"));
            }
        }
    }

    /// Answers the request with this id.
    pub(crate) fn reply(&mut self, src: &str, dest: &str, request: i128, outcome: Result<Reply, Fault>) {
        #[derive(Serialize)]
        struct Body {
            r#type: &'static str,
            in_reply_to: i128,
            #[serde(flatten)]
            payload: BTreeMap<&'static str, Box<RawValue>>,
        }
        #[derive(Serialize)]
        struct Refusal {
            r#type: &'static str,
            in_reply_to: i128,
            code: u32,
            text: String,
        }
        match outcome {
            Ok(Reply { kind, payload }) => {
                let payload = payload.into_iter().collect();
                self.send(src, dest, &Body { r#type: kind, in_reply_to: request, payload });
            }
            Err(Fault { code, text }) => {
                self.send(src, dest, &Refusal { r#type: "error", in_reply_to: request, code, text });
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes what waits.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }
}
