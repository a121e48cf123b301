//! Whatever the queue does, and whatever handlers do: every message is handled, and in the end all are acked.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test, its helpers included, fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use antiphon_consumer::{
    BatchHandler, Context, DefaultStack, Each, Handler, HandlerError, Layer, Pump, Request, Summary,
    handler_fn,
};
use proptest::prelude::*;
use queue::{Depth, Faults, Faulty, MemoryQueue, Message, Queue, Subscription, SubscriptionConfig};
use tokio::time::sleep;

const HOUR: Duration = Duration::from_hours(1);

fn subscription() -> Subscription {
    "topic/service/site".parse().unwrap()
}

/// A handler that does everything wrong that a handler may, and notes what it handled all the same.
fn unruly(seed: u64, handled: Arc<Mutex<BTreeMap<u32, u32>>>) -> impl Handler {
    let rng = Mutex::new(fastrand::Rng::with_seed(seed));
    handler_fn(move |message: Message, _: Context| {
        let (dice, pause) = {
            let mut rng = rng.lock().unwrap();
            (rng.u8(0..10), Duration::from_millis(rng.u64(0..50_000)))
        };
        let handled = Arc::clone(&handled);
        async move {
            match dice {
                0 => panic!("unruly"),
                1 => return Err(HandlerError::retry("unruly")),
                2 => return Err(HandlerError::retry_after("unruly", pause)),
                3..6 => sleep(pause).await,
                _ => {}
            }
            let number = u32::from_be_bytes(message.body[..].try_into()?);
            *handled.lock().unwrap().entry(number).or_default() += 1;
            Ok(())
        }
    })
}

/// How messages are handled.
#[derive(Debug, Clone, Copy)]
enum Mode {
    Single,
    Ordered,
    Batched,
}

const MODES: [Mode; 3] = [Mode::Single, Mode::Ordered, Mode::Batched];

fn key(message: &Message) -> Option<String> {
    let key = message.body.last()? % 6;
    (key > 0).then(|| key.to_string())
}

/// Sees to it that the messages of a key are handled one after another.
struct OneAtATime<H> {
    inner: H,
    running: Arc<Mutex<BTreeSet<String>>>,
}

struct Running(Arc<Mutex<BTreeSet<String>>>, String);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.lock().unwrap().remove(&self.1);
    }
}

impl<H: Handler> Handler for OneAtATime<H> {
    async fn handle(&self, message: &Message, context: &Context) -> Result<(), HandlerError> {
        let _running = key(message).map(|key| {
            // A panic would be a failure like others: the whole test is to end.
            if !self.running.lock().unwrap().insert(key.clone()) {
                eprintln!("two messages of key {key} at the same time");
                std::process::abort();
            }
            Running(Arc::clone(&self.running), key)
        });
        self.inner.handle(message, context).await
    }
}

/// Forgets an answer now and then.
struct Careless<B>(B);

impl<B: BatchHandler> BatchHandler for Careless<B> {
    async fn handle_batch(&self, batch: &[Request<Message>]) -> Vec<Result<(), HandlerError>> {
        let mut answers = self.0.handle_batch(batch).await;
        if batch[0].message.body.last() == Some(&7) && batch[0].context.receive_count == 1 {
            answers.pop();
        }
        answers
    }
}

fn pump(
    mode: Mode,
    receiver: &Arc<dyn queue::Receiver>,
    handler: impl Handler + 'static,
    permits: usize,
    drain: Duration,
    life: u64,
) -> Pump {
    let (receiver, stack) = (Arc::clone(receiver), DefaultStack::new(life));
    match mode {
        Mode::Single => {
            Pump::builder(receiver, stack.layer(handler)).permits(permits).drain(drain).seed(life).build()
        }
        Mode::Ordered => {
            let handler = stack.layer(OneAtATime { inner: handler, running: Arc::default() });
            Pump::builder(receiver, handler).ordered_by(key).permits(permits).drain(drain).seed(life).build()
        }
        Mode::Batched => {
            let handler = stack.layer(Careless(Each(handler)));
            let batched = Pump::batched(receiver, handler).batch(7, Duration::from_secs(3));
            batched.permits(permits).drain(drain).seed(life).build()
        }
    }
}

/// Several pumps one after the other, each stopped in the middle of its work, until the queue is empty.
async fn play(mode: Mode, faults: Faults, count: u32, permits: usize) -> (BTreeMap<u32, u32>, Summary) {
    let queue = Faulty::new(MemoryQueue::new(), faults);
    let receiver = queue.subscribe(&subscription(), SubscriptionConfig::default()).await.unwrap();
    let publisher = queue.publisher();
    for number in 0..count {
        let message = Message::new(number.to_be_bytes().to_vec());
        while publisher.publish(subscription().topic(), vec![message.clone()]).await[0].is_err() {}
    }
    let handled = Arc::new(Mutex::new(BTreeMap::new()));
    let mut rng = fastrand::Rng::with_seed(faults.seed);
    let mut total = Summary::default();
    for life in 0..1_000 {
        let wild = unruly(faults.seed ^ life, Arc::clone(&handled));
        let drain = Duration::from_secs(rng.u64(0..20));
        let pump = pump(mode, &receiver, wild, permits, drain, life);
        let shutdown = sleep(Duration::from_secs(rng.u64(1..120)));
        let cancel = sleep(Duration::from_secs(rng.u64(1..240)));
        if rng.u8(0..5) == 0 {
            // A process that dies.
            if let Ok(summary) =
                tokio::time::timeout(Duration::from_secs(rng.u64(1..60)), pump.run(shutdown)).await
            {
                total += summary;
            }
        } else {
            let summary = pump.run_until(shutdown, cancel).await;
            let Summary { received, acked, retried, poisoned, lost, handed_back, abandoned, .. } = summary;
            assert_eq!(received, acked + retried + poisoned + lost + handed_back + abandoned, "{summary:?}");
            total += summary;
        }
        let depth = queue.inner().subscriptions().await.unwrap()[0].1;
        if depth == Depth::default() {
            break;
        }
    }
    let depth = queue.inner().subscriptions().await.unwrap()[0].1;
    assert_eq!(depth, Depth::default(), "all are acked finally");
    let handled = handled.lock().unwrap().clone();
    (handled, total)
}

fn run(mode: Mode, faults: Faults, count: u32, permits: usize) -> (BTreeMap<u32, u32>, Summary) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(HOUR * 10_000, play(mode, faults, count, permits)).await.unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_message_is_handled_and_all_are_acked(
        seed: u64,
        count in 1_u32..60,
        permits in 1_usize..20,
        duplicate in 0.0..0.5,
        reorder in 0.0..0.9,
        delay in 0.0..0.5,
        before in 0.0..0.5,
        after in 0.0..0.5,
        ack_lost in 0.0..0.6,
    ) {
        let faults = Faults {
            duplicate,
            reorder,
            delay,
            publish_fails_before: before,
            publish_fails_after_accept: after,
            ack_lost,
            ..Faults::hostile(seed)
        };
        for mode in MODES {
            let (handled, _) = run(mode, faults, count, permits);
            prop_assert_eq!(handled.len(), usize::try_from(count).unwrap(), "{:?}", mode);
        }
    }
}

#[test]
fn a_seed_decides_the_whole_run() {
    for seed in 0..5 {
        for mode in MODES {
            let run = || run(mode, Faults::hostile(seed), 40, 7);
            assert_eq!(run(), run(), "seed {seed}, {mode:?}");
        }
    }
}
