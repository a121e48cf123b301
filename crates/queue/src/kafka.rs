//! Kafka: topics that keep everything for a while, and groups that remember how far they are.
//!
//! `kafka://[user:password@]HOST:PORT,HOST:PORT[?name=value]`; `kafka+ssl://` (feature `kafka-tls`) with TLS.
//!
//! | parameter | meaning | default |
//! |---|---|---|
//! | `prefix` | stands before all names | none |
//! | `partitions` | of topics that are made; if it is given, a topic with fewer is given more | 8 |
//! | `replication` | of topics that are made; if it is given, another number is refused | the broker's |
//! | `retention` | for how long messages are kept at least, `60s` to `365d`; a topic that keeps them shorter is refused | `4d` |
//! | `manage` | `no`: topics are made by others, and taken as they are, for who may not make or describe them | `yes` |
//! | `session_timeout_ms` | after how long without a sign of life a member's partitions go to others, 6,000–300,000 | 10,000 |
//! | `fetch_wait_ms` | how long a broker holds a fetch that finds nothing, 1–5,000 | 100 |
//! | `sasl` | `plain`; `scram-sha-256` and `scram-sha-512` with `kafka-tls` | `plain`, if there is a user |
//! | `ca` | the file of the certificate authority, for `kafka+ssl://` | the system's |
//!
//! # What stands for what
//! | here | at the broker |
//! |---|---|
//! | topic | topic `PREFIX.P.TOPIC`; without a prefix just `TOPIC`, so that others find it |
//! | subscription | consumer group `….S.SERVICE.S.SITE`, whose first commit is where the topic ended then |
//! | publish | `acks=all`, no key, each message to the next partition; the answer is the broker's, for each message |
//! | receive, lease | see below |
//! | ack | commit of the lowest open offset of the partition, confirmed before the answer; later acks beside it |
//! | nack, extend | in the receiver's memory: the broker knows neither |
//! | dead letter | record in the topic `….DEAD`, with headers for reason, count and time; then an ack |
//! | redrive | record in the topic `….AGAIN`, which this group alone reads; then group `….DEAD` moves on |
//! | depth | end of the log less what is committed; members of this process know what they hold |
//!
//! Attributes are headers; those whose name holds a zero byte, or begins with `antiphon-`, travel together in
//! `antiphon-more`. Messages of others are delivered as they are: the value is the body, headers are attributes, keys are
//! not read.
//!
//! # What takes the place of a lease
//! Kafka gives a partition to a member of the group for as long as the member shows signs of life, and knows nothing of
//! single messages. So there are two levels:
//! - **Between processes, membership.** Messages of a partition belong to the member that was dealt it. When the group is
//!   dealt out anew, what was acked is committed first, then receipts of the partitions that went are
//!   [`LeaseLost`](crate::AckError::LeaseLost). So is every receipt once the broker no longer counts us as a member: each
//!   ack is a commit, and a commit of a former member is refused. A process that is killed is noticed after
//!   `session_timeout_ms`.
//! - **Within a process, a clock.** Receivers of one connection share one member, which leases each message by its own
//!   clock, hands it out again when the lease has ended, and counts how often. The counts, and the delays of nacks, end
//!   with the process: a message that kills its process is never counted, and never becomes a dead letter by itself.
//!
//! # Acks out of order
//! Kafka keeps one offset for each partition. The lowest that is open is committed, and with it, in the text that Kafka
//! keeps beside a commit, which later ones are settled (up to 4,000 bytes of it; what does not fit may come again). A
//! broker that forgets that text (tansu 0.6) hands out settled messages again after a crash, or when their partition
//! moves, if an earlier one was still open: duplicates, which the contract allows. Nothing that was not acked is passed
//! over.
//!
//! One message that stays open holds its partition back: handing out runs ahead of it by 10,000 messages at most, then
//! the partition waits. A receiver holds 10,000 messages in all, those given back with a delay included. The client
//! fetches up to 256 messages or 1 MiB ahead of each partition, and one fetch (1 MiB) more; a partition that nobody reads
//! is not fetched further.
//!
//! # Crashes
//! Of a consumer: what it had not acked comes again elsewhere, what it had acked does not (but see above). Of a broker:
//! what publish confirmed is there if the topic is replicated, or the disk survives; clients reconnect for ever, calls
//! answer `Unavailable` meanwhile. Of a publisher: what was not confirmed may be there or not. Retries of the client may
//! duplicate: it is not idempotent in Kafka's sense, since it then takes "seen before" for "kept".
//!
//! # Limits
//! - Topics have [249 characters](https://kafka.apache.org/documentation/#topicconfigs): longer names are refused.
//! - A message has 1 MiB unless the topic says otherwise
//!   ([`max.message.bytes`](https://kafka.apache.org/documentation/#topicconfigs_max.message.bytes)); here
//!   [`ENVELOPE_BYTES_MAX`](crate::ENVELOPE_BYTES_MAX) comes first.
//! - Messages are dropped by age ([`retention.ms`](https://kafka.apache.org/documentation/#topicconfigs_retention.ms)),
//!   acked or not; dead letters are kept until somebody deletes them. A topic that is compacted is refused.
//! - What a group committed is forgotten when it had no member for
//!   [`offsets.retention.minutes`](https://kafka.apache.org/documentation/#brokerconfigs_offsets.retention.minutes),
//!   7 days by default: a subscription that nobody reads for longer begins anew at the end. Keep `retention` below it.
//!
//! # Not offered
//! A bound on the messages that a subscription holds (`PublishError::Full` never comes), order, keys, transactions. What
//! transactions of others leave in the log is counted by `depth` like messages. A member that is busy keeps what is in
//! its partitions from idle members in other processes.
//!
//! # Brokers that are not Kafka
//! Tests run against tansu 0.6, and that left traces: offsets are listed short of the last batch, so ends are proved by
//! reading (`cluster`); nothing is handed out from the middle of a batch, so batches are small and receivers begin a
//! batch early (`options::REWIND`), and nothing is paused and resumed by the client; a group whose leader leaves while
//! it is dealt out waits for ever, so members wait for each other, and ask the coordinator to look again (`member`).

use std::fmt;
use std::sync::{Arc, OnceLock};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{Offset, TopicPartitionList};

use crate::{
    BoxFuture, Change, DeadLetter, DeadLetterId, Depth, Publisher, Queue, QueueError, QueueUrl, Receiver,
    Settings, Subscription, SubscriptionConfig,
};

mod cluster;
mod codec;
mod dead;
mod depth;
mod desk;
mod errors;
mod group;
mod member;
mod names;
mod options;
mod publisher;
mod receiver;
mod topics;
mod window;

use cluster::{ASK_WAIT, Cluster, Offsets, blocking};
use errors::{is_fenced, told};
use group::Joined;
use member::{Core, Membership};
use names::Names;
use options::Options;
use publisher::KafkaPublisher;
use receiver::KafkaReceiver;

/// How often a new group is looked at again when somebody else began it at the same moment.
const BEGIN_TRIES_MAX: usize = 5;

/// A cluster of Kafka brokers, or of others that speak its protocol.
pub(crate) struct KafkaQueue {
    cluster: Arc<Cluster>,
}

impl fmt::Debug for KafkaQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaQueue").field("url", &self.cluster.url()).finish_non_exhaustive()
    }
}

/// The cluster that `url` names, once one of its brokers has answered.
pub(crate) async fn connect(url: &QueueUrl, _settings: &Settings) -> Result<Arc<dyn Queue>, QueueError> {
    let options = Options::read(url)?;
    let cluster = blocking(move || {
        let cluster = Cluster::open(options)?;
        cluster.greet()?;
        Ok(cluster)
    })
    .await?;
    Ok(Arc::new(KafkaQueue { cluster: Arc::new(cluster) }))
}

impl KafkaQueue {
    fn names(&self, subscription: &Subscription) -> Result<Names, QueueError> {
        names::subscription(self.cluster.options.prefix.as_deref(), subscription)
    }

    async fn subscribe_to(
        &self,
        subscription: &Subscription,
        config: SubscriptionConfig,
    ) -> Result<Arc<dyn Receiver>, QueueError> {
        config.check()?;
        let names = self.names(subscription)?;
        topics::make(&self.cluster, &names).await?;
        let alone = self.cluster.subscribing.lock().await;
        let membership = if let Some(there) = self.cluster.member(&names.group) {
            there
        } else {
            let cluster = Arc::clone(&self.cluster);
            blocking(move || {
                let member = Arc::new(Membership(open(&cluster, &names)?));
                cluster.add_member(&member);
                Ok(member)
            })
            .await?
        };
        drop(alone);
        let cluster = Arc::clone(&self.cluster);
        Ok(Arc::new(KafkaReceiver::new(cluster, membership, subscription.clone(), config)))
    }
}

/// Makes a client for a member, sees to it that its group has begun, and joins. Blocks.
fn open(cluster: &Arc<Cluster>, names: &Names) -> Result<Arc<Core>, QueueError> {
    let core = Arc::new(Core::new(cluster.url().to_owned(), names.clone(), Arc::default()));
    member::after_others(&core);
    let context = Joined { core: Arc::clone(&core), this: OnceLock::new() };
    let made = cluster.options.member(&names.group).create_with_context(context);
    let consumer: BaseConsumer<Joined> =
        made.map_err(|error| told(cluster.url(), "making a client", &error))?;
    let consumer = Arc::new(consumer);
    begin(cluster, names, &consumer)?;
    consumer.context().know(&consumer);
    let (weak, names) = (Arc::downgrade(cluster), names.clone());
    member::join(&core, consumer, move || {
        let looked = weak.upgrade().map_or(Ok(()), |cluster| look_again(&cluster, &names));
        if let Err(error) = looked {
            tracing::debug!(%error, group = names.group, "the coordinator was asked to look again");
        }
    })?;
    Ok(core)
}

/// Commits for a group what it has committed already: it changes nothing, Kafka refuses it while the group has members,
/// and tansu 0.6 finds out by it that it waits for a leader that has left.
fn look_again(cluster: &Cluster, names: &Names) -> Result<(), QueueError> {
    let what = format_args!("looking again at {}", names.group);
    let failed = |error| told(cluster.url(), what, &error);
    let mut list = TopicPartitionList::new();
    list.add_partition(&names.again, 0);
    let reader = cluster.group(&names.group)?;
    let marks = group::committed(&reader, &list, ASK_WAIT).map_err(failed)?;
    let Some(mark) = marks.into_iter().find_map(|(_, _, mark)| mark) else { return Ok(()) };
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&names.again, 0, Offset::Offset(mark.base)).map_err(failed)?;
    for mut element in list.elements() {
        element.set_metadata(&mark.note);
    }
    reader.commit(&list, CommitMode::Sync).map_err(failed)
}

/// Notes in a new group where its topics end now: that is where the subscription begins.
///
/// The ends are taken *before* it is asked what was committed. If somebody else begins the same group meanwhile, what we
/// write is not later than what was there when their call ended: at most the group sees a little more.
fn begin(cluster: &Cluster, names: &Names, consumer: &BaseConsumer<Joined>) -> Result<(), QueueError> {
    let what = format_args!("beginning the group {}", names.group);
    let failed = |error| told(cluster.url(), what, &error);
    for _ in 0..BEGIN_TRIES_MAX {
        if has_begun(cluster, names, consumer)? {
            return Ok(());
        }
        let ends = ends(cluster, names)?;
        if has_begun(cluster, names, consumer)? {
            return Ok(());
        }
        let mut list = TopicPartitionList::with_capacity(ends.len());
        for ((topic, partition), end) in &ends {
            list.add_partition_offset(topic, *partition, Offset::Offset(*end)).map_err(failed)?;
        }
        match consumer.commit(&list, CommitMode::Sync) {
            Ok(()) => {}
            // Somebody is in the group already, so they have begun it.
            Err(error) if is_fenced(&error) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Err(QueueError::unavailable(format!(
        "{}: {what}: the broker does not keep what is committed",
        cluster.url()
    )))
}

fn ends(cluster: &Cluster, names: &Names) -> Result<Offsets, QueueError> {
    let mut topics = Vec::new();
    for topic in [&names.topic, &names.again] {
        let Some(shape) = cluster.shape(topic)? else {
            let what = format!("{}: the topic {topic} was deleted while it was subscribed to", cluster.url());
            return Err(QueueError::unavailable(what));
        };
        topics.push((topic.as_str(), shape.partitions));
    }
    cluster.proved_ends(&topics)
}

/// Whether the group has committed anything. Partitions without a commit in a group that has begun are newer than it.
fn has_begun(cluster: &Cluster, names: &Names, consumer: &BaseConsumer<Joined>) -> Result<bool, QueueError> {
    let mut list = TopicPartitionList::new();
    for topic in [&names.topic, &names.again] {
        let partitions = cluster.shape(topic)?.map_or(0, |shape| shape.partitions);
        list.add_partition_range(topic, 0, partitions - 1);
    }
    let marks = group::committed(consumer, &list, ASK_WAIT).map_err(|error| {
        told(cluster.url(), format_args!("reading what {} committed", names.group), &error)
    })?;
    Ok(marks.iter().any(|(_, _, mark)| mark.is_some()))
}

impl Queue for KafkaQueue {
    fn publisher(&self) -> Arc<dyn Publisher> {
        Arc::new(KafkaPublisher::new(Arc::clone(&self.cluster)))
    }

    fn subscribe<'a>(
        &'a self,
        subscription: &'a Subscription,
        config: SubscriptionConfig,
    ) -> BoxFuture<'a, Result<Arc<dyn Receiver>, QueueError>> {
        Box::pin(self.subscribe_to(subscription, config))
    }

    fn plan<'a>(
        &'a self,
        subscription: &'a Subscription,
        config: SubscriptionConfig,
    ) -> BoxFuture<'a, Result<Vec<Change>, QueueError>> {
        Box::pin(async move {
            config.check()?;
            topics::plan(&self.cluster, &self.names(subscription)?).await
        })
    }

    fn subscriptions(&self) -> BoxFuture<'_, Result<Vec<(Subscription, Depth)>, QueueError>> {
        Box::pin(async move {
            let cluster = Arc::clone(&self.cluster);
            let topics = blocking(move || cluster.topics()).await?;
            let prefix = self.cluster.options.prefix.as_deref();
            let mut found: Vec<Subscription> =
                topics.iter().filter_map(|name| names::whose_dead(prefix, name)).collect();
            found.sort_unstable();
            let mut counted = Vec::with_capacity(found.len());
            for subscription in found {
                let names = self.names(&subscription)?;
                counted.push((subscription, depth::of(&self.cluster, &names).await?));
            }
            Ok(counted)
        })
    }

    fn dead_letters<'a>(
        &'a self,
        subscription: &'a Subscription,
        after: Option<&'a DeadLetterId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<DeadLetter>, QueueError>> {
        Box::pin(async move {
            let names = self.names(subscription)?;
            dead::list(&self.cluster, names, subscription, after, limit).await
        })
    }

    fn redrive<'a>(
        &'a self,
        subscription: &'a Subscription,
        limit: usize,
    ) -> BoxFuture<'a, Result<usize, QueueError>> {
        Box::pin(async move {
            let names = self.names(subscription)?;
            dead::redrive(&self.cluster, names, subscription, limit).await
        })
    }
}
