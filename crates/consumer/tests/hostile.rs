//! Handlers, settings, brokers and messages that mean no good.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, its helpers included, fails by panicking")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use antiphon_consumer::layers::{CircuitBreaker, Correlate, SnsUnwrap, Throttle, Timeout};
use antiphon_consumer::{
    Context, Handler, HandlerError, Layer, PropertyRouter, Pump, Request, Router, batch_fn, handler_fn,
};
use common::{LEASE, Trouble, subscription, world};
use queue::{
    AckError, BoxFuture, Delivery, Depth, Lease, Message, QueueError, Receipt, Receiver, Subscription,
};
use tokio::time::sleep;

const SECOND: Duration = Duration::from_secs(1);

fn ok() -> impl Handler + Clone {
    handler_fn(|_: Message, _| async { Ok(()) })
}

/// Panics when it is dropped, as a transaction does that was neither committed nor rolled back.
struct Bomb {
    armed: bool,
}

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(!self.armed, "neither committed nor rolled back");
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_when_it_is_dropped_keeps_no_permit() {
    let world = world().await;
    world.publish(["a"]).await;
    world.spy.extend_trouble.lock().unwrap().push_back(Trouble::LeaseLost);
    let handler = handler_fn(|_: Message, context: Context| async move {
        let mut bomb = Bomb { armed: true };
        if context.receive_count == 1 {
            std::future::pending::<()>().await;
        }
        bomb.armed = false;
        Ok(())
    });
    let pump = Pump::builder(world.receiver(), handler).lease(LEASE).cancel_grace(SECOND).permits(1).build();
    let summary = pump.run(sleep(LEASE * 5)).await;
    assert_eq!((summary.lost, summary.acked), (1, 1), "{summary:?}");
}

#[tokio::test(start_paused = true)]
async fn durations_that_mean_never_are_no_panic() {
    let never = Duration::MAX;
    let world = world().await;
    world.publish(["a"]).await;
    let slow = handler_fn(|_: Message, _| async {
        sleep(SECOND * 2).await;
        Ok(())
    });
    world.spy.extend_trouble.lock().unwrap().push_back(Trouble::LeaseLost);
    let pump = Pump::builder(world.receiver(), slow).drain(never).cancel_grace(never).lease(never).build();
    assert_eq!(pump.run(sleep(SECOND)).await.acked, 1);

    world.publish(["a"]).await;
    let later = handler_fn(move |_: Message, _| async move { Err(HandlerError::retry_after("x", never)) });
    assert_eq!(Pump::builder(world.receiver(), later).build().run(sleep(SECOND)).await.retried, 1);

    world.publish(["a", "b"]).await;
    let both = batch_fn(|batch: Vec<Request<Message>>| async move { batch.iter().map(|_| Ok(())).collect() });
    let pump = Pump::batched(world.receiver(), both).batch(2, never).build();
    assert_eq!(pump.run(sleep(SECOND)).await.acked, 2);

    let (message, context) = (Message::default(), Context::new(subscription()));
    Timeout::new(never).layer(ok()).handle(&message, &context).await.unwrap();
    Throttle::new(1, never).layer(ok()).handle(&message, &context).await.unwrap();
    let failing = handler_fn(|_: Message, _| async { Err(HandlerError::retry("down")) });
    let broken = CircuitBreaker::new().failures(1).open_for(never).layer(failing);
    for _ in 0..2 {
        broken.handle(&message, &context).await.unwrap_err();
    }
}

#[tokio::test(start_paused = true)]
async fn an_extension_that_is_never_answered_is_made_again_in_time() {
    let world = world().await;
    world.publish(["a"]).await;
    world.spy.extend_trouble.lock().unwrap().push_back(Trouble::Silence);
    let handler = handler_fn(|_: Message, _| async {
        sleep(LEASE * 2).await;
        Ok(())
    });
    let summary = Pump::builder(world.receiver(), handler).lease(LEASE).build().run(sleep(LEASE * 4)).await;
    assert_eq!((summary.acked, summary.lost), (1, 0), "{summary:?}");
}

/// Does not answer its first receive.
#[derive(Debug)]
struct Deaf {
    inner: Arc<dyn Receiver>,
    is_deaf: AtomicBool,
}

impl Receiver for Deaf {
    fn subscription(&self) -> &Subscription {
        self.inner.subscription()
    }

    fn receive(&self, max: usize, wait: Duration) -> BoxFuture<'_, Result<Vec<Delivery>, QueueError>> {
        if self.is_deaf.swap(false, Ordering::Relaxed) {
            return Box::pin(std::future::pending());
        }
        self.inner.receive(max, wait)
    }

    fn ack<'a>(&'a self, receipts: &'a [Receipt]) -> BoxFuture<'a, Vec<Result<(), AckError>>> {
        self.inner.ack(receipts)
    }

    fn nack<'a>(&'a self, receipt: &'a Receipt, delay: Duration) -> BoxFuture<'a, Result<(), AckError>> {
        self.inner.nack(receipt, delay)
    }

    fn extend<'a>(
        &'a self,
        receipts: &'a [Receipt],
        lease: Duration,
    ) -> BoxFuture<'a, Vec<Result<Lease, AckError>>> {
        self.inner.extend(receipts, lease)
    }

    fn dead_letter<'a>(
        &'a self,
        receipt: &'a Receipt,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<(), AckError>> {
        self.inner.dead_letter(receipt, reason)
    }

    fn depth(&self) -> BoxFuture<'_, Result<Depth, QueueError>> {
        self.inner.depth()
    }
}

#[tokio::test(start_paused = true)]
async fn a_receive_that_is_never_answered_is_given_up() {
    let world = world().await;
    world.publish(["a"]).await;
    let deaf = Deaf { inner: world.receiver(), is_deaf: true.into() };
    let summary = Pump::builder(Arc::new(deaf), ok()).build().run(sleep(SECOND * 300)).await;
    assert_eq!((summary.acked, summary.receive_errors), (1, 1), "{summary:?}");
}

#[tokio::test]
async fn json_as_deep_as_it_may_be_overflows_no_stack() {
    let message = Message::new(r#"{"a":"#.repeat(150_000));
    let context = Context::new(subscription());
    PropertyRouter::new("a").route("1", ok()).handle(&message, &context).await.unwrap_err();
    Router::new().handle(&message, &context).await.unwrap_err();
    SnsUnwrap.layer(ok()).handle(&message, &context).await.unwrap();
    Correlate.layer(ok()).handle(&message, &context).await.unwrap();
}
