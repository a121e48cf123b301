//! The merge: joins what was announced into this service's own rows. The handler *is* the lattice's join.

use crate::anti_entropy::Heard;
use crate::lag::Lag;
use consumer::{Context, Handler, HandlerError};
use lattice::ReplicaId;
use messages::delta_group::Decoded;
use messages::{DeltaGroup, Fact, delta_group};
use queue::{Envelope, EnvelopeData, Message, Publisher};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;
use store::{Abort, Row, Store, View, ViewError};

/// Hears of facts that were merged and are on the disk.
type OnMerged<F> = Arc<dyn Fn(&DeltaGroup<F>) + Send + Sync>;
/// Says why a fact is not to be merged, if it is not.
type Believe<F> = Arc<dyn Fn(&<F as Fact>::Key, &<F as Fact>::State) -> Result<(), String> + Send + Sync>;

/// Joins one fact, with all that belongs to it, and says whether it was news.
type Joining<F> = Arc<
    dyn Fn(&mut View<'_>, &<F as Fact>::Key, <F as Fact>::State) -> Result<bool, ViewError> + Send + Sync,
>;

/// Joins facts `F` into the rows `R` of a store, durably, before it says that it has handled them.
///
/// A message that cannot be understood (no envelope, another type, another deployment, data that does not decode) is
/// poison: the pump keeps it whole, with the reason. So is one of which only some facts are understood and believed:
/// those are merged, and the rest waits in what is kept. Everything else, a full disk too, is tried again for ever.
pub struct Merge<F: Fact, R> {
    store: Store,
    believe: Believe<F>,
    joining: Joining<F>,
    on_merged: OnMerged<F>,
    publisher: Option<Arc<dyn Publisher>>,
    heard: Heard,
    lag: Lag,
    row: PhantomData<fn() -> R>,
}

impl<F: Fact, R> Clone for Merge<F, R> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            believe: Arc::clone(&self.believe),
            joining: Arc::clone(&self.joining),
            on_merged: Arc::clone(&self.on_merged),
            publisher: self.publisher.clone(),
            heard: self.heard.clone(),
            lag: self.lag.clone(),
            row: PhantomData,
        }
    }
}

impl<F: Fact, R> fmt::Debug for Merge<F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Merge").field("type", &F::TYPE).finish_non_exhaustive()
    }
}

impl<F: Fact, R: Row<Key = F::Key, State = F::State>> Merge<F, R> {
    /// A merge into `store`.
    pub fn new(store: Store) -> Self {
        Self {
            store,
            believe: Arc::new(|_, _| Ok(())),
            joining: Arc::new(|view, key, state| view.join::<R>(key, state).map(|joined| joined.grew)),
            on_merged: Arc::new(|_| {}),
            publisher: None,
            heard: Heard::default(),
            lag: Lag::default(),
            row: PhantomData,
        }
    }

    /// Joins every fact in this way instead of into its row alone: with index rows, tallies, and whatever else a local
    /// write of the same row would change. True when the row grew. It runs inside the write, and may run again: it does nothing but read and
    /// write its view. It marks nothing for those who hear the fact itself: who accepted a change announces it.
    #[must_use]
    pub fn joining(
        mut self,
        join: impl Fn(&mut View<'_>, &F::Key, F::State) -> Result<bool, ViewError> + Send + Sync + 'static,
    ) -> Self {
        self.joining = Arc::new(join);
        self
    }

    /// Answers digests of its topic with wants, sent through `publisher`. Without it they are passed over.
    #[must_use]
    pub fn wanting(mut self, publisher: &Arc<dyn Publisher>) -> Self {
        self.publisher = Some(Arc::clone(publisher));
        self
    }

    /// What it heard of those that announce: the same for every clone.
    pub fn heard(&self) -> Heard {
        self.heard.clone()
    }

    /// Merges only what `believe` does not refuse, with a reason: facts that must be signed.
    #[must_use]
    pub fn believing(
        mut self,
        believe: impl Fn(&F::Key, &F::State) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.believe = Arc::new(believe);
        self
    }

    /// Calls `hook` with every group that was merged and committed, perhaps more than once. It must not block.
    #[must_use]
    pub fn on_merged(mut self, hook: impl Fn(&DeltaGroup<F>) + Send + Sync + 'static) -> Self {
        self.on_merged = Arc::new(hook);
        self
    }

    /// Where it counts how long it took until what was changed elsewhere is shown here.
    pub fn lag(&self) -> Lag {
        self.lag.clone()
    }

    fn read(&self, message: &Message) -> Result<(Envelope, Decoded<F>), String> {
        let envelope = Envelope::decode(&message.body).map_err(|error| error.to_string())?;
        if envelope.event_type != F::TYPE {
            return Err(format!("type {:?} is not {:?}", envelope.event_type, F::TYPE));
        }
        let identity = self.store.identity();
        let ours = &identity.deployment;
        match &envelope.deployment {
            Some(theirs) if theirs == ours => {}
            Some(theirs) => return Err(format!("it belongs to deployment {theirs:?}, this is {ours:?}")),
            None => return Err("it names no deployment".to_owned()),
        }
        let EnvelopeData::Json(data) = &envelope.data else {
            return Err("its data is not JSON".to_owned());
        };
        let decoded = delta_group::decode::<F>(data).map_err(|error| error.to_string())?;
        Ok((envelope, decoded))
    }

    /// Joins, and tells how many rows grew.
    async fn join(&self, group: Arc<DeltaGroup<F>>) -> Result<u64, store::StoreError> {
        let joining = Arc::clone(&self.joining);
        let joined = self.store.write(move |view| {
            view.expect_keys(group.keys().map(store::key::of::<R>))?;
            let (mut missed, mut grown) = (false, 0);
            for (key, state) in group.iter() {
                if let Some(stamp) = F::newest_stamp(state) {
                    view.observe(stamp);
                }
                // One that misses a row holds up no other: all that is missing is then loaded in one round trip.
                match joining(view, key, state.clone()) {
                    Err(ViewError::Miss) => missed = true,
                    joined => grown += u64::from(joined?),
                }
            }
            if missed { Err(ViewError::Miss.into()) } else { Ok::<_, Abort<std::convert::Infallible>>(grown) }
        });
        joined.await.map_err(store::WriteError::into_store)
    }
}

impl<F: Fact, R: Row<Key = F::Key, State = F::State>> Handler for Merge<F, R> {
    async fn handle(&self, message: &Message, _context: &Context) -> Result<(), HandlerError> {
        let (envelope, Decoded { mut group, refused }) = self.read(message).map_err(HandlerError::poison)?;
        let mut refused: Vec<_> = refused.iter().map(ToString::to_string).collect();
        group.retain(|key, state| match (self.believe)(key, state) {
            Ok(()) => true,
            Err(reason) => {
                refused.push(format!("{key}: {reason}"));
                false
            }
        });
        let group = Arc::new(group);
        let grown = self.join(Arc::clone(&group)).await?;
        if let Some(changed_ms) = envelope.time_ms() {
            let now_ms = self.store.world().now_ms();
            self.lag.record(changed_ms, now_ms, grown);
            let lag = Duration::from_millis(now_ms.saturating_sub(changed_ms));
            metrics::histogram!("antiphon_merge_lag_seconds", "topic" => F::TOPIC).record(lag);
            if let Some(publisher) = replica_of(&envelope.source) {
                let lag_ms = u64::try_from(lag.as_millis()).ok();
                self.heard.change(publisher, |status| status.lag_ms = lag_ms);
            }
        }
        (self.on_merged)(&group);
        match refused.first() {
            None => Ok(()),
            Some(first) => Err(HandlerError::poison(format!("{} facts in it: {first}", refused.len()))),
        }
    }
}

/// The replica in the source of an envelope, `/service/replica`.
fn replica_of(source: &str) -> Option<ReplicaId> {
    source.rsplit('/').next()?.parse().ok()
}
