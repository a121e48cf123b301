//! A queue in memory whose receiver writes down what is asked of it, and fails on demand.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use queue::{
    AckError, BoxFuture, Delivery, Depth, Lease, MemoryQueue, Message, Queue, QueueError, Receipt, Receiver,
    Subscription, SubscriptionConfig,
};
use tokio::time::Instant;

pub const LEASE: Duration = Duration::from_secs(30);

/// A call to the receiver; numbers are numbers of receipts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    Ack(usize),
    Nack(Duration),
    Extend(usize),
    DeadLetter(String),
}

/// What is answered instead of asking the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    Unavailable,
    LeaseLost,
    /// No answer at all.
    Silence,
}

#[derive(Debug)]
pub struct Spy {
    inner: Arc<dyn Receiver>,
    began: Instant,
    pub calls: Mutex<Vec<(Duration, Call)>>,
    pub ack_trouble: Mutex<VecDeque<Trouble>>,
    pub nack_trouble: Mutex<VecDeque<Trouble>>,
    pub extend_trouble: Mutex<VecDeque<Trouble>>,
    pub receive_trouble: Mutex<VecDeque<QueueError>>,
    pub receives: Mutex<Vec<(Duration, usize)>>,
    /// Of all that was handed out, in order.
    pub receipts: Mutex<Vec<Receipt>>,
}

pub struct World {
    pub queue: MemoryQueue,
    pub spy: Arc<Spy>,
}

pub fn subscription() -> Subscription {
    "topic/service/site".parse().unwrap()
}

pub async fn world() -> World {
    let queue = MemoryQueue::new();
    let config = SubscriptionConfig { lease: LEASE, ..SubscriptionConfig::default() };
    let inner = queue.subscribe(&subscription(), config).await.unwrap();
    let spy = Spy {
        inner,
        began: Instant::now(),
        calls: Mutex::default(),
        ack_trouble: Mutex::default(),
        nack_trouble: Mutex::default(),
        extend_trouble: Mutex::default(),
        receive_trouble: Mutex::default(),
        receives: Mutex::default(),
        receipts: Mutex::default(),
    };
    World { queue, spy: Arc::new(spy) }
}

impl World {
    pub async fn publish(&self, bodies: impl IntoIterator<Item = impl ToString>) {
        let batch = bodies.into_iter().map(|body| Message::new(body.to_string())).collect();
        for answer in self.queue.publisher().publish(subscription().topic(), batch).await {
            answer.unwrap();
        }
    }

    pub fn receiver(&self) -> Arc<dyn Receiver> {
        Arc::clone(&self.spy) as Arc<dyn Receiver>
    }

    pub async fn depth(&self) -> Depth {
        self.spy.depth().await.unwrap()
    }

    /// What can be received now, past the spy.
    pub async fn ready(&self) -> Vec<Delivery> {
        self.spy.inner.receive(1_000, Duration::ZERO).await.unwrap()
    }

    pub fn acks(&self) -> Vec<(Duration, usize)> {
        let pick = |(at, call): &(Duration, Call)| match call {
            Call::Ack(count) => Some((*at, *count)),
            _ => None,
        };
        self.spy.calls.lock().unwrap().iter().filter_map(pick).collect()
    }

    pub fn extensions(&self) -> Vec<Duration> {
        let calls = self.spy.calls.lock().unwrap();
        calls.iter().filter(|(_, call)| matches!(call, Call::Extend(_))).map(|(at, _)| *at).collect()
    }
}

pub fn text(message: &Message) -> String {
    String::from_utf8(message.body.to_vec()).unwrap()
}

impl Spy {
    /// Settles a delivery without telling whoever received it.
    pub async fn settle_behind(&self, receipt: &Receipt) {
        self.inner.ack(std::slice::from_ref(receipt)).await.remove(0).unwrap();
    }

    fn note(&self, call: Call) {
        self.calls.lock().unwrap().push((self.began.elapsed(), call));
    }
}

/// The next trouble, played; `None` if the call is to be made.
async fn play(trouble: &Mutex<VecDeque<Trouble>>) -> Option<AckError> {
    let next = trouble.lock().unwrap().pop_front();
    match next? {
        Trouble::Unavailable => Some(QueueError::unavailable("played").into()),
        Trouble::LeaseLost => Some(AckError::LeaseLost),
        Trouble::Silence => std::future::pending().await,
    }
}

impl Receiver for Spy {
    fn subscription(&self) -> &Subscription {
        self.inner.subscription()
    }

    fn receive(&self, max: usize, wait: Duration) -> BoxFuture<'_, Result<Vec<Delivery>, QueueError>> {
        self.receives.lock().unwrap().push((self.began.elapsed(), max));
        let trouble = self.receive_trouble.lock().unwrap().pop_front();
        match trouble {
            Some(error) => Box::pin(async { Err(error) }),
            None => Box::pin(async move {
                let deliveries = self.inner.receive(max, wait).await?;
                self.receipts
                    .lock()
                    .unwrap()
                    .extend(deliveries.iter().map(|delivery| delivery.receipt.clone()));
                Ok(deliveries)
            }),
        }
    }

    fn ack<'a>(&'a self, receipts: &'a [Receipt]) -> BoxFuture<'a, Vec<Result<(), AckError>>> {
        Box::pin(async move {
            self.note(Call::Ack(receipts.len()));
            match play(&self.ack_trouble).await {
                Some(error) => receipts.iter().map(|_| Err(error.clone())).collect(),
                None => self.inner.ack(receipts).await,
            }
        })
    }

    fn nack<'a>(&'a self, receipt: &'a Receipt, delay: Duration) -> BoxFuture<'a, Result<(), AckError>> {
        Box::pin(async move {
            self.note(Call::Nack(delay));
            match play(&self.nack_trouble).await {
                Some(error) => Err(error),
                None => self.inner.nack(receipt, delay).await,
            }
        })
    }

    fn extend<'a>(
        &'a self,
        receipts: &'a [Receipt],
        lease: Duration,
    ) -> BoxFuture<'a, Vec<Result<Lease, AckError>>> {
        Box::pin(async move {
            self.note(Call::Extend(receipts.len()));
            match play(&self.extend_trouble).await {
                Some(error) => receipts.iter().map(|_| Err(error.clone())).collect(),
                None => self.inner.extend(receipts, lease).await,
            }
        })
    }

    fn dead_letter<'a>(
        &'a self,
        receipt: &'a Receipt,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<(), AckError>> {
        self.note(Call::DeadLetter(reason.to_owned()));
        self.inner.dead_letter(receipt, reason)
    }

    fn depth(&self) -> BoxFuture<'_, Result<Depth, QueueError>> {
        self.inner.depth()
    }
}
