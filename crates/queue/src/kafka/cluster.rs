//! The clients of one cluster, and the questions that they are asked.
//!
//! librdkafka's questions block. They are asked on tokio's blocking threads, each with a bound.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use rdkafka::admin::AdminClient;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::FutureProducer;
use rdkafka::{Offset, TopicPartitionList};
use tokio::time::Instant;

use super::errors::{Quiet, Trouble, answered, told};
use super::member::Membership;
use super::names;
use super::options::Options;
use crate::QueueError;

/// Longest wait for the answer to one question.
pub(super) const ASK_WAIT: Duration = Duration::from_secs(8);
/// How long the first question may take: by then a wrong address or login has shown itself.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// Most notices of a client that are looked through for the reason of a failure.
const NOTICES_MAX: usize = 32;
/// How long it may take to find where partitions end.
const PROBE_WAIT: Duration = Duration::from_secs(8);
/// How long one look of that may take.
const PROBE_LOOK: Duration = Duration::from_millis(50);
/// Without any news for this long, a partition has ended where it was last read.
const PROBE_QUIET: Duration = Duration::from_secs(2);
/// Clients of groups that are kept open; beyond it all are closed and opened as needed.
const GROUPS_OPEN_MAX: usize = 32;
/// Partitions whose end is remembered; beyond it all are forgotten.
const ENDS_KEPT_MAX: usize = 100_000;

/// A client that looks.
pub(super) type Reader = BaseConsumer<Quiet>;
/// Offsets by topic and partition.
pub(super) type Offsets = BTreeMap<(String, i32), i64>;

pub(super) struct Cluster {
    pub(super) options: Options,
    pub(super) admin: AdminClient<Quiet>,
    pub(super) producer: FutureProducer<Quiet>,
    /// One letter at a time goes into a companion topic: a batch of its own each, which every broker counts right.
    pub(super) one_by_one: tokio::sync::Mutex<()>,
    reader: Reader,
    trouble: Arc<Trouble>,
    prober: Mutex<Option<Reader>>,
    groups: Mutex<BTreeMap<String, Arc<Reader>>>,
    /// Ends that were seen here: never more than there is, and sometimes more than a broker admits to.
    seen: Mutex<Offsets>,
    /// By their groups.
    members: Mutex<BTreeMap<String, Weak<Membership>>>,
    /// One subscribes at a time, so that a group has one member here.
    pub(super) subscribing: tokio::sync::Mutex<()>,
}

/// What is known of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) partitions: i32,
    pub(super) replication: i32,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs what blocks where blocking does no harm.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, QueueError> + Send + 'static,
) -> Result<T, QueueError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(QueueError::unavailable(format!("a call to Kafka was given up: {error}"))),
    }
}

impl Cluster {
    pub(super) fn open(options: Options) -> Result<Self, QueueError> {
        let context = Quiet::default();
        let trouble = Arc::clone(&context.trouble);
        let failed = |error: &KafkaError| told(&options.shown, "making a client", error);
        let reader = options.reader().create_with_context(context.clone()).map_err(|error| failed(&error))?;
        let admin = options.client().create_with_context(Quiet::default()).map_err(|error| failed(&error))?;
        let producer = options.producer().create_with_context(context).map_err(|error| failed(&error))?;
        Ok(Self {
            options,
            admin,
            producer,
            one_by_one: tokio::sync::Mutex::new(()),
            reader,
            trouble,
            prober: Mutex::new(None),
            groups: Mutex::default(),
            seen: Mutex::default(),
            members: Mutex::default(),
            subscribing: tokio::sync::Mutex::new(()),
        })
    }

    pub(super) fn url(&self) -> &str {
        &self.options.shown
    }

    /// The error that a call ended with, or what the client noticed meanwhile, which says more: that the login was rejected.
    pub(super) fn explained(&self, error: QueueError) -> QueueError {
        if error.is_retryable() { self.trouble.take(self.url()).unwrap_or(error) } else { error }
    }

    /// Asks the brokers who they are. Blocks.
    pub(super) fn greet(&self) -> Result<(), QueueError> {
        let greeted = self.reader.fetch_metadata(Some(names::looker(None).as_str()), CONNECT_WAIT);
        greeted.map(drop).map_err(|error| {
            // The polls deliver what the client noticed: that the login was rejected, that there is no such host.
            for _ in 0..NOTICES_MAX {
                self.reader.poll(Duration::ZERO);
            }
            let plain = || told(self.url(), "no broker answers", &error);
            self.trouble.reason(self.url()).unwrap_or_else(plain)
        })
    }

    /// The shape of a topic; `None` if there is none. Blocks.
    pub(super) fn shape(&self, topic: &str) -> Result<Option<Shape>, QueueError> {
        let metadata = self.reader.fetch_metadata(Some(topic), ASK_WAIT);
        let metadata =
            metadata.map_err(|error| told(self.url(), format_args!("looking at {topic}"), &error))?;
        let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
            return Ok(None);
        };
        if let Some(code) = found.error().map(RDKafkaErrorCode::from) {
            return match code {
                RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic => Ok(None),
                code => Err(answered(self.url(), format_args!("looking at {topic}"), code)),
            };
        }
        let partitions = i32::try_from(found.partitions().len()).unwrap_or(i32::MAX);
        if partitions == 0 {
            return Ok(None);
        }
        let replicas =
            found.partitions().iter().map(|partition| partition.replicas().len()).min().unwrap_or(0);
        Ok(Some(Shape { partitions, replication: i32::try_from(replicas).unwrap_or(i32::MAX) }))
    }

    /// The names of all topics. Blocks.
    pub(super) fn topics(&self) -> Result<Vec<String>, QueueError> {
        let metadata = self.reader.fetch_metadata(None, ASK_WAIT);
        let metadata = metadata.map_err(|error| told(self.url(), "listing topics", &error))?;
        Ok(metadata.topics().iter().map(|topic| topic.name().to_owned()).collect())
    }

    /// A client that may read and commit for a group, without joining it. Blocks for a moment.
    pub(super) fn group(&self, group: &str) -> Result<Arc<Reader>, QueueError> {
        let mut groups = lock(&self.groups);
        if let Some(reader) = groups.get(group) {
            return Ok(Arc::clone(reader));
        }
        if groups.len() >= GROUPS_OPEN_MAX {
            groups.clear();
        }
        let opened = self.options.member(group).create_with_context(Quiet::default());
        let reader: Reader = opened.map_err(|error| told(self.url(), "making a client", &error))?;
        let reader = Arc::new(reader);
        groups.insert(group.to_owned(), Arc::clone(&reader));
        Ok(reader)
    }

    /// Notes that a partition reaches at least so far.
    pub(super) fn saw(&self, topic: &str, partition: i32, end: i64) {
        let mut seen = lock(&self.seen);
        if let Some(known) = seen.get_mut(&(topic.to_owned(), partition)) {
            *known = end.max(*known);
            return;
        }
        if seen.len() >= ENDS_KEPT_MAX {
            seen.clear();
        }
        seen.insert((topic.to_owned(), partition), end);
    }

    fn raise(&self, ends: &mut Offsets) {
        let seen = lock(&self.seen);
        for (place, end) in ends {
            *end = seen.get(place).copied().unwrap_or_default().max(*end);
        }
    }

    /// Where the partitions of these topics end, as the brokers say, or later where we know better. Not every broker
    /// counts the messages of its last batch. Blocks.
    pub(super) fn ends(&self, topics: &[(&str, i32)]) -> Result<Offsets, QueueError> {
        let mut list = TopicPartitionList::new();
        for (topic, partitions) in topics {
            for partition in 0..*partitions {
                let added = list.add_partition_offset(topic, partition, Offset::End);
                added.map_err(|error| told(self.url(), "listing offsets", &error))?;
            }
        }
        let listed = self.reader.offsets_for_times(list, ASK_WAIT);
        let listed = listed.map_err(|error| told(self.url(), "listing offsets", &error))?;
        let mut ends = Offsets::new();
        for element in listed.elements() {
            let (topic, partition) = (element.topic(), element.partition());
            let asked = format_args!("listing offsets of {topic}");
            element.error().map_err(|error| told(self.url(), asked, &error))?;
            let end = match element.offset() {
                Offset::Offset(end) => end,
                _ => 0,
            };
            ends.insert((topic.to_owned(), partition), end);
        }
        self.raise(&mut ends);
        Ok(ends)
    }

    /// The same, proved by reading each partition to its end. Costs a fetch. Blocks.
    pub(super) fn proved_ends(&self, topics: &[(&str, i32)]) -> Result<Offsets, QueueError> {
        let ends = self.ends(topics)?;
        let mut slot = lock(&self.prober);
        let prober = if let Some(prober) = slot.take() {
            prober
        } else {
            let group = names::looker(self.options.prefix.as_deref());
            let opened = self.options.prober(&group).create_with_context(Quiet::default());
            opened.map_err(|error| told(self.url(), "making a client", &error))?
        };
        let mut starts = ends.clone();
        for start in starts.values_mut() {
            // The last message that the broker admits to begins its last batch, or is in it.
            *start = (*start - 1).max(0);
        }
        let proved = read_to_end(&prober, &starts, |_| true);
        let proved = proved.map_err(|error| told(self.url(), "reading to the end", &error))?;
        *slot = Some(prober);
        drop(slot);
        let mut ends = ends;
        for (place, end) in proved {
            self.saw(&place.0, place.1, end);
            ends.entry(place).and_modify(|known| *known = end.max(*known)).or_insert(end);
        }
        Ok(ends)
    }

    /// A reader of its own for one who wants the messages.
    pub(super) fn prober(&self) -> Result<Reader, QueueError> {
        let group = names::looker(self.options.prefix.as_deref());
        let opened = self.options.prober(&group).create_with_context(Quiet::default());
        opened.map_err(|error| told(self.url(), "making a client", &error))
    }

    pub(super) fn add_member(&self, member: &Arc<Membership>) {
        let mut members = lock(&self.members);
        members.retain(|_, member| member.strong_count() > 0);
        members.insert(member.0.names.group.clone(), Arc::downgrade(member));
    }

    /// The member of a group that lives here.
    pub(super) fn member(&self, group: &str) -> Option<Arc<Membership>> {
        lock(&self.members).get(group).and_then(Weak::upgrade)
    }
}

/// Reads from `starts` to the end of each partition, or until `wanted` says that it has enough. Returns how far it got.
pub(super) fn read_to_end(
    prober: &Reader,
    starts: &Offsets,
    mut wanted: impl FnMut(&rdkafka::message::BorrowedMessage<'_>) -> bool,
) -> Result<Offsets, KafkaError> {
    use rdkafka::message::Message as _;

    let mut list = TopicPartitionList::with_capacity(starts.len());
    let mut open: BTreeMap<i32, usize> = BTreeMap::new();
    for ((topic, partition), start) in starts {
        list.add_partition_offset(topic, *partition, Offset::Offset(*start))?;
        *open.entry(*partition).or_default() += 1;
    }
    let mut reached = Offsets::new();
    if starts.is_empty() {
        return Ok(reached);
    }
    prober.assign(&list)?;
    let begun = Instant::now();
    let mut news: Option<Instant> = None;
    let mut failed = None;
    while !open.is_empty() {
        match prober.poll(PROBE_LOOK) {
            Some(Ok(raw)) => {
                news = Some(Instant::now());
                reached.insert((raw.topic().to_owned(), raw.partition()), raw.offset() + 1);
                if !wanted(&raw) {
                    break;
                }
            }
            // The end of a partition is told without its topic: each topic tells it once.
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                news = Some(Instant::now());
                if let Some(left) = open.get_mut(&partition) {
                    *left -= 1;
                    if *left == 0 {
                        open.remove(&partition);
                    }
                }
            }
            Some(Err(error)) => failed = Some(error),
            None => {}
        }
        if begun.elapsed() > PROBE_WAIT {
            prober.unassign()?;
            let timed_out = KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut);
            return Err(failed.unwrap_or(timed_out));
        }
        // A broker that was killed while it wrote may speak of an end that it never reaches.
        if news.is_some_and(|news| news.elapsed() > PROBE_QUIET) {
            break;
        }
    }
    prober.unassign()?;
    Ok(reached)
}
