//! The broker that memory and disk share: fan-out, leases, long polling, dead letters.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::rows::{Rows, Stored, dead_letter_id, dead_letter_number, unknown};
use crate::schedule::Schedule;
use crate::{
    Action, BoxFuture, Change, Clock, DEAD_LETTERS_PAGE_MAX, DeadLetter, DeadLetterId, Depth, Message,
    PublishError, Publisher, QueueError, Receiver, Subscription, SubscriptionConfig, Topic,
};

mod receiver;

use receiver::BrokerReceiver;

/// Most messages that one subscription holds, dead letters included. Publishing more is answered
/// [`PublishError::Full`].
pub const MESSAGES_MAX: u64 = 1_000_000;

#[derive(Debug)]
pub(crate) struct Broker<R> {
    rows: R,
    clock: Clock,
    lines: Mutex<BTreeMap<Subscription, Arc<Line>>>,
}

/// What is in memory of one subscription.
#[derive(Debug)]
struct Line {
    subscription: Subscription,
    /// A plain lock: held for a few map operations, never across an await.
    schedule: Mutex<Schedule>,
    /// One reads behind the cursor at a time, or two would hand out the same messages.
    fetch: tokio::sync::Mutex<()>,
    /// Something may have become ready.
    wake: Notify,
}

impl Line {
    fn new(subscription: Subscription) -> Self {
        Self {
            subscription,
            schedule: Mutex::default(),
            fetch: tokio::sync::Mutex::default(),
            wake: Notify::new(),
        }
    }

    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: Rows> Broker<R> {
    /// A broker of what `rows` holds, with the subscriptions that are already there.
    pub(crate) fn new(rows: R, clock: Clock, subscriptions: Vec<Subscription>) -> Self {
        let lines = subscriptions.into_iter().map(|name| (name.clone(), Arc::new(Line::new(name)))).collect();
        Self { rows, clock, lines: Mutex::new(lines) }
    }

    #[cfg(feature = "embedded")]
    pub(crate) fn rows(&self) -> &R {
        &self.rows
    }

    fn lines(&self) -> MutexGuard<'_, BTreeMap<Subscription, Arc<Line>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn line(&self, subscription: &Subscription) -> Result<Arc<Line>, QueueError> {
        self.lines().get(subscription).cloned().ok_or_else(|| unknown(subscription))
    }

    pub(crate) async fn subscribe(
        self: &Arc<Self>,
        subscription: &Subscription,
        config: SubscriptionConfig,
    ) -> Result<Arc<dyn Receiver>, QueueError> {
        config.check()?;
        if self.line(subscription).is_err() {
            self.rows.create(subscription).await?;
        }
        let line = Arc::clone(
            self.lines()
                .entry(subscription.clone())
                .or_insert_with(|| Arc::new(Line::new(subscription.clone()))),
        );
        Ok(Arc::new(BrokerReceiver::new(Arc::clone(self), line, config)))
    }

    pub(crate) fn plan(
        &self,
        subscription: &Subscription,
        config: SubscriptionConfig,
    ) -> Result<Vec<Change>, QueueError> {
        config.check()?;
        let missing = !self.lines().contains_key(subscription);
        let create = || Change { target: format!("subscription \"{subscription}\""), action: Action::Create };
        Ok(missing.then(create).into_iter().collect())
    }

    pub(crate) async fn subscriptions(&self) -> Result<Vec<(Subscription, Depth)>, QueueError> {
        let lines: Vec<_> = self.lines().values().cloned().collect();
        let mut listed = Vec::with_capacity(lines.len());
        for line in lines {
            listed.push((line.subscription.clone(), self.depth(&line).await?));
        }
        Ok(listed)
    }

    async fn depth(&self, line: &Line) -> Result<Depth, QueueError> {
        let totals = self.rows.totals(&line.subscription).await?;
        let (in_flight, delayed) = line.schedule().counts(Instant::now());
        let ready = totals.live.saturating_sub(in_flight + delayed);
        Ok(Depth { ready, in_flight, delayed, dead: totals.dead })
    }

    pub(crate) async fn dead_letters(
        &self,
        subscription: &Subscription,
        after: Option<&DeadLetterId>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, QueueError> {
        let after = after.map(dead_letter_number).transpose()?;
        let found = self.rows.dead(subscription, after, limit.min(DEAD_LETTERS_PAGE_MAX)).await?;
        let letter = |(number, buried): (u64, crate::rows::Buried)| DeadLetter {
            id: dead_letter_id(number),
            message: buried.stored.message,
            reason: buried.reason,
            receive_count: buried.stored.receive_count,
            published_at_ms: Some(buried.stored.published_at_ms),
        };
        Ok(found.into_iter().map(letter).collect())
    }

    pub(crate) async fn redrive(
        &self,
        subscription: &Subscription,
        limit: usize,
    ) -> Result<usize, QueueError> {
        let line = self.line(subscription)?;
        let limit = limit.min(DEAD_LETTERS_PAGE_MAX);
        let redriven = self.rows.redrive(subscription, limit, self.clock.now_ms()).await?;
        line.wake.notify_waiters();
        Ok(redriven)
    }

    async fn publish(&self, topic: &Topic, batch: Vec<Message>) -> Vec<Result<(), PublishError>> {
        let lines: Vec<_> =
            self.lines().values().filter(|line| line.subscription.topic() == topic).cloned().collect();
        let published_at_ms = self.clock.now_ms();
        let checked: Vec<_> = batch.iter().map(Message::check_size).collect();
        let messages = batch.into_iter().zip(&checked).filter(|(_, checked)| checked.is_ok());
        let messages =
            messages.map(|(message, _)| Stored { message, receive_count: 0, published_at_ms }).collect();
        let names = lines.iter().map(|line| line.subscription.clone()).collect();
        let appended = self.rows.append(names, messages).await;
        for line in &lines {
            line.wake.notify_waiters();
        }
        let mut accepted = appended.as_ref().map(|accepted| accepted.iter());
        let mut answer = |checked: Result<(), PublishError>| {
            checked?;
            match &mut accepted {
                Ok(accepted) => match accepted.next() {
                    Some(true) => Ok(()),
                    _ => Err(PublishError::Full),
                },
                Err(error) => Err(PublishError::Queue((*error).clone())),
            }
        };
        checked.into_iter().map(&mut answer).collect()
    }
}

/// The publisher of any broker of ours.
#[derive(Debug)]
pub(crate) struct BrokerPublisher<R>(pub(crate) Arc<Broker<R>>);

impl<R: Rows> Publisher for BrokerPublisher<R> {
    fn publish<'a>(
        &'a self,
        topic: &'a Topic,
        batch: Vec<Message>,
    ) -> BoxFuture<'a, Vec<Result<(), PublishError>>> {
        Box::pin(self.0.publish(topic, batch))
    }
}

/// Makes a type with a field `broker: Arc<Broker<_>>` a [`Queue`](crate::Queue).
macro_rules! delegate_queue {
    ($queue:ty) => {
        impl $crate::Queue for $queue {
            fn publisher(&self) -> Arc<dyn Publisher> {
                Arc::new($crate::broker::BrokerPublisher(Arc::clone(&self.broker)))
            }

            fn subscribe<'a>(
                &'a self,
                subscription: &'a Subscription,
                config: SubscriptionConfig,
            ) -> BoxFuture<'a, Result<Arc<dyn Receiver>, QueueError>> {
                Box::pin(self.broker.subscribe(subscription, config))
            }

            fn plan<'a>(
                &'a self,
                subscription: &'a Subscription,
                config: SubscriptionConfig,
            ) -> BoxFuture<'a, Result<Vec<$crate::Change>, QueueError>> {
                Box::pin(async move { self.broker.plan(subscription, config) })
            }

            fn subscriptions(&self) -> BoxFuture<'_, Result<Vec<(Subscription, Depth)>, QueueError>> {
                Box::pin(self.broker.subscriptions())
            }

            fn dead_letters<'a>(
                &'a self,
                subscription: &'a Subscription,
                after: Option<&'a DeadLetterId>,
                limit: usize,
            ) -> BoxFuture<'a, Result<Vec<DeadLetter>, QueueError>> {
                Box::pin(self.broker.dead_letters(subscription, after, limit))
            }

            fn redrive<'a>(
                &'a self,
                subscription: &'a Subscription,
                limit: usize,
            ) -> BoxFuture<'a, Result<usize, QueueError>> {
                Box::pin(self.broker.redrive(subscription, limit))
            }
        }
    };
}
pub(crate) use delegate_queue;
