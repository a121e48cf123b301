//! The law check: does it matter to a handler in what order messages come, how often, and what is interrupted?
//!
//! A queue that delivers at least once repeats, reorders, and delivers again what was cut off in the middle. Most handlers
//! are written as if it did not, and are wrong in ways that no ordinary test shows. [`check_handler`] runs any handler
//! under schedules that a seed decides, and compares the end states. A handler that passes needs no deduplication; one
//! that does not is told with the smallest schedule that was found.
//!
//! ```
//! use std::sync::{Arc, Mutex};
//!
//! use antiphon_consumer::laws::{self, Law};
//! use antiphon_consumer::{Context, MemoryTable, handler_fn, merge_handler};
//! use lattice::Max;
//! use queue::Message;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! // Counting by "+1": every message is a comment.
//! let comments: Vec<_> = (0..3).map(|n| Message::new(n.to_string())).collect();
//! let broken = laws::check_handler(
//!     &comments,
//!     100,
//!     Arc::<Mutex<u32>>::default,
//!     |count| {
//!         let count = Arc::clone(count);
//!         handler_fn(move |_: Message, _: Context| {
//!             *count.lock().unwrap() += 1;
//!             async { Ok(()) }
//!         })
//!     },
//!     async |count| *count.lock().unwrap(),
//! )
//! .await
//! .unwrap_err();
//! assert_eq!(broken.law, Law::Idempotence);
//! assert_eq!(broken.to_string(), "not idempotent: after 0, 0 the state is 2, but after 0 it is 1 (found by seed 0)");
//!
//! // A merge: every message says how many there are.
//! let counts: Vec<_> = [3, 1, 2].map(|n: u64| Message::new(n.to_string())).into();
//! let checked = laws::check_handler(
//!     &counts,
//!     100,
//!     MemoryTable::<(), Max<u64>>::new,
//!     |table| {
//!         merge_handler(table.clone(), |message: &Message| {
//!             serde_json::from_slice(&message.body).map(|count| vec![((), Max(count))])
//!         })
//!     },
//!     async |table| table.snapshot(),
//! )
//! .await
//! .unwrap();
//! assert_eq!(checked.schedules, 100);
//! # }
//! ```

mod play;
mod schedule;

use std::fmt;

use queue::Message;

use crate::Handler;
use play::play;
use schedule::Schedule;

/// Most runs that are spent on making a failing schedule smaller.
const SHRINK_RUNS_MAX: usize = 2_000;

/// What was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checked {
    /// Schedules that ended in the same state.
    pub schedules: u64,
    /// Deliveries in them.
    pub deliveries: u64,
}

/// What a handler must be, and is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Law {
    /// The same message again changes something.
    Idempotence,
    /// The order changes something.
    Commutativity,
    /// A delivery that was dropped at an await, and made again, changes something.
    Cancellation,
    /// Deliveries at the same time change something.
    Concurrency,
    /// A delivery to another handler of the same world changes something: what the first one remembered is lost in a
    /// restart, and unknown to other processes.
    Restart,
    /// A message is never done: it fails each time.
    Progress,
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idempotence => "not idempotent",
            Self::Commutativity => "not commutative",
            Self::Cancellation => "not safe to drop",
            Self::Concurrency => "not safe to run at the same time",
            Self::Restart => "not safe to restart",
            Self::Progress => "never done",
        })
    }
}

/// A handler whose end state depends on how its messages were delivered.
///
/// A schedule is written as the places of the messages in the order of their delivery, from 0: `1, 0, 1` delivers the
/// second, the first, and the second again. `(0 | 1)` delivers two at the same time, `1~2` is dropped when it awaits for
/// the second time, `1'` goes to another process.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Broken<S> {
    /// What it is not.
    pub law: Law,
    /// The seed of the schedule that showed it: [`check_seed`] plays that one alone.
    pub seed: u64,
    /// The smallest schedule that was found.
    pub schedule: String,
    /// The plain schedule of the same messages: each once, in order.
    pub plain: String,
    /// What state the plain one ends in.
    pub expected: S,
    /// What state the schedule ends in.
    pub actual: S,
    /// Why a message was never done, for [`Law::Progress`].
    pub error: Option<String>,
}

impl<S: fmt::Debug> fmt::Display for Broken<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { law, seed, schedule, plain, expected, actual, error } = self;
        match error {
            Some(error) => write!(f, "{law}: {error} (after {schedule}, found by seed {seed})"),
            None => write!(
                f,
                "{law}: after {schedule} the state is {actual:?}, but after {plain} it is {expected:?} (found by seed {seed})"
            ),
        }
    }
}

impl<S: fmt::Debug> std::error::Error for Broken<S> {}

/// Runs a handler on `messages` under `schedules` schedules, and tells whether any of them ends in another state than the
/// plain one does: each message once, in the order given.
///
/// `world` makes what the handler changes, afresh for each run; `handler` makes a handler of a world, of which there may be
/// two at a time, as in two processes that share nothing else; `state` reads what is to be compared. In a schedule messages come in any order, some of them again, some at the same time (interleaved at
/// their awaits in an order that the seed decides), some in another process or after a restart, and some are dropped at an await and come again, as happens when a
/// lease is lost. What fails with [`Retry`](crate::HandlerError::Retry) comes again until it is done; what is poison, or
/// panics for good, is told by the state.
///
/// The seeds are 0, 1, 2 …: 0 delivers everything twice, 1 in reverse, 2 all at once, the others as they decide. A
/// handler that is deterministic fails in the same way each time.
///
/// Errors: what was found first, made as small as possible. It is meant for a test, which shows it by `unwrap`.
pub async fn check_handler<W, H: Handler, S: PartialEq + fmt::Debug>(
    messages: &[Message],
    schedules: u64,
    world: impl Fn() -> W,
    handler: impl Fn(&W) -> H,
    state: impl AsyncFn(&W) -> S,
) -> Result<Checked, Broken<S>> {
    let mut checked = Checked { schedules: 0, deliveries: 0 };
    for seed in 0..schedules {
        let deliveries = check_seed(messages, seed, &world, &handler, &state).await?;
        checked.schedules += 1;
        checked.deliveries += deliveries;
    }
    Ok(checked)
}

/// Checks the schedule of one seed, as [`check_handler`] does, and returns how many deliveries it has.
pub async fn check_seed<W, H: Handler, S: PartialEq + fmt::Debug>(
    messages: &[Message],
    seed: u64,
    world: impl Fn() -> W,
    handler: impl Fn(&W) -> H,
    state: impl AsyncFn(&W) -> S,
) -> Result<u64, Broken<S>> {
    let run = async |schedule: &Schedule| {
        let world = world();
        let there = schedule.goes_elsewhere().then(|| handler(&world));
        let done = play(&handler(&world), there.as_ref(), messages, schedule, seed).await;
        (done, state(&world).await)
    };
    let compare = async |schedule: &Schedule| {
        let plain = schedule.plain();
        let (plainly_done, expected) = run(&plain).await;
        let (done, actual) = run(schedule).await;
        let error = plainly_done.err().or(done.err());
        if error.is_none() && expected == actual {
            return None;
        }
        let law = if error.is_some() { Law::Progress } else { schedule.law() };
        let (schedule, plain) = (schedule.to_string(), plain.to_string());
        Some(Broken { law, seed, schedule, plain, expected, actual, error })
    };
    let mut schedule = Schedule::of_seed(messages.len(), seed);
    let deliveries = schedule.deliveries();
    let Some(mut broken) = compare(&schedule).await else { return Ok(deliveries) };
    let mut runs = 0;
    'smaller: loop {
        for candidate in schedule.smaller() {
            runs += 1;
            if runs > SHRINK_RUNS_MAX {
                break 'smaller;
            }
            // With fewer messages one may never be done, for want of another: that is not what was found.
            if let Some(found) = compare(&candidate).await
                && found.error.is_some() == broken.error.is_some()
            {
                (schedule, broken) = (candidate, found);
                continue 'smaller;
            }
        }
        break;
    }
    Err(broken)
}
