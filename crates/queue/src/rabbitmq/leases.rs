//! Who holds what until when. The broker knows no leases: what ends here is given back by us.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::join_all;
use lapin::Acker;
use lapin::options::BasicNackOptions;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};

use super::codec::Parcel;
use super::link::CALL_MAX;
use crate::Receipt;

/// One number for each hand-out of this process, so that no receipt fits two.
static HAND_OUTS: AtomicU64 = AtomicU64::new(0);

/// A delivery that is ours.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) acker: Acker,
    pub(super) parcel: Parcel,
    pub(super) receive_count: u32,
    pub(super) until: Instant,
}

/// What one receiver holds.
#[derive(Debug, Default)]
pub(super) struct Leases {
    inner: Mutex<Inner>,
    /// The first end may have come nearer.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    held: BTreeMap<u64, Held>,
    /// `held` by the time it ends. Kept in step by [`Inner::put`] and [`Inner::remove`] alone.
    due: BTreeSet<(Instant, u64)>,
}

impl Inner {
    fn put(&mut self, number: u64, held: Held) {
        self.due.insert((held.until, number));
        self.held.insert(number, held);
    }

    fn remove(&mut self, number: u64) -> Option<Held> {
        let held = self.held.remove(&number)?;
        self.due.remove(&(held.until, number));
        Some(held)
    }

    /// Takes out what a receipt stands for, if it is still ours.
    fn take(&mut self, receipt: &Receipt, now: Instant) -> Option<(u64, Held)> {
        let number = u64::from_be_bytes(receipt.as_bytes().try_into().ok()?);
        if !self.held.get(&number)?.acker.usable() {
            // Its channel is gone, and the broker hands it out again.
            self.remove(number);
            return None;
        }
        // What is over stays for the keeper to give back.
        (self.held.get(&number)?.until > now).then(|| self.remove(number))?.map(|held| (number, held))
    }
}

impl Leases {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a new hand-out.
    pub(super) fn add(&self, held: Held) -> Receipt {
        let number = HAND_OUTS.fetch_add(1, Ordering::Relaxed);
        self.inner().put(number, held);
        self.changed.notify_one();
        Receipt::new(number.to_be_bytes().to_vec())
    }

    /// Takes out what the receipts stand for, for as long as the answer lives: `None` where the lease is lost. What is
    /// not settled by then is leased as before.
    pub(super) fn settle(&self, receipts: &[Receipt]) -> Settling<'_> {
        let now = Instant::now();
        let mut inner = self.inner();
        let taken = receipts.iter().map(|receipt| inner.take(receipt, now)).collect();
        drop(inner);
        Settling { leases: self, taken }
    }

    /// Moves the end of a lease; false if it is lost.
    pub(super) fn extend(&self, receipt: &Receipt, until: Instant) -> bool {
        let mut inner = self.inner();
        let Some((number, held)) = inner.take(receipt, Instant::now()) else { return false };
        inner.put(number, Held { until, ..held });
        drop(inner);
        self.changed.notify_one();
        true
    }

    pub(super) fn in_flight(&self) -> u64 {
        let now = Instant::now();
        let inner = self.inner();
        let live = inner.held.values().filter(|held| held.until > now && held.acker.usable()).count();
        u64::try_from(live).unwrap_or(u64::MAX)
    }

    fn next_due(&self) -> Option<Instant> {
        self.inner().due.first().map(|(until, _)| *until)
    }

    fn take_over(&self, now: Instant) -> Vec<Held> {
        let mut inner = self.inner();
        let mut over = Vec::new();
        while let Some((until, number)) = inner.due.first().copied() {
            if until > now {
                break;
            }
            over.extend(inner.remove(number));
        }
        over
    }
}

/// Gives back each lease that ends. Runs until it is aborted.
pub(super) async fn keep(leases: Arc<Leases>) {
    loop {
        let changed = leases.changed.notified();
        match leases.next_due() {
            None => changed.await,
            Some(due) => {
                tokio::select! {
                    () = changed => {}
                    () = sleep_until(due) => {}
                }
            }
        }
        let over = leases.take_over(Instant::now());
        give_back(over.iter().map(|held| &held.acker)).await;
    }
}

/// Gives deliveries back. One whose channel is gone is back already.
pub(super) async fn give_back(ackers: impl Iterator<Item = &Acker>) {
    let requeue = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
    let nacks = join_all(ackers.map(|acker| acker.nack(requeue)));
    let Ok(answers) = timeout(CALL_MAX, nacks).await else {
        // The link is stuck: the heartbeat ends it, and that gives everything back.
        tracing::warn!("giving deliveries back takes long");
        return;
    };
    for error in answers.into_iter().filter_map(Result::err) {
        tracing::debug!(%error, "giving back: the channel gave everything back");
    }
}

/// What is being settled.
#[derive(Debug)]
pub(super) struct Settling<'a> {
    leases: &'a Leases,
    pub(super) taken: Vec<Option<(u64, Held)>>,
}

impl Settling<'_> {
    pub(super) fn held(&self) -> impl Iterator<Item = Option<&Held>> {
        self.taken.iter().map(|taken| taken.as_ref().map(|(_, held)| held))
    }
}

impl Drop for Settling<'_> {
    /// Leases again what was not settled: the future was dropped, or failed, before anything was sent.
    fn drop(&mut self) {
        let left: Vec<_> = self.taken.drain(..).flatten().filter(|(_, held)| held.acker.usable()).collect();
        if left.is_empty() {
            return;
        }
        let mut inner = self.leases.inner();
        for (number, held) in left {
            inner.put(number, held);
        }
        drop(inner);
        self.leases.changed.notify_one();
    }
}
