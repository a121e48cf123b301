//! What is published, and what is handed out.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use tokio::time::Instant;

use crate::{ENVELOPE_BYTES_MAX, PublishError};

/// What a publisher sends: bytes, and a few text attributes beside them.
///
/// Body and attributes together measure at most [`ENVELOPE_BYTES_MAX`] bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// The content, usually an encoded [`Envelope`](crate::Envelope). Any bytes, also none.
    pub body: Bytes,
    /// What a broker may show or filter on without reading the body.
    pub attributes: BTreeMap<String, String>,
}

impl Message {
    /// A message without attributes.
    pub fn new(body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), attributes: BTreeMap::new() }
    }

    /// Adds an attribute, replacing one of that name.
    #[must_use]
    pub fn with_attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.insert(name.into(), value.into());
        self
    }

    /// Size in bytes as brokers count it: the body, and the names and values of the attributes.
    pub fn size_bytes(&self) -> usize {
        self.body.len() + self.attributes.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
    }

    /// Refuses what is larger than [`ENVELOPE_BYTES_MAX`]. Every backend calls it before it publishes, so that all
    /// refuse the same messages.
    pub fn check_size(&self) -> Result<(), PublishError> {
        self.check_against(ENVELOPE_BYTES_MAX, "an envelope")
    }

    /// Refuses what is larger than `bytes_max`, a broker's own limit.
    pub(crate) fn check_against(&self, bytes_max: usize, limit: &'static str) -> Result<(), PublishError> {
        let bytes = self.size_bytes();
        if bytes > bytes_max { Err(PublishError::TooLarge { bytes, bytes_max, limit }) } else { Ok(()) }
    }
}

/// One hand-out of a message: ours until its lease runs out.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// What was published.
    pub message: Message,
    /// How often the broker handed this message out, this time included: at least 1. A lower bound, since a broker
    /// may forget hand-outs in a crash. It also counts hand-outs whose answer never reached a consumer.
    pub receive_count: u32,
    /// When the broker accepted it, in milliseconds since the Unix epoch on *its* clock, if it says so.
    pub published_at_ms: Option<u64>,
    /// Until when it is ours.
    pub lease: Lease,
    /// What settles or extends it.
    pub receipt: Receipt,
}

/// The time for which a delivery is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// When it goes to somebody else unless it is extended; `None`: it stays ours while we are connected.
    pub expires_at: Option<Instant>,
}

impl Lease {
    /// A lease until `expires_at`.
    pub fn until(expires_at: Instant) -> Self {
        Self { expires_at: Some(expires_at) }
    }

    /// A lease that does not run out by itself.
    pub fn unbounded() -> Self {
        Self { expires_at: None }
    }

    /// Whether it has run out at `now`. From the very instant `expires_at` on it is no longer ours.
    pub fn is_over(&self, now: Instant) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= now)
    }
}

/// The claim check of one hand-out. Opaque: it means something only to the receiver that gave it. Cheap to clone.
///
/// Each hand-out has its own: the receipt of an earlier hand-out of the same message settles nothing.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Receipt(Bytes);

impl Receipt {
    /// Wraps what a backend needs in order to find the hand-out again.
    pub fn new(token: impl Into<Bytes>) -> Self {
        Self(token.into())
    }

    /// What the backend wrapped.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receipt({})", self.0.escape_ascii())
    }
}
