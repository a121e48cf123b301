//! The life of one delivery.

use super::{
    Duration, LEASE, Subject, SubscriptionConfig, ack, bench, bench_with, bodies, config, ends, is_lost,
    must, one,
};

pub(super) async fn nothing_acked_comes_back(subject: &impl Subject) {
    let bench = bench(subject).await;
    bench.publish(&["a", "b", "c"]).await;
    let taken = bench.take(3).await;
    assert_eq!(bodies(&taken), ["a", "b", "c"]);
    ack(&*bench.receiver, &taken).await;
    bench.expect_nothing("acked").await;
    subject.elapse(LEASE * 2).await;
    bench.expect_nothing("acked, and the lease is over").await;
}

pub(super) async fn what_is_not_acked_comes_back(subject: &impl Subject) {
    let bench = bench(subject).await;
    bench.publish(&["a", "b"]).await;
    let taken = bench.take(2).await;
    ack(&*bench.receiver, &taken[..1]).await;
    subject.elapse(LEASE / 2).await;
    bench.expect_nothing("the lease lives").await;
    subject.elapse(LEASE).await;
    let again = bench.take_one().await;
    assert_eq!(again.message, taken[1].message);
    assert_ne!(again.receipt, taken[1].receipt, "each hand-out has a receipt of its own");
    ack(&*bench.receiver, &[again]).await;
}

pub(super) async fn extending_keeps_it(subject: &impl Subject) {
    let bench = bench(subject).await;
    bench.publish(&["a"]).await;
    let taken = bench.take_one().await;
    let mut end = ends(taken.lease);
    for _ in 0..4 {
        subject.elapse(LEASE / 2).await;
        let lease =
            must(one(bench.receiver.extend(std::slice::from_ref(&taken.receipt), LEASE).await), "extending");
        assert!(ends(lease) > end, "the lease grew");
        end = ends(lease);
        bench.expect_nothing("the lease was extended").await;
    }
    ack(&*bench.receiver, &[taken]).await;
    subject.elapse(LEASE * 2).await;
    bench.expect_nothing("acked").await;
}

pub(super) async fn nothing_works_after_a_lost_lease(subject: &impl Subject) {
    let bench = bench(subject).await;
    let receiver = &*bench.receiver;
    bench.publish(&["a"]).await;
    let late = bench.take_one().await;
    subject.elapse(LEASE + Duration::from_millis(1)).await;
    let receipts = std::slice::from_ref(&late.receipt);
    assert!(
        is_lost(&one(receiver.ack(receipts).await)),
        "nobody else has it yet, and it is lost all the same"
    );
    let again = bench.take_one().await;
    assert!(is_lost(&one(receiver.ack(receipts).await)), "ack");
    assert!(is_lost(&one(receiver.extend(receipts, LEASE).await)), "extend");
    assert!(is_lost(&receiver.nack(&late.receipt, Duration::ZERO).await), "nack");
    assert!(is_lost(&receiver.dead_letter(&late.receipt, "late").await), "dead letter");
    // The one who has it now was not disturbed.
    ack(receiver, std::slice::from_ref(&again)).await;
    assert!(is_lost(&one(receiver.ack(std::slice::from_ref(&again.receipt)).await)), "settled before");
    subject.elapse(LEASE * 2).await;
    bench.expect_nothing("acked").await;
}

pub(super) async fn a_nack_delays(subject: &impl Subject) {
    let bench = bench(subject).await;
    let nearly = LEASE * 3;
    let delay = nearly + Duration::from_secs(1);
    bench.publish(&["a"]).await;
    let taken = bench.take_one().await;
    must(bench.receiver.nack(&taken.receipt, delay).await, "nack");
    assert!(
        is_lost(&one(bench.receiver.ack(std::slice::from_ref(&taken.receipt)).await)),
        "it was given back"
    );
    subject.elapse(nearly).await;
    bench.expect_nothing("delayed for longer than a lease").await;
    subject.elapse(Duration::from_secs(1)).await;
    let again = bench.take_one().await;
    must(bench.receiver.nack(&again.receipt, Duration::ZERO).await, "nack");
    let at_once = bench.take_one().await;
    ack(&*bench.receiver, &[at_once]).await;
}

pub(super) async fn receive_counts_grow(subject: &impl Subject) {
    let bench = bench(subject).await;
    bench.publish(&["a"]).await;
    for expected in 1..=4 {
        let taken = bench.take_one().await;
        assert_eq!(taken.receive_count, expected);
        if expected % 2 == 0 {
            must(bench.receiver.nack(&taken.receipt, Duration::ZERO).await, "nack");
        } else {
            subject.elapse(LEASE + Duration::from_millis(1)).await;
        }
    }
}

pub(super) async fn dead_letters_keep_their_reason(subject: &impl Subject) {
    let bench = bench(subject).await;
    bench.publish(&["a", "b", "c"]).await;
    let taken = bench.take(3).await;
    for (delivery, reason) in taken.iter().zip(["no type", "no data", "no idea"]) {
        must(bench.receiver.dead_letter(&delivery.receipt, reason).await, "dead letter");
    }
    subject.elapse(LEASE * 2).await;
    bench.expect_nothing("dead").await;
    let first = must(bench.queue.dead_letters(&bench.subscription, None, 2).await, "listing");
    let rest = must(
        bench.queue.dead_letters(&bench.subscription, first.last().map(|letter| &letter.id), 9).await,
        "listing",
    );
    assert_eq!((first.len(), rest.len()), (2, 1), "the listing is paged");
    let mut found: Vec<_> = first.iter().chain(&rest).map(|letter| letter.reason.as_str()).collect();
    found.sort_unstable();
    assert_eq!(found, ["no data", "no idea", "no type"]);
    assert!(first.iter().chain(&rest).all(|letter| letter.receive_count == 1));
    assert_eq!(must(bench.queue.redrive(&bench.subscription, 2).await, "redriving"), 2);
    let again = bench.take(2).await;
    assert!(again.iter().all(|delivery| delivery.receive_count == 1), "as if just published");
    ack(&*bench.receiver, &again).await;
    let depth = must(bench.receiver.depth().await, "depth");
    assert_eq!((depth.ready, depth.dead), (0, 1));
}

pub(super) async fn dead_after_n_receives(subject: &impl Subject) {
    let config = SubscriptionConfig { receives_max: Some(2), ..config() };
    let bench = bench_with(subject.fresh().await, config).await;
    bench.publish(&["a"]).await;
    for _ in 0..2 {
        let taken = bench.take_one().await;
        must(bench.receiver.nack(&taken.receipt, Duration::ZERO).await, "nack");
    }
    bench.expect_nothing("received as often as it may be").await;
    let letters = must(bench.queue.dead_letters(&bench.subscription, None, 9).await, "listing");
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].receive_count, 2);
    assert!(!letters[0].reason.is_empty(), "the reason is kept");
}

pub(super) async fn depth_counts_each_once(subject: &impl Subject) {
    let bench = bench(subject).await;
    bench.publish(&["a", "b", "c", "d"]).await;
    let taken = bench.take(3).await;
    must(bench.receiver.nack(&taken[0].receipt, LEASE).await, "nack");
    must(bench.receiver.dead_letter(&taken[1].receipt, "dead").await, "dead letter");
    let depth = must(bench.receiver.depth().await, "depth");
    assert_eq!((depth.ready, depth.in_flight, depth.delayed, depth.dead), (1, 1, 1, 1));
    let listed = must(bench.queue.subscriptions().await, "listing");
    assert_eq!(listed, [(bench.subscription.clone(), depth)]);
    subject.elapse(LEASE * 2).await;
    let depth = must(bench.receiver.depth().await, "depth");
    assert_eq!((depth.ready, depth.in_flight, depth.delayed, depth.dead), (3, 0, 0, 1));
}
