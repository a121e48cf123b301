//! A pump on a broker.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use consumer::{CLOSE_MAX, CancelReason, Context, HandlerError, Pump, Summary, handler_fn};
use queue::{Message, Receiver};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::{Instant, sleep};

use crate::scene::{Scene, ack, bodies, expect_nothing, must, take};
use crate::watched::{Mood, Watched};

/// One receive of a pump in a case: short, so that a stop is not held up by the broker.
const WAIT: Duration = Duration::from_secs(1);
/// What a busy machine may add to a bound.
const SLACK: Duration = Duration::from_secs(5);

fn text(message: &Message) -> String {
    String::from_utf8_lossy(&message.body).into_owned()
}

fn as_receiver(watched: &Arc<Watched>) -> Arc<dyn Receiver> {
    Arc::clone(watched) as Arc<dyn Receiver>
}

/// Begins as closed, and stays open.
fn gate() -> (watch::Sender<bool>, watch::Receiver<bool>) {
    watch::channel(false)
}

async fn passed(gate: &watch::Receiver<bool>) {
    let mut gate = gate.clone();
    // An error says that the gate is gone, which only a failed case does.
    if gate.wait_for(|open| *open).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// What `run` gives, which ends when it is notified: when `stop` is over.
pub(super) async fn until<T>(run: impl AsyncFnOnce(&Notify) -> T, stop: impl Future<Output = ()>) -> T {
    let over = Notify::new();
    let (output, ()) = tokio::join!(run(&over), async {
        stop.await;
        over.notify_one();
    });
    output
}

/// The lease is kept for a handler that takes three of them, and no extension follows the ack.
pub(super) async fn a_lease_is_kept_for_as_long_as_a_handler_takes(scene: &Scene) {
    let bench = scene.brief().await;
    let lease = scene.timing.lease;
    let watched = Watched::new(Arc::clone(&bench.receiver), Mood::Honest);
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let handler = handler_fn(move |_: Message, _: Context| {
        let counted = Arc::clone(&counted);
        async move {
            counted.fetch_add(1, Ordering::Relaxed);
            sleep(lease * 3).await;
            Ok::<_, HandlerError>(())
        }
    });
    bench.publish(&["a"]).await;
    let pump = Pump::builder(as_receiver(&watched), handler).lease(lease).wait(WAIT).build();
    let other = must(bench.queue.subscribe(&bench.subscription, scene.config()).await, "subscribing");
    let stop = async {
        scene.until("the ack", || watched.acked() == 1).await;
        // Long enough for an extension that should not be.
        scene.elapse(lease).await;
    };
    let watching = async {
        scene.until("the handler", || runs.load(Ordering::Relaxed) > 0).await;
        while watched.acked() == 0 {
            expect_nothing(&*other, scene.timing, "it is being handled").await;
            scene.elapse(lease / 4).await;
        }
    };
    let (summary, ()) = tokio::join!(until(async |over| pump.run(over.notified()).await, stop), watching);
    assert_eq!((summary.acked, summary.lost, runs.load(Ordering::Relaxed)), (1, 0, 1), "{summary:?}");
    assert!(watched.extensions() >= 2, "the lease was extended {} times", watched.extensions());
    assert_eq!(watched.extensions_late(), 0, "extensions after the ack");
    scene.elapse(lease * 2).await;
    expect_nothing(&*other, scene.timing, "acked").await;
}

pub(super) async fn a_handler_is_cancelled_when_its_lease_is_lost(scene: &Scene) {
    let bench = scene.brief().await;
    let watched = Watched::new(Arc::clone(&bench.receiver), Mood::Stolen);
    let told: Arc<Mutex<Option<CancelReason>>> = Arc::default();
    let tell = Arc::clone(&told);
    let cancelled = Arc::new(Notify::new());
    let notify = Arc::clone(&cancelled);
    let handler = handler_fn(move |_: Message, context: Context| {
        let (tell, notify) = (Arc::clone(&tell), Arc::clone(&notify));
        async move {
            let reason = context.cancellation.cancelled().await;
            *tell.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
            notify.notify_one();
            Ok::<_, HandlerError>(())
        }
    });
    bench.publish(&["a"]).await;
    let pump = Pump::builder(as_receiver(&watched), handler).permits(1).lease(scene.timing.lease).wait(WAIT);
    let summary = scene.within("the cancellation", pump.build().run(cancelled.notified())).await;
    let reason = *told.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(reason, Some(CancelReason::LeaseLost));
    assert_eq!((summary.acked, summary.lost), (0, 1), "{summary:?}");
    let again = bench.take(1).await;
    assert_eq!(bodies(&again), ["a"], "it comes again");
    ack(&*bench.receiver, &again).await;
}

pub(super) async fn an_ack_after_a_lost_lease_is_never_reported_as_done(scene: &Scene) {
    let bench = scene.brief().await;
    let lease = scene.timing.lease;
    let watched = Watched::new(Arc::clone(&bench.receiver), Mood::NoExtensions);
    let finished = Arc::new(Notify::new());
    let notify = Arc::clone(&finished);
    // It does not look at its token, and ends well, too late.
    let handler = handler_fn(move |_: Message, _: Context| {
        let notify = Arc::clone(&notify);
        async move {
            sleep(lease * 2).await;
            notify.notify_one();
            Ok::<_, HandlerError>(())
        }
    });
    bench.publish(&["a"]).await;
    let pump = Pump::builder(as_receiver(&watched), handler)
        .permits(1)
        .lease(lease)
        .cancel_grace(scene.timing.patience)
        .wait(WAIT)
        .build();
    let summary = scene.within("the handler", pump.run(finished.notified())).await;
    assert_eq!((summary.received, summary.acked, summary.lost), (1, 0, 1), "{summary:?}");
    assert_eq!(watched.acked(), 0);
    let again = bench.take(1).await;
    assert_eq!(bodies(&again), ["a"], "it comes again");
    ack(&*bench.receiver, &again).await;
}

pub(super) async fn a_slow_handler_holds_up_no_other(scene: &Scene) {
    const MESSAGES: usize = 1_000;
    const PERMITS: usize = 32;
    let bench = scene.bench().await;
    let names: Vec<String> = (0..MESSAGES).map(|number| number.to_string()).collect();
    for chunk in names.chunks(100) {
        bench.publish(&chunk.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }
    let watched = Watched::new(Arc::clone(&bench.receiver), Mood::Honest);
    let done: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let count = |done: &Mutex<BTreeSet<String>>| done.lock().unwrap_or_else(PoisonError::into_inner).len();
    let (open, waiting) = gate();
    let noted = Arc::clone(&done);
    let handler = handler_fn(move |message: Message, _: Context| {
        let (noted, waiting) = (Arc::clone(&noted), waiting.clone());
        async move {
            let name = text(&message);
            if name == "500" {
                passed(&waiting).await;
            }
            noted.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
            Ok::<_, HandlerError>(())
        }
    });
    let lease = scene.long_lease().lease;
    let pump = Pump::builder(as_receiver(&watched), handler).permits(PERMITS).lease(lease).wait(WAIT).build();
    let stop = async {
        scene.until("all but one", || count(&done) == MESSAGES - 1).await;
        open.send_replace(true);
        scene.until("all acks", || watched.acked() >= MESSAGES).await;
    };
    let summary = until(async |over| pump.run(over.notified()).await, stop).await;
    assert_eq!(count(&done), MESSAGES);
    assert_eq!(summary.lost, 0, "{summary:?}");
    assert!(watched.held_max() <= PERMITS, "{} in memory with {PERMITS} permits", watched.held_max());
}

pub(super) async fn never_more_in_memory_than_permits(scene: &Scene) {
    const MESSAGES: usize = 40;
    const PERMITS: usize = 8;
    let bench = scene.bench().await;
    let names: Vec<String> = (0..MESSAGES).map(|number| format!("{number:02}")).collect();
    bench.publish(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let watched = Watched::new(Arc::clone(&bench.receiver), Mood::Honest);
    let began = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&began);
    let (open, waiting) = gate();
    let handler = handler_fn(move |_: Message, _: Context| {
        let (counted, waiting) = (Arc::clone(&counted), waiting.clone());
        async move {
            counted.fetch_add(1, Ordering::Relaxed);
            passed(&waiting).await;
            Ok::<_, HandlerError>(())
        }
    });
    let lease = scene.long_lease().lease;
    let pump = Pump::builder(as_receiver(&watched), handler).permits(PERMITS).lease(lease).wait(WAIT).build();
    let gauge = pump.in_flight();
    let stop = async {
        scene.until("as many as permits", || began.load(Ordering::Relaxed) == PERMITS).await;
        // Time in which more could come.
        scene.elapse(scene.timing.lease).await;
        assert_eq!((began.load(Ordering::Relaxed), gauge.get()), (PERMITS, PERMITS));
        open.send_replace(true);
        scene.until("all acks", || watched.acked() == MESSAGES).await;
    };
    let summary = until(async |over| pump.run(over.notified()).await, stop).await;
    assert!(watched.held_max() <= PERMITS, "{} in memory with {PERMITS} permits", watched.held_max());
    assert_eq!(summary.acked, 40, "{summary:?}");
}

/// Nothing is fetched ahead and hidden from those who have time for it.
pub(super) async fn what_a_busy_pump_does_not_take_others_get(scene: &Scene) {
    const PERMITS: usize = 4;
    let bench = scene.bench().await;
    let names: Vec<String> = (0..30).map(|number| format!("{number:02}")).collect();
    bench.publish(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let began = Arc::new(Semaphore::new(0));
    let count = Arc::clone(&began);
    let (open, waiting) = gate();
    let handler = handler_fn(move |_: Message, _: Context| {
        let (count, waiting) = (Arc::clone(&count), waiting.clone());
        async move {
            count.add_permits(1);
            passed(&waiting).await;
            Ok::<_, HandlerError>(())
        }
    });
    let lease = scene.long_lease().lease;
    let receiver = Arc::clone(&bench.receiver);
    let pump = Pump::builder(receiver, handler).permits(PERMITS).lease(lease).wait(WAIT).build();
    let stop = async {
        drop(scene.within("the pump has its hands full", began.acquire_many(4)).await);
        let queue = scene.place.connect().await;
        let idle = must(queue.subscribe(&bench.subscription, scene.long_lease()).await, "subscribing");
        let taken = take(&*idle, names.len() - PERMITS, scene.timing.patience).await;
        ack(&*idle, &taken).await;
        open.send_replace(true);
    };
    let summary = until(async |over| pump.run(over.notified()).await, stop).await;
    assert_eq!((summary.received, summary.acked), (4, 4), "{summary:?}");
}

pub(super) async fn a_graceful_stop_delivers_acks_and_hands_back_the_rest(scene: &Scene) {
    const MESSAGES: usize = 10;
    let bench = scene.bench().await;
    let names: Vec<String> = (0..MESSAGES).map(|number| number.to_string()).collect();
    bench.publish(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let began = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&began);
    let (open, waiting) = gate();
    let handler = handler_fn(move |message: Message, _: Context| {
        let (counted, waiting) = (Arc::clone(&counted), waiting.clone());
        async move {
            counted.fetch_add(1, Ordering::Relaxed);
            passed(&waiting).await;
            if text(&message).parse::<u32>()? % 2 == 1 {
                std::future::pending::<()>().await;
            }
            Ok(())
        }
    });
    let lease = scene.long_lease().lease;
    let pump = Pump::builder(Arc::clone(&bench.receiver), handler)
        .lease(lease)
        .wait(WAIT)
        .drain(Duration::from_secs(1))
        .build();
    let stop = async {
        scene.until("all begin", || began.load(Ordering::Relaxed) == MESSAGES).await;
        // They finish only after the stop.
        open.send_replace(true);
    };
    let summary = scene.within("the stop", until(async |over| pump.run(over.notified()).await, stop)).await;
    assert_eq!((summary.acked, summary.handed_back, summary.abandoned), (5, 5, 0), "{summary:?}");
    // Their leases would live for longer than this waits.
    let rest = bench.take(5).await;
    assert_eq!(bodies(&rest), ["1", "3", "5", "7", "9"]);
    ack(&*bench.receiver, &rest).await;
    bench.expect_nothing("all were acked").await;
}

/// Also if the broker is silent.
pub(super) async fn a_hard_stop_returns_within_its_bound(scene: &Scene) {
    for mood in [Mood::Honest, Mood::Silent] {
        let bench = scene.brief().await;
        bench.publish(&["a", "b", "c"]).await;
        let watched = Watched::new(Arc::clone(&bench.receiver), mood);
        let began = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&began);
        let handler = handler_fn(move |_: Message, _: Context| {
            let counted = Arc::clone(&counted);
            async move {
                counted.fetch_add(1, Ordering::Relaxed);
                std::future::pending::<Result<(), HandlerError>>().await
            }
        });
        let lease = scene.timing.lease;
        let pump = Pump::builder(as_receiver(&watched), handler).lease(lease).wait(WAIT).build();
        let stopped = Mutex::new(None);
        let stop = async {
            scene.until("all begin", || began.load(Ordering::Relaxed) >= 3).await;
            *stopped.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        };
        let run = async |over: &Notify| pump.run_until(std::future::pending(), over.notified()).await;
        let summary: Summary = until(run, stop).await;
        let stopped = must(stopped.into_inner().unwrap_or_else(PoisonError::into_inner).ok_or(()), "stopped");
        let took = stopped.elapsed();
        assert!(took <= CLOSE_MAX + SLACK, "{mood:?}: it took {took:?}");
        let left = match mood {
            Mood::Silent => summary.abandoned,
            _ => summary.handed_back,
        };
        assert_eq!(left, 3, "{mood:?}: {summary:?}");
        assert_eq!(bodies(&bench.finish(3).await), ["a", "b", "c"], "{mood:?}: they come again");
    }
}
