//! One kind of fact that a publisher compares with its subscribers.

use super::pace::BULK_ROWS_MAX;
use super::send::Sender;
use super::wire::{self, Digest, Kept, Run};
use crate::merge::Believe;
use lattice::Lattice;
use messages::Fact;
use queue::{BoxFuture, NameError, Publisher, Topic};
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use store::{Abort, KeyPart, KeyRange, Row, Store, StoreError, Sums, Tracked, View, ViewError};

/// Joins a row that a subscriber has; true where ours grew.
type Joining<F> = Arc<
    dyn Fn(&mut View<'_>, &<F as Fact>::Key, <F as Fact>::State) -> Result<bool, ViewError> + Send + Sync,
>;

/// Hears of a row that a subscriber had, once it is on the disk here.
type OnHeard<F> = Arc<dyn Fn(&<F as Fact>::Key, &<F as Fact>::State) + Send + Sync>;

/// Keys and states.
type Rows<F> = Vec<(<F as Fact>::Key, <F as Fact>::State)>;

/// Rows `R`, announced as facts `F`, and what becomes of rows that a subscriber has and we do not.
pub struct Cover<F: Fact, R> {
    joining: Joining<F>,
    believe: Believe<F>,
    on_heard: Option<OnHeard<F>>,
    row: PhantomData<fn() -> R>,
}

impl<F: Fact, R> fmt::Debug for Cover<F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cover").field("type", &F::TYPE).finish_non_exhaustive()
    }
}

impl<F: Fact, R: Row<Key = F::Key, State = F::State>> Default for Cover<F, R> {
    fn default() -> Self {
        Self::new()
    }
}

impl<F: Fact, R: Row<Key = F::Key, State = F::State>> Cover<F, R> {
    /// What a subscriber has and we do not is joined into our rows: so a publisher that was restored is healed.
    pub fn new() -> Self {
        let joining =
            |view: &mut View<'_>, key: &F::Key, state| view.join::<R>(key, state).map(|joined| joined.grew);
        let believe: Believe<F> = Arc::new(|_, _| Ok(()));
        Self { joining: Arc::new(joining), believe, on_heard: None, row: PhantomData }
    }

    /// Joins it in the service's own way: the same that [`crate::Merge`] is given. It runs in a write, perhaps more than once.
    #[must_use]
    pub fn joining(
        mut self,
        joining: impl Fn(&mut View<'_>, &F::Key, F::State) -> Result<bool, ViewError> + Send + Sync + 'static,
    ) -> Self {
        self.joining = Arc::new(joining);
        self
    }

    /// Calls `hook` with every row of a subscriber's that was joined and committed, perhaps more than once. It must not
    /// block.
    #[must_use]
    pub fn on_heard(mut self, hook: impl Fn(&F::Key, &F::State) + Send + Sync + 'static) -> Self {
        self.on_heard = Some(Arc::new(hook));
        self
    }

    /// Joins only what `believe` does not refuse: facts that must be signed.
    #[must_use]
    pub fn believing(
        mut self,
        believe: impl Fn(&F::Key, &F::State) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.believe = Arc::new(believe);
        self
    }
}

/// What a subscriber has in a range.
#[derive(Debug)]
pub(super) struct Values {
    pub(super) range: KeyRange,
    pub(super) within: KeyRange,
    pub(super) rows: Vec<Kept>,
}

/// A cover whose types are forgotten.
pub(super) trait Route: Send + Sync {
    fn topic(&self) -> &Topic;
    fn fact(&self) -> &'static str;
    fn tracked(&self) -> &Tracked;
    /// Hears what a subscriber has, and marks what is news to it, and the rows of `bulk`: to be announced again. Returns for
    /// each of `values` how many rows were marked.
    fn exchange(
        &self,
        values: Vec<Values>,
        bulk: Vec<Vec<u8>>,
    ) -> BoxFuture<'_, Result<Vec<usize>, StoreError>>;
    /// Publishes a digest: of everything for all, or an answer.
    fn tell(&self, answers: Option<[u8; 16]>, runs: Vec<Run>) -> BoxFuture<'_, ()>;
}

pub(super) struct Covered<F: Fact, R> {
    store: Store,
    tracked: Tracked,
    sender: Sender,
    topic: Topic,
    cover: Cover<F, R>,
}

impl<F: Fact, R: Row<Key = F::Key, State = F::State>> Covered<F, R> {
    pub(super) fn new(
        store: &Store,
        publisher: &Arc<dyn Publisher>,
        cover: Cover<F, R>,
    ) -> Result<Self, NameError> {
        let topic = Topic::new(F::TOPIC)?;
        Ok(Self {
            store: store.clone(),
            tracked: store.track::<R>(&KeyRange::new(F::KEYS_FROM, F::KEYS_TO)),
            sender: Sender::new(topic.clone(), Arc::clone(publisher)),
            topic,
            cover,
        })
    }
}

/// A key from its bytes.
fn key_of<K: KeyPart>(mut bytes: &[u8]) -> Option<K> {
    let key = K::read(&mut bytes)?;
    bytes.is_empty().then_some(key)
}

/// A state from JSON that can also be announced: an envelope nests it two levels deeper, and JSON is read to a bounded depth.
fn state_of<S: DeserializeOwned>(json: &[u8]) -> Option<S> {
    let announced = [b"[[", json, b"]]"].concat();
    serde_json::from_slice::<serde_json::Value>(&announced).ok()?;
    serde_json::from_slice(json).ok()
}

impl<F: Fact, R: Row<Key = F::Key, State = F::State>> Covered<F, R> {
    /// For each of what a subscriber has: its rows and ours side by side. What cannot be read is not there.
    fn side_by_side(&self, values: &[Values]) -> Result<Vec<Rows<F>>, StoreError> {
        let limit = usize::try_from(BULK_ROWS_MAX).unwrap_or(usize::MAX);
        let mut all = Vec::with_capacity(values.len());
        for value in values {
            let mut theirs: Rows<F> = Vec::new();
            for (key, state) in &value.rows {
                let read = key_of(key).zip(state_of(state));
                match read.filter(|_| value.within.contains(key)) {
                    Some((key, state)) => match (self.cover.believe)(&key, &state) {
                        Ok(()) => theirs.push((key, state)),
                        Err(reason) => {
                            tracing::warn!(topic = %self.topic, %key, reason, "a subscriber has what is not believed");
                        }
                    },
                    None => {
                        tracing::debug!(topic = %self.topic, ?key, "a subscriber has what is not understood here");
                    }
                }
            }
            let known: BTreeSet<_> = theirs.iter().map(|(key, _)| key.clone()).collect();
            for (key, _) in self.tracked.rows(&value.within, limit)? {
                if let Some(key) = key_of::<F::Key>(&key).filter(|key| !known.contains(key)) {
                    theirs.push((key, F::State::default()));
                }
            }
            all.push(theirs);
        }
        Ok(all)
    }
}

impl<F: Fact, R: Row<Key = F::Key, State = F::State>> Route for Covered<F, R> {
    fn topic(&self) -> &Topic {
        &self.topic
    }

    fn fact(&self) -> &'static str {
        F::TYPE
    }

    fn tracked(&self) -> &Tracked {
        &self.tracked
    }

    fn exchange(
        &self,
        values: Vec<Values>,
        bulk: Vec<Vec<u8>>,
    ) -> BoxFuture<'_, Result<Vec<usize>, StoreError>> {
        Box::pin(async move {
            let rows = self.side_by_side(&values)?;
            let bulk: Vec<F::Key> = bulk.iter().filter_map(|key| key_of(key)).collect();
            let joining = Arc::clone(&self.cover.joining);
            let told = self.cover.on_heard.as_ref().map(|hook| {
                let heard = rows.iter().flatten().filter(|(_, theirs)| *theirs != F::State::default());
                (hook, heard.cloned().collect::<Rows<F>>())
            });
            let hears = values.iter().any(|value| !value.rows.is_empty());
            let exchange = move |view: &mut View<'_>| {
                let keys = rows.iter().flatten().map(|(key, _)| key).chain(&bulk);
                view.expect_keys(keys.map(store::key::of::<R>))?;
                // One that misses a row holds up no other: all that is missing is then loaded in one round trip.
                let (mut marked, mut missed) = (Vec::with_capacity(rows.len()), false);
                for rows in &rows {
                    let mut news = 0;
                    for (key, theirs) in rows {
                        match hear::<F, R>(view, &joining, key, theirs) {
                            Err(ViewError::Miss) => missed = true,
                            is_news => news += usize::from(is_news?),
                        }
                    }
                    marked.push(news);
                }
                for key in &bulk {
                    match view.mark::<R>(F::TOPIC, key) {
                        Err(ViewError::Miss) => missed = true,
                        bulk => bulk?,
                    }
                }
                if missed {
                    return Err(ViewError::Miss.into());
                }
                Ok::<_, Abort<Infallible>>(marked)
            };
            // A mark that is lost is asked for again; a row that was joined is not.
            let written = if hears {
                self.store.write(exchange).await
            } else {
                self.store.write_relaxed(exchange).await
            };
            let marked = written.map_err(store::WriteError::into_store)?;
            if let Some((hook, heard)) = told {
                for (key, state) in &heard {
                    hook(key, state);
                }
            }
            Ok(marked)
        })
    }

    fn tell(&self, answers: Option<[u8; 16]>, runs: Vec<Run>) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let changes = self.tracked.changes();
            let message = |runs: &[Run]| {
                let digest = Digest { answers, changes, runs: runs.to_vec() };
                wire::digest_message(&self.store, F::TYPE, &digest)
            };
            self.sender.send(runs, Run::bytes, message).await;
        })
    }
}

/// Joins what a subscriber has of a row, and marks ours where it is news there; whether it is.
fn hear<F: Fact, R: Row<Key = F::Key, State = F::State>>(
    view: &mut View<'_>,
    joining: &Joining<F>,
    key: &F::Key,
    theirs: &F::State,
) -> Result<bool, ViewError> {
    if *theirs != F::State::default() {
        if let Some(stamp) = F::newest_stamp(theirs) {
            view.observe(stamp);
        }
        joining(view, key, theirs.clone())?;
    }
    let ours = view.get::<R>(key)?.unwrap_or_default();
    let is_news = theirs.clone().join(ours);
    if is_news {
        view.mark::<R>(F::TOPIC, key)?;
    }
    Ok(is_news)
}

/// A run of these pieces, with their sums as they are now; `None` while not every row was read.
pub(super) fn run(tracked: &Tracked, pieces: Vec<KeyRange>) -> Result<Option<Run>, StoreError> {
    let mut summed: Vec<(KeyRange, Sums)> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let Some(sums) = tracked.sums(&piece)? else { return Ok(None) };
        summed.push((piece, sums));
    }
    Ok(Some(Run::of(summed)))
}
