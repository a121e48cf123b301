//! What core NATS keeps of the contract, and what it does not, against a real server.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test, its helpers included, fails by panicking")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use antiphon_queue::{
    AckError, Clock, Delivery, Depth, Message, PublishError, Queue, QueueError, Receiver, Settings,
    Subscription, SubscriptionConfig, connect,
};
use testbed::{Nats, StartError, needed_by_all};
use tokio::time::{Instant, sleep};

const PATIENCE: Duration = Duration::from_secs(20);
/// How long a test looks for what must not come.
const GLANCE: Duration = Duration::from_millis(400);
static PREFIXES: AtomicU32 = AtomicU32::new(0);

async fn server(arguments: &[&str]) -> Option<Nats> {
    match Nats::with(arguments).await {
        Ok(server) => Some(server),
        Err(StartError::Missing(missing)) if !needed_by_all() => {
            println!("passes over: {missing}");
            None
        }
        Err(error) => panic!("{error:?}"),
    }
}

/// A server with further settings, which are only read from a file.
async fn configured(settings: &str) -> Option<Nats> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), settings).unwrap();
    server(&["-c", file.path().to_str().unwrap()]).await
}

/// A URL with a prefix of its own.
fn url(server: &Nats) -> String {
    format!("nats-core://{}?prefix=t.{}", server.address(), PREFIXES.fetch_add(1, Ordering::Relaxed))
}

async fn try_open(url: &str) -> Result<Arc<dyn Queue>, QueueError> {
    connect(&url.parse().unwrap(), &Settings { clock: Clock::starting_at(0), seed: 7 }).await
}

async fn open(url: &str) -> Arc<dyn Queue> {
    try_open(url).await.unwrap()
}

fn named(name: &str) -> Subscription {
    name.parse().unwrap()
}

fn subscription() -> Subscription {
    named("a.topic/service/site")
}

fn lease(millis: u64) -> SubscriptionConfig {
    SubscriptionConfig { lease: Duration::from_millis(millis), ..SubscriptionConfig::default() }
}

async fn subscribe(queue: &Arc<dyn Queue>, name: &str) -> Arc<dyn Receiver> {
    queue.subscribe(&named(name), SubscriptionConfig::default()).await.unwrap()
}

async fn publish(queue: &Arc<dyn Queue>, messages: Vec<Message>) {
    for answer in queue.publisher().publish(subscription().topic(), messages).await {
        answer.unwrap();
    }
}

fn numbered(count: usize) -> Vec<Message> {
    (0..count).map(|number| Message::new(number.to_string())).collect()
}

async fn take(receiver: &Arc<dyn Receiver>, count: usize) -> Vec<Delivery> {
    let give_up = Instant::now() + PATIENCE;
    let mut taken = Vec::new();
    while taken.len() < count && Instant::now() < give_up {
        taken.extend(receiver.receive(count - taken.len(), Duration::from_secs(2)).await.unwrap());
    }
    assert_eq!(taken.len(), count);
    taken
}

async fn nothing_comes(receiver: &Arc<dyn Receiver>) {
    let found = receiver.receive(1, GLANCE).await.unwrap();
    assert!(found.is_empty(), "{found:?}");
}

/// Waits until a subscription holds so many.
async fn until_ready(receiver: &Arc<dyn Receiver>, ready: u64) {
    let give_up = Instant::now() + PATIENCE;
    while receiver.depth().await.unwrap().ready != ready {
        assert!(Instant::now() < give_up, "{:?}", receiver.depth().await);
        sleep(Duration::from_millis(10)).await;
    }
}

fn bodies(taken: &[Delivery]) -> BTreeSet<String> {
    taken.iter().map(|delivery| String::from_utf8(delivery.message.body.to_vec()).unwrap()).collect()
}

#[tokio::test]
async fn each_subscription_gets_every_message_and_its_receivers_share() {
    let Some(server) = server(&[]).await else { return };
    let url = url(&server);
    let (one, other) = (open(&url).await, open(&url).await);
    let here = subscribe(&one, "a.topic/service/site").await;
    let there = subscribe(&other, "a.topic/service/site").await;
    let elsewhere = subscribe(&other, "a.topic/service/other-site").await;
    let beside = subscribe(&other, "a.topic/other/site").await;
    let foreign = subscribe(&other, "another.topic/service/site").await;
    publish(&one, numbered(200)).await;
    let all: BTreeSet<String> = (0..200).map(|number| number.to_string()).collect();
    for receiver in [&elsewhere, &beside] {
        assert_eq!(bodies(&take(receiver, 200).await), all);
        nothing_comes(receiver).await;
    }
    let give_up = Instant::now() + PATIENCE;
    let (mut mine, mut theirs) = (Vec::new(), Vec::new());
    while mine.len() + theirs.len() < 200 {
        assert!(Instant::now() < give_up, "{} and {}", mine.len(), theirs.len());
        mine.extend(here.receive(100, Duration::from_millis(20)).await.unwrap());
        theirs.extend(there.receive(100, Duration::from_millis(20)).await.unwrap());
    }
    // The server draws for each message: that all go to one has a probability of 2^-199.
    assert!(!mine.is_empty() && !theirs.is_empty());
    assert_eq!(bodies(&[mine, theirs].concat()), all);
    nothing_comes(&foreign).await;
}

#[tokio::test]
async fn what_nobody_hears_is_gone_and_nobody_is_told() {
    let Some(server) = server(&[]).await else { return };
    let url = url(&server);
    let queue = open(&url).await;
    publish(&queue, numbered(3)).await;
    let receiver = subscribe(&queue, "a.topic/service/site").await;
    nothing_comes(&receiver).await;
    publish(&queue, numbered(1)).await;
    until_ready(&receiver, 1).await;
    // It waits in this process, and ends with it.
    drop((receiver, queue));
    let queue = open(&url).await;
    let receiver = subscribe(&queue, "a.topic/service/site").await;
    nothing_comes(&receiver).await;
}

#[tokio::test]
async fn who_no_longer_receives_takes_nothing_from_the_others() {
    let Some(server) = server(&[]).await else { return };
    let url = url(&server);
    let (one, other) = (open(&url).await, open(&url).await);
    let gone = subscribe(&one, "a.topic/service/site").await;
    let stays = subscribe(&other, "a.topic/service/site").await;
    drop(gone);
    assert_eq!(one.subscriptions().await.unwrap(), []);
    // The server hears of it a moment later: of ten in a row none may go astray.
    let give_up = Instant::now() + PATIENCE;
    let mut in_a_row = 0;
    while in_a_row < 10 {
        assert!(Instant::now() < give_up, "{in_a_row}");
        publish(&one, numbered(1)).await;
        let heard = stays.receive(1, GLANCE).await.unwrap();
        in_a_row = if heard.is_empty() { 0 } else { in_a_row + 1 };
    }
    let again = subscribe(&one, "a.topic/service/site").await;
    drop(stays);
    publish(&other, numbered(1)).await;
    let give_up = Instant::now() + PATIENCE;
    while again.receive(1, GLANCE).await.unwrap().is_empty() {
        assert!(Instant::now() < give_up, "who comes back is in the group again");
        publish(&other, numbered(1)).await;
    }
}

#[tokio::test]
async fn what_is_given_back_or_forgotten_comes_again_in_this_process() {
    let Some(server) = server(&[]).await else { return };
    let queue = open(&url(&server)).await;
    let receiver = queue.subscribe(&subscription(), lease(600)).await.unwrap();
    publish(&queue, vec![Message::new("a")]).await;
    let first = take(&receiver, 1).await.remove(0);
    assert_eq!((first.receive_count, first.published_at_ms.is_some()), (1, true));
    receiver.nack(&first.receipt, Duration::from_millis(300)).await.unwrap();
    assert_eq!(receiver.depth().await.unwrap(), Depth { delayed: 1, ..Depth::default() });
    let second = take(&receiver, 1).await.remove(0);
    assert_eq!(second.receive_count, 2);
    assert!(matches!(receiver.ack(&[first.receipt]).await[..], [Err(AckError::LeaseLost)]));
    // Its lease ends.
    let third = take(&receiver, 1).await.remove(0);
    assert_eq!(third.receive_count, 3);
    assert!(matches!(receiver.ack(&[second.receipt]).await[..], [Err(AckError::LeaseLost)]));
    let longer = receiver.extend(std::slice::from_ref(&third.receipt), Duration::from_secs(30)).await;
    assert!(longer[0].as_ref().unwrap().expires_at.unwrap() > Instant::now() + Duration::from_secs(20));
    sleep(Duration::from_millis(700)).await;
    nothing_comes(&receiver).await;
    receiver.ack(&[third.receipt]).await.remove(0).unwrap();
    assert_eq!(receiver.depth().await.unwrap(), Depth::default());
    let waiting = receiver.receive(1, Duration::from_secs(9));
    assert!(tokio::time::timeout(Duration::from_millis(50), waiting).await.is_err(), "nothing is there");
    publish(&queue, vec![Message::new("b")]).await;
    assert_eq!(take(&receiver, 1).await[0].message, Message::new("b"), "a dropped receive loses nothing");
}

#[tokio::test]
async fn dead_letters_are_kept_in_this_process() {
    let Some(server) = server(&[]).await else { return };
    let url = url(&server);
    let queue = open(&url).await;
    let config = SubscriptionConfig { receives_max: Some(1), ..lease(60_000) };
    let receiver = queue.subscribe(&subscription(), config).await.unwrap();
    publish(&queue, numbered(2)).await;
    let taken = take(&receiver, 2).await;
    receiver.dead_letter(&taken[0].receipt, "not understood").await.unwrap();
    receiver.nack(&taken[1].receipt, Duration::ZERO).await.unwrap();
    nothing_comes(&receiver).await;
    let letters = queue.dead_letters(&subscription(), None, 9).await.unwrap();
    let reasons: Vec<_> = letters.iter().map(|letter| letter.reason.as_str()).collect();
    assert_eq!(reasons, ["not understood", "received 1 times and never acked"]);
    // Of which other processes know nothing.
    let other = open(&url).await;
    let unknown = other.dead_letters(&subscription(), None, 9).await.unwrap_err();
    assert!(matches!(unknown, QueueError::Refused(_)), "{unknown:?}");
    assert_eq!(other.subscriptions().await.unwrap(), []);
    assert_eq!(queue.redrive(&subscription(), 1).await.unwrap(), 1);
    assert_eq!(take(&receiver, 1).await[0].message, taken[0].message);
    let depth = Depth { in_flight: 1, dead: 1, ..Depth::default() };
    assert_eq!(queue.subscriptions().await.unwrap(), [(subscription(), depth)]);
    assert_eq!(queue.plan(&named("t/new/site"), config).await.unwrap(), []);
}

#[tokio::test]
async fn a_full_subscription_drops_what_comes_and_holds_up_nobody() {
    let Some(server) = server(&[]).await else { return };
    let queue = open(&url(&server)).await;
    let receiver = subscribe(&queue, "a.topic/service/site").await;
    let large = |number: usize| Message::new(number.to_string()).with_attribute("a", "x".repeat(250_000));
    // Of 32 MiB there are 134 full ones, and one that begins below the bound.
    let bound = (32_usize << 20).div_ceil(large(100).size_bytes());
    for from in (0..200).step_by(50) {
        publish(&queue, (from..from + 50).map(large).collect()).await;
    }
    until_ready(&receiver, u64::try_from(bound).unwrap()).await;
    publish(&queue, vec![Message::new("too much")]).await;
    sleep(GLANCE).await;
    assert_eq!(receiver.depth().await.unwrap().ready, u64::try_from(bound).unwrap());
    let taken = take(&receiver, bound).await;
    let oldest: BTreeSet<String> = (0..bound).map(|number| number.to_string()).collect();
    assert_eq!(bodies(&taken), oldest, "the newest were dropped");
    let receipts: Vec<_> = taken.into_iter().map(|delivery| delivery.receipt).collect();
    assert!(receiver.ack(&receipts).await.iter().all(Result::is_ok));
    publish(&queue, vec![Message::new("again")]).await;
    assert_eq!(take(&receiver, 1).await[0].message, Message::new("again"), "there is room again");
}

#[tokio::test]
async fn a_killed_server_is_told_and_found_again() {
    let Some(server) = server(&[]).await else { return };
    let queue = open(&url(&server)).await;
    let receiver = subscribe(&queue, "a.topic/service/site").await;
    publish(&queue, numbered(1)).await;
    until_ready(&receiver, 1).await;
    server.process().kill().unwrap();
    let answer = queue.publisher().publish(subscription().topic(), numbered(1)).await.remove(0);
    assert!(matches!(answer, Err(PublishError::Queue(QueueError::Unavailable(_)))), "{answer:?}");
    // What had arrived is here.
    let taken = take(&receiver, 1).await.remove(0);
    receiver.ack(&[taken.receipt]).await.remove(0).unwrap();
    let error = receiver.receive(1, Duration::from_secs(20)).await.unwrap_err();
    assert!(matches!(error, QueueError::Unavailable(_)), "{error:?}");
    assert!(queue.subscriptions().await.is_err());
    server.restart().await.unwrap();
    let give_up = Instant::now() + PATIENCE;
    let heard = loop {
        assert!(Instant::now() < give_up, "the connection is made again, and listens");
        let answers = queue.publisher().publish(subscription().topic(), vec![Message::new("back")]).await;
        if answers[0].is_ok()
            && let Ok(heard) = receiver.receive(1, Duration::from_millis(100)).await
            && !heard.is_empty()
        {
            break heard;
        }
    };
    assert_eq!(heard[0].message, Message::new("back"));
}

#[tokio::test]
async fn bodies_and_attributes_are_any_bytes_and_text() {
    let Some(server) = server(&[]).await else { return };
    let queue = open(&url(&server)).await;
    let receiver = subscribe(&queue, "a.topic/service/site").await;
    let largest = antiphon_queue::ENVELOPE_BYTES_MAX;
    let messages = vec![
        Message::default(),
        Message::new(vec![0xff, 0, 0x7b])
            .with_attribute("type", "antiphon.tallies")
            .with_attribute("é", "\n"),
        Message::new(vec![0xaa; largest]),
    ];
    publish(&queue, messages.clone()).await;
    let taken: Vec<_> = take(&receiver, 3).await.into_iter().map(|delivery| delivery.message).collect();
    assert!(messages.iter().all(|message| taken.contains(message)));
    let batch = vec![Message::new(vec![0; largest + 1]), Message::new("small")];
    let answers = queue.publisher().publish(subscription().topic(), batch).await;
    assert!(matches!(answers[..], [Err(PublishError::TooLarge { .. }), Ok(())]), "{answers:?}");
    assert_eq!(take(&receiver, 1).await[0].message, Message::new("small"));
}

#[tokio::test]
async fn jetstream_under_the_same_prefix_takes_none_of_it() {
    let Some(server) = server(&[]).await else { return };
    let url = url(&server);
    let (core, streams) = (open(&url).await, open(&url.replacen("nats-core", "nats", 1)).await);
    let kept = subscribe(&streams, "a.topic/service/site").await;
    let heard = subscribe(&core, "a.topic/service/site").await;
    publish(&core, vec![Message::new("core")]).await;
    publish(&streams, vec![Message::new("stream")]).await;
    assert_eq!(take(&heard, 1).await[0].message, Message::new("core"));
    assert_eq!(take(&kept, 1).await[0].message, Message::new("stream"));
    nothing_comes(&heard).await;
    nothing_comes(&kept).await;
}

#[tokio::test]
async fn it_needs_no_jetstream_and_tells_what_is_forbidden() {
    let settings = r#"authorization { users = [
        { user: all, password: p }
        { user: deaf, password: p, permissions: { publish: [">"], subscribe: ["_INBOX.>"] } }
        { user: mute, password: p, permissions: { publish: ["antiphon.flush"], subscribe: [">"] } }
    ] }"#;
    let Some(server) = configured(settings).await else { return };
    let login = |user: &str| format!("nats-core://{user}:p@{}", server.address());
    let deaf = open(&login("deaf")).await;
    let error = deaf.subscribe(&subscription(), lease(1_000)).await.unwrap_err();
    assert!(matches!(error, QueueError::Broken(_)), "{error:?}");
    let mute = open(&login("mute")).await;
    let receiver = mute.subscribe(&subscription(), lease(1_000)).await.unwrap();
    deaf.publisher().publish(subscription().topic(), numbered(1)).await.remove(0).unwrap();
    take(&receiver, 1).await;
    // The server says so beside its answers, so that the first may miss it.
    let give_up = Instant::now() + PATIENCE;
    loop {
        let answer = mute.publisher().publish(subscription().topic(), numbered(1)).await.remove(0);
        if matches!(answer, Err(PublishError::Queue(QueueError::Broken(_)))) {
            break;
        }
        assert!(Instant::now() < give_up, "{answer:?}");
    }
    nothing_comes(&receiver).await;
    let accounts = "accounts { A { users = [ { user: a, password: b } ] } }";
    let Some(server) = configured(accounts).await else { return };
    let queue = open(&format!("nats-core://a:b@{}", server.address())).await;
    let receiver = subscribe(&queue, "a.topic/service/site").await;
    publish(&queue, numbered(1)).await;
    take(&receiver, 1).await;
}

#[tokio::test]
async fn wrong_urls_and_leases_are_told() {
    let Some(server) = server(&["--user", "me", "--pass", "secret-7"]).await else { return };
    let address = server.address();
    for (url, word) in [
        (format!("nats-core://{address}?replicas=3"), "replicas"),
        (format!("nats-core://{address}/path"), "without a path"),
        ("nats-core://?prefix=a".to_owned(), "HOST:PORT"),
        (format!("nats-core://{address}?ca=/nowhere.pem"), "/nowhere.pem"),
    ] {
        let error = try_open(&url).await.unwrap_err();
        assert!(matches!(error, QueueError::Refused(_)) && error.to_string().contains(word), "{error:?}");
    }
    for login in ["", "me:wrong-7@"] {
        let error = try_open(&format!("nats-core://{login}{address}")).await.unwrap_err();
        assert!(matches!(error, QueueError::Broken(_)), "{error:?}");
        assert!(!format!("{error:?}").contains("wrong-7"), "{error:?}");
    }
    let error = try_open("nats-core://127.0.0.1:1").await.unwrap_err();
    assert!(matches!(error, QueueError::Unavailable(_)), "{error:?}");
    let queue = open(&format!("nats-core://me:secret-7@{address}")).await;
    let refused = queue.subscribe(&subscription(), lease(0)).await.unwrap_err();
    assert!(matches!(refused, QueueError::Refused(_)), "{refused:?}");
}
