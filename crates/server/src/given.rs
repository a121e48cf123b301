//! A broker's URL as it was given.

use queue::{QueueError, QueueUrl};
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

/// The URL of a queue from the command line or the environment.
///
/// Reading it never fails: what is wrong with it is told by [`url`](Self::url). The parser of the command line would
/// show the whole text, with its password, in its own complaint.
#[derive(Clone)]
pub(crate) struct GivenUrl {
    text: String,
    read: Result<QueueUrl, QueueError>,
}

impl GivenUrl {
    /// What was given.
    pub(crate) fn url(&self) -> Result<&QueueUrl, QueueError> {
        self.read.as_ref().map_err(Clone::clone)
    }

    /// Whether this broker keeps nothing, so that what nobody hears is lost: core NATS.
    pub(crate) fn loses(&self) -> bool {
        self.read.as_ref().is_ok_and(|url| url.scheme().starts_with("nats-core"))
    }

    /// The text itself, password and all: for the environment of a process of our own, and nothing else.
    pub(crate) fn secret_text(&self) -> &str {
        &self.text
    }

    /// The same URL with a prefix, if it has none.
    pub(crate) fn with_prefix(&self, prefix: &str) -> Self {
        if self.read.as_ref().is_ok_and(|url| url.prefix().is_some()) {
            return self.clone();
        }
        let sign = if self.text.contains('?') { '&' } else { '?' };
        let text = format!("{}{sign}prefix={prefix}", self.text);
        Self { read: text.parse(), text }
    }
}

impl FromStr for GivenUrl {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self { text: text.to_owned(), read: text.parse() })
    }
}

impl fmt::Debug for GivenUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.read.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(text: &str) -> GivenUrl {
        let Ok(given) = text.parse();
        given
    }

    #[test]
    fn a_prefix_is_added_once() {
        for (text, with) in [
            ("nats://h:4222", "nats://h:4222?prefix=p"),
            ("nats://h:4222?replicas=3", "nats://h:4222?replicas=3&prefix=p"),
            ("nats://h:4222?prefix=mine", "nats://h:4222?prefix=mine"),
        ] {
            assert_eq!(given(text).with_prefix("p").secret_text(), with);
            assert!(given(text).with_prefix("p").url().unwrap().prefix().is_some());
        }
    }

    #[test]
    fn no_password_is_shown() {
        let wrong = given("amqp://me:secret@h?prefix=NO");
        assert!(!format!("{wrong:?}").contains("secret"));
        assert!(!wrong.url().unwrap_err().to_string().contains("secret"));
        assert!(!format!("{:?}", given("amqp://me:secret@h")).contains("secret"));
    }
}
