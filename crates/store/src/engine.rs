//! The port that storage engines implement, and what is common to them.

use crate::error::StoreError;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

#[cfg(feature = "fjall")]
pub mod fjall;
#[cfg(feature = "fjall")]
mod folder;
#[cfg(feature = "fjall")]
mod journal;
pub mod memory;
#[cfg(any(test, feature = "conformance"))]
pub mod remote;

/// A stored key and its value.
pub type Pair = (Bytes, Bytes);

/// What one commit changes, in key order: a value, or `None` for a removal.
pub type Batch = BTreeMap<Vec<u8>, Option<Bytes>>;

/// When a commit may return.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// When the operating system has it: survives the process, not the machine.
    Relaxed,
    /// When it is on the disk: survives the machine.
    Synced,
}

/// What a snapshot knows of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// The row, or that there is none.
    Known(Option<Bytes>),
    /// It would take a round trip: ask [`Snapshot::load`], for all keys of the group at once.
    Unloaded,
}

/// A range of keys to read, in order, forwards or backwards.
#[derive(Debug, Clone)]
pub struct Scan {
    /// Where the range begins.
    pub from: Bound<Vec<u8>>,
    /// Where it ends.
    pub to: Bound<Vec<u8>>,
    /// Greatest key first.
    pub reverse: bool,
    /// At most so many pairs; at most [`SCAN_PAIRS_MAX`].
    pub limit: usize,
}

/// The most pairs that one scan returns. Whoever wants more asks again from the last key.
pub const SCAN_PAIRS_MAX: usize = 10_000;

impl Scan {
    /// Every key that starts with `prefix`, in order.
    pub fn prefix(prefix: &[u8]) -> Self {
        Self {
            from: Bound::Included(prefix.to_vec()),
            to: after_prefix(prefix).map_or(Bound::Unbounded, Bound::Excluded),
            reverse: false,
            limit: SCAN_PAIRS_MAX,
        }
    }

    /// Greatest key first.
    #[must_use]
    pub fn reversed(mut self) -> Self {
        self.reverse = true;
        self
    }

    /// At most `limit` pairs.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit.min(SCAN_PAIRS_MAX);
        self
    }

    /// Goes on behind `key`, the last one of the page before, in the scan's direction.
    #[must_use]
    pub fn after(mut self, key: &[u8]) -> Self {
        if self.reverse {
            self.to = Bound::Excluded(key.to_vec());
        } else {
            self.from = Bound::Excluded(key.to_vec());
        }
        self
    }

    /// True when no key can be in the range: engines may panic on such bounds, so nobody asks them.
    pub fn is_empty(&self) -> bool {
        let (from, open_from) = match &self.from {
            Bound::Unbounded => return false,
            Bound::Included(key) => (key, false),
            Bound::Excluded(key) => (key, true),
        };
        let (to, open_to) = match &self.to {
            Bound::Unbounded => return false,
            Bound::Included(key) => (key, false),
            Bound::Excluded(key) => (key, true),
        };
        from > to || (from == to && (open_from || open_to))
    }
}

/// The first key behind every key that starts with `prefix`; `None` where there is none.
fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}

/// An ordered map of bytes with atomic commits and snapshots.
///
/// **The engine owes**: a commit is all or nothing, also across a crash; [`Durability::Synced`] returns only when the
/// batch, and every batch before it, survives a power cut; nothing of a batch is in any snapshot before its commit has
/// returned, and all of it is in every snapshot taken afterwards. An engine that cannot say whether a commit happened
/// answers [`StoreError::Stopped`] to it and to every later one. An engine that knows that it did *not* happen, and
/// can go on, answers [`StoreError::DiskFull`].
///
/// **The caller owes**: one commit at a time. The group commit is the only caller; commits block its thread.
pub trait Engine: Send + Sync + std::fmt::Debug + 'static {
    /// What is committed now, unchanged by later commits. Short-lived: it holds back clean-up.
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError>;
    /// Stores a batch, blocking until `durability` is reached.
    fn commit(&self, batch: Batch, durability: Durability) -> Result<(), StoreError>;
}

/// A committed state.
pub trait Snapshot: Send + Sync + std::fmt::Debug {
    /// One key. An engine in this process always knows.
    fn get(&self, key: &[u8]) -> Result<Lookup, StoreError>;
    /// Many keys in one round trip, in the order asked.
    fn load(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Bytes>>, StoreError>;
    /// A range.
    fn scan(&self, scan: &Scan) -> Result<Vec<Pair>, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_the_next_one() {
        assert_eq!(after_prefix(&[1, 2]), Some(vec![1, 3]));
        assert_eq!(after_prefix(&[1, 0xff]), Some(vec![2]));
        assert_eq!(after_prefix(&[0xff, 0xff]), None);
        assert_eq!(after_prefix(&[]), None);
    }

    #[test]
    fn empty_ranges_are_known_as_such() {
        let scan = Scan::prefix(&[1]);
        assert!(!scan.is_empty());
        assert!(Scan { to: Bound::Excluded(vec![1]), ..scan.clone() }.is_empty());
        assert!(Scan { to: Bound::Included(vec![0]), ..scan.clone() }.is_empty());
        assert!(!Scan { to: Bound::Included(vec![1]), ..scan }.is_empty());
    }
}
