//! Group commit: many waiting functions, one commit, then all answers.
//!
//! The group's functions run one after the other over one snapshot and what the group has written so far. One that
//! refuses is rolled back alone. Nothing is answered, not even a refusal (it may rest on a neighbour's row), before
//! the commit has returned: an answer is as visible as a row.

use crate::engine::{Batch, Durability, Engine};
use crate::error::StoreError;
use crate::identity::{Identity, Marks, marks_key};
use crate::key::OUTBOX_TAG;
use crate::shared::Shared;
use crate::view::{Group, View};
use crate::world::World;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// The most writes in one group.
pub const GROUP_WRITES_MAX: usize = 1024;
/// The most writes that wait for their group; the next ones wait for a place (backpressure).
pub const WAITING_WRITES_MAX: usize = 4096;
/// How often a function may be run again since it missed rows.
pub const ROUNDS_MAX: usize = 16;

/// How one run of a function ended. A result is kept by its job until the commit.
#[derive(Debug)]
pub(crate) enum Ran {
    /// It wrote (perhaps nothing) and has its answer.
    Done,
    /// It refused: no write of it is kept.
    Refused,
    /// It missed rows.
    Missed,
    /// The store failed it.
    Failed(StoreError),
}

/// A waiting function and whoever waits for it.
pub(crate) trait Job: Send {
    fn durability(&self) -> Durability;
    fn run(&mut self, view: &mut View<'_>) -> Ran;
    fn settle(self: Box<Self>, outcome: Result<(), StoreError>);
}

/// What goes to the committer.
pub(crate) enum Order {
    Write(Box<dyn Job>),
    /// Finish what came before, then stop.
    Close(oneshot::Sender<()>),
}

/// The one writer of a store: runs groups, one at a time.
pub struct Committer {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) world: Arc<dyn World>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) marks: Marks,
    pub(crate) orders: mpsc::Receiver<Order>,
    pub(crate) shared: Arc<Shared>,
    /// A relaxed commit has not been followed by a synced one.
    pub(crate) unsynced: bool,
    /// What [`Committer::ready`] has taken out of `orders`.
    pub(crate) first: Option<Order>,
}

/// A group whose functions have run, and whose commit has not begun.
struct Pending {
    jobs: Vec<Box<dyn Job>>,
    outcomes: Vec<Result<(), StoreError>>,
    group: Result<Group, StoreError>,
    durability: Durability,
}

impl std::fmt::Debug for Committer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Committer")
            .field("engine", &self.engine)
            .field("marks", &self.marks)
            .finish_non_exhaustive()
    }
}

impl Committer {
    /// Commits groups until the store is closed or dropped. Blocks: give it a thread.
    pub fn run(mut self) {
        while let Some(first) = self.first.take().or_else(|| self.orders.blocking_recv()) {
            if let Some(closed) = self.commit_waiting(first) {
                drop(self);
                // Whoever closed the store may have gone: then nobody waits.
                closed.send(()).unwrap_or_default();
                return;
            }
        }
    }

    /// Commits one group of what waits now; false where nothing does. For whoever decides the order of everything.
    pub fn step(&mut self) -> bool {
        let Some(first) = self.next_order() else { return false };
        if let Some(closed) = self.commit_waiting(first) {
            self.orders.close();
            closed.send(()).unwrap_or_default();
        }
        true
    }

    /// Waits until [`Committer::step`] has something to do; false once nothing will ever come. Dropping the future loses
    /// nothing.
    pub async fn ready(&mut self) -> bool {
        if self.first.is_none() {
            self.first = self.orders.recv().await;
        }
        self.first.is_some()
    }

    /// Like [`Committer::step`], with a disk that takes its time: the group's functions run, then `disk` is waited for,
    /// then the group is committed and answered. So a simulation can let everything else happen, and let the machine
    /// die, between the two. Dropping the future drops the group: its writers hear that the store is gone.
    pub async fn step_during(&mut self, disk: impl Future<Output = ()>) -> bool {
        let Some(first) = self.next_order() else { return false };
        let (jobs, closer) = self.gather(first);
        if !jobs.is_empty() {
            let pending = self.run_jobs(jobs);
            disk.await;
            self.finish(pending);
        }
        if let Some(closed) = closer {
            self.orders.close();
            closed.send(()).unwrap_or_default();
        }
        true
    }

    fn next_order(&mut self) -> Option<Order> {
        self.first.take().or_else(|| self.orders.try_recv().ok())
    }

    /// Commits `first` and what waits behind it; answers the closer if one was among them.
    fn commit_waiting(&mut self, first: Order) -> Option<oneshot::Sender<()>> {
        let (jobs, closer) = self.gather(first);
        if !jobs.is_empty() {
            let pending = self.run_jobs(jobs);
            self.finish(pending);
        }
        closer
    }

    /// `first` and what waits behind it, and who wants the store closed.
    fn gather(&mut self, first: Order) -> (Vec<Box<dyn Job>>, Option<oneshot::Sender<()>>) {
        let mut jobs = Vec::new();
        let mut next = Some(first);
        while let Some(order) = next.take() {
            match order {
                Order::Write(job) => jobs.push(job),
                Order::Close(sender) => return (jobs, Some(sender)),
            }
            if jobs.len() < GROUP_WRITES_MAX {
                next = self.orders.try_recv().ok();
            }
        }
        (jobs, None)
    }

    fn run_jobs(&self, mut jobs: Vec<Box<dyn Job>>) -> Pending {
        metrics::histogram!("antiphon_store_group_writes", "service" => self.identity.service.clone())
            .record(u32::try_from(jobs.len()).unwrap_or(u32::MAX));
        let durability = jobs.iter().map(|job| job.durability()).max().unwrap_or(Durability::Synced);
        let (outcomes, group) = match self.run_group(&mut jobs) {
            Ok((outcomes, group)) => (outcomes, Ok(group)),
            Err(error) => (Vec::new(), Err(error)),
        };
        Pending { jobs, outcomes, group, durability }
    }

    fn finish(&mut self, pending: Pending) {
        let Pending { jobs, outcomes, group, durability } = pending;
        let committed = group.and_then(|group| self.commit(group, durability));
        let mut outcomes = outcomes.into_iter();
        for job in jobs {
            let own = outcomes.next().unwrap_or(Ok(()));
            job.settle(committed.clone().and(own));
        }
    }

    /// Runs every job, again where it missed rows, over one snapshot. An outcome a job: `Err` where the store failed it.
    fn run_group(
        &self,
        jobs: &mut [Box<dyn Job>],
    ) -> Result<(Vec<Result<(), StoreError>>, Group), StoreError> {
        let mut group = Group {
            snapshot: self.engine.snapshot()?,
            loaded: BTreeMap::new(),
            written: Batch::new(),
            clock: self.marks.clock(self.identity.replica),
            identity: Arc::clone(&self.identity),
            muted: Arc::clone(&self.shared.muted),
            now_ms: self.world.now_ms(),
            sequence: self.marks.sequence + 1,
        };
        let mut outcomes: Vec<_> =
            jobs.iter().map(|_| Err(StoreError::Unsettled { rounds: ROUNDS_MAX })).collect();
        let mut waiting: Vec<_> = jobs.iter_mut().zip(&mut outcomes).collect();
        for _ in 0..ROUNDS_MAX {
            let mut missing = BTreeSet::new();
            waiting.retain_mut(|(job, outcome)| {
                let mut view = View::new(&mut group);
                match job.run(&mut view) {
                    Ran::Done => {
                        view.keep();
                        **outcome = Ok(());
                        false
                    }
                    Ran::Refused => {
                        **outcome = Ok(());
                        false
                    }
                    Ran::Failed(error) => {
                        **outcome = Err(error);
                        false
                    }
                    Ran::Missed => {
                        missing.extend(view.discard());
                        true
                    }
                }
            });
            if waiting.is_empty() {
                break;
            }
            let keys: Vec<_> = missing.into_iter().collect();
            let values = group.snapshot.load(&keys)?;
            group.loaded.extend(keys.into_iter().zip(values));
        }
        Ok((outcomes, group))
    }

    fn commit(&mut self, group: Group, durability: Durability) -> Result<(), StoreError> {
        let Group { written: mut batch, clock, snapshot, sequence, identity, .. } = group;
        // Nothing to write, and nothing that a synced answer could rest on is still in the air.
        if batch.is_empty() && !(durability == Durability::Synced && self.unsynced) {
            // What was minted is in somebody's answer, so the next group begins above it.
            (self.marks.high, self.marks.ahead) = (clock.high(), clock.ahead());
            return Ok(());
        }
        if let Some(error) = self.shared.stopped.get() {
            return Err(error.clone());
        }
        let marks = Marks { high: clock.high(), ahead: clock.ahead(), sequence };
        let bytes =
            serde_json::to_vec(&marks).map_err(|error| StoreError::Engine(error.to_string().into()))?;
        batch.insert(marks_key(), Some(bytes.into()));
        let outbox: Vec<_> = batch
            .range(vec![OUTBOX_TAG]..vec![OUTBOX_TAG + 1])
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        self.shared.fingerprints().begin(sequence, &batch, &*snapshot);
        drop(snapshot);
        // An engine that panics has left its outcome as unknown as one that says so.
        let committing = AssertUnwindSafe(|| self.engine.commit(batch, durability));
        let committed = catch_unwind(committing)
            .unwrap_or_else(|_| Err(StoreError::Stopped { reason: "the storage engine panicked".into() }));
        if let Err(error) = committed {
            self.shared.fingerprints().failed();
            if matches!(error, StoreError::Stopped { .. }) {
                tracing::error!(%error, service = %self.identity.service, "no more writes are taken");
                self.shared.stopped.get_or_init(|| error.clone());
            }
            return Err(error);
        }
        self.shared.fingerprints().committed(&*self.engine);
        self.marks = marks;
        self.unsynced = durability == Durability::Relaxed;
        if !Arc::ptr_eq(&self.identity, &identity) {
            self.identity = Arc::clone(&identity);
            self.shared.set_identity(identity);
        }
        self.shared.committed(sequence, &outbox);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::{Abort, Memory, SeededWorld, Setup, Store, View, WriteError};
    use std::convert::Infallible;
    use std::sync::Arc;
    use tokio::sync::oneshot;

    async fn set(store: Store) -> Result<(), WriteError<Infallible>> {
        let set = |view: &mut View<'_>| {
            view.set(vec![0x20], vec![1]);
            Ok::<_, Abort<Infallible>>(())
        };
        store.write(set).await
    }

    #[tokio::test]
    async fn a_slow_disk_holds_back_answer_and_rows() {
        let disk = Memory::new();
        let world = Arc::new(SeededWorld::new(1, 1_700_000_000_000));
        let (store, mut committer) =
            Store::open_stepwise(disk.clone(), world, &Setup::of("comments")).unwrap();
        assert!(!committer.step_during(async {}).await, "nothing waits");
        let mut write = tokio::spawn(set(store.clone()));
        assert!(committer.ready().await);
        let (done, turning) = oneshot::channel();
        let commits = disk.commits();
        let mut step = Box::pin(committer.step_during(async { turning.await.unwrap() }));
        tokio::select! {
            biased;
            _ = &mut step => panic!("the disk is not done"),
            _ = &mut write => panic!("answered before the commit"),
            () = tokio::task::yield_now() => {}
        }
        assert_eq!(disk.commits(), commits);
        assert_eq!(store.reader().unwrap().bytes(&[0x20]).await.unwrap(), None);
        done.send(()).unwrap();
        assert!(step.await);
        write.await.unwrap().unwrap();
        assert!(store.reader().unwrap().bytes(&[0x20]).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_group_that_is_dropped_is_not_committed() {
        let disk = Memory::new();
        let world = Arc::new(SeededWorld::new(1, 1_700_000_000_000));
        let (store, mut committer) =
            Store::open_stepwise(disk.clone(), world, &Setup::of("comments")).unwrap();
        let write = tokio::spawn(set(store.clone()));
        assert!(committer.ready().await);
        let commits = disk.commits();
        let mut step = Box::pin(committer.step_during(std::future::pending()));
        tokio::select! {
            biased;
            _ = &mut step => panic!("the disk is not done"),
            () = tokio::task::yield_now() => {}
        }
        drop(step);
        assert!(write.await.unwrap().is_err());
        assert_eq!(disk.commits(), commits);
    }
}
