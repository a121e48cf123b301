//! One member of a consumer group: its partitions, and what it holds of them. Receivers of one subscription that come
//! from one connection share it.
//!
//! Each partition has a queue of its own in the client, which is read only when somebody asks for messages. So nothing
//! is taken that nobody wants, and a partition that must wait is simply not read: the client stops fetching it when its
//! small queue is full. (librdkafka's pause and resume fetch again from the middle of a batch, of which not every
//! broker hands out the rest.)

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::codec;
use super::desk::{Desk, Held, Place};
use super::errors::{self, Trouble, told};
use super::group::Joined;
use super::names::Names;
use super::window::{Mark, Window};
use crate::{QueueError, SubscriptionConfig};

/// Most messages that one receiver holds, handed out and waiting together. At the bound it takes no new ones.
const HELD_MESSAGES_MAX: usize = 10_000;
/// How far handing out may run ahead of the lowest open message of a partition, which then waits.
const WINDOW_MESSAGES_MAX: i64 = 10_000;
/// Most messages that one look drops because they are settled already.
const DROPPED_MESSAGES_MAX: usize = 10_000;
/// How long a member that is to leave waits until it has joined: one that leaves while partitions are dealt out leaves
/// the others waiting for it, with tansu 0.6 for ever.
const JOIN_WAIT: Duration = Duration::from_secs(10);
/// How long a new member waits for one of this process that is leaving its group.
const LEAVE_WAIT: Duration = Duration::from_secs(15);
/// A member that was dealt nothing for this long, not even no partitions, asks its coordinator to look again.
const STUCK: Duration = Duration::from_secs(8);
/// How often it does.
const STUCK_EVERY: Duration = Duration::from_secs(1);
/// How long the thread of a member waits for news before it looks whether it is to stop.
const NEWS: Duration = Duration::from_millis(100);

/// Members of this process that have not left yet, whatever connection they came with: a group that one joins while
/// another leaves is dealt out twice, which takes long, and which tansu 0.6 does not survive.
static MEMBERS: Mutex<Vec<Weak<Core>>> = Mutex::new(Vec::new());
/// Told when one has left.
static LEFT: Condvar = Condvar::new();

/// A partition that is ours.
pub(super) struct Partition {
    pub(super) window: Window,
    queue: PartitionQueue<Joined>,
    /// What the broker confirmed last.
    committed: Mark,
    /// Which assignment this is: the same partition may go and come back.
    pub(super) term: u64,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) partitions: BTreeMap<Place, Partition>,
    pub(super) desk: Desk,
    /// Where the last look began, so that none is always the last.
    turn: usize,
    terms: u64,
    /// Why nothing will come any more.
    fatal: Option<QueueError>,
}

/// What there is to commit for one partition.
pub(super) struct Due {
    pub(super) place: Place,
    mark: Mark,
    term: u64,
    settled: BTreeSet<u64>,
}

/// What the receiver, the client's thread and the client's callbacks share.
pub(super) struct Core {
    pub(super) url: String,
    pub(super) names: Names,
    pub(super) trouble: Arc<Trouble>,
    pub(super) woken: Notify,
    /// One commit at a time: an older one must not arrive after a newer one.
    pub(super) committing: Arc<tokio::sync::Mutex<()>>,
    state: Mutex<State>,
    consumer: OnceLock<Weak<BaseConsumer<Joined>>>,
    stop: AtomicBool,
    rejoin: AtomicBool,
    joined: AtomicBool,
    left: AtomicBool,
}

impl Core {
    pub(super) fn new(url: String, names: Names, trouble: Arc<Trouble>) -> Self {
        Self {
            url,
            names,
            trouble,
            woken: Notify::new(),
            committing: Arc::default(),
            state: Mutex::default(),
            consumer: OnceLock::new(),
            stop: AtomicBool::new(false),
            rejoin: AtomicBool::new(false),
            joined: AtomicBool::new(false),
            left: AtomicBool::new(false),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client, while it lives.
    pub(super) fn consumer(&self) -> Result<Arc<BaseConsumer<Joined>>, QueueError> {
        let there = self.consumer.get().and_then(Weak::upgrade);
        there.ok_or_else(|| {
            QueueError::unavailable(format!("{}: the member of {} has left", self.url, self.names.group))
        })
    }

    pub(super) fn topic(&self, place: Place) -> &str {
        if place.again { &self.names.again } else { &self.names.topic }
    }

    fn place(&self, topic: &str, partition: i32) -> Place {
        Place { again: topic == self.names.again, partition }
    }

    /// Partitions were dealt out, if only to others.
    pub(super) fn joined(&self) {
        self.joined.store(true, Ordering::Release);
    }

    /// Makes the thread leave the group and join it again.
    pub(super) fn rejoin(&self) {
        self.rejoin.store(true, Ordering::Release);
    }

    /// A partition is ours: its queue is opened before it is assigned, so that no message goes by.
    pub(super) fn assigned(
        self: &Arc<Self>,
        consumer: &Arc<BaseConsumer<Joined>>,
        topic: &str,
        partition: i32,
        mark: Mark,
    ) -> Result<(), QueueError> {
        let Some(mut queue) = consumer.split_partition_queue(topic, partition) else {
            let what = format!("no queue for partition {partition} of {topic}");
            return Err(QueueError::unavailable(format!("{}: {what}", self.url)));
        };
        let waker = Arc::downgrade(self);
        queue.set_nonempty_callback(move || {
            if let Some(core) = waker.upgrade() {
                core.woken.notify_waiters();
            }
        });
        let place = self.place(topic, partition);
        let mut state = self.state();
        state.terms += 1;
        let term = state.terms;
        state.desk.revoke(place);
        let window = Window::restored(&mark);
        state.partitions.insert(place, Partition { window, queue, committed: mark, term });
        Ok(())
    }

    /// A partition is no longer ours.
    pub(super) fn revoked(&self, topic: &str, partition: i32) {
        self.lose(self.place(topic, partition));
    }

    fn lose(&self, place: Place) {
        let mut state = self.state();
        let gone = state.partitions.remove(&place);
        state.desk.revoke(place);
        // Its queue is closed without our lock: the client takes one of its own.
        drop(state);
        drop(gone);
    }

    /// Hands out up to `max`: those that came back before new ones. The second list was received too often.
    pub(super) fn take(
        &self,
        max: usize,
        owner: u64,
        config: &SubscriptionConfig,
    ) -> Result<Taken, QueueError> {
        let now = Instant::now();
        let until = now + config.lease;
        let mut state = self.state();
        if let Some(fatal) = &state.fatal {
            return Err(fatal.clone());
        }
        let mut taken = Taken::default();
        while taken.out.len() < max
            && let Some(held) = state.desk.take_due(now)
        {
            if config.receives_max.is_some_and(|max| held.receive_count >= max) {
                taken.too_often.push(state.desk.put_aside(held));
            } else {
                taken.out.push(state.desk.hand_out(held, owner, until));
            }
        }
        self.take_fresh(&mut state, max, &mut taken, |desk, held| desk.hand_out(held, owner, until));
        taken.next_due = state.desk.next_due();
        Ok(taken)
    }

    fn take_fresh(
        &self,
        state: &mut State,
        max: usize,
        taken: &mut Taken,
        hand_out: impl Fn(&mut Desk, Held) -> u64,
    ) {
        let mut places: Vec<Place> = state.partitions.keys().copied().collect();
        if places.is_empty() {
            return;
        }
        let turn = state.turn % places.len();
        places.rotate_left(turn);
        state.turn = turn + 1;
        let mut dropped = 0;
        while !places.is_empty() {
            let mut left = Vec::with_capacity(places.len());
            for place in places {
                if taken.out.len() >= max
                    || state.desk.len() >= HELD_MESSAGES_MAX
                    || dropped > DROPPED_MESSAGES_MAX
                {
                    return;
                }
                let Some(partition) = state.partitions.get_mut(&place) else { continue };
                if partition.window.span() >= WINDOW_MESSAGES_MAX {
                    continue;
                }
                match partition.queue.poll(Duration::ZERO) {
                    Some(Ok(raw)) => {
                        if partition.window.offer(raw.offset()) {
                            let held = Held::new(place, raw.offset(), codec::read(&raw));
                            drop(raw);
                            taken.out.push(hand_out(&mut state.desk, held));
                        } else {
                            dropped += 1;
                        }
                        left.push(place);
                    }
                    Some(Err(error)) => {
                        taken.error =
                            Some(told(&self.url, format_args!("reading {}", self.topic(place)), &error));
                    }
                    None => {}
                }
            }
            places = left;
        }
    }

    /// What came before its queue was parted from the client's own.
    fn stray(&self, raw: &BorrowedMessage<'_>) {
        let place = self.place(raw.topic(), raw.partition());
        let mut state = self.state();
        let offered =
            state.partitions.get_mut(&place).is_some_and(|partition| partition.window.offer(raw.offset()));
        if offered {
            let held = Held::new(place, raw.offset(), codec::read(raw));
            state.desk.keep_until(held, Instant::now());
        }
        drop(state);
        self.woken.notify_waiters();
    }

    /// What is settled and not confirmed.
    pub(super) fn due(&self) -> Vec<Due> {
        let state = self.state();
        let dirty = state.partitions.iter().filter_map(|(place, partition)| {
            let mark = partition.window.mark();
            let settled = state.desk.settled(*place);
            let due = mark != partition.committed || !settled.is_empty();
            due.then_some(Due { place: *place, mark, term: partition.term, settled })
        });
        dirty.collect()
    }

    /// Commits one partition, and waits for the broker's word. Blocks for a request at most.
    pub(super) fn commit(&self, consumer: &BaseConsumer<Joined>, due: &Due) -> Result<(), KafkaError> {
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition_offset(self.topic(due.place), due.place.partition, Offset::Offset(due.mark.base))?;
        for mut element in list.elements() {
            element.set_metadata(&due.mark.note);
        }
        let committed = consumer.commit(&list, CommitMode::Sync);
        match &committed {
            Ok(()) => {
                let mut state = self.state();
                state.desk.confirmed(due.place, &due.settled);
                let partition = state.partitions.get_mut(&due.place);
                if let Some(partition) = partition.filter(|partition| partition.term == due.term) {
                    partition.committed = due.mark.clone();
                }
            }
            Err(error) if errors::is_fenced(error) => {
                // The group gave it to somebody else, and the client has not heard of it yet.
                tracing::debug!(%error, place = ?due.place, group = self.names.group, "a partition was lost");
                self.lose(due.place);
            }
            Err(error) => {
                tracing::debug!(%error, place = ?due.place, group = self.names.group, "a commit failed");
            }
        }
        committed
    }
}

/// The hold of the receivers of this process on the one member that they share. With the last of them the member leaves:
/// its partitions go to others at once.
pub(super) struct Membership(pub(super) Arc<Core>);

impl Drop for Membership {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Release);
    }
}

/// What one look brought.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) out: Vec<u64>,
    pub(super) too_often: Vec<u64>,
    pub(super) next_due: Option<Instant>,
    pub(super) error: Option<QueueError>,
}

/// Waits until no member of this process is leaving the group that `core` will join. Blocks.
pub(super) fn after_others(core: &Arc<Core>) {
    let leaving = |members: &mut Vec<Weak<Core>>| {
        let same = |other: &Arc<Core>| other.url == core.url && other.names.group == core.names.group;
        let is_leaving =
            |other: &Arc<Core>| other.stop.load(Ordering::Acquire) && !other.left.load(Ordering::Acquire);
        members.iter().filter_map(Weak::upgrade).any(|other| same(&other) && is_leaving(&other))
    };
    let members = MEMBERS.lock().unwrap_or_else(PoisonError::into_inner);
    let waited = LEFT.wait_timeout_while(members, LEAVE_WAIT, leaving);
    let (mut members, _) = waited.unwrap_or_else(PoisonError::into_inner);
    members.retain(|member| member.strong_count() > 0);
    members.push(Arc::downgrade(core));
}

/// Joins the group, and serves the client until the receivers are dropped. The thread owns the client: closing it takes
/// a while, and waits for the broker. `look_again` makes the coordinator look at the group.
pub(super) fn join(
    core: &Arc<Core>,
    consumer: Arc<BaseConsumer<Joined>>,
    look_again: impl Fn() + Send + 'static,
) -> Result<(), QueueError> {
    if core.consumer.set(Arc::downgrade(&consumer)).is_err() {
        return Err(QueueError::broken("a receiver of Kafka joins its group once"));
    }
    subscribe(core, &consumer)?;
    let (core, url) = (Arc::clone(core), core.url.clone());
    let thread = std::thread::Builder::new().name("antiphon-kafka".to_owned());
    let spawned = thread.spawn(move || {
        serve(&core, &consumer, look_again);
        for due in core.due() {
            // Acks that nobody waited for. An error was logged: they come again.
            if core.commit(&consumer, &due).is_err() {
                break;
            }
        }
        // The queues hold the client: without them the last hold on it is the one dropped here.
        let partitions = std::mem::take(&mut core.state().partitions);
        drop(partitions);
        drop(consumer);
        let members = MEMBERS.lock().unwrap_or_else(PoisonError::into_inner);
        core.left.store(true, Ordering::Release);
        drop(members);
        LEFT.notify_all();
    });
    spawned
        .map(drop)
        .map_err(|error| QueueError::unavailable(format!("{url}: no thread for its client: {error}")))
}

fn subscribe(core: &Core, consumer: &BaseConsumer<Joined>) -> Result<(), QueueError> {
    let names = &core.names;
    consumer
        .subscribe(&[names.topic.as_str(), names.again.as_str()])
        .map_err(|error| told(&core.url, format_args!("joining the group {}", names.group), &error))
}

fn serve(core: &Arc<Core>, consumer: &Arc<BaseConsumer<Joined>>, look_again: impl Fn()) {
    let mut leave_at = None;
    let mut stuck_at = Instant::now() + STUCK;
    loop {
        let joined = core.joined.load(Ordering::Acquire);
        if core.stop.load(Ordering::Acquire) {
            let leave_at = *leave_at.get_or_insert_with(|| Instant::now() + JOIN_WAIT);
            if joined || Instant::now() >= leave_at {
                return;
            }
        }
        if !joined && Instant::now() >= stuck_at {
            look_again();
            stuck_at = Instant::now() + STUCK_EVERY;
        }
        match consumer.poll(NEWS) {
            None => {}
            Some(Ok(raw)) => core.stray(&raw),
            Some(Err(error)) => tracing::debug!(%error, group = core.names.group, "the member noticed"),
        }
        if let Some((code, reason)) = consumer.client().fatal_error() {
            let what =
                format!("{}: the member of {} cannot go on: {code}: {reason}", core.url, core.names.group);
            core.state().fatal = Some(QueueError::broken(what));
            core.woken.notify_waiters();
            return;
        }
        if core.rejoin.swap(false, Ordering::AcqRel) {
            consumer.unsubscribe();
            if let Err(error) = subscribe(core, consumer) {
                tracing::warn!(%error, group = core.names.group, "joining again failed; trying on");
                core.rejoin();
            }
        }
    }
}
