//! Conversations with a pump about leases, acks, limits and failures.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test, its helpers included, fails by panicking"
)]

mod common;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use antiphon_consumer::{
    ACK_BATCH_MAX, ACK_WAIT_MAX, Backoff, BoxError, CancelReason, Context, DeadLetters, HandlerError, Kept,
    Pump, Summary, handler_fn,
};
use common::{Call, LEASE, Trouble, subscription, text, world};
use queue::{BoxFuture, Clock, Delivery, Message, Queue, QueueError};
use tokio::time::{Instant, sleep};

/// Runs until `time` has passed.
fn after(time: Duration) -> impl Future<Output = ()> + Send {
    sleep(time)
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_handler_three_leases_long_keeps_its_lease() {
    let world = world().await;
    world.publish(["slow"]).await;
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let handler = handler_fn(move |_: Message, context: Context| {
        counted.fetch_add(1, Ordering::Relaxed);
        async move {
            sleep(LEASE * 3).await;
            sleep(SECOND).await;
            assert!(!context.cancellation.is_cancelled());
            Ok(())
        }
    });
    let summary = Pump::builder(world.receiver(), handler).lease(LEASE).build().run(after(LEASE * 4)).await;
    assert_eq!((summary.received, summary.acked), (1, 1), "{summary:?}");
    assert_eq!(calls.load(Ordering::Relaxed), 1, "nobody got it a second time");
    let extensions = world.extensions();
    assert_eq!(extensions.first(), Some(&(LEASE / 2)), "at half of the lease");
    assert_eq!(extensions.len(), 6, "and at each half after it: {extensions:?}");
}

#[tokio::test(start_paused = true)]
async fn a_handler_whose_lease_is_lost_is_told_and_then_dropped() {
    let world = world().await;
    world.publish(["listens", "does not"]).await;
    world.spy.extend_trouble.lock().unwrap().push_back(Trouble::LeaseLost);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&heard);
    let began = Instant::now();
    let handler = handler_fn(move |message: Message, context: Context| {
        let log = Arc::clone(&log);
        async move {
            if context.receive_count > 1 {
                return Ok(());
            }
            if text(&message) == "listens" {
                let reason = context.cancellation.cancelled().await;
                log.lock().unwrap().push((began.elapsed(), reason));
                return Ok(());
            }
            let dropped = Dropped(Arc::clone(&log), began);
            std::future::pending::<()>().await;
            drop(dropped);
            Ok(())
        }
    });
    let pump = Pump::builder(world.receiver(), handler).lease(LEASE).cancel_grace(SECOND * 2).build();
    let summary = pump.run(after(LEASE * 2)).await;
    assert_eq!((summary.lost, summary.acked), (2, 2), "an Ok after the loss counts for nothing: {summary:?}");
    let lost_at = LEASE / 2;
    let heard = heard.lock().unwrap().clone();
    assert_eq!(heard, [(lost_at, CancelReason::LeaseLost), (lost_at + SECOND * 2, CancelReason::Stopped)]);
}

/// Notes when it is dropped.
struct Dropped(Arc<Mutex<Vec<(Duration, CancelReason)>>>, Instant);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.lock().unwrap().push((self.1.elapsed(), CancelReason::Stopped));
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_cannot_be_extended_is_lost_when_it_ends() {
    let world = world().await;
    world.publish(["a"]).await;
    world.spy.extend_trouble.lock().unwrap().extend([Trouble::Unavailable; 100]);
    let began = Instant::now();
    let handler = handler_fn(move |_: Message, context: Context| async move {
        if context.receive_count == 1 {
            context.cancellation.cancelled().await;
            assert_eq!(began.elapsed(), LEASE, "not before it is over");
        }
        Ok(())
    });
    let summary = Pump::builder(world.receiver(), handler).build().run(after(LEASE * 2)).await;
    assert_eq!((summary.lost, summary.acked), (1, 1), "{summary:?}");
    let tries = world.extensions().len();
    assert!((3..100).contains(&tries), "tried again, with pauses: {tries}");
}

#[tokio::test(start_paused = true)]
async fn the_lease_is_kept_until_the_ack_is_confirmed() {
    let world = world().await;
    world.publish(["a"]).await;
    // The handler is done at once; the broker answers acks only after several leases.
    let troubles = [Trouble::Silence, Trouble::Silence, Trouble::Unavailable, Trouble::Silence];
    world.spy.ack_trouble.lock().unwrap().extend(troubles);
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let handler = handler_fn(move |_: Message, _| {
        counted.fetch_add(1, Ordering::Relaxed);
        async { Ok(()) }
    });
    let summary = Pump::builder(world.receiver(), handler).build().run(after(LEASE * 6)).await;
    assert_eq!((summary.received, summary.acked, summary.lost), (1, 1, 0), "{summary:?}");
    assert_eq!(calls.load(Ordering::Relaxed), 1, "finished work is not done again");
    assert_eq!(world.acks().len(), 5);
    assert!(world.extensions().len() >= 5, "{:?}", world.extensions());
}

/// Messages named after how many milliseconds their handler takes.
async fn handle_for_millis(message: Message, _: Context) -> Result<(), HandlerError> {
    sleep(Duration::from_millis(text(&message).parse()?)).await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn acks_go_out_ten_at_a_time_or_after_250_ms_or_when_idle() {
    let world = world().await;
    // Fourteen are done at once, one later, and one keeps the pump busy.
    let times = std::iter::repeat_n(0, 14).chain([100, 1_000]);
    world.publish(times).await;
    let pump = Pump::builder(world.receiver(), handler_fn(handle_for_millis)).build();
    let summary = pump.run(after(SECOND * 5)).await;
    assert_eq!(summary.acked, 16);
    let expected = [(Duration::ZERO, ACK_BATCH_MAX), (ACK_WAIT_MAX, 5), (SECOND, 1)];
    assert_eq!(world.acks(), expected, "a full batch; what waited 250 ms; at once when nothing else runs");
}

#[tokio::test(start_paused = true)]
async fn one_slow_handler_delays_no_other() {
    let world = world().await;
    world.publish([3_600_000].into_iter().chain(std::iter::repeat_n(10, 999))).await;
    let pump = Pump::builder(world.receiver(), handler_fn(handle_for_millis)).permits(16).build();
    let running = tokio::spawn(pump.run(after(SECOND * 4_000)));
    sleep(SECOND * 60).await;
    let depth = world.depth().await;
    assert_eq!((depth.ready, depth.in_flight), (0, 1), "all but the slow one are done");
    assert_eq!(running.await.unwrap().acked, 1_000);
}

#[tokio::test(start_paused = true)]
async fn never_more_in_memory_than_permits() {
    let world = world().await;
    world.publish(std::iter::repeat_n(50, 200)).await;
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (running, peak) = (Arc::clone(&now), Arc::clone(&most));
    let handler = handler_fn(move |message: Message, context| {
        peak.fetch_max(running.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        let running = Arc::clone(&running);
        async move {
            let answer = handle_for_millis(message, context).await;
            running.fetch_sub(1, Ordering::Relaxed);
            answer
        }
    });
    let pump = Pump::builder(world.receiver(), handler).permits(7).build();
    let gauge = pump.in_flight();
    let running = tokio::spawn(pump.run(after(SECOND * 60)));
    for _ in 0..100 {
        sleep(Duration::from_millis(7)).await;
        assert!(gauge.get() <= 7 && world.depth().await.in_flight <= 7);
    }
    assert_eq!(running.await.unwrap().acked, 200);
    assert_eq!(most.load(Ordering::Relaxed), 7, "and no fewer than it may");
    assert_eq!(gauge.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn failures_come_again_later_and_later() {
    let world = world().await;
    world.publish(["a"]).await;
    let began = Instant::now();
    let tries = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&tries);
    let handler = handler_fn(move |_: Message, context: Context| {
        log.lock().unwrap().push(began.elapsed());
        async move {
            match context.receive_count {
                1 => Err(HandlerError::retry_after("busy", SECOND * 100)),
                2 => panic!("a handler may panic"),
                3..6 => Err(HandlerError::retry("not yet")),
                _ => Ok(()),
            }
        }
    });
    let backoff = Backoff::new(SECOND, SECOND * 6);
    let pump = Pump::builder(world.receiver(), handler).nack_backoff(backoff).build();
    let summary = pump.run(after(SECOND * 1_000)).await;
    assert_eq!((summary.retried, summary.acked, summary.received), (5, 1, 6));
    let calls = world.spy.calls.lock().unwrap().clone();
    let nacks = calls.iter().filter_map(|(_, call)| match call {
        Call::Nack(delay) => Some(*delay),
        _ => None,
    });
    let nacks: Vec<Duration> = nacks.collect();
    assert_eq!(nacks[0], SECOND * 100, "the handler's own delay");
    for (delay, receive_count) in nacks[1..].iter().zip(2..) {
        assert!(*delay <= backoff.ceiling(receive_count), "{nacks:?}");
    }
    let tries = tries.lock().unwrap().clone();
    for ((earlier, later), delay) in tries.iter().zip(&tries[1..]).zip(&nacks) {
        assert!(*later >= *earlier + *delay, "{tries:?} {nacks:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn poison_goes_to_the_broker_with_its_reason() {
    let world = world().await;
    world.publish(["bad"]).await;
    let handler = handler_fn(|_: Message, _| async { Err(HandlerError::poison("no such type")) });
    let summary = Pump::builder(world.receiver(), handler).build().run(after(SECOND)).await;
    assert_eq!((summary.poisoned, summary.acked), (1, 0));
    let letters = world.queue.dead_letters(&subscription(), None, 10).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].reason.as_str(), text(&letters[0].message).as_str()), ("no such type", "bad"));
}

/// Keeps poison itself, after it failed twice.
#[derive(Default)]
struct Drawer(Arc<Mutex<(u32, Vec<String>)>>);

impl DeadLetters for Drawer {
    fn keep<'a>(&'a self, delivery: &'a Delivery, reason: &'a str) -> BoxFuture<'a, Result<Kept, BoxError>> {
        Box::pin(async move {
            let (tries, kept) = &mut *self.0.lock().unwrap();
            *tries += 1;
            if *tries <= 2 {
                return Err("the drawer is stuck".into());
            }
            kept.push(format!("{}: {reason}", text(&delivery.message)));
            Ok(Kept::Elsewhere)
        })
    }
}

#[tokio::test(start_paused = true)]
async fn poison_is_acked_only_once_it_is_kept_elsewhere() {
    let world = world().await;
    world.publish(["bad"]).await;
    let drawer = Drawer::default();
    let inside = Arc::clone(&drawer.0);
    let handler = handler_fn(|_: Message, _| async { Err(HandlerError::poison("why")) });
    let summary =
        Pump::builder(world.receiver(), handler).dead_letters(drawer).build().run(after(SECOND * 9)).await;
    // What cannot be kept goes back to the queue, so that it holds no permit while it waits.
    assert_eq!((summary.poisoned, summary.acked, summary.retried, summary.received), (1, 0, 2, 3));
    assert_eq!(*inside.lock().unwrap(), (3, vec!["bad: why".to_owned()]));
    assert_eq!(world.acks().len(), 1);
    assert_eq!(world.depth().await, queue::Depth::default(), "acked, and no dead letter of the broker's");
}

/// Keeps nothing, ever.
struct Full;

impl DeadLetters for Full {
    fn keep<'a>(&'a self, _: &'a Delivery, _: &'a str) -> BoxFuture<'a, Result<Kept, BoxError>> {
        Box::pin(async { Err("there is no room".into()) })
    }
}

#[tokio::test(start_paused = true)]
async fn poison_that_cannot_be_kept_holds_back_nothing() {
    let world = world().await;
    world.publish(["bad", "bad", "bad", "good"]).await;
    let handler = handler_fn(|message: Message, _| async move {
        if text(&message) == "bad" { Err(HandlerError::poison("why")) } else { Ok(()) }
    });
    let pump = Pump::builder(world.receiver(), handler).dead_letters(Full).permits(2).build();
    let summary = pump.run(after(SECOND * 9)).await;
    assert_eq!(
        (summary.acked, summary.poisoned),
        (1, 0),
        "fewer permits than poison, and the good one is handled"
    );
    let depth = world.depth().await;
    assert_eq!(depth.ready + depth.delayed, 3, "the others are still in the queue");
}

#[tokio::test(start_paused = true)]
async fn receives_that_fail_are_repeated_with_growing_pauses() {
    let world = world().await;
    world.publish([0]).await;
    let errors: VecDeque<_> =
        (0..8).map(|_| QueueError::unavailable("down")).chain([QueueError::broken("no such key")]).collect();
    *world.spy.receive_trouble.lock().unwrap() = errors;
    let pump = Pump::builder(world.receiver(), handler_fn(handle_for_millis)).seed(3).build();
    let summary = pump.run(after(SECOND * 600)).await;
    assert_eq!((summary.receive_errors, summary.acked), (9, 1));
    let receives = world.spy.receives.lock().unwrap().clone();
    let pauses: Vec<_> =
        receives.iter().zip(&receives[1..]).map(|(a, b)| b.0.saturating_sub(a.0)).take(9).collect();
    let longest = Backoff::new(Duration::from_millis(100), SECOND * 30);
    for (pause, attempt) in pauses.iter().zip(1..) {
        assert!(*pause <= longest.ceiling(attempt) + Duration::from_millis(1), "{pauses:?}");
    }
    assert!(pauses.iter().sum::<Duration>() > SECOND * 5, "they grow: {pauses:?}");
}

#[tokio::test(start_paused = true)]
async fn a_step_sees_one_batch_through() {
    let world = world().await;
    world.publish([10, 20, 30, 40, 50]).await;
    let mut pump = Pump::builder(world.receiver(), handler_fn(handle_for_millis)).permits(3).build();
    let step = pump.step().await.unwrap();
    assert_eq!((step.received, step.acked), (3, 3));
    let step = pump.step().await.unwrap();
    assert_eq!((step.received, step.acked), (2, 2));
    assert_eq!(pump.step().await.unwrap(), Summary::default(), "nothing there is no error");
    world.spy.receive_trouble.lock().unwrap().push_back(QueueError::unavailable("down"));
    assert!(pump.step().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn handlers_are_told_the_circumstances() {
    let world = world().await;
    world.publish(["a"]).await;
    sleep(SECOND * 7).await;
    let handler = handler_fn(|_: Message, context: Context| async move {
        assert_eq!(context.subscription, subscription());
        assert_eq!((context.receive_count, context.published_at_ms), (1, Some(0)));
        assert_eq!(context.age, Some(SECOND * 10));
        assert_eq!(context.deadline, None);
        Ok(())
    });
    // This consumer's clock is three seconds ahead of the broker's.
    let pump = Pump::builder(world.receiver(), handler).clock(Clock::starting_at(10_000)).build();
    assert_eq!(pump.run(after(SECOND)).await.acked, 1);
}
