//! The broker as one process reaches it: over a wire that may be cut, in a life that may end.

use super::broker::{Broker, Settle, receipt};
use crate::core::{BEGINNING_MS, lock};
use crate::faults::Fault;
use crate::life::Life;
use queue::{
    AckError, Action, BoxFuture, Change, DeadLetter, DeadLetterId, Delivery, Depth, LEASE_MAX, Lease,
    Message, PublishError, Publisher, Queue, QueueError, Receipt, Receiver, Subscription, SubscriptionConfig,
    Topic, WAIT_MAX,
};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

/// How long a hop takes, at least and at most.
const HOP_MS: (f64, f64) = (1.0, 20.0);
/// How long it takes to learn that nobody answers.
const SILENCE_MS: (f64, f64) = (1_000.0, 20_000.0);

/// A process's wire to the broker, cut or whole in each direction. It outlives the process.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    cut: Mutex<Cut>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Cut {
    there: bool,
    back: bool,
    /// When it was last cut or mended.
    disturbed_ms: Option<u64>,
}

/// Somebody who holds messages.
#[derive(Debug, Clone)]
pub(super) struct Holder {
    life: Life,
    wire: Arc<Wire>,
}

impl Holder {
    /// Whether they could have asked for something at any time since then.
    pub(super) fn was_there_since(&self, since_ms: u64) -> bool {
        let Cut { there, back, disturbed_ms } = self.wire.cut();
        let whole = !there && !back && disturbed_ms.is_none_or(|disturbed_ms| disturbed_ms < since_ms);
        whole && self.life.ran_since(since_ms)
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.life.name())
    }
}

impl Wire {
    /// Cuts or mends what goes there, and what comes back.
    pub(crate) fn set_cut(&self, there: bool, back: bool, now_ms: u64) {
        *lock(&self.cut) = Cut { there, back, disturbed_ms: Some(now_ms) };
    }

    fn cut(&self) -> Cut {
        *lock(&self.cut)
    }
}

/// The broker of one process. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    broker: Arc<Broker>,
    life: Life,
    wire: Arc<Wire>,
}

fn unanswered() -> QueueError {
    QueueError::unavailable("nobody answered")
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Endpoint {
    pub(crate) fn new(broker: &Arc<Broker>, life: &Life, wire: &Arc<Wire>) -> Self {
        Self { broker: Arc::clone(broker), life: life.clone(), wire: Arc::clone(wire) }
    }

    /// The way to the broker.
    async fn there(&self) -> Result<(), QueueError> {
        self.life.pass(HOP_MS.0, HOP_MS.1).await;
        if self.wire.cut().there || self.broker.is_paused() {
            self.life.pass(SILENCE_MS.0, SILENCE_MS.1).await;
            return Err(unanswered());
        }
        Ok(())
    }

    /// The way back.
    async fn back(&self) -> Result<(), QueueError> {
        self.life.pass(HOP_MS.0, HOP_MS.1).await;
        if self.wire.cut().back {
            self.life.pass(SILENCE_MS.0, SILENCE_MS.1).await;
            return Err(unanswered());
        }
        Ok(())
    }

    /// Asks the broker for something, there and back.
    async fn ask<T>(&self, ask: impl FnOnce(&Broker) -> T) -> Result<T, QueueError> {
        self.there().await?;
        let answer = ask(&self.broker);
        self.back().await?;
        Ok(answer)
    }

    /// Completes when a receive would find something.
    pub(crate) async fn something_waits(&self, subscription: &Subscription) {
        while let Some((wake, due_ms)) = self.broker.waiting_for(subscription) {
            let due = due_ms.map(|due_ms| self.broker.core().instant(due_ms));
            if due.is_some_and(|due| due <= Instant::now()) {
                return;
            }
            let due = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = wake.notified() => {}
                () = due => return,
            }
        }
        std::future::pending::<()>().await;
    }

    fn holder(&self) -> Holder {
        Holder { life: self.life.clone(), wire: Arc::clone(&self.wire) }
    }

    fn note(&self, what: fmt::Arguments<'_>) {
        self.life.core().trace(self.life.name(), what);
    }
}

impl Publisher for Endpoint {
    fn publish<'a>(
        &'a self,
        topic: &'a Topic,
        batch: Vec<Message>,
    ) -> BoxFuture<'a, Vec<Result<(), PublishError>>> {
        Box::pin(async move {
            let messages = batch.len();
            if let Err(error) = self.there().await {
                return (0..messages).map(|_| Err(error.clone().into())).collect();
            }
            let answers: Vec<_> =
                batch.into_iter().map(|message| self.broker.accept(topic, message)).collect();
            let refused = answers.iter().filter(|answer| answer.is_err()).count();
            self.note(format_args!("publishes {messages} to {topic}, {refused} refused"));
            match self.back().await {
                Ok(()) => answers,
                Err(error) => (0..messages).map(|_| Err(error.clone().into())).collect(),
            }
        })
    }
}

impl Queue for Endpoint {
    fn publisher(&self) -> Arc<dyn Publisher> {
        Arc::new(self.clone())
    }

    fn subscribe<'a>(
        &'a self,
        subscription: &'a Subscription,
        config: SubscriptionConfig,
    ) -> BoxFuture<'a, Result<Arc<dyn Receiver>, QueueError>> {
        Box::pin(async move {
            config.check()?;
            self.ask(|broker| broker.subscribe(subscription)).await?;
            let receiver = Arrivals { endpoint: self.clone(), subscription: subscription.clone(), config };
            Ok(Arc::new(receiver) as Arc<dyn Receiver>)
        })
    }

    fn plan<'a>(
        &'a self,
        subscription: &'a Subscription,
        config: SubscriptionConfig,
    ) -> BoxFuture<'a, Result<Vec<Change>, QueueError>> {
        Box::pin(async move {
            config.check()?;
            let known = self.ask(|broker| broker.knows(subscription)).await?;
            let create =
                || Change { target: format!("subscription \"{subscription}\""), action: Action::Create };
            Ok((!known).then(create).into_iter().collect())
        })
    }

    fn subscriptions(&self) -> BoxFuture<'_, Result<Vec<(Subscription, Depth)>, QueueError>> {
        Box::pin(async move {
            let names = self.ask(|broker| broker.contents().into_keys().collect::<Vec<_>>()).await?;
            Ok(names.into_iter().map(|name| (name.clone(), self.broker.depth(&name))).collect())
        })
    }

    fn dead_letters<'a>(
        &'a self,
        subscription: &'a Subscription,
        after: Option<&'a DeadLetterId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<DeadLetter>, QueueError>> {
        Box::pin(async move {
            let from =
                after.and_then(|after| after.as_str().parse::<usize>().ok()).map_or(0, |last| last + 1);
            self.ask(|broker| broker.dead_letters(subscription, from, limit)).await
        })
    }

    fn redrive<'a>(
        &'a self,
        subscription: &'a Subscription,
        limit: usize,
    ) -> BoxFuture<'a, Result<usize, QueueError>> {
        Box::pin(async move { self.ask(|broker| broker.redrive(subscription, limit)).await })
    }
}

/// What comes out of a subscription.
#[derive(Debug)]
struct Arrivals {
    endpoint: Endpoint,
    subscription: Subscription,
    config: SubscriptionConfig,
}

impl Arrivals {
    async fn receive_within(&self, max: usize, wait: Duration) -> Result<Vec<Delivery>, QueueError> {
        let (broker, life) = (&self.endpoint.broker, &self.endpoint.life);
        if max == 0 {
            return Ok(Vec::new());
        }
        let give_up = Instant::now() + wait.min(WAIT_MAX);
        self.endpoint.there().await?;
        if life.suffers(Fault::ReceiveFails) {
            return Err(unanswered());
        }
        let (lease_ms, holder) = (millis(self.config.lease), self.endpoint.holder());
        let taken = loop {
            let taken = if broker.is_paused() {
                Vec::new()
            } else {
                broker.hand_out(&self.subscription, max, lease_ms, &holder)
            };
            if !taken.is_empty() || Instant::now() >= give_up {
                break taken;
            }
            let Some((wake, due_ms)) = broker.waiting_for(&self.subscription) else { break taken };
            let due = due_ms.map(|due_ms| broker.core().instant(due_ms)).filter(|due| *due > Instant::now());
            tokio::select! {
                biased;
                () = wake.notified() => {}
                () = tokio::time::sleep_until(due.unwrap_or(give_up).min(give_up)) => {}
            }
        };
        if taken.is_empty() {
            return Ok(Vec::new());
        }
        self.endpoint.note(format_args!("receives {} from {}", taken.len(), self.subscription));
        if life.suffers(Fault::ReceiveLost) {
            self.endpoint.note(format_args!("and the answer is lost"));
            for (slot, _) in &taken {
                broker.asked(&self.subscription, &receipt(*slot));
            }
            return Err(unanswered());
        }
        let until = Instant::now() + self.config.lease;
        self.endpoint.back().await?;
        let delivery = |(slot, held): (_, super::line::Held)| Delivery {
            message: Message::clone(&held.message),
            receive_count: held.receive_count,
            published_at_ms: Some(BEGINNING_MS + held.published_at_ms),
            lease: Lease::until(until),
            receipt: receipt(slot),
        };
        Ok(taken.into_iter().map(delivery).collect())
    }

    /// Settles one hand-out, or says that it did not when it did.
    fn settle(&self, receipt: &Receipt, how: Settle<'_>) -> Result<(), AckError> {
        let life = &self.endpoint.life;
        let lost = life.suffers(Fault::SettleLost);
        self.endpoint.broker.asked(&self.subscription, receipt);
        if lost && life.draw(fastrand::Rng::bool) {
            return Err(unanswered().into());
        }
        let settled = self.endpoint.broker.settle(&self.subscription, receipt, how);
        if lost {
            return Err(unanswered().into());
        }
        if !settled {
            return Err(AckError::LeaseLost);
        }
        if matches!(how, Settle::Extend { .. }) {
            self.endpoint.broker.extended(&self.subscription, receipt);
        }
        Ok(())
    }

    async fn settle_all(&self, receipts: &[Receipt], how: Settle<'_>) -> Vec<Result<(), AckError>> {
        let failed = |error: QueueError| receipts.iter().map(|_| Err(error.clone().into())).collect();
        if let Err(error) = self.endpoint.there().await {
            return failed(error);
        }
        let answers: Vec<_> = receipts.iter().map(|receipt| self.settle(receipt, how)).collect();
        let done = answers.iter().filter(|answer| answer.is_ok()).count();
        self.endpoint.note(format_args!(
            "settles {done} of {} of {}: {how:?}",
            receipts.len(),
            self.subscription
        ));
        match self.endpoint.back().await {
            Ok(()) => answers,
            Err(error) => failed(error),
        }
    }
}

impl Receiver for Arrivals {
    fn subscription(&self) -> &Subscription {
        &self.subscription
    }

    fn receive(&self, max: usize, wait: Duration) -> BoxFuture<'_, Result<Vec<Delivery>, QueueError>> {
        Box::pin(self.receive_within(max, wait))
    }

    fn ack<'a>(&'a self, receipts: &'a [Receipt]) -> BoxFuture<'a, Vec<Result<(), AckError>>> {
        Box::pin(self.settle_all(receipts, Settle::Ack))
    }

    fn nack<'a>(&'a self, receipt: &'a Receipt, delay: Duration) -> BoxFuture<'a, Result<(), AckError>> {
        let how = Settle::Nack { delay_ms: millis(delay.min(LEASE_MAX)) };
        Box::pin(async move { one(self.settle_all(std::slice::from_ref(receipt), how).await) })
    }

    fn extend<'a>(
        &'a self,
        receipts: &'a [Receipt],
        lease: Duration,
    ) -> BoxFuture<'a, Vec<Result<Lease, AckError>>> {
        let lease = lease.min(LEASE_MAX);
        Box::pin(async move {
            // From when the broker hears of it, which is later than now: never longer than it really is.
            let until = Lease::until(Instant::now() + lease);
            let answers = self.settle_all(receipts, Settle::Extend { lease_ms: millis(lease) }).await;
            answers.into_iter().map(|answer| answer.map(|()| until)).collect()
        })
    }

    fn dead_letter<'a>(
        &'a self,
        receipt: &'a Receipt,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<(), AckError>> {
        Box::pin(
            async move { one(self.settle_all(std::slice::from_ref(receipt), Settle::Bury { reason }).await) },
        )
    }

    fn depth(&self) -> BoxFuture<'_, Result<Depth, QueueError>> {
        Box::pin(async move { self.endpoint.ask(|broker| broker.depth(&self.subscription)).await })
    }
}

fn one(answers: Vec<Result<(), AckError>>) -> Result<(), AckError> {
    answers.into_iter().next().unwrap_or(Err(AckError::LeaseLost))
}
