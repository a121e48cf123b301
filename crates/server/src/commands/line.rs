//! A message as a line of a file: what `drain` writes and `send` reads.

use super::error::CommandError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use queue::{DeadLetter, Delivery, Message, rfc3339};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{BufRead, Read};

/// Longest line that is read, in bytes: the largest message, with every byte escaped, and room to spare.
const LINE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// One message, as JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Line {
    /// The body, if it is UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<String>,
    /// Else the body in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) body_base64: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) attributes: BTreeMap<String, String>,
    /// When the broker accepted it, if it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) published_at: Option<String>,
    /// How often it was handed out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) receive_count: Option<u32>,
    /// The name of a dead letter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    /// Why it was put aside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

impl From<&Message> for Line {
    fn from(message: &Message) -> Self {
        let (body, body_base64) = match std::str::from_utf8(&message.body) {
            Ok(text) => (Some(text.to_owned()), None),
            Err(_) => (None, Some(STANDARD.encode(&message.body))),
        };
        Self { body, body_base64, attributes: message.attributes.clone(), ..Self::default() }
    }
}

impl From<&Delivery> for Line {
    fn from(delivery: &Delivery) -> Self {
        Self {
            published_at: delivery.published_at_ms.map(rfc3339::format),
            receive_count: Some(delivery.receive_count),
            ..Self::from(&delivery.message)
        }
    }
}

impl From<&DeadLetter> for Line {
    fn from(letter: &DeadLetter) -> Self {
        Self {
            published_at: letter.published_at_ms.map(rfc3339::format),
            receive_count: Some(letter.receive_count),
            id: Some(letter.id.as_str().to_owned()),
            reason: Some(letter.reason.clone()),
            ..Self::from(&letter.message)
        }
    }
}

impl Line {
    /// Writes it, with its line feed.
    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        serde_json::to_writer(&mut *out, self)?;
        out.push(b'\n');
        Ok(())
    }

    /// The message to be sent again: its body and attributes.
    pub(crate) fn message(self) -> Result<Message, String> {
        let body = match (self.body, self.body_base64) {
            (Some(text), None) => text.into_bytes(),
            (None, Some(encoded)) => STANDARD
                .decode(encoded.as_bytes())
                .map_err(|error| format!("its body_base64 is no base64: {error}"))?,
            (None, None) => return Err("it has neither a body nor a body_base64".to_owned()),
            (Some(_), Some(_)) => return Err("it has a body and a body_base64: which is it?".to_owned()),
        };
        Ok(Message { body: body.into(), attributes: self.attributes })
    }
}

/// The lines of an input, each with its number, empty ones left out.
pub(crate) struct Lines<R> {
    input: R,
    from: String,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    /// `from` names the input in errors.
    pub(crate) fn new(input: R, from: impl Into<String>) -> Self {
        Self { input, from: from.into(), number: 0 }
    }

    /// What is wrong with the line that was read last.
    pub(crate) fn wrong(&self, why: impl std::fmt::Display) -> CommandError {
        CommandError::Line { from: self.from.clone(), number: self.number, why: why.to_string() }
    }

    /// The next line, without its line feed.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<u8>>, CommandError> {
        loop {
            let mut line = Vec::new();
            self.number += 1;
            let read = self.input.by_ref().take(LINE_BYTES_MAX + 1).read_until(b'\n', &mut line);
            let read = read.map_err(|error| self.wrong(error))?;
            if u64::try_from(read).unwrap_or(u64::MAX) > LINE_BYTES_MAX {
                return Err(self.wrong(format_args!("it is longer than {LINE_BYTES_MAX} bytes")));
            }
            if read == 0 {
                return Ok(None);
            }
            if line.ends_with(b"\n") {
                line.pop();
            }
            if line.ends_with(b"\r") {
                line.pop();
            }
            if !line.is_empty() {
                return Ok(Some(line));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for body in [&b""[..], b"text \xc3\xa9\n\"", b"\xff\x00\xfe"] {
            let message = Message::new(body.to_vec()).with_attribute("name", "välue");
            let mut out = Vec::new();
            Line::from(&message).write(&mut out).unwrap();
            assert_eq!(out.split_inclusive(|byte| *byte == b'\n').count(), 1, "one line");
            let line: Line = serde_json::from_slice(&out).unwrap();
            assert_eq!(line.message().unwrap(), message);
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let read = |text: &str| serde_json::from_str::<Line>(text).map_err(|e| e.to_string())?.message();
        assert!(read("{}").unwrap_err().contains("neither"));
        assert!(read(r#"{"body":"a","body_base64":"YQ=="}"#).unwrap_err().contains("which"));
        assert!(read(r#"{"body_base64":"?"}"#).unwrap_err().contains("base64"));
        assert!(read(r#"{"body":"a","attribute":{}}"#).unwrap_err().contains("attribute"));
    }

    #[test]
    fn lines_are_numbered_and_bounded() {
        let mut lines = Lines::new(&b"a\n\nb\r\nc"[..], "it");
        let mut read = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            read.push((lines.number, line));
        }
        assert_eq!(read, [(1, b"a".to_vec()), (3, b"b".to_vec()), (4, b"c".to_vec())]);
        let long = vec![b'x'; usize::try_from(LINE_BYTES_MAX).unwrap() + 5];
        let refusal = Lines::new(&long[..], "it").next().unwrap_err().to_string();
        assert!(refusal.contains("it, line 1: it is longer"), "{refusal}");
    }
}
