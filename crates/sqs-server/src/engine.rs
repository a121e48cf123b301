//! The queues: everything that SQS does, without the words in which it is asked.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use store::{SCAN_PAIRS_MAX, Store, StoreError};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::Config;
use crate::error::{Kind, SqsError, SqsResult};

mod admin;
pub(crate) mod attributes;
pub(crate) mod content;
mod housekeep;
mod keys;
mod moves;
mod permissions;
mod receipt;
mod receive;
mod rows;
mod schedule;
mod send;
mod settle;

pub(crate) use moves::{MoveTask, Status, TASKS_MAX};
pub(crate) use receive::{Received, Wish};
pub(crate) use send::{Draft, Sent};

use attributes::{Settings, VISIBILITY_TIMEOUT_S_MAX};
use keys::QueueId;
use rows::{Books, QueueRow};
use schedule::Schedule;

/// Most queues of one server.
pub const QUEUES_MAX: usize = 10_000;

/// Messages of a queue that are looked at when a store is opened. Behind them, what is delayed or in flight counts as
/// visible until a receive meets it.
const COUNTED_AT_START_MAX: usize = SCAN_PAIRS_MAX;

/// The queues of a store.
#[derive(Debug)]
pub(crate) struct Engine {
    store: Store,
    config: Config,
    lines: Mutex<BTreeMap<String, Arc<Line>>>,
    /// One change of the set of queues, or of a queue's attributes, at a time.
    admin: tokio::sync::Mutex<()>,
    moves: Mutex<moves::Moves>,
    /// True once receives are not to wait any more.
    closing: watch::Sender<bool>,
}

/// One queue: what is in memory of it.
#[derive(Debug)]
pub(crate) struct Line {
    name: String,
    id: QueueId,
    known: Mutex<Arc<Known>>,
    /// A plain lock: held for a few map operations, never across an await.
    schedule: Mutex<Schedule>,
    /// One looks behind the cursor at a time.
    fetch: tokio::sync::Mutex<()>,
    /// Something may have become ready.
    wake: Notify,
    /// Behind the last message that is known to be committed: nothing is looked for from here on.
    tail: AtomicU64,
    /// Where the sweep for expired messages goes on.
    front: AtomicU64,
    gone: AtomicBool,
}

/// What is known of a queue, as it is in the store.
#[derive(Debug)]
pub(crate) struct Known {
    row: QueueRow,
    settings: Settings,
}

impl Known {
    fn of(row: QueueRow) -> SqsResult<Self> {
        let settings = Settings::read(&row.attributes)?;
        Ok(Self { row, settings })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Line {
    fn new(name: String, known: Known, books: Books) -> Self {
        let mut schedule = Schedule::default();
        schedule.clear(books.purged_below);
        Self {
            name,
            id: known.row.id,
            known: Mutex::new(Arc::new(known)),
            schedule: Mutex::new(schedule),
            fetch: tokio::sync::Mutex::default(),
            wake: Notify::new(),
            tail: AtomicU64::new(books.next),
            front: AtomicU64::new(books.purged_below),
            gone: AtomicBool::new(false),
        }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn known(&self) -> Arc<Known> {
        Arc::clone(&lock(&self.known))
    }

    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        lock(&self.schedule)
    }

    /// Tells that messages below `next` are committed, and wakes who waits for them.
    fn arrived(&self, next: u64) {
        self.tail.fetch_max(next, Ordering::SeqCst);
        self.wake.notify_waiters();
    }
}

/// How much a queue holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) visible: u64,
    pub(crate) in_flight: u64,
    pub(crate) delayed: u64,
}

impl Engine {
    /// The queues that `store` holds.
    pub(crate) async fn open(store: Store, config: Config) -> SqsResult<Self> {
        let mut lines = BTreeMap::new();
        let reader = store.reader()?;
        let mut scan = keys::queues();
        loop {
            let page = reader.scan(&scan).await?;
            for (key, value) in &page {
                let name = keys::read_queue(key)
                    .ok_or_else(|| SqsError::damaged(QueueRow::WHAT, "its name is no text"))?;
                let known = Known::of(rows::decode(QueueRow::WHAT, value)?)?;
                let books = Books::decode(reader.bytes(&keys::books(known.row.id)).await?.as_ref())?;
                lines.insert(name.to_owned(), Arc::new(Line::new(name.to_owned(), known, books)));
            }
            match page.last() {
                Some((last, _)) if page.len() >= SCAN_PAIRS_MAX => scan = scan.after(last),
                _ => break,
            }
        }
        let engine = Self {
            store,
            config,
            lines: Mutex::new(lines),
            admin: tokio::sync::Mutex::default(),
            moves: Mutex::default(),
            closing: watch::Sender::new(false),
        };
        for line in engine.lines() {
            engine.count_held(&line).await?;
        }
        Ok(engine)
    }

    /// Remembers what is delayed, or was in flight when the process ended: for the counts, which nobody's receive has
    /// to make right.
    async fn count_held(&self, line: &Line) -> SqsResult<()> {
        let scan = keys::states_from(line.id, line.schedule().cursor(), COUNTED_AT_START_MAX);
        for (key, value) in self.store.reader()?.scan(&scan).await? {
            let state: rows::State = rows::decode(rows::State::WHAT, &value)?;
            if let (Some(number), Some(until)) = (keys::read_number(&key), self.instant_of(state.visible_ms))
            {
                line.schedule().expect(number, until, state.hand_out != 0);
            }
        }
        Ok(())
    }

    /// The configuration.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// The store.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Why nothing is written any more, if that is so.
    pub(crate) fn stopped(&self) -> Option<StoreError> {
        self.store.stopped()
    }

    /// Ends the waits of receives, those to come too.
    pub(crate) fn stop_waiting(&self) {
        self.closing.send_replace(true);
    }

    /// The queue of this name.
    pub(crate) fn line(&self, name: &str) -> SqsResult<Arc<Line>> {
        lock(&self.lines).get(name).cloned().ok_or_else(SqsError::no_queue)
    }

    /// The queue of this ARN, if it is one of ours.
    pub(crate) fn line_of_arn(&self, arn: &str) -> Option<Arc<Line>> {
        self.line(self.name_in(arn)?).ok()
    }

    fn name_in<'a>(&self, arn: &'a str) -> Option<&'a str> {
        let ours = format!("arn:aws:sqs:{}:{}:", self.config.region, self.config.account);
        arn.strip_prefix(ours.as_str())
    }

    /// The ARN of a queue.
    pub(crate) fn arn(&self, name: &str) -> String {
        format!("arn:aws:sqs:{}:{}:{name}", self.config.region, self.config.account)
    }

    /// All queues, in the order of their names.
    pub(crate) fn lines(&self) -> Vec<Arc<Line>> {
        lock(&self.lines).values().cloned().collect()
    }

    /// How much a queue holds.
    pub(crate) async fn counts(&self, line: &Line) -> SqsResult<Counts> {
        let books = Books::decode(self.store.reader()?.bytes(&keys::books(line.id)).await?.as_ref())?;
        let (in_flight, delayed) = line.schedule().counts(Instant::now());
        let [in_flight, delayed] = [in_flight, delayed].map(|count| u64::try_from(count).unwrap_or(u64::MAX));
        Ok(Counts { visible: books.live.saturating_sub(in_flight + delayed), in_flight, delayed })
    }

    fn now_ms(&self) -> u64 {
        self.store.world().now_ms()
    }

    /// The instant of a time of the wall clock; `None` where it has passed.
    fn instant_of(&self, at_ms: u64) -> Option<Instant> {
        let left_ms = at_ms.checked_sub(self.now_ms()).filter(|left_ms| *left_ms > 0)?;
        // A clock that was set back must not hide a message for longer than anybody may ask for.
        Some(Instant::now() + Duration::from_millis(left_ms.min(VISIBILITY_TIMEOUT_S_MAX * 1_000)))
    }

    /// A number that nobody guesses, and that is not 0.
    fn random(&self) -> u64 {
        let [low, high] = [0, 64].map(|shift| (self.store.world().random() >> shift) & u128::from(u64::MAX));
        u64::try_from(low ^ high).unwrap_or(u64::MAX).max(1)
    }

    /// Names a request in its answer.
    pub(crate) fn request_id(&self) -> String {
        self.uuid()
    }

    /// A random UUID.
    fn uuid(&self) -> String {
        // Version 4, variant 1.
        let bits = self.store.world().random();
        let bits = (bits & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
        let hex = format!("{bits:032x}");
        let part = |from, to| hex.get(from..to).unwrap_or_default();
        format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
    }
}

/// How a sequence number is written: texts of one length, 20 digits as those of SQS, so that they also sort as such.
fn sequence(number: u64) -> String {
    const FIRST: u128 = 18_849_496_460_467_696_128;
    (FIRST + u128::from(number)).to_string()
}

fn over_limit(message: impl Into<String>) -> SqsError {
    SqsError::new(Kind::OverLimit, message)
}

#[cfg(test)]
mod tests;
