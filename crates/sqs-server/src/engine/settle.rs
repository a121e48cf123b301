//! Deleting, and changing for how long a message stays invisible: by the receipt of its last hand-out only.

use std::collections::BTreeMap;
use std::time::Duration;

use store::View;
use tokio::time::Instant;

use super::attributes::VISIBILITY_TIMEOUT_S_MAX;
use super::receipt::Receipt;
use super::rows::{self, Aborted, Books, State};
use super::{Engine, Line, keys};
use crate::error::{Kind, SqsError, SqsResult};

/// A change that is asked for: the handle, and seconds from now.
pub(crate) type Change = (String, u64);

fn invalid_receipt(handle: &str, reason: &str) -> SqsError {
    SqsError::parameter("ReceiptHandle", handle, reason)
}

/// A message that is there, and whether the receipt is the one of its last hand-out.
fn find(view: &mut View<'_>, books: &Books, receipt: &Receipt) -> Result<Option<(State, bool)>, Aborted> {
    if receipt.number < books.purged_below {
        return Ok(None);
    }
    let state = State::load(view, receipt.queue, receipt.number)?;
    Ok(state.map(|state| {
        let is_last = state.hand_out == receipt.hand_out;
        (state, is_last)
    }))
}

fn is_ours(line: &Line, handle: &str) -> SqsResult<Receipt> {
    let receipt = Receipt::parse(handle)?;
    // A queue that was deleted and made again has another id: an old receipt then names nothing.
    if receipt.queue == line.id {
        Ok(receipt)
    } else {
        let message = format!("The input receipt handle \"{handle}\" is not one of this queue.");
        Err(SqsError::new(Kind::ReceiptHandleIsInvalid, message))
    }
}

impl Engine {
    /// Deletes what the receipts stand for, one answer each. As SQS does, it answers success to an old receipt, and
    /// deletes nothing then; a FIFO queue refuses one whose time is over.
    pub(crate) async fn delete_messages(
        &self,
        line: &Line,
        handles: &[String],
    ) -> SqsResult<Vec<SqsResult<()>>> {
        let fifo = line.known().settings.fifo;
        let parsed: Vec<SqsResult<Receipt>> = handles.iter().map(|handle| is_ours(line, handle)).collect();
        let now = Instant::now();
        let alive = |receipt: &Receipt| {
            !fifo || line.schedule().since(receipt.number, receipt.hand_out, now).is_some()
        };
        let asked: BTreeMap<Receipt, bool> =
            parsed.iter().flatten().map(|receipt| (*receipt, alive(receipt))).collect();
        let (id, asked_in_write) = (line.id, asked.clone());
        // Not synced: a power cut, and not a kill, may bring back what was just deleted, which at-least-once allows.
        let done: BTreeMap<Receipt, Deletion> = if asked.is_empty() {
            BTreeMap::new()
        } else {
            self.store.write_relaxed(move |view| delete_all(view, id, &asked_in_write)).await?
        };
        let mut schedule = line.schedule();
        for (receipt, deletion) in &done {
            if *deletion == Deletion::Done {
                schedule.forget(receipt.number);
            }
        }
        drop(schedule);
        // A group may be free now.
        line.wake.notify_waiters();
        let answer = |(parsed, handle): (SqsResult<Receipt>, &String)| match done.get(&parsed?) {
            Some(Deletion::Late) => Err(invalid_receipt(handle, "The receipt handle has expired.")),
            _ => Ok(()),
        };
        Ok(parsed.into_iter().zip(handles).map(answer).collect())
    }

    /// Moves the end of leases, one answer each. As SQS does, a standard queue does so for the last hand-out also when its
    /// time is over, as long as nobody else got the message.
    pub(crate) async fn change_visibility(
        &self,
        line: &Line,
        changes: &[Change],
    ) -> SqsResult<Vec<SqsResult<()>>> {
        let mut answers = Vec::with_capacity(changes.len());
        let mut asked = Vec::new();
        for change in changes {
            let checked = check_change(line, change);
            asked.extend(checked.as_ref().ok().copied());
            answers.push(checked.map(|(receipt, ..)| receipt));
        }
        let (id, fifo, asked_in_write) = (line.id, line.known().settings.fifo, asked.clone());
        let done: Vec<Lease> = if asked.is_empty() {
            Vec::new()
        } else {
            self.store.write_relaxed(move |view| change_all(view, id, fifo, &asked_in_write)).await?
        };
        let now = Instant::now();
        let mut schedule = line.schedule();
        for ((receipt, seconds, _), lease) in asked.iter().zip(&done) {
            if *lease == Lease::Moved {
                schedule.change(receipt.number, receipt.hand_out, now, now + Duration::from_secs(*seconds));
            }
        }
        drop(schedule);
        line.wake.notify_waiters();
        let mut done = done.into_iter();
        let answer = |(parsed, (handle, _)): (SqsResult<Receipt>, &Change)| {
            parsed?;
            match done.next() {
                Some(Lease::Moved) => Ok(()),
                Some(Lease::Over) => {
                    let message = format!("The message of the receipt handle {handle} is not in flight.");
                    Err(SqsError::new(Kind::MessageNotInflight, message))
                }
                Some(Lease::Gone) | None => {
                    let reason = "Message does not exist or is not available for visibility timeout change.";
                    Err(invalid_receipt(handle, reason))
                }
            }
        };
        Ok(answers.into_iter().zip(changes).map(answer).collect())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deletion {
    Done,
    /// Handed out again since, or not there.
    Nothing,
    /// Of a FIFO queue, and its time is over.
    Late,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lease {
    Moved,
    /// It is the last hand-out, and its time is over: too late in a FIFO queue, whose group may have gone on.
    Over,
    /// Handed out again since, or not there.
    Gone,
}

/// Whether a change may be: its receipt, its seconds, and whether memory says that the lease lives.
fn check_change(line: &Line, (handle, seconds): &Change) -> SqsResult<(Receipt, u64, bool)> {
    let receipt = is_ours(line, handle)?;
    if *seconds > VISIBILITY_TIMEOUT_S_MAX {
        let reason =
            format!("VisibilityTimeout must be an integer between 0 and {VISIBILITY_TIMEOUT_S_MAX}.");
        return Err(SqsError::parameter("VisibilityTimeout", seconds, reason));
    }
    let now = Instant::now();
    let since = line.schedule().since(receipt.number, receipt.hand_out, now);
    let held = since.map_or(Duration::ZERO, |since| now.duration_since(since));
    if held + Duration::from_secs(*seconds) > Duration::from_secs(VISIBILITY_TIMEOUT_S_MAX) {
        let reason = format!(
            "Total VisibilityTimeout for the message is beyond the limit [{VISIBILITY_TIMEOUT_S_MAX} seconds]"
        );
        return Err(SqsError::parameter("VisibilityTimeout", seconds, reason));
    }
    Ok((receipt, *seconds, since.is_some()))
}

/// The flag says whether memory knows the lease to live: after a restart only the row does.
fn delete_all(
    view: &mut View<'_>,
    id: keys::QueueId,
    asked: &BTreeMap<Receipt, bool>,
) -> Result<BTreeMap<Receipt, Deletion>, Aborted> {
    let mut books = Books::load(view, id)?;
    let mut done = BTreeMap::new();
    for (receipt, alive) in asked {
        let deletion = match find(view, &books, receipt)? {
            Some((state, true)) if *alive || state.visible_ms > view.now_ms() => {
                rows::remove_message(view, &mut books, id, receipt.number);
                Deletion::Done
            }
            Some((_, true)) => Deletion::Late,
            Some((_, false)) | None => Deletion::Nothing,
        };
        done.insert(*receipt, deletion);
    }
    books.store(view, id);
    Ok(done)
}

fn change_all(
    view: &mut View<'_>,
    id: keys::QueueId,
    fifo: bool,
    asked: &[(Receipt, u64, bool)],
) -> Result<Vec<Lease>, Aborted> {
    let books = Books::load(view, id)?;
    let mut done = Vec::with_capacity(asked.len());
    for (receipt, seconds, alive) in asked {
        let now_ms = view.now_ms();
        done.push(match find(view, &books, receipt)? {
            Some((mut state, true)) if *alive || !fifo || state.visible_ms > now_ms => {
                state.visible_ms = now_ms.saturating_add(seconds.saturating_mul(1_000));
                state.save(view, id, receipt.number)?;
                Lease::Moved
            }
            Some((_, true)) => Lease::Over,
            Some((_, false)) | None => Lease::Gone,
        });
    }
    Ok(done)
}
