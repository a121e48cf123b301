//! What takes minutes or days, on a store in memory and a clock that is set.

use std::collections::BTreeMap;

use store::{Committer, Memory, Scan, SeededWorld, Setup};

use super::attributes::Attributes;
use super::*;

const NOW_MS: u64 = 1_469_727_000_000;
const MINUTE_MS: u64 = 60_000;

fn attributes(given: &[(&str, &str)]) -> Attributes {
    given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

async fn open(messages_max: u64) -> (Engine, Arc<SeededWorld>) {
    let world = Arc::new(SeededWorld::new(7, NOW_MS));
    let store = Store::open(Memory::new(), Arc::<SeededWorld>::clone(&world), &Setup::of("sqs")).unwrap();
    (Engine::open(store, Config { messages_max, ..Config::default() }).await.unwrap(), world)
}

async fn queue(engine: &Engine, name: &str, given: &[(&str, &str)]) -> Arc<Line> {
    engine.create(name, attributes(given), BTreeMap::new()).await.unwrap()
}

fn draft(body: &str) -> Draft {
    Draft { body: body.into(), ..Draft::default() }
}

async fn send(engine: &Engine, line: &Arc<Line>, draft: Draft) -> SqsResult<Sent> {
    engine.send(line, vec![draft]).await.unwrap().remove(0)
}

async fn receive(engine: &Engine, line: &Arc<Line>) -> Vec<Received> {
    let wish = Wish { max: 10, visibility: None, wait: Some(Duration::ZERO) };
    engine.receive(line, wish).await.unwrap()
}

/// Rows of messages, duplicates and what is to be removed.
async fn rows_left(engine: &Engine) -> usize {
    let reader = engine.store().reader().unwrap();
    let mut left = 0;
    for tag in 0x12..=0x16 {
        left += reader.scan(&Scan::prefix(&[tag])).await.unwrap().len();
    }
    left
}

async fn housekeep(engine: &Engine) {
    while engine.housekeep().await.unwrap() {}
}

#[tokio::test]
async fn what_is_older_than_its_retention_is_gone() {
    let (engine, world) = open(100).await;
    let line = queue(&engine, "q", &[("MessageRetentionPeriod", "60")]).await;
    for body in ["never received", "in flight"] {
        send(&engine, &line, draft(body)).await.unwrap();
    }
    world.set_ms(NOW_MS + MINUTE_MS / 2);
    send(&engine, &line, draft("younger")).await.unwrap();
    world.set_ms(NOW_MS + MINUTE_MS + 1_000);
    let bodies: Vec<_> = receive(&engine, &line).await.into_iter().map(|one| one.content.body).collect();
    assert_eq!(bodies, ["younger"]);
    assert_eq!(engine.counts(&line).await.unwrap(), Counts { in_flight: 1, ..Counts::default() });
    world.set_ms(NOW_MS + 2 * MINUTE_MS);
    housekeep(&engine).await;
    assert_eq!(rows_left(&engine).await, 2, "somebody works on it");
    let line = queue(&engine, "swept", &[("MessageRetentionPeriod", "60")]).await;
    send(&engine, &line, draft("nobody looks")).await.unwrap();
    world.set_ms(NOW_MS + 4 * MINUTE_MS);
    housekeep(&engine).await;
    assert_eq!(engine.counts(&line).await.unwrap(), Counts::default());
    assert!(receive(&engine, &line).await.is_empty());
}

#[tokio::test]
async fn duplicates_are_known_for_five_minutes() {
    let (engine, world) = open(100).await;
    let line = queue(&engine, "q.fifo", &[("FifoQueue", "true")]).await;
    let one = Draft { group: Some("g".into()), dedup_id: Some("d".into()), ..draft("x") };
    let first = send(&engine, &line, one.clone()).await.unwrap();
    world.set_ms(NOW_MS + 5 * MINUTE_MS - 1_000);
    housekeep(&engine).await;
    assert_eq!(send(&engine, &line, one.clone()).await.unwrap(), first);
    world.set_ms(NOW_MS + 5 * MINUTE_MS + 1_000);
    let second = send(&engine, &line, one.clone()).await.unwrap();
    assert_ne!(second.message_id, first.message_id);
    assert!(second.sequence > first.sequence);
    // The old mark is swept, and the new one is not.
    housekeep(&engine).await;
    assert_eq!(send(&engine, &line, one.clone()).await.unwrap(), second);
    engine.purge(&line).await.unwrap();
    assert_ne!(send(&engine, &line, one).await.unwrap(), second, "a purge forgets");
}

#[tokio::test]
async fn nothing_is_left_of_what_was_purged_or_deleted() {
    let (engine, world) = open(10_000).await;
    let line =
        queue(&engine, "q.fifo", &[("FifoQueue", "true"), ("ContentBasedDeduplication", "true")]).await;
    for number in 0..1_500 {
        let one = Draft { group: Some("g".into()), ..draft(&number.to_string()) };
        send(&engine, &line, one).await.unwrap();
    }
    engine.purge(&line).await.unwrap();
    let kept = Draft { group: Some("g".into()), ..draft("kept") };
    send(&engine, &line, kept).await.unwrap();
    world.set_ms(NOW_MS + 6 * MINUTE_MS);
    housekeep(&engine).await;
    assert_eq!(rows_left(&engine).await, 2, "the content and the state of one message");
    assert_eq!(receive(&engine, &line).await.len(), 1);
    engine.delete(&line).await.unwrap();
    housekeep(&engine).await;
    assert_eq!(rows_left(&engine).await, 0);
}

#[tokio::test]
async fn a_full_queue_says_so_and_stays_whole() {
    let (engine, _world) = open(2).await;
    let line = queue(&engine, "q", &[]).await;
    let answers = engine.send(&line, ["a", "b", "c"].map(draft).into()).await.unwrap();
    let kinds: Vec<_> = answers.iter().map(|answer| answer.as_ref().err().map(|error| error.kind)).collect();
    assert_eq!(kinds, [None, None, Some(Kind::OverLimit)]);
    let received = receive(&engine, &line).await;
    let handles: Vec<_> = received.into_iter().map(|one| one.receipt_handle).collect();
    for answer in engine.delete_messages(&line, &handles).await.unwrap() {
        answer.unwrap();
    }
    send(&engine, &line, draft("c")).await.unwrap();
}

/// Runs something while the test itself commits.
async fn drive<T>(committer: &mut Committer, doing: impl Future<Output = T>) -> T {
    tokio::pin!(doing);
    loop {
        tokio::select! {
            biased;
            done = &mut doing => return done,
            () = tokio::task::yield_now() => { committer.step(); }
        }
    }
}

#[tokio::test]
async fn a_receive_that_is_dropped_gives_back_what_it_took() {
    let world = Arc::new(SeededWorld::new(7, NOW_MS));
    let (store, mut committer) = Store::open_stepwise(Memory::new(), world, &Setup::of("sqs")).unwrap();
    let engine = Engine::open(store, Config::default()).await.unwrap();
    let line = drive(&mut committer, queue(&engine, "q", &[])).await;
    drive(&mut committer, send(&engine, &line, draft("x"))).await.unwrap();
    // It leases, asks the store, and is dropped before the store has answered.
    let dropped = tokio::time::timeout(Duration::ZERO, receive(&engine, &line)).await;
    assert!(dropped.is_err());
    assert!(committer.step(), "the store was asked");
    assert_eq!(engine.counts(&line).await.unwrap(), Counts { visible: 1, ..Counts::default() });
    let received = drive(&mut committer, receive(&engine, &line)).await;
    assert_eq!((received.len(), received[0].receives), (1, 2));
    let deleted =
        drive(&mut committer, engine.delete_messages(&line, &[received[0].receipt_handle.clone()])).await;
    assert_eq!(deleted.unwrap(), [Ok(())]);
    assert_eq!(engine.counts(&line).await.unwrap(), Counts::default());
}

#[tokio::test]
async fn what_is_delayed_or_in_flight_is_counted_after_a_restart() {
    let world = Arc::new(SeededWorld::new(7, NOW_MS));
    let store = Store::open(Memory::new(), world, &Setup::of("sqs")).unwrap();
    let engine = Engine::open(store.clone(), Config::default()).await.unwrap();
    let line = queue(&engine, "q", &[]).await;
    send(&engine, &line, draft("in flight")).await.unwrap();
    assert_eq!(receive(&engine, &line).await.len(), 1);
    send(&engine, &line, Draft { delay_s: Some(900), ..draft("delayed") }).await.unwrap();
    send(&engine, &line, draft("ready")).await.unwrap();
    drop(engine);
    let engine = Engine::open(store, Config::default()).await.unwrap();
    let line = engine.line("q").unwrap();
    let counts = Counts { visible: 1, in_flight: 1, delayed: 1 };
    assert_eq!(engine.counts(&line).await.unwrap(), counts, "before anybody looked");
    assert_eq!(receive(&engine, &line).await.len(), 1);
    assert_eq!(engine.counts(&line).await.unwrap(), Counts { visible: 0, in_flight: 2, delayed: 1 });
}
