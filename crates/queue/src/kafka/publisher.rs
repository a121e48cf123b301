//! Publishing: every answer is the broker's.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::admin::{AdminOptions, ResourceSpecifier};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{DeliveryFuture, FutureRecord};
use tokio::time::{Instant, sleep};

use super::cluster::{ASK_WAIT, Cluster};
use super::errors::told;
use super::{codec, names, topics};
use crate::{BoxFuture, Message, PublishError, Publisher, QueueError, Topic};

/// Companion topics have one.
const ONLY_PARTITION: i32 = 0;
/// How long a message waits for room in the client's buffer.
const ROOM_WAIT: Duration = Duration::from_secs(5);
const ROOM_LOOK: Duration = Duration::from_millis(10);
/// Topics that are known to be there; beyond it all are looked up again.
const TOPICS_KNOWN_MAX: usize = 10_000;
/// How long the number of partitions is believed.
const KNOWN_FOR: Duration = Duration::from_mins(1);

/// A topic that is there.
#[derive(Debug, Clone, Copy)]
struct Known {
    partitions: i32,
    until: Instant,
}

pub(super) struct KafkaPublisher {
    cluster: Arc<Cluster>,
    known: Mutex<BTreeMap<Topic, Known>>,
    /// Deals messages out to the partitions, one after the other: a burst is spread evenly, so that no handler that is
    /// slow holds up much of it, and acks out of order leave few gaps.
    turn: AtomicU32,
}

impl fmt::Debug for KafkaPublisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaPublisher").field("url", &self.cluster.url()).finish_non_exhaustive()
    }
}

/// Gives a message to the client, which holds it until the broker has it.
async fn enqueue(
    cluster: &Cluster,
    topic: &str,
    partition: i32,
    body: &[u8],
    headers: &OwnedHeaders,
) -> Result<DeliveryFuture, PublishError> {
    let give_up = Instant::now() + ROOM_WAIT;
    loop {
        let record = FutureRecord::<(), [u8]>::to(topic).partition(partition).payload(body);
        let record = FutureRecord { headers: Some(headers.clone()), ..record };
        match cluster.producer.send_result(record) {
            Ok(delivery) => return Ok(delivery),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _))
                if Instant::now() < give_up =>
            {
                sleep(ROOM_LOOK).await;
            }
            Err((error, _)) => {
                return Err(told(cluster.url(), format_args!("publishing to {topic}"), &error).into());
            }
        }
    }
}

/// Waits for the broker's answer.
async fn confirmed(cluster: &Cluster, topic: &str, delivery: DeliveryFuture) -> Result<(), PublishError> {
    let what = format!("publishing to {topic}");
    match delivery.await {
        Ok(Ok(there)) => {
            cluster.saw(topic, there.partition, there.offset.saturating_add(1));
            Ok(())
        }
        Ok(Err((KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge), message))) => {
            Err(too_large(cluster, topic, &message).await)
        }
        Ok(Err((error, _))) => Err(cluster.explained(told(cluster.url(), &what, &error)).into()),
        Err(_) => {
            Err(QueueError::unavailable(format!("{}: {what}: its client was closed", cluster.url())).into())
        }
    }
}

/// What the broker's limit is, for one who has met it.
async fn too_large(cluster: &Cluster, topic: &str, message: &rdkafka::message::OwnedMessage) -> PublishError {
    use rdkafka::message::{Headers as _, Message as _};

    let of_headers = message.headers().map_or(0, |headers| {
        headers.iter().map(|header| header.key.len() + header.value.map_or(0, <[u8]>::len)).sum::<usize>()
    });
    let bytes = message.payload().map_or(0, <[u8]>::len) + of_headers;
    let asked = [ResourceSpecifier::Topic(topic)];
    let options = AdminOptions::new().request_timeout(Some(ASK_WAIT));
    let described = cluster.admin.describe_configs(&asked, &options).await.unwrap_or_default();
    let limit = described.iter().flatten().find_map(|resource| resource.get("max.message.bytes"));
    match limit.and_then(|entry| entry.value.as_ref()).and_then(|value| value.parse().ok()) {
        Some(bytes_max) => {
            PublishError::TooLarge { bytes, bytes_max, limit: "the topic's max.message.bytes" }
        }
        None => QueueError::Refused(format!(
            "{}: a message of {bytes} bytes is larger than the topic {topic} takes: raise its max.message.bytes",
            cluster.url()
        ))
        .into(),
    }
}

/// Publishes one message to a companion topic, and waits until the broker has it.
pub(super) async fn publish_one(
    cluster: &Cluster,
    topic: &str,
    message: &Message,
    ours: &[(&str, &str)],
) -> Result<(), PublishError> {
    let headers = codec::headers(message, ours);
    let alone = cluster.one_by_one.lock().await;
    let delivery = enqueue(cluster, topic, ONLY_PARTITION, &message.body, &headers).await?;
    let confirmed = confirmed(cluster, topic, delivery).await;
    drop(alone);
    confirmed
}

impl KafkaPublisher {
    pub(super) fn new(cluster: Arc<Cluster>) -> Self {
        Self { cluster, known: Mutex::default(), turn: AtomicU32::new(0) }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<Topic, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name of a topic, which is made if it is missing, and how many partitions it has.
    async fn there(&self, topic: &Topic) -> Result<(String, i32), QueueError> {
        let name = names::topic(self.cluster.options.prefix.as_deref(), topic)?;
        let now = Instant::now();
        if let Some(known) = self.known().get(topic).filter(|known| known.until > now) {
            return Ok((name, known.partitions));
        }
        let partitions = topics::make_for_publishing(&self.cluster, &name).await?;
        let mut known = self.known();
        if known.len() >= TOPICS_KNOWN_MAX {
            known.clear();
        }
        known.insert(topic.clone(), Known { partitions, until: now + KNOWN_FOR });
        drop(known);
        Ok((name, partitions))
    }

    fn turn(&self, partitions: i32) -> i32 {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let partitions = u32::try_from(partitions).unwrap_or(1).max(1);
        i32::try_from(turn % partitions).unwrap_or_default()
    }

    async fn publish_all(&self, topic: &Topic, batch: Vec<Message>) -> Vec<Result<(), PublishError>> {
        let (name, partitions) = match self.there(topic).await {
            Ok(there) => there,
            Err(error) => {
                let answer = |message: &Message| message.check_size().and(Err(error.clone().into()));
                return batch.iter().map(answer).collect();
            }
        };
        let mut deliveries = Vec::with_capacity(batch.len());
        for message in &batch {
            let delivery = match message.check_size() {
                Ok(()) => {
                    let headers = codec::headers(message, &[]);
                    enqueue(&self.cluster, &name, self.turn(partitions), &message.body, &headers).await
                }
                Err(error) => Err(error),
            };
            deliveries.push(delivery);
        }
        let mut answers = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            let answer = match delivery {
                Ok(delivery) => confirmed(&self.cluster, &name, delivery).await,
                Err(error) => Err(error),
            };
            if answer.as_ref().is_err_and(PublishError::is_retryable) {
                // Perhaps somebody deleted the topic: the next call looks.
                self.known().remove(topic);
            }
            answers.push(answer);
        }
        answers
    }
}

impl Publisher for KafkaPublisher {
    fn publish<'a>(
        &'a self,
        topic: &'a Topic,
        batch: Vec<Message>,
    ) -> BoxFuture<'a, Vec<Result<(), PublishError>>> {
        Box::pin(self.publish_all(topic, batch))
    }
}
