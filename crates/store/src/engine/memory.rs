//! An engine in memory, for tests and simulation: it can forget what was not synced, and refuse to write.

use super::{Batch, Durability, Engine, Lookup, Pair, Scan, Snapshot};
use crate::error::StoreError;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Rows = BTreeMap<Vec<u8>, Bytes>;

/// An ordered map behind a lock. Clones share it, as two handles on one disk do: a clone that is kept while the store
/// is dropped is the disk that the next store finds.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    disk: Arc<Mutex<Disk>>,
}

#[derive(Debug, Default)]
struct Disk {
    rows: Arc<Rows>,
    /// What relaxed commits replaced, newest last, until a synced one makes them durable.
    undo: Vec<(Vec<u8>, Option<Bytes>)>,
    failing: Option<StoreError>,
    commits: u64,
}

impl Memory {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// The power goes: what was not synced is gone.
    pub fn crash(&self) {
        let mut disk = self.lock();
        let undo = std::mem::take(&mut disk.undo);
        let rows = Arc::make_mut(&mut disk.rows);
        for (key, value) in undo.into_iter().rev() {
            match value {
                Some(value) => rows.insert(key, value),
                None => rows.remove(&key),
            };
        }
    }

    /// Makes every later commit fail with `error`, or work again with `None`.
    pub fn fail_with(&self, error: Option<StoreError>) {
        self.lock().failing = error;
    }

    /// How many batches were committed: a group of writes is one.
    pub fn commits(&self) -> u64 {
        self.lock().commits
    }

    fn lock(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine for Memory {
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError> {
        Ok(Arc::new(MemorySnapshot { rows: Arc::clone(&self.lock().rows) }))
    }

    fn commit(&self, batch: Batch, durability: Durability) -> Result<(), StoreError> {
        let mut disk = self.lock();
        if let Some(error) = &disk.failing {
            return Err(error.clone());
        }
        let Disk { rows, undo, .. } = &mut *disk;
        // Copied only while a snapshot still looks at the old rows.
        let rows = Arc::make_mut(rows);
        for (key, value) in batch {
            let old = match value {
                Some(value) => rows.insert(key.clone(), value),
                None => rows.remove(&key),
            };
            undo.push((key, old));
        }
        if durability == Durability::Synced {
            undo.clear();
        }
        disk.commits += 1;
        Ok(())
    }
}

#[derive(Debug)]
struct MemorySnapshot {
    rows: Arc<Rows>,
}

impl Snapshot for MemorySnapshot {
    fn get(&self, key: &[u8]) -> Result<Lookup, StoreError> {
        Ok(Lookup::Known(self.rows.get(key).cloned()))
    }

    fn load(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Bytes>>, StoreError> {
        Ok(keys.iter().map(|key| self.rows.get(key).cloned()).collect())
    }

    fn scan(&self, scan: &Scan) -> Result<Vec<Pair>, StoreError> {
        if scan.is_empty() {
            return Ok(Vec::new());
        }
        let range = self.rows.range((scan.from.clone(), scan.to.clone()));
        let pair = |(key, value): (&Vec<u8>, &Bytes)| (Bytes::copy_from_slice(key), value.clone());
        Ok(if scan.reverse {
            range.rev().take(scan.limit).map(pair).collect()
        } else {
            range.take(scan.limit).map(pair).collect()
        })
    }
}
