//! What every case is made of: a place with one subscription, and the few things that are done to it.

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use queue::{
    AckError, Delivery, Depth, Lease, Message, PublishError, Publisher, Queue, Receiver, Subscription,
    SubscriptionConfig,
};
use tokio::time::{Instant, sleep, timeout};

use crate::{Place, Subject, Timing};

/// Longest single wait of a receive.
const WAIT: Duration = Duration::from_secs(5);
/// How often a state that must come is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Where a case plays.
pub struct Scene {
    /// What is tested.
    pub subject: Arc<dyn Subject>,
    /// Where nothing is yet.
    pub place: Box<dyn Place>,
    /// How long things take there.
    pub timing: Timing,
    /// The executable that consumes in another process.
    pub worker: PathBuf,
}

impl Debug for Scene {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scene").field("subject", &self.subject.name()).finish_non_exhaustive()
    }
}

/// A connection with one subscription.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) publisher: Arc<dyn Publisher>,
    pub(crate) receiver: Arc<dyn Receiver>,
    pub(crate) subscription: Subscription,
    pub(crate) timing: Timing,
}

impl Scene {
    /// A lease that ends soon.
    pub(crate) fn config(&self) -> SubscriptionConfig {
        SubscriptionConfig { lease: self.timing.lease, ..SubscriptionConfig::default() }
    }

    /// A lease that outlives all patience: what comes before its end was given back.
    pub(crate) fn long_lease(&self) -> SubscriptionConfig {
        SubscriptionConfig { lease: self.timing.patience * 4, ..SubscriptionConfig::default() }
    }

    /// With a lease that does not end, however slow the machine.
    pub(crate) async fn bench(&self) -> Bench {
        self.bench_with(self.long_lease()).await
    }

    /// With a lease that ends soon.
    pub(crate) async fn brief(&self) -> Bench {
        self.bench_with(self.config()).await
    }

    pub(crate) async fn bench_with(&self, config: SubscriptionConfig) -> Bench {
        let queue = self.place.connect().await;
        let subscription = subscription("service");
        let receiver = must(queue.subscribe(&subscription, config).await, "subscribing");
        Bench { publisher: queue.publisher(), queue, receiver, subscription, timing: self.timing }
    }

    pub(crate) async fn elapse(&self, time: Duration) {
        sleep(time).await;
    }

    /// Waits until `holds`.
    ///
    /// Panics if it does not hold within three times the patience.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let waiting = async {
            while !holds() {
                sleep(LOOK_EVERY).await;
            }
        };
        self.within(what, waiting).await;
    }

    /// The output of `future`.
    ///
    /// Panics if that takes longer than three times the patience.
    pub(crate) async fn within<T>(&self, what: &str, future: impl Future<Output = T>) -> T {
        let bound = self.timing.patience * 3;
        match timeout(bound, future).await {
            Ok(output) => output,
            Err(elapsed) => panic!("{what}: not within {bound:?}: {elapsed}"),
        }
    }
}

pub(crate) fn must<T, E: Debug>(result: Result<T, E>, what: &str) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{what}: {error:?}"),
    }
}

pub(crate) fn subscription(service: &str) -> Subscription {
    must(format!("topic/{service}/site").parse(), "a legal name")
}

impl Bench {
    pub(crate) async fn publish(&self, bodies: &[&str]) {
        publish(&*self.publisher, &self.subscription, bodies).await;
    }

    pub(crate) async fn take(&self, count: usize) -> Vec<Delivery> {
        take(&*self.receiver, count, self.timing.patience).await
    }

    pub(crate) async fn take_one(&self) -> Delivery {
        must(self.take(1).await.pop().ok_or(()), "one delivery")
    }

    /// Takes `count`, acking what comes as it comes: they may come further apart than a lease is long.
    pub(crate) async fn finish(&self, count: usize) -> Vec<Delivery> {
        let until = Instant::now() + self.timing.patience;
        let mut done = Vec::new();
        while done.len() < count && Instant::now() < until {
            let found = must(self.receiver.receive(count - done.len(), WAIT).await, "receiving");
            ack(&*self.receiver, &found).await;
            done.extend(found);
        }
        assert_eq!(done.len(), count, "deliveries that must come; these did: {:?}", bodies(&done));
        done
    }

    pub(crate) async fn expect_nothing(&self, when: &str) {
        expect_nothing(&*self.receiver, self.timing, when).await;
    }

    /// Waits until the broker counts so: ready, in flight, delayed, dead. Brokers count approximately, and late.
    pub(crate) async fn expect_depth(&self, expected: (u64, u64, u64, u64)) -> Depth {
        let until = Instant::now() + self.timing.patience;
        loop {
            let depth = must(self.receiver.depth().await, "depth");
            let counted = (depth.ready, depth.in_flight, depth.delayed, depth.dead);
            if counted == expected {
                return depth;
            }
            assert!(Instant::now() < until, "{counted:?} are counted and {expected:?} are there");
            sleep(LOOK_EVERY).await;
        }
    }

    pub(crate) async fn expect_dead(&self, count: u64) {
        let until = Instant::now() + self.timing.patience;
        loop {
            let dead = must(self.receiver.depth().await, "depth").dead;
            if dead == count {
                return;
            }
            assert!(Instant::now() < until, "{dead} dead letters are counted and {count} are there");
            sleep(LOOK_EVERY).await;
        }
    }
}

pub(crate) async fn expect_nothing(receiver: &dyn Receiver, timing: Timing, when: &str) {
    let found = must(receiver.receive(10, timing.glance).await, "receiving");
    assert!(found.is_empty(), "{when}: {found:?} was handed out");
}

pub(crate) async fn publish(publisher: &dyn Publisher, subscription: &Subscription, bodies: &[&str]) {
    let batch = bodies.iter().map(|body| Message::new(Bytes::copy_from_slice(body.as_bytes()))).collect();
    let answers = publisher.publish(subscription.topic(), batch).await;
    assert_eq!(answers.len(), bodies.len(), "one answer per message");
    for answer in answers {
        must(answer, "publishing");
    }
}

/// Receives until `count` deliveries have come.
pub(crate) async fn take(receiver: &dyn Receiver, count: usize, patience: Duration) -> Vec<Delivery> {
    let until = Instant::now() + patience;
    let mut taken = Vec::new();
    while taken.len() < count {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        let missing = count - taken.len();
        let found = must(receiver.receive(missing, left.min(WAIT)).await, "receiving");
        assert!(found.len() <= missing, "asked for {missing}, got {}", found.len());
        taken.extend(found);
    }
    let came = bodies(&taken);
    assert_eq!(taken.len(), count, "deliveries that must come; these did: {came:?}");
    taken
}

pub(crate) async fn ack(receiver: &dyn Receiver, deliveries: &[Delivery]) {
    let receipts: Vec<_> = deliveries.iter().map(|delivery| delivery.receipt.clone()).collect();
    let answers = receiver.ack(&receipts).await;
    assert_eq!(answers.len(), receipts.len(), "one answer per receipt");
    for answer in answers {
        must(answer, "acking");
    }
}

pub(crate) fn bodies(deliveries: &[Delivery]) -> Vec<String> {
    let mut bodies: Vec<_> = deliveries.iter().map(text).collect();
    bodies.sort();
    bodies
}

pub(crate) fn text(delivery: &Delivery) -> String {
    String::from_utf8_lossy(&delivery.message.body).into_owned()
}

pub(crate) fn is_lost<T: Debug>(answer: &Result<T, AckError>) -> bool {
    matches!(answer, Err(AckError::LeaseLost))
}

pub(crate) fn is_too_large<T>(answer: &Result<T, PublishError>) -> bool {
    matches!(answer, Err(PublishError::TooLarge { .. }))
}

pub(crate) fn one<T>(mut answers: Vec<T>) -> T {
    assert_eq!(answers.len(), 1, "one answer per receipt");
    must(answers.pop().ok_or(()), "one answer")
}

pub(crate) fn ends(lease: Lease) -> Instant {
    must(lease.expires_at.ok_or(()), "a bounded lease")
}
