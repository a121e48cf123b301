//! Names of topics and subscriptions.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crate::QueueError;

/// Longest name, in characters. With three names a subscription stays below the 80 characters that SQS gives the
/// name of a queue only if they are short; a backend refuses what does not fit, and says so.
pub const NAME_CHARS_MAX: usize = 64;

/// Lease that a subscription gives unless it is told otherwise.
pub const LEASE_DEFAULT: Duration = Duration::from_secs(30);

/// Longest lease and longest delay of a nack: SQS forgets nothing for longer.
pub const LEASE_MAX: Duration = Duration::from_hours(12);

/// A name that no broker can accept. **Fix your request.**
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name:?} is no name: 1 to {NAME_CHARS_MAX} characters of a-z, 0-9, '-', '_' and '.' are, and a subscription is three of \
     them, topic/service/site"
)]
pub struct NameError {
    name: String,
}

fn checked(name: &str) -> Result<Arc<str>, NameError> {
    let legal = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
    if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.bytes().all(legal) {
        return Err(NameError { name: name.to_owned() });
    }
    Ok(Arc::from(name))
}

/// What messages are published to: 1–64 characters of `[a-z0-9-_.]`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(Arc<str>);

impl Topic {
    /// Checks the name.
    ///
    /// ```
    /// # use antiphon_queue::Topic;
    /// assert_eq!(Topic::new("comments.tallies").unwrap().as_str(), "comments.tallies");
    /// assert!(Topic::new("Comments/Tallies").is_err());
    /// ```
    pub fn new(name: &str) -> Result<Self, NameError> {
        checked(name).map(Self)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Topic {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        Self::new(name)
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Topic({})", self.0)
    }
}

/// Who gets a copy of every message of a topic: one service at one site. Cheap to clone.
///
/// The processes of a site share a subscription, each message going to one of them at a time; another site gets its
/// own copy of everything. It is written `topic/service/site`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subscription {
    topic: Topic,
    service: Arc<str>,
    site: Arc<str>,
}

impl Subscription {
    /// Checks the names of the service and of the site, which obey the rules of a [`Topic`].
    pub fn new(topic: Topic, service: &str, site: &str) -> Result<Self, NameError> {
        Ok(Self { topic, service: checked(service)?, site: checked(site)? })
    }

    /// The topic whose messages it gets.
    pub fn topic(&self) -> &Topic {
        &self.topic
    }

    /// The service that reads it.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The site whose processes share it.
    pub fn site(&self) -> &str {
        &self.site
    }
}

impl FromStr for Subscription {
    type Err = NameError;

    /// Reads `topic/service/site`.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let mut names = text.split('/');
        match (names.next(), names.next(), names.next(), names.next()) {
            (Some(topic), Some(service), Some(site), None) => Self::new(Topic::new(topic)?, service, site),
            _ => Err(NameError { name: text.to_owned() }),
        }
    }
}

impl fmt::Display for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.topic, self.service, self.site)
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subscription({self})")
    }
}

/// How one receiver of a subscription receives.
///
/// It belongs to the receiver, not to what is stored: another process may read the same subscription with another
/// configuration, and what counts for a delivery is that of the receiver that got it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscriptionConfig {
    /// For how long a delivery is ours before it goes to somebody else. At most [`LEASE_MAX`].
    pub lease: Duration,
    /// The broker dead-letters a message instead of handing it out once more than this many times; `None`: never.
    pub receives_max: Option<u32>,
}

impl SubscriptionConfig {
    /// Refuses a lease of zero or longer than [`LEASE_MAX`]. Every backend calls it before it subscribes, so that all
    /// refuse the same.
    pub fn check(&self) -> Result<(), QueueError> {
        if self.lease.is_zero() || self.lease > LEASE_MAX {
            return Err(QueueError::Refused(format!(
                "a lease of {:?} is not between 1 ns and {LEASE_MAX:?}",
                self.lease
            )));
        }
        Ok(())
    }
}

impl Default for SubscriptionConfig {
    fn default() -> Self {
        Self { lease: LEASE_DEFAULT, receives_max: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        let longest = "x".repeat(NAME_CHARS_MAX);
        for good in ["a", "a-b_c.d9", longest.as_str()] {
            assert_eq!(Topic::new(good).unwrap().as_str(), good);
        }
        let too_long = "x".repeat(NAME_CHARS_MAX + 1);
        for bad in ["", "A", "a b", "a/b", "é", too_long.as_str()] {
            assert!(Topic::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_subscription_reads_what_it_writes() {
        let written = Subscription::new(Topic::new("t").unwrap(), "stories", "eu-1").unwrap();
        assert_eq!(written.to_string(), "t/stories/eu-1");
        assert_eq!(written.to_string().parse::<Subscription>().unwrap(), written);
        for bad in ["", "t", "t/s", "t/s/x/y", "t//x"] {
            assert!(bad.parse::<Subscription>().is_err(), "{bad:?}");
        }
    }
}
