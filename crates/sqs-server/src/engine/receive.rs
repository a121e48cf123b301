//! Receiving: what is ready, under a lease, counted before it is handed out.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use store::{Abort, View};
use tokio::time::Instant;

use super::attributes::Redrive;
use super::content::Content;
use super::receipt::Receipt;
use super::rows::{self, Aborted, Books, QueueRow, State};
use super::schedule::{Met, Slot};
use super::{Engine, Line, keys, over_limit, sequence};
use crate::error::{SqsError, SqsResult};

/// Most messages of one receive.
pub(crate) const RECEIVE_MESSAGES_MAX: usize = 10;
/// Most messages of a queue in flight: what SQS allows.
pub(crate) const IN_FLIGHT_MAX: usize = 120_000;
/// How many messages a FIFO queue looks through for a free group.
const LOOKAHEAD_MAX: usize = 120_000;
/// With so many behind their groups, it stops at the first that is free.
const LOOKAHEAD_ENOUGH: usize = 1_000;
/// States read at a time while looking for what is ready.
const PAGE_STATES: usize = 128;

/// What a receiver asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish {
    /// At most [`RECEIVE_MESSAGES_MAX`].
    pub(crate) max: usize,
    /// The queue's own if not given.
    pub(crate) visibility: Option<Duration>,
    /// The queue's own if not given.
    pub(crate) wait: Option<Duration>,
}

/// A message that was handed out.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) receipt_handle: String,
    pub(crate) content: Content,
    pub(crate) sent_ms: u64,
    pub(crate) first_ms: u64,
    pub(crate) receives: u32,
    pub(crate) group: Option<String>,
    /// FIFO queues only.
    pub(crate) sequence: Option<String>,
}

/// Leases that end unless what they are for was done: a receive that is dropped, or fails, gives back what it took.
pub(super) struct Handing<'a> {
    line: &'a Line,
    pub(super) slots: Vec<Slot>,
}

impl<'a> Handing<'a> {
    pub(super) fn of(line: &'a Line, slots: Vec<Slot>) -> Self {
        Self { line, slots }
    }
}

impl Drop for Handing<'_> {
    fn drop(&mut self) {
        if self.slots.is_empty() {
            return;
        }
        let mut schedule = self.line.schedule();
        for slot in self.slots.drain(..) {
            schedule.release(slot);
        }
        drop(schedule);
        self.line.wake.notify_waiters();
    }
}

/// What the store made of a lease.
enum Outcome {
    Handed(Box<(State, Bytes)>),
    /// Deleted, purged, or kept for longer than the queue keeps messages.
    Gone,
    /// It went to the queue for dead letters.
    Dead,
}

/// What a hand-out is decided by.
#[derive(Clone)]
struct Rules {
    id: keys::QueueId,
    retention_ms: u64,
    visibility_ms: u64,
    redrive: Option<Redrive>,
    /// The name in the redrive policy's ARN, if that is ours.
    dead_name: Option<String>,
    arn: String,
    fifo: bool,
    messages_max: u64,
}

impl Engine {
    /// Hands out up to `wish.max` messages, waiting for the first.
    pub(crate) async fn receive(&self, line: &Arc<Line>, wish: Wish) -> SqsResult<Vec<Received>> {
        let wait = wish.wait.unwrap_or(line.known().settings.wait);
        let give_up = Instant::now() + wait;
        let mut closing = self.closing.subscribe();
        loop {
            // Registered before looking, so that what is sent while we look wakes us.
            let woken = line.wake.notified();
            tokio::pin!(woken);
            woken.as_mut().enable();
            if line.gone.load(Ordering::SeqCst) {
                return Err(SqsError::no_queue());
            }
            let received = self.take(line, wish).await?;
            let is_closing = *closing.borrow_and_update();
            if !received.is_empty() || Instant::now() >= give_up || is_closing {
                return Ok(received);
            }
            let due = line.schedule().next_due();
            let until = due.map_or(give_up, |due| due.min(give_up));
            tokio::select! {
                biased;
                () = &mut woken => {}
                _ = closing.changed() => {}
                () = tokio::time::sleep_until(until) => {}
            }
        }
    }

    /// Hands out what is ready now.
    async fn take(&self, line: &Arc<Line>, wish: Wish) -> SqsResult<Vec<Received>> {
        loop {
            let known = line.known();
            let in_flight = line.schedule().in_flight();
            if in_flight >= IN_FLIGHT_MAX {
                // As SQS does: a FIFO queue hands out nothing, and says nothing.
                return if known.settings.fifo {
                    Ok(Vec::new())
                } else {
                    let name = &line.name;
                    Err(over_limit(format!(
                        "{in_flight} messages of the queue {name} are in flight, which is the most: delete those that are done"
                    )))
                };
            }
            let visibility = wish.visibility.unwrap_or(known.settings.visibility);
            let max = wish.max.min(RECEIVE_MESSAGES_MAX).min(IN_FLIGHT_MAX - in_flight);
            let handing = self.lease(line, max, visibility).await?;
            if handing.slots.is_empty() {
                return Ok(Vec::new());
            }
            let received = self.hand_out(line, handing, visibility).await?;
            // Where all of them were gone or dead, there may be others.
            if !received.is_empty() {
                return Ok(received);
            }
        }
    }

    /// Leases up to `max` messages: what came back before what is new.
    pub(super) async fn lease<'a>(
        &self,
        line: &'a Line,
        max: usize,
        visibility: Duration,
    ) -> SqsResult<Handing<'a>> {
        let fifo = line.known().settings.fifo;
        let lease_ready = |max| line.schedule().lease_ready(max, Instant::now(), Instant::now() + visibility);
        let is_behind = || line.schedule().cursor() < line.tail.load(Ordering::SeqCst);
        if fifo {
            if is_behind() {
                let _fetching = line.fetch.lock().await;
                self.look_ahead(line).await?;
            }
            return Ok(Handing::of(line, lease_ready(max)));
        }
        let mut handing = Handing::of(line, lease_ready(max));
        if handing.slots.len() >= max || !is_behind() {
            return Ok(handing);
        }
        let _fetching = line.fetch.lock().await;
        while is_behind() {
            let page = self.page(line).await?;
            for (key, value) in &page {
                let met = self.met(key, value, false)?;
                let now = Instant::now();
                let slot = line.schedule().meet(met, now, now + visibility);
                handing.slots.extend(slot);
                if handing.slots.len() >= max {
                    return Ok(handing);
                }
            }
            if page.len() < PAGE_STATES {
                break;
            }
            // Thousands that are delayed must not hold a thread.
            tokio::task::yield_now().await;
        }
        Ok(handing)
    }

    /// Lets the messages of a FIFO queue join their groups: a receive gets as many of one group as there are, so it
    /// looks farther than it takes.
    async fn look_ahead(&self, line: &Line) -> SqsResult<()> {
        loop {
            let (cursor, enough) = {
                let mut schedule = line.schedule();
                let parked = schedule.parked();
                let found = parked >= LOOKAHEAD_ENOUGH && schedule.has_available(Instant::now());
                (schedule.cursor(), found || parked >= LOOKAHEAD_MAX)
            };
            if enough || cursor >= line.tail.load(Ordering::SeqCst) {
                return Ok(());
            }
            let page = self.page(line).await?;
            for (key, value) in &page {
                let met = self.met(key, value, true)?;
                let now = Instant::now();
                // Those of a group wait for `lease_ready`: nothing is leased here.
                let _waits = line.schedule().meet(met, now, now);
            }
            if page.len() < PAGE_STATES {
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
    }

    /// States from the cursor on.
    async fn page(&self, line: &Line) -> SqsResult<Vec<(Bytes, Bytes)>> {
        let cursor = line.schedule().cursor();
        Ok(self.store.reader()?.scan(&keys::states_from(line.id, cursor, PAGE_STATES)).await?)
    }

    fn met(&self, key: &[u8], value: &[u8], fifo: bool) -> SqsResult<Met> {
        let number = keys::read_number(key)
            .ok_or_else(|| SqsError::damaged(State::WHAT, "its key is of another kind"))?;
        let state: State = rows::decode(State::WHAT, value)?;
        Ok(Met {
            number,
            group: state.group.filter(|_| fifo).map(Into::into),
            until: self.instant_of(state.visible_ms),
            hand_out: state.hand_out,
        })
    }

    /// Counts the hand-out of what is leased, and hands it out; puts aside what was received too often.
    async fn hand_out(
        &self,
        line: &Arc<Line>,
        mut handing: Handing<'_>,
        visibility: Duration,
    ) -> SqsResult<Vec<Received>> {
        let known = line.known();
        let redrive = known.settings.redrive.clone();
        let dead_name = redrive.as_ref().and_then(|redrive| self.name_in(&redrive.target_arn));
        let rules = Rules {
            id: line.id,
            retention_ms: known.settings.retention_ms,
            visibility_ms: u64::try_from(visibility.as_millis()).unwrap_or(u64::MAX),
            dead_name: dead_name.map(str::to_owned),
            redrive,
            arn: self.arn(&line.name),
            fifo: known.settings.fifo,
            messages_max: self.config.messages_max,
        };
        let numbers: Vec<(u64, u64)> =
            handing.slots.iter().map(|slot| (slot.number, self.random())).collect();
        let (asked, stored_rules) = (numbers.clone(), rules.clone());
        // Not synced: a power cut may forget counts and bring back dead letters, both rows of each together.
        let (outcomes, dead_next) =
            self.store.write_relaxed(move |view| hand_out_all(view, &stored_rules, &asked)).await?;
        if let Some(next) = dead_next
            && let Some(Ok(dead)) = rules.dead_name.as_deref().map(|name| self.line(name))
        {
            dead.arrived(next);
        }
        let mut received = Vec::with_capacity(outcomes.len());
        let mut schedule = line.schedule();
        let mut failed = None;
        let slots = std::mem::take(&mut handing.slots);
        for ((slot, (_, hand_out)), outcome) in slots.into_iter().zip(numbers).zip(outcomes) {
            let Outcome::Handed(handed) = outcome else {
                schedule.forget(slot.number);
                continue;
            };
            let (state, bytes) = *handed;
            schedule.confirm(slot, hand_out);
            match Content::decode(&bytes) {
                Ok(content) => received.push(read(&rules, slot.number, state, content)),
                // It stays, and comes again: the others must not suffer from it.
                Err(error) => failed = Some(error),
            }
        }
        drop(schedule);
        match failed {
            Some(error) if received.is_empty() => Err(error),
            Some(error) => {
                tracing::error!(queue = line.name, %error, "a message cannot be read");
                Ok(received)
            }
            None => Ok(received),
        }
    }
}

fn read(rules: &Rules, number: u64, state: State, content: Content) -> Received {
    let receipt = Receipt { queue: rules.id, number, hand_out: state.hand_out };
    Received {
        receipt_handle: receipt.handle(),
        content,
        sent_ms: state.sent_ms,
        first_ms: state.first_ms,
        receives: state.receives.saturating_add(state.receives_before),
        group: state.group,
        sequence: rules.fifo.then(|| sequence(number)),
    }
}

/// Decides on each (number, name of the hand-out); also where the queue for dead letters now ends, if it got any.
fn hand_out_all(
    view: &mut View<'_>,
    rules: &Rules,
    numbers: &[(u64, u64)],
) -> Result<(Vec<Outcome>, Option<u64>), Aborted> {
    let now_ms = view.now_ms();
    let mut books = Books::load(view, rules.id)?;
    let before = books;
    let mut dead_next = None;
    let mut outcomes = Vec::with_capacity(numbers.len());
    for (number, hand_out) in numbers {
        let Some(mut state) = State::load(view, rules.id, *number)?.filter(|_| *number >= books.purged_below)
        else {
            outcomes.push(Outcome::Gone);
            continue;
        };
        if state.expires_ms(rules.retention_ms) <= now_ms {
            rows::remove_message(view, &mut books, rules.id, *number);
            outcomes.push(Outcome::Gone);
            continue;
        }
        if rules.redrive.as_ref().is_some_and(|redrive| state.receives >= redrive.receives_max)
            && let Some(next) = bury(view, rules, &mut books, *number, &state)?
        {
            dead_next = Some(next);
            outcomes.push(Outcome::Dead);
            continue;
        }
        let content = view.bytes(&keys::content(rules.id, *number))?;
        let content = content.ok_or_else(|| {
            Abort::Refused(SqsError::damaged("a message", "its state is there and its content is not"))
        })?;
        state.receives = state.receives.saturating_add(1);
        state.hand_out = *hand_out;
        state.visible_ms = now_ms.saturating_add(rules.visibility_ms);
        if state.first_ms == 0 {
            state.first_ms = now_ms;
        }
        state.save(view, rules.id, *number)?;
        outcomes.push(Outcome::Handed(Box::new((state, content))));
    }
    if books != before {
        books.store(view, rules.id);
    }
    Ok((outcomes, dead_next))
}

/// Moves a message to the queue for dead letters, and returns where that one now ends; `None`, and nothing is moved, if
/// there is no such queue any more: it is handed out then, as before.
fn bury(
    view: &mut View<'_>,
    rules: &Rules,
    books: &mut Books,
    number: u64,
    state: &State,
) -> Result<Option<u64>, Aborted> {
    let Some(name) = &rules.dead_name else { return Ok(None) };
    let Some(target) = QueueRow::load(view, name)?.filter(|row| row.id != rules.id) else { return Ok(None) };
    if Books::load(view, target.id)?.live >= rules.messages_max {
        return Ok(None);
    }
    let buried = State {
        // A standard queue keeps the age: its retention goes on. A FIFO queue starts it anew.
        sent_ms: if rules.fifo { view.now_ms() } else { state.sent_ms },
        receives_before: state.receives_before.saturating_add(state.receives),
        first_ms: state.first_ms,
        group: state.group.clone(),
        ..State::default()
    };
    let source = Some(rules.arn.clone());
    move_message(view, (rules.id, books, number), target.id, &buried, |content| {
        content.dead_letter_source = source;
    })
    .map(Some)
}

/// Moves a message between queues in one commit, and returns where the target now ends.
pub(super) fn move_message(
    view: &mut View<'_>,
    (from, books, number): (keys::QueueId, &mut Books, u64),
    to: keys::QueueId,
    state: &State,
    change: impl FnOnce(&mut Content),
) -> Result<u64, Aborted> {
    let bytes = view.bytes(&keys::content(from, number))?.unwrap_or_default();
    let mut content = Content::decode(&bytes).map_err(Abort::Refused)?;
    change(&mut content);
    let mut target = Books::load(view, to)?;
    view.set(keys::content(to, target.next), content.encode().map_err(Abort::Refused)?);
    state.save(view, to, target.next)?;
    target.next += 1;
    target.live += 1;
    target.store(view, to);
    rows::remove_message(view, books, from, number);
    Ok(target.next)
}
