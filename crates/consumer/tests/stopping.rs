//! Shutdown, hard cancel, abandonment: ordinary inputs.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test, its helpers included, fails by panicking"
)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use antiphon_consumer::{CLOSE_MAX, CancelReason, Context, HandlerError, Pump, Summary, handler_fn};
use common::{Trouble, text, world};
use queue::Message;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);
const DRAIN: Duration = Duration::from_secs(20);

/// Messages named after how many seconds their handler takes.
async fn handle_for_secs(message: Message, _: Context) -> Result<(), HandlerError> {
    sleep(Duration::from_secs(text(&message).parse()?)).await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_drain_acks_what_finishes_and_hands_back_the_rest() {
    let world = world().await;
    world.publish([3, 4, 5, 21, 22]).await;
    let began = Instant::now();
    let pump = Pump::builder(world.receiver(), handler_fn(handle_for_secs)).drain(DRAIN).build();
    let running = tokio::spawn(pump.run(sleep(SECOND)));
    sleep(SECOND * 2).await;
    world.publish([0]).await;
    let summary = running.await.unwrap();
    assert_eq!((summary.received, summary.acked, summary.handed_back), (5, 4, 1), "{summary:?}");
    assert_eq!(began.elapsed(), SECOND + DRAIN, "the drain has its bound");
    let left: Vec<_> = world.ready().await.iter().map(|delivery| text(&delivery.message)).collect();
    assert_eq!(
        left,
        ["22", "0"],
        "ready at once for the next process; what came after the shutdown was not touched"
    );
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_with_its_last_handler() {
    let world = world().await;
    world.publish([5]).await;
    let began = Instant::now();
    let pump = Pump::builder(world.receiver(), handler_fn(handle_for_secs)).build();
    assert_eq!(pump.run(sleep(SECOND)).await.acked, 1);
    assert_eq!(began.elapsed(), SECOND * 5, "no waiting for company, none for the drain");
}

#[tokio::test(start_paused = true)]
async fn an_idle_pump_stops_at_once() {
    let world = world().await;
    let began = Instant::now();
    let pump = Pump::builder(world.receiver(), handler_fn(handle_for_secs)).build();
    assert_eq!(pump.run(sleep(SECOND)).await, Summary::default());
    assert_eq!(began.elapsed(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn what_finished_is_acked_also_after_the_drain() {
    let world = world().await;
    world.publish([1]).await;
    // The ack is sent twice in vain before the drain is over.
    world.spy.ack_trouble.lock().unwrap().extend([Trouble::Unavailable; 2]);
    let pump = Pump::builder(world.receiver(), handler_fn(handle_for_secs)).drain(Duration::ZERO).build();
    let summary = pump.run_until(sleep(Duration::from_millis(1_010)), std::future::pending()).await;
    assert_eq!((summary.acked, summary.abandoned), (1, 0), "{summary:?}");
    assert_eq!(world.acks().len(), 3, "it was tried again");
}

#[tokio::test(start_paused = true)]
async fn a_hard_cancel_drops_handlers_there_and_then() {
    let world = world().await;
    world.publish([0, 100, 100]).await;
    let told = Arc::new(Notify::new());
    let tell = Arc::clone(&told);
    let handler = handler_fn(move |message: Message, context: Context| {
        let tell = Arc::clone(&tell);
        async move {
            let watch = context.cancellation.clone();
            tokio::spawn(async move {
                assert_eq!(watch.cancelled().await, CancelReason::Stopped);
                tell.notify_one();
            });
            handle_for_secs(message, context).await
        }
    });
    let began = Instant::now();
    let pump = Pump::builder(world.receiver(), handler).build();
    let summary = pump.run_until(sleep(SECOND), sleep(SECOND * 3)).await;
    assert_eq!((summary.acked, summary.handed_back), (1, 2), "{summary:?}");
    assert_eq!(began.elapsed(), SECOND * 3);
    told.notified().await;
    assert_eq!(world.ready().await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_hard_cancel_keeps_its_bound_though_the_broker_is_silent() {
    let world = world().await;
    world.publish([0, 100]).await;
    world.spy.ack_trouble.lock().unwrap().push_back(Trouble::Silence);
    world.spy.nack_trouble.lock().unwrap().push_back(Trouble::Silence);
    let began = Instant::now();
    let pump = Pump::builder(world.receiver(), handler_fn(handle_for_secs)).build();
    let summary = pump.run_until(std::future::pending(), sleep(SECOND)).await;
    assert_eq!((summary.received, summary.abandoned), (2, 2), "{summary:?}");
    assert_eq!(began.elapsed(), SECOND + CLOSE_MAX);
    sleep(common::LEASE).await;
    assert_eq!(world.ready().await.len(), 2, "they come again when their leases end");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_pump_loses_nothing() {
    let world = world().await;
    world.publish([100, 100, 100]).await;
    let pump = Pump::builder(world.receiver(), handler_fn(handle_for_secs)).permits(2).build();
    let gone = tokio::time::timeout(SECOND, pump.run(std::future::pending())).await;
    assert!(gone.is_err(), "the future was dropped");
    assert_eq!(world.ready().await.len(), 1, "one had never been received");
    sleep(common::LEASE).await;
    assert_eq!(world.ready().await.len(), 3);
}
