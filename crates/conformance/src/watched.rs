//! A receiver that counts what it handed out, and plays what a broker does only now and then.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use queue::{AckError, BoxFuture, Delivery, Depth, Lease, QueueError, Receipt, Receiver, Subscription};

/// What is answered instead of asking the broker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Mood {
    /// The broker is asked.
    #[default]
    Honest,
    /// Extensions are answered as if somebody else had the message.
    Stolen,
    /// Extensions fail as if the link were bad.
    NoExtensions,
    /// Nothing that settles is ever answered.
    Silent,
}

/// Passes everything on, and counts.
#[derive(Debug)]
pub(crate) struct Watched {
    inner: Arc<dyn Receiver>,
    mood: Mutex<Mood>,
    held: Mutex<BTreeSet<Receipt>>,
    held_max: AtomicUsize,
    acked: Mutex<BTreeSet<Receipt>>,
    extensions: AtomicUsize,
    /// Extensions of what had been acked before.
    extensions_late: AtomicUsize,
}

impl Watched {
    pub(crate) fn new(inner: Arc<dyn Receiver>, mood: Mood) -> Arc<Self> {
        Arc::new(Self {
            inner,
            mood: Mutex::new(mood),
            held: Mutex::default(),
            held_max: AtomicUsize::new(0),
            acked: Mutex::default(),
            extensions: AtomicUsize::new(0),
            extensions_late: AtomicUsize::new(0),
        })
    }

    /// Most that was handed out and not settled at a time.
    pub(crate) fn held_max(&self) -> usize {
        self.held_max.load(Ordering::Relaxed)
    }

    pub(crate) fn acked(&self) -> usize {
        lock(&self.acked).len()
    }

    pub(crate) fn extensions(&self) -> usize {
        self.extensions.load(Ordering::Relaxed)
    }

    pub(crate) fn extensions_late(&self) -> usize {
        self.extensions_late.load(Ordering::Relaxed)
    }

    fn mood(&self) -> Mood {
        *lock(&self.mood)
    }

    async fn speak(&self) {
        if self.mood() == Mood::Silent {
            std::future::pending::<()>().await;
        }
    }

    fn settled<T>(&self, receipt: &Receipt, answer: &Result<T, AckError>) {
        if matches!(answer, Ok(_) | Err(AckError::LeaseLost)) {
            lock(&self.held).remove(receipt);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Receiver for Watched {
    fn subscription(&self) -> &Subscription {
        self.inner.subscription()
    }

    fn receive(&self, max: usize, wait: Duration) -> BoxFuture<'_, Result<Vec<Delivery>, QueueError>> {
        Box::pin(async move {
            let found = self.inner.receive(max, wait).await?;
            let mut held = lock(&self.held);
            held.extend(found.iter().map(|delivery| delivery.receipt.clone()));
            self.held_max.fetch_max(held.len(), Ordering::Relaxed);
            Ok(found)
        })
    }

    fn ack<'a>(&'a self, receipts: &'a [Receipt]) -> BoxFuture<'a, Vec<Result<(), AckError>>> {
        Box::pin(async move {
            self.speak().await;
            let answers = self.inner.ack(receipts).await;
            for (receipt, answer) in receipts.iter().zip(&answers) {
                self.settled(receipt, answer);
                if answer.is_ok() {
                    lock(&self.acked).insert(receipt.clone());
                }
            }
            answers
        })
    }

    fn nack<'a>(&'a self, receipt: &'a Receipt, delay: Duration) -> BoxFuture<'a, Result<(), AckError>> {
        Box::pin(async move {
            self.speak().await;
            let answer = self.inner.nack(receipt, delay).await;
            self.settled(receipt, &answer);
            answer
        })
    }

    fn extend<'a>(
        &'a self,
        receipts: &'a [Receipt],
        lease: Duration,
    ) -> BoxFuture<'a, Vec<Result<Lease, AckError>>> {
        Box::pin(async move {
            self.extensions.fetch_add(receipts.len(), Ordering::Relaxed);
            let late = receipts.iter().filter(|receipt| lock(&self.acked).contains(receipt)).count();
            self.extensions_late.fetch_add(late, Ordering::Relaxed);
            let all = |error: AckError| receipts.iter().map(|_| Err(error.clone())).collect();
            match self.mood() {
                Mood::Stolen => all(AckError::LeaseLost),
                Mood::NoExtensions => all(QueueError::unavailable("played: the link is bad").into()),
                Mood::Honest | Mood::Silent => self.inner.extend(receipts, lease).await,
            }
        })
    }

    fn dead_letter<'a>(
        &'a self,
        receipt: &'a Receipt,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<(), AckError>> {
        Box::pin(async move {
            self.speak().await;
            let answer = self.inner.dead_letter(receipt, reason).await;
            self.settled(receipt, &answer);
            answer
        })
    }

    fn depth(&self) -> BoxFuture<'_, Result<Depth, QueueError>> {
        self.inner.depth()
    }
}
