//! What only RabbitMQ has to show, against a real one. The contract is tested in `crates/conformance`.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test, its helpers included, fails by panicking, and compares stamps with real time"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use antiphon_queue::{
    Action, Clock, Message, PublishError, Queue, QueueError, Receiver, Settings, Subscription,
    SubscriptionConfig, connect,
};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Connection, ConnectionProperties};
use testbed::{RabbitMq, StartError, needed_by_all};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

const PATIENCE: Duration = Duration::from_secs(20);
static PREFIXES: AtomicU32 = AtomicU32::new(0);

/// One broker for all, or a reason why there is none.
async fn broker() -> Option<RabbitMq> {
    match RabbitMq::start().await {
        Ok(broker) => Some(broker),
        Err(StartError::Missing(missing)) if !needed_by_all() => {
            println!("passes over: {missing}");
            None
        }
        Err(error) => panic!("{error:?}"),
    }
}

fn settings() -> Settings {
    let now = || u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
    Settings { clock: Clock::new(now), seed: 7 }
}

/// A URL with a prefix of its own.
fn url(broker: &RabbitMq) -> String {
    format!("amqp://guest:guest@{}/?prefix=t{}", broker.address(), PREFIXES.fetch_add(1, Ordering::Relaxed))
}

async fn open(url: &str) -> Arc<dyn Queue> {
    connect(&url.parse().unwrap(), &settings()).await.unwrap()
}

fn subscription() -> Subscription {
    "topic/service/site".parse().unwrap()
}

async fn subscribe(queue: &Arc<dyn Queue>) -> Arc<dyn Receiver> {
    queue.subscribe(&subscription(), SubscriptionConfig::default()).await.unwrap()
}

async fn publish(queue: &Arc<dyn Queue>, bodies: impl Iterator<Item = String>) {
    let batch = bodies.map(Message::new).collect();
    for answer in queue.publisher().publish(subscription().topic(), batch).await {
        answer.unwrap();
    }
}

/// Receives and acks until `count` different bodies came.
async fn drain(receiver: &Arc<dyn Receiver>, count: usize) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let give_up = Instant::now() + PATIENCE;
    while seen.len() < count && Instant::now() < give_up {
        let found = receiver.receive(100, Duration::from_secs(1)).await.unwrap();
        seen.extend(found.iter().map(|found| String::from_utf8(found.message.body.to_vec()).unwrap()));
        let receipts: Vec<_> = found.into_iter().map(|found| found.receipt).collect();
        for answer in receiver.ack(&receipts).await {
            answer.unwrap();
        }
    }
    seen
}

/// One start of the broker for all cases: it takes seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_rabbitmq_has_to_show() {
    let Some(broker) = broker().await else { return };
    receives_that_are_dropped_hold_nothing(&url(&broker)).await;
    delays_of_one_bucket_are_late_and_never_early(&url(&broker)).await;
    dead_letters_are_listed_in_order_by_two_at_once(&url(&broker)).await;
    a_foreign_message_keeps_what_it_has(&broker, &url(&broker)).await;
    other_settings_are_a_conflict(&url(&broker)).await;
    full_is_said_and_the_rest_comes(&url(&broker)).await;
    a_receive_does_not_wait_for_each_that_cannot_be_put_aside(&broker, &url(&broker)).await;
    wrong_credentials_are_broken(&broker).await;
}

async fn receives_that_are_dropped_hold_nothing(url: &str) {
    let queue = open(url).await;
    let receiver = subscribe(&queue).await;
    publish(&queue, (0..100).map(|n| n.to_string())).await;
    for step in 0..30 {
        let receiving = receiver.receive(10, PATIENCE);
        if let Ok(found) = timeout(Duration::from_micros(step * 200), receiving).await {
            for delivery in found.unwrap() {
                receiver.nack(&delivery.receipt, Duration::ZERO).await.unwrap();
            }
        }
    }
    // Long before the lease of 30 s ends.
    assert_eq!(drain(&receiver, 100).await.len(), 100);
}

async fn delays_of_one_bucket_are_late_and_never_early(url: &str) {
    let queue = open(url).await;
    let receiver = subscribe(&queue).await;
    let delays = [900, 100, 2_100, 500];
    publish(&queue, delays.iter().map(u64::to_string)).await;
    let mut given_back = BTreeMap::new();
    let mut came = 0;
    while came < delays.len() {
        for delivery in receiver.receive(10, PATIENCE).await.unwrap() {
            let millis: u64 = String::from_utf8(delivery.message.body.to_vec()).unwrap().parse().unwrap();
            let delay = Duration::from_millis(millis);
            match given_back.get(&millis) {
                None => {
                    assert_eq!(delivery.receive_count, 1);
                    receiver.nack(&delivery.receipt, delay).await.unwrap();
                    given_back.insert(millis, Instant::now());
                }
                Some(at) => {
                    assert!(
                        at.elapsed() + Duration::from_millis(50) >= delay,
                        "{millis} ms: early, {:?}",
                        at.elapsed()
                    );
                    assert_eq!(delivery.receive_count, 2, "counted through the delay");
                    receiver.ack(&[delivery.receipt]).await.remove(0).unwrap();
                    came += 1;
                }
            }
        }
    }
    let depth = receiver.depth().await.unwrap();
    assert_eq!((depth.ready, depth.delayed, depth.dead), (0, 0, 0));
}

async fn dead_letters_are_listed_in_order_by_two_at_once(url: &str) {
    const COUNT: usize = 130; // more than a reader takes at a time
    let (queue, other) = (open(url).await, open(url).await);
    let receiver = subscribe(&queue).await;
    let names: Vec<String> = (0..COUNT).map(|n| format!("{n:03}")).collect();
    publish(&queue, names.iter().cloned()).await;
    let mut died = Vec::new();
    while died.len() < COUNT {
        for delivery in receiver.receive(10, PATIENCE).await.unwrap() {
            receiver.dead_letter(&delivery.receipt, "told so").await.unwrap();
            died.push(String::from_utf8(delivery.message.body.to_vec()).unwrap());
        }
    }
    let subscription = &subscription();
    let list = async |queue: &Arc<dyn Queue>| {
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let page = queue.dead_letters(subscription, after.as_ref(), 50).await.unwrap();
            let Some(last) = page.last() else { return listed };
            after = Some(last.id.clone());
            listed.extend(page.iter().map(|letter| String::from_utf8(letter.message.body.to_vec()).unwrap()));
        }
    };
    let (mine, theirs) = tokio::join!(list(&queue), list(&other));
    assert_eq!(mine, died);
    assert_eq!(theirs, died);
    assert_eq!(queue.redrive(subscription, 100).await.unwrap(), 100);
    assert_eq!(list(&other).await, died[100..], "the oldest went");
    assert_eq!(drain(&receiver, 100).await, died[..100].iter().cloned().collect());
}

async fn a_foreign_message_keeps_what_it_has(broker: &RabbitMq, url: &str) {
    let queue = open(url).await;
    let receiver = subscribe(&queue).await;
    let prefix = url.rsplit_once('=').unwrap().1;
    let foreign =
        Connection::connect(&format!("amqp://{}/%2f", broker.address()), ConnectionProperties::default())
            .await
            .unwrap();
    let channel = foreign.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let mut headers = FieldTable::default();
    headers.insert("tries".into(), AMQPValue::LongInt(3));
    headers.insert("CC".into(), AMQPValue::FieldArray(vec![].into()));
    let properties = BasicProperties::default()
        .with_headers(headers)
        .with_content_type("text/plain".into())
        .with_timestamp(1_469_727_000)
        .with_user_id("guest".into());
    let options = BasicPublishOptions::default();
    let exchange = format!("{prefix}:topic");
    let confirm = channel
        .basic_publish(exchange.as_str().into(), "key".into(), options, &[0, 255], properties)
        .await
        .unwrap();
    assert!(confirm.await.unwrap().is_ack());

    let expected: BTreeMap<String, String> = [("content-type", "text/plain"), ("tries", "3")]
        .map(|(name, value)| (name.into(), value.into()))
        .into();
    let found = receiver.receive(1, PATIENCE).await.unwrap().remove(0);
    assert_eq!((&found.message.body[..], &found.message.attributes), (&[0, 255][..], &expected));
    assert_eq!(found.published_at_ms, Some(1_469_727_000_000));
    // Through a delay and through death it stays what it was.
    receiver.nack(&found.receipt, Duration::from_millis(100)).await.unwrap();
    let found = receiver.receive(1, PATIENCE).await.unwrap().remove(0);
    assert_eq!((found.message.attributes.clone(), found.receive_count), (expected.clone(), 2));
    receiver.dead_letter(&found.receipt, "not ours").await.unwrap();
    let letter = queue.dead_letters(&subscription(), None, 9).await.unwrap().remove(0);
    assert_eq!(
        (letter.reason.as_str(), letter.receive_count, letter.message.attributes),
        ("not ours", 2, expected)
    );
}

async fn other_settings_are_a_conflict(url: &str) {
    let queue = open(url).await;
    subscribe(&queue).await;
    let other = open(&format!("{url}&max_messages=5")).await;
    let plan = other.plan(&subscription(), SubscriptionConfig::default()).await.unwrap();
    let conflicts = plan.iter().filter(|change| matches!(change.action, Action::Conflict { .. })).count();
    assert_eq!(conflicts, 2, "the queue and its dead letters: {plan:?}");
    let refused = other.subscribe(&subscription(), SubscriptionConfig::default()).await.unwrap_err();
    let QueueError::Refused(reason) = &refused else { panic!("{refused:?}") };
    for word in ["topic/service/site", "x-max-length", "1000000", "max_messages"] {
        assert!(reason.contains(word), "{word:?} in {reason}");
    }
}

/// A quorum queue notices that it is full a few messages late: here it is only asked that it does, and that nothing that
/// was accepted is dropped.
async fn full_is_said_and_the_rest_comes(url: &str) {
    const MOST: usize = 10;
    let queue = open(&format!("{url}&max_messages={MOST}")).await;
    let receiver = subscribe(&queue).await;
    let publisher = queue.publisher();
    let mut accepted = BTreeSet::new();
    for n in 0..MOST * 5 {
        match publisher.publish(subscription().topic(), vec![Message::new(n.to_string())]).await.remove(0) {
            Ok(()) => {
                accepted.insert(n.to_string());
            }
            Err(PublishError::Full) => break,
            Err(error) => panic!("{error:?}"),
        }
    }
    assert!((MOST..MOST * 2).contains(&accepted.len()), "{}", accepted.len());
    assert_eq!(drain(&receiver, accepted.len()).await, accepted);
    let give_up = Instant::now() + PATIENCE;
    while publisher.publish(subscription().topic(), vec![Message::new("again")]).await.remove(0).is_err() {
        assert!(Instant::now() < give_up, "there is room again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// An address behind which the broker takes one connection, and refuses the next.
async fn taken_once(broker: &RabbitMq) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, target) = (listener.local_addr().unwrap(), broker.address());
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        drop(listener);
        let mut broker = TcpStream::connect(target).await.unwrap();
        tokio::io::copy_bidirectional(&mut client, &mut broker).await
    });
    address
}

/// The receiver's connection lives, and that of the publisher, which dead letters need, cannot be made.
async fn a_receive_does_not_wait_for_each_that_cannot_be_put_aside(broker: &RabbitMq, url: &str) {
    const COUNT: usize = 100;
    let queue = open(url).await;
    subscribe(&queue).await;
    publish(&queue, (0..COUNT).map(|n| n.to_string())).await;
    let only = url.replace(&broker.address().to_string(), &taken_once(broker).await.to_string());
    let config = SubscriptionConfig { receives_max: Some(0), ..SubscriptionConfig::default() };
    let receiver = open(&only).await.subscribe(&subscription(), config).await.unwrap();
    let taken = timeout(PATIENCE, receiver.receive(COUNT, Duration::from_secs(1))).await;
    assert!(taken.unwrap().unwrap().is_empty(), "they were received too often");
    assert_eq!(drain(&subscribe(&queue).await, COUNT).await.len(), COUNT, "and all were given back");
}

async fn wrong_credentials_are_broken(broker: &RabbitMq) {
    for (url, word) in [
        (format!("amqp://guest:secret@{}", broker.address()), "password"),
        (format!("amqp://guest:guest@{}/nowhere", broker.address()), "virtual host"),
        (format!("amqps://guest:guest@{}", broker.address()), "TLS"),
    ] {
        let error = connect(&url.parse().unwrap(), &settings()).await.unwrap_err();
        let QueueError::Broken(cause) = &error else { panic!("{url}: {error:?}") };
        let said = cause.to_string();
        assert!(said.contains(word) && said.contains("127.0.0.1") && !said.contains("secret"), "{said}");
    }
}
