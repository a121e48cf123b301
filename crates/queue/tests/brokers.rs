//! Proof that every fault is really played, and what only the broker in memory promises.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test, its helpers included, fails by panicking"
)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use antiphon_queue::{
    AckError, Clock, Depth, FaultCounts, Faults, Faulty, MemoryQueue, Message, Queue, Receiver, Subscription,
    SubscriptionConfig, TOPICS_COUNTED_MAX, Topic,
};

fn subscription() -> Subscription {
    "topic/service/site".parse().unwrap()
}

/// Publishes `count` messages until each was answered `Ok`, and receives until nothing is left. Returns what came, in
/// order, and what was played.
async fn play(faults: Faults, count: u32) -> (Vec<u32>, FaultCounts) {
    let queue = Faulty::new(MemoryQueue::new(), faults);
    let receiver = queue.subscribe(&subscription(), SubscriptionConfig::default()).await.unwrap();
    let publisher = queue.publisher();
    for number in 0..count {
        let message = Message::new(number.to_be_bytes().to_vec());
        while publisher.publish(subscription().topic(), vec![message.clone()]).await[0].is_err() {}
    }
    let mut came = Vec::new();
    while queue.inner().subscriptions().await.unwrap()[0].1 != Depth::default() {
        for delivery in receiver.receive(7, Duration::from_secs(20)).await.unwrap() {
            came.push(u32::from_be_bytes(delivery.message.body[..].try_into().unwrap()));
            while let [Err(AckError::Queue(_))] =
                receiver.ack(std::slice::from_ref(&delivery.receipt)).await[..]
            {}
        }
    }
    (came, queue.counts())
}

const COUNT: u32 = 500;

#[tokio::test(start_paused = true)]
async fn without_faults_everything_comes_once_and_in_order() {
    let (came, counts) = play(Faults::none(), COUNT).await;
    assert_eq!(came, (0..COUNT).collect::<Vec<_>>());
    assert_eq!(counts, FaultCounts::default());
}

#[tokio::test(start_paused = true)]
async fn a_hostile_queue_plays_everything_and_loses_nothing() {
    for seed in 0..20 {
        let (came, counts) = play(Faults::hostile(seed), COUNT).await;
        let distinct: BTreeSet<u32> = came.iter().copied().collect();
        assert_eq!(distinct.len(), 500, "seed {seed}: every message came");
        assert!(came.len() > 500, "seed {seed}: some came twice");
        assert!(!came.is_sorted(), "seed {seed}: some overtook others");
        let FaultCounts {
            duplicated,
            reordered,
            delayed,
            refused_before,
            refused_after,
            dropped,
            acks_lost,
            ..
        } = counts;
        let played = [duplicated, reordered, delayed, refused_before, refused_after, acks_lost];
        assert!(played.iter().all(|times| *times > 10), "seed {seed}: {counts:?}");
        assert_eq!(dropped, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_seed_decides_everything() {
    assert_eq!(play(Faults::hostile(7), COUNT).await, play(Faults::hostile(7), COUNT).await);
    assert_ne!(play(Faults::hostile(7), COUNT).await.0, play(Faults::hostile(8), COUNT).await.0);
}

#[tokio::test(start_paused = true)]
async fn each_fault_does_what_it_says() {
    let certain = Faults::none();

    let (came, counts) = play(Faults { duplicate: 1.0, ..certain }, 10).await;
    assert_eq!((came.len(), counts.duplicated), (20, 10));

    let (came, counts) = play(Faults { drop: 1.0, ..certain }, 10).await;
    assert_eq!((came.len(), counts.dropped), (0, 10));

    let (came, counts) = play(Faults { reorder: 0.5, ..certain }, 100).await;
    assert!(!came.is_sorted() && came.len() == 100 && counts.reordered > 0);

    let delay = Faults { delay: 0.5, delay_max: Duration::from_mins(1), ..certain };
    let began = tokio::time::Instant::now();
    let (came, counts) = play(delay, 100).await;
    assert!(!came.is_sorted() && came.len() == 100 && counts.delayed > 0);
    assert!(began.elapsed() > Duration::from_secs(30), "delays take their time");

    let (came, counts) = play(Faults { publish_fails_before: 0.5, ..certain }, 100).await;
    assert!(came.len() == 100 && counts.refused_before > 0, "refused before: nothing was accepted");

    let (came, counts) = play(Faults { publish_fails_after_accept: 0.5, ..certain }, 100).await;
    assert_eq!(came.len() as u64, 100 + counts.refused_after, "each error is one copy more");

    let (came, counts) = play(Faults { ack_lost: 0.5, ..certain }, 100).await;
    assert!(came.len() == 100 && counts.acks_lost > 0, "acked again while the lease lives");
}

/// Publishes `count` messages one by one, and tells which of them were answered `Ok`.
async fn answers(queue: &impl Queue, topic: &Topic, count: usize) -> Vec<bool> {
    let mut answers = Vec::new();
    for _ in 0..count {
        let answer = queue.publisher().publish(topic, vec![Message::new("a")]).await;
        answers.push(answer[0].is_ok());
    }
    answers
}

#[tokio::test(start_paused = true)]
async fn faults_are_turned_while_it_runs_and_counted_by_topic() {
    let queue = Faulty::new(MemoryQueue::new(), Faults::none());
    let dials = queue.dials();
    let (one, other): (Topic, Topic) = ("one".parse().unwrap(), "other".parse().unwrap());
    let heard = "one/service/site".parse().unwrap();
    let receiver = queue.subscribe(&heard, SubscriptionConfig::default()).await.unwrap();
    let ready = async || receiver.depth().await.unwrap().ready;

    answers(&queue, &one, 10).await;
    assert_eq!((ready().await, dials.counts()), (10, FaultCounts::default()));
    dials.turn(Faults { drop: 1.0, ..dials.faults() });
    answers(&queue, &one, 10).await;
    assert_eq!((ready().await, dials.counts().dropped), (10, 10), "from the next message on");
    dials.turn(Faults { duplicate: 1.0, ..Faults::none() });
    answers(&queue, &one, 5).await;
    answers(&queue, &other, 3).await;
    dials.turn(Faults::none());
    answers(&queue, &one, 1).await;
    assert_eq!(ready().await, 21, "and back");

    let counts = queue.counts();
    assert_eq!((counts.dropped, counts.duplicated), (10, 8), "the sum over topics");
    let by_topic = dials.counts_by_topic();
    assert_eq!((by_topic[&one].dropped, by_topic[&one].duplicated), (10, 5));
    assert_eq!((by_topic[&other].dropped, by_topic[&other].duplicated), (0, 3));
}

#[tokio::test(start_paused = true)]
async fn turning_a_dial_moves_no_other_throw() {
    let (topic, faults) = ("topic".parse().unwrap(), Faults { publish_fails_before: 0.5, ..Faults::none() });
    let turned = async |there: Faults| {
        let queue = Faulty::new(MemoryQueue::new(), Faults { seed: 7, ..faults });
        let mut all = answers(&queue, &topic, 20).await;
        queue.dials().turn(there);
        answers(&queue, &topic, 20).await;
        queue.dials().turn(Faults { seed: 1_000, ..faults });
        all.extend(answers(&queue, &topic, 20).await);
        all
    };
    let calm = turned(Faults::none()).await;
    assert_eq!(calm, turned(Faults { drop: 1.0, duplicate: 0.5, ..faults }).await);
    assert!(calm.contains(&true) && calm.contains(&false));
}

#[tokio::test(start_paused = true)]
async fn only_so_many_topics_are_counted_apart() {
    let queue = Faulty::new(MemoryQueue::new(), Faults { drop: 1.0, ..Faults::none() });
    for number in 0..TOPICS_COUNTED_MAX + 5 {
        answers(&queue, &format!("t{number}").parse().unwrap(), 1).await;
    }
    assert_eq!(queue.dials().counts_by_topic().len(), TOPICS_COUNTED_MAX);
    assert_eq!(queue.counts().dropped, TOPICS_COUNTED_MAX as u64 + 5, "and all of them in the sum");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_receive_loses_nothing() {
    let queue = MemoryQueue::new();
    let receiver = queue.subscribe(&subscription(), SubscriptionConfig::default()).await.unwrap();
    for _ in 0..3 {
        let waiting = receiver.receive(10, Duration::from_secs(20));
        assert!(tokio::time::timeout(Duration::from_secs(1), waiting).await.is_err(), "nothing to receive");
    }
    queue.publisher().publish(subscription().topic(), vec![Message::new("a")]).await.remove(0).unwrap();
    drop(receiver.receive(10, Duration::from_secs(20)));
    assert_eq!(receiver.receive(10, Duration::ZERO).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn messages_are_stamped_by_the_clock() {
    let queue = MemoryQueue::with(Clock::starting_at(5_000), 10);
    let receiver: Arc<dyn Receiver> =
        queue.subscribe(&subscription(), SubscriptionConfig::default()).await.unwrap();
    tokio::time::advance(Duration::from_secs(2)).await;
    queue.publisher().publish(subscription().topic(), vec![Message::new("a")]).await.remove(0).unwrap();
    assert_eq!(receiver.receive(1, Duration::ZERO).await.unwrap()[0].published_at_ms, Some(7_000));
}
