//! Who gets what.

use std::time::Duration;

use queue::{ENVELOPE_BYTES_MAX, LEASE_MAX, Message, PublishError, QueueError, SubscriptionConfig};

use crate::scene::{Scene, ack, bodies, expect_nothing, is_too_large, must, publish, subscription, take};

pub(super) async fn fans_out(scene: &Scene) {
    let bench = scene.bench().await;
    let other = must(bench.queue.subscribe(&subscription("other"), scene.long_lease()).await, "subscribing");
    let elsewhere = must("elsewhere/service/site".parse(), "a legal name");
    let elsewhere = must(bench.queue.subscribe(&elsewhere, scene.long_lease()).await, "subscribing");
    bench.publish(&["a", "b"]).await;
    for receiver in [&bench.receiver, &other] {
        let taken = take(&**receiver, 2, scene.timing.patience).await;
        assert_eq!(bodies(&taken), ["a", "b"], "each subscription gets all");
        ack(&**receiver, &taken).await;
    }
    expect_nothing(&*elsewhere, scene.timing, "published to another topic").await;
    let late = must(bench.queue.subscribe(&subscription("late"), scene.long_lease()).await, "subscribing");
    expect_nothing(&*late, scene.timing, "published before there was this subscription").await;
    let names: Vec<_> =
        must(bench.queue.subscriptions().await, "listing").into_iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), 4);
    assert!(names.is_sorted());
}

/// A publisher on another connection, which never heard of the subscription.
pub(super) async fn publishers_need_not_know_who_listens(scene: &Scene) {
    let bench = scene.bench().await;
    let elsewhere = scene.place.connect().await;
    publish(&*elsewhere.publisher(), &bench.subscription, &["a"]).await;
    let nobody = must("nobody/listens/here".parse(), "a legal name");
    publish(&*elsewhere.publisher(), &nobody, &["b"]).await;
    let other = must(elsewhere.subscribe(&subscription("other"), scene.long_lease()).await, "subscribing");
    publish(&*bench.publisher, &bench.subscription, &["c"]).await;
    let taken = bench.take(2).await;
    assert_eq!(bodies(&taken), ["a", "c"]);
    ack(&*bench.receiver, &taken).await;
    let taken = take(&*other, 1, scene.timing.patience).await;
    assert_eq!(bodies(&taken), ["c"], "a subscription that another connection made while this one published");
    ack(&*other, &taken).await;
    let late = must(elsewhere.subscribe(&nobody, scene.long_lease()).await, "subscribing");
    expect_nothing(&*late, scene.timing, "a topic without subscriptions keeps nothing").await;
}

pub(super) async fn receivers_share(scene: &Scene) {
    let bench = scene.bench().await;
    let second =
        must(bench.queue.subscribe(&bench.subscription, scene.long_lease()).await, "subscribing again");
    bench.publish(&["a", "b", "c", "d"]).await;
    let mine = bench.take(2).await;
    let theirs = take(&*second, 2, scene.timing.patience).await;
    let all: Vec<_> = mine.iter().chain(&theirs).cloned().collect();
    assert_eq!(bodies(&all), ["a", "b", "c", "d"], "no message twice");
    ack(&*bench.receiver, &mine).await;
    ack(&*second, &theirs[1..]).await;
    must(second.nack(&theirs[0].receipt, Duration::ZERO).await, "nack");
    let again = bench.take_one().await;
    assert_eq!(again.message, theirs[0].message, "what one gives back the other gets");
    ack(&*bench.receiver, &[again]).await;
}

pub(super) async fn a_long_poll_wakes(scene: &Scene) {
    let bench = scene.bench().await;
    let publishing = async {
        // By now the receive waits.
        scene.elapse(scene.timing.lease / 2).await;
        bench.publish(&["a"]).await;
    };
    let (taken, ()) = tokio::join!(bench.take(1), publishing);
    assert_eq!(bodies(&taken), ["a"]);
    ack(&*bench.receiver, &taken).await;
}

/// A receive that is given up loses nothing, whenever that is.
pub(super) async fn a_dropped_receive_loses_nothing(scene: &Scene) {
    let bench = scene.brief().await;
    let names: Vec<String> = (0..20).map(|number| format!("{number:02}")).collect();
    let mut waited = Duration::ZERO;
    for name in &names {
        let one = [name.as_str()];
        let publishing = bench.publish(&one);
        let giving_up = async {
            let receiving = bench.receiver.receive(10, scene.timing.lease);
            match tokio::time::timeout(waited, receiving).await {
                Ok(found) => must(found, "receiving"),
                Err(_) => Vec::new(),
            }
        };
        let (found, ()) = tokio::join!(giving_up, publishing);
        for delivery in found {
            must(bench.receiver.nack(&delivery.receipt, Duration::ZERO).await, "nack");
        }
        waited += Duration::from_millis(2);
    }
    let mut came = Vec::new();
    let until = tokio::time::Instant::now() + scene.timing.patience;
    while came.len() < names.len() && tokio::time::Instant::now() < until {
        let found = must(bench.receiver.receive(10, scene.timing.lease).await, "receiving");
        ack(&*bench.receiver, &found).await;
        came.extend(bodies(&found));
    }
    came.sort();
    assert_eq!(came, names);
}

pub(super) async fn bodies_are_bytes(scene: &Scene) {
    let bench = scene.bench().await;
    let every_byte: Vec<u8> = (0..=u8::MAX).cycle().take(1_000).collect();
    let mut many = Message::new("twelve attributes").with_attribute("a b/c:\u{1f980}", "\u{0} \u{ffff}");
    for number in 0..12 {
        many = many.with_attribute(format!("attribute-{number}"), format!("value {number}"));
    }
    let sent = [
        Message::new(every_byte).with_attribute("type", "ü\n\"").with_attribute("empty", ""),
        many,
        Message::new("text, which needs no care: ü"),
        Message::default(),
    ];
    for answer in bench.publisher.publish(bench.subscription.topic(), sent.to_vec()).await {
        must(answer, "publishing");
    }
    let taken = bench.take(sent.len()).await;
    let mut got: Vec<_> = taken.iter().map(|delivery| delivery.message.clone()).collect();
    got.sort_by_key(|message| sent.iter().position(|sent| sent == message));
    assert_eq!(got, sent);
    ack(&*bench.receiver, &taken).await;
}

pub(super) async fn the_largest_passes_and_no_larger(scene: &Scene) {
    let bench = scene.bench().await;
    let largest = Message::new(vec![b'7'; ENVELOPE_BYTES_MAX]);
    let larger = Message::new(vec![b'7'; ENVELOPE_BYTES_MAX]).with_attribute("a", "");
    let batch = vec![Message::new("small"), larger, largest];
    let answers = bench.publisher.publish(bench.subscription.topic(), batch).await;
    assert_eq!(answers.len(), 3);
    assert!(answers[0].is_ok() && is_too_large(&answers[1]) && answers[2].is_ok(), "{answers:?}");
    let taken = bench.take(2).await;
    let mut sizes: Vec<_> = taken.iter().map(|delivery| delivery.message.body.len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [5, ENVELOPE_BYTES_MAX]);
    ack(&*bench.receiver, &taken).await;
}

/// The largest that is not clean text, which some protocols have to write larger than it is.
pub(super) async fn the_largest_may_be_binary(scene: &Scene) {
    let bench = scene.bench().await;
    let largest = Message::new(vec![0xff; ENVELOPE_BYTES_MAX]);
    for answer in bench.publisher.publish(bench.subscription.topic(), vec![largest.clone()]).await {
        must(answer, "publishing");
    }
    let taken = bench.take_one().await;
    assert!(taken.message == largest, "it came as it was sent");
    ack(&*bench.receiver, &[taken]).await;
}

pub(super) async fn one_bad_message_spoils_no_other(scene: &Scene) {
    /// More than any protocol takes in one call.
    const GOOD: usize = 23;
    let bench = scene.bench().await;
    let names: Vec<String> = (0..GOOD).map(|number| format!("{number:02}")).collect();
    let mut batch: Vec<_> = names.iter().map(|name| Message::new(name.clone())).collect();
    for place in [0, 12] {
        batch.insert(place, Message::new(vec![b'7'; ENVELOPE_BYTES_MAX + 1]));
    }
    let answers = bench.publisher.publish(bench.subscription.topic(), batch).await;
    assert_eq!(answers.len(), GOOD + 2, "one answer per message");
    for (place, answer) in answers.iter().enumerate() {
        let is_bad = place == 0 || place == 12;
        assert_eq!(is_bad, is_too_large(answer), "message {place}: {answer:?}");
        assert_eq!(!is_bad, answer.is_ok(), "message {place}: {answer:?}");
    }
    let taken = bench.take(GOOD).await;
    assert_eq!(bodies(&taken), names);
    ack(&*bench.receiver, &taken).await;
}

pub(super) async fn full_is_said(scene: &Scene) {
    let bench = scene.bench().await;
    bench.publish(&["a", "b"]).await;
    let batch = vec![Message::new("c"), Message::new("d")];
    let answers = bench.publisher.publish(bench.subscription.topic(), batch).await;
    assert!(answers[0].is_ok(), "there is room for one: {answers:?}");
    assert!(matches!(answers[1], Err(PublishError::Full)), "and for no more: {answers:?}");
    let other = must(bench.queue.subscribe(&subscription("other"), scene.long_lease()).await, "subscribing");
    let answers = bench.publisher.publish(bench.subscription.topic(), vec![Message::new("e")]).await;
    assert!(matches!(answers[..], [Err(PublishError::Full)]), "{answers:?}");
    expect_nothing(&*other, scene.timing, "full is all or nothing").await;
    let taken = bench.take_one().await;
    ack(&*bench.receiver, &[taken]).await;
    // A broker may take a moment to count what was acked.
    let until = tokio::time::Instant::now() + scene.timing.patience;
    loop {
        let answers = bench.publisher.publish(bench.subscription.topic(), vec![Message::new("f")]).await;
        match &answers[..] {
            [Ok(())] => break,
            [Err(PublishError::Full)] if tokio::time::Instant::now() < until => {
                scene.elapse(Duration::from_millis(50)).await;
            }
            answers => panic!("there is room again: {answers:?}"),
        }
    }
}

pub(super) async fn requests_are_checked(scene: &Scene) {
    let bench = scene.bench().await;
    for lease in [Duration::ZERO, LEASE_MAX + Duration::from_secs(1)] {
        let config = SubscriptionConfig { lease, ..scene.long_lease() };
        let refused = bench.queue.subscribe(&bench.subscription, config).await;
        assert!(matches!(refused, Err(QueueError::Refused(_))), "{refused:?}");
    }
    let unknown = subscription("unknown");
    let refused = bench.queue.dead_letters(&unknown, None, 1).await;
    assert!(matches!(refused, Err(QueueError::Refused(_))), "{refused:?}");
    assert!(
        must(bench.receiver.receive(0, scene.timing.patience).await, "receiving").is_empty(),
        "none wanted, none waited for"
    );
    bench.publish(&[]).await;
    assert!(bench.receiver.ack(&[]).await.is_empty());
}
