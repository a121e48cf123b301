//! What a subscriber has, for comparing: its rows, and those that it was sent and did not understand.

use super::pace::REFUSED_MAX;
use bytes::Bytes;
use lattice::ReplicaId;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};
use store::{KeyRange, StoreError, Sums, Tracked};

/// What was sent and not understood, or not believed, by who sent it and key: its fingerprint.
///
/// Such a row (a newer version's) is kept whole elsewhere, and counts as if it were here for whoever sent it: missing it
/// again and again would help nobody. For nobody else: another publisher has that row otherwise, or has it not. Remembered
/// until it is understood, or until a restart, at which what was kept is tried again.
#[derive(Debug)]
pub(super) struct Refusals {
    tracked: Tracked,
    rows: Mutex<BTreeMap<ReplicaId, Prints>>,
}

type Prints = BTreeMap<Vec<u8>, Sums>;

impl Refusals {
    pub(super) fn of(tracked: Tracked) -> Self {
        Self { tracked, rows: Mutex::default() }
    }

    fn rows(&self) -> MutexGuard<'_, BTreeMap<ReplicaId, Prints>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads rows until the fingerprints of all are known.
    pub(super) async fn build(&self) -> Result<(), StoreError> {
        while !self.tracked.build()? {
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// A row was sent and not understood.
    pub(super) fn refuse(&self, publisher: ReplicaId, key: Vec<u8>, state: &[u8]) {
        let print = self.tracked.print(&key, state);
        let mut rows = self.rows();
        let has_room = rows.values().map(BTreeMap::len).sum::<usize>() < REFUSED_MAX;
        if has_room || rows.get(&publisher).is_some_and(|rows| rows.contains_key(&key)) {
            rows.entry(publisher).or_default().insert(key, print);
        }
    }

    /// A row was sent and merged.
    pub(super) fn accept(&self, publisher: ReplicaId, keys: impl Iterator<Item = Vec<u8>>) {
        if !self.rows().contains_key(&publisher) {
            return;
        }
        let merged: BTreeSet<_> = keys.collect();
        self.forget(publisher, |key| merged.contains(key));
    }

    fn forget(&self, publisher: ReplicaId, is_settled: impl Fn(&[u8]) -> bool) {
        let mut rows = self.rows();
        let Some(refused) = rows.get_mut(&publisher) else { return };
        refused.retain(|key, _| !is_settled(key));
        if refused.is_empty() {
            rows.remove(&publisher);
        }
    }

    /// A publisher tells what it has in these ranges. Where the stored rows alone are just that, what it sent otherwise was
    /// garbled on its way, or is not its any more: that is forgotten.
    pub(super) fn reconsider(
        &self,
        publisher: ReplicaId,
        told: impl Iterator<Item = (KeyRange, Sums)>,
    ) -> Result<(), StoreError> {
        if !self.rows().contains_key(&publisher) {
            return Ok(());
        }
        for (range, there) in told {
            if self.tracked.sums(&range)? == Some(there) {
                self.forget(publisher, |key| range.contains(key));
            }
        }
        Ok(())
    }

    /// What is here, for comparing with a publisher.
    pub(super) fn look(&self, publisher: ReplicaId) -> Look {
        let refused = self.rows().get(&publisher).cloned().unwrap_or_default();
        Look { tracked: self.tracked.clone(), refused }
    }
}

/// The rows of one kind at a subscriber, for comparing with one publisher.
#[derive(Debug)]
pub(super) struct Look {
    tracked: Tracked,
    refused: Prints,
}

impl Look {
    pub(super) fn range(&self) -> &KeyRange {
        self.tracked.range()
    }

    /// The sums of a range; `None` while not every row was read.
    pub(super) fn sums(&self, range: &KeyRange) -> Result<Option<Sums>, StoreError> {
        let Some(mut sums) = self.tracked.sums(range)? else { return Ok(None) };
        let refused =
            self.refused.range::<[u8], _>((Bound::Included(range.from.as_slice()), Bound::Unbounded));
        for (key, print) in refused.take_while(|(key, _)| range.contains(key)) {
            let here = KeyRange::new(key.clone(), [key.as_slice(), &[0]].concat());
            for (key, state) in self.tracked.rows(&here, 1)? {
                sums = sums.minus(self.tracked.print(&key, &state));
            }
            sums = sums.plus(*print);
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
