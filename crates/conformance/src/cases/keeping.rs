//! What outlives a connection, and what is made for it.

use std::time::Duration;

use queue::{Action, QueueUrl, Settings, connect};

use crate::remote::wall_clock;
use crate::scene::{Bench, Scene, ack, bodies, must, subscription};

pub(super) async fn what_one_connection_left_another_finds(scene: &Scene) {
    let bench = scene.brief().await;
    bench.publish(&["acked", "held", "ready", "dead"]).await;
    let taken = bench.take(4).await;
    let named =
        |name: &str| must(taken.iter().find(|taken| taken.message.body == name).ok_or(name), "delivery");
    ack(&*bench.receiver, std::slice::from_ref(named("acked"))).await;
    must(bench.receiver.dead_letter(&named("dead").receipt, "kept reason").await, "dead letter");
    must(bench.receiver.nack(&named("ready").receipt, Duration::ZERO).await, "nack");
    leave(scene, bench).await;

    let bench = scene.brief().await;
    let listed = must(bench.queue.subscriptions().await, "listing");
    assert_eq!(listed.len(), 1, "the subscription survives");
    bench.publish(&["later"]).await;
    let taken = bench.finish(3).await;
    assert_eq!(bodies(&taken), ["held", "later", "ready"], "the unacked are kept, the acked forgotten");
    let letters = must(bench.queue.dead_letters(&bench.subscription, None, 9).await, "listing");
    assert_eq!(letters.len(), 1);
    assert_eq!(
        (letters[0].reason.as_str(), letters[0].message.body.as_ref()),
        ("kept reason", b"dead".as_slice())
    );
    assert_eq!(must(bench.queue.redrive(&bench.subscription, 9).await, "redriving"), 1);
    leave(scene, bench).await;

    let bench = scene.brief().await;
    let taken = bench.take(1).await;
    assert_eq!(bodies(&taken), ["dead"], "redriven for good");
    ack(&*bench.receiver, &taken).await;
    bench.expect_nothing("all else was acked").await;
}

pub(super) async fn receive_counts_outlive_their_receiver(scene: &Scene) {
    let bench = scene.bench().await;
    bench.publish(&["a"]).await;
    for _ in 0..2 {
        let taken = bench.take_one().await;
        must(bench.receiver.nack(&taken.receipt, Duration::ZERO).await, "nack");
    }
    leave(scene, bench).await;
    let bench = scene.bench().await;
    let taken = bench.take_one().await;
    assert_eq!(taken.receive_count, 3, "both hand-outs before were counted");
    ack(&*bench.receiver, &[taken]).await;
}

pub(super) async fn a_plan_is_empty_once_it_is_done(scene: &Scene) {
    let queue = scene.place.connect().await;
    let name = subscription("service");
    let before = must(queue.plan(&name, scene.config()).await, "planning");
    assert!(before.iter().any(|change| change.action == Action::Create), "all is missing: {before:?}");
    let again = must(queue.plan(&name, scene.config()).await, "planning");
    assert_eq!(again, before, "a plan changes nothing");
    let receiver = must(queue.subscribe(&name, scene.config()).await, "subscribing");
    let after = must(queue.plan(&name, scene.config()).await, "planning");
    assert!(after.is_empty(), "all is there: {after:?}");
    drop(receiver);
    let other = must(queue.plan(&subscription("other"), scene.config()).await, "planning");
    assert!(other.iter().any(|change| change.action == Action::Create), "another is missing: {other:?}");
}

/// Errors that a person reads: they name what is wrong and never the password.
pub(super) async fn wrong_urls_are_told(scene: &Scene) {
    let settings = Settings { clock: wall_clock(), seed: 1 };
    let wrong = scene.subject.wrong_urls();
    assert!(!wrong.is_empty(), "there is always a wrong URL");
    for (text, word) in wrong {
        let connecting = async {
            let url: QueueUrl = text.parse()?;
            connect(&url, &settings).await.map(drop)
        };
        let error = match scene.within(&text, connecting).await {
            Ok(()) => panic!("{text} was taken"),
            Err(error) => error,
        };
        let mut told = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(error) = source {
            told = format!("{told}: {error}");
            source = error.source();
        }
        assert!(told.contains(word), "{text}: {told:?} does not say {word:?}");
        assert!(!told.contains(crate::PASSWORD), "{text}: a password is shown in {told:?}");
    }
}

async fn leave(scene: &Scene, bench: Bench) {
    drop(bench);
    scene.place.leave().await;
}
