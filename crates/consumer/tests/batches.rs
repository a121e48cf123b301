//! Batches: how they form, and that each message is settled by its own answer.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test, its helpers included, fails by panicking"
)]

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use antiphon_consumer::layers::{CatchPanic, DeadLetterAfter, Metrics, Retry, Timeout, Trace};
use antiphon_consumer::{
    BatchHandler, CancelReason, CancelSource, Context, DefaultStack, Each, HandlerError, Layer, Pump,
    Request, batch_fn, fail_all, handler_fn, layers,
};
use common::{LEASE, Trouble, subscription, text, world};
use queue::{Message, Queue};
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

type Batch = Vec<Request<Message>>;
type Answers = Vec<Result<(), HandlerError>>;

fn texts(batch: &[Request<Message>]) -> Vec<String> {
    batch.iter().map(|item| text(&item.message)).collect()
}

fn all_ok(batch: &Batch) -> Answers {
    batch.iter().map(|_| Ok(())).collect()
}

/// When batches came, and how many messages they had.
type Seen = Arc<Mutex<Vec<(Duration, usize)>>>;

/// A handler that takes note of its batches.
fn noting() -> (impl BatchHandler, Seen) {
    let began = Instant::now();
    let seen = Seen::default();
    let log = Arc::clone(&seen);
    let handler = batch_fn(move |batch: Batch| {
        log.lock().unwrap().push((began.elapsed(), batch.len()));
        async move { all_ok(&batch) }
    });
    (handler, seen)
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_full_or_has_waited_long_enough() {
    let world = world().await;
    let (handler, seen) = noting();
    world.publish(0..25).await;
    let linger = Duration::from_millis(300);
    let pump = Pump::batched(world.receiver(), handler).batch(10, linger).build();
    let running = tokio::spawn(pump.run(sleep(SECOND * 2)));
    sleep(Duration::from_millis(200)).await;
    world.publish(25..27).await;
    assert_eq!(running.await.unwrap().acked, 27);
    let at = |millis| Duration::from_millis(millis);
    assert_eq!(*seen.lock().unwrap(), [(at(0), 10), (at(0), 10), (at(300), 7)]);
}

#[tokio::test(start_paused = true)]
async fn without_a_linger_what_came_together_goes_together() {
    let world = world().await;
    let (handler, seen) = noting();
    world.publish(0..7).await;
    let pump = Pump::batched(world.receiver(), handler).batch(100, Duration::ZERO).build();
    assert_eq!(pump.run(sleep(SECOND)).await.acked, 7);
    assert_eq!(*seen.lock().unwrap(), [(Duration::ZERO, 7)]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_never_waits_for_more_than_there_are_permits_or_after_the_shutdown() {
    let world = world().await;
    let (handler, seen) = noting();
    world.publish(0..5).await;
    let pump = Pump::batched(world.receiver(), handler).permits(3).batch(100, SECOND * 60).build();
    let began = Instant::now();
    let summary = pump.run(sleep(SECOND)).await;
    assert_eq!((summary.acked, summary.handed_back), (5, 0));
    assert_eq!(*seen.lock().unwrap(), [(Duration::ZERO, 3), (SECOND, 2)], "the shutdown ends the wait");
    assert_eq!(began.elapsed(), SECOND);
    world.publish(0..5).await;
    let (handler, seen) = noting();
    let mut pump = Pump::batched(world.receiver(), handler).batch(100, SECOND * 60).build();
    assert_eq!(pump.step().await.unwrap().acked, 5, "a step waits for nobody");
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn each_message_is_settled_by_its_own_answer() {
    let world = world().await;
    world.publish(["ok", "retry", "poison", "ok"]).await;
    let handler = batch_fn(|batch: Batch| async move {
        let answer =
            |item: &Request<Message>| match (text(&item.message).as_str(), item.context.receive_count) {
                ("retry", 1) => Err(HandlerError::retry_after("busy", SECOND)),
                ("poison", _) => Err(HandlerError::poison("bad")),
                _ => Ok(()),
            };
        batch.iter().map(answer).collect()
    });
    let summary = Pump::batched(world.receiver(), handler).build().run(sleep(SECOND * 5)).await;
    assert_eq!((summary.acked, summary.retried, summary.poisoned, summary.received), (3, 1, 1, 5));
    let letters = world.queue.dead_letters(&subscription(), None, 10).await.unwrap();
    assert_eq!((letters.len(), text(&letters[0].message).as_str()), (1, "poison"));
}

#[tokio::test(start_paused = true)]
async fn too_few_answers_too_many_and_a_panic_lose_nothing() {
    let world = world().await;
    world.publish(0..4).await;
    let calls = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&calls);
    let handler = batch_fn(move |batch: Batch| {
        let nth = {
            let mut log = log.lock().unwrap();
            log.push(texts(&batch));
            log.len()
        };
        async move {
            match nth {
                1 => panic!("a batch may panic"),
                2 => (0..9).map(|_| Ok(())).collect(),
                3 => vec![Ok(()), Ok(())],
                _ => all_ok(&batch),
            }
        }
    });
    let at_once = antiphon_consumer::Backoff::new(Duration::ZERO, Duration::ZERO);
    let pump = Pump::batched(world.receiver(), handler).nack_backoff(at_once).build();
    let summary = pump.run(sleep(SECOND * 5)).await;
    assert_eq!((summary.received, summary.retried, summary.acked), (14, 10, 4), "{summary:?}");
    let sizes: Vec<_> = calls.lock().unwrap().iter().map(Vec::len).collect();
    assert_eq!(sizes, [4, 4, 4, 2], "those without an answer come again, and they alone");
}

#[tokio::test(start_paused = true)]
async fn leases_are_kept_while_a_batch_gathers_and_runs() {
    let world = world().await;
    world.publish(["a", "b"]).await;
    let handler = batch_fn(|batch: Batch| async move {
        sleep(LEASE * 3).await;
        all_ok(&batch)
    });
    let pump = Pump::batched(world.receiver(), handler).lease(LEASE).batch(10, LEASE * 3).build();
    let summary = pump.run(sleep(LEASE * 7)).await;
    assert_eq!((summary.received, summary.acked, summary.lost), (2, 2, 0), "{summary:?}");
    assert!(world.extensions().len() >= 10);
}

#[tokio::test(start_paused = true)]
async fn one_lost_lease_does_not_take_the_others_with_it() {
    let world = world().await;
    world.publish(["lost", "kept"]).await;
    // One call extends both; the broker says of both that they are lost, or of one: this one plays the first alone.
    let heard = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&heard);
    let spy = Arc::clone(&world.spy);
    let handler = batch_fn(move |batch: Batch| {
        let (log, spy) = (Arc::clone(&log), Arc::clone(&spy));
        async move {
            if batch[0].context.receive_count == 1 {
                // Somebody else settles the first one: its lease is gone.
                let stolen = spy.receipts.lock().unwrap()[0].clone();
                spy.settle_behind(&stolen).await;
                let reason = batch[0].context.cancellation.cancelled().await;
                log.lock().unwrap().push((texts(&batch), reason));
                sleep(SECOND * 5).await;
            }
            all_ok(&batch)
        }
    });
    let pump = Pump::batched(world.receiver(), handler).lease(LEASE).cancel_grace(SECOND).build();
    let summary = pump.run(sleep(LEASE * 2)).await;
    assert_eq!((summary.lost, summary.acked), (1, 1), "{summary:?}");
    let both = vec!["lost".to_owned(), "kept".to_owned()];
    assert_eq!(*heard.lock().unwrap(), [(both, CancelReason::LeaseLost)]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_whose_leases_are_all_lost_is_dropped() {
    let world = world().await;
    world.publish(["a", "b"]).await;
    world.spy.extend_trouble.lock().unwrap().push_back(Trouble::LeaseLost);
    let handler = batch_fn(|batch: Batch| async move {
        if batch[0].context.receive_count == 1 {
            std::future::pending::<()>().await;
        }
        all_ok(&batch)
    });
    let pump = Pump::batched(world.receiver(), handler).lease(LEASE).cancel_grace(SECOND).permits(2).build();
    let summary = pump.run(sleep(LEASE * 3)).await;
    assert_eq!((summary.lost, summary.acked), (2, 2), "their permits are free again: {summary:?}");
}

#[tokio::test(start_paused = true)]
async fn a_hard_stop_hands_back_what_gathers_and_what_runs() {
    let world = world().await;
    world.publish(0..13).await;
    let handler = batch_fn(|batch: Batch| async move {
        sleep(SECOND * 60).await;
        all_ok(&batch)
    });
    let pump = Pump::batched(world.receiver(), handler).batch(10, SECOND * 60).build();
    let summary = pump.run_until(std::future::pending(), sleep(SECOND)).await;
    assert_eq!((summary.received, summary.handed_back), (13, 13), "{summary:?}");
    assert_eq!(world.ready().await.len(), 13);
}

#[tokio::test(start_paused = true)]
async fn the_layers_are_for_batches_too() {
    let tries = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&tries);
    let handler = batch_fn(move |batch: Batch| {
        let nth = {
            let mut log = log.lock().unwrap();
            log.push(texts(&batch));
            log.len()
        };
        async move {
            let answer = |item: &Request<Message>| match (nth, text(&item.message).as_str()) {
                (1, "later") | (_, "never") => Err(HandlerError::retry("not yet")),
                _ => Ok(()),
            };
            batch.iter().map(answer).collect()
        }
    });
    let stack =
        layers![Trace, Metrics, DeadLetterAfter::new(2), Retry::new(1), CatchPanic, Timeout::new(SECOND)];
    let batch = |receive_count: u32| -> Batch {
        let context = Context::new(subscription()).with_receive_count(receive_count);
        let item = |body: &str| Request { message: Message::new(body.to_owned()), context: context.clone() };
        ["now", "later", "never"].map(item).into()
    };
    let answers = stack.layer(handler).handle_batch(&batch(2)).await;
    assert!(answers[0].is_ok() && answers[1].is_ok());
    let Err(HandlerError::Poison { reason }) = &answers[2] else { panic!("{answers:?}") };
    assert_eq!(reason, "given up after 2 receives: not yet");
    let sizes: Vec<_> = tries.lock().unwrap().iter().map(Vec::len).collect();
    assert_eq!(sizes, [3, 2, 1], "only those that failed are tried again");

    let slow = batch_fn(|batch: Batch| async move {
        sleep(SECOND * 2).await;
        all_ok(&batch)
    });
    let answers = Timeout::new(SECOND).layer(slow).handle_batch(&batch(1)).await;
    assert!(answers.len() == 3 && answers.iter().all(Result::is_err));

    let panicking = batch_fn(|_: Batch| async { panic!("all of it") });
    let answers = DefaultStack::new(1).layer(panicking).handle_batch(&batch(1)).await;
    assert!(answers.len() == 3 && answers.iter().all(Result::is_err), "{answers:?}");

    let single = Each(handler_fn(|message: Message, _| async move {
        if text(&message) == "never" { Err(HandlerError::poison("no")) } else { Ok(()) }
    }));
    let answers = single.handle_batch(&batch(1)).await;
    assert_eq!(answers.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, true, false]);
}

#[tokio::test(start_paused = true)]
async fn what_is_tried_again_in_place_is_never_an_empty_batch() {
    let sizes = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&sizes);
    let handler = Retry::new(1).layer(batch_fn(move |batch: Batch| {
        log.lock().unwrap().push(batch.len());
        async move { fail_all(&batch, "down") }
    }));
    let (source, token) = CancelSource::new();
    let context = Context::new(subscription()).with_cancellation(token);
    let batch = [Request { message: Message::new("a"), context }];
    let (answers, ()) = tokio::join!(handler.handle_batch(&batch), async {
        tokio::task::yield_now().await;
        source.cancel(CancelReason::LeaseLost);
    });
    assert_eq!((answers.len(), sizes.lock().unwrap().as_slice()), (1, [1].as_slice()));
}

#[tokio::test]
async fn of_each_only_the_one_that_panics_fails() {
    let each = Each(handler_fn(|message: Message, _| async move {
        if text(&message) == "b" { panic!("b is too much") } else { Ok(()) }
    }));
    let context = Context::new(subscription());
    let batch = ["a", "b", "c"].map(|body| Request { message: Message::new(body), context: context.clone() });
    let answers = CatchPanic.layer(each).handle_batch(&batch).await;
    assert_eq!(answers.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
}
