#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test")]
mod common;
use antiphon_consumer::layers::*;
use antiphon_consumer::*;
use common::{LEASE, Trouble, subscription, text, world};
use queue::{BoxFuture, Delivery, Message};
use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep};
const SECOND: Duration = Duration::from_secs(1);

struct Bomb(bool);
impl Drop for Bomb {
    fn drop(&mut self) {
        if self.0 {
            panic!("neither committed nor rolled back")
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a1_drop_bomb() {
    let world = world().await;
    world.publish(["a"]).await;
    world.spy.extend_trouble.lock().unwrap().push_back(Trouble::LeaseLost);
    let handler = handler_fn(|_: Message, context: Context| async move {
        let mut bomb = Bomb(true);
        if context.receive_count == 1 {
            std::future::pending::<()>().await;
        }
        bomb.0 = false;
        Ok(())
    });
    let pump = Pump::builder(world.receiver(), handler).lease(LEASE).cancel_grace(SECOND).permits(1).build();
    let summary = pump.run(sleep(LEASE * 5)).await;
    assert_eq!((summary.lost, summary.acked), (1, 1), "{summary:?}");
}

#[tokio::test(start_paused = true)]
async fn a2_drain_max() {
    let world = world().await;
    world.publish(["a"]).await;
    let pump = Pump::builder(
        world.receiver(),
        handler_fn(|_: Message, _| async {
            sleep(SECOND * 2).await;
            Ok(())
        }),
    )
    .drain(Duration::MAX)
    .cancel_grace(Duration::MAX)
    .build();
    assert_eq!(pump.run(sleep(SECOND)).await.acked, 1);
}
#[tokio::test(start_paused = true)]
async fn a2_linger_max() {
    let world = world().await;
    world.publish(["a", "b"]).await;
    let h = batch_fn(|b: Vec<Request<Message>>| async move { b.iter().map(|_| Ok(())).collect() });
    let pump = Pump::batched(world.receiver(), h).batch(2, Duration::MAX).build();
    assert_eq!(pump.run(sleep(SECOND)).await.acked, 2);
}
#[tokio::test(start_paused = true)]
async fn a2_layers_max() {
    let context = Context::new(subscription());
    let ok = || handler_fn(|_: Message, _| async { Ok(()) });
    Timeout::new(Duration::MAX).layer(ok()).handle(&Message::default(), &context).await.unwrap();
}
#[tokio::test(start_paused = true)]
async fn a2_breaker_max() {
    let context = Context::new(subscription());
    let b = CircuitBreaker::new().failures(1).open_for(Duration::MAX);
    let h = b.layer(handler_fn(|_: Message, _| async { Err(HandlerError::retry("x")) }));
    h.handle(&Message::default(), &context).await.unwrap_err();
    let e = h.handle(&Message::default(), &context).await.unwrap_err();
    println!("{e:?}");
}
#[tokio::test(start_paused = true)]
async fn a2_throttle_max() {
    let context = Context::new(subscription());
    let h = Throttle::new(1, Duration::MAX).layer(handler_fn(|_: Message, _| async { Ok(()) }));
    h.handle(&Message::default(), &context).await.unwrap();
}
#[tokio::test(start_paused = true)]
async fn a2_retry_after_max() {
    let world = world().await;
    world.publish(["a"]).await;
    let h = handler_fn(|_: Message, _| async { Err(HandlerError::retry_after("x", Duration::MAX)) });
    let pump = Pump::builder(world.receiver(), h).build();
    let s = pump.run(sleep(SECOND)).await;
    assert_eq!(s.retried, 1, "{s:?}");
}

#[tokio::test(start_paused = true)]
async fn a3_panics_open_the_circuit() {
    let b = CircuitBreaker::new().failures(3);
    let h = layers![CatchPanic, b.clone()].layer(handler_fn(|_: Message, _| async { panic!("no database") }));
    let context = Context::new(subscription());
    for _ in 0..3 {
        h.handle(&Message::default(), &context).await.unwrap_err();
    }
    assert!(matches!(b.circuit(), Circuit::Open { .. }), "{:?}", b.circuit());
}

#[tokio::test(start_paused = true)]
async fn a4_operator() {
    let gate = Gate::new();
    let b = CircuitBreaker::new().failures(1).open_for(SECOND).gate(gate.clone());
    let h = b.layer(handler_fn(|m: Message, _| async move {
        if text(&m) == "fail" { Err(HandlerError::retry("x")) } else { Ok(()) }
    }));
    let context = Context::new(subscription());
    gate.close();
    h.handle(&Message::new("fail"), &context).await.unwrap_err();
    sleep(SECOND * 2).await;
    assert!(!gate.is_open(), "reopened by itself");
    h.handle(&Message::new("ok"), &context).await.unwrap();
    assert!(!gate.is_open(), "reopened by breaker");
}

#[tokio::test(start_paused = true)]
async fn a5_retry_empty_batch() {
    let sizes = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&sizes);
    let h = Retry::new(1).layer(batch_fn(move |b: Vec<Request<Message>>| {
        log.lock().unwrap().push(b.len());
        async move { b.iter().map(|_| Err(HandlerError::retry("x"))).collect() }
    }));
    let (source, token) = CancelSource::new();
    let batch = [Request {
        message: Message::new("a"),
        context: Context::new(subscription()).with_cancellation(token),
    }];
    let (_, ()) = tokio::join!(h.handle_batch(&batch), async {
        tokio::task::yield_now().await;
        source.cancel(CancelReason::LeaseLost);
    });
    assert_eq!(*sizes.lock().unwrap(), [1]);
}

#[derive(Debug)]
struct Broken;
impl DeadLetters for Broken {
    fn keep<'a>(&'a self, _: &'a Delivery, _: &'a str) -> BoxFuture<'a, Result<Kept, BoxError>> {
        Box::pin(async { Err("full".into()) })
    }
}
#[tokio::test(start_paused = true)]
async fn a6_poison_overtaken() {
    let world = world().await;
    world.publish(["a1", "a2"]).await;
    let log = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&log);
    let h = handler_fn(move |m: Message, c: Context| {
        let seen = Arc::clone(&seen);
        async move {
            if text(&m) == "a1" && c.receive_count == 1 {
                return Err(HandlerError::poison("p"));
            }
            seen.lock().unwrap().push(text(&m));
            Ok(())
        }
    });
    let pump = Pump::builder(world.receiver(), h)
        .ordered_by(|m| Some(text(m)[..1].to_owned()))
        .dead_letters(Broken)
        .build();
    pump.run(sleep(SECOND * 60)).await;
    assert_eq!(*log.lock().unwrap(), ["a1", "a2"]);
}

#[tokio::test]
async fn a7_dedup_in_memory_of_process() {
    let messages: Vec<_> = (0..4).map(|n| Message::new(n.to_string())).collect();
    let r = laws::check_handler(
        &messages,
        300,
        Arc::<Mutex<u32>>::default,
        |count| {
            let seen = Arc::new(Mutex::new(HashSet::new()));
            let count = Arc::clone(count);
            handler_fn(move |m: Message, _| {
                if seen.lock().unwrap().insert(m.body.clone()) {
                    *count.lock().unwrap() += 1;
                }
                async { Ok(()) }
            })
        },
        async |c| *c.lock().unwrap(),
    )
    .await;
    println!("{r:?}");
    assert!(r.is_err());
}

#[test]
fn a8_tracestate() {
    let m = Message::new("")
        .with_attribute(TRACEPARENT, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .with_attribute(TRACESTATE, "a=1\r\n\r\n,b=2")
        .with_attribute(CORRELATION_ID, "x\r\ny: z");
    let o = Origin::of(&m);
    assert!(o.state.is_none() && o.correlation_id.is_none(), "{o:?}");
}

#[tokio::test]
async fn a9_hostile_dots() {
    use antiphon_consumer::audit::*;
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(folder.path(), "a", 7).unwrap();
    for n in [u64::MAX, u64::MAX - 1, 1, 3] {
        let m = Message::new("").with_attribute(AUDIT_ATTRIBUTE, format!("00000000000000ab-{n}"));
        if let Some(dot) = dot_of(&m) {
            ledger.merged(&subscription(), dot).await.unwrap();
            ledger.dead(&subscription(), dot).await.unwrap();
            ledger.sent(subscription().topic(), &[dot]).await.unwrap();
        }
    }
    let a = Ledger::read_folder(folder.path()).unwrap().account(&subscription());
    println!("{a:?}");
    assert_eq!(a.merged, 4);
}

#[tokio::test]
async fn a10_wait_zero() {
    let world = world().await;
    world.publish(0..3).await;
    let began = Instant::now();
    let pump = Pump::builder(
        world.receiver(),
        handler_fn(|_: Message, _| async {
            sleep(SECOND / 10).await;
            Ok(())
        }),
    )
    .wait(Duration::ZERO)
    .build();
    let s = tokio::time::timeout(SECOND * 5, pump.run(sleep(SECOND))).await.unwrap();
    println!("{s:?} {:?} receives {}", began.elapsed(), world.spy.receives.lock().unwrap().len());
    assert_eq!(s.acked, 3);
}

#[tokio::test]
async fn a12_each_panic() {
    let h = Each(handler_fn(|m: Message, _| async move {
        if text(&m) == "b" {
            panic!("b")
        }
        Ok(())
    }));
    let batch: Vec<_> = ["a", "b", "c"]
        .map(|b| Request { message: Message::new(b), context: Context::new(subscription()) })
        .into();
    let answers = CatchPanic.layer(h).handle_batch(&batch).await;
    assert_eq!(answers.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
}

#[derive(Clone)]
struct Picky(MemoryTable<u64, lattice::Max<u64>>);
impl Table<u64, lattice::Max<u64>> for Picky {
    async fn join(&self, deltas: Vec<(u64, lattice::Max<u64>)>) -> Result<(), BoxError> {
        if deltas.iter().any(|(k, _)| *k == 1) {
            return Err(PoisonError { reason: "key 1".into() }.into());
        }
        self.0.join(deltas).await
    }
}
#[tokio::test]
async fn a13_merge_batch_poison() {
    let t = Picky(MemoryTable::new());
    let h = merge_handler(t, |m: &Message| {
        serde_json::from_slice::<u64>(&m.body).map(|n| vec![(n, lattice::Max(n))])
    });
    let batch: Vec<_> = ["0", "1", "2"]
        .map(|b| Request { message: Message::new(b), context: Context::new(subscription()) })
        .into();
    let answers = h.handle_batch(&batch).await;
    assert!(matches!(answers[1], Err(HandlerError::Poison { .. })), "{answers:?}");
    assert!(answers[0].is_ok() && answers[2].is_ok(), "{answers:?}");
}

#[test]
fn a14_deep_json() {
    let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let deep = format!("{}{}", "{\"a\":".repeat(100_000), "1");
    let c = Context::new(subscription());
    let ok = || handler_fn(|_: Message, _| async { Ok(()) });
    rt.block_on(async {
        PropertyRouter::new("a").route("1", ok()).handle(&Message::new(deep.clone()), &c).await.unwrap_err();
        Router::new().handle(&Message::new(deep.clone()), &c).await.unwrap_err();
        SnsUnwrap.layer(ok()).handle(&Message::new(deep.clone()), &c).await.unwrap();
        Correlate.layer(ok()).handle(&Message::new(deep.clone()), &c).await.unwrap();
    });
}
