//! What every part of the world shares: the plan, the time, the trace, what was played, and the first failure.

use crate::dice;
use crate::faults::{Counts, Fault};
use crate::plan::Plan;
use crate::trace::Trace;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// The true time at which every run begins, in milliseconds since the Unix epoch.
pub(crate) const BEGINNING_MS: u64 = 1_700_000_000_000;
/// The most polls of a run: one that needs more is running in circles.
const POLLS_MAX: u64 = 200_000_000;

/// What a run is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Faults are played.
    Faults,
    /// Nothing new goes wrong, and what was wrong is mended.
    Healing,
}

/// A promise that was not kept, or a run that did not end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Which check.
    pub check: &'static str,
    /// What it saw.
    pub detail: String,
    /// When, in virtual milliseconds since the beginning.
    pub at_ms: u64,
}

/// Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Core(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    plan: Plan,
    started: Instant,
    trace: Mutex<Trace>,
    counts: Mutex<Counts>,
    phase: watch::Sender<Phase>,
    failure: watch::Sender<Option<Failure>>,
    polls: AtomicU64,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Core {
    pub(crate) fn new(plan: Plan, keep_trace: bool) -> Self {
        Self(Arc::new(Shared {
            plan,
            started: Instant::now(),
            trace: Mutex::new(Trace::new(keep_trace)),
            counts: Mutex::default(),
            phase: watch::Sender::new(Phase::Faults),
            failure: watch::Sender::new(None),
            polls: AtomicU64::new(0),
        }))
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.0.plan
    }

    /// True time since the beginning.
    pub(crate) fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.0.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The moment at which so much has passed.
    pub(crate) fn instant(&self, elapsed_ms: u64) -> Instant {
        let later = self.0.started.checked_add(Duration::from_millis(elapsed_ms));
        later.unwrap_or(self.0.started)
    }

    pub(crate) fn rng(&self, name: &str) -> fastrand::Rng {
        dice::stream(self.0.plan.seed, name)
    }

    pub(crate) fn trace(&self, who: &str, what: fmt::Arguments<'_>) {
        lock(&self.0.trace).note(self.elapsed_ms(), who, what);
    }

    pub(crate) fn with_trace<T>(&self, read: impl FnOnce(&mut Trace) -> T) -> T {
        read(&mut lock(&self.0.trace))
    }

    pub(crate) fn counts(&self) -> Counts {
        lock(&self.0.counts).clone()
    }

    pub(crate) fn note(&self, fault: Fault) {
        lock(&self.0.counts).note(fault);
    }

    /// Whether a fault happens at this occasion. Draws always, so that switching one off moves no other draw.
    pub(crate) fn happens(&self, rng: &mut fastrand::Rng, fault: Fault) -> bool {
        let happens = rng.f64() < self.0.plan.rate(fault) && self.phase() == Phase::Faults;
        if happens {
            self.note(fault);
        }
        happens
    }

    pub(crate) fn phase(&self) -> Phase {
        *self.0.phase.borrow()
    }

    pub(crate) fn heal(&self) {
        self.0.phase.send_replace(Phase::Healing);
    }

    /// Completes when everything heals.
    pub(crate) async fn healing(&self) {
        let mut phase = self.0.phase.subscribe();
        // An error means that the run is over, which nobody waits for.
        phase.wait_for(|phase| *phase == Phase::Healing).await.map(drop).unwrap_or_default();
    }

    /// Sleeps, and wakes early when everything heals.
    pub(crate) async fn sleep_while_faulty(&self, ms: u64) {
        tokio::select! {
            biased;
            () = self.healing() => {}
            () = tokio::time::sleep(Duration::from_millis(ms)) => {}
        }
    }

    /// The first failure stands.
    pub(crate) fn fail(&self, check: &'static str, detail: String) {
        let at_ms = self.elapsed_ms();
        self.trace("check", format_args!("{check} failed: {detail}"));
        self.0.failure.send_if_modified(|failure| {
            let first = failure.is_none();
            if first {
                *failure = Some(Failure { check, detail, at_ms });
            }
            first
        });
    }

    pub(crate) fn failure(&self) -> Option<Failure> {
        self.0.failure.borrow().clone()
    }

    /// Completes at the first failure.
    pub(crate) async fn failing(&self) {
        let mut failure = self.0.failure.subscribe();
        failure.wait_for(Option::is_some).await.map(drop).unwrap_or_default();
    }

    /// A future of a process is polled.
    pub(crate) fn polled(&self) {
        if self.0.polls.fetch_add(1, Ordering::Relaxed) == POLLS_MAX {
            self.fail("busy", format!("more than {POLLS_MAX} polls: something runs in circles"));
        }
    }
}
