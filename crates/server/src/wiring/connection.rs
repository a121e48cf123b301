//! The queue as far as the rest of the process knows it.

use choreography::Lag;
use consumer::{Context, Gauge, Handler, HandlerError};
use queue::{Message, Queue, Subscription};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Told by the wiring, read by the status page. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Connection {
    state: Arc<Mutex<State>>,
    handled: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
struct State {
    url: String,
    queue: Option<Arc<dyn Queue>>,
    why_not: Option<String>,
    heard: BTreeSet<Subscription>,
    in_hand: Vec<Gauge>,
    lags: BTreeMap<Subscription, Lag>,
}

impl Connection {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The queue, while it can be used.
    pub(crate) fn queue(&self) -> Option<Arc<dyn Queue>> {
        self.state().queue.clone()
    }

    /// Where it is, without a password.
    pub(crate) fn url(&self) -> String {
        self.state().url.clone()
    }

    /// Why it cannot be used.
    pub(crate) fn why_not(&self) -> Option<String> {
        self.state().why_not.clone()
    }

    /// The subscriptions through which the services of this site hear each other. Others at the same broker are not our
    /// business.
    pub(crate) fn heard(&self) -> BTreeSet<Subscription> {
        self.state().heard.clone()
    }

    /// Messages that the pumps of this process hold.
    pub(crate) fn in_hand(&self) -> usize {
        self.state().in_hand.iter().map(Gauge::get).sum()
    }

    /// Messages that were given to a handler since the start, those included that came again.
    pub(crate) fn handled(&self) -> u64 {
        self.handled.load(Ordering::Relaxed)
    }

    /// How long it took until what was changed elsewhere was merged by this process, for each link of its services.
    pub(crate) fn lags(&self) -> BTreeMap<Subscription, Lag> {
        self.state().lags.clone()
    }

    pub(super) fn measures(&self, subscription: Subscription, lag: Lag) {
        self.state().lags.insert(subscription, lag);
    }

    pub(super) fn tried(&self, url: String, why_not: Option<String>) {
        let mut state = self.state();
        state.url = url;
        state.why_not = why_not;
    }

    pub(super) fn connected(&self, queue: Arc<dyn Queue>, heard: BTreeSet<Subscription>) {
        let mut state = self.state();
        (state.queue, state.why_not, state.heard) = (Some(queue), None, heard);
        drop(state);
        metrics::gauge!("antiphon_queue_connected").set(1.0);
    }

    pub(super) fn ended(&self) {
        self.state().queue = None;
        metrics::gauge!("antiphon_queue_connected").set(0.0);
    }

    pub(super) fn watch(&self, pump: Gauge) {
        self.state().in_hand.push(pump);
    }

    /// Counts what the handler is given.
    pub(super) fn counting<H>(&self, inner: H) -> Counting<H> {
        Counting { inner, handled: Arc::clone(&self.handled) }
    }
}

/// A handler whose messages are counted.
#[derive(Debug)]
pub(super) struct Counting<H> {
    inner: H,
    handled: Arc<AtomicU64>,
}

impl<H: Handler> Handler for Counting<H> {
    async fn handle(&self, message: &Message, context: &Context) -> Result<(), HandlerError> {
        self.handled.fetch_add(1, Ordering::Relaxed);
        self.inner.handle(message, context).await
    }
}
