//! The store's handle: opening, writing, reading.

use crate::engine::{Durability, Engine};
use crate::error::{Abort, OpenError, StoreError, ViewError, WriteError};
use crate::group::{Committer, Job, Order, Ran, WAITING_WRITES_MAX};
use crate::identity::{Identity, Marks, identity_key, marks_key};
use crate::outbox::Mark;
use crate::read::Reader;
use crate::shared::Shared;
use crate::view::View;
use crate::world::World;
use lattice::{OwnedTallies, ReplicaId};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// What a new store is told, and an old one is checked against.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Whose rows these are.
    pub service: String,
    /// The deployment to join; `None` mints one with a new store and keeps an old one's.
    pub deployment: Option<String>,
    /// Topics that nobody listens to here, see [`Setup::muting`].
    pub muted: BTreeSet<&'static str>,
    /// A field that fingerprints do not look at: a bug, for whoever tests that it is noticed.
    #[cfg(feature = "planted")]
    #[doc(hidden)]
    pub blind_to: Option<&'static str>,
}

impl Setup {
    /// A store of `service`, in whatever deployment it already is.
    pub fn of(service: impl Into<String>) -> Self {
        Self {
            service: service.into(),
            deployment: None,
            muted: BTreeSet::new(),
            #[cfg(feature = "planted")]
            blind_to: None,
        }
    }

    /// In this deployment.
    #[must_use]
    pub fn in_deployment(mut self, deployment: impl Into<String>) -> Self {
        self.deployment = Some(deployment.into());
        self
    }

    /// With nobody to tell on these topics: no row is marked for them, so that a site without siblings pays nothing for
    /// what only siblings would hear. Marks that an earlier start made stay on the disk, neither counted nor handed out;
    /// a start that does not mute their topic announces them.
    ///
    /// What changes meanwhile is *not* marked afterwards: whoever stops muting a topic needs anti-entropy.
    #[must_use]
    pub fn muting(mut self, topics: impl IntoIterator<Item = &'static str>) -> Self {
        self.muted.extend(topics);
        self
    }
}

/// A handle on a store; clones are handles on the same one.
#[derive(Debug, Clone)]
pub struct Store {
    orders: mpsc::Sender<Order>,
    pub(crate) shared: Arc<Shared>,
}

impl Store {
    /// Opens a store on an engine, with a thread that commits its groups.
    pub fn open(engine: impl Engine, world: Arc<dyn World>, setup: &Setup) -> Result<Self, OpenError> {
        let (store, committer) = Self::open_stepwise(engine, world, setup)?;
        std::thread::Builder::new()
            .name(format!("commit-{}", setup.service))
            .spawn(move || committer.run())
            .map_err(|source| OpenError::Io { path: "commit thread".into(), source })?;
        Ok(store)
    }

    /// Opens a store whose groups are committed when the caller says so: [`Committer::step`].
    pub fn open_stepwise(
        engine: impl Engine,
        world: Arc<dyn World>,
        setup: &Setup,
    ) -> Result<(Self, Committer), OpenError> {
        let engine: Arc<dyn Engine> = Arc::new(engine);
        let (identity, marks) = meet(&*engine, &*world, setup)?;
        let identity = Arc::new(identity);
        let muted = Arc::new(setup.muted.clone());
        let shared = Shared::new(
            Arc::clone(&engine),
            Arc::clone(&world),
            Arc::clone(&identity),
            muted,
            marks.sequence,
        )
        .map_err(|error| unreadable(&error))?;
        let shared = Arc::new(shared);
        #[cfg(feature = "planted")]
        shared.fingerprints().printer.be_blind_to(setup.blind_to);
        let (sender, orders) = mpsc::channel(WAITING_WRITES_MAX);
        let committer = Committer {
            engine,
            world,
            identity,
            marks,
            orders,
            shared: Arc::clone(&shared),
            // What an earlier process committed relaxed may still be in the air.
            unsynced: true,
            first: None,
        };
        Ok((Self { orders: sender, shared }, committer))
    }

    /// Runs `function` in the next group and answers when the group is on the disk.
    ///
    /// The function may be run more than once. Dropping the future does not undo the write: ask again with the same
    /// idempotency key. Waits while [`WAITING_WRITES_MAX`] others wait.
    pub async fn write<T, E, F>(&self, function: F) -> Result<T, WriteError<E>>
    where
        F: FnMut(&mut View<'_>) -> Result<T, Abort<E>> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        self.submit(function, Durability::Synced).await
    }

    /// Like [`Store::write`], but answers when the operating system has it: it survives the process, and the machine
    /// only once a later synced group is on the disk. For facts whose loss is harmless, never for what was promised.
    pub async fn write_relaxed<T, E, F>(&self, function: F) -> Result<T, WriteError<E>>
    where
        F: FnMut(&mut View<'_>) -> Result<T, Abort<E>> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        self.submit(function, Durability::Relaxed).await
    }

    async fn submit<T, E, F>(&self, function: F, durability: Durability) -> Result<T, WriteError<E>>
    where
        F: FnMut(&mut View<'_>) -> Result<T, Abort<E>> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job = Waiting { function, durability, result: None, answer };
        self.orders.send(Order::Write(Box::new(job))).await.map_err(|_| gone())?;
        match answered.await.map_err(|_| gone())? {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(refusal)) => Err(WriteError::Refused(refusal)),
            Err(Failure::Store(error)) => Err(WriteError::Store(error)),
            Err(Failure::Panicked(payload)) => resume_unwind(payload),
        }
    }

    /// What is committed now.
    pub fn reader(&self) -> Result<Reader, StoreError> {
        Ok(Reader::new(self.shared.engine.snapshot()?))
    }

    /// Who this store is, as of the last commit. It may change while it runs ([`View::renew`], [`View::adopt`]), so ask
    /// where it is needed and keep no copy.
    pub fn identity(&self) -> Arc<Identity> {
        self.shared.identity()
    }

    /// Whether nobody is told anything on a topic: see [`Setup::muting`].
    pub fn mutes(&self, topic: &str) -> bool {
        self.shared.muted.contains(topic)
    }

    /// The world it was opened in.
    pub fn world(&self) -> &Arc<dyn World> {
        &self.shared.world
    }

    /// The sequence number of the last commit: changes when there is something new to read or to announce.
    pub fn committed(&self) -> watch::Receiver<u64> {
        self.shared.committed.subscribe()
    }

    /// The next `limit` rows to be announced on `topic`, from behind those that were asked for last, round and round: one
    /// that stays marked holds back no other.
    pub fn marks(&self, topic: &str, limit: usize) -> Result<Vec<Mark>, StoreError> {
        self.shared.marks(topic, limit)
    }

    /// Why no more writes are taken, if that is so: reads go on, and only a restart helps.
    pub fn stopped(&self) -> Option<StoreError> {
        self.shared.stopped.get().cloned()
    }

    /// How many rows are to be announced, and whether that is only the part of them that is held in memory.
    pub fn outbox_depth(&self) -> (usize, bool) {
        self.shared.outbox_depth()
    }

    /// Finishes the writes that wait and stops taking more. The folder is free once every handle is dropped too.
    pub async fn close(self) {
        let (closed, done) = oneshot::channel();
        if self.orders.send(Order::Close(closed)).await.is_ok() {
            // An error means that the committer is gone already, which is what was wanted.
            done.await.unwrap_or_default();
        }
    }
}

/// Reads who the store is, or mints it.
fn meet(engine: &dyn Engine, world: &dyn World, setup: &Setup) -> Result<(Identity, Marks), OpenError> {
    let found = engine
        .snapshot()
        .and_then(|snapshot| snapshot.load(&[identity_key(), marks_key()]))
        .map_err(|error| unreadable(&error))?;
    let mut found = found.into_iter();
    let (identity, marks) = (found.next().flatten(), found.next().flatten());
    let corrupt = |what: &str, error: serde_json::Error| OpenError::Corrupt {
        path: setup.service.clone().into(),
        detail: format!("its {what} cannot be read: {error}"),
    };
    let marks = match marks {
        Some(bytes) => serde_json::from_slice(&bytes).map_err(|error| corrupt("high-water marks", error))?,
        None => Marks::default(),
    };
    if let Some(bytes) = identity {
        let identity: Identity =
            serde_json::from_slice(&bytes).map_err(|error| corrupt("identity", error))?;
        let mismatch = |found: &str, wanted: &str| OpenError::WrongService {
            path: setup.service.clone().into(),
            found: found.to_owned(),
            wanted: wanted.to_owned(),
        };
        if identity.service != setup.service {
            return Err(mismatch(&identity.service, &setup.service));
        }
        if let Some(wanted) = setup.deployment.as_ref().filter(|wanted| **wanted != identity.deployment) {
            return Err(mismatch(
                &format!("deployment {}", identity.deployment),
                &format!("deployment {wanted}"),
            ));
        }
        return Ok((identity, marks));
    }
    if marks != Marks::default() {
        // Minting another one would count everything twice under two names.
        return Err(OpenError::Corrupt {
            path: setup.service.clone().into(),
            detail: "its identity is missing though groups were committed".to_owned(),
        });
    }
    let replica = ReplicaId::from_u128(world.random());
    let identity = Identity {
        service: setup.service.clone(),
        deployment: setup.deployment.clone().unwrap_or_else(|| format!("{:032x}", world.random())),
        replica,
        owned: OwnedTallies::of(replica),
    };
    let bytes = serde_json::to_vec(&identity).map_err(|error| corrupt("identity", error))?;
    engine
        .commit([(identity_key(), Some(bytes.into()))].into(), Durability::Synced)
        .map_err(|error| unreadable(&error))?;
    Ok((identity, marks))
}

fn unreadable(error: &StoreError) -> OpenError {
    OpenError::Io { path: "store".into(), source: std::io::Error::other(error.to_string()) }
}

fn gone() -> StoreError {
    StoreError::Stopped { reason: "it was closed".into() }
}

enum Failure {
    Store(StoreError),
    /// The function panicked: its caller is to hear it, its neighbours are not.
    Panicked(Box<dyn std::any::Any + Send>),
}

type Answer<T, E> = Result<Result<T, E>, Failure>;

struct Waiting<F, T, E> {
    function: F,
    durability: Durability,
    result: Option<Answer<T, E>>,
    answer: oneshot::Sender<Answer<T, E>>,
}

impl<F, T, E> Job for Waiting<F, T, E>
where
    F: FnMut(&mut View<'_>) -> Result<T, Abort<E>> + Send,
    T: Send,
    E: Send,
{
    fn durability(&self) -> Durability {
        self.durability
    }

    fn run(&mut self, view: &mut View<'_>) -> Ran {
        match catch_unwind(AssertUnwindSafe(|| (self.function)(view))) {
            Ok(Ok(value)) => {
                self.result = Some(Ok(Ok(value)));
                Ran::Done
            }
            Ok(Err(Abort::Refused(refusal))) => {
                self.result = Some(Ok(Err(refusal)));
                Ran::Refused
            }
            Ok(Err(Abort::View(ViewError::Miss))) => Ran::Missed,
            Ok(Err(Abort::View(ViewError::Store(error)))) => Ran::Failed(error),
            Err(payload) => {
                self.result = Some(Err(Failure::Panicked(payload)));
                Ran::Refused
            }
        }
    }

    fn settle(self: Box<Self>, outcome: Result<(), StoreError>) {
        let answer = match outcome {
            Ok(()) => self.result.unwrap_or_else(|| Err(Failure::Store(gone()))),
            Err(error) => Err(Failure::Store(error)),
        };
        // A caller that went away does not want its answer; the write stands.
        drop(self.answer.send(answer));
    }
}
