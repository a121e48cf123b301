//! What a subscriber has, for comparing: its rows, and those that it was sent and did not understand.

use super::pace::REFUSED_MAX;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use store::{KeyRange, StoreError, Sums, Tracked};

/// The rows of one kind at a subscriber.
///
/// A row that it was sent and did not understand (a newer version's) is kept whole elsewhere, and counts here as if it were
/// there: missing it again and again would help nobody. Remembered until it is understood, or until a restart, at which
/// what was kept is tried again.
#[derive(Debug)]
pub(super) struct Look {
    tracked: Tracked,
    /// By key: the fingerprint of what was sent.
    refused: Mutex<BTreeMap<Vec<u8>, Sums>>,
}

impl Look {
    pub(super) fn at(tracked: Tracked) -> Self {
        Self { tracked, refused: Mutex::default() }
    }

    fn refused(&self) -> MutexGuard<'_, BTreeMap<Vec<u8>, Sums>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn range(&self) -> &KeyRange {
        self.tracked.range()
    }

    /// Reads rows until the fingerprints of all are known.
    pub(super) async fn build(&self) -> Result<(), StoreError> {
        while !self.tracked.build()? {
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// A row was sent and not understood.
    pub(super) fn refuse(&self, key: Vec<u8>, state: &[u8]) {
        let print = self.tracked.print(&key, state);
        let mut refused = self.refused();
        if refused.len() < REFUSED_MAX || refused.contains_key(&key) {
            refused.insert(key, print);
        }
    }

    /// A row was sent and merged.
    pub(super) fn accept(&self, keys: impl Iterator<Item = Vec<u8>>) {
        let mut refused = self.refused();
        if !refused.is_empty() {
            for key in keys {
                refused.remove(&key);
            }
        }
    }

    /// The sums of a range; `None` while not every row was read.
    pub(super) fn sums(&self, range: &KeyRange) -> Result<Option<Sums>, StoreError> {
        let Some(mut sums) = self.tracked.sums(range)? else { return Ok(None) };
        let refused: Vec<_> = self.refused().iter().map(|(key, print)| (key.clone(), *print)).collect();
        for (key, print) in refused.into_iter().filter(|(key, _)| range.contains(key)) {
            let here = KeyRange::new(key.clone(), [key.as_slice(), &[0]].concat());
            for (key, state) in self.tracked.rows(&here, 1)? {
                sums = sums.minus(self.tracked.print(&key, &state));
            }
            sums = sums.plus(print);
        }
        Ok(Some(sums))
    }

    /// Its rows, as they are stored.
    pub(super) fn rows(&self, range: &KeyRange, limit: usize) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        self.tracked.rows(range, limit)
    }

    /// About equal pieces of a range.
    pub(super) fn split(&self, range: &KeyRange, pieces: usize) -> Result<Vec<KeyRange>, StoreError> {
        self.tracked.split(range, pieces)
    }
}
