//! What the committer and the handles of a store share.

use crate::engine::Engine;
use crate::error::StoreError;
use crate::identity::Identity;
use crate::outbox::{Mark, Mirror};
use crate::world::World;
use bytes::Bytes;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) world: Arc<dyn World>,
    pub(crate) identity: Arc<Identity>,
    /// Locked for moments, by the committer and by the relay.
    outbox: Mutex<Mirror>,
    pub(crate) committed: watch::Sender<u64>,
}

impl Shared {
    pub(crate) fn new(
        engine: Arc<dyn Engine>,
        world: Arc<dyn World>,
        identity: Arc<Identity>,
        sequence: u64,
    ) -> Result<Self, StoreError> {
        let mut mirror = Mirror::default();
        mirror.refill(engine.snapshot()?.scan(&Mirror::refill_scan())?);
        Ok(Self {
            engine,
            world,
            identity,
            outbox: Mutex::new(mirror),
            committed: watch::Sender::new(sequence),
        })
    }

    fn outbox(&self) -> MutexGuard<'_, Mirror> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs after each commit, before its writers are answered: whoever was answered finds the news already told.
    pub(crate) fn committed(&self, sequence: u64, outbox_changes: &[(Vec<u8>, Option<Bytes>)]) {
        let mut outbox = self.outbox();
        for (key, value) in outbox_changes {
            outbox.changed(key, value.as_ref());
        }
        drop(outbox);
        self.committed.send_replace(sequence);
    }

    /// The first marks of a topic. The lock is held over a refill's scan, so that no commit falls between the two.
    pub(crate) fn marks(&self, topic: &str, limit: usize) -> Result<Vec<Mark>, StoreError> {
        let mut outbox = self.outbox();
        if outbox.wants_refill() {
            outbox.refill(self.engine.snapshot()?.scan(&Mirror::refill_scan())?);
        }
        Ok(outbox.first(topic, limit))
    }

    pub(crate) fn outbox_depth(&self) -> (usize, bool) {
        self.outbox().depth()
    }
}
