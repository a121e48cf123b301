//! The pump: receives, runs handlers, keeps leases, settles.
//!
//! One loop owns everything that is in flight, so there are no locks and no two opinions. Handlers run as tasks of their
//! own; calls to the broker run inside the loop, side by side, so that a slow ack delays neither a receive nor an
//! extension.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use queue::{AckError, BoxFuture, Delivery, Lease, QueueError, Receiver};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::error::Chain;
use crate::gate::GateWatch;
use crate::later::later;
use crate::{BatchHandler, BoxError, DeadLetters, Handler, HandlerError, Kept};

mod ack;
mod builder;
mod flight;
mod lease;
mod meter;
mod order;
mod start;
mod summary;
mod work;

pub use ack::{ACK_BATCH_MAX, ACK_WAIT_MAX};
pub use builder::{
    BATCH_MAX_DEFAULT, CANCEL_GRACE_DEFAULT, DRAIN_DEFAULT, LINGER_DEFAULT, MessageBatches, Messages,
    PERMITS_DEFAULT, PumpBuilder,
};
pub use flight::Gauge;
pub use meter::RATE_WINDOW;
pub use summary::Summary;

use ack::{CALL_MAX, within};
use builder::Config;
use flight::Flight;
use meter::Meter;
use order::Order;
use start::Gathering;
use work::Work;

/// After the drain, or a hard cancel, the calls that settle what is left may take this long.
pub const CLOSE_MAX: Duration = Duration::from_secs(5);

/// The answer to a call.
#[derive(Debug)]
enum Done {
    Settled(Vec<(u64, Result<(), AckError>)>),
    Kept(u64, Result<Kept, BoxError>),
    Extended(Vec<(u64, Result<Lease, AckError>)>),
}

/// How a handler's task ended: for each of its messages with an answer, or dropped.
type Handled = Vec<(u64, Option<Result<(), HandlerError>>)>;

#[derive(Debug, Clone, Copy)]
enum Phase {
    Running,
    /// No more is received; handlers may finish until then.
    Draining {
        until: Instant,
    },
    /// Handlers are dropped; what is left is being settled, until then.
    Closing {
        until: Instant,
    },
}

/// What the loop waits for.
enum Event {
    Shutdown,
    Cancel,
    Handled(Handled),
    Done(Done),
    Received(Result<Vec<Delivery>, QueueError>),
    Timer,
    /// The gate opened or closed.
    Gate,
}

/// Receives messages and runs a handler on each.
///
/// # What it does
/// - It asks for as many messages as it has permits, and never holds more. A permit is held from the receive until the
///   message is settled.
/// - Each message is handled in a task of its own, so a slow one delays no other; unless it is asked to handle
///   [batches](Self::batched), or the messages of a key [in order](PumpBuilder::ordered_by).
/// - A lease is extended when half of it is over, **until the ack is confirmed**, not only until the handler ends. Once
///   it is lost all the same, the handler's [token](crate::Context::cancellation) fires, after a grace the handler is dropped,
///   and its answer no longer counts.
/// - `Ok` is acked, up to [`ACK_BATCH_MAX`] at a time, at the latest after [`ACK_WAIT_MAX`], and at once when no other
///   handler runs. An ack that failed is repeated while the lease lives.
/// - A failure gives the message back, with a delay that grows with its receive count. Poison goes to [`DeadLetters`].
/// - A panic is a failure. Nothing that a handler does ends the pump.
/// - A receive that fails is repeated, after a growing pause, for ever: also if the queue is broken, which is logged as
///   an error each time. A [`Gate`](crate::Gate) can hold it back.
/// - It measures, through the `metrics` facade, with the labels `topic` and `service`:
///
/// | metric | kind | meaning |
/// |---|---|---|
/// | `antiphon_consumer_received_total` | counter | hand-outs that arrived |
/// | `antiphon_consumer_in_flight` | gauge | messages from receive until settled |
/// | `antiphon_consumer_rate` | gauge | messages settled per second, over the last [`RATE_WINDOW`] |
/// | `antiphon_consumer_lease_extensions_total` | counter | extensions, by `outcome`: `ok`, `lost`, `error` |
///
/// # How it ends
/// [`run`](Self::run) takes a future that says when to stop. Then it receives no more, lets handlers finish within the
/// drain, acks what they finished, and hands the rest back at once. [`run_until`](Self::run_until) takes a second one, which
/// drops the handlers there and then. Dropping the pump, or its future, also loses nothing: what was in flight comes
/// again when its leases end.
pub struct Pump {
    receiver: Arc<dyn Receiver>,
    work: Arc<dyn Work>,
    order: Order,
    gathering: Gathering,
    gate: GateWatch,
    meter: Meter,
    dead_letters: Arc<dyn DeadLetters>,
    rng: fastrand::Rng,
    config: Config,
    flight: Flight,
    tasks: JoinSet<Handled>,
    /// Handlers that were told to drop and have not ended: they hold a permit still.
    dropped: BTreeSet<u64>,
    calls: FuturesUnordered<BoxFuture<'static, Done>>,
    receiving: Option<BoxFuture<'static, Result<Vec<Delivery>, QueueError>>>,
    /// Receives that failed in a row, and when the next may begin.
    receive_failures: u32,
    receive_at: Instant,
    /// Finished messages that wait for others to be acked with, and for how long at most.
    acks: Vec<u64>,
    acks_due: Option<Instant>,
    phase: Phase,
    summary: Summary,
}

impl std::fmt::Debug for Pump {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pump")
            .field("receiver", &self.receiver)
            .field("config", &self.config)
            .field("flight", &self.flight)
            .field("phase", &self.phase)
            .field("summary", &self.summary)
            .finish_non_exhaustive()
    }
}

impl Pump {
    /// Configures a pump from `receiver` to `handler`, which takes one message at a time.
    pub fn builder(receiver: Arc<dyn Receiver>, handler: impl Handler + 'static) -> PumpBuilder {
        PumpBuilder::single(receiver, handler)
    }

    /// Configures a pump from `receiver` to `handler`, which takes several messages at a time:
    ///
    /// ```
    /// # use std::time::Duration;
    /// use antiphon_consumer::{Pump, Request, batch_fn};
    /// # use queue::{MemoryQueue, Message, Queue, Subscription, SubscriptionConfig};
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let queue = MemoryQueue::new();
    /// # let subscription: Subscription = "topic/service/site".parse()?;
    /// # let receiver = queue.subscribe(&subscription, SubscriptionConfig::default()).await?;
    /// # let batch = (0..250).map(|n: i32| Message::new(n.to_string())).collect();
    /// # for answer in queue.publisher().publish(subscription.topic(), batch).await { answer?; }
    /// let handler = batch_fn(|batch: Vec<Request<Message>>| async move {
    ///     println!("{} at once", batch.len());
    ///     batch.iter().map(|_| Ok(())).collect() // one answer each
    /// });
    /// let pump = Pump::batched(receiver, handler).permits(500).batch(100, Duration::from_millis(50)).build();
    /// let summary = pump.run(tokio::time::sleep(Duration::from_secs(1))).await;
    /// assert_eq!(summary.acked, 250);
    /// # Ok(())
    /// # }
    /// ```
    pub fn batched(
        receiver: Arc<dyn Receiver>,
        handler: impl BatchHandler + 'static,
    ) -> PumpBuilder<MessageBatches> {
        PumpBuilder::batches(receiver, handler)
    }

    fn new(
        receiver: Arc<dyn Receiver>,
        work: Arc<dyn Work>,
        order: Order,
        dead_letters: Arc<dyn DeadLetters>,
        rng: fastrand::Rng,
        config: Config,
    ) -> Self {
        Self {
            meter: Meter::new(receiver.subscription()),
            receiver,
            work,
            order,
            gathering: Gathering::default(),
            gate: config.gate.watch(),
            dead_letters,
            rng,
            config,
            flight: Flight::default(),
            tasks: JoinSet::new(),
            dropped: BTreeSet::new(),
            calls: FuturesUnordered::new(),
            receiving: None,
            receive_failures: 0,
            receive_at: Instant::now(),
            acks: Vec::new(),
            acks_due: None,
            phase: Phase::Running,
            summary: Summary::default(),
        }
    }

    /// How many messages it holds, to be watched while it runs.
    pub fn in_flight(&self) -> Gauge {
        self.flight.gauge()
    }

    /// Runs until `shutdown` completes and the drain is over. Returns what was done, [`CLOSE_MAX`] after the drain at
    /// the latest.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Summary {
        self.run_until(shutdown, std::future::pending()).await
    }

    /// Like [`run`](Self::run); when `cancel` completes, handlers are dropped and handed back without a drain, whether
    /// a shutdown had begun or not. Returns [`CLOSE_MAX`] after that at the latest.
    pub async fn run_until(
        mut self,
        shutdown: impl Future<Output = ()> + Send,
        cancel: impl Future<Output = ()> + Send,
    ) -> Summary {
        tokio::pin!(shutdown, cancel);
        while !self.is_over() {
            self.start_receive(self.config.wait);
            self.flush_gathering(Instant::now(), false);
            self.flush_acks(Instant::now());
            let event = self.next_event(&mut shutdown, &mut cancel).await;
            self.on_event(event);
        }
        self.summary.abandoned += u64::try_from(self.flight.len()).unwrap_or(u64::MAX);
        self.summary
    }

    /// Receives once, without waiting, and sees every message of that batch through to the answer of its ack: the unit
    /// in which a simulation works. Returns what was done in this step; nothing received is no error.
    ///
    /// Errors: what the receive answered. Dropping the future loses nothing that a dropped pump would not.
    pub async fn step(&mut self) -> Result<Summary, QueueError> {
        let before = std::mem::take(&mut self.summary);
        let deliveries = self.receiver.receive(self.free(), Duration::ZERO).await?;
        self.on_received(deliveries);
        while !self.flight.is_empty() {
            self.flush_gathering(Instant::now(), true);
            self.flush_acks(Instant::now());
            let never = std::future::pending();
            let nor_this = std::future::pending();
            tokio::pin!(never, nor_this);
            let event = self.next_event(&mut never, &mut nor_this).await;
            self.on_event(event);
        }
        let step = std::mem::replace(&mut self.summary, before);
        self.summary += step;
        Ok(step)
    }

    fn is_over(&self) -> bool {
        match self.phase {
            Phase::Running => false,
            Phase::Draining { .. } => self.flight.is_empty(),
            Phase::Closing { until } => self.flight.is_empty() || until <= Instant::now(),
        }
    }

    fn free(&self) -> usize {
        let most = self.config.permits.min(self.gate.gate().most(Instant::now()));
        most.saturating_sub(self.flight.len() + self.dropped.len())
    }

    fn start_receive(&mut self, wait: Duration) {
        let ready = matches!(self.phase, Phase::Running) && self.receive_at <= Instant::now();
        let max = self.free();
        if !ready || self.receiving.is_some() || max == 0 {
            return;
        }
        let receiver = Arc::clone(&self.receiver);
        // It owes an answer within the wait. A pump that trusted in that would stop for ever, and say nothing.
        let limit = wait + CALL_MAX;
        self.receiving =
            Some(Box::pin(async move { within(limit, receiver.receive(max, wait)).await.flatten() }));
    }

    /// When the loop has something to do though nothing happened.
    fn next_timer(&self) -> Option<Instant> {
        let stop = match self.phase {
            Phase::Running => None,
            Phase::Draining { until } | Phase::Closing { until } => Some(until),
        };
        let wants_receive = matches!(self.phase, Phase::Running) && self.receiving.is_none();
        let opens_at = self.gate.gate().opens_at(Instant::now()).unwrap_or(self.receive_at);
        let receive =
            wants_receive.then_some(self.receive_at.max(opens_at)).filter(|at| *at > Instant::now());
        let timers =
            [self.flight.next_timer(), self.acks_due, self.gathering.due(), self.meter.due(), stop, receive];
        timers.into_iter().flatten().min()
    }

    async fn next_event(
        &mut self,
        shutdown: &mut (impl Future<Output = ()> + Unpin),
        cancel: &mut (impl Future<Output = ()> + Unpin),
    ) -> Event {
        let timer = self.next_timer();
        let sleep = async {
            match timer {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let receive = async {
            match &mut self.receiving {
                Some(receiving) => receiving.await,
                None => std::future::pending().await,
            }
        };
        // In order, so that a run repeats for a seed, and so that finished work is seen before time runs out.
        tokio::select! {
            biased;
            () = cancel, if !matches!(self.phase, Phase::Closing { .. }) => Event::Cancel,
            () = shutdown, if matches!(self.phase, Phase::Running) => Event::Shutdown,
            Some(Ok(handled)) = self.tasks.join_next() => Event::Handled(handled),
            Some(done) = self.calls.next() => Event::Done(done),
            () = sleep => Event::Timer,
            () = self.gate.changed() => Event::Gate,
            received = receive => Event::Received(received),
        }
    }

    fn on_event(&mut self, event: Event) {
        let now = Instant::now();
        match event {
            Event::Shutdown => {
                self.receiving = None;
                self.phase = Phase::Draining { until: later(now, self.config.drain) };
            }
            Event::Cancel => self.begin_close(now),
            Event::Handled(handled) => self.on_task(handled, now),
            Event::Done(Done::Settled(answers)) => {
                for (id, answer) in answers {
                    self.on_settled(id, answer, now);
                }
            }
            Event::Done(Done::Kept(id, answer)) => self.on_kept(id, answer, now),
            Event::Done(Done::Extended(answers)) => {
                for (id, answer) in answers {
                    self.on_extended(id, answer, now);
                }
            }
            Event::Received(received) => {
                self.receiving = None;
                match received {
                    Ok(deliveries) => self.on_received(deliveries),
                    Err(error) => self.on_receive_error(&error, now),
                }
            }
            Event::Timer => self.on_time(now),
            // The loop looks at it when it goes round.
            Event::Gate => {}
        }
    }

    fn on_task(&mut self, handled: Handled, now: Instant) {
        for (id, answer) in handled {
            self.dropped.remove(&id);
            if let Some(answer) = answer {
                self.on_handled(id, answer, now);
            }
        }
    }

    fn on_received(&mut self, deliveries: Vec<Delivery>) {
        self.receive_failures = 0;
        for delivery in deliveries {
            self.summary.received += 1;
            self.meter.received();
            self.start(delivery);
        }
    }

    fn on_receive_error(&mut self, error: &QueueError, now: Instant) {
        self.summary.receive_errors += 1;
        self.receive_failures = self.receive_failures.saturating_add(1);
        let pause = self.config.receive_backoff.delay(self.receive_failures, &mut self.rng);
        self.receive_at = later(now, pause);
        if error.is_retryable() {
            tracing::warn!(error = %Chain(error), ?pause, "nothing was received; trying again");
        } else {
            tracing::error!(error = %Chain(error), ?pause, "nothing can be received: help is needed; trying again");
        }
    }

    fn on_time(&mut self, now: Instant) {
        self.extend_due(now);
        self.meter.tell(now);
        for id in self.flight.due(now) {
            self.on_timer(id, now);
        }
        if let Phase::Draining { until } = self.phase
            && until <= now
        {
            self.begin_close(now);
        }
    }

    fn begin_close(&mut self, now: Instant) {
        self.receiving = None;
        // What finished by now is finished.
        while let Some(ended) = self.tasks.try_join_next() {
            if let Ok(handled) = ended {
                self.on_task(handled, now);
            }
        }
        self.phase = Phase::Closing { until: now + CLOSE_MAX };
        self.close();
    }
}
