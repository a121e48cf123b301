//! What the rows of the store hold, apart from the content of messages.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use store::{Abort, View};

use super::keys::{self, QueueId};
use crate::error::{SqsError, SqsResult};

/// How a function inside a write ends early.
pub(super) type Aborted = Abort<SqsError>;

/// What is known of a queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct QueueRow {
    pub(super) id: QueueId,
    /// Those that were set; the others have their default.
    pub(super) attributes: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) tags: BTreeMap<String, String>,
    pub(super) created_s: u64,
    pub(super) modified_s: u64,
}

/// How much a queue holds. Kept in its transactions, so that no count needs a scan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Books {
    /// The next message's number. Taken inside the write, so numbers grow in the order in which they become visible.
    pub(super) next: u64,
    pub(super) live: u64,
    /// Messages with lower numbers are gone, though rows of them may be left.
    pub(super) purged_below: u64,
}

impl Books {
    fn read(bytes: &[u8]) -> Option<Self> {
        let (next, rest) = bytes.split_first_chunk::<8>()?;
        let (live, rest) = rest.split_first_chunk::<8>()?;
        let (purged_below, _) = rest.split_first_chunk::<8>()?;
        let [next, live, purged_below] = [next, live, purged_below].map(|number| u64::from_be_bytes(*number));
        Some(Self { next, live, purged_below })
    }

    pub(super) fn decode(bytes: Option<&Bytes>) -> SqsResult<Self> {
        // A queue is made with its books and deleted with them.
        let bytes = bytes.ok_or_else(SqsError::no_queue)?;
        Self::read(bytes).ok_or_else(|| SqsError::damaged("the books of a queue", "they are too short"))
    }

    pub(super) fn load(view: &mut View<'_>, id: QueueId) -> Result<Self, Aborted> {
        let bytes = view.bytes(&keys::books(id))?;
        Self::decode(bytes.as_ref()).map_err(Abort::Refused)
    }

    pub(super) fn store(self, view: &mut View<'_>, id: QueueId) {
        let bytes = [self.next, self.live, self.purged_below].map(u64::to_be_bytes).concat();
        view.set(keys::books(id), bytes);
    }
}

/// Where a message stands: small, and written at every hand-out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// When it was sent, in ms since the epoch; its retention counts from here.
    pub(super) sent_ms: u64,
    /// It is not to be handed out before: the end of its delay, or of its lease.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) visible_ms: u64,
    /// Hand-outs by this queue.
    #[serde(default, skip_serializing_if = "is_none")]
    pub(super) receives: u32,
    /// Hand-outs by the queues that it was dead-lettered from.
    #[serde(default, skip_serializing_if = "is_none")]
    pub(super) receives_before: u32,
    /// When it was first handed out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) first_ms: u64,
    /// Names the last hand-out: receipts of earlier ones are stale, also after a restart. 0 before the first.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) hand_out: u64,
    /// The message group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) group: Option<String>,
}

/// A message that was sent to a FIFO queue a short while ago.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Dedup {
    pub(super) until_ms: u64,
    pub(super) message_id: String,
    pub(super) number: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_none(count: &u32) -> bool {
    *count == 0
}

pub(super) fn decode<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> SqsResult<T> {
    serde_json::from_slice(bytes).map_err(|error| SqsError::damaged(what, error))
}

pub(super) fn encode<T: Serialize>(what: &str, row: &T) -> SqsResult<Vec<u8>> {
    serde_json::to_vec(row).map_err(|error| SqsError::damaged(what, error))
}

pub(super) fn load<T: DeserializeOwned>(
    view: &mut View<'_>,
    what: &str,
    key: &[u8],
) -> Result<Option<T>, Aborted> {
    view.bytes(key)?.map(|bytes| decode(what, &bytes)).transpose().map_err(Abort::Refused)
}

pub(super) fn save<T: Serialize>(
    view: &mut View<'_>,
    what: &str,
    key: Vec<u8>,
    row: &T,
) -> Result<(), Aborted> {
    view.set(key, encode(what, row).map_err(Abort::Refused)?);
    Ok(())
}

impl QueueRow {
    pub(super) const WHAT: &'static str = "a queue";

    pub(super) fn load(view: &mut View<'_>, name: &str) -> Result<Option<Self>, Aborted> {
        load(view, Self::WHAT, &keys::queue(name))
    }
}

impl State {
    pub(super) const WHAT: &'static str = "the state of a message";

    pub(super) fn load(view: &mut View<'_>, id: QueueId, number: u64) -> Result<Option<Self>, Aborted> {
        load(view, Self::WHAT, &keys::state(id, number))
    }

    pub(super) fn save(&self, view: &mut View<'_>, id: QueueId, number: u64) -> Result<(), Aborted> {
        save(view, Self::WHAT, keys::state(id, number), self)
    }

    /// When it is to be gone.
    pub(super) fn expires_ms(&self, retention_ms: u64) -> u64 {
        self.sent_ms.saturating_add(retention_ms)
    }
}

/// Removes a message that is there; the books are the caller's to store.
pub(super) fn remove_message(view: &mut View<'_>, books: &mut Books, id: QueueId, number: u64) {
    view.remove(keys::content(id, number));
    view.remove(keys::state(id, number));
    books.live = books.live.saturating_sub(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes that the first version wrote, and what a later one may add to them.
    #[test]
    fn old_and_newer_rows_are_read() {
        let state = State { sent_ms: 1, ..State::default() };
        assert_eq!(encode(State::WHAT, &state).unwrap(), br#"{"sent_ms":1}"#);
        let newer = br#"{"sent_ms":1,"receives":2,"hand_out":9,"unknown":[]}"#;
        let read: State = decode(State::WHAT, newer).unwrap();
        assert_eq!((read.sent_ms, read.receives, read.hand_out), (1, 2, 9));
        assert!(decode::<State>(State::WHAT, b"{").unwrap_err().message.contains("state of a message"));
        assert_eq!(
            Books::decode(Some(&Bytes::from_static(b"short"))).unwrap_err().kind,
            crate::Kind::Internal
        );
    }
}
