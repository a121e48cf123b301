//! One suite that every broker passes. Call [`suite`] from a test of yours, and [`durable`] if your broker survives its
//! process.
//!
//! Each scenario has a broker of its own. Nothing is excused silently: what a broker cannot do it declares with its
//! reason, which is printed. The brokers of this crate declare nothing.

#![expect(clippy::panic, clippy::indexing_slicing, reason = "a suite fails by panicking, like any test")]

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::{
    AckError, BoxFuture, Delivery, ENVELOPE_BYTES_MAX, Lease, Message, PublishError, Publisher, Queue,
    QueueError, Receiver, Subscription, SubscriptionConfig,
};

mod durable;
mod settling;
mod sharing;

pub use durable::{DurableSubject, durable};

/// A broker to be tested.
pub trait Subject: Sync {
    /// A broker without subscriptions.
    fn fresh(&self) -> BoxFuture<'_, Arc<dyn Queue>>;

    /// A broker that holds at most `messages_max` per subscription, or why there is none.
    fn bounded(&self, messages_max: u64) -> BoxFuture<'_, Result<Arc<dyn Queue>, &'static str>>;

    /// Lets `time` pass. The default sleeps, which a paused clock skips. If your broker works on threads that tokio does
    /// not know of, hold a paused clock still and advance it here instead, or it runs away while they work.
    fn elapse(&self, time: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(time))
    }
}

/// The lease of every scenario.
const LEASE: Duration = Duration::from_secs(10);
/// How long a scenario waits for what must come.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many receives may come back empty before what must come is missing.
const ROUNDS_MAX: usize = 100;

/// Everything that every broker owes.
///
/// # Panics
/// If the broker does not keep the contract.
pub async fn suite(subject: &impl Subject) {
    settling::nothing_acked_comes_back(subject).await;
    settling::what_is_not_acked_comes_back(subject).await;
    settling::extending_keeps_it(subject).await;
    settling::nothing_works_after_a_lost_lease(subject).await;
    settling::a_nack_delays(subject).await;
    settling::receive_counts_grow(subject).await;
    settling::dead_letters_keep_their_reason(subject).await;
    settling::dead_after_n_receives(subject).await;
    settling::depth_counts_each_once(subject).await;
    sharing::fans_out(subject).await;
    sharing::receivers_share(subject).await;
    sharing::a_long_poll_wakes(subject).await;
    sharing::bodies_are_bytes(subject).await;
    sharing::the_largest_passes_and_no_larger(subject).await;
    sharing::full_is_said(subject).await;
    sharing::requests_are_checked(subject).await;
}

/// A scenario's broker with one subscription.
struct Bench {
    queue: Arc<dyn Queue>,
    publisher: Arc<dyn Publisher>,
    receiver: Arc<dyn Receiver>,
    subscription: Subscription,
}

fn must<T, E: Debug>(result: Result<T, E>, what: &str) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{what}: {error:?}"),
    }
}

fn subscription(service: &str) -> Subscription {
    must(format!("topic/{service}/site").parse(), "a legal name")
}

fn config() -> SubscriptionConfig {
    SubscriptionConfig { lease: LEASE, ..SubscriptionConfig::default() }
}

async fn bench_with(queue: Arc<dyn Queue>, config: SubscriptionConfig) -> Bench {
    let subscription = subscription("service");
    let receiver = must(queue.subscribe(&subscription, config).await, "subscribing");
    Bench { publisher: queue.publisher(), queue, receiver, subscription }
}

async fn bench(subject: &impl Subject) -> Bench {
    bench_with(subject.fresh().await, config()).await
}

impl Bench {
    async fn publish(&self, bodies: &[&str]) {
        publish(&*self.publisher, &self.subscription, bodies).await;
    }

    async fn take(&self, count: usize) -> Vec<Delivery> {
        take(&*self.receiver, count).await
    }

    async fn take_one(&self) -> Delivery {
        must(self.take(1).await.pop().ok_or(()), "one delivery")
    }

    async fn expect_nothing(&self, when: &str) {
        let found = must(self.receiver.receive(10, Duration::ZERO).await, "receiving");
        assert!(found.is_empty(), "{when}: {found:?} was handed out");
    }
}

async fn publish(publisher: &dyn Publisher, subscription: &Subscription, bodies: &[&str]) {
    let batch = bodies.iter().map(|body| Message::new(Bytes::copy_from_slice(body.as_bytes()))).collect();
    let answers = publisher.publish(subscription.topic(), batch).await;
    assert_eq!(answers.len(), bodies.len(), "one answer per message");
    for answer in answers {
        must(answer, "publishing");
    }
}

/// Receives until `count` deliveries have come.
async fn take(receiver: &dyn Receiver, count: usize) -> Vec<Delivery> {
    let mut taken = Vec::new();
    for _ in 0..ROUNDS_MAX {
        let missing = count - taken.len();
        if missing == 0 {
            break;
        }
        let found = must(receiver.receive(missing, PATIENCE).await, "receiving");
        assert!(found.len() <= missing, "asked for {missing}, got {}", found.len());
        taken.extend(found);
    }
    assert_eq!(taken.len(), count, "deliveries that must come");
    taken
}

async fn ack(receiver: &dyn Receiver, deliveries: &[Delivery]) {
    let receipts: Vec<_> = deliveries.iter().map(|delivery| delivery.receipt.clone()).collect();
    let answers = receiver.ack(&receipts).await;
    assert_eq!(answers.len(), receipts.len(), "one answer per receipt");
    for answer in answers {
        must(answer, "acking");
    }
}

fn bodies(deliveries: &[Delivery]) -> Vec<String> {
    let mut bodies: Vec<_> = deliveries
        .iter()
        .map(|delivery| String::from_utf8_lossy(&delivery.message.body).into_owned())
        .collect();
    bodies.sort();
    bodies
}

fn is_lost<T: Debug>(answer: &Result<T, AckError>) -> bool {
    matches!(answer, Err(AckError::LeaseLost))
}

fn is_refused<T>(answer: &Result<T, PublishError>) -> bool {
    matches!(answer, Err(PublishError::Queue(QueueError::Refused(_))))
}

fn one<T>(mut answers: Vec<T>) -> T {
    assert_eq!(answers.len(), 1, "one answer per receipt");
    must(answers.pop().ok_or(()), "one answer")
}

fn ends(lease: Lease) -> tokio::time::Instant {
    must(lease.expires_at.ok_or(()), "a bounded lease")
}
