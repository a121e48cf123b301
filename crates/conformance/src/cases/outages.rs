//! Brokers that die, links that break, consumers that are killed.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use consumer::{Backoff, Context, HandlerError, Pump, handler_fn};
use queue::{Message, Publisher, Queue, Subscription};
use tokio::time::{Instant, sleep};

use super::pumping::until;
use crate::Control;
use crate::scene::{Scene, must};
use crate::worker::Worker;

/// Messages before the trouble, and after it.
const ENOUGH: usize = 60;
/// Messages of one publish.
const BATCH: u64 = 5;
const PUBLISH_EVERY: Duration = Duration::from_millis(10);
/// How long the trouble lasts.
const TROUBLE: Duration = Duration::from_secs(2);
/// A pump that meets trouble tries again soon.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a publisher was told, and what a handler saw.
#[derive(Default)]
struct Books {
    confirmed: Mutex<BTreeSet<u64>>,
    handled: Mutex<BTreeSet<u64>>,
    /// Publishes that failed, and the longest that one call took.
    failed: AtomicUsize,
    longest: Mutex<Duration>,
    stop: AtomicBool,
}

impl Books {
    fn confirmed(&self) -> usize {
        lock(&self.confirmed).len()
    }

    fn missing(&self) -> BTreeSet<u64> {
        lock(&self.confirmed).difference(&lock(&self.handled)).copied().collect()
    }
}

/// Publishes number after number, each until it is confirmed, until told to stop.
async fn publish_on(publisher: Arc<dyn Publisher>, subscription: Subscription, books: Arc<Books>) {
    let mut next = 0;
    let mut unconfirmed: BTreeSet<u64> = BTreeSet::new();
    while !books.stop.load(Ordering::Relaxed) {
        while unconfirmed.len() < must(usize::try_from(BATCH), "a small number") {
            unconfirmed.insert(next);
            next += 1;
        }
        let numbers: Vec<u64> = unconfirmed.iter().copied().collect();
        let batch = numbers.iter().map(|number| Message::new(number.to_string())).collect();
        let began = Instant::now();
        let answers = publisher.publish(subscription.topic(), batch).await;
        {
            let mut longest = lock(&books.longest);
            *longest = (*longest).max(began.elapsed());
        }
        assert_eq!(answers.len(), numbers.len(), "one answer per message");
        for (number, answer) in numbers.into_iter().zip(answers) {
            match answer {
                Ok(()) => {
                    unconfirmed.remove(&number);
                    lock(&books.confirmed).insert(number);
                }
                Err(error) => {
                    assert!(error.is_retryable(), "trouble passes, and is told so: {error:?}");
                    books.failed.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        sleep(PUBLISH_EVERY).await;
    }
}

/// Publishes and consumes, plays `trouble` in the middle, and sees that nothing confirmed is missing.
async fn stream_through(scene: &Scene, trouble: impl AsyncFnOnce(&dyn Control, &Books)) {
    let control = must(scene.place.control().ok_or("none"), "something to harm");
    let bench = scene.brief().await;
    let elsewhere: Arc<dyn Queue> = scene.place.connect().await;
    let books = Arc::new(Books::default());
    let publishing =
        tokio::spawn(publish_on(elsewhere.publisher(), bench.subscription.clone(), Arc::clone(&books)));
    let noted = Arc::clone(&books);
    let handler = handler_fn(move |message: Message, _: Context| {
        let noted = Arc::clone(&noted);
        async move {
            let number = std::str::from_utf8(&message.body)?.parse()?;
            lock(&noted.handled).insert(number);
            Ok::<_, HandlerError>(())
        }
    });
    let pump = Pump::builder(Arc::clone(&bench.receiver), handler)
        .lease(scene.timing.lease)
        .wait(Duration::from_secs(1))
        .receive_backoff(BACKOFF)
        .nack_backoff(BACKOFF)
        .build();
    let stop = async {
        scene.until("a beginning", || books.confirmed() >= ENOUGH).await;
        trouble(control, &books).await;
        let before = books.confirmed();
        scene.until("publishing goes on", || books.confirmed() >= before + ENOUGH).await;
        books.stop.store(true, Ordering::Relaxed);
        must(publishing.await, "the publisher");
        scene.until("all that was confirmed", || books.missing().is_empty()).await;
    };
    until(async |over| pump.run(over.notified()).await, stop).await;
    let missing = books.missing();
    assert!(missing.is_empty(), "confirmed and never handed out: {missing:?}");
}

pub(super) async fn what_was_confirmed_survives_the_broker(scene: &Scene) {
    stream_through(scene, async |control, _| {
        // Some brokers need a moment between the making of a queue and their death.
        sleep(TROUBLE).await;
        control.harm().await;
        sleep(TROUBLE / 2).await;
        control.heal().await;
    })
    .await;
}

pub(super) async fn a_cut_link_is_made_again(scene: &Scene) {
    stream_through(scene, async |control, _| {
        control.harm().await;
        sleep(TROUBLE).await;
        control.heal().await;
    })
    .await;
}

pub(super) async fn a_half_open_link_is_noticed(scene: &Scene) {
    let notice = scene.timing.notice;
    stream_through(scene, async |control, books| {
        let failed = books.failed.load(Ordering::Relaxed);
        control.swallow().await;
        scene
            .until("a publish that is told that nobody answers", || {
                books.failed.load(Ordering::Relaxed) > failed
            })
            .await;
        let longest = *lock(&books.longest);
        assert!(longest <= notice, "it took {longest:?} to notice, and {notice:?} are allowed");
        control.heal().await;
    })
    .await;
}

/// Two processes, one after the other; the first is killed while it works.
pub(super) async fn a_killed_consumer_loses_nothing(scene: &Scene) {
    const MESSAGES: usize = 60;
    const ENOUGH: usize = 20;
    let bench = scene.brief().await;
    let names: Vec<String> = (0..MESSAGES).map(|number| number.to_string()).collect();
    bench.publish(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let subscription = bench.subscription.clone();
    drop(bench);
    scene.place.leave().await;

    let mut first = Worker::consume(scene, &subscription, MESSAGES).await;
    scene.until("the first consumer works", || first.acked().len() >= ENOUGH).await;
    first.kill().await;
    let acked = first.acked();
    assert!(acked.len() < MESSAGES, "it was killed before it was done");
    let second = Worker::consume(scene, &subscription, 0).await;
    let all: BTreeSet<String> = names.into_iter().collect();
    // What the first had handled and not noted as acked it may have acked all the same: it died in between.
    let begun = first.handled();
    scene
        .until("the second consumer does the rest", || {
            let done = second.acked();
            all.difference(&begun).all(|name| done.contains(name))
        })
        .await;
    // Time in which what was acked would come again.
    scene.elapse(scene.timing.lease * 2).await;
    let twice: Vec<String> = acked.intersection(&second.handled()).cloned().collect();
    assert!(twice.is_empty(), "acked by the first, and handed out again: {twice:?}");
}

/// A process that publishes is killed; what it was told is there.
pub(super) async fn a_killed_publisher_loses_nothing_confirmed(scene: &Scene) {
    const ENOUGH: usize = 100;
    let bench = scene.brief().await;
    let subscription = bench.subscription.clone();
    drop(bench);
    scene.place.leave().await;

    let mut publisher = Worker::publish(scene, &subscription).await;
    scene.until("it publishes", || publisher.confirmed().len() >= ENOUGH).await;
    publisher.kill().await;
    let mut missing = publisher.confirmed();
    assert!(missing.len() >= ENOUGH);
    let bench = scene.brief().await;
    let until = Instant::now() + scene.timing.patience;
    while !missing.is_empty() {
        assert!(Instant::now() < until, "confirmed and never handed out: {missing:?}");
        let found = must(bench.receiver.receive(10, Duration::from_secs(1)).await, "receiving");
        crate::scene::ack(&*bench.receiver, &found).await;
        for delivery in &found {
            missing.remove(&crate::scene::text(delivery));
        }
    }
}
