use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::gate::Hold;
use crate::later::later;
use crate::{Context, Gate, Handler, HandlerError, Layer};

/// Failures in a row that open the circuit unless told otherwise.
const FAILURES_MAX_DEFAULT: u32 = 10;
/// For how long it stays open unless told otherwise.
const OPEN_DEFAULT: Duration = Duration::from_secs(30);
/// Messages that are tried when it is half open unless told otherwise.
const PROBES_DEFAULT: u32 = 1;
/// What comes while the probes are under way is to come again after this.
const PROBING_WAIT: Duration = Duration::from_secs(1);

/// Where a [`CircuitBreaker`] stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Circuit {
    /// Messages pass.
    Closed,
    /// Too many failed in a row: none passes before then.
    Open {
        /// When the next ones are tried.
        until: Instant,
    },
    /// A few are tried, and what becomes of them decides.
    HalfOpen,
}

/// Stops handling while it is pointless: when too many messages failed in a row, what they all need is down, and trying
/// message after message only wears out their receive counts and that which is down.
///
/// While the circuit is open, messages that are there already are answered [`HandlerError::retry_after`] with the time
/// that is left, and with a [`Gate`] the pump receives no others: give the same gate to both, always. After a while a few
/// messages are let through; if all of them succeed the circuit closes, and if one fails it opens again. A failure is what
/// is to be tried again, and a panic; poison is the fault of its message, and counts as success. A probe without an answer
/// decides nothing, and keeps all others waiting: put a [`Timeout`](super::Timeout) inside.
///
/// ```
/// # use std::time::Duration;
/// use antiphon_consumer::layers::{CircuitBreaker, Retry};
/// use antiphon_consumer::{Gate, Layer, Pump, handler_fn, layers};
/// # use queue::{MemoryQueue, Message, Queue, SubscriptionConfig};
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let subscription = "topic/service/site".parse()?;
/// # let queue = MemoryQueue::new();
/// # let receiver = queue.subscribe(&subscription, SubscriptionConfig::default()).await?;
/// # let handler = handler_fn(|_: Message, _| async { Ok(()) });
/// let gate = Gate::new();
/// let breaker = CircuitBreaker::new().failures(5).open_for(Duration::from_secs(10)).gate(gate.clone());
/// // Outside of the retries, so that it counts messages and not tries.
/// let pump = Pump::builder(receiver, layers![breaker, Retry::new(7)].layer(handler)).gate(gate).build();
/// # let _gauge = pump.in_flight();
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct CircuitBreaker {
    failures_max: u32,
    open_for: Duration,
    probes: u32,
    hold: Option<Arc<Hold>>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    /// Counts changes of the phase. An answer counts only in the phase in which its call began.
    turn: u64,
}

#[derive(Debug)]
enum Phase {
    Closed { failures: u32 },
    Open { until: Instant },
    HalfOpen { begun: u32, succeeded: u32 },
}

impl Default for Phase {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

/// The circuit is open: the message was not handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CircuitOpen;

impl fmt::Display for CircuitOpen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the circuit is open: too many messages before this one failed in a row")
    }
}

impl std::error::Error for CircuitOpen {}

impl Default for CircuitBreaker {
    fn default() -> Self {
        Self {
            failures_max: FAILURES_MAX_DEFAULT,
            open_for: OPEN_DEFAULT,
            probes: PROBES_DEFAULT,
            hold: None,
            state: Arc::default(),
        }
    }
}

impl CircuitBreaker {
    /// Opens after 10 failures in a row, for 30 s, and then tries one message. Clones share the circuit, and so do the
    /// handlers that it is put around.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how many failures in a row open it (0 is taken for 1).
    #[must_use]
    pub fn failures(mut self, failures_max: u32) -> Self {
        self.failures_max = failures_max.max(1);
        self
    }

    /// Sets for how long it stays open.
    #[must_use]
    pub fn open_for(mut self, open_for: Duration) -> Self {
        self.open_for = open_for;
        self
    }

    /// Sets how many messages are tried when it is half open (0 is taken for 1); all of them must succeed.
    #[must_use]
    pub fn probes(mut self, probes: u32) -> Self {
        self.probes = probes.max(1);
        self
    }

    /// Holds back the pumps that have this gate while it is open, and lets them hold no more than the probes when it is
    /// half open. It lifts only what it laid on: a gate that an operator closed, or another breaker, stays closed.
    #[must_use]
    pub fn gate(mut self, gate: Gate) -> Self {
        self.hold = Some(Arc::new(gate.hold()));
        self
    }

    /// Where it stands.
    pub fn circuit(&self) -> Circuit {
        match self.state().phase {
            Phase::Closed { .. } => Circuit::Closed,
            Phase::Open { until } => Circuit::Open { until },
            Phase::HalfOpen { .. } => Circuit::HalfOpen,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a call begin, or tells how long it is to wait.
    fn begin(&self) -> Result<Call<'_>, Duration> {
        let now = Instant::now();
        let mut state = self.state();
        if let Phase::Open { until } = state.phase
            && until <= now
        {
            state.enter(Phase::HalfOpen { begun: 0, succeeded: 0 });
        }
        match &mut state.phase {
            Phase::Closed { .. } => {}
            Phase::Open { until } => return Err(*until - now),
            Phase::HalfOpen { begun, .. } if *begun >= self.probes => return Err(PROBING_WAIT),
            Phase::HalfOpen { begun, .. } => *begun += 1,
        }
        Ok(Call { breaker: self, turn: state.turn, is_answered: false })
    }

    fn on_success(&self, state: &mut State) {
        match &mut state.phase {
            Phase::Closed { failures } => *failures = 0,
            Phase::HalfOpen { succeeded, .. } => {
                *succeeded += 1;
                if *succeeded >= self.probes {
                    state.enter(Phase::default());
                    tracing::info!("the circuit is closed again");
                    if let Some(hold) = &self.hold {
                        hold.lift();
                    }
                }
            }
            Phase::Open { .. } => {}
        }
    }

    fn on_failure(&self, state: &mut State) {
        match &mut state.phase {
            Phase::Closed { failures } => {
                *failures += 1;
                if *failures < self.failures_max {
                    return;
                }
            }
            Phase::HalfOpen { .. } => {}
            Phase::Open { .. } => return,
        }
        let until = later(Instant::now(), self.open_for);
        state.enter(Phase::Open { until });
        tracing::warn!(open_for = ?self.open_for, "too many messages failed in a row: the circuit is open");
        if let Some(hold) = &self.hold {
            hold.close_then_narrow(until, usize::try_from(self.probes).unwrap_or(usize::MAX));
        }
    }
}

impl State {
    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.turn += 1;
    }
}

/// A call under way. Dropped without an answer it says nothing, and another may probe in its place; unless it is dropped by
/// a panic, which is a failure, whether it is caught inside of the breaker or outside.
struct Call<'a> {
    breaker: &'a CircuitBreaker,
    turn: u64,
    is_answered: bool,
}

impl Call<'_> {
    fn answer(mut self, answer: &Result<(), HandlerError>) {
        self.is_answered = true;
        let mut state = self.breaker.state();
        if state.turn != self.turn {
            return;
        }
        match answer {
            Err(HandlerError::Retry { .. }) => self.breaker.on_failure(&mut state),
            Ok(()) | Err(HandlerError::Poison { .. }) => self.breaker.on_success(&mut state),
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if self.is_answered {
            return;
        }
        let mut state = self.breaker.state();
        if state.turn != self.turn {
            return;
        }
        if std::thread::panicking() {
            self.breaker.on_failure(&mut state);
        } else if let Phase::HalfOpen { begun, .. } = &mut state.phase {
            *begun = begun.saturating_sub(1);
        }
    }
}

impl<H> Layer<H> for CircuitBreaker {
    type Handler = CircuitBreakerHandler<H>;

    fn layer(&self, inner: H) -> CircuitBreakerHandler<H> {
        CircuitBreakerHandler { inner, breaker: self.clone() }
    }
}

/// See [`CircuitBreaker`].
#[derive(Debug, Clone)]
pub struct CircuitBreakerHandler<H> {
    inner: H,
    breaker: CircuitBreaker,
}

impl<M: Sync, H: Handler<M>> Handler<M> for CircuitBreakerHandler<H> {
    async fn handle(&self, message: &M, context: &Context) -> Result<(), HandlerError> {
        let call = match self.breaker.begin() {
            Ok(call) => call,
            Err(wait) => return Err(HandlerError::retry_after(CircuitOpen, wait)),
        };
        let answer = self.inner.handle(message, context).await;
        call.answer(&answer);
        answer
    }
}
