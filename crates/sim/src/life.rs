//! One life of a process, from its start to its death: what runs in it, and how all of that ends at once.
//!
//! A process dies between two polls: its futures are dropped where they are. What it has begun elsewhere (a commit, a
//! publish) happened or did not, and nobody in it learns which. After its death nothing of it passes a seam any more,
//! also where the runtime takes a moment to drop what was in a task of a task.

use crate::core::{Core, lock};
use crate::dice;
use crate::faults::Fault;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle};

/// Finished tasks are forgotten when there are so many.
const TASKS_SWEEP: usize = 64;

/// One life of a process; clones are the same life.
#[derive(Clone)]
pub(crate) struct Life(Arc<Inner>);

struct Inner {
    core: Core,
    name: Arc<str>,
    state: Mutex<State>,
    dead: watch::Sender<bool>,
}

struct State {
    alive: bool,
    paused: bool,
    /// When it last went on after a pause, or was told to stop.
    disturbed_ms: Option<u64>,
    /// Polls until it is killed.
    polls_left: Option<u64>,
    waiting: Vec<Waker>,
    tasks: Vec<AbortHandle>,
    rng: fastrand::Rng,
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Life").field(&self.0.name).finish()
    }
}

impl Life {
    /// The life of the process `name` that begins now; `number` tells it from its other lives.
    pub(crate) fn begin(core: &Core, name: &str, number: u64) -> Self {
        let state = State {
            alive: true,
            paused: false,
            disturbed_ms: None,
            polls_left: None,
            waiting: Vec::new(),
            tasks: Vec::new(),
            rng: core.rng(&format!("life {name} {number}")),
        };
        Self(Arc::new(Inner {
            core: core.clone(),
            name: name.into(),
            state: Mutex::new(state),
            dead: watch::Sender::new(false),
        }))
    }

    pub(crate) fn name(&self) -> &str {
        &self.0.name
    }

    pub(crate) fn core(&self) -> &Core {
        &self.0.core
    }

    pub(crate) fn is_alive(&self) -> bool {
        lock(&self.0.state).alive
    }

    pub(crate) fn draw<T>(&self, draw: impl FnOnce(&mut fastrand::Rng) -> T) -> T {
        draw(&mut lock(&self.0.state).rng)
    }

    /// Whether a fault happens to it at this occasion.
    pub(crate) fn suffers(&self, fault: Fault) -> bool {
        self.draw(|rng| self.0.core.happens(rng, fault))
    }

    /// Everything in it ends here.
    pub(crate) fn kill(&self, why: &str) {
        let mut state = lock(&self.0.state);
        if !state.alive {
            return;
        }
        state.alive = false;
        let (tasks, _) = (std::mem::take(&mut state.tasks), std::mem::take(&mut state.waiting));
        drop(state);
        self.0.core.trace(&self.0.name, format_args!("dies: {why}"));
        for task in tasks {
            task.abort();
        }
        self.0.dead.send_replace(true);
    }

    /// Kills it so many polls later.
    pub(crate) fn kill_after_polls(&self, polls: u64) {
        lock(&self.0.state).polls_left = Some(polls);
    }

    /// Completes when it is dead.
    pub(crate) async fn ended(&self) {
        let mut dead = self.0.dead.subscribe();
        dead.wait_for(|dead| *dead).await.map(drop).unwrap_or_default();
    }

    /// Nothing in it is polled until [`Life::resume`].
    pub(crate) fn pause(&self) {
        lock(&self.0.state).paused = true;
    }

    pub(crate) fn resume(&self) {
        let mut state = lock(&self.0.state);
        state.paused = false;
        state.disturbed_ms = Some(self.0.core.elapsed_ms());
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// It is told to stop: what it held it may let go.
    pub(crate) fn disturb(&self) {
        lock(&self.0.state).disturbed_ms = Some(self.0.core.elapsed_ms());
    }

    /// Whether it has been alive and polled all the time since then.
    pub(crate) fn ran_since(&self, since_ms: u64) -> bool {
        let state = lock(&self.0.state);
        state.alive && !state.paused && state.disturbed_ms.is_none_or(|disturbed_ms| disturbed_ms < since_ms)
    }

    /// Runs a future in it.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        let task = tokio::spawn(Living { life: self.clone(), future: Box::pin(future) });
        let mut state = lock(&self.0.state);
        if state.alive {
            if state.tasks.len() >= TASKS_SWEEP {
                state.tasks.retain(|task| !task.is_finished());
            }
            state.tasks.push(task.abort_handle());
        } else {
            task.abort();
        }
        task
    }

    /// Runs a future in it that is part of another one.
    pub(crate) fn live<'a, T: 'a>(
        &self,
        future: impl Future<Output = T> + Send + 'a,
    ) -> impl Future<Output = T> + Send + 'a {
        Living { life: self.clone(), future: Box::pin(future) }
    }

    /// A place where time passes: between these milliseconds, and for as long as it is paused; for ever if it is dead.
    pub(crate) async fn pass(&self, least_ms: f64, most_ms: f64) {
        let ms = self.draw(|rng| dice::log_ms(rng, least_ms, most_ms));
        tokio::time::sleep(Duration::from_millis(ms)).await;
        poll_fn(|context| if self.may_run(context) { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    /// Whether something in it may run now; otherwise it is woken when it may, or never.
    fn may_run(&self, context: &Context<'_>) -> bool {
        let mut state = lock(&self.0.state);
        if state.alive && state.paused {
            state.waiting.push(context.waker().clone());
        }
        state.alive && !state.paused
    }

    /// Counts a poll; false if it was the last.
    fn count_poll(&self) -> bool {
        self.0.core.polled();
        let mut state = lock(&self.0.state);
        match &mut state.polls_left {
            Some(0) => {
                state.polls_left = None;
                drop(state);
                self.0.core.note(Fault::KillAtPoll);
                self.kill("between two polls");
                false
            }
            Some(left) => {
                *left -= 1;
                true
            }
            None => true,
        }
    }
}

/// A future that is polled only while its process runs.
struct Living<'a, T> {
    life: Life,
    future: Pin<Box<dyn Future<Output = T> + Send + 'a>>,
}

impl<T> Future for Living<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        if !self.life.may_run(context) || !self.life.count_poll() {
            return Poll::Pending;
        }
        let Self { life, future } = &mut *self;
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(poll) => poll,
            Err(payload) => {
                let what = payload.downcast_ref::<&str>().map(ToString::to_string);
                let what = what.or_else(|| payload.downcast_ref::<String>().cloned());
                life.0.core.fail("panic", what.unwrap_or_else(|| "without a message".to_owned()));
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    fn life() -> Life {
        Life::begin(&Core::new(Plan::of(1).without_faults(), false), "p", 1)
    }

    #[tokio::test(start_paused = true)]
    async fn the_dead_do_nothing_more() {
        let life = life();
        let (heard, hearing) = watch::channel(0);
        let task = life.spawn({
            let life = life.clone();
            async move {
                loop {
                    heard.send_modify(|count| *count += 1);
                    life.pass(1.0, 1.0).await;
                }
            }
        });
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert!(*hearing.borrow() > 1);
        life.kill("test");
        let then = *hearing.borrow();
        assert!(task.await.is_err_and(|error: tokio::task::JoinError| error.is_cancelled()));
        assert_eq!(*hearing.borrow(), then);
        life.ended().await;
        assert!(life.spawn(async {}).await.is_err(), "nothing begins after the end");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_everything_and_loses_nothing() {
        let life = life();
        life.pause();
        let task = life.spawn(async { 7 });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!task.is_finished());
        life.resume();
        assert_eq!(task.await.unwrap(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn it_dies_at_the_poll_that_was_chosen() {
        for polls in 0..4 {
            let life = life();
            life.kill_after_polls(polls);
            let (heard, hearing) = watch::channel(0);
            let task = life.spawn(async move {
                for _ in 0..10 {
                    heard.send_modify(|count| *count += 1);
                    tokio::task::yield_now().await;
                }
            });
            assert!(task.await.is_err());
            assert_eq!(*hearing.borrow(), polls);
            assert_eq!(life.core().counts().of(Fault::KillAtPoll), 1);
        }
    }
}
