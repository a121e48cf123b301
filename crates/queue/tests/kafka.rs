//! Kafka's own: what the suite that all brokers pass does not ask.
//!
//! Against tansu, which is a broker of its own, and against the mock cluster of librdkafka, which makes errors on demand
//! and remembers what Kafka remembers.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use antiphon_queue::{
    AckError, Action, Clock, Delivery, Message, PublishError, Queue, QueueError, Receiver, Settings,
    Subscription, SubscriptionConfig, connect,
};
use rdkafka::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use testbed::{StartError, Storage, Tansu};
use tokio::time::Instant;

/// The mock cluster can neither make nor describe topics.
const MANAGED: &str = "&manage=no";
/// How long what must come may take.
const PATIENCE: Duration = Duration::from_secs(40);
/// How long to look for what must not come.
const GLANCE: Duration = Duration::from_secs(2);

async fn tansu() -> Option<Tansu> {
    match Tansu::start(Storage::Memory).await {
        Ok(broker) => Some(broker),
        Err(StartError::Missing(missing)) if !testbed::needed_by_all() => {
            println!("passes over: {missing}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// A cluster with the topics of [`name`], which it cannot make itself.
fn mock(partitions: i32) -> MockCluster<'static, DefaultProducerContext> {
    let cluster = MockCluster::new(1).unwrap();
    for (topic, partitions) in [("x.P.t", partitions), ("x.P.t.S.s.S.x.AGAIN", 1), ("x.P.t.S.s.S.x.DEAD", 1)]
    {
        cluster.create_topic(topic, partitions, 1).unwrap();
    }
    cluster
}

fn url(hosts: impl std::fmt::Display, more: &str) -> String {
    format!("kafka://{hosts}?prefix=x&session_timeout_ms=6000&fetch_wait_ms=20{more}")
}

async fn open(url: &str) -> Arc<dyn Queue> {
    let settings = Settings { clock: Clock::starting_at(0), seed: 1 };
    connect(&url.parse().unwrap(), &settings).await.unwrap()
}

fn name() -> Subscription {
    "t/s/x".parse().unwrap()
}

async fn subscribe(queue: &Arc<dyn Queue>) -> Arc<dyn Receiver> {
    let config = SubscriptionConfig { lease: Duration::from_mins(2), ..SubscriptionConfig::default() };
    queue.subscribe(&name(), config).await.unwrap()
}

async fn publish(queue: &Arc<dyn Queue>, numbers: std::ops::Range<usize>) {
    let batch = numbers.map(|number| Message::new(number.to_string())).collect();
    for answer in queue.publisher().publish(name().topic(), batch).await {
        answer.unwrap();
    }
}

fn number(delivery: &Delivery) -> usize {
    std::str::from_utf8(&delivery.message.body).unwrap().parse().unwrap()
}

async fn take(receiver: &Arc<dyn Receiver>, count: usize) -> Vec<Delivery> {
    let mut taken = Vec::new();
    let give_up = Instant::now() + PATIENCE;
    while taken.len() < count && Instant::now() < give_up {
        taken.extend(receiver.receive(count - taken.len(), Duration::from_secs(1)).await.unwrap());
    }
    let found: BTreeSet<usize> = taken.iter().map(number).collect();
    assert_eq!(taken.len(), count, "that many must come; these did: {found:?}");
    taken
}

async fn nothing_comes(receiver: &Arc<dyn Receiver>) {
    let found = receiver.receive(10, GLANCE).await.unwrap();
    assert!(found.is_empty(), "{found:?}");
}

async fn ack(receiver: &Arc<dyn Receiver>, taken: &[Delivery]) {
    for answer in try_ack(receiver, taken).await {
        answer.unwrap();
    }
}

async fn try_ack(receiver: &Arc<dyn Receiver>, taken: &[Delivery]) -> Vec<Result<(), AckError>> {
    let receipts: Vec<_> = taken.iter().map(|delivery| delivery.receipt.clone()).collect();
    receiver.ack(&receipts).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_after_one_that_left_at_once_gets_all() {
    let Some(broker) = tansu().await else { return };
    let url = url(broker.address(), "");
    let queue = open(&url).await;
    let receiver = subscribe(&queue).await;
    publish(&queue, 0..60).await;
    drop((receiver, queue));
    let queue = open(&url).await;
    let receiver = subscribe(&queue).await;
    let taken = take(&receiver, 60).await;
    assert_eq!(taken.iter().map(number).collect::<BTreeSet<_>>(), (0..60).collect());
    ack(&receiver, &taken).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_begins_at_the_true_end_and_goes_on_in_the_middle_of_a_batch() {
    let Some(broker) = tansu().await else { return };
    let url = url(broker.address(), "&partitions=1");
    let queue = open(&url).await;
    // Several to a batch: a broker that counts batches says that the log ends earlier.
    publish(&queue, 0..50).await;
    let receiver = subscribe(&queue).await;
    nothing_comes(&receiver).await;
    publish(&queue, 50..100).await;
    let mut taken = take(&receiver, 50).await;
    taken.sort_by_key(number);
    ack(&receiver, &taken[..7]).await;
    let depth = receiver.depth().await.unwrap();
    assert_eq!((depth.ready, depth.in_flight), (0, 43));
    drop((receiver, queue));
    let queue = open(&url).await;
    let depth = queue.subscriptions().await.unwrap();
    assert_eq!(
        depth.iter().map(|(name, depth)| (name.clone(), depth.ready)).collect::<Vec<_>>(),
        [(name(), 43)]
    );
    let receiver = subscribe(&queue).await;
    let taken = take(&receiver, 43).await;
    assert_eq!(taken.iter().map(number).collect::<BTreeSet<_>>(), (57..100).collect());
    ack(&receiver, &taken).await;
    assert_eq!(receiver.depth().await.unwrap().ready, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_share_and_one_takes_over_from_the_other() {
    let Some(broker) = tansu().await else { return };
    let url = url(broker.address(), "");
    let (one, two) = (open(&url).await, open(&url).await);
    let first = subscribe(&one).await;
    publish(&one, 0..5).await;
    ack(&first, &take(&first, 5).await).await;
    let second = subscribe(&two).await;
    // Until both have partitions.
    let mut came = [0, 0];
    let give_up = Instant::now() + PATIENCE;
    let mut next = 5;
    while came.contains(&0) {
        assert!(Instant::now() < give_up, "one of them gets nothing: {came:?}");
        publish(&one, next..next + 16).await;
        next += 16;
        for (receiver, count) in [&first, &second].into_iter().zip(&mut came) {
            let found = receiver.receive(100, Duration::from_millis(500)).await.unwrap();
            *count += found.len();
            // What moved meanwhile is lost to us, and comes again.
            for answer in try_ack(receiver, &found).await {
                assert!(matches!(answer, Ok(()) | Err(AckError::LeaseLost)), "{answer:?}");
            }
        }
    }
    publish(&one, next..next + 64).await;
    let held = second.receive(100, Duration::from_secs(5)).await.unwrap();
    drop(second);
    let mut missing: BTreeSet<usize> = (next..next + 64).collect();
    let give_up = Instant::now() + PATIENCE;
    while !missing.is_empty() {
        assert!(Instant::now() < give_up, "lost: {missing:?}; held by the one that left: {held:?}");
        let found = first.receive(100, Duration::from_secs(1)).await.unwrap();
        for (delivery, answer) in found.iter().zip(try_ack(&first, &found).await) {
            if answer.is_ok() {
                missing.remove(&number(delivery));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_tells_what_does_not_fit() {
    let Some(broker) = tansu().await else { return };
    let queue = open(&url(broker.address(), "&retention=60s&partitions=2")).await;
    drop(subscribe(&queue).await);
    let config = SubscriptionConfig::default();
    assert_eq!(queue.plan(&name(), config).await.unwrap(), []);
    let queue = open(&url(broker.address(), "&partitions=3&replication=3")).await;
    let told: Vec<String> =
        queue.plan(&name(), config).await.unwrap().iter().map(ToString::to_string).collect();
    let has = |words: &[&str]| told.iter().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(has(&["~", "x.P.t", "partitions = 3 (is 2)"]), "{told:?}");
    assert!(has(&["!", "replication=3", "kafka-reassign-partitions"]), "{told:?}");
    assert!(has(&["!", "retention.ms is 60000", "345600000", "kafka-configs"]), "{told:?}");
    let refused = queue.subscribe(&name(), config).await.unwrap_err();
    assert!(matches!(&refused, QueueError::Refused(why) if why.contains("x.P.t")), "{refused:?}");
    let queue = open(&url(broker.address(), "")).await;
    let changes = queue.plan(&"other/s/x".parse().unwrap(), config).await.unwrap();
    assert_eq!(changes.iter().filter(|change| change.action == Action::Create).count(), 3);
    let queue = open(&url(broker.address(), MANAGED)).await;
    drop(subscribe(&queue).await);
    let refused = queue.subscribe(&"other/s/x".parse().unwrap(), config).await.unwrap_err();
    assert!(
        matches!(&refused, QueueError::Refused(why) if why.contains("kafka-topics --create")),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_others_are_welcome() {
    let Some(broker) = tansu().await else { return };
    let queue = open(&url(broker.address(), "")).await;
    let receiver = subscribe(&queue).await;
    let foreign: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", broker.address().to_string()).create().unwrap();
    foreign.send(BaseRecord::to("x.P.t").key("a key").payload("7")).map_err(|(error, _)| error).unwrap();
    foreign.send(BaseRecord::<str, str>::to("x.P.t").key("no value")).map_err(|(error, _)| error).unwrap();
    foreign.flush(PATIENCE).unwrap();
    let mut taken = Vec::new();
    while taken.len() < 2 {
        taken.extend(receiver.receive(2, PATIENCE).await.unwrap());
    }
    taken.sort_by_key(|delivery| delivery.message.body.len());
    assert_eq!((taken[0].message.clone(), taken[1].message.clone()), (Message::default(), Message::new("7")));
    assert!(taken[1].published_at_ms.is_some());
    ack(&receiver, &taken).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acks_out_of_order_are_remembered_by_the_broker() {
    let cluster = mock(1);
    let url = url(cluster.bootstrap_servers(), MANAGED);
    let queue = open(&url).await;
    let receiver = subscribe(&queue).await;
    publish(&queue, 0..10).await;
    let mut taken = take(&receiver, 10).await;
    taken.sort_by_key(number);
    let (odd, even): (Vec<_>, Vec<_>) = taken.into_iter().partition(|delivery| number(delivery) % 2 == 1);
    ack(&receiver, &odd).await;
    let lost = try_ack(&receiver, &odd).await;
    assert!(lost.iter().all(|answer| matches!(answer, Err(AckError::LeaseLost))), "{lost:?}");
    drop((receiver, queue));
    let queue = open(&url).await;
    let receiver = subscribe(&queue).await;
    let again = take(&receiver, even.len()).await;
    let numbers: BTreeSet<usize> = again.iter().map(number).collect();
    assert_eq!(numbers, even.iter().map(number).collect(), "what was acked does not come again");
    nothing_comes(&receiver).await;
    ack(&receiver, &again).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publish_is_tried_again_and_a_refusal_is_told() {
    let cluster = mock(2);
    let queue = open(&url(cluster.bootstrap_servers(), MANAGED)).await;
    let receiver = subscribe(&queue).await;
    cluster.request_errors(
        RDKafkaApiKey::Produce,
        &[
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT,
        ],
    );
    publish(&queue, 0..20).await;
    let mut missing: BTreeSet<usize> = (0..20).collect();
    while !missing.is_empty() {
        let taken = take(&receiver, 1).await;
        ack(&receiver, &taken).await;
        missing.remove(&number(&taken[0]));
    }
    let publisher = queue.publisher();
    cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE]);
    let answers = publisher.publish(name().topic(), vec![Message::new("x")]).await;
    assert!(
        matches!(
            &answers[..],
            [Err(PublishError::TooLarge { .. } | PublishError::Queue(QueueError::Refused(_)))]
        ),
        "{answers:?}"
    );
    cluster.request_errors(
        RDKafkaApiKey::Produce,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED],
    );
    let answers = publisher.publish(name().topic(), vec![Message::new("x")]).await;
    assert!(matches!(answers[..], [Err(PublishError::Queue(QueueError::Broken(_)))]), "{answers:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ack_waits_for_the_broker_and_is_refused_to_who_was_put_out() {
    let cluster = mock(1);
    let queue = open(&url(cluster.bootstrap_servers(), MANAGED)).await;
    let receiver = subscribe(&queue).await;
    publish(&queue, 0..2).await;
    let taken = take(&receiver, 2).await;
    cluster.request_errors(
        RDKafkaApiKey::OffsetCommit,
        &[
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
        ],
    );
    ack(&receiver, &taken[..1]).await;
    cluster
        .request_errors(RDKafkaApiKey::OffsetCommit, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID]);
    let answers = try_ack(&receiver, &taken[1..]).await;
    assert!(matches!(answers[..], [Err(AckError::LeaseLost)]), "{answers:?}");
    // The group has put us out: we come back to it, and so does the message.
    let again = take(&receiver, 1).await;
    assert_eq!(number(&again[0]), number(&taken[1]));
    ack(&receiver, &again).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_not_there_is_told_with_its_name_and_without_the_password() {
    let settings = Settings { clock: Clock::starting_at(0), seed: 1 };
    for (text, word) in [
        ("kafka://me:secret@127.0.0.1:1", "127.0.0.1:1"),
        ("kafka://me:secret@no-such-host.invalid:9092", "no-such-host.invalid"),
    ] {
        let error = connect(&text.parse().unwrap(), &settings).await.unwrap_err();
        let mut told = error.to_string();
        let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(&error);
        while let Some(error) = cause {
            told = format!("{told}: {error}");
            cause = error.source();
        }
        assert!(told.contains(word) && !told.contains("secret"), "{told}");
    }
}
