//! The relay: announces the rows that are marked in the outbox.
//!
//! It reads a marked row as it *is now*, publishes it, and clears the mark if the row has not moved since. A crash
//! anywhere in between announces again, which harms nobody; a row that changed a thousand times since the last round
//! costs one message.

use consumer::Chain;
use messages::{Fact, delta_group};
use queue::{BoxFuture, Envelope, EnvelopeData, Message, NameError, PublishError, Publisher, Topic};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use store::{Abort, Mark, Reader, Row, Store, StoreError, ViewError};
use thiserror::Error;

mod bundle;

pub use bundle::MESSAGE_ROWS_MAX;

/// The most rows of a topic that one round announces.
pub const ROUND_ROWS_MAX: usize = 1024;
/// The pause after a failed round, doubled up to [`PAUSE_MAX`] while rounds go on failing.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest pause between failing rounds.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Why a round did not announce everything. *Go on: what was not announced stays marked.*
#[derive(Debug, Error)]
pub enum RelayError {
    /// The store could not be read, or a mark not cleared.
    #[error("the relay cannot use its store")]
    Store(#[from] StoreError),
    /// The broker did not take a message.
    #[error("{failed} of {messages} messages were not published to {topic}")]
    Publish {
        /// Where to.
        topic: Topic,
        /// How many were not taken.
        failed: usize,
        /// Of how many.
        messages: usize,
        /// The first refusal.
        source: PublishError,
    },
}

impl RelayError {
    /// True where another try finds the same: a row that cannot be read.
    fn is_lasting(&self) -> bool {
        matches!(self, Self::Store(StoreError::Corrupt { .. }))
    }
}

/// What one round did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Round {
    /// Messages that the broker has.
    pub messages: usize,
    /// Rows in them.
    pub rows: usize,
}

/// A marked row, ready to be sent, or a piece of one that is too large for a message.
struct Outgoing {
    mark: Mark,
    key: String,
    state: Value,
    bytes: usize,
}

impl Outgoing {
    fn new(mark: Mark, key: String, state: &impl Serialize) -> Result<Self, StoreError> {
        let state =
            serde_json::to_value(state).map_err(|error| StoreError::Engine(error.to_string().into()))?;
        let bytes = key.len() + state.to_string().len();
        Ok(Self { mark, key, state, bytes })
    }
}

/// Of marked rows, what can be sent, and why the first of those that cannot be read is not among it: they stay marked.
#[derive(Default)]
struct Readable {
    outgoing: Vec<Outgoing>,
    unreadable: Option<StoreError>,
}

/// A kind of row that is announced.
trait Route: Send + Sync {
    fn topic(&self) -> &Topic;
    fn event_type(&self) -> &'static str;
    fn read<'a>(
        &'a self,
        reader: &'a Reader,
        marks: Vec<Mark>,
    ) -> BoxFuture<'a, Result<Readable, StoreError>>;
}

struct Announced<F, R> {
    topic: Topic,
    kinds: PhantomData<fn() -> (F, R)>,
}

impl<F, R> Route for Announced<F, R>
where
    F: Fact,
    R: Row<Key = F::Key, State = F::State>,
{
    fn topic(&self) -> &Topic {
        &self.topic
    }

    fn event_type(&self) -> &'static str {
        F::TYPE
    }

    fn read<'a>(
        &'a self,
        reader: &'a Reader,
        marks: Vec<Mark>,
    ) -> BoxFuture<'a, Result<Readable, StoreError>> {
        Box::pin(async move {
            let (mut keys, mut kept) = (Vec::new(), Vec::new());
            for mark in marks {
                match store::key::read::<R>(&mark.row) {
                    Some(key) => {
                        keys.push(key);
                        kept.push(mark);
                    }
                    None => {
                        tracing::error!(topic = %self.topic, row = ?mark.row, "a mark names no row of its topic");
                    }
                }
            }
            let mut readable = Readable::default();
            for ((mark, key), state) in kept.into_iter().zip(&keys).zip(states::<R>(reader, &keys).await?) {
                let state = match state {
                    Ok(state) => state.unwrap_or_default(),
                    Err(error) => {
                        readable.unreadable.get_or_insert(error);
                        continue;
                    }
                };
                let key = key.to_string();
                let whole = Outgoing::new(mark.clone(), key.clone(), &state)?;
                if whole.bytes <= bundle::MESSAGE_BYTES_MAX {
                    readable.outgoing.push(whole);
                    continue;
                }
                for piece in F::pieces(state) {
                    readable.outgoing.push(Outgoing::new(mark.clone(), key.clone(), &piece)?);
                }
            }
            Ok(readable)
        })
    }
}

/// The states of rows in one round trip; one by one where any of them cannot be read, since it holds up no other.
async fn states<R: Row>(
    reader: &Reader,
    keys: &[R::Key],
) -> Result<Vec<Result<Option<R::State>, StoreError>>, StoreError> {
    match reader.get_many::<R>(keys).await {
        Ok(states) => Ok(states.into_iter().map(Ok).collect()),
        Err(StoreError::Corrupt { .. }) => {
            let mut states = Vec::with_capacity(keys.len());
            for key in keys {
                states.push(reader.get::<R>(key).await);
            }
            Ok(states)
        }
        Err(error) => Err(error),
    }
}

/// Announces what a store has marked.
pub struct Relay {
    store: Store,
    publisher: Arc<dyn Publisher>,
    routes: Vec<Box<dyn Route>>,
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let topics: Vec<_> = self.routes.iter().map(|route| route.topic().as_str()).collect();
        f.debug_struct("Relay").field("topics", &topics).finish_non_exhaustive()
    }
}

impl Relay {
    /// A relay that announces nothing yet.
    pub fn new(store: Store, publisher: Arc<dyn Publisher>) -> Self {
        Self { store, publisher, routes: Vec::new() }
    }

    /// Announces the marked rows `R` as facts `F`, on the topic of the fact.
    pub fn announcing<F, R>(mut self) -> Result<Self, NameError>
    where
        F: Fact,
        R: Row<Key = F::Key, State = F::State>,
    {
        let topic = Topic::new(F::TOPIC)?;
        self.routes.push(Box::new(Announced::<F, R> { topic, kinds: PhantomData }));
        Ok(self)
    }

    /// One round: what is marked now, at most [`ROUND_ROWS_MAX`] rows a topic. Every topic gets its turn, also after
    /// another one failed; the first failure is returned.
    pub async fn step(&self) -> Result<Round, RelayError> {
        let (round, failure) = self.round().await;
        failure.map_or(Ok(round), Err)
    }

    async fn round(&self) -> (Round, Option<RelayError>) {
        let (mut round, mut failure) = (Round::default(), None::<RelayError>);
        for route in &self.routes {
            if let Err(error) = self.announce(&**route, &mut round).await
                && failure.as_ref().is_none_or(RelayError::is_lasting)
            {
                // What is to be tried again is not hidden by what stays as it is.
                failure = Some(error);
            }
        }
        (round, failure)
    }

    /// Rounds until `stop`, and one last round then. Waits for commits while there is nothing to announce.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut committed = self.store.committed();
        let (mut pause, mut lasting) = (PAUSE_MIN, String::new());
        loop {
            committed.borrow_and_update();
            let (round, mut failure) = self.round().await;
            // Nothing that is news waits for what cannot be read, and nobody is told of it at every commit.
            if let Some(error) = failure.take_if(|error| error.is_lasting()) {
                let told = Chain(&error).to_string();
                if told != lasting {
                    tracing::error!(error = %told, "a marked row is not announced, and stays marked");
                    lasting = told;
                }
            }
            // What one topic refuses must not slow down what others take.
            if failure.is_none() || round.rows > 0 {
                pause = PAUSE_MIN;
            }
            let goes_on = if let Some(error) = failure {
                tracing::warn!(error = %Chain(&error), "announcing failed; what is marked stays marked");
                let waiting = pause;
                pause = (pause * 2).min(PAUSE_MAX);
                // Biased, here and below: a run repeats for a seed. A stop that has been called is seen first.
                tokio::select! {
                    biased;
                    () = &mut stop => false,
                    () = tokio::time::sleep(waiting) => true,
                }
            } else if round.rows == 0 {
                tokio::select! {
                    biased;
                    () = &mut stop => false,
                    changed = committed.changed() => changed.is_ok(),
                }
            } else {
                true
            };
            if !goes_on {
                break;
            }
        }
        if let Err(error) = self.step().await {
            tracing::info!(error = %Chain(&error), "the last announcements wait for the next start");
        }
    }

    async fn announce(&self, route: &dyn Route, round: &mut Round) -> Result<(), RelayError> {
        let marks = self.store.marks(route.topic().as_str(), ROUND_ROWS_MAX)?;
        if marks.is_empty() {
            return Ok(());
        }
        let Readable { outgoing, unreadable } = route.read(&self.store.reader()?, marks).await?;
        let (mut sent, mut held, mut refusals, mut messages) =
            (BTreeMap::new(), BTreeSet::new(), Vec::new(), 0);
        let mut bundles = bundle::of(outgoing);
        // Every turn halves what was too large, so the turns are few.
        while !bundles.is_empty() {
            let batch: Vec<_> = bundles.iter().map(|bundle| self.envelope(route, bundle)).collect();
            messages += batch.len();
            let answers = self.publisher.publish(route.topic(), batch).await;
            let mut smaller = Vec::new();
            for (bundle, answer) in bundles.into_iter().zip(answers) {
                match answer {
                    Ok(()) => {
                        round.messages += 1;
                        sent.extend(bundle.into_iter().map(|one| (one.mark.row.clone(), one.mark)));
                    }
                    Err(PublishError::TooLarge { .. }) if bundle.len() > 1 => {
                        messages -= 1;
                        smaller.extend(bundle::halves(bundle));
                    }
                    Err(refusal) => {
                        held.extend(bundle.into_iter().map(|one| one.mark.row));
                        refusals.push(refusal);
                    }
                }
            }
            bundles = smaller;
        }
        // Of a row in pieces all have to be sent.
        sent.retain(|row, _| !held.contains(row));
        round.rows += sent.len();
        self.clear(route, sent.into_values().collect()).await?;
        let failed = refusals.len();
        match refusals.into_iter().next() {
            Some(source) => {
                Err(RelayError::Publish { topic: route.topic().clone(), failed, messages, source })
            }
            None => unreadable.map_or(Ok(()), |error| Err(error.into())),
        }
    }

    /// Clears what was sent and has not moved. Relaxed: a mark that comes back after a power cut is announced again.
    async fn clear(&self, route: &dyn Route, sent: Vec<Mark>) -> Result<(), StoreError> {
        if sent.is_empty() {
            return Ok(());
        }
        let rows = u64::try_from(sent.len()).unwrap_or(u64::MAX);
        metrics::counter!("antiphon_announced_rows_total", "topic" => route.topic().to_string())
            .increment(rows);
        let cleared = self.store.write_relaxed(move |view| {
            let mut missed = false;
            for mark in &sent {
                match view.clear_mark(mark) {
                    // On to the others, so that all of them are loaded in one round trip.
                    Err(ViewError::Miss) => missed = true,
                    cleared => cleared?,
                }
            }
            if missed { Err(ViewError::Miss.into()) } else { Ok::<_, Abort<std::convert::Infallible>>(()) }
        });
        cleared.await.map_err(store::WriteError::into_store)
    }

    fn envelope(&self, route: &dyn Route, bundle: &[Outgoing]) -> Message {
        let identity = self.store.identity();
        let since_ms = bundle.iter().map(|outgoing| outgoing.mark.since_ms).min();
        let mut envelope = Envelope::new(
            format!("{:032x}", self.store.world().random()),
            format!("/{}/{}", identity.service, identity.replica),
            route.event_type(),
        )
        .at(since_ms.unwrap_or_else(|| self.store.world().now_ms()));
        envelope.deployment = Some(identity.deployment.clone());
        let data: Map<_, _> =
            bundle.iter().map(|outgoing| (outgoing.key.clone(), outgoing.state.clone())).collect();
        envelope.data = EnvelopeData::Json(Value::Object(data));
        Message::new(envelope.encode())
    }
}

/// A message that carries these states, as the relay would send them: for whoever tests a subscriber.
pub fn announcement<F: Fact>(
    id: &str,
    deployment: &str,
    facts: &BTreeMap<F::Key, F::State>,
) -> Result<Message, serde_json::Error> {
    let mut envelope = Envelope::new(id, "/announcement", F::TYPE);
    envelope.deployment = Some(deployment.to_owned());
    envelope.data = EnvelopeData::Json(delta_group::encode::<F>(facts)?);
    Ok(Message::new(envelope.encode()))
}
