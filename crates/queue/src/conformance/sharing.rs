//! Who gets what.

use super::{
    Duration, ENVELOPE_BYTES_MAX, Message, PATIENCE, PublishError, QueueError, Subject, SubscriptionConfig,
    ack, bench, bench_with, bodies, config, is_refused, must, subscription, take,
};

pub(super) async fn fans_out(subject: &impl Subject) {
    let bench = bench(subject).await;
    let other = must(bench.queue.subscribe(&subscription("other"), config()).await, "subscribing");
    let elsewhere = must("elsewhere/service/site".parse(), "a legal name");
    let elsewhere = must(bench.queue.subscribe(&elsewhere, config()).await, "subscribing");
    bench.publish(&["a", "b"]).await;
    for receiver in [&bench.receiver, &other] {
        let taken = take(&**receiver, 2).await;
        assert_eq!(bodies(&taken), ["a", "b"], "each subscription gets all");
        ack(&**receiver, &taken).await;
    }
    let found = must(elsewhere.receive(10, Duration::ZERO).await, "receiving");
    assert!(found.is_empty(), "another topic gets none: {found:?}");
    let late = must(bench.queue.subscribe(&subscription("late"), config()).await, "subscribing");
    let found = must(late.receive(10, Duration::ZERO).await, "receiving");
    assert!(found.is_empty(), "what was published before the subscription is not for it");
    let names: Vec<_> =
        must(bench.queue.subscriptions().await, "listing").into_iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), 4);
    assert!(names.is_sorted());
}

pub(super) async fn receivers_share(subject: &impl Subject) {
    let bench = bench(subject).await;
    let second = must(bench.queue.subscribe(&bench.subscription, config()).await, "subscribing again");
    bench.publish(&["a", "b", "c", "d"]).await;
    let mine = bench.take(2).await;
    let theirs = take(&*second, 2).await;
    let all: Vec<_> = mine.iter().chain(&theirs).cloned().collect();
    assert_eq!(bodies(&all), ["a", "b", "c", "d"], "no message twice");
    ack(&*bench.receiver, &mine).await;
    must(second.nack(&theirs[0].receipt, Duration::ZERO).await, "nack");
    assert_eq!(bench.take_one().await.message, theirs[0].message, "what one gives back the other gets");
}

pub(super) async fn a_long_poll_wakes(subject: &impl Subject) {
    let bench = bench(subject).await;
    let (found, ()) = {
        let waiting = bench.receiver.receive(10, PATIENCE * 2);
        let publishing = async {
            // Several turns of the scheduler, so that the receive waits by now.
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            bench.publish(&["a"]).await;
        };
        let mut waiting = std::pin::pin!(waiting);
        let mut publishing = std::pin::pin!(publishing);
        tokio::select! {
            biased;
            found = &mut waiting => panic!("nothing was published, and {found:?} came"),
            () = &mut publishing => {}
        }
        (waiting.await, ())
    };
    assert_eq!(bodies(&must(found, "receiving")), ["a"]);
}

pub(super) async fn bodies_are_bytes(subject: &impl Subject) {
    let bench = bench(subject).await;
    let every_byte: Vec<u8> = (0..=u8::MAX).cycle().take(1_000).collect();
    let sent = [
        Message::new(every_byte).with_attribute("type", "ü\n\"").with_attribute("empty", ""),
        Message::default(),
    ];
    for answer in bench.publisher.publish(bench.subscription.topic(), sent.to_vec()).await {
        must(answer, "publishing");
    }
    let mut got: Vec<_> = bench.take(2).await.into_iter().map(|delivery| delivery.message).collect();
    got.sort_by_key(|message| std::cmp::Reverse(message.body.len()));
    assert_eq!(got, sent);
}

pub(super) async fn the_largest_passes_and_no_larger(subject: &impl Subject) {
    let bench = bench(subject).await;
    let largest = Message::new(vec![7; ENVELOPE_BYTES_MAX]);
    let larger = Message::new(vec![7; ENVELOPE_BYTES_MAX]).with_attribute("a", "");
    let batch = vec![Message::new("small"), larger, largest];
    let answers = bench.publisher.publish(bench.subscription.topic(), batch).await;
    assert_eq!(answers.len(), 3);
    assert!(answers[0].is_ok() && is_refused(&answers[1]) && answers[2].is_ok(), "{answers:?}");
    let mut sizes: Vec<_> = bench.take(2).await.iter().map(|delivery| delivery.message.body.len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [5, ENVELOPE_BYTES_MAX]);
}

pub(super) async fn full_is_said(subject: &impl Subject) {
    let queue = match subject.bounded(3).await {
        Ok(queue) => queue,
        Err(reason) => {
            println!("skipped: full_is_said: {reason}");
            return;
        }
    };
    let bench = bench_with(queue, config()).await;
    bench.publish(&["a", "b"]).await;
    let batch = vec![Message::new("c"), Message::new("d")];
    let answers = bench.publisher.publish(bench.subscription.topic(), batch).await;
    assert!(answers[0].is_ok(), "there is room for one");
    assert!(matches!(answers[1], Err(PublishError::Full)), "and for no more: {answers:?}");
    let other = must(bench.queue.subscribe(&subscription("other"), config()).await, "subscribing");
    let answers = bench.publisher.publish(bench.subscription.topic(), vec![Message::new("e")]).await;
    assert!(matches!(answers[..], [Err(PublishError::Full)]), "{answers:?}");
    let found = must(other.receive(10, Duration::ZERO).await, "receiving");
    assert!(found.is_empty(), "full is all or nothing: {found:?}");
    let taken = bench.take_one().await;
    ack(&*bench.receiver, &[taken]).await;
    bench.publish(&["f"]).await;
}

pub(super) async fn requests_are_checked(subject: &impl Subject) {
    let bench = bench(subject).await;
    for lease in [Duration::ZERO, crate::LEASE_MAX + Duration::from_secs(1)] {
        let refused =
            bench.queue.subscribe(&bench.subscription, SubscriptionConfig { lease, ..config() }).await;
        assert!(matches!(refused, Err(QueueError::Refused(_))), "{refused:?}");
    }
    let unknown = subscription("unknown");
    let refused = bench.queue.dead_letters(&unknown, None, 1).await;
    assert!(matches!(refused, Err(QueueError::Refused(_))), "{refused:?}");
    assert!(
        must(bench.receiver.receive(0, PATIENCE).await, "receiving").is_empty(),
        "none wanted, none waited for"
    );
    bench.publish(&[]).await;
}
