//! The outbox: marks of the rows that are still to be announced.
//!
//! A mark says *that* a row changed, never *what*: the relay reads the row as it is when it sends, so a row that
//! changed a thousand times since the last send costs one message. Its version is the sequence number of the group
//! that marked it, and clearing compares it, so that a change between reading and clearing is announced again.

use crate::engine::{Pair, SCAN_PAIRS_MAX, Scan};
use crate::key::OUTBOX_TAG;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Bound;

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

/// The most marks of a topic that are mirrored in memory (about 100 bytes each); those beyond them wait on the disk.
pub const MIRROR_MARKS_MAX: usize = 65_536;

/// `0x01`, topic, `0x00`, row key. Topics hold no zero byte, so the marks of a topic are one range.
pub(crate) fn mark_key(topic: &str, row: &[u8]) -> Vec<u8> {
    debug_assert!(!topic.contains('\0'), "topic names are plain text");
    [&[OUTBOX_TAG], topic.as_bytes(), &[0], row].concat()
}

/// The topic of a mark's key.
pub(crate) fn topic_of(key: &[u8]) -> Option<&str> {
    let rest = key.strip_prefix(&[OUTBOX_TAG])?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    std::str::from_utf8(rest.get(..end)?).ok()
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
    let topic = topic_of(key)?;
    // Behind the tag, the topic and its zero byte.
    let row = key.get(topic.len() + 2..)?;
    let (version, since_ms) = parse_value(value)?;
    Some(Mark { topic: topic.to_owned(), row: Bytes::copy_from_slice(row), version, since_ms })
}

/// The marks that are committed, in memory: the relay looks every few milliseconds, and the range on the disk is full
/// of tombstones.
#[derive(Debug, Default)]
pub(crate) struct Mirror {
    topics: BTreeMap<Vec<u8>, Topic>,
}

/// The marks of one topic, by their keys. Bounded: what does not fit is read from the disk as room comes.
///
/// Both ways round: what is handed out goes on behind what was handed out last, and a sweep of the disk behind where
/// the last one stopped. So a row that is marked again in every round, or that can never be sent, holds back no other.
#[derive(Debug, Default)]
struct Topic {
    marks: BTreeMap<Bytes, Bytes>,
    /// The last key that was handed out.
    handed_out: Bytes,
    /// There may be marks on the disk that are not in here.
    spilled: bool,
    /// Something was spilled since the sweep of the disk began: it needs another one.
    spilled_in_sweep: bool,
    /// Where the sweep stopped; empty at its beginning.
    swept: Bytes,
}

impl Topic {
    fn changed(&mut self, key: &[u8], value: Option<&Bytes>) {
        match value {
            Some(value) if self.marks.len() < MIRROR_MARKS_MAX || self.marks.contains_key(key) => {
                self.marks.insert(Bytes::copy_from_slice(key), value.clone());
            }
            Some(_) => (self.spilled, self.spilled_in_sweep) = (true, true),
            None => {
                self.marks.remove(key);
            }
        }
    }

    /// The next stretch of the disk to look at, where there is need of it and room for it.
    fn sweep(&self, prefix: &[u8]) -> Option<Scan> {
        let room = self.marks.len() + SCAN_PAIRS_MAX <= MIRROR_MARKS_MAX;
        let scan = Scan::prefix(prefix);
        (self.spilled && room).then(|| if self.swept.is_empty() { scan } else { scan.after(&self.swept) })
    }

    /// Takes what the sweep found.
    fn swept(&mut self, found: Vec<Pair>) {
        if self.swept.is_empty() {
            self.spilled_in_sweep = false;
        }
        if found.len() < SCAN_PAIRS_MAX {
            self.spilled = self.spilled_in_sweep;
            self.swept = Bytes::new();
        } else if let Some((last, _)) = found.last() {
            self.swept = last.clone();
        }
        self.marks.extend(found);
    }

    fn next(&mut self, limit: usize) -> Vec<Mark> {
        let behind = (Bound::Excluded(self.handed_out.as_ref()), Bound::Unbounded);
        let before = (Bound::Unbounded, Bound::Included(self.handed_out.as_ref()));
        let round = self.marks.range::<[u8], _>(behind).chain(self.marks.range::<[u8], _>(before));
        let pairs: Vec<Pair> = round.take(limit).map(|(key, value)| (key.clone(), value.clone())).collect();
        if let Some((last, _)) = pairs.last() {
            self.handed_out = last.clone();
        }
        pairs.iter().filter_map(parse).collect()
    }
}

impl Mirror {
    /// A mark was committed (`Some`) or cleared (`None`).
    pub(crate) fn changed(&mut self, key: &[u8], value: Option<&Bytes>) {
        let topic = key.iter().position(|byte| *byte == 0).and_then(|end| key.get(..=end));
        if let Some(topic) = topic {
            self.topics.entry(topic.to_vec()).or_default().changed(key, value);
        }
    }

    /// What has to be read from the disk before [`Mirror::next`] tells everything.
    pub(crate) fn sweep(&self, topic: &str) -> Option<Scan> {
        let prefix = mark_key(topic, &[]);
        self.topics.get(&prefix)?.sweep(&prefix)
    }

    /// Takes what was read.
    pub(crate) fn swept(&mut self, topic: &str, found: Vec<Pair>) {
        self.topics.entry(mark_key(topic, &[])).or_default().swept(found);
    }

    /// The next marks of a topic, in key order from behind those that were handed out last, round and round.
    pub(crate) fn next(&mut self, topic: &str, limit: usize) -> Vec<Mark> {
        self.topics.get_mut(&mark_key(topic, &[])).map_or_else(Vec::new, |topic| topic.next(limit))
    }

    /// How many marks are known, and whether there are more on the disk.
    pub(crate) fn depth(&self) -> (usize, bool) {
        let known = self.topics.values().map(|topic| topic.marks.len()).sum();
        (known, self.topics.values().any(|topic| topic.spilled))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: usize) -> Vec<u8> {
        mark_key("t", &u64::try_from(n).unwrap().to_be_bytes())
    }

    fn rows(marks: &[Mark]) -> Vec<usize> {
        let row = |mark: &Mark| u64::from_be_bytes(mark.row.as_ref().try_into().unwrap());
        marks.iter().map(|mark| usize::try_from(row(mark)).unwrap()).collect()
    }

    #[test]
    fn marks_round_trip_and_topics_do_not_mix() {
        let mut mirror = Mirror::default();
        let value = value(7, 9);
        mirror.changed(&mark_key("a", &[0x10, 0, 1]), Some(&value));
        mirror.changed(&mark_key("ab", &[0x10]), Some(&value));
        let mark =
            Mark { topic: "a".into(), row: Bytes::from_static(&[0x10, 0, 1]), version: 7, since_ms: 9 };
        assert_eq!(mirror.next("a", 9), [mark]);
        assert_eq!(mirror.depth(), (2, false));
        mirror.changed(&mark_key("a", &[0x10, 0, 1]), None);
        assert_eq!(mirror.next("a", 9), []);
    }

    #[test]
    fn a_mark_that_stays_holds_back_no_other() {
        let mut mirror = Mirror::default();
        for n in 0..5 {
            mirror.changed(&key(n), Some(&value(1, 9)));
        }
        assert_eq!(rows(&mirror.next("t", 2)), [0, 1]);
        assert_eq!(rows(&mirror.next("t", 2)), [2, 3]);
        assert_eq!(rows(&mirror.next("t", 2)), [4, 0], "round and round");
        assert_eq!(rows(&mirror.next("t", 9)), [1, 2, 3, 4, 0], "each once");
    }

    /// The disk, in a map: whatever does not fit is found again, though one row is marked anew in every round.
    #[test]
    fn what_does_not_fit_is_announced_though_another_row_never_rests() {
        const MARKS: usize = MIRROR_MARKS_MAX + 12_345;
        let (mut mirror, mut disk) = (Mirror::default(), BTreeMap::new());
        let mark = |mirror: &mut Mirror, disk: &mut BTreeMap<Vec<u8>, Bytes>, n| {
            disk.insert(key(n), value(1, 9));
            mirror.changed(&key(n), Some(&value(1, 9)));
        };
        for n in 0..MARKS {
            mark(&mut mirror, &mut disk, n);
        }
        assert_eq!(mirror.depth(), (MIRROR_MARKS_MAX, true));
        let mut announced = std::collections::BTreeSet::new();
        for _ in 0..2 * MARKS / 1000 {
            if let Some(scan) = mirror.sweep("t") {
                let from = (scan.from.clone(), Bound::Unbounded);
                let found = disk.range::<Vec<u8>, _>(from).take(SCAN_PAIRS_MAX);
                let found = found.map(|(key, value)| (Bytes::copy_from_slice(key), value.clone())).collect();
                mirror.swept("t", found);
            }
            for n in rows(&mirror.next("t", 1000)) {
                announced.insert(n);
                disk.remove(&key(n));
                mirror.changed(&key(n), None);
            }
            mark(&mut mirror, &mut disk, 0);
        }
        assert_eq!(announced.len(), MARKS);
        assert_eq!((disk.len(), mirror.depth()), (1, (1, false)));
    }
}
