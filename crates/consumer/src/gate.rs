//! Whether, and how much, a pump may receive.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

/// Holds a pump back: while it is closed nothing is received, and what is in flight goes on. Cheap to clone; clones are
/// one gate, and one gate may hold back several pumps.
///
/// For an operator who pauses a consumer, and for layers that know that handling is pointless for now: a
/// [circuit breaker](crate::layers::CircuitBreaker) closes its gate rather than give back message after message.
///
/// A receive that was under way when the gate closed may still bring messages; they are handled.
///
/// ```
/// # use antiphon_consumer::{Gate, Pump, handler_fn};
/// # use queue::{MemoryQueue, Message, Queue, SubscriptionConfig};
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let subscription = "topic/service/site".parse()?;
/// # let queue = MemoryQueue::new();
/// # let receiver = queue.subscribe(&subscription, SubscriptionConfig::default()).await?;
/// # let handler = handler_fn(|_: Message, _| async { Ok(()) });
/// let gate = Gate::new();
/// let pump = Pump::builder(receiver, handler).gate(gate.clone()).build();
/// gate.close(); // pause …
/// gate.open(); // … and resume
/// # let _gauge = pump.in_flight();
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Gate(Arc<watch::Sender<States>>);

/// The narrowest of these counts: what one who holds a pump back lifts is only what he laid on.
#[derive(Debug, Default)]
struct States {
    /// Set through the [`Gate`] itself.
    own: State,
    /// Set through a [`Hold`] each.
    holds: BTreeMap<u64, State>,
    next_hold: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open {
        most: usize,
    },
    /// Afterwards it is as wide as `then`.
    Closed {
        until: Option<Instant>,
        then: usize,
    },
}

impl Default for State {
    fn default() -> Self {
        Self::Open { most: usize::MAX }
    }
}

impl State {
    fn most(self, now: Instant) -> usize {
        match self {
            Self::Open { most } => most,
            Self::Closed { until, then } if until.is_some_and(|until| until <= now) => then,
            Self::Closed { .. } => 0,
        }
    }
}

impl States {
    fn all(&self) -> impl Iterator<Item = State> + '_ {
        std::iter::once(self.own).chain(self.holds.values().copied())
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(States::default())))
    }
}

impl Gate {
    /// An open gate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets pumps receive again, as much as they have permits, unless a circuit breaker holds them back.
    pub fn open(&self) {
        self.set(State::default());
    }

    /// Lets pumps receive, but hold no more than `most` messages at a time (0 is taken for 1).
    pub fn narrow(&self, most: usize) {
        self.set(State::Open { most: most.max(1) });
    }

    /// Holds pumps back until it is opened.
    pub fn close(&self) {
        self.set(State::Closed { until: None, then: usize::MAX });
    }

    /// Holds pumps back until then, or until it is opened.
    pub fn close_until(&self, until: Instant) {
        self.set(State::Closed { until: Some(until), then: usize::MAX });
    }

    /// Whether pumps may receive.
    pub fn is_open(&self) -> bool {
        self.most(Instant::now()) > 0
    }

    /// How many messages a pump may hold.
    pub(crate) fn most(&self, now: Instant) -> usize {
        self.0.borrow().all().map(|state| state.most(now)).min().unwrap_or(usize::MAX)
    }

    /// When it next opens a little by itself, after `now`.
    pub(crate) fn opens_at(&self, now: Instant) -> Option<Instant> {
        let until = |state| match state {
            State::Open { .. } => None,
            State::Closed { until, .. } => until,
        };
        self.0.borrow().all().filter_map(until).filter(|until| *until > now).min()
    }

    /// Hears of changes from now on.
    pub(crate) fn watch(&self) -> GateWatch {
        GateWatch { receiver: self.0.subscribe(), gate: self.clone() }
    }

    /// Another hand on the gate.
    pub(crate) fn hold(self) -> Hold {
        let mut id = 0;
        self.0.send_modify(|states| {
            id = states.next_hold;
            states.next_hold += 1;
        });
        Hold { gate: self, id }
    }

    fn set(&self, state: State) {
        self.0.send_if_modified(|states| std::mem::replace(&mut states.own, state) != state);
    }
}

/// One of those who hold a gate, each for itself. Dropped, it holds no more.
#[derive(Debug)]
pub(crate) struct Hold {
    gate: Gate,
    id: u64,
}

impl Hold {
    /// Holds pumps back until then, and lets them hold no more than `most` messages afterwards.
    pub(crate) fn close_then_narrow(&self, until: Instant, most: usize) {
        let state = State::Closed { until: Some(until), then: most.max(1) };
        self.gate.0.send_modify(|states| {
            states.holds.insert(self.id, state);
        });
    }

    /// Holds nothing back.
    pub(crate) fn lift(&self) {
        self.gate.0.send_if_modified(|states| states.holds.remove(&self.id).is_some());
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.lift();
    }
}

/// A pump's view of its gate.
#[derive(Debug)]
pub(crate) struct GateWatch {
    receiver: watch::Receiver<States>,
    gate: Gate,
}

impl GateWatch {
    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Waits for the next change. May be dropped at any time.
    pub(crate) async fn changed(&mut self) {
        if self.receiver.changed().await.is_err() {
            std::future::pending::<()>().await; // cannot be: this holds the gate, and so its sender
        }
    }
}
