//! What only NATS has to show, against a real server. The contract is tested in `crates/conformance`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test, its helpers included, fails by panicking")]

use std::error::Error;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use antiphon_queue::{
    AckError, Action, Clock, Delivery, Message, PublishError, Queue, QueueError, Receiver, Settings,
    Subscription, SubscriptionConfig, connect,
};
use async_nats::jetstream;
use futures_util::TryStreamExt;
use testbed::{Direction, Link, Nats, Proxy, StartError, needed_by_all};
use tokio::time::{Instant, sleep};

const PATIENCE: Duration = Duration::from_secs(20);
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
fn url(server: &Nats, more: &str) -> String {
    format!("nats://{}?prefix=t.{}{more}", server.address(), PREFIXES.fetch_add(1, Ordering::Relaxed))
}

async fn try_open(url: &str) -> Result<Arc<dyn Queue>, QueueError> {
    connect(&url.parse().unwrap(), &Settings { clock: Clock::starting_at(0), seed: 7 }).await
}

async fn open(url: &str) -> Arc<dyn Queue> {
    try_open(url).await.unwrap()
}

fn subscription() -> Subscription {
    "a.topic/service/site".parse().unwrap()
}

fn lease(seconds: u64) -> SubscriptionConfig {
    SubscriptionConfig { lease: Duration::from_secs(seconds), ..SubscriptionConfig::default() }
}

async fn subscribe(queue: &Arc<dyn Queue>, config: SubscriptionConfig) -> Arc<dyn Receiver> {
    queue.subscribe(&subscription(), config).await.unwrap()
}

async fn publish(queue: &Arc<dyn Queue>, count: usize) {
    let batch = (0..count).map(|number| Message::new(number.to_string())).collect();
    for answer in queue.publisher().publish(subscription().topic(), batch).await {
        answer.unwrap();
    }
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

async fn raw(server: &Nats) -> async_nats::Client {
    async_nats::connect(server.address().to_string()).await.unwrap()
}

/// An error with its causes.
fn told(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        write!(text, ": {error}").unwrap();
        cause = error.source();
    }
    text
}

#[tokio::test]
async fn credentials_are_checked_and_never_shown() {
    let Some(server) = server(&["--user", "me", "--pass", "secret-7"]).await else { return };
    let address = server.address();
    open(&format!("nats://me:secret-7@{address}")).await;
    for login in ["", "me:wrong-7@", "you:secret-7@", "secret-7@"] {
        let error = try_open(&format!("nats://{login}{address}")).await.unwrap_err();
        let text = told(&error);
        assert!(matches!(error, QueueError::Broken(_)), "{login}: {text}");
        assert!(text.contains(&address.to_string()), "{text}");
        assert!(!text.contains("wrong-7") && !text.contains(":secret-7"), "{text}");
    }
    let error = try_open(&format!("nats://{address}?creds=/nowhere")).await.unwrap_err();
    assert!(matches!(error, QueueError::Refused(_)) && told(&error).contains("/nowhere"), "{error}");
    let error = try_open(&format!("tls://me:secret-7@{address}")).await.unwrap_err();
    assert!(!told(&error).contains("secret-7@"), "{}", told(&error));
}

#[tokio::test]
async fn a_token_opens() {
    let Some(server) = server(&["--auth", "sesame"]).await else { return };
    open(&format!("nats://sesame@{}", server.address())).await;
    let error = try_open(&format!("nats://{}", server.address())).await.unwrap_err();
    assert!(matches!(error, QueueError::Broken(_)), "{error:?}");
    let error = try_open(&format!("nats://wrong-token@{}", server.address())).await.unwrap_err();
    assert!(!told(&error).contains("wrong-token"), "{}", told(&error));
}

#[tokio::test]
async fn a_certificate_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (key, certificate) = (path("key.pem"), path("certificate.pem"));
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=nats"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", &key, "-out", &certificate])
        .output();
    if !made.is_ok_and(|made| made.status.success()) {
        assert!(!needed_by_all(), "openssl makes no certificate");
        println!("passes over: openssl makes no certificate");
        return;
    }
    let Some(server) = server(&["--tls", "--tlscert", &certificate, "--tlskey", &key]).await else { return };
    let address = server.address();
    let queue = open(&format!("tls://{address}?ca={certificate}")).await;
    let receiver = subscribe(&queue, lease(10)).await;
    publish(&queue, 1).await;
    take(&receiver, 1).await;
    let error = try_open(&format!("tls://{address}")).await.unwrap_err();
    assert!(matches!(error, QueueError::Broken(_)), "{error:?}");
    assert!(told(&error).contains("certificate"), "{}", told(&error));
}

#[tokio::test]
async fn an_account_without_jetstream_is_told() {
    let accounts = "accounts { A { users = [ { user: a, password: b } ] } }";
    let Some(server) = configured(accounts).await else { return };
    let error = try_open(&format!("nats://a:b@{}", server.address())).await.unwrap_err();
    assert!(matches!(error, QueueError::Broken(_)), "{error:?}");
    assert!(told(&error).contains("-js"), "{}", told(&error));
}

#[tokio::test]
async fn missing_permissions_are_told() {
    let users = r#"authorization { users = [
        { user: all, password: p }
        { user: reader, password: p,
          permissions: { publish: ["$JS.API.INFO"], subscribe: ["_INBOX.>"] } }
    ] }"#;
    let Some(server) = configured(users).await else { return };
    let queue = open(&format!("nats://reader:p@{}", server.address())).await;
    let error = queue.subscribe(&subscription(), lease(10)).await.unwrap_err();
    assert!(matches!(error, QueueError::Broken(_)), "{}", told(&error));
    assert!(told(&error).contains("STREAM.INFO"), "{}", told(&error));
}

#[tokio::test]
async fn wrong_parameters_name_their_remedy() {
    let Some(server) = server(&[]).await else { return };
    for (parameters, word) in [
        ("&replicas=2", "1, 3 or 5"),
        ("&max_messages=0", "max_messages"),
        ("&storage=tape", "memory"),
        ("&ca=/nowhere.pem", "/nowhere.pem"),
        ("&domain=a.b", "domain"),
        ("&flavour=sweet", "flavour"),
    ] {
        let error = try_open(&url(&server, parameters)).await.unwrap_err();
        assert!(matches!(error, QueueError::Refused(_)), "{parameters}: {error:?}");
        assert!(error.to_string().contains(word), "{parameters}: {error}");
    }
    let queue = open(&url(&server, "&replicas=3")).await;
    let error = queue.subscribe(&subscription(), lease(10)).await.unwrap_err();
    assert!(matches!(error, QueueError::Refused(_)) && error.to_string().contains("replicas"), "{error:?}");
}

#[tokio::test]
async fn what_is_in_the_way_is_told_and_what_can_be_changed_is() {
    let Some(server) = server(&[]).await else { return };
    let jetstream = jetstream::new(raw(&server).await);
    let first = url(&server, "&max_messages=10");
    let queue = open(&first).await;
    let plan = queue.plan(&subscription(), lease(10)).await.unwrap();
    assert_eq!(plan.len(), 4, "{plan:?}");
    assert!(plan.iter().all(|change| change.action == Action::Create));
    subscribe(&queue, lease(10)).await;
    assert_eq!(queue.plan(&subscription(), lease(20)).await.unwrap(), []);

    let larger = open(&first.replace("=10", "=20")).await;
    let plan = larger.plan(&subscription(), lease(10)).await.unwrap();
    let shown: Vec<_> = plan.iter().map(ToString::to_string).collect();
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert!(shown[1].contains("max_msgs = 20 (is 10)"), "{shown:?}");
    subscribe(&larger, lease(10)).await;
    assert_eq!(larger.plan(&subscription(), lease(10)).await.unwrap(), []);

    let memory = open(&format!("{first}&storage=memory")).await;
    let plan = memory.plan(&subscription(), lease(10)).await.unwrap();
    assert!(matches!(&plan[0].action, Action::Conflict { reason } if reason.contains("storage")), "{plan:?}");
    let refused = memory.subscribe(&subscription(), lease(10)).await.unwrap_err();
    assert!(matches!(refused, QueueError::Refused(_)), "{refused:?}");

    let taken = jetstream::stream::Config {
        name: "THEIRS".to_owned(),
        subjects: vec!["theirs.>".to_owned()],
        ..jetstream::stream::Config::default()
    };
    jetstream.create_stream(taken).await.unwrap();
    let other = open(&format!("nats://{}?prefix=theirs", server.address())).await;
    let refused = other.subscribe(&subscription(), lease(10)).await.unwrap_err();
    assert!(matches!(refused, QueueError::Refused(_)) && refused.to_string().contains("prefix"), "{refused}");
}

#[tokio::test]
async fn foreign_publishers_are_welcome() {
    let Some(server) = server(&[]).await else { return };
    let queue = open(&format!("nats://{}", server.address())).await;
    let receiver = subscribe(&queue, lease(10)).await;
    let client = raw(&server).await;
    let mut headers = async_nats::HeaderMap::new();
    headers.append("Traceparent", "00-1-2-01");
    let body: &[u8] = &[0xff, 0x00, b'{'];
    client.publish_with_headers("antiphon.topic.a=topic", headers, body.into()).await.unwrap();
    client.publish("antiphon.topic.a=topic", "plain".into()).await.unwrap();
    client.flush().await.unwrap();
    let taken = take(&receiver, 2).await;
    assert_eq!(taken[0].message, Message::new(body).with_attribute("Traceparent", "00-1-2-01"));
    assert_eq!(taken[1].message, Message::new("plain"));
    assert!(taken.iter().all(|delivery| delivery.published_at_ms.is_some()));
}

#[tokio::test]
async fn a_lease_is_the_receivers_own() {
    let Some(server) = server(&[]).await else { return };
    let url = url(&server, "");
    let (queue, elsewhere) = (open(&url).await, open(&url).await);
    // The consumer is made with the lease of the first.
    let short = subscribe(&queue, lease(1)).await;
    let long = subscribe(&elsewhere, lease(60)).await;
    publish(&queue, 2).await;
    let kept = take(&long, 1).await.remove(0);
    let briefly = take(&short, 1).await.remove(0);
    assert!(kept.lease.expires_at.unwrap() > Instant::now() + Duration::from_secs(50));
    sleep(Duration::from_millis(1_500)).await;
    let again = take(&long, 1).await.remove(0);
    assert_eq!((again.message, again.receive_count), (briefly.message, 2));
    // Shortened, it comes to the other; lengthened beyond what the consumer gives, it does not.
    let longer = short.extend(std::slice::from_ref(&briefly.receipt), Duration::from_secs(9)).await;
    assert!(matches!(longer[..], [Err(AckError::LeaseLost)]), "{longer:?}");
    let shorter = long.extend(std::slice::from_ref(&kept.receipt), Duration::from_millis(300)).await;
    shorter[0].as_ref().unwrap();
    let taken = take(&short, 1).await.remove(0);
    assert_eq!(taken.message, kept.message);
    let lengthened = short.extend(std::slice::from_ref(&taken.receipt), Duration::from_secs(30)).await;
    lengthened[0].as_ref().unwrap();
    sleep(Duration::from_secs(2)).await;
    let none = long.receive(1, Duration::from_millis(200)).await.unwrap();
    assert!(none.is_empty(), "{none:?}");
    let acked = short.ack(&[taken.receipt, briefly.receipt]).await;
    assert!(matches!(acked[..], [Ok(()), Err(AckError::LeaseLost)]), "{acked:?}");
}

#[tokio::test]
async fn what_somebody_deletes_is_told_and_made_again() {
    let Some(server) = server(&[]).await else { return };
    let queue = open(&url(&server, "")).await;
    let receiver = subscribe(&queue, lease(10)).await;
    let jetstream = jetstream::new(raw(&server).await);
    let streams: Vec<String> = jetstream.stream_names().try_collect().await.unwrap();
    let stream = streams.iter().find(|name| name.ends_with("+a=topic")).unwrap();
    jetstream.delete_consumer_from_stream("service+site", stream).await.unwrap();
    let error = receiver.receive(1, Duration::from_secs(2)).await.unwrap_err();
    assert!(matches!(error, QueueError::Broken(_)), "{error:?}");
    assert!(told(&error).contains("subscribe again"), "{}", told(&error));
    let receiver = subscribe(&queue, lease(10)).await;
    publish(&queue, 1).await;
    take(&receiver, 1).await;
    // Without its stream a topic has no subscriptions, and keeps nothing.
    jetstream.delete_stream(stream).await.unwrap();
    publish(&queue, 1).await;
    assert!(receiver.receive(1, Duration::from_secs(2)).await.is_err());
    let receiver = subscribe(&queue, lease(10)).await;
    publish(&queue, 1).await;
    take(&receiver, 1).await;
}

#[tokio::test]
async fn the_servers_own_limit_is_told() {
    let Some(server) = configured("max_payload: 65536").await else { return };
    let queue = open(&url(&server, "")).await;
    let receiver = subscribe(&queue, lease(10)).await;
    let batch = vec![Message::new(vec![7; 60_000]), Message::new(vec![7; 40_000])];
    let answers = queue.publisher().publish(subscription().topic(), batch).await;
    assert!(matches!(answers[0], Err(PublishError::TooLarge { bytes_max: 49_152, .. })), "{answers:?}");
    answers[1].as_ref().unwrap();
    let taken = take(&receiver, 1).await.remove(0);
    receiver.dead_letter(&taken.receipt, &"\u{1}".repeat(5_000)).await.unwrap();
    assert_eq!(queue.dead_letters(&subscription(), None, 9).await.unwrap()[0].reason.len(), 1_024);
}

#[tokio::test]
async fn many_dead_letters_are_listed_in_order_and_redriven() {
    let Some(server) = server(&[]).await else { return };
    let queue = open(&url(&server, "")).await;
    let receiver = subscribe(&queue, lease(60)).await;
    publish(&queue, 300).await;
    for delivery in take(&receiver, 300).await {
        let reason = String::from_utf8(delivery.message.body.to_vec()).unwrap();
        receiver.dead_letter(&delivery.receipt, &reason).await.unwrap();
    }
    let mut seen = Vec::new();
    while let page = queue.dead_letters(&subscription(), seen.last(), 70).await.unwrap()
        && !page.is_empty()
    {
        for letter in page {
            assert_eq!(letter.message.body, letter.reason.as_bytes());
            assert!(letter.published_at_ms.is_some() && letter.receive_count == 1);
            seen.push(letter.id);
        }
    }
    assert_eq!(seen.len(), 300);
    assert!(seen.is_sorted());
    assert_eq!(queue.redrive(&subscription(), 1_000).await.unwrap(), 300);
    assert_eq!(queue.redrive(&subscription(), 1_000).await.unwrap(), 0);
    let again = take(&receiver, 300).await;
    let receipts: Vec<_> = again.into_iter().map(|delivery| delivery.receipt).collect();
    assert!(receiver.ack(&receipts).await.iter().all(Result::is_ok));
    let depth = receiver.depth().await.unwrap();
    assert_eq!((depth.ready, depth.in_flight, depth.delayed, depth.dead), (0, 0, 0, 0));
}

#[tokio::test]
async fn a_dead_letter_whose_ack_is_confirmed_too_late_is_not_lost() {
    let Some(server) = server(&[]).await else { return };
    let proxy = Proxy::start(server.address()).unwrap();
    let queue = open(&format!("nats://{}?prefix=late", proxy.address())).await;
    let receiver = subscribe(&queue, lease(4)).await;
    publish(&queue, 1).await;
    let taken = take(&receiver, 1).await.remove(0);
    // Three answers: the message, the letter, and the ack. The third comes after the end of the lease, and the server
    // has taken the ack long before.
    let late = Direction { delay: Duration::from_millis(1_400), swallow: false };
    proxy.set(Link { down: late, ..Link::default() });
    let answer = receiver.dead_letter(&taken.receipt, "late").await;
    assert!(matches!(answer, Err(AckError::LeaseLost)), "{answer:?}");
    proxy.heal();
    let kept = queue.dead_letters(&subscription(), None, 9).await.unwrap();
    assert_eq!(kept.len(), 1, "it is acked, so it has to be dead");
}

#[tokio::test]
async fn nothing_is_redriven_to_nobody() {
    let Some(server) = server(&[]).await else { return };
    let queue = open(&url(&server, "")).await;
    let receiver = subscribe(&queue, lease(30)).await;
    publish(&queue, 1).await;
    let taken = take(&receiver, 1).await.remove(0);
    receiver.dead_letter(&taken.receipt, "poison").await.unwrap();
    let jetstream = jetstream::new(raw(&server).await);
    let streams: Vec<String> = jetstream.stream_names().try_collect().await.unwrap();
    let stream = streams.iter().find(|name| name.ends_with("+a=topic")).unwrap();
    jetstream.delete_consumer_from_stream("service+site+again", stream).await.unwrap();
    let error = queue.redrive(&subscription(), 9).await.unwrap_err();
    assert!(told(&error).contains("subscribe again"), "{}", told(&error));
    assert_eq!(queue.dead_letters(&subscription(), None, 9).await.unwrap().len(), 1);
    let receiver = subscribe(&queue, lease(30)).await;
    assert_eq!(queue.redrive(&subscription(), 9).await.unwrap(), 1);
    take(&receiver, 1).await;
}

#[tokio::test]
async fn a_foreign_message_without_room_for_a_reason_can_be_put_aside() {
    let Some(server) = configured("max_payload: 65536").await else { return };
    let queue = open(&format!("nats://{}?prefix=brim", server.address())).await;
    let receiver = subscribe(&queue, lease(30)).await;
    let body = vec![7; 65_536];
    let jetstream = jetstream::new(raw(&server).await);
    jetstream.publish("brim.topic.a=topic", body.clone().into()).await.unwrap().await.unwrap();
    let taken = take(&receiver, 1).await.remove(0);
    receiver.dead_letter(&taken.receipt, "poison").await.unwrap();
    let kept = queue.dead_letters(&subscription(), None, 9).await.unwrap();
    assert_eq!(kept[0].message.body, body);
    assert_eq!(queue.redrive(&subscription(), 9).await.unwrap(), 1);
}
