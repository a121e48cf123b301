//! What a broker owes that outlives its process.

use super::{
    Arc, Bench, BoxFuture, Duration, LEASE, Queue, Subject, ack, bench, bench_with, bodies, config, must,
    publish,
};

/// A broker that keeps messages where a process finds them again.
pub trait DurableSubject: Subject {
    /// Closes `queue`, which nobody else holds, and opens what it left behind.
    fn reopen(&self, queue: Arc<dyn Queue>) -> BoxFuture<'_, Arc<dyn Queue>>;
}

/// What only durable brokers owe.
///
/// # Panics
/// If the broker does not keep the contract.
pub async fn durable(subject: &impl DurableSubject) {
    let bench = bench(subject).await;
    bench.publish(&["acked", "held", "ready", "dead"]).await;
    let taken = bench.take(4).await;
    let named =
        |name: &str| must(taken.iter().find(|taken| taken.message.body == name).ok_or(name), "delivery");
    ack(&*bench.receiver, std::slice::from_ref(named("acked"))).await;
    must(bench.receiver.dead_letter(&named("dead").receipt, "kept reason").await, "dead letter");
    must(bench.receiver.nack(&named("ready").receipt, Duration::ZERO).await, "nack");
    let Bench { queue, publisher, receiver, subscription } = bench;
    drop((publisher, receiver));

    let queue = subject.reopen(queue).await;
    let depth = must(queue.subscriptions().await, "listing");
    assert_eq!(depth.len(), 1, "the subscription survives");
    publish(&*queue.publisher(), &subscription, &["later"]).await;
    let bench = bench_with(queue, config()).await;
    subject.elapse(LEASE * 2).await;
    let taken = bench.take(3).await;
    assert_eq!(bodies(&taken), ["held", "later", "ready"], "the unacked are kept, the acked forgotten");
    for delivery in &taken {
        let expected = if delivery.message.body == "later" { 1 } else { 2 };
        assert_eq!(delivery.receive_count, expected, "the hand-out before was counted");
    }
    ack(&*bench.receiver, &taken).await;
    let letters = must(bench.queue.dead_letters(&subscription, None, 9).await, "listing");
    assert_eq!(letters.len(), 1);
    assert_eq!(
        (letters[0].reason.as_str(), letters[0].message.body.as_ref()),
        ("kept reason", b"dead".as_slice())
    );
    assert_eq!(must(bench.queue.redrive(&subscription, 9).await, "redriving"), 1);
    let Bench { queue, publisher, receiver, .. } = bench;
    drop((publisher, receiver));

    let bench = bench_with(subject.reopen(queue).await, config()).await;
    assert_eq!(bodies(&bench.take(1).await), ["dead"], "redriven for good");
    bench.expect_nothing("all else was acked").await;
}
