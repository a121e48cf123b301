//! Two stores that hear each other over a queue that does its worst.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests, where a panic is the verdict")]

use antiphon_choreography::kept::{self, StoreDeadLetters};
use antiphon_choreography::{Merge, Relay, announcement};
use consumer::{Backoff, DefaultStack, Layer, Pump};
use lattice::{Epoch, Tally};
use messages::{Fact, Group, PartId, Profile, ProfileFact, TallyFact, TallyKey, UserId};
use queue::{
    BoxFuture, Envelope, Faults, Faulty, MemoryQueue, Message, PublishError, Publisher, Queue, Subscription,
    SubscriptionConfig, Topic,
};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use store::{Abort, Memory, Row, SeededWorld, Setup, Store};

struct Tallies;
impl Row for Tallies {
    const TAG: u8 = 0x11;
    const NAME: &'static str = "tally";
    type Key = TallyKey;
    type State = Tally;
}

struct Profiles;
impl Row for Profiles {
    const TAG: u8 = 0x12;
    const NAME: &'static str = "profile";
    type Key = UserId;
    type State = Profile;
}

const DEPLOYMENT: &str = "00000000000000000000000000000001";

fn store(service: &str, engine: Memory, seed: u64) -> Store {
    let world = Arc::new(SeededWorld::new(seed, 1_700_000_000_000));
    Store::open(engine, world, &Setup::of(service).in_deployment(DEPLOYMENT)).unwrap()
}

fn subscription<F: Fact>() -> Subscription {
    Subscription::new(Topic::new(F::TOPIC).unwrap(), "stories", "main").unwrap()
}

async fn count(store: &Store, part: u8) {
    let key =
        TallyKey { group: Group::Part(PartId::from_bytes([part; 16])), replica: store.identity().replica };
    let counted = store.write(move |view| {
        let stored = view.get::<Tallies>(&key)?;
        let mut tally = stored.unwrap_or_else(|| Tally::opened(Epoch { generation: 0, owner: key.replica }));
        view.join::<Tallies>(&key, tally.added_one())?;
        view.mark::<Tallies>(TallyFact::TOPIC, &key)?;
        Ok::<_, Abort<Infallible>>(())
    });
    counted.await.unwrap();
}

async fn tallies(store: &Store) -> BTreeMap<TallyKey, Tally> {
    let scan = store::Scan::prefix(&[Tallies::TAG]);
    store.reader().unwrap().rows::<Tallies>(&scan).await.unwrap().into_iter().collect()
}

/// What one process does: rounds of the relay and of the pump until nothing is left.
async fn settle(from: &Store, to: &Store, queue: &dyn Queue, seed: u64) {
    let relay = Relay::new(from.clone(), queue.publisher()).announcing::<TallyFact, Tallies>().unwrap();
    let receiver =
        queue.subscribe(&subscription::<TallyFact>(), SubscriptionConfig::default()).await.unwrap();
    let handler = DefaultStack::new(seed).layer(Merge::<TallyFact, Tallies>::new(to.clone()));
    let mut pump = Pump::builder(Arc::clone(&receiver), handler)
        .nack_backoff(Backoff::new(Duration::from_millis(10), Duration::from_millis(50)))
        .seed(seed)
        .build();
    for _ in 0..10_000 {
        // A refused round leaves its marks: the next one is it again.
        relay.step().await.map(drop).unwrap_or_default();
        pump.step().await.unwrap();
        let depth = receiver.depth().await.unwrap();
        if from.outbox_depth() == (0, false) && depth.ready + depth.in_flight + depth.delayed == 0 {
            return;
        }
        tokio::time::advance(Duration::from_millis(500)).await;
    }
    panic!("seed {seed}: it never became quiet");
}

#[tokio::test(start_paused = true)]
async fn counts_agree_once_it_is_quiet_whatever_the_queue_does() {
    let mut played = [0; 6];
    for seed in 0..10 {
        let (comments, stories) =
            (store("comments", Memory::new(), seed), store("stories", Memory::new(), seed + 100));
        let queue = Faulty::new(MemoryQueue::new(), Faults::hostile(seed));
        queue.subscribe(&subscription::<TallyFact>(), SubscriptionConfig::default()).await.unwrap();
        for round in 0..20 {
            for n in 0..10_u8 {
                count(&comments, (n + round) % 7).await;
            }
            settle(&comments, &stories, &queue, seed).await;
            assert_eq!(tallies(&comments).await, tallies(&stories).await, "seed {seed}, round {round}");
        }
        let total: u64 = tallies(&stories).await.values().map(Tally::value).sum();
        assert_eq!(total, 200, "seed {seed}");
        let counts = queue.counts();
        let faults = [
            counts.duplicated,
            counts.reordered,
            counts.delayed,
            counts.refused_before,
            counts.refused_after,
            counts.acks_lost,
        ];
        played = std::array::from_fn(|n| played[n] + faults[n]);
    }
    assert!(played.iter().all(|times| *times > 0), "every fault was played: {played:?}");
}

#[tokio::test(start_paused = true)]
async fn a_row_that_changed_a_thousand_times_costs_one_message() {
    let comments = store("comments", Memory::new(), 1);
    let queue = MemoryQueue::new();
    let receiver =
        queue.subscribe(&subscription::<TallyFact>(), SubscriptionConfig::default()).await.unwrap();
    for _ in 0..1000 {
        count(&comments, 1).await;
    }
    let relay = Relay::new(comments.clone(), queue.publisher()).announcing::<TallyFact, Tallies>().unwrap();
    let round = relay.step().await.unwrap();
    assert_eq!((round.messages, round.rows), (1, 1));
    assert_eq!(receiver.depth().await.unwrap().ready, 1);
    assert_eq!(relay.step().await.unwrap().messages, 0, "its mark is cleared");
}

#[tokio::test(start_paused = true)]
async fn a_row_that_cannot_be_read_holds_up_no_other() {
    let comments = store("comments", Memory::new(), 1);
    let queue = MemoryQueue::new();
    let receiver =
        queue.subscribe(&subscription::<TallyFact>(), SubscriptionConfig::default()).await.unwrap();
    for part in [1, 2, 3] {
        count(&comments, part).await;
    }
    let key =
        TallyKey { group: Group::Part(PartId::from_bytes([2; 16])), replica: comments.identity().replica };
    let damaged = comments.write(move |view| {
        view.set(store::key::of::<Tallies>(&key), b"rubbish".to_vec());
        Ok::<_, Abort<Infallible>>(())
    });
    damaged.await.unwrap();
    let relay = Relay::new(comments.clone(), queue.publisher()).announcing::<TallyFact, Tallies>().unwrap();
    for _ in 0..2 {
        let error = relay.step().await.unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.starts_with("row tally at key 11") && source.contains("cannot be read"), "{source}");
        assert_eq!(comments.outbox_depth(), (1, false), "the others are announced, and it stays marked");
    }
    assert_eq!(receiver.depth().await.unwrap().ready, 1, "both in one message, once");
    // News goes out as it comes, and not when the pause of a failing relay is over.
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(relay.run(async { drop(stopped.await) }));
    for n in 2..12 {
        let began = tokio::time::Instant::now();
        count(&comments, 3).await;
        while receiver.depth().await.unwrap().ready < n {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(began.elapsed() < Duration::from_millis(40), "{:?}", began.elapsed());
        // Virtual time, in which nothing is said: a relay that took the row for a failure would now pause at its longest.
        tokio::time::sleep(Duration::from_secs(30)).await;
    }
    stop.send(()).unwrap();
    running.await.unwrap();
}

/// The publisher of a broker that takes less than an envelope allows.
#[derive(Debug)]
struct Narrow {
    inner: Arc<dyn Publisher>,
    bytes_max: usize,
}

impl Publisher for Narrow {
    fn publish<'a>(
        &'a self,
        topic: &'a Topic,
        batch: Vec<Message>,
    ) -> BoxFuture<'a, Vec<Result<(), PublishError>>> {
        Box::pin(async move {
            let mut answers = Vec::new();
            for message in batch {
                let (bytes, bytes_max) = (message.size_bytes(), self.bytes_max);
                if bytes > bytes_max {
                    answers.push(Err(PublishError::TooLarge { bytes, bytes_max, limit: "a test" }));
                } else {
                    answers.extend(self.inner.publish(topic, vec![message]).await);
                }
            }
            answers
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_takes_less_gets_the_group_in_pieces() {
    let (queue, from) = (MemoryQueue::new(), store("comments", Memory::new(), 1));
    let receiver =
        queue.subscribe(&subscription::<TallyFact>(), SubscriptionConfig::default()).await.unwrap();
    for part in 0..40 {
        count(&from, part).await;
    }
    let narrow = |bytes_max| Arc::new(Narrow { inner: queue.publisher(), bytes_max });
    let relay = Relay::new(from.clone(), narrow(2_000)).announcing::<TallyFact, Tallies>().unwrap();
    let round = relay.step().await.unwrap();
    assert!(round.rows == 40 && round.messages > 1, "{round:?}");
    let to = store("stories", Memory::new(), 2);
    settle(&from, &to, &queue, 3).await;
    assert_eq!(tallies(&to).await, tallies(&from).await);
    assert_eq!(receiver.depth().await.unwrap().dead, 0);

    // A row that fits nowhere stays marked, and is told.
    count(&from, 1).await;
    let relay = Relay::new(from.clone(), narrow(10)).announcing::<TallyFact, Tallies>().unwrap();
    let refusal = relay.step().await.unwrap_err().to_string();
    assert!(refusal.starts_with("1 of 1 messages"), "{refusal}");
    assert_eq!(from.outbox_depth().0, 1);
}

#[tokio::test(start_paused = true)]
async fn many_rows_are_split_into_messages_and_all_arrive() {
    let (comments, stories) = (store("comments", Memory::new(), 1), store("stories", Memory::new(), 2));
    let queue = MemoryQueue::new();
    queue.subscribe(&subscription::<TallyFact>(), SubscriptionConfig::default()).await.unwrap();
    for n in 0..=u8::MAX {
        count(&comments, n).await;
    }
    count(&comments, 0).await;
    let relay = Relay::new(comments.clone(), queue.publisher()).announcing::<TallyFact, Tallies>().unwrap();
    assert_eq!(relay.step().await.unwrap().messages, 1, "256 rows fit one message");
    settle(&comments, &stories, &queue, 1).await;
    assert_eq!(tallies(&comments).await, tallies(&stories).await);
}

/// What cannot be understood is kept whole, once, with its reason; what follows it flows on; and it is merged by the
/// start that understands it.
#[tokio::test(start_paused = true)]
async fn what_is_not_understood_is_kept_and_understood_later() {
    let disk = Memory::new();
    let stories = store("stories", disk.clone(), 2);
    let queue = MemoryQueue::new();
    let subscription = subscription::<ProfileFact>();
    let receiver = queue.subscribe(&subscription, SubscriptionConfig::default()).await.unwrap();
    let profile = BTreeMap::from([(UserId::from_bytes([7; 16]), Profile::default())]);
    let elsewhere = announcement::<ProfileFact>("1", "0000000000000000000000000000000f", &profile).unwrap();
    let batch = vec![
        Message::new(&b"\xff not even text"[..]),
        Message::new(&b"{}"[..]),
        Message::new(&b"{}"[..]),
        elsewhere,
        announcement::<TallyFact>("2", DEPLOYMENT, &BTreeMap::new()).unwrap(),
        announcement::<ProfileFact>("3", DEPLOYMENT, &profile).unwrap(),
    ];
    let answers = queue.publisher().publish(subscription.topic(), batch).await;
    assert!(answers.iter().all(Result::is_ok));
    let merge = Merge::<ProfileFact, Profiles>::new(stories.clone());
    let mut pump = Pump::builder(Arc::clone(&receiver), merge.clone())
        .dead_letters(StoreDeadLetters::new(stories.clone(), subscription.clone()))
        .build();
    // The paused clock runs ahead of the store's thread, so a call may time out here and be made again.
    let mut left = receiver.depth().await.unwrap();
    for _ in 0..1000 {
        pump.step().await.unwrap();
        tokio::time::advance(Duration::from_secs(10)).await;
        left = receiver.depth().await.unwrap();
        if left.ready + left.in_flight + left.delayed == 0 {
            break;
        }
    }
    assert_eq!((left.ready, left.in_flight, left.delayed, left.dead), (0, 0, 0, 0), "all of it was settled");

    let kept = kept::list(&stories, None, 10).await.unwrap();
    let mut reasons: Vec<_> = kept.iter().map(|(_, kept)| kept.reason.clone()).collect();
    reasons.sort();
    assert_eq!(kept::depth(&stories).await.unwrap(), 4, "the same bytes are kept once: {reasons:?}");
    for part in ["deployment", "is not \"antiphon.users.profile.v1\"", "JSON"] {
        assert!(reasons.iter().any(|reason| reason.contains(part)), "{part}: {reasons:?}");
    }
    stories.clone().close().await;
    drop((pump, merge, stories));

    let stories = store("stories", disk, 3);
    assert_eq!(kept::depth(&stories).await.unwrap(), 4, "kept over a restart");
    let upgraded = consumer::handler_fn(async |message: Message, _context| {
        if message.body.starts_with(b"{}") {
            Ok(())
        } else {
            Err(consumer::HandlerError::poison("still not"))
        }
    });
    assert_eq!(kept::retry(&stories, &subscription, &upgraded).await.unwrap(), 1);
    assert_eq!(kept::depth(&stories).await.unwrap(), 3);
}

/// Only what brought something new is counted, and as old as the oldest change that it brought.
#[tokio::test(start_paused = true)]
async fn the_lag_is_that_of_news() {
    let (comments, stories) = (store("comments", Memory::new(), 1), store("stories", Memory::new(), 2));
    let queue = MemoryQueue::new();
    let receiver =
        queue.subscribe(&subscription::<TallyFact>(), SubscriptionConfig::default()).await.unwrap();
    let merge = Merge::<TallyFact, Tallies>::new(stories.clone());
    let lag = merge.lag();
    let mut pump = Pump::builder(Arc::clone(&receiver), DefaultStack::new(1).layer(merge.clone())).build();
    for part in [1, 2, 2] {
        count(&comments, part).await;
    }
    let relay = Relay::new(comments.clone(), queue.publisher()).announcing::<TallyFact, Tallies>().unwrap();
    relay.step().await.unwrap();
    while receiver.depth().await.unwrap().ready > 0 {
        pump.step().await.unwrap();
    }
    let since_start = lag.since_start();
    assert_eq!(since_start.count(), 2, "two rows grew");
    let now_ms = stories.world().now_ms();
    assert_eq!(lag.last_hour(now_ms), since_start);
    // The same once more, an hour late: nobody waited for it. With it comes something new, and that is as old.
    count(&comments, 3).await;
    for (known, counted) in [(tallies(&stories).await, 2), (tallies(&comments).await, 3)] {
        let again = announcement::<TallyFact>("again", DEPLOYMENT, &known).unwrap();
        let again = Message::new(Envelope::decode(&again.body).unwrap().at(now_ms - 3_600_000).encode());
        queue.publisher().publish(&Topic::new(TallyFact::TOPIC).unwrap(), vec![again]).await;
        while receiver.depth().await.unwrap().ready > 0 {
            pump.step().await.unwrap();
        }
        assert_eq!(lag.since_start().count(), counted);
    }
    assert!(lag.since_start().max_ms() >= 3_600_000);
}
