//! The outbox: marks of the rows that are still to be announced.
//!
//! A mark says *that* a row changed, never *what*: the relay reads the row as it is when it sends, so a row that
//! changed a thousand times since the last send costs one message. Its version is the sequence number of the group
//! that marked it, and clearing compares it, so that a change between reading and clearing is announced again.

use crate::engine::{Pair, Scan};
use crate::key::OUTBOX_TAG;
use bytes::Bytes;
use std::collections::BTreeMap;

/// A row to be announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// On which topic.
    pub topic: String,
    /// The row's whole key.
    pub row: Bytes,
    /// The group that marked it last.
    pub version: u64,
    /// When it was marked first since it was announced, in milliseconds since the Unix epoch: how long it waits.
    pub since_ms: u64,
}

/// The most marks that are mirrored in memory (about 100 bytes each); those behind them wait on the disk.
pub const MIRROR_MARKS_MAX: usize = 65_536;

/// `0x01`, topic, `0x00`, row key. Topics hold no zero byte, so the marks of a topic are one range.
pub(crate) fn mark_key(topic: &str, row: &[u8]) -> Vec<u8> {
    debug_assert!(!topic.contains('\0'), "topic names are plain text");
    [&[OUTBOX_TAG], topic.as_bytes(), &[0], row].concat()
}

/// A mark's value: its version, and since when it waits.
pub(crate) fn value(version: u64, since_ms: u64) -> Bytes {
    [version.to_be_bytes(), since_ms.to_be_bytes()].concat().into()
}

/// Reads what [`value`] wrote; more bytes, of a newer version, are passed over.
pub(crate) fn parse_value(bytes: &[u8]) -> Option<(u64, u64)> {
    let (version, rest) = bytes.split_first_chunk::<8>()?;
    let (since_ms, _) = rest.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*version), u64::from_be_bytes(*since_ms)))
}

fn parse((key, value): &Pair) -> Option<Mark> {
    let rest = key.strip_prefix(&[OUTBOX_TAG])?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    let (topic, row) = rest.split_at_checked(end)?;
    let (version, since_ms) = parse_value(value)?;
    Some(Mark {
        topic: std::str::from_utf8(topic).ok()?.to_owned(),
        row: Bytes::copy_from_slice(row.get(1..)?),
        version,
        since_ms,
    })
}

/// The marks that are committed, in memory: the relay looks every few milliseconds, and the range on the disk is full
/// of tombstones. Bounded; what does not fit is read from the disk when the mirror has run empty.
#[derive(Debug, Default)]
pub(crate) struct Mirror {
    marks: BTreeMap<Bytes, Bytes>,
    spilled: bool,
}

impl Mirror {
    /// The scan that fills an empty mirror.
    pub(crate) fn refill_scan() -> Scan {
        Scan::prefix(&[OUTBOX_TAG])
    }

    /// True when there are marks on the disk that the mirror does not hold, and room for them.
    pub(crate) fn wants_refill(&self) -> bool {
        self.spilled && self.marks.is_empty()
    }

    /// Takes what a refill scan found.
    pub(crate) fn refill(&mut self, found: Vec<Pair>) {
        self.spilled = found.len() >= crate::engine::SCAN_PAIRS_MAX;
        self.marks.extend(found);
    }

    /// A mark was committed (`Some`) or cleared (`None`).
    pub(crate) fn changed(&mut self, key: &[u8], value: Option<&Bytes>) {
        match value {
            Some(value) if self.marks.len() < MIRROR_MARKS_MAX || self.marks.contains_key(key) => {
                self.marks.insert(Bytes::copy_from_slice(key), value.clone());
            }
            Some(_) => self.spilled = true,
            None => {
                self.marks.remove(key);
            }
        }
    }

    /// The first marks of a topic, in key order.
    pub(crate) fn first(&self, topic: &str, limit: usize) -> Vec<Mark> {
        let prefix = mark_key(topic, &[]);
        self.marks
            .range::<[u8], _>((std::ops::Bound::Included(prefix.as_slice()), std::ops::Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(&prefix))
            .take(limit)
            .filter_map(|(key, value)| parse(&(key.clone(), value.clone())))
            .collect()
    }

    /// How many marks are known, and whether there are more on the disk.
    pub(crate) fn depth(&self) -> (usize, bool) {
        (self.marks.len(), self.spilled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_round_trip_and_topics_do_not_mix() {
        let mut mirror = Mirror::default();
        let value = value(7, 9);
        mirror.changed(&mark_key("a", &[0x10, 0, 1]), Some(&value));
        mirror.changed(&mark_key("ab", &[0x10]), Some(&value));
        let mark =
            Mark { topic: "a".into(), row: Bytes::from_static(&[0x10, 0, 1]), version: 7, since_ms: 9 };
        assert_eq!(mirror.first("a", 9), [mark]);
        assert_eq!(mirror.depth(), (2, false));
        mirror.changed(&mark_key("a", &[0x10, 0, 1]), None);
        assert_eq!(mirror.first("a", 9), []);
    }

    #[test]
    fn what_does_not_fit_is_read_again_when_the_mirror_is_empty() {
        let mut mirror = Mirror::default();
        let value = value(1, 9);
        let key = |n: usize| mark_key("t", &n.to_be_bytes());
        for n in 0..=MIRROR_MARKS_MAX {
            mirror.changed(&key(n), Some(&value));
        }
        assert_eq!(mirror.depth(), (MIRROR_MARKS_MAX, true));
        assert!(!mirror.wants_refill());
        for n in 0..MIRROR_MARKS_MAX {
            mirror.changed(&key(n), None);
        }
        assert!(mirror.wants_refill());
        mirror.refill(vec![(key(MIRROR_MARKS_MAX).into(), value)]);
        assert_eq!((mirror.depth(), mirror.wants_refill()), ((1, false), false));
    }
}
