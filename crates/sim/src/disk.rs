//! A disk that forgets what was not synced, fills up, is slow, and does not always know what it did.
//!
//! It keeps the engine's contract, which is what the services are promised: a group is whole or absent, and a synced one
//! stays with everything before it. A power cut keeps a prefix of the groups that were in the air; an engine that finds
//! a torn one cuts it off, and that is the prefix.

use crate::core::{Core, lock};
use crate::dice;
use crate::faults::Fault;
use crate::life::Life;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use store::engine::{Batch, Lookup, Pair, Snapshot};
use store::{Durability, Engine, Scan, StoreError};

/// The most backups of a disk that are kept.
const BACKUPS_MAX: usize = 4;

/// What a disk holds: keys and values.
pub type Rows = BTreeMap<Vec<u8>, Bytes>;

/// What a group replaced: enough to take it back.
type Undo = Vec<(Vec<u8>, Option<Bytes>)>;

/// A disk; it outlives the processes that use it. Clones are the same disk.
#[derive(Debug, Clone)]
pub struct Disk {
    core: Core,
    name: Arc<str>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    rows: Arc<Rows>,
    /// The groups that a power cut may take, oldest first.
    unsynced: Vec<Undo>,
    /// Copies that an operator keeps, oldest first, with the time of each.
    backups: Vec<(u64, Arc<Rows>)>,
    commits: u64,
    full: bool,
    slow: bool,
    rng: fastrand::Rng,
}

impl Disk {
    pub(crate) fn new(core: &Core, name: &str) -> Self {
        let state = State {
            rows: Arc::default(),
            unsynced: Vec::new(),
            backups: Vec::new(),
            commits: 0,
            full: false,
            slow: false,
            rng: core.rng(&format!("disk {name}")),
        };
        Self { core: core.clone(), name: name.into(), state: Arc::new(Mutex::new(state)) }
    }

    /// What survives a power cut whatever happens.
    pub fn synced(&self) -> Rows {
        let state = lock(&self.state);
        let mut rows = Rows::clone(&state.rows);
        for undo in state.unsynced.iter().rev() {
            take_back(&mut rows, undo.clone());
        }
        rows
    }

    /// The same, of one row.
    pub fn synced_row(&self, key: &[u8]) -> Option<Bytes> {
        let state = lock(&self.state);
        // What the oldest group in the air replaced is what the disk has.
        let replaced = state.unsynced.iter().flatten().find(|(changed, _)| changed == key);
        replaced.map_or_else(|| state.rows.get(key).cloned(), |(_, old)| old.clone())
    }

    /// The key of a row of these that a power cut could take back now.
    pub(crate) fn in_the_air(&self, is_wanted: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
        let state = lock(&self.state);
        state.unsynced.iter().flatten().map(|(key, _)| key).find(|key| is_wanted(key)).cloned()
    }

    /// How many groups were committed.
    pub fn commits(&self) -> u64 {
        lock(&self.state).commits
    }

    /// The power goes: a prefix of what was not synced stays.
    pub(crate) fn cut(&self) {
        let mut state = lock(&self.state);
        let before = state.unsynced.len();
        let kept = state.rng.usize(..=before);
        let State { rows, unsynced, .. } = &mut *state;
        let rows = Arc::make_mut(rows);
        for undo in unsynced.drain(kept..).rev() {
            take_back(rows, undo);
        }
        // What stayed is on the disk.
        unsynced.clear();
        drop(state);
        self.core.trace(&self.name, format_args!("power cut: {kept} of {before} unsynced groups stay"));
    }

    /// An operator copies what is on it.
    pub(crate) fn back_up(&self) {
        let (synced, now_ms) = (self.synced(), self.core.elapsed_ms());
        let mut state = lock(&self.state);
        if state.backups.len() == BACKUPS_MAX {
            state.backups.remove(0);
        }
        state.backups.push((now_ms, Arc::new(synced)));
        drop(state);
        self.core.trace(&self.name, format_args!("is backed up"));
    }

    /// It is what it was when one of its backups was made, and says when that was.
    pub(crate) fn restore(&self) -> Option<u64> {
        let mut state = lock(&self.state);
        let backups = state.backups.len();
        let chosen = state.rng.usize(..backups.max(1));
        let (made_ms, rows) = state.backups.get(chosen).cloned()?;
        // Those that were made since are of a disk that is gone.
        state.backups.truncate(chosen + 1);
        state.rows = rows;
        state.unsynced.clear();
        drop(state);
        self.core.trace(&self.name, format_args!("is as it was at {made_ms}"));
        Some(made_ms)
    }

    /// Everything on it is gone, its backups too.
    pub(crate) fn lose(&self) {
        let mut state = lock(&self.state);
        (state.rows, state.unsynced, state.backups) = (Arc::default(), Vec::new(), Vec::new());
        drop(state);
        self.core.trace(&self.name, format_args!("is lost"));
    }

    pub(crate) fn set_full(&self, full: bool) {
        lock(&self.state).full = full;
    }

    pub(crate) fn set_slow(&self, slow: bool) {
        lock(&self.state).slow = slow;
    }

    /// How long the next sync takes at least and at most, in milliseconds. Slow is so slow that a lease has to be extended
    /// twice while a handler waits: one that is extended once would end.
    pub(crate) fn latency_ms(&self) -> (f64, f64) {
        if lock(&self.state).slow { (200.0, 60_000.0) } else { (1.0, 30.0) }
    }

    /// The disk as a process uses it, for as long as that lives.
    pub(crate) fn engine(&self, life: &Life) -> impl Engine {
        Attached { disk: self.clone(), life: life.clone() }
    }

    fn commit(&self, life: &Life, batch: Batch, durability: Durability) -> Result<(), StoreError> {
        let stopped = |reason: &str| StoreError::Stopped { reason: reason.into() };
        if !life.is_alive() {
            return Err(stopped("the process is dead"));
        }
        let mut state = lock(&self.state);
        if state.full {
            drop(state);
            self.core.trace(&self.name, format_args!("full"));
            return Err(StoreError::DiskFull { free_bytes: 0, needed_bytes: 1 });
        }
        let killed = self.core.happens(&mut state.rng, Fault::KillInCommit);
        let unsure = self.core.happens(&mut state.rng, Fault::DiskUnsure);
        // Only there is something in the air for sure.
        let is_relaxed = durability == Durability::Relaxed;
        let cut = is_relaxed && self.core.happens(&mut state.rng, Fault::PowerCutInCommit);
        let stored = !(killed || unsure) || state.rng.bool();
        let hash = batch.iter().fold(0, |hash, (key, value)| {
            dice::hash(dice::hash(hash, key), value.as_deref().unwrap_or_default())
        });
        let changes = batch.len();
        if stored {
            state.store(batch, durability);
        }
        drop(state);
        let what = if stored { "commits" } else { "does not commit" };
        self.core.trace(&self.name, format_args!("{what} {changes} {durability:?} {hash:016x}"));
        if cut {
            // The other disks of the machine keep what they have in the air, as they may.
            self.cut();
            life.kill("power cut in a commit");
        }
        if killed {
            life.kill("in a commit");
        }
        if cut || killed || unsure {
            return Err(stopped("a disk does not know what it did"));
        }
        Ok(())
    }
}

impl State {
    fn store(&mut self, batch: Batch, durability: Durability) {
        // Copied only while a snapshot still looks at the old rows.
        let rows = Arc::make_mut(&mut self.rows);
        let mut undo = Vec::with_capacity(batch.len());
        for (key, value) in batch {
            let old = match value {
                Some(value) => rows.insert(key.clone(), value),
                None => rows.remove(&key),
            };
            undo.push((key, old));
        }
        match durability {
            Durability::Synced => self.unsynced.clear(),
            Durability::Relaxed => self.unsynced.push(undo),
        }
        self.commits += 1;
    }
}

fn take_back(rows: &mut Rows, undo: Undo) {
    for (key, value) in undo.into_iter().rev() {
        match value {
            Some(value) => rows.insert(key, value),
            None => rows.remove(&key),
        };
    }
}

/// A disk in the hands of a process.
#[derive(Debug)]
struct Attached {
    disk: Disk,
    life: Life,
}

impl Engine for Attached {
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError> {
        Ok(Arc::new(Seen { rows: Arc::clone(&lock(&self.disk.state).rows) }))
    }

    fn commit(&self, batch: Batch, durability: Durability) -> Result<(), StoreError> {
        self.disk.commit(&self.life, batch, durability)
    }
}

#[derive(Debug)]
struct Seen {
    rows: Arc<Rows>,
}

impl Snapshot for Seen {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    fn batch(key: u8, value: u8) -> Batch {
        [(vec![key], Some(Bytes::from(vec![value])))].into()
    }

    #[tokio::test(start_paused = true)]
    async fn a_power_cut_takes_a_suffix_of_what_was_not_synced() {
        let mut kept_all = 0;
        for seed in 0..50 {
            let core = Core::new(Plan::of(seed).without_faults(), false);
            let (disk, life) = (Disk::new(&core, "d"), Life::begin(&core, "p", 1));
            let engine = disk.engine(&life);
            engine.commit(batch(0, 1), Durability::Synced).unwrap();
            for key in 1..5 {
                engine.commit(batch(key, key), Durability::Relaxed).unwrap();
            }
            assert_eq!(disk.synced().len(), 1);
            disk.cut();
            let keys: Vec<_> = disk.synced().into_keys().flatten().collect();
            assert_eq!(keys, (0..u8::try_from(keys.len()).unwrap()).collect::<Vec<_>>(), "a prefix");
            kept_all += usize::from(keys.len() == 5);
        }
        assert!((1..50).contains(&kept_all));
    }

    #[tokio::test(start_paused = true)]
    async fn power_that_goes_in_a_relaxed_commit_takes_some_of_what_is_in_the_air() {
        let (mut lost, mut stayed) = (0, 0);
        for seed in 0..50 {
            let mut plan = Plan::of(seed).without_faults();
            plan.faults.insert(Fault::PowerCutInCommit, 1.0);
            let core = Core::new(plan, false);
            let (disk, life) = (Disk::new(&core, "d"), Life::begin(&core, "p", 1));
            let engine = disk.engine(&life);
            engine.commit(batch(0, 1), Durability::Synced).unwrap();
            assert!(life.is_alive() && disk.in_the_air(|_| true).is_none());
            assert!(engine.commit(batch(1, 1), Durability::Relaxed).is_err());
            assert!(!life.is_alive() && disk.in_the_air(|_| true).is_none());
            assert_eq!(core.counts().of(Fault::PowerCutInCommit), 1);
            if disk.synced().len() == 1 { lost += 1 } else { stayed += 1 }
        }
        assert!(lost > 10 && stayed > 10, "{lost} lost, {stayed} stayed");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_in_the_air_is_told_until_it_is_synced() {
        let core = Core::new(Plan::of(1).without_faults(), false);
        let (disk, life) = (Disk::new(&core, "d"), Life::begin(&core, "p", 1));
        let engine = disk.engine(&life);
        engine.commit(batch(1, 1), Durability::Relaxed).unwrap();
        assert_eq!(disk.in_the_air(|key| key == [1]), Some(vec![1]));
        assert_eq!(disk.in_the_air(|key| key == [2]), None);
        engine.commit(batch(2, 1), Durability::Synced).unwrap();
        assert_eq!(disk.in_the_air(|_| true), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_dead_write_nothing() {
        let core = Core::new(Plan::of(1).without_faults(), false);
        let (disk, life) = (Disk::new(&core, "d"), Life::begin(&core, "p", 1));
        life.kill("test");
        assert!(disk.engine(&life).commit(batch(1, 1), Durability::Synced).is_err());
        disk.set_full(true);
        let next = Life::begin(&core, "p", 2);
        let refused = disk.engine(&next).commit(batch(1, 1), Durability::Synced);
        assert!(matches!(refused, Err(StoreError::DiskFull { .. })));
        assert!(disk.synced().is_empty());
    }
}
