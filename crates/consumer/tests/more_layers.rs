//! Conversations with the circuit breaker, the throttle, and the layers that read or repeat messages.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test, its helpers included, fails by panicking"
)]

mod common;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use antiphon_consumer::layers::{
    CatchPanic, Circuit, CircuitBreaker, CircuitOpen, Class, Classify, Correlate, DeadLetterAfter, Duplicate,
    Retry, SNS_SUBJECT, SnsUnwrap, Throttle, Timeout, TowerLayer,
};
use antiphon_consumer::{
    CancelReason, CancelSource, Context, Gate, Handler, HandlerError, Layer, Origin, PropertyRouter, Pump,
    TRACEPARENT, UnknownType, handler_fn, json_fn, layers,
};
use common::{subscription, text, world};
use queue::{Envelope, Message};
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn context() -> Context {
    Context::new(subscription())
}

async fn handled(handler: &impl Handler, body: &str) -> Result<(), HandlerError> {
    handler.handle(&Message::new(body.to_owned()), &context()).await
}

/// Does what a message says, and counts.
async fn obey(message: Message, _: Context) -> Result<(), HandlerError> {
    match text(&message).as_str() {
        "fail" => Err(HandlerError::retry("down")),
        "poison" => Err(HandlerError::poison("bad")),
        "hang" => std::future::pending().await,
        "slow" => {
            sleep(SECOND).await;
            Ok(())
        }
        _ => Ok(()),
    }
}

fn is_open(answer: &Result<(), HandlerError>) -> Option<Duration> {
    match answer {
        Err(HandlerError::Retry { source, after }) => source.downcast_ref::<CircuitOpen>().and(*after),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_circuit_opens_after_failures_in_a_row_and_closes_after_its_probes() {
    let breaker = CircuitBreaker::new().failures(3).open_for(SECOND * 10).probes(2);
    let handler = breaker.layer(handler_fn(obey));
    for body in ["fail", "fail", "ok", "fail", "fail", "poison", "fail", "fail"] {
        assert_eq!(handled(&handler, body).await.is_ok(), body == "ok");
        assert_eq!(breaker.circuit(), Circuit::Closed, "success and poison begin the row anew");
    }
    handled(&handler, "fail").await.unwrap_err();
    let until = Instant::now() + SECOND * 10;
    assert_eq!(breaker.circuit(), Circuit::Open { until });
    sleep(SECOND * 4).await;
    assert_eq!(is_open(&handled(&handler, "ok").await), Some(SECOND * 6), "the time that is left");
    sleep(SECOND * 6).await;
    // Two are tried, a third one is not; the answer of one is not enough.
    let message = Message::new("slow");
    let context = context();
    let (first, (second, third)) = tokio::join!(handler.handle(&message, &context), async {
        let second = handled(&handler, "ok").await;
        assert_eq!(breaker.circuit(), Circuit::HalfOpen);
        (second, handled(&handler, "ok").await)
    });
    assert!(first.is_ok() && second.is_ok() && is_open(&third).is_some(), "{third:?}");
    assert_eq!(breaker.circuit(), Circuit::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_fails_opens_it_again_and_one_that_is_dropped_says_nothing() {
    let breaker = CircuitBreaker::new().failures(1).open_for(SECOND * 10);
    let handler = breaker.layer(handler_fn(obey));
    // A call that began before the circuit opened has no say afterwards.
    let early = Message::new("slow");
    let context = context();
    let (early, ()) = tokio::join!(handler.handle(&early, &context), async {
        handled(&handler, "fail").await.unwrap_err();
    });
    early.unwrap();
    assert!(matches!(breaker.circuit(), Circuit::Open { .. }));
    sleep(SECOND * 10).await;
    assert!(tokio::time::timeout(SECOND, handled(&handler, "hang")).await.is_err());
    assert_eq!(breaker.circuit(), Circuit::HalfOpen);
    handled(&handler, "fail").await.unwrap_err();
    assert_eq!(breaker.circuit(), Circuit::Open { until: Instant::now() + SECOND * 10 }, "it took its place");
    sleep(SECOND * 10).await;
    handled(&handler, "ok").await.unwrap();
    assert_eq!(breaker.circuit(), Circuit::Closed);
}

#[tokio::test(start_paused = true)]
async fn with_a_gate_an_open_circuit_receives_nothing() {
    let world = world().await;
    world.publish(0..40).await;
    let is_down = Arc::new(AtomicU32::new(1));
    let calls = Arc::new(AtomicU32::new(0));
    let (down, counted) = (Arc::clone(&is_down), Arc::clone(&calls));
    let handler = handler_fn(move |_: Message, _| {
        counted.fetch_add(1, Ordering::Relaxed);
        let down = Arc::clone(&down);
        async move {
            sleep(SECOND / 10).await;
            if down.load(Ordering::Relaxed) == 1 { Err(HandlerError::retry("down")) } else { Ok(()) }
        }
    });
    let gate = Gate::new();
    let breaker = CircuitBreaker::new().failures(5).open_for(SECOND * 60).gate(gate.clone());
    let pump = Pump::builder(world.receiver(), breaker.layer(handler)).permits(8).gate(gate.clone()).build();
    let running = tokio::spawn(pump.run(sleep(SECOND * 1_000)));
    sleep(SECOND * 50).await;
    let first = calls.load(Ordering::Relaxed);
    assert!((5..=8).contains(&first), "no more than were there: {first}");
    assert!(!gate.is_open());
    sleep(SECOND * 120).await;
    let probes = calls.load(Ordering::Relaxed) - first;
    assert!((2..=3).contains(&probes), "one at a time: {probes}");
    assert!(world.spy.receives.lock().unwrap().iter().skip(4).all(|(_, max)| *max <= 8));
    is_down.store(0, Ordering::Relaxed);
    let summary = running.await.unwrap();
    assert_eq!(summary.acked, 40, "{summary:?}");
    assert!(summary.retried < 20, "receive counts are spared: {summary:?}");
}

#[tokio::test(start_paused = true)]
async fn a_gate_pauses_resumes_and_narrows_a_pump() {
    let world = world().await;
    world.publish(0..30).await;
    let handler = handler_fn(|_: Message, _| async {
        sleep(SECOND).await;
        Ok(())
    });
    let gate = Gate::new();
    gate.close();
    let pump = Pump::builder(world.receiver(), handler).permits(10).gate(gate.clone()).build();
    let gauge = pump.in_flight();
    let running = tokio::spawn(pump.run(sleep(SECOND * 100)));
    sleep(SECOND * 5).await;
    assert_eq!(gauge.get(), 0);
    gate.narrow(2);
    sleep(SECOND / 2).await;
    assert_eq!(gauge.get(), 2);
    gate.close_until(Instant::now() + SECOND * 5);
    sleep(SECOND * 2).await;
    assert_eq!(gauge.get(), 0, "what was in flight is finished");
    sleep(SECOND * 7 / 2).await;
    assert_eq!(gauge.get(), 10, "it opens by itself");
    assert_eq!(running.await.unwrap().acked, 30);
}

#[tokio::test(start_paused = true)]
async fn a_throttle_spreads_bursts_and_gives_up_on_deadlines_and_lost_leases() {
    let throttle = Throttle::new(1, SECOND).burst(3);
    let handler = throttle.layer(handler_fn(obey));
    let began = Instant::now();
    let mut times = Vec::new();
    for _ in 0..5 {
        handled(&handler, "ok").await.unwrap();
        times.push(began.elapsed().as_secs());
    }
    assert_eq!(times, [0, 0, 0, 1, 2]);
    sleep(SECOND * 100).await;
    for _ in 0..3 {
        handled(&handler, "ok").await.unwrap();
    }
    assert_eq!(began.elapsed(), SECOND * 102, "a pause saves up one burst, and not more");
    // Clones share the bucket, which is empty.
    let other = layers![Timeout::new(SECOND / 2), throttle.clone()].layer(handler_fn(obey));
    let Err(HandlerError::Retry { after, .. }) = handled(&other, "ok").await else { panic!("in time") };
    assert_eq!(after, Some(SECOND), "given back, and it took no token");
    let (source, token) = CancelSource::new();
    let cancelled = context().with_cancellation(token);
    let message = Message::new("ok");
    let (answer, ()) = tokio::join!(handler.handle(&message, &cancelled), async {
        sleep(SECOND / 4).await;
        source.cancel(CancelReason::LeaseLost);
    });
    assert!(answer.unwrap_err().to_string().contains("lease was lost"));
    assert_eq!(began.elapsed(), SECOND * 102 + SECOND / 4);
}

#[tokio::test]
async fn sns_notifications_are_unwrapped_and_all_else_passes() {
    let seen = Arc::new(Mutex::new(Message::default()));
    let log = Arc::clone(&seen);
    let handler = SnsUnwrap.layer(handler_fn(move |message: Message, _| {
        *log.lock().unwrap() = message;
        async { Ok(()) }
    }));
    // As SNS writes it.
    let wrapped = r#"{"Type" : "Notification", "MessageId" : "dc1e94d9", "TopicArn" : "arn:aws:sns:us-east-1:0:t",
        "Subject" : "news", "Message" : "{\"type\":\"comment\"}", "Timestamp" : "2016-07-28T10:15:27.000Z",
        "SignatureVersion" : "1", "Signature" : "x", "SigningCertURL" : "https://x", "UnsubscribeURL" : "https://x",
        "MessageAttributes" : {"a" : {"Type":"String","Value":"1"}, "b" : {"Type":"Binary","Value":"AAEC"}}}"#;
    let message = Message::new(wrapped).with_attribute("a", "outer").with_attribute("c", "3");
    handler.handle(&message, &context()).await.unwrap();
    let inner = seen.lock().unwrap().clone();
    assert_eq!(inner.body, r#"{"type":"comment"}"#);
    let attributes: Vec<_> = inner.attributes.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(attributes, [("a", "1"), ("b", "AAEC"), ("c", "3"), (SNS_SUBJECT, "news")]);
    for other in [
        "",
        "plain",
        "{",
        "[1]",
        r#"{"Message":"x"}"#,
        r#"{"Type":"Notification","Message":"x"}"#,
        r#"{"Type":"SubscriptionConfirmation","TopicArn":"a","Message":"x"}"#,
        r#"{"Type":"Notification","TopicArn":"a","Message":7}"#,
    ] {
        let message = Message::new(other.to_owned()).with_attribute("a", "1");
        handler.handle(&message, &context()).await.unwrap();
        assert_eq!(*seen.lock().unwrap(), message);
    }
    let binary = Message::new(vec![b'{', 0xff, 0]);
    handler.handle(&binary, &context()).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), binary);
}

#[tokio::test]
async fn the_origin_is_read_from_attributes_and_events_and_never_fails() {
    let seen = Arc::new(Mutex::new(Origin::default()));
    let log = Arc::clone(&seen);
    let handler = Correlate.layer(handler_fn(move |_: Message, context: Context| {
        *log.lock().unwrap() = context.origin;
        async { Ok(()) }
    }));
    let mut event = Envelope::new("1", "/source", "type");
    event.extensions.insert(TRACEPARENT.to_owned(), PARENT.into());
    for message in [Message::new("x").with_attribute(TRACEPARENT, PARENT), Message::new(event.encode())] {
        handler.handle(&message, &context()).await.unwrap();
        assert_eq!(seen.lock().unwrap().parent, Some(PARENT.parse().unwrap()));
    }
    for message in [Message::new("x"), Message::new("{").with_attribute(TRACEPARENT, "zz")] {
        handler.handle(&message, &context()).await.unwrap();
        assert_eq!(*seen.lock().unwrap(), Origin::default());
    }
}

#[tokio::test(start_paused = true)]
async fn duplicates_run_twice_in_turn_or_at_once() {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let handler = handler_fn(move |message: Message, context| {
        counted.fetch_add(1, Ordering::Relaxed);
        obey(message, context)
    });
    let began = Instant::now();
    handled(&Duplicate::new().layer(handler.clone()), "slow").await.unwrap();
    assert_eq!((calls.swap(0, Ordering::Relaxed), began.elapsed()), (2, SECOND * 2));
    handled(&Duplicate::new().concurrently().layer(handler.clone()), "slow").await.unwrap();
    assert_eq!((calls.swap(0, Ordering::Relaxed), began.elapsed()), (2, SECOND * 3));
    handled(&Duplicate::new().layer(handler.clone()), "fail").await.unwrap_err();
    assert_eq!(calls.swap(0, Ordering::Relaxed), 1, "what failed comes again anyway");
    let once = AtomicU32::new(0);
    let second_fails = handler_fn(move |_: Message, _| {
        let nth = once.fetch_add(1, Ordering::Relaxed);
        async move { if nth == 1 { Err(HandlerError::poison("seen before")) } else { Ok(()) } }
    });
    let answer = handled(&Duplicate::new().layer(second_fails), "ok").await;
    assert!(matches!(answer, Err(HandlerError::Poison { .. })), "Ok is said only if both say it");
}

#[tokio::test(start_paused = true)]
async fn classes_decide_what_retry_does() {
    let calls = Arc::new(AtomicU32::new(0));
    for (class, tries) in [(Class::Transient, 3), (Class::Later(SECOND), 1), (Class::Poison, 1)] {
        let counted = Arc::clone(&calls);
        let handler = handler_fn(move |message, context| {
            counted.fetch_add(1, Ordering::Relaxed);
            obey(message, context)
        });
        let stack = layers![Retry::new(1).tries(3), Classify::new(move |_| class)];
        let answer = handled(&stack.layer(handler), "fail").await;
        assert_eq!(calls.swap(0, Ordering::Relaxed), tries);
        match (class, answer) {
            (Class::Transient, Err(HandlerError::Retry { after: None, .. })) => {}
            (Class::Later(later), Err(HandlerError::Retry { after, .. })) => assert_eq!(after, Some(later)),
            (Class::Poison, Err(HandlerError::Poison { reason })) => assert_eq!(reason, "down"),
            (class, answer) => panic!("{class:?}: {answer:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn towers_layers_pass_on_what_the_handler_decided() {
    let stack = layers![
        TowerLayer(tower::limit::ConcurrencyLimitLayer::new(1)),
        TowerLayer(tower::timeout::TimeoutLayer::new(SECOND * 5)),
    ];
    let handler = stack.layer(handler_fn(|message: Message, context| async move {
        if text(&message) == "busy" {
            return Err(HandlerError::retry_after("busy", SECOND * 7));
        }
        obey(message, context).await
    }));
    handled(&handler, "ok").await.unwrap();
    assert!(
        matches!(handled(&handler, "poison").await, Err(HandlerError::Poison { reason }) if reason == "bad")
    );
    let busy = handled(&handler, "busy").await;
    assert!(
        matches!(busy, Err(HandlerError::Retry { after: Some(after), .. }) if after == SECOND * 7),
        "{busy:?}"
    );
    let began = Instant::now();
    let hung = handled(&handler, "hang").await;
    assert!(matches!(hung, Err(HandlerError::Retry { after: None, .. })), "{hung:?}");
    assert_eq!(began.elapsed(), SECOND * 5);
    let (first, second) = tokio::join!(handled(&handler, "slow"), handled(&handler, "slow"));
    assert!(first.is_ok() && second.is_ok());
    assert_eq!(began.elapsed(), SECOND * 7, "one at a time");
}

#[tokio::test]
async fn routes_on_any_property() {
    let heard = Arc::new(Mutex::new(String::new()));
    let route = |name: &'static str| {
        let log = Arc::clone(&heard);
        handler_fn(move |_: Message, _| {
            *log.lock().unwrap() = name.to_owned();
            async { Ok(()) }
        })
    };
    let router = PropertyRouter::new("a/b~").route("text", route("text")).route("7", route("seven"));
    let router = router.route("true", route("true"));
    for (body, name) in [
        (r#"{"a/b~":"text"}"#, "text"),
        (r#"{"a/b~":7}"#, "seven"),
        (r#"{"a/b~":"7"}"#, "seven"),
        (r#"{"a/b~":true}"#, "true"),
    ] {
        handled(&router, body).await.unwrap();
        assert_eq!(*heard.lock().unwrap(), name);
    }
    let poison = async |router: &PropertyRouter, body: &str| match handled(router, body).await {
        Err(HandlerError::Poison { reason }) => reason,
        answer => panic!("{answer:?}"),
    };
    for (body, says) in [
        ("", "the body is not JSON"),
        ("[1]", "has no \"/a~1b~0\""),
        ("{}", "has no \"/a~1b~0\""),
        (r#"{"a/b~":null}"#, "is no text, number or boolean"),
        (r#"{"a/b~":"other"}"#, "no route for \"other\""),
    ] {
        let reason = poison(&router, body).await;
        assert!(reason.contains(says), "{body}: {reason}");
    }
    let lenient = router.unknown(UnknownType::Ack);
    handled(&lenient, r#"{"a/b~":"other"}"#).await.unwrap();
    poison(&lenient, "{}").await;
    let answer = handled(&json_fn(|_: Vec<u8>, _| async { Ok(()) }), "[1,2,300]").await;
    assert!(
        matches!(answer, Err(HandlerError::Poison { reason }) if reason.contains("expected u8 at line 1"))
    );
}

#[tokio::test(start_paused = true)]
async fn panics_open_the_circuit_wherever_they_are_caught() {
    let down = handler_fn(|_: Message, _| async { panic!("no connection") });
    let breaker = CircuitBreaker::new().failures(3).open_for(SECOND);
    let handler = layers![CatchPanic, breaker.clone()].layer(down);
    for _ in 0..3 {
        assert_eq!(breaker.circuit(), Circuit::Closed);
        handled(&handler, "a").await.unwrap_err();
    }
    let until = Instant::now() + SECOND;
    assert_eq!(breaker.circuit(), Circuit::Open { until });
    sleep(SECOND).await;
    handled(&handler, "a").await.unwrap_err();
    assert_eq!(breaker.circuit(), Circuit::Open { until: until + SECOND }, "a probe that panics has failed");
}

#[tokio::test(start_paused = true)]
async fn who_holds_a_gate_lifts_only_what_it_laid_on() {
    let gate = Gate::new();
    let [first, second] =
        [1, 3].map(|seconds| CircuitBreaker::new().failures(1).open_for(SECOND * seconds).gate(gate.clone()));
    let [one, other] = [first.clone(), second.clone()].map(|breaker| breaker.layer(handler_fn(obey)));
    gate.close();
    for handler in [&one, &other] {
        handled(handler, "fail").await.unwrap_err();
    }
    sleep(SECOND * 2).await;
    handled(&one, "ok").await.unwrap();
    assert_eq!(first.circuit(), Circuit::Closed);
    gate.open();
    assert!(!gate.is_open(), "the other circuit is open still");
    gate.close();
    sleep(SECOND * 2).await;
    handled(&other, "ok").await.unwrap();
    assert!(!gate.is_open(), "an operator closed it");
    gate.open();
    assert!(gate.is_open());
    handled(&one, "fail").await.unwrap_err();
    assert!(!gate.is_open());
    drop((first, one));
    assert!(gate.is_open(), "a breaker that is gone holds nothing");
}

#[tokio::test(start_paused = true)]
async fn what_was_turned_away_untried_is_not_given_up() {
    let stack = layers![DeadLetterAfter::new(1), CircuitBreaker::new().failures(1)];
    let handler = stack.layer(handler_fn(obey));
    assert!(matches!(handled(&handler, "fail").await, Err(HandlerError::Poison { .. })), "it was tried");
    assert!(is_open(&handled(&handler, "ok").await).is_some(), "an outage is no fault of this message");

    let stack = layers![DeadLetterAfter::new(1), Timeout::new(SECOND), Throttle::new(1, SECOND * 10)];
    let handler = stack.layer(handler_fn(obey));
    handled(&handler, "ok").await.unwrap();
    assert!(matches!(handled(&handler, "ok").await, Err(HandlerError::Retry { after: Some(_), .. })));
}
