//! A queue with one planted bug.

use std::sync::Arc;
use std::time::Duration;

use queue::{
    AckError, BoxFuture, Change, DeadLetter, DeadLetterId, Delivery, Depth, Lease, Message, PublishError,
    Publisher, Queue, QueueError, Receipt, Receiver, Subscription, SubscriptionConfig, Topic,
};
use tokio::time::Instant;

/// What is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// Nothing.
    None,
    /// An ack is answered, and not passed on.
    AcksForgotten,
    /// Whatever settles is done, says the backend, as SQS does.
    AcksAlwaysOk,
    /// What is received is acked at once.
    AcksBeforeTheHandler,
    /// An extension is answered, and not passed on.
    ExtensionsForgotten,
    /// What is given back comes at once.
    DelaysForgotten,
    /// What is given back comes when its lease ends.
    NacksForgotten,
    /// A receive takes more than was asked for, and keeps it.
    FetchesAhead,
    /// Bodies are made text.
    TextOnly,
    /// Each hand-out is the first.
    CountsForgotten,
    /// Dead letters are kept without their reason.
    ReasonsForgotten,
    /// What could not be sent is confirmed.
    ConfirmsUnsent,
    /// The answer to one is the answer to all.
    BatchesFailTogether,
}

/// What a receive takes too much.
const AHEAD: usize = 10;

#[derive(Debug)]
pub(crate) struct Bent<T: ?Sized> {
    bug: Bug,
    inner: Arc<T>,
}

impl Bent<dyn Queue> {
    pub(crate) fn new(inner: Arc<dyn Queue>, bug: Bug) -> Self {
        Self { bug, inner }
    }
}

fn worst<T, E: Clone>(answers: Vec<Result<T, E>>) -> Vec<Result<T, E>> {
    match answers.iter().find_map(|answer| answer.as_ref().err().cloned()) {
        Some(error) => answers.iter().map(|_| Err(error.clone())).collect(),
        None => answers,
    }
}

impl Publisher for Bent<dyn Publisher> {
    fn publish<'a>(
        &'a self,
        topic: &'a Topic,
        mut batch: Vec<Message>,
    ) -> BoxFuture<'a, Vec<Result<(), PublishError>>> {
        Box::pin(async move {
            if self.bug == Bug::TextOnly {
                for message in &mut batch {
                    message.body = String::from_utf8_lossy(&message.body).into_owned().into();
                }
            }
            let answers = self.inner.publish(topic, batch).await;
            match self.bug {
                Bug::ConfirmsUnsent => answers.iter().map(|_| Ok(())).collect(),
                Bug::BatchesFailTogether => worst(answers),
                _ => answers,
            }
        })
    }
}

impl Receiver for Bent<dyn Receiver> {
    fn subscription(&self) -> &Subscription {
        self.inner.subscription()
    }

    fn receive(&self, max: usize, wait: Duration) -> BoxFuture<'_, Result<Vec<Delivery>, QueueError>> {
        Box::pin(async move {
            let more = if self.bug == Bug::FetchesAhead && max > 0 { AHEAD } else { 0 };
            let mut found = self.inner.receive(max + more, wait).await?;
            found.truncate(max);
            match self.bug {
                Bug::AcksBeforeTheHandler => {
                    let receipts: Vec<_> = found.iter().map(|delivery| delivery.receipt.clone()).collect();
                    for answer in self.inner.ack(&receipts).await {
                        answer.unwrap();
                    }
                }
                Bug::CountsForgotten => found.iter_mut().for_each(|delivery| delivery.receive_count = 1),
                _ => {}
            }
            Ok(found)
        })
    }

    fn ack<'a>(&'a self, receipts: &'a [Receipt]) -> BoxFuture<'a, Vec<Result<(), AckError>>> {
        Box::pin(async move {
            let all_ok = || receipts.iter().map(|_| Ok(())).collect();
            match self.bug {
                Bug::AcksForgotten | Bug::AcksBeforeTheHandler => all_ok(),
                Bug::AcksAlwaysOk => {
                    drop(self.inner.ack(receipts).await);
                    all_ok()
                }
                Bug::BatchesFailTogether => worst(self.inner.ack(receipts).await),
                _ => self.inner.ack(receipts).await,
            }
        })
    }

    fn nack<'a>(&'a self, receipt: &'a Receipt, delay: Duration) -> BoxFuture<'a, Result<(), AckError>> {
        match self.bug {
            Bug::NacksForgotten => Box::pin(async { Ok(()) }),
            Bug::DelaysForgotten => self.inner.nack(receipt, Duration::ZERO),
            _ => self.inner.nack(receipt, delay),
        }
    }

    fn extend<'a>(
        &'a self,
        receipts: &'a [Receipt],
        lease: Duration,
    ) -> BoxFuture<'a, Vec<Result<Lease, AckError>>> {
        if self.bug == Bug::ExtensionsForgotten {
            let lease = Lease::until(Instant::now() + lease);
            return Box::pin(async move { receipts.iter().map(|_| Ok(lease)).collect() });
        }
        self.inner.extend(receipts, lease)
    }

    fn dead_letter<'a>(
        &'a self,
        receipt: &'a Receipt,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<(), AckError>> {
        let reason = if self.bug == Bug::ReasonsForgotten { "" } else { reason };
        self.inner.dead_letter(receipt, reason)
    }

    fn depth(&self) -> BoxFuture<'_, Result<Depth, QueueError>> {
        self.inner.depth()
    }
}

impl Queue for Bent<dyn Queue> {
    fn publisher(&self) -> Arc<dyn Publisher> {
        Arc::new(Bent { bug: self.bug, inner: self.inner.publisher() })
    }

    fn subscribe<'a>(
        &'a self,
        subscription: &'a Subscription,
        config: SubscriptionConfig,
    ) -> BoxFuture<'a, Result<Arc<dyn Receiver>, QueueError>> {
        Box::pin(async move {
            let inner = self.inner.subscribe(subscription, config).await?;
            Ok(Arc::new(Bent { bug: self.bug, inner }) as Arc<dyn Receiver>)
        })
    }

    fn plan<'a>(
        &'a self,
        subscription: &'a Subscription,
        config: SubscriptionConfig,
    ) -> BoxFuture<'a, Result<Vec<Change>, QueueError>> {
        self.inner.plan(subscription, config)
    }

    fn subscriptions(&self) -> BoxFuture<'_, Result<Vec<(Subscription, Depth)>, QueueError>> {
        self.inner.subscriptions()
    }

    fn dead_letters<'a>(
        &'a self,
        subscription: &'a Subscription,
        after: Option<&'a DeadLetterId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<DeadLetter>, QueueError>> {
        self.inner.dead_letters(subscription, after, limit)
    }

    fn redrive<'a>(
        &'a self,
        subscription: &'a Subscription,
        limit: usize,
    ) -> BoxFuture<'a, Result<usize, QueueError>> {
        self.inner.redrive(subscription, limit)
    }
}
