//! What only the embedded broker promises. (What every broker owes is tested by `antiphon-conformance`.)

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test, its helpers included, fails by panicking"
)]

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use antiphon_queue::{
    EmbeddedQueue, MESSAGES_MAX, Message, Queue, QueueError, Subscription, SubscriptionConfig,
};
use store::SeededWorld;

const NOW_MS: u64 = 1_469_727_000_000;

async fn open(folder: &Path, messages_max: u64) -> Result<EmbeddedQueue, QueueError> {
    EmbeddedQueue::open_with(folder, Arc::new(SeededWorld::new(1, NOW_MS)), messages_max).await
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
