//! Order by key: one after another within a key, at the same time across keys.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test, its helpers included, fails by panicking"
)]

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use antiphon_consumer::{Backoff, BoxError, Context, DeadLetters, HandlerError, Kept, Pump, handler_fn};
use common::{LEASE, Trouble, subscription, text, world};
use queue::{BoxFuture, Delivery, Message, Queue};
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

/// Messages are called after their key and a number: `a1`.
fn key(message: &Message) -> Option<String> {
    let name = text(message);
    (!name.starts_with('-')).then(|| name[..1].to_owned())
}

type Log = Arc<Mutex<Vec<(Duration, String)>>>;

fn names(log: &Log) -> Vec<String> {
    log.lock().unwrap().iter().map(|(_, name)| name.clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn one_after_another_in_a_key_and_at_once_across_keys() {
    let world = world().await;
    world.publish(["a1", "a2", "a3", "b1", "b2", "-1", "-2"]).await;
    let (began, log) = (Instant::now(), Log::default());
    let seen = Arc::clone(&log);
    let handler = handler_fn(move |message: Message, _| {
        seen.lock().unwrap().push((began.elapsed(), text(&message)));
        async {
            sleep(SECOND).await;
            Ok(())
        }
    });
    let pump = Pump::builder(world.receiver(), handler).ordered_by(key).build();
    assert_eq!(pump.run(sleep(SECOND * 9)).await.acked, 7);
    let at = |second: u32| {
        let log = log.lock().unwrap();
        let mut names: Vec<_> =
            log.iter().filter(|(at, _)| *at == SECOND * second).map(|(_, name)| name.clone()).collect();
        names.sort();
        names
    };
    assert_eq!(at(0), ["-1", "-2", "a1", "b1"]);
    assert_eq!(at(1), ["a2", "b2"]);
    assert_eq!(at(2), ["a3"]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_key_delays_no_other() {
    let world = world().await;
    world.publish(["a1", "a2"]).await;
    let bodies = (0..10).flat_map(|n| ('b'..'v').map(move |key| format!("{key}{n}")));
    world.publish(bodies).await;
    let handler = handler_fn(|message: Message, _| async move {
        sleep(if text(&message).starts_with('a') { SECOND * 3_600 } else { SECOND / 100 }).await;
        Ok(())
    });
    let pump = Pump::builder(world.receiver(), handler).ordered_by(key).permits(32).build();
    let running = tokio::spawn(pump.run(sleep(SECOND * 10_000)));
    sleep(SECOND * 60).await;
    let depth = world.depth().await;
    assert_eq!(
        (depth.ready, depth.in_flight),
        (0, 2),
        "only the slow key is left, its second held behind its first"
    );
    assert_eq!(running.await.unwrap().acked, 202);
}

#[tokio::test(start_paused = true)]
async fn what_follows_a_failure_is_given_back_behind_it() {
    let world = world().await;
    world.publish(["a1", "a2", "a3", "b1", "b2"]).await;
    let log = Log::default();
    let (seen, began) = (Arc::clone(&log), Instant::now());
    let handler = handler_fn(move |message: Message, context: Context| {
        seen.lock().unwrap().push((began.elapsed(), text(&message)));
        async move {
            sleep(SECOND).await;
            match (text(&message).as_str(), context.receive_count) {
                ("a1", 1) => Err(HandlerError::retry_after("busy", SECOND * 5)),
                _ => Ok(()),
            }
        }
    });
    let pump = Pump::builder(world.receiver(), handler).ordered_by(key).build();
    let summary = pump.run(sleep(SECOND * 60)).await;
    assert_eq!((summary.acked, summary.retried, summary.handed_back), (5, 1, 2), "{summary:?}");
    assert_eq!(names(&log), ["a1", "b1", "b2", "a1", "a2", "a3"]);
}

#[tokio::test(start_paused = true)]
async fn poison_and_panics_keep_the_order() {
    let world = world().await;
    world.publish(["a1", "a2", "a3"]).await;
    let log = Log::default();
    let (seen, began) = (Arc::clone(&log), Instant::now());
    let handler = handler_fn(move |message: Message, context: Context| {
        seen.lock().unwrap().push((began.elapsed(), text(&message)));
        async move {
            match (text(&message).as_str(), context.receive_count) {
                ("a1", _) => Err(HandlerError::poison("bad")),
                ("a2", 1) => panic!("once"),
                _ => Ok(()),
            }
        }
    });
    let backoff = Backoff::new(SECOND, SECOND);
    let pump = Pump::builder(world.receiver(), handler).ordered_by(key).nack_backoff(backoff).build();
    let summary = pump.run(sleep(SECOND * 60)).await;
    assert_eq!((summary.poisoned, summary.acked, summary.retried, summary.handed_back), (1, 2, 1, 1));
    assert_eq!(names(&log), ["a1", "a2", "a2", "a3"], "what is put aside holds up nobody");
    assert_eq!(world.queue.dead_letters(&subscription(), None, 10).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn those_that_wait_keep_their_leases_and_follow_a_lost_one_back() {
    let world = world().await;
    world.publish(["a1", "a2", "a3"]).await;
    let log = Log::default();
    let (seen, began) = (Arc::clone(&log), Instant::now());
    let handler = handler_fn(move |message: Message, context: Context| {
        seen.lock().unwrap().push((began.elapsed(), text(&message)));
        async move {
            if text(&message) == "a1" && context.receive_count == 1 {
                sleep(LEASE * 3).await;
            }
            Ok(())
        }
    });
    let pump = Pump::builder(world.receiver(), handler.clone()).ordered_by(key).lease(LEASE).build();
    let summary = pump.run(sleep(LEASE * 4)).await;
    assert_eq!((summary.received, summary.acked, summary.lost), (3, 3, 0), "{summary:?}");
    assert_eq!(names(&log), ["a1", "a2", "a3"]);

    log.lock().unwrap().clear();
    world.publish(["a1", "a2", "a3"]).await;
    world.spy.extend_trouble.lock().unwrap().push_back(Trouble::LeaseLost);
    let pump =
        Pump::builder(world.receiver(), handler).ordered_by(key).lease(LEASE).cancel_grace(SECOND).build();
    let summary = pump.run(sleep(LEASE * 4)).await;
    // One call extends all three, and fails. The last one waits behind those that are lost, and behind the first again.
    assert_eq!((summary.lost, summary.handed_back, summary.acked), (2, 2, 3), "{summary:?}");
    assert_eq!(names(&log)[0], "a1", "{log:?}");
    assert_eq!(names(&log).len(), 4, "none of those that waited was begun without its lease");
}

#[tokio::test(start_paused = true)]
async fn a_stop_drains_in_order_and_hands_back_the_rest() {
    let world = world().await;
    world.publish(["a1", "a2", "a3", "a4"]).await;
    let log = Log::default();
    let (seen, began) = (Arc::clone(&log), Instant::now());
    let handler = handler_fn(move |message: Message, _| {
        seen.lock().unwrap().push((began.elapsed(), text(&message)));
        async {
            sleep(SECOND * 10).await;
            Ok(())
        }
    });
    let pump = Pump::builder(world.receiver(), handler).ordered_by(key).drain(SECOND * 15).build();
    let summary = pump.run(sleep(SECOND)).await;
    assert_eq!((summary.acked, summary.handed_back), (1, 3), "{summary:?}");
    assert_eq!(names(&log), ["a1", "a2"]);
    let left: Vec<_> = world.ready().await.iter().map(|delivery| text(&delivery.message)).collect();
    assert_eq!(left, ["a2", "a3", "a4"]);
}

#[tokio::test(start_paused = true)]
async fn a_key_function_that_panics_gives_its_message_back() {
    let world = world().await;
    world.publish(["", "a1"]).await;
    let handler = handler_fn(|_: Message, _| async { Ok(()) });
    let pump = Pump::builder(world.receiver(), handler)
        .ordered_by(|message| Some(text(message)[..1].to_owned()))
        .nack_backoff(Backoff::new(SECOND * 100, SECOND * 100))
        .seed(3)
        .build();
    let summary = pump.run(sleep(SECOND)).await;
    assert_eq!((summary.acked, summary.retried), (1, 1), "{summary:?}");
    assert_eq!(world.queue.subscriptions().await.unwrap()[0].1.delayed, 1, "nothing is lost");
}

/// Keeps nothing.
#[derive(Debug)]
struct Full;

impl DeadLetters for Full {
    fn keep<'a>(&'a self, _: &'a Delivery, _: &'a str) -> BoxFuture<'a, Result<Kept, BoxError>> {
        Box::pin(async { Err("no room for dead letters".into()) })
    }
}

#[tokio::test(start_paused = true)]
async fn poison_that_cannot_be_kept_is_not_overtaken() {
    let world = world().await;
    world.publish(["a1", "a2"]).await;
    let log = Log::default();
    let seen = Arc::clone(&log);
    let handler = handler_fn(move |message: Message, context: Context| {
        let seen = Arc::clone(&seen);
        async move {
            if text(&message) == "a1" && context.receive_count == 1 {
                return Err(HandlerError::poison("not yet understood"));
            }
            seen.lock().unwrap().push((Duration::ZERO, text(&message)));
            Ok(())
        }
    });
    let pump = Pump::builder(world.receiver(), handler).ordered_by(key).dead_letters(Full).build();
    assert_eq!(pump.run(sleep(SECOND * 60)).await.acked, 2);
    assert_eq!(names(&log), ["a1", "a2"]);
}
