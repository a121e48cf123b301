//! What the committer and the handles of a store share.

use crate::engine::{Engine, SCAN_PAIRS_MAX, Scan};
use crate::error::StoreError;
use crate::fingerprint::Fingerprints;
use crate::identity::Identity;
use crate::key::OUTBOX_TAG;
use crate::outbox::{self, Mark, Mirror};
use crate::world::World;
use bytes::Bytes;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::watch;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) world: Arc<dyn World>,
    /// As committed. Locked for the time of a clone.
    identity: Mutex<Arc<Identity>>,
    /// The topics that nothing is marked for.
    pub(crate) muted: Arc<BTreeSet<&'static str>>,
    /// Locked for moments, by the committer and by the relay.
    outbox: Mutex<Mirror>,
    /// Locked for moments by the committer, never while a disk is waited for, and by whoever compares.
    fingerprints: Mutex<Fingerprints>,
    pub(crate) committed: watch::Sender<u64>,
    /// Why no more writes are taken, once that is so.
    pub(crate) stopped: OnceLock<StoreError>,
}

impl Shared {
    pub(crate) fn new(
        engine: Arc<dyn Engine>,
        world: Arc<dyn World>,
        identity: Arc<Identity>,
        muted: Arc<BTreeSet<&'static str>>,
        sequence: u64,
    ) -> Result<Self, StoreError> {
        let mirror = read_outbox(&*engine, &muted)?;
        let fingerprints = Mutex::new(Fingerprints::new(&identity.deployment));
        Ok(Self {
            engine,
            world,
            identity: Mutex::new(identity),
            muted,
            outbox: Mutex::new(mirror),
            fingerprints,
            committed: watch::Sender::new(sequence),
            stopped: OnceLock::new(),
        })
    }

    pub(crate) fn identity(&self) -> Arc<Identity> {
        Arc::clone(&self.identity.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_identity(&self, identity: Arc<Identity>) {
        *self.identity.lock().unwrap_or_else(PoisonError::into_inner) = identity;
    }

    fn outbox(&self) -> MutexGuard<'_, Mirror> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn fingerprints(&self) -> MutexGuard<'_, Fingerprints> {
        self.fingerprints.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// The next marks of a topic. The lock is held over a sweep's scan, so that no commit falls between the two.
    pub(crate) fn marks(&self, topic: &str, limit: usize) -> Result<Vec<Mark>, StoreError> {
        let mut outbox = self.outbox();
        if let Some(scan) = outbox.sweep(topic) {
            outbox.swept(topic, self.engine.snapshot()?.scan(&scan)?);
        }
        Ok(outbox.next(topic, limit))
    }

    pub(crate) fn outbox_depth(&self) -> (usize, bool) {
        self.outbox().depth()
    }
}

/// The whole outbox, page by page: so that every topic in it is known, but for those that are muted.
fn read_outbox(engine: &dyn Engine, muted: &BTreeSet<&'static str>) -> Result<Mirror, StoreError> {
    let (mut mirror, snapshot) = (Mirror::default(), engine.snapshot()?);
    let mut scan = Scan::prefix(&[OUTBOX_TAG]);
    loop {
        let page = snapshot.scan(&scan)?;
        for (key, value) in &page {
            if outbox::topic_of(key).is_none_or(|topic| !muted.contains(topic)) {
                mirror.changed(key, Some(value));
            }
        }
        match page.last() {
            Some((last, _)) if page.len() >= SCAN_PAIRS_MAX => scan = scan.after(last),
            _ => return Ok(mirror),
        }
    }
}
