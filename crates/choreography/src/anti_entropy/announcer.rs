//! The publisher's side: tells what it has, and answers wants.

use super::cover::{Cover, Covered, Route, Values, run};
use super::links::Heard;
use super::pace::{
    BUILD_PAGES_STEP, BULK_ROWS_MAX, BUSY_STEPS, PIECES, PIECES_STEP_MAX, Pace, QUIET_STEPS_MAX,
    ROWS_STEP_MAX,
};
use super::wire::{self, Item, Want, bytes_of};
use crate::lag::Lag;
use crate::link::Link;
use consumer::{BoxHandler, Chain, Context, Handler, HandlerError};
use messages::Fact;
use queue::{Envelope, Message, NameError, Publisher};
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use store::{KeyRange, Row, Store, StoreError, Tracked};
use tokio::sync::Notify;

/// When the next step is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// At once: rows are read for the first time, at a start.
    AtOnce,
    /// After [`Pace::busy`]: somebody wants something, or a digest waits for rows to be announced.
    Busy,
    /// After [`Pace::idle`].
    Idle,
}

/// What may still be done before the next step.
#[derive(Debug)]
struct Budget {
    pieces: usize,
    rows: usize,
    /// Steps for which it goes on at the busy pace.
    busy: u32,
    /// Steps that were passed over in a row since rows are still to be announced.
    quiet: u32,
}

struct Shared {
    store: Store,
    budget: Mutex<Budget>,
    wanted: Notify,
}

impl Shared {
    fn budget(&self) -> MutexGuard<'_, Budget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Compares what a store announces with what its subscribers have, over the queue that may have lost it.
///
/// Every step publishes a digest of each topic: how many rows there are, and their fingerprint. A subscriber that differs
/// answers on `wants.` and the topic; [`AntiEntropy::links`] hear that, and answer in turn, with digests of smaller ranges
/// or by marking rows in the outbox. All of it may be lost, repeated and reordered.
pub struct AntiEntropy {
    shared: Arc<Shared>,
    publisher: Arc<dyn Publisher>,
    routes: Vec<Arc<dyn Route>>,
}

impl fmt::Debug for AntiEntropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let topics: Vec<_> = self.routes.iter().map(|route| route.topic().as_str()).collect();
        f.debug_struct("AntiEntropy").field("topics", &topics).finish_non_exhaustive()
    }
}

impl AntiEntropy {
    /// One that compares nothing yet.
    pub fn new(store: Store, publisher: Arc<dyn Publisher>) -> Self {
        let budget = Budget { pieces: PIECES_STEP_MAX, rows: ROWS_STEP_MAX, busy: 0, quiet: 0 };
        let shared = Arc::new(Shared { store, budget: Mutex::new(budget), wanted: Notify::new() });
        Self { shared, publisher, routes: Vec::new() }
    }

    /// Compares the rows `R` that are announced as facts `F`. What only a subscriber has is joined.
    pub fn covering<F, R>(self) -> Result<Self, NameError>
    where
        F: Fact,
        R: Row<Key = F::Key, State = F::State>,
    {
        self.covering_by(Cover::<F, R>::new())
    }

    /// The same, as `cover` says.
    pub fn covering_by<F, R>(mut self, cover: Cover<F, R>) -> Result<Self, NameError>
    where
        F: Fact,
        R: Row<Key = F::Key, State = F::State>,
    {
        self.routes.push(Arc::new(Covered::new(&self.shared.store, &self.publisher, cover)?));
        Ok(self)
    }

    /// What has to be heard so that wants are answered: a link a topic.
    pub fn links(&self) -> Result<Vec<Link>, NameError> {
        let link = |route: &Arc<dyn Route>| {
            let handler = Answers { shared: Arc::clone(&self.shared), route: Arc::clone(route) };
            let topic = wire::wants_topic(route.topic().as_str())?;
            Ok(Link {
                topic,
                handler: BoxHandler::new(handler),
                heard: Heard::default(),
                lag: Lag::default(),
            })
        };
        self.routes.iter().map(link).collect()
    }

    /// One step: a digest of each topic, unless rows are about to be announced. At a start, reads rows instead.
    pub async fn step(&self) -> Result<Next, StoreError> {
        // A kind of rows that cannot be read holds up no other: what was damaged is for the others to heal.
        let (mut built, mut failed) = (true, None);
        for route in &self.routes {
            match read_on(route.tracked()) {
                Ok(is_built) => built &= is_built,
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        let next = {
            let mut budget = self.shared.budget();
            (budget.pieces, budget.rows) = (PIECES_STEP_MAX, ROWS_STEP_MAX);
            if self.shared.store.outbox_depth().0 > 0 && budget.quiet < QUIET_STEPS_MAX {
                budget.quiet += 1;
                return Ok(if built { Next::Busy } else { Next::AtOnce });
            }
            budget.quiet = 0;
            budget.busy = budget.busy.saturating_sub(1);
            if budget.busy > 0 { Next::Busy } else { Next::Idle }
        };
        if !built {
            return Ok(Next::AtOnce);
        }
        for route in &self.routes {
            match run(route.tracked(), vec![route.tracked().range().clone()]) {
                Ok(Some(run)) => route.tell(None, vec![run]).await,
                Ok(None) => {}
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(next), Err)
    }

    /// Steps until `stop`.
    pub async fn run(self, pace: Pace, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        loop {
            let pause = match self.step().await {
                Ok(Next::AtOnce) => {
                    tokio::select! {
                        biased;
                        () = &mut stop => return,
                        () = tokio::task::yield_now() => continue,
                    }
                }
                Ok(Next::Busy) => pace.busy,
                Ok(Next::Idle) => pace.idle,
                Err(error) => {
                    tracing::warn!(error = %Chain(&error), "nothing could be compared; the next step tries again");
                    pace.idle
                }
            };
            let wanted = async {
                self.shared.wanted.notified().await;
                tokio::time::sleep(pace.busy).await;
            };
            // Biased, so that a run repeats for a seed.
            tokio::select! {
                biased;
                () = &mut stop => return,
                () = wanted => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }
}

/// Reads some rows at a start; whether all were read.
fn read_on(tracked: &Tracked) -> Result<bool, StoreError> {
    for _ in 0..BUILD_PAGES_STEP {
        if tracked.build()? {
            break;
        }
    }
    Ok(tracked.is_built())
}

/// Answers the wants about one kind of facts.
struct Answers {
    shared: Arc<Shared>,
    route: Arc<dyn Route>,
}

/// Who asks, and what about.
type Asked = ([u8; 16], Vec<Item>);

/// What a want comes to.
#[derive(Default)]
struct Plan {
    runs: Vec<wire::Run>,
    values: Vec<Values>,
    bulk: Vec<Vec<u8>>,
}

impl Answers {
    /// Who wants what, where it is us who are asked.
    fn read(&self, envelope: &Envelope) -> Result<Option<Asked>, String> {
        crate::merge::check_deployment(envelope, &self.shared.store)?;
        let want = wire::read_want(envelope, self.route.fact()).map_err(|error| error.to_string())?;
        let subscriber = wire::sender(envelope).map(bytes_of).ok_or("it names no replica as its source")?;
        let own = bytes_of(self.shared.store.identity().replica);
        let is_for_us = |want: &Want| want.publisher == own && subscriber != own;
        Ok(want.filter(is_for_us).map(|want| (subscriber, want.items)))
    }

    /// What to do about each item; what there is no room for until the next step is passed over, and asked again.
    fn plan(&self, items: Vec<Item>) -> Result<Option<Plan>, StoreError> {
        let (tracked, mut plan) = (self.route.tracked(), Plan::default());
        let mut budget = self.shared.budget();
        budget.busy = BUSY_STEPS;
        for item in items {
            if budget.pieces == 0 || budget.rows == 0 {
                break;
            }
            let (range, here) = match item {
                Item::Split { range, here } => (range, here),
                Item::Values { range, within, rows } => {
                    let Some(ours) = tracked.sums(&within)? else { return Ok(None) };
                    if ours.count <= BULK_ROWS_MAX {
                        budget.rows =
                            budget.rows.saturating_sub(usize::try_from(ours.count).unwrap_or(usize::MAX));
                        plan.values.push(Values { range, within, rows });
                        continue;
                    }
                    (within, store::Sums { count: 1, ..store::Sums::default() })
                }
            };
            let range = range.within(tracked.range());
            let Some(ours) = tracked.sums(&range)? else { return Ok(None) };
            if ours != here && here.count == 0 && ours.count <= BULK_ROWS_MAX {
                let rows = tracked.rows(&range, usize::try_from(BULK_ROWS_MAX).unwrap_or(usize::MAX))?;
                budget.rows = budget.rows.saturating_sub(rows.len());
                plan.bulk.extend(rows.into_iter().map(|(key, _)| key.to_vec()));
                continue;
            }
            let pieces = if ours == here { vec![range] } else { tracked.split(&range, PIECES)? };
            let Some(run) = run(tracked, pieces)? else { return Ok(None) };
            budget.pieces = budget.pieces.saturating_sub(run.len());
            plan.runs.push(run);
        }
        Ok(Some(plan))
    }

    async fn answer(&self, subscriber: [u8; 16], items: Vec<Item>) -> Result<(), StoreError> {
        self.shared.wanted.notify_one();
        let Some(Plan { mut runs, values, bulk }) = self.plan(items)? else { return Ok(()) };
        if !values.is_empty() || !bulk.is_empty() {
            let ranges: Vec<KeyRange> = values.iter().map(|value| value.range.clone()).collect();
            let rows = bulk.len();
            let marked = self.route.exchange(values, bulk).await?;
            let again = rows + marked.iter().sum::<usize>();
            let labels = [("topic", self.route.topic().to_string())];
            metrics::counter!("antiphon_anti_entropy_rows_total", &labels)
                .increment(u64::try_from(again).unwrap_or(u64::MAX));
            // Nothing was news: either it arrived meanwhile, or we learned, or the guess was wrong. The sums tell.
            for range in
                ranges.into_iter().zip(marked).filter(|(_, marked)| *marked == 0).map(|(range, _)| range)
            {
                runs.extend(run(self.route.tracked(), vec![range.within(self.route.tracked().range())])?);
            }
        }
        if !runs.is_empty() {
            self.route.tell(Some(subscriber), runs).await;
        }
        Ok(())
    }
}

impl Handler for Answers {
    async fn handle(&self, message: &Message, _context: &Context) -> Result<(), HandlerError> {
        let envelope =
            Envelope::decode(&message.body).map_err(|error| HandlerError::poison(error.to_string()))?;
        if !envelope.event_type.starts_with(wire::WANT_TYPES) {
            let wrong = format!("type {:?} is not {:?}", envelope.event_type, wire::WANT_TYPE);
            return Err(HandlerError::poison(wrong));
        }
        if envelope.event_type != wire::WANT_TYPE {
            return Ok(());
        }
        let topic = self.route.topic();
        match self.read(&envelope) {
            Ok(Some((subscriber, items))) => {
                // Not tried again: it is asked again, and where a row cannot be read every want would come back for ever.
                if let Err(error) = self.answer(subscriber, items).await {
                    let error = Chain(&error);
                    tracing::warn!(%topic, %error, "a want could not be answered; it will be asked again");
                }
            }
            Ok(None) => {}
            Err(reason) => wire::refuse(topic.as_str(), "want", &reason),
        }
        Ok(())
    }
}
