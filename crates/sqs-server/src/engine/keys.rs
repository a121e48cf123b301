//! The keys of the store, all of them. Changing one is a migration.
//!
//! | tag | row | key after the tag | value | lives |
//! |---|---|---|---|---|
//! | `0x10` | queue | its name | JSON [`QueueRow`](super::rows::QueueRow) | until deleted |
//! | `0x11` | books of a queue | queue id | next number, live, purged below: 3 × `u64` big-endian | as its queue |
//! | `0x12` | content of a message | queue id, number | see [`content`](super::content) | until deleted |
//! | `0x13` | state of a message | queue id, number | JSON [`State`](super::rows::State) | as its content |
//! | `0x14` | deduplication id | queue id, half a SHA-256 of the id | JSON [`Dedup`](super::rows::Dedup) | 5 minutes |
//! | `0x15` | when it is forgotten | queue id, ms since the epoch, the hash | nothing | as that |
//! | `0x16` | rows to be removed | queue id, number that they are below | nothing | until that is done |
//! | `0x17` | the next queue id | nothing | `u64` big-endian | for ever |
//!
//! Ids and numbers are `u64` big-endian. A queue that is deleted and made again has a new id, so nothing of the old one
//! comes back. States are rows of their own, so that looking for what is ready reads no bodies, and handing out a large
//! message does not write it again.

use std::ops::Bound;

use store::Scan;
use store::key::{index, read_index};

const QUEUE_TAG: u8 = 0x10;
const BOOKS_TAG: u8 = 0x11;
const CONTENT_TAG: u8 = 0x12;
const STATE_TAG: u8 = 0x13;
const DEDUP_TAG: u8 = 0x14;
const DEDUP_UNTIL_TAG: u8 = 0x15;
const DOOMED_TAG: u8 = 0x16;
const NEXT_ID_TAG: u8 = 0x17;

/// Names a queue in the store.
pub(crate) type QueueId = u64;

pub(super) fn queue(name: &str) -> Vec<u8> {
    [&[QUEUE_TAG], name.as_bytes()].concat()
}

pub(super) fn queues() -> Scan {
    Scan::prefix(&[QUEUE_TAG])
}

pub(super) fn read_queue(key: &[u8]) -> Option<&str> {
    key.split_first().and_then(|(_, name)| std::str::from_utf8(name).ok())
}

pub(super) fn books(id: QueueId) -> Vec<u8> {
    index(BOOKS_TAG, &id)
}

pub(super) fn content(id: QueueId, number: u64) -> Vec<u8> {
    index(CONTENT_TAG, &(id, number))
}

pub(super) fn state(id: QueueId, number: u64) -> Vec<u8> {
    index(STATE_TAG, &(id, number))
}

pub(super) fn states_from(id: QueueId, from: u64, limit: usize) -> Scan {
    Scan {
        from: Bound::Included(state(id, from)),
        to: Bound::Included(state(id, u64::MAX)),
        reverse: false,
        limit,
    }
}

pub(super) fn states_below(id: QueueId, below: u64, limit: usize) -> Scan {
    Scan { from: Bound::Included(state(id, 0)), to: Bound::Excluded(state(id, below)), reverse: false, limit }
}

/// The number at the end of a state's key.
pub(super) fn read_number(key: &[u8]) -> Option<u64> {
    read_index::<(u64, u64)>(STATE_TAG, key).map(|(_, number)| number)
}

pub(super) fn dedup(id: QueueId, hash: u128) -> Vec<u8> {
    index(DEDUP_TAG, &(id, hash))
}

pub(super) fn dedup_until(id: QueueId, until_ms: u64, hash: u128) -> Vec<u8> {
    index(DEDUP_UNTIL_TAG, &((id, until_ms), hash))
}

/// Those of `id` that are over before `before_ms`.
pub(super) fn dedups_before(id: QueueId, before_ms: u64, limit: usize) -> Scan {
    Scan {
        from: Bound::Included(index(DEDUP_UNTIL_TAG, &id)),
        to: Bound::Excluded(index(DEDUP_UNTIL_TAG, &(id, before_ms))),
        reverse: false,
        limit,
    }
}

pub(super) fn read_dedup_until(key: &[u8]) -> Option<u128> {
    read_index::<((u64, u64), u128)>(DEDUP_UNTIL_TAG, key).map(|(_, hash)| hash)
}

pub(super) fn doomed(id: QueueId, below: u64) -> Vec<u8> {
    index(DOOMED_TAG, &(id, below))
}

pub(super) fn all_doomed(limit: usize) -> Scan {
    Scan::prefix(&[DOOMED_TAG]).limit(limit)
}

pub(super) fn read_doomed(key: &[u8]) -> Option<(QueueId, u64)> {
    read_index::<(u64, u64)>(DOOMED_TAG, key)
}

pub(super) fn next_id() -> Vec<u8> {
    vec![NEXT_ID_TAG]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_back_and_sort_by_number() {
        assert_eq!(read_queue(&queue("orders.fifo")), Some("orders.fifo"));
        assert_eq!(read_number(&state(3, 258)), Some(258));
        assert_eq!(read_number(&content(3, 258)), None);
        assert_eq!(read_dedup_until(&dedup_until(1, 2, 3)), Some(3));
        assert_eq!(read_doomed(&doomed(1, u64::MAX)), Some((1, u64::MAX)));
        let mut keys = [state(1, 256), state(2, 0), state(1, 1), state(1, 255)];
        keys.sort();
        assert_eq!(keys, [state(1, 1), state(1, 255), state(1, 256), state(2, 0)]);
        let early = dedup_until(1, 5, u128::MAX);
        let Scan { from: Bound::Included(from), to: Bound::Excluded(to), .. } = dedups_before(1, 6, 9) else {
            panic!("bounds");
        };
        assert!(from < early && early < to && to <= dedup_until(1, 6, 0));
    }
}
