//! The ledger and what writes to it: sums that hold through duplicates, retries, crashes and several processes.

#![expect(clippy::unwrap_used, reason = "a test, its helpers included, fails by panicking")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use antiphon_consumer::audit::{Account, Audit, AuditedDeadLetters, Ledger, LedgerError, dot_of};
use antiphon_consumer::{
    Context, DefaultStack, Handler, HandlerError, Layer, Pump, QueueDeadLetters, handler_fn, layers,
};
use queue::{
    Faults, Faulty, MemoryQueue, Message, PublishError, Publisher, Queue, Subscription, SubscriptionConfig,
    Topic,
};

fn subscription() -> Subscription {
    "topic/service/site".parse().unwrap()
}

fn account(folder: &Path) -> Account {
    let account = Ledger::read_folder(folder).unwrap().account(&subscription());
    assert_eq!(account.sent, account.merged + account.in_flight + account.dead, "{account:?}");
    account
}

fn numbers(account: &Account) -> [u64; 4] {
    [account.sent, account.merged, account.in_flight, account.dead]
}

async fn publish(publisher: &dyn Publisher, count: usize) -> usize {
    let batch = (0..count).map(|n| Message::new(n.to_string())).collect();
    let answers = publisher.publish(subscription().topic(), batch).await;
    answers.iter().filter(|answer| answer.is_ok()).count()
}

#[tokio::test]
async fn a_sum_survives_restarts_and_several_processes() {
    let folder = tempfile::tempdir().unwrap();
    let queue = MemoryQueue::new();
    let receiver = queue.subscribe(&subscription(), SubscriptionConfig::default()).await.unwrap();
    for lane in 1..=3 {
        // A process publishes, and dies.
        let ledger = Ledger::open(folder.path(), "sender", lane).unwrap();
        assert_eq!(publish(&ledger.publisher(queue.publisher()), 10).await, 10);
    }
    assert_eq!(numbers(&account(folder.path())), [30, 0, 30, 0]);
    for (turn, lane) in (4..=6).enumerate() {
        // Another one merges some of it twice, and dies before it acks the rest.
        let ledger = Ledger::open(folder.path(), "reader", lane).unwrap();
        let layered = Audit::new(ledger).layer(handler_fn(|_: Message, _| async { Ok(()) }));
        let context = Context::new(subscription());
        for delivery in receiver.receive(10, Duration::ZERO).await.unwrap() {
            layered.handle(&delivery.message, &context).await.unwrap();
            layered.handle(&delivery.message, &context).await.unwrap();
        }
        let merged = 10 * (turn as u64 + 1);
        assert_eq!(numbers(&account(folder.path())), [30, merged, 30 - merged, 0]);
    }
}

#[tokio::test]
async fn what_is_poison_is_dead_and_what_is_lost_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let queue = MemoryQueue::new();
    let receiver = queue.subscribe(&subscription(), SubscriptionConfig::default()).await.unwrap();
    let ledger = Ledger::open(folder.path(), "a", 7).unwrap();
    assert_eq!(publish(&ledger.publisher(queue.publisher()), 10).await, 10);
    // Somebody takes one away past the audit.
    let stolen = receiver.receive(1, Duration::ZERO).await.unwrap().remove(0);
    receiver.ack(&[stolen.receipt]).await.remove(0).unwrap();
    let handler = handler_fn(|message: Message, _| async move {
        if message.body == "5" { Err(HandlerError::poison("five")) } else { Ok(()) }
    });
    let dead =
        AuditedDeadLetters::new(ledger.clone(), subscription(), QueueDeadLetters::new(Arc::clone(&receiver)));
    let pump = Pump::builder(receiver, Audit::new(ledger.clone()).layer(handler)).dead_letters(dead).build();
    pump.run(tokio::time::sleep(Duration::from_millis(300))).await;
    let sum = account(folder.path());
    assert_eq!(numbers(&sum), [10, 8, 1, 1]);
    let dot = dot_of(&stolen.message).unwrap();
    assert!(sum.missing.contains(dot), "{} is lost: {}", dot, sum.missing);
    // The dead letter is redriven, and merged now.
    assert_eq!(queue.redrive(&subscription(), 10).await.unwrap(), 1);
    let receiver = queue.subscribe(&subscription(), SubscriptionConfig::default()).await.unwrap();
    let merge = Audit::new(ledger).layer(handler_fn(|_: Message, _| async { Ok(()) }));
    Pump::builder(receiver, merge).build().run(tokio::time::sleep(Duration::from_millis(100))).await;
    assert_eq!(numbers(&account(folder.path())), [10, 9, 1, 0]);
}

#[tokio::test]
async fn a_hostile_queue_does_not_put_it_out() {
    for seed in 1..=3 {
        let folder = tempfile::tempdir().unwrap();
        let queue = Faulty::new(
            MemoryQueue::new(),
            Faults { delay_max: Duration::from_millis(300), ..Faults::hostile(seed) },
        );
        let config = SubscriptionConfig { lease: Duration::from_millis(300), receives_max: None };
        let receiver = queue.subscribe(&subscription(), config).await.unwrap();
        let ledger = Ledger::open(folder.path(), "a", seed).unwrap();
        let publisher = ledger.publisher(queue.publisher());
        let mut confirmed = 0;
        for _ in 0..20 {
            confirmed += publish(&publisher, 10).await as u64;
        }
        let calls = AtomicU64::new(0);
        let handler = handler_fn(move |_: Message, _| {
            let nth = calls.fetch_add(1, Ordering::Relaxed);
            async move { if nth.is_multiple_of(5) { Err(HandlerError::retry("not yet")) } else { Ok(()) } }
        });
        let stack = layers![Audit::new(ledger.clone()), DefaultStack::new(seed)].layer(handler);
        let short = antiphon_consumer::Backoff::new(Duration::from_millis(5), Duration::from_millis(50));
        let pump = Pump::builder(receiver, stack)
            .lease(Duration::from_millis(300))
            .nack_backoff(short)
            .receive_backoff(short)
            .seed(seed)
            .build();
        let path = folder.path().to_owned();
        let settled = async move {
            loop {
                tokio::time::sleep(Duration::from_millis(50)).await;
                if account(&path).in_flight == 0 {
                    return;
                }
            }
        };
        let bounded = async { tokio::time::timeout(Duration::from_mins(1), settled).await.unwrap() };
        pump.run(bounded).await;
        let sum = account(folder.path());
        assert_eq!(numbers(&sum), [confirmed, confirmed, 0, 0], "seed {seed}: {sum:?}");
    }
}

#[tokio::test]
async fn a_subscription_that_is_made_later_does_not_miss_what_was_not_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let queue = MemoryQueue::new();
    let ledger = Ledger::open(folder.path(), "a", 7).unwrap();
    let publisher = ledger.publisher(queue.publisher());
    publish(&publisher, 5).await;
    queue.subscribe(&subscription(), SubscriptionConfig::default()).await.unwrap();
    ledger.begin(&subscription()).await.unwrap();
    publish(&publisher, 3).await;
    ledger.begin(&subscription()).await.unwrap(); // a restart changes nothing
    assert_eq!(numbers(&account(folder.path())), [3, 0, 3, 0]);
    let names: Vec<_> = Ledger::read_folder(folder.path())
        .unwrap()
        .accounts()
        .into_iter()
        .map(|sum| sum.subscription)
        .collect();
    assert_eq!(names, [subscription()]);
    assert_eq!(Ledger::read_folder(folder.path()).unwrap().topics(), [(subscription().topic().clone(), 8)]);
}

#[tokio::test]
async fn a_ledger_refuses_what_would_make_it_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let ledger = Ledger::open(path, "a", 7).unwrap();
    assert!(matches!(Ledger::open(path, "a", 8), Err(LedgerError::InUse { .. })));
    publish(&ledger.publisher(MemoryQueue::new().publisher()), 1).await;
    drop(ledger);
    for (name, lane, says) in
        [("a", 7, "used before"), ("a", 0, "64 random bits"), ("A/b", 8, "no name"), ("", 8, "no name")]
    {
        let error = Ledger::open(path, name, lane).unwrap_err();
        assert!(matches!(error, LedgerError::Refused(_)) && error.to_string().contains(says), "{error}");
    }
    Ledger::open(path, "a", 8).unwrap();
    std::fs::write(path.join("b.ledger"), "something else").unwrap();
    let error = Ledger::read_folder(path).unwrap_err();
    assert!(matches!(&error, LedgerError::Corrupt { path, .. } if path.ends_with("b.ledger")), "{error}");
    assert!(Ledger::read_folder(path.join("missing")).unwrap().accounts().is_empty());
}

#[tokio::test]
async fn what_the_broker_did_not_take_was_not_sent() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(folder.path(), "a", 7).unwrap();
    let answers =
        ledger.publisher(Arc::new(Stuck)).publish(subscription().topic(), vec![Message::new("a")]).await;
    assert!(matches!(answers.as_slice(), [Err(PublishError::Full)]), "{answers:?}");
    assert_eq!(publish(&ledger.publisher(MemoryQueue::new().publisher()), 1).await, 1);
    let books = Ledger::read_folder(folder.path()).unwrap();
    assert_eq!(books.topics(), [(subscription().topic().clone(), 1)]);
}

/// A publisher that is always full.
#[derive(Debug)]
struct Stuck;

impl Publisher for Stuck {
    fn publish<'a>(
        &'a self,
        _topic: &'a Topic,
        batch: Vec<Message>,
    ) -> queue::BoxFuture<'a, Vec<Result<(), PublishError>>> {
        Box::pin(async move { batch.iter().map(|_| Err(PublishError::Full)).collect() })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_writers_share_a_sync_and_readers_see_a_true_state() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(folder.path(), "a", 7).unwrap();
    let writers: Vec<_> = (0..50_u64)
        .map(|writer| {
            let ledger = ledger.clone();
            tokio::spawn(async move {
                for n in 0..20 {
                    let replica = lattice::ReplicaId::from_u128(u128::from(writer) + 100);
                    let dot = lattice::Dot { replica, counter: n + 1 };
                    ledger.sent(subscription().topic(), &[dot]).await.unwrap();
                }
            })
        })
        .collect();
    let mut before = 0;
    while !writers.iter().all(tokio::task::JoinHandle::is_finished) {
        let path = folder.path().to_owned();
        let sent = tokio::task::spawn_blocking(move || account(&path).sent).await.unwrap();
        assert!(sent >= before, "a note that was seen is never gone");
        before = sent;
        tokio::task::yield_now().await;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(account(folder.path()).sent, 1_000);
}
