//! The embedded broker against the suite, and what only it promises.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test, its helpers included, fails by panicking"
)]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use antiphon_queue::conformance::{DurableSubject, Subject, durable, suite};
use antiphon_queue::{
    BoxFuture, EmbeddedQueue, MESSAGES_MAX, Message, Queue, QueueError, Subscription, SubscriptionConfig,
};
use store::SeededWorld;

const NOW_MS: u64 = 1_469_727_000_000;

/// Folders under one that goes away with the test, and the broker opened last.
struct Embedded {
    root: tempfile::TempDir,
    opened: Mutex<Vec<(PathBuf, EmbeddedQueue)>>,
}

impl Embedded {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap(), opened: Mutex::default() }
    }

    async fn open(&self, folder: PathBuf, messages_max: u64) -> Arc<dyn Queue> {
        let queue = open(&folder, messages_max).await.unwrap();
        self.opened.lock().unwrap().push((folder, queue.clone()));
        Arc::new(queue)
    }

    async fn open_next(&self, messages_max: u64) -> Arc<dyn Queue> {
        let number = self.opened.lock().unwrap().len();
        self.open(self.root.path().join(number.to_string()), messages_max).await
    }
}

async fn open(folder: &Path, messages_max: u64) -> Result<EmbeddedQueue, QueueError> {
    EmbeddedQueue::open_with(folder, Arc::new(SeededWorld::new(1, NOW_MS)), messages_max).await
}

impl Subject for Embedded {
    fn fresh(&self) -> BoxFuture<'_, Arc<dyn Queue>> {
        Box::pin(self.open_next(MESSAGES_MAX))
    }

    fn bounded(&self, messages_max: u64) -> BoxFuture<'_, Result<Arc<dyn Queue>, &'static str>> {
        Box::pin(async move { Ok(self.open_next(messages_max).await) })
    }

    fn elapse(&self, time: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::advance(time))
    }
}

impl DurableSubject for Embedded {
    fn reopen(&self, queue: Arc<dyn Queue>) -> BoxFuture<'_, Arc<dyn Queue>> {
        Box::pin(async move {
            drop(queue);
            let (folder, queue) = self.opened.lock().unwrap().pop().unwrap();
            queue.close().await;
            self.open(folder, MESSAGES_MAX).await
        })
    }
}

/// Holds the paused clock still: the store commits on a thread that tokio does not know of, and time must not run away
/// while it works.
struct HeldClock {
    _release: mpsc::Sender<()>,
}

fn hold_clock() -> HeldClock {
    let (release, held) = mpsc::channel::<()>();
    tokio::task::spawn_blocking(move || held.recv().unwrap_err());
    HeldClock { _release: release }
}

#[tokio::test(start_paused = true)]
async fn keeps_the_contract() {
    let _clock = hold_clock();
    suite(&Embedded::new()).await;
}

#[tokio::test(start_paused = true)]
async fn outlives_its_process() {
    let _clock = hold_clock();
    durable(&Embedded::new()).await;
}

fn subscription() -> Subscription {
    "topic/service/site".parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn poison_that_kills_the_process_is_put_aside() {
    let _clock = hold_clock();
    let folder = tempfile::tempdir().unwrap();
    let config = SubscriptionConfig { receives_max: Some(2), ..SubscriptionConfig::default() };
    for life in 0..4 {
        let queue = open(folder.path(), MESSAGES_MAX).await.unwrap();
        let receiver = queue.subscribe(&subscription(), config).await.unwrap();
        if life == 0 {
            queue
                .publisher()
                .publish(subscription().topic(), vec![Message::new("boom")])
                .await
                .remove(0)
                .unwrap();
        }
        let handed = receiver.receive(1, Duration::ZERO).await.unwrap();
        assert_eq!(handed.len(), usize::from(life < 2), "life {life}");
        let letters = queue.dead_letters(&subscription(), None, 9).await.unwrap();
        assert_eq!(letters.len(), usize::from(life >= 2), "life {life}");
        // It dies with the message in its hands.
        drop(receiver);
        queue.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_folder_belongs_to_one_and_a_foreign_one_to_nobody() {
    let _clock = hold_clock();
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path(), MESSAGES_MAX).await.unwrap();
    assert!(matches!(open(folder.path(), MESSAGES_MAX).await, Err(QueueError::Broken(_))), "in use");
    first.close().await;
    open(folder.path(), MESSAGES_MAX).await.unwrap().close().await;

    let foreign = tempfile::tempdir().unwrap();
    std::fs::write(foreign.path().join("letter.txt"), "dear").unwrap();
    let refused = open(foreign.path(), MESSAGES_MAX).await.unwrap_err();
    assert!(matches!(refused, QueueError::Broken(_)));
    assert_eq!(std::fs::read_dir(foreign.path()).unwrap().count(), 1, "nothing was changed");
}

#[tokio::test(start_paused = true)]
async fn calls_after_close_say_that_they_did_nothing() {
    let _clock = hold_clock();
    let folder = tempfile::tempdir().unwrap();
    let queue = open(folder.path(), MESSAGES_MAX).await.unwrap();
    let receiver = queue.subscribe(&subscription(), SubscriptionConfig::default()).await.unwrap();
    let publisher = queue.publisher();
    publisher.publish(subscription().topic(), vec![Message::new("a")]).await.remove(0).unwrap();
    let taken = receiver.receive(1, Duration::ZERO).await.unwrap().remove(0);
    assert_eq!(taken.published_at_ms.unwrap() / 1_000, NOW_MS / 1_000);
    queue.close().await;
    assert!(publisher.publish(subscription().topic(), vec![Message::new("b")]).await[0].is_err());
    assert!(receiver.ack(&[taken.receipt]).await[0].is_err());
}

/// A settlement that is dropped half-way may have reached the disk or not: the message is done or comes again, and
/// nothing else.
#[tokio::test(start_paused = true)]
async fn dropped_calls_leave_nothing_half_done() {
    let _clock = hold_clock();
    let folder = tempfile::tempdir().unwrap();
    let queue = open(folder.path(), MESSAGES_MAX).await.unwrap();
    let config = SubscriptionConfig::default();
    let receiver = queue.subscribe(&subscription(), config).await.unwrap();
    let publisher = queue.publisher();
    let mut dropped = 0;
    for _ in 0..20 {
        let batch = vec![Message::new("a"), Message::new("b"), Message::new("c")];
        for answer in publisher.publish(subscription().topic(), batch).await {
            answer.unwrap();
        }
        let taken = receiver.receive(2, Duration::ZERO).await.unwrap();
        assert_eq!(taken.len(), 2);
        // Each is polled once, which sends its write, and then dropped.
        let dead_letter = receiver.dead_letter(&taken[1].receipt, "why");
        dropped += usize::from(tokio::time::timeout(Duration::ZERO, dead_letter).await.is_err());
        let acks = [taken[0].receipt.clone()];
        dropped += usize::from(tokio::time::timeout(Duration::ZERO, receiver.ack(&acks)).await.is_err());
        dropped += usize::from(
            tokio::time::timeout(Duration::ZERO, receiver.receive(9, config.lease)).await.is_err(),
        );
        tokio::time::advance(config.lease * 2).await;
        loop {
            let left = receiver.receive(9, Duration::ZERO).await.unwrap();
            if left.is_empty() {
                break;
            }
            for answer in receiver.ack(&left.into_iter().map(|left| left.receipt).collect::<Vec<_>>()).await {
                answer.unwrap();
            }
        }
        let depth = receiver.depth().await.unwrap();
        assert_eq!((depth.ready, depth.in_flight, depth.delayed), (0, 0, 0));
    }
    assert!(dropped > 0, "the disk is not that fast");
    assert_eq!(queue.dead_letters(&subscription(), None, 99).await.unwrap().len(), 20, "the write was sent");
}
