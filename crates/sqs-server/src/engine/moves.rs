//! Move tasks: dead letters go back to where they came from, or to another queue.
//!
//! A task lives in memory: a restart ends it, and what it had not moved is where it was.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use store::{Abort, View};
use tokio::sync::watch;

use super::content::Content;
use super::keys::{self, QueueId};
use super::receive::{Handing, RECEIVE_MESSAGES_MAX, move_message};
use super::rows::{Aborted, Books, QueueRow, State};
use super::{Engine, Line, lock};
use crate::error::{Kind, SqsError, SqsResult};

/// Most tasks of a queue that are remembered, and listed.
pub(crate) const TASKS_MAX: usize = 10;
/// Most messages per second that a task may be held to.
const RATE_MAX: u64 = 500;
/// For how long messages are leased while they are moved.
const MOVE_LEASE: Duration = Duration::from_secs(30);

/// Where a task stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Status {
    Running,
    Cancelling,
    Cancelled,
    Completed,
    /// With the reason.
    Failed(String),
}

impl Status {
    /// As SQS calls it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Cancelling => "CANCELLING",
            Self::Cancelled => "CANCELLED",
            Self::Completed => "COMPLETED",
            Self::Failed(_) => "FAILED",
        }
    }
}

/// A task that moves what is in one queue to others.
#[derive(Debug)]
pub(crate) struct MoveTask {
    pub(crate) handle: String,
    pub(crate) source_arn: String,
    /// Where each message came from if not given.
    pub(crate) destination_arn: Option<String>,
    pub(crate) per_second_max: Option<u64>,
    pub(crate) started_ms: u64,
    /// How many there were at its start.
    pub(crate) to_move: u64,
    pub(crate) moved: AtomicU64,
    pub(crate) status: watch::Sender<Status>,
}

/// The tasks of each queue, oldest first.
pub(super) type Moves = BTreeMap<QueueId, VecDeque<Arc<MoveTask>>>;

/// How the move of a few messages ended: how many were moved, and the names of queues that got some with their new ends.
type Moved = (Vec<u64>, BTreeMap<String, u64>, Option<String>);

/// A handle says which queue its task reads, in the form that SQS gives it.
fn handle(task: &str, source_arn: &str) -> String {
    STANDARD.encode(serde_json::json!({ "taskId": task, "sourceArn": source_arn }).to_string())
}

fn source_in(handle: &str) -> Option<String> {
    let read: serde_json::Value = serde_json::from_slice(&STANDARD.decode(handle).ok()?).ok()?;
    read.get("taskId")?.as_str()?;
    read.get("sourceArn")?.as_str().map(str::to_owned)
}

fn not_found(parameter: &str) -> SqsError {
    let message = format!("The resource that you specified for the {parameter} parameter doesn't exist.");
    SqsError::new(Kind::ResourceNotFound, message)
}

impl Engine {
    /// Starts to move what is in the queue of dead letters `source_arn`.
    pub(crate) async fn start_move(
        self: &Arc<Self>,
        source_arn: &str,
        destination_arn: Option<String>,
        per_second_max: Option<u64>,
    ) -> SqsResult<Arc<MoveTask>> {
        let source = self.line_of_arn(source_arn).ok_or_else(|| not_found("SourceArn"))?;
        if self.sources(&source, "", 1).0.is_empty() {
            let message = "Source queue must be configured as a Dead Letter Queue.";
            return Err(SqsError::new(Kind::InvalidParameterValue, message));
        }
        if let Some(arn) = &destination_arn {
            let destination = self.line_of_arn(arn).ok_or_else(|| not_found("DestinationArn"))?;
            if destination.id == source.id
                || destination.known().settings.fifo != source.known().settings.fifo
            {
                let reason = "it must be another queue of the same type";
                return Err(SqsError::parameter("DestinationArn", arn, reason));
            }
        }
        if per_second_max.is_some_and(|rate| !(1..=RATE_MAX).contains(&rate)) {
            let value = per_second_max.unwrap_or_default();
            let reason = format!("Must be between 1 and {RATE_MAX}.");
            return Err(SqsError::parameter("MaxNumberOfMessagesPerSecond", value, reason));
        }
        let to_move = self.counts(&source).await?.visible;
        let task = Arc::new(MoveTask {
            handle: handle(&self.uuid(), source_arn),
            source_arn: source_arn.to_owned(),
            destination_arn,
            per_second_max,
            started_ms: self.now_ms(),
            to_move,
            moved: AtomicU64::new(0),
            status: watch::Sender::new(Status::Running),
        });
        self.remember(source.id, &task)?;
        let (engine, running) = (Arc::clone(self), Arc::clone(&task));
        tokio::spawn(async move {
            let status = match engine.run_move(&source, &running).await {
                Ok(status) => status,
                Err(error) => Status::Failed(error.to_string()),
            };
            running.status.send_replace(status);
        });
        Ok(task)
    }

    fn remember(&self, source: QueueId, task: &Arc<MoveTask>) -> SqsResult<()> {
        let mut moves = lock(&self.moves);
        let tasks = moves.entry(source).or_default();
        if tasks.iter().any(|task| matches!(*task.status.borrow(), Status::Running | Status::Cancelling)) {
            let message = "There is already a task running. Only one active task is allowed for a source queue arn at a given time.";
            return Err(SqsError::new(Kind::InvalidParameterValue, message));
        }
        tasks.push_back(Arc::clone(task));
        if tasks.len() > TASKS_MAX {
            tasks.pop_front();
        }
        Ok(())
    }

    /// The last tasks of a queue, newest first.
    pub(crate) fn list_moves(&self, source_arn: &str) -> SqsResult<Vec<Arc<MoveTask>>> {
        let source = self.line_of_arn(source_arn).ok_or_else(|| not_found("SourceArn"))?;
        Ok(lock(&self.moves)
            .get(&source.id)
            .map(|tasks| tasks.iter().rev().cloned().collect())
            .unwrap_or_default())
    }

    /// Stops a task; returns it as it stands.
    pub(crate) fn cancel_move(&self, handle: &str) -> SqsResult<Arc<MoveTask>> {
        let source_arn = source_in(handle).ok_or_else(|| {
            SqsError::new(Kind::InvalidParameterValue, "Value for parameter TaskHandle is invalid.")
        })?;
        let tasks = self.list_moves(&source_arn)?;
        let task = tasks.into_iter().find(|task| task.handle == handle);
        let task = task.ok_or_else(|| SqsError::new(Kind::ResourceNotFound, "Task does not exist."))?;
        let cancelled = task.status.send_if_modified(|status| {
            let running = *status == Status::Running;
            if running {
                *status = Status::Cancelling;
            }
            running
        });
        if cancelled {
            return Ok(task);
        }
        let message = "Only active tasks can be cancelled.";
        Err(SqsError::new(Kind::UnsupportedOperation, message))
    }

    async fn run_move(&self, source: &Line, task: &MoveTask) -> SqsResult<Status> {
        let mut closing = self.closing.subscribe();
        let mut status = task.status.subscribe();
        loop {
            if *status.borrow_and_update() == Status::Cancelling {
                return Ok(Status::Cancelled);
            }
            if *closing.borrow_and_update() {
                return Ok(Status::Failed("the server was stopped".into()));
            }
            let at_once = task.per_second_max.and_then(|rate| usize::try_from(rate).ok());
            let at_once = at_once.unwrap_or(RECEIVE_MESSAGES_MAX).min(RECEIVE_MESSAGES_MAX);
            let mut handing = self.lease(source, at_once, MOVE_LEASE).await?;
            if handing.slots.is_empty() {
                return Ok(Status::Completed);
            }
            let taken = handing.slots.len();
            if let Some(reason) = self.move_some(source, task, &mut handing).await? {
                return Ok(Status::Failed(reason));
            }
            if let Some(rate) = task.per_second_max {
                let pause = Duration::from_millis(u64::try_from(taken).unwrap_or(1) * 1_000 / rate);
                tokio::select! {
                    _ = status.changed() => {}
                    _ = closing.changed() => {}
                    () = tokio::time::sleep(pause) => {}
                }
            }
        }
    }

    /// Moves what is leased; returns why it cannot go on, if so.
    async fn move_some(
        &self,
        source: &Line,
        task: &MoveTask,
        handing: &mut Handing<'_>,
    ) -> SqsResult<Option<String>> {
        let numbers: Vec<u64> = handing.slots.iter().map(|slot| slot.number).collect();
        let ids: Vec<String> = numbers.iter().map(|_| self.uuid()).collect();
        let id = source.id;
        let prefix = self.arn("");
        let destination = task.destination_arn.clone();
        let messages_max = self.config.messages_max;
        let (done, ends, failed) = self
            .store
            .write(move |view| {
                let mut moving =
                    Moving { id, prefix: &prefix, destination: destination.as_deref(), messages_max };
                moving.all(view, &numbers, &ids)
            })
            .await?;
        task.moved.fetch_add(u64::try_from(done.len()).unwrap_or(0), Ordering::SeqCst);
        let mut schedule = source.schedule();
        for number in &done {
            schedule.forget(*number);
        }
        drop(schedule);
        handing.slots.retain(|slot| !done.contains(&slot.number));
        for (name, next) in ends {
            if let Ok(line) = self.line(&name) {
                line.arrived(next);
            }
        }
        Ok(failed)
    }
}

struct Moving<'a> {
    id: QueueId,
    /// The ARN of a queue without its name.
    prefix: &'a str,
    destination: Option<&'a str>,
    messages_max: u64,
}

impl Moving<'_> {
    fn all(&mut self, view: &mut View<'_>, numbers: &[u64], ids: &[String]) -> Result<Moved, Aborted> {
        let (mut done, mut ends) = (Vec::new(), BTreeMap::new());
        let mut books = Books::load(view, self.id)?;
        for (number, message_id) in numbers.iter().zip(ids) {
            let Some(state) = State::load(view, self.id, *number)?.filter(|_| *number >= books.purged_below)
            else {
                done.push(*number);
                continue;
            };
            let arn = if let Some(arn) = self.destination {
                Some(arn.to_owned())
            } else {
                let bytes = view.bytes(&keys::content(self.id, *number))?.unwrap_or_default();
                Content::decode(&bytes).map_err(Abort::Refused)?.dead_letter_source
            };
            let name = arn.as_deref().and_then(|arn| arn.strip_prefix(self.prefix)).map(str::to_owned);
            let target = match &name {
                Some(name) => QueueRow::load(view, name)?.filter(|row| row.id != self.id),
                None => None,
            };
            let (Some(name), Some(target)) = (name, target) else {
                books.store(view, self.id);
                let reason = match self.destination {
                    Some(_) => Kind::QueueDoesNotExist.code(),
                    None => "CouldNotDetermineMessageSource",
                };
                return Ok((done, ends, Some(reason.into())));
            };
            if Books::load(view, target.id)?.live >= self.messages_max {
                books.store(view, self.id);
                return Ok((done, ends, Some(format!("the queue {name} is full"))));
            }
            // A new message, as SQS says: another id, a new age, never received.
            let fresh = State { sent_ms: view.now_ms(), group: state.group, ..State::default() };
            let next = move_message(view, (self.id, &mut books, *number), target.id, &fresh, |content| {
                content.message_id.clone_from(message_id);
                content.dead_letter_source = None;
            })?;
            ends.insert(name, next);
            done.push(*number);
        }
        books.store(view, self.id);
        Ok((done, ends, None))
    }
}
