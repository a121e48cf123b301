//! The life of one delivery.

use std::time::Duration;

use queue::{AckError, Receipt, SubscriptionConfig};

use crate::scene::{Scene, ack, bodies, ends, is_lost, must, one, take};

const SECOND: Duration = Duration::from_secs(1);
/// A little longer than a lease.
const MORE: Duration = Duration::from_millis(10);

pub(super) async fn nothing_acked_comes_back(scene: &Scene) {
    let bench = scene.brief().await;
    bench.publish(&["a", "b", "c"]).await;
    let taken = bench.take(3).await;
    assert_eq!(bodies(&taken), ["a", "b", "c"]);
    ack(&*bench.receiver, &taken).await;
    bench.expect_nothing("acked").await;
    scene.elapse(scene.timing.lease * 2).await;
    bench.expect_nothing("acked, and the lease is over").await;
}

pub(super) async fn what_is_not_acked_comes_back(scene: &Scene) {
    let bench = scene.brief().await;
    bench.publish(&["a", "b"]).await;
    let taken = bench.take(2).await;
    ack(&*bench.receiver, &taken[..1]).await;
    scene.elapse(scene.timing.lease / 4).await;
    bench.expect_nothing("the lease lives").await;
    scene.elapse(scene.timing.lease).await;
    let again = bench.take_one().await;
    assert_eq!(again.message, taken[1].message);
    assert_ne!(again.receipt, taken[1].receipt, "each hand-out has a receipt of its own");
    ack(&*bench.receiver, &[again]).await;
}

/// Also of a broker whose leases do not end: nothing is lost with the process that held it.
pub(super) async fn what_a_vanished_receiver_held_comes_back(scene: &Scene) {
    let bench = scene.brief().await;
    bench.publish(&["a", "b", "c"]).await;
    let taken = bench.take(3).await;
    ack(&*bench.receiver, &taken[..1]).await;
    let held = bodies(&taken[1..]);
    drop((bench, taken));
    let bench = scene.brief().await;
    assert_eq!(bodies(&bench.finish(2).await), held);
    bench.expect_nothing("all were acked").await;
}

pub(super) async fn extending_keeps_it(scene: &Scene) {
    let bench = scene.brief().await;
    bench.publish(&["a"]).await;
    let taken = bench.take_one().await;
    let mut end = ends(taken.lease);
    for _ in 0..4 {
        scene.elapse(scene.timing.lease / 2).await;
        let receipts = std::slice::from_ref(&taken.receipt);
        let lease = must(one(bench.receiver.extend(receipts, scene.timing.lease).await), "extending");
        assert!(ends(lease) > end, "the lease grew");
        end = ends(lease);
        bench.expect_nothing("the lease was extended").await;
    }
    ack(&*bench.receiver, &[taken]).await;
    scene.elapse(scene.timing.lease * 2).await;
    bench.expect_nothing("acked").await;
}

pub(super) async fn nothing_works_after_a_lost_lease(scene: &Scene) {
    let bench = scene.brief().await;
    let receiver = &*bench.receiver;
    bench.publish(&["a"]).await;
    let late = bench.take_one().await;
    scene.elapse(scene.timing.lease + MORE).await;
    let receipts = std::slice::from_ref(&late.receipt);
    assert!(
        is_lost(&one(receiver.ack(receipts).await)),
        "nobody else has it yet, and it is lost all the same"
    );
    let again = bench.take_one().await;
    assert!(is_lost(&one(receiver.ack(receipts).await)), "ack");
    assert!(is_lost(&one(receiver.extend(receipts, scene.timing.lease).await)), "extend");
    assert!(is_lost(&receiver.nack(&late.receipt, Duration::ZERO).await), "nack");
    assert!(is_lost(&receiver.dead_letter(&late.receipt, "late").await), "dead letter");
    // The one who has it now was not disturbed.
    ack(receiver, std::slice::from_ref(&again)).await;
    scene.elapse(scene.timing.lease * 2).await;
    bench.expect_nothing("acked").await;
}

pub(super) async fn a_receipt_settles_once(scene: &Scene) {
    let bench = scene.bench().await;
    let receiver = &*bench.receiver;
    bench.publish(&["a", "b", "c"]).await;
    let taken = bench.take(3).await;
    let receipts: Vec<Receipt> = taken.iter().map(|delivery| delivery.receipt.clone()).collect();
    ack(receiver, &taken[..1]).await;
    must(receiver.nack(&receipts[1], Duration::ZERO).await, "nack");
    must(receiver.dead_letter(&receipts[2], "dead").await, "dead letter");
    for receipt in &receipts {
        let receipts = std::slice::from_ref(receipt);
        assert!(is_lost(&one(receiver.ack(receipts).await)), "ack");
        assert!(is_lost(&one(receiver.extend(receipts, scene.timing.lease).await)), "extend");
        assert!(is_lost(&receiver.nack(receipt, Duration::ZERO).await), "nack");
        assert!(is_lost(&receiver.dead_letter(receipt, "again").await), "dead letter");
    }
    let again = bench.take_one().await;
    assert_eq!(again.message, taken[1].message, "and nothing of that undid what settled them");
    ack(receiver, &[again]).await;
    bench.expect_dead(1).await;
}

pub(super) async fn a_nack_delays(scene: &Scene) {
    let bench = scene.bench().await;
    // The lease lives on for long: it is not its end that brings the message back.
    let nearly = scene.timing.lease;
    let delay = nearly + SECOND * 2;
    bench.publish(&["a"]).await;
    let taken = bench.take_one().await;
    must(bench.receiver.nack(&taken.receipt, delay).await, "nack");
    scene.elapse(nearly).await;
    bench.expect_nothing("delayed").await;
    let again = bench.take_one().await;
    must(bench.receiver.nack(&again.receipt, Duration::ZERO).await, "nack");
    let at_once = bench.take_one().await;
    ack(&*bench.receiver, &[at_once]).await;
}

pub(super) async fn receive_counts_grow(scene: &Scene) {
    let bench = scene.brief().await;
    bench.publish(&["a"]).await;
    for expected in 1..=4 {
        let taken = bench.take_one().await;
        assert_eq!(taken.receive_count, expected);
        if taken.lease.expires_at.is_none() || expected % 2 == 0 {
            must(bench.receiver.nack(&taken.receipt, Duration::ZERO).await, "nack");
        } else {
            scene.elapse(scene.timing.lease + MORE).await;
        }
    }
}

pub(super) async fn dead_letters_keep_their_reason(scene: &Scene) {
    let bench = scene.brief().await;
    bench.publish(&["a", "b", "c"]).await;
    let taken = bench.take(3).await;
    for (delivery, reason) in taken.iter().zip(["no type", "no data", "no idea"]) {
        must(bench.receiver.dead_letter(&delivery.receipt, reason).await, "dead letter");
    }
    scene.elapse(scene.timing.lease * 2).await;
    bench.expect_nothing("dead").await;
    let page = async |after, limit| {
        must(bench.queue.dead_letters(&bench.subscription, after, limit).await, "listing")
    };
    let first = page(None, 2).await;
    let rest = page(first.last().map(|letter| &letter.id), 9).await;
    assert_eq!((first.len(), rest.len()), (2, 1), "the listing is paged");
    assert!(page(rest.last().map(|letter| &letter.id), 9).await.is_empty(), "and has an end");
    let letters: Vec<_> = first.iter().chain(&rest).collect();
    let mut found: Vec<_> = letters
        .iter()
        .map(|letter| (String::from_utf8_lossy(&letter.message.body).into_owned(), letter.reason.as_str()))
        .collect();
    found.sort();
    let mut expected: Vec<_> = taken
        .iter()
        .zip(["no type", "no data", "no idea"])
        .map(|(one, reason)| (crate::scene::text(one), reason))
        .collect();
    expected.sort();
    assert_eq!(found, expected);
    assert!(letters.iter().all(|letter| letter.receive_count == 1));
    assert_eq!(must(bench.queue.redrive(&bench.subscription, 2).await, "redriving"), 2);
    let again = bench.take(2).await;
    assert!(again.iter().all(|delivery| delivery.receive_count == 1), "as if just published");
    ack(&*bench.receiver, &again).await;
    bench.expect_nothing("one is still dead").await;
    bench.expect_dead(1).await;
}

pub(super) async fn a_redrive_reaches_its_subscription_alone(scene: &Scene) {
    let bench = scene.bench().await;
    let other = must(
        bench.queue.subscribe(&crate::scene::subscription("other"), scene.long_lease()).await,
        "subscribing",
    );
    bench.publish(&["a"]).await;
    let theirs = take(&*other, 1, scene.timing.patience).await;
    ack(&*other, &theirs).await;
    let taken = bench.take_one().await;
    must(bench.receiver.dead_letter(&taken.receipt, "for now").await, "dead letter");
    assert_eq!(must(bench.queue.redrive(&bench.subscription, 9).await, "redriving"), 1);
    let again = bench.take_one().await;
    assert_eq!(again.message, taken.message, "without what was kept beside it");
    ack(&*bench.receiver, &[again]).await;
    crate::scene::expect_nothing(&*other, scene.timing, "it had acked the message").await;
    bench.expect_dead(0).await;
    assert_eq!(must(bench.queue.redrive(&bench.subscription, 9).await, "redriving"), 0, "no more are dead");
}

pub(super) async fn dead_after_n_receives(scene: &Scene) {
    let config = SubscriptionConfig { receives_max: Some(2), ..scene.long_lease() };
    let bench = scene.bench_with(config).await;
    bench.publish(&["a"]).await;
    for _ in 0..2 {
        let taken = bench.take_one().await;
        must(bench.receiver.nack(&taken.receipt, Duration::ZERO).await, "nack");
    }
    bench.expect_nothing("received twice").await;
    bench.expect_dead(1).await;
    let letters = must(bench.queue.dead_letters(&bench.subscription, None, 9).await, "listing");
    assert_eq!(letters.len(), 1);
    assert!(letters[0].reason.contains("never acked"), "the reason tells it: {:?}", letters[0].reason);
    assert_eq!(must(bench.queue.redrive(&bench.subscription, 9).await, "redriving"), 1);
    let taken = bench.take_one().await;
    ack(&*bench.receiver, &[taken]).await;
}

pub(super) async fn depth_counts_each_once(scene: &Scene) {
    let bench = scene.bench().await;
    bench.publish(&["a", "b", "c", "d"]).await;
    let taken = bench.take(3).await;
    let delay = scene.timing.patience * 2;
    must(bench.receiver.nack(&taken[0].receipt, delay).await, "nack");
    must(bench.receiver.dead_letter(&taken[1].receipt, "dead").await, "dead letter");
    bench.expect_depth((1, 1, 1, 1)).await;
    let listed = must(bench.queue.subscriptions().await, "listing");
    let names: Vec<_> = listed.iter().map(|(name, _)| name).collect();
    assert_eq!(names, [&bench.subscription]);
    must(bench.receiver.nack(&taken[2].receipt, Duration::ZERO).await, "nack");
    bench.expect_depth((2, 0, 1, 1)).await;
}

pub(super) async fn one_bad_receipt_spoils_no_other(scene: &Scene) {
    /// More than any protocol takes in one call.
    const GOOD: usize = 23;
    let bench = scene.brief().await;
    let names: Vec<String> = (0..=GOOD).map(|number| format!("{number:02}")).collect();
    bench.publish(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let taken = bench.take(GOOD + 1).await;
    let mut receipts: Vec<_> = taken.iter().map(|delivery| delivery.receipt.clone()).collect();
    // One that is settled already, one that nobody gave, and one twice.
    ack(&*bench.receiver, &taken[..1]).await;
    receipts.insert(5, Receipt::new("nobody gave this one"));
    let twice = receipts[9].clone();
    receipts.push(twice);
    let answers = bench.receiver.ack(&receipts).await;
    assert_eq!(answers.len(), receipts.len(), "one answer per receipt");
    for (place, answer) in answers.iter().enumerate() {
        let is_bad = place == 0 || place == 5;
        if place == receipts.len() - 1 {
            // Which of the two is told that it came second is the broker's choice.
            assert!(matches!(answer, Ok(()) | Err(AckError::LeaseLost)), "{answer:?}");
        } else if place != 9 {
            assert_eq!(is_bad, is_lost(answer), "receipt {place}: {answer:?}");
            assert_eq!(!is_bad, answer.is_ok(), "receipt {place}: {answer:?}");
        }
    }
    scene.elapse(scene.timing.lease * 2).await;
    bench.expect_nothing("all were acked").await;
}
