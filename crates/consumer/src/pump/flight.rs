//! What is in flight: every message from its receive until it is settled.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use queue::{Delivery, Lease};
use tokio::time::Instant;

use super::work::Held;
use crate::CancelSource;

/// How many messages a pump holds, from receive until settled. Cheap to clone; outlives the pump.
#[derive(Debug, Clone, Default)]
pub struct Gauge(Arc<AtomicUsize>);

impl Gauge {
    /// The number now.
    pub fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, value: usize) {
        self.0.store(value, Ordering::Relaxed);
    }
}

/// How a message is to be settled.
#[derive(Debug, Clone)]
pub(super) enum Settlement {
    Ack,
    Nack(Duration),
    Keep(Arc<str>),
}

/// Where a message is on its way.
#[derive(Debug)]
pub(super) enum Stage {
    /// Its handler has not begun: it waits for others, or for its turn.
    Waiting,
    /// Its handler runs.
    Handling,
    /// Its lease is lost, and its handler has until then to notice.
    Cancelling(Instant),
    /// To be acked with the next batch.
    Batched,
    /// A call failed, and is to be made again then.
    Pausing(Settlement, Instant),
    /// The call is under way.
    Settling(Settlement),
}

/// What a message counts as once it is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Acked,
    Retried,
    Poisoned,
    HandedBack,
}

pub(super) struct Entry {
    pub(super) delivery: Arc<Delivery>,
    /// Tells the handler to stop.
    pub(super) cancel: CancelSource,
    /// Drops the handler.
    pub(super) abort: CancelSource,
    /// What its handler needs, until it begins.
    pub(super) held: Option<Held>,
    /// The messages of one key are handled one after another.
    pub(super) key: Option<Arc<str>>,
    pub(super) outcome: Outcome,
    pub(super) stage: Stage,
    pub(super) lease: Lease,
    /// When the lease is to be extended; `None` while that is under way, or if it is unbounded.
    pub(super) extend_at: Option<Instant>,
    /// Calls to settle it that failed.
    pub(super) failures: u32,
    timer: Option<Instant>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("stage", &self.stage)
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}

impl Entry {
    pub(super) fn new(
        delivery: Arc<Delivery>,
        cancel: CancelSource,
        abort: CancelSource,
        held: Held,
        now: Instant,
    ) -> Self {
        let lease = delivery.lease;
        Self {
            delivery,
            cancel,
            abort,
            held: Some(held),
            key: None,
            outcome: Outcome::Acked,
            stage: Stage::Waiting,
            lease,
            extend_at: half_way(lease, now),
            failures: 0,
            timer: None,
        }
    }

    /// Whether the lease is still of use. What is given back needs none, nor what was lost.
    pub(super) fn wants_lease(&self) -> bool {
        !matches!(
            self.stage,
            Stage::Cancelling(_)
                | Stage::Pausing(Settlement::Nack(_), _)
                | Stage::Settling(Settlement::Nack(_))
        )
    }

    /// When something is to be done about it.
    fn next_timer(&self) -> Option<Instant> {
        let extend_at = self.extend_at.filter(|_| self.wants_lease());
        let stage = match &self.stage {
            Stage::Cancelling(until) => return Some(*until),
            // Only the answer to the call can tell whether it was in time.
            Stage::Settling(_) => None,
            Stage::Waiting | Stage::Handling | Stage::Batched => self.lease.expires_at,
            Stage::Pausing(_, at) => Some(self.lease.expires_at.map_or(*at, |end| end.min(*at))),
        };
        [extend_at, stage].into_iter().flatten().min()
    }
}

/// The middle of what is left of a lease.
pub(super) fn half_way(lease: Lease, now: Instant) -> Option<Instant> {
    lease.expires_at.map(|end| now + end.saturating_duration_since(now) / 2)
}

/// The entries, and an index of their timers. An entry is changed through [`Flight::change`] alone, which keeps the two
/// in step.
#[derive(Debug, Default)]
pub(super) struct Flight {
    entries: BTreeMap<u64, Entry>,
    timers: BTreeSet<(Instant, u64)>,
    next_id: u64,
    gauge: Gauge,
}

impl Flight {
    pub(super) fn gauge(&self) -> Gauge {
        self.gauge.clone()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn next_id(&self) -> u64 {
        self.next_id
    }

    /// Adds an entry under [`Flight::next_id`].
    pub(super) fn insert(&mut self, entry: Entry) {
        let id = self.next_id;
        self.next_id += 1;
        self.entries.insert(id, entry);
        self.gauge.set(self.entries.len());
        self.change(id, |_| ());
    }

    pub(super) fn get(&self, id: u64) -> Option<&Entry> {
        self.entries.get(&id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Entry)> {
        self.entries.iter().map(|(id, entry)| (*id, entry))
    }

    pub(super) fn change<T>(&mut self, id: u64, change: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        let entry = self.entries.get_mut(&id)?;
        let changed = change(entry);
        let timer = entry.next_timer();
        if timer != entry.timer {
            if let Some(old) = std::mem::replace(&mut entry.timer, timer) {
                self.timers.remove(&(old, id));
            }
            self.timers.extend(timer.map(|timer| (timer, id)));
        }
        Some(changed)
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<Entry> {
        let entry = self.entries.remove(&id)?;
        if let Some(timer) = entry.timer {
            self.timers.remove(&(timer, id));
        }
        self.gauge.set(self.entries.len());
        Some(entry)
    }

    pub(super) fn next_timer(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Those whose timers are due, in the order of their timers.
    pub(super) fn due(&self, now: Instant) -> Vec<u64> {
        self.timers.iter().take_while(|(at, _)| *at <= now).map(|(_, id)| *id).collect()
    }
}
