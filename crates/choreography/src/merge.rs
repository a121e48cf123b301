//! The merge: joins what was announced into this service's own rows. The handler *is* the lattice's join.

use crate::anti_entropy::{self, DIGEST_TYPE, DIGEST_TYPES, Heard, ListenError, Listener};
use crate::lag::Lag;
use consumer::{Chain, Context, Handler, HandlerError};
use messages::delta_group::Decoded;
use messages::{DeltaGroup, Fact, delta_group};
use queue::{Envelope, EnvelopeData, Message, NameError, Publisher};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;
use store::{Abort, Row, Store, View, ViewError};

/// Hears of facts that were merged and are on the disk.
type OnMerged<F> = Arc<dyn Fn(&DeltaGroup<F>) + Send + Sync>;
/// Says why a fact is not to be merged, if it is not.
pub(crate) type Believe<F> =
    Arc<dyn Fn(&<F as Fact>::Key, &<F as Fact>::State) -> Result<(), String> + Send + Sync>;

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
    listener: Option<Arc<Listener>>,
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
            listener: self.listener.clone(),
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
            listener: None,
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
    pub fn wanting(mut self, publisher: &Arc<dyn Publisher>) -> Result<Self, NameError> {
        self.listener = Some(Arc::new(Listener::new::<F, R>(&self.store, publisher, self.heard.clone())?));
        Ok(self)
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

    /// Whether an envelope bears facts, of our deployment.
    fn check(&self, envelope: &Envelope) -> Result<(), String> {
        if envelope.event_type != F::TYPE {
            return Err(format!("type {:?} is not {:?}", envelope.event_type, F::TYPE));
        }
        check_deployment(envelope, &self.store)
    }

    /// Reads facts. Those that are not understood, or not believed, are told apart.
    fn read(&self, envelope: &Envelope) -> Result<(DeltaGroup<F>, Vec<String>), String> {
        let EnvelopeData::Json(data) = &envelope.data else {
            return Err("its data is not JSON".to_owned());
        };
        let Decoded { mut group, refused } =
            delta_group::decode::<F>(data).map_err(|error| error.to_string())?;
        let mut refused: Vec<_> = refused.iter().map(ToString::to_string).collect();
        group.retain(|key, state| match (self.believe)(key, state) {
            Ok(()) => true,
            Err(reason) => {
                refused.push(format!("{key}: {reason}"));
                false
            }
        });
        if let Some((listener, publisher)) = self.listener.as_ref().zip(anti_entropy::sender(envelope)) {
            listener.merged(publisher, group.keys());
            for (key, state) in data.as_object().into_iter().flatten() {
                if let Ok(key) = key.parse::<F::Key>()
                    && !group.contains_key(&key)
                {
                    listener.refused(publisher, &key, state);
                }
            }
        }
        Ok((group, refused))
    }

    /// What a publisher has is compared with what is here. A digest of a newer version is passed over: it will come again,
    /// and what it would tell is found out after an upgrade. No digest is tried again, or kept: where a row cannot be read
    /// every digest would come back for ever, before all facts.
    async fn compare(&self, envelope: &Envelope) {
        let Some(listener) = self.listener.as_ref().filter(|_| envelope.event_type == DIGEST_TYPE) else {
            return;
        };
        if let Err(reason) = check_deployment(envelope, &self.store) {
            return anti_entropy::refuse(F::TOPIC, "digest", &reason);
        }
        match listener.hear(envelope).await {
            Ok(()) => {}
            Err(ListenError::Store(error)) => {
                let error = Chain(&error);
                tracing::warn!(topic = F::TOPIC, %error, "a digest could not be compared; the next one will be");
            }
            Err(other) => anti_entropy::refuse(F::TOPIC, "digest", &other),
        }
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
        let envelope =
            Envelope::decode(&message.body).map_err(|error| HandlerError::poison(error.to_string()))?;
        if envelope.event_type.starts_with(DIGEST_TYPES) {
            self.compare(&envelope).await;
            return Ok(());
        }
        self.check(&envelope).map_err(HandlerError::poison)?;
        let (group, refused) = self.read(&envelope).map_err(HandlerError::poison)?;
        let group = Arc::new(group);
        let grown = self.join(Arc::clone(&group)).await?;
        if let Some(changed_ms) = envelope.time_ms() {
            let now_ms = self.store.world().now_ms();
            self.lag.record(changed_ms, now_ms, grown);
            let lag = Duration::from_millis(now_ms.saturating_sub(changed_ms));
            metrics::histogram!("antiphon_merge_lag_seconds", "topic" => F::TOPIC).record(lag);
            if let Some(publisher) = anti_entropy::sender(&envelope) {
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

/// Refuses what is not of a store's deployment.
pub(crate) fn check_deployment(envelope: &Envelope, store: &Store) -> Result<(), String> {
    let ours = &store.identity().deployment;
    match &envelope.deployment {
        Some(theirs) if theirs == ours => Ok(()),
        Some(theirs) => Err(format!("it belongs to deployment {theirs:?}, this is {ours:?}")),
        None => Err("it names no deployment".to_owned()),
    }
}
