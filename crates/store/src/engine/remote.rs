//! A memory engine that answers like one across a network: it knows no row before it was asked to load it.
//!
//! It exists for the conformance suite: the rounds of the group commit must be proven without a database server.

use super::memory::Memory;
use super::{Batch, Durability, Engine, Lookup, Pair, Scan, Snapshot};
use crate::error::StoreError;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// [`Memory`], one round trip away.
#[derive(Debug, Clone, Default)]
pub struct Remote {
    memory: Memory,
    loads: Arc<AtomicU64>,
}

impl Remote {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many round trips were made to load rows.
    pub fn loads(&self) -> u64 {
        self.loads.load(Ordering::Relaxed)
    }
}

impl Engine for Remote {
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError> {
        Ok(Arc::new(RemoteSnapshot { inner: self.memory.snapshot()?, loads: Arc::clone(&self.loads) }))
    }

    fn commit(&self, batch: Batch, durability: Durability) -> Result<(), StoreError> {
        self.memory.commit(batch, durability)
    }
}

#[derive(Debug)]
struct RemoteSnapshot {
    inner: Arc<dyn Snapshot>,
    loads: Arc<AtomicU64>,
}

impl Snapshot for RemoteSnapshot {
    fn get(&self, _key: &[u8]) -> Result<Lookup, StoreError> {
        Ok(Lookup::Unloaded)
    }

    fn load(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Bytes>>, StoreError> {
        self.loads.fetch_add(1, Ordering::Relaxed);
        self.inner.load(keys)
    }

    fn scan(&self, scan: &Scan) -> Result<Vec<Pair>, StoreError> {
        self.inner.scan(scan)
    }
}
