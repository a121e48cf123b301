//! Conversations with each layer, the router and the tower adapter.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test, its helpers included, fails by panicking"
)]

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use antiphon_consumer::layers::{CatchPanic, DeadLetterAfter, Metrics, Retry, Timeout, TimeoutError};
use antiphon_consumer::{
    Backoff, CancelReason, CancelSource, Context, DefaultStack, Handler, HandlerError, Layer, PoisonError,
    Request, Router, UnknownType, handler_fn, layers, tower_handler,
};
use queue::{Envelope, Message};
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

fn context() -> Context {
    Context::new("topic/service/site".parse().unwrap())
}

/// A handler that fails `failures` times, and a count of its calls.
fn failing(failures: u32) -> (impl Handler, Arc<AtomicU32>) {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let handler = handler_fn(move |_: Message, _| {
        let fails = counted.fetch_add(1, Ordering::Relaxed) < failures;
        async move { if fails { Err(HandlerError::retry("not yet")) } else { Ok(()) } }
    });
    (handler, calls)
}

#[tokio::test(start_paused = true)]
async fn retry_tries_in_place_with_growing_pauses() {
    for (failures, expected_calls, succeeds) in [(0, 1, true), (2, 3, true), (3, 3, false)] {
        let (handler, calls) = failing(failures);
        let answer = Retry::new(1).layer(handler).handle(&Message::default(), &context()).await;
        assert_eq!((answer.is_ok(), calls.load(Ordering::Relaxed)), (succeeds, expected_calls));
    }
    let (handler, calls) = failing(u32::MAX);
    let began = Instant::now();
    let retry = Retry::new(7).tries(6).backoff(Backoff::new(SECOND, SECOND * 4));
    retry.layer(handler).handle(&Message::default(), &context()).await.unwrap_err();
    assert_eq!(calls.load(Ordering::Relaxed), 6);
    assert!(began.elapsed() <= SECOND * (1 + 2 + 4 + 4 + 4) && began.elapsed() > SECOND);
}

#[tokio::test(start_paused = true)]
async fn retry_leaves_alone_what_it_should() {
    let began = Instant::now();
    let refusals: [fn() -> HandlerError; 2] =
        [|| HandlerError::poison("bad"), || HandlerError::retry_after("busy", SECOND)];
    for refusal in refusals {
        let calls = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&calls);
        let handler = handler_fn(move |_: Message, _| {
            counted.fetch_add(1, Ordering::Relaxed);
            async move { Err(refusal()) }
        });
        Retry::new(1).layer(handler).handle(&Message::default(), &context()).await.unwrap_err();
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    }
    let (handler, calls) = failing(u32::MAX);
    let (source, token) = CancelSource::new();
    source.cancel(CancelReason::LeaseLost);
    let cancelled = context().with_cancellation(token);
    Retry::new(1).layer(handler).handle(&Message::default(), &cancelled).await.unwrap_err();
    assert_eq!(calls.load(Ordering::Relaxed), 1, "the lease is lost: nothing to try again for");
    let (handler, calls) = failing(u32::MAX);
    let due = context().with_deadline(Instant::now());
    Retry::new(1).layer(handler).handle(&Message::default(), &due).await.unwrap_err();
    assert_eq!(calls.load(Ordering::Relaxed), 1, "no time is left");
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn retry_stops_pausing_when_it_is_cancelled() {
    let (handler, calls) = failing(u32::MAX);
    let (source, token) = CancelSource::new();
    let retry = Retry::new(1).tries(2).backoff(Backoff::new(SECOND * 1_000, SECOND * 1_000)).layer(handler);
    let cancelled = context().with_cancellation(token);
    let message = Message::default();
    let (answer, ()) = tokio::join!(retry.handle(&message, &cancelled), async {
        sleep(SECOND).await;
        source.cancel(CancelReason::Stopped);
    });
    assert!(answer.is_err());
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_panic_becomes_a_retry() {
    let panics: [fn(); 2] = [|| panic!("plain"), || panic!("{} text", "formatted")];
    for (panics, said) in panics.into_iter().zip(["plain", "formatted text"]) {
        let handler = CatchPanic.layer(handler_fn(move |_: Message, _| async move {
            panics();
            Ok(())
        }));
        let error = handler.handle(&Message::default(), &context()).await.unwrap_err();
        assert!(matches!(error, HandlerError::Retry { after: None, .. }));
        assert!(error.to_string().contains(said), "{error}");
    }
    let before_the_future = CatchPanic.layer(handler_fn(|_: Message, _| {
        assert!(std::hint::black_box(false), "in the closure itself");
        async { Ok(()) }
    }));
    before_the_future.handle(&Message::default(), &context()).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_timeout_drops_the_handler_and_sets_its_deadline() {
    let seen = Arc::new(Mutex::new(None));
    let deadline = Arc::clone(&seen);
    let handler = Timeout::new(SECOND).layer(handler_fn(move |_: Message, context: Context| {
        *deadline.lock().unwrap() = context.deadline;
        async {
            sleep(SECOND * 2).await;
            Ok(())
        }
    }));
    let began = Instant::now();
    let error = handler.handle(&Message::default(), &context()).await.unwrap_err();
    assert_eq!(began.elapsed(), SECOND);
    assert_eq!(*seen.lock().unwrap(), Some(began + SECOND));
    let HandlerError::Retry { source, .. } = error else { panic!("a timeout is tried again") };
    assert_eq!(source.downcast_ref(), Some(&TimeoutError { limit: SECOND }));
}

#[tokio::test(start_paused = true)]
async fn dead_after_n_receives_with_the_last_reason() {
    for (receive_count, dead) in [(1, false), (4, false), (5, true), (9, true)] {
        let (handler, _) = failing(u32::MAX);
        let context = context().with_receive_count(receive_count);
        let answer = DeadLetterAfter::new(5).layer(handler).handle(&Message::default(), &context).await;
        match answer.unwrap_err() {
            HandlerError::Poison { reason } => {
                assert!(dead);
                assert_eq!(reason, format!("given up after {receive_count} receives: not yet"));
            }
            HandlerError::Retry { .. } => assert!(!dead, "{receive_count}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn layers_compose_outermost_first() {
    // Outside of the retries the panic would be tried once; inside it is tried again.
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let panicking = handler_fn(move |_: Message, _| {
        counted.fetch_add(1, Ordering::Relaxed);
        async { panic!("again") }
    });
    let inside = layers![Retry::new(1), CatchPanic].layer(panicking.clone());
    inside.handle(&Message::default(), &context()).await.unwrap_err();
    assert_eq!(calls.swap(0, Ordering::Relaxed), 3);
    let outside = layers![CatchPanic, Retry::new(1)].layer(panicking);
    outside.handle(&Message::default(), &context()).await.unwrap_err();
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn metrics_count_every_outcome() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let shown = recorder.handle();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let handler = Metrics.layer(handler_fn(|message: Message, _| async move {
        match &message.body[..] {
            b"poison" => Err(HandlerError::poison("bad")),
            b"retry" => Err(HandlerError::retry("not yet")),
            b"hang" => std::future::pending().await,
            _ => Ok(()),
        }
    }));
    let mut context = context();
    context.age = Some(SECOND * 5);
    for body in ["", "", "poison", "retry", "hang"] {
        let message = Message::new(body);
        let ended = tokio::time::timeout(SECOND, handler.handle(&message, &context)).await;
        assert_eq!(ended.is_err(), body == "hang");
    }
    let text = shown.render();
    for (outcome, count) in [("ok", 2), ("poison", 1), ("retry", 1), ("dropped", 1)] {
        let line = format!(
            "antiphon_consumer_messages_total{{topic=\"topic\",service=\"service\",outcome=\"{outcome}\"}} {count}"
        );
        assert!(text.contains(&line), "{line}\n{text}");
    }
    for line in [
        "antiphon_consumer_handling{topic=\"topic\",service=\"service\"} 0",
        "antiphon_consumer_age_seconds_sum{topic=\"topic\",service=\"service\"} 25",
        "antiphon_consumer_duration_seconds_count{topic=\"topic\",service=\"service\"} 5",
        "antiphon_consumer_receive_count_sum{topic=\"topic\",service=\"service\"} 5",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_default_stack_retries_and_catches() {
    let (handler, calls) = failing(2);
    DefaultStack::new(1).layer(handler).handle(&Message::default(), &context()).await.unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 3);
    let panicking = handler_fn(|_: Message, _| async { panic!("caught") });
    DefaultStack::new(1).layer(panicking).handle(&Message::default(), &context()).await.unwrap_err();
}

fn event(event_type: &str) -> Message {
    Message::new(Envelope::new("1", "/test", event_type).encode())
}

#[tokio::test(start_paused = true)]
async fn the_router_goes_by_type() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let note = |name: &'static str| {
        let seen = Arc::clone(&seen);
        handler_fn(move |event: Arc<Envelope>, _| {
            seen.lock().unwrap().push((name, event.event_type.clone()));
            async { Ok(()) }
        })
    };
    let router = Router::new().route("a", note("first")).route("b", note("second"));
    router.handle(&event("b"), &context()).await.unwrap();
    router.handle(&event("a"), &context()).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), [("second", "b".to_owned()), ("first", "a".to_owned())]);

    let reason = |answer: Result<(), HandlerError>| match answer {
        Err(HandlerError::Poison { reason }) => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(reason(router.handle(&event("c"), &context()).await), "no route for the type \"c\"");
    let torn = reason(router.handle(&Message::new("{"), &context()).await);
    assert!(torn.starts_with("not an envelope: an envelope is a JSON object: "), "{torn}");
    let untyped =
        reason(router.handle(&Message::new("{\"specversion\":\"1.0\",\"id\":\"1\"}"), &context()).await);
    assert!(untyped.contains("\"source\" is missing"), "{untyped}");
    router.unknown(UnknownType::Ack).handle(&event("c"), &context()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_tower_service_is_a_handler_with_towers_own_layers() {
    use tower::{ServiceBuilder, service_fn};
    let running = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&running);
    let service = ServiceBuilder::new().concurrency_limit(2).timeout(SECOND).service(service_fn(
        move |request: Request<Message>| {
            let counted = Arc::clone(&counted);
            async move {
                assert!(counted.fetch_add(1, Ordering::Relaxed) < 2, "tower's limit holds across messages");
                sleep(Duration::from_millis(request.message.body.len() as u64)).await;
                counted.fetch_sub(1, Ordering::Relaxed);
                if request.message.body.is_empty() {
                    return Err(antiphon_consumer::BoxError::from(PoisonError { reason: "empty".into() }));
                }
                Ok(request.context.receive_count)
            }
        },
    ));
    let handler = Arc::new(tower_handler(service));
    let mut calls = tokio::task::JoinSet::new();
    let began = Instant::now();
    for _ in 0..6 {
        let handler = Arc::clone(&handler);
        calls.spawn(async move { handler.handle(&Message::new(vec![0; 500]), &context()).await });
    }
    assert!(calls.join_all().await.iter().all(Result::is_ok));
    assert_eq!(began.elapsed(), Duration::from_millis(1_500), "two at a time");
    let late = handler.handle(&Message::new(vec![0; 5_000]), &context()).await.unwrap_err();
    assert!(matches!(late, HandlerError::Retry { .. }), "{late}");
    running.store(0, Ordering::Relaxed);
    let poison = handler.handle(&Message::default(), &context()).await.unwrap_err();
    assert!(matches!(poison, HandlerError::Poison { reason } if reason == "empty"));
}
