//! A broker of this process that seems to be away.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use queue::{
    AckError, BoxFuture, Change, DeadLetter, DeadLetterId, Delivery, Depth, Lease, Message, PublishError,
    Publisher, Queue, QueueError, Receipt, Receiver, Subscription, SubscriptionConfig, Topic,
};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::{Control, LocalFuture};

/// How long a call waits for an answer that was swallowed: every backend has such a bound.
const NOTICE: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Whole,
    Cut,
    Swallowing,
}

/// The link to a broker of this process, which can be cut.
///
/// While it is, calls that are under way and new ones end as those of a broker over a network do: as unavailable, and
/// whether they took effect is unknown. Clones are the same link.
#[derive(Debug, Clone)]
pub struct Outage {
    inner: Arc<dyn Queue>,
    state: Arc<watch::Sender<State>>,
}

impl Outage {
    /// A link to `inner` that is whole.
    pub fn new(inner: Arc<dyn Queue>) -> Self {
        Self { inner, state: Arc::new(watch::Sender::new(State::Whole)) }
    }

    /// The answer to `call`, if it comes through.
    async fn through<T>(&self, call: impl Future<Output = T>) -> Result<T, QueueError> {
        let mut state = self.state.subscribe();
        let broken = async {
            let is_swallowing = state
                .wait_for(|state| *state != State::Whole)
                .await
                .is_ok_and(|state| *state == State::Swallowing);
            if is_swallowing {
                sleep(NOTICE).await;
            }
        };
        let answered = async {
            let answer = call.await;
            if *self.state.borrow() != State::Whole {
                // It took effect, and nobody is told.
                std::future::pending::<()>().await;
            }
            answer
        };
        tokio::select! {
            biased;
            () = broken => Err(QueueError::unavailable("played: the broker is away")),
            answer = answered => Ok(answer),
        }
    }

    async fn try_through<T>(
        &self,
        call: impl Future<Output = Result<T, QueueError>>,
    ) -> Result<T, QueueError> {
        self.through(call).await.and_then(|answer| answer)
    }
}

impl Control for Outage {
    fn harm(&self) -> LocalFuture<'_, ()> {
        self.state.send_replace(State::Cut);
        Box::pin(async {})
    }

    fn swallow(&self) -> LocalFuture<'_, ()> {
        self.state.send_replace(State::Swallowing);
        Box::pin(async {})
    }

    fn heal(&self) -> LocalFuture<'_, ()> {
        self.state.send_replace(State::Whole);
        Box::pin(async {})
    }
}

impl Queue for Outage {
    fn publisher(&self) -> Arc<dyn Publisher> {
        Arc::new(Away { link: self.clone(), inner: self.inner.publisher() })
    }

    fn subscribe<'a>(
        &'a self,
        subscription: &'a Subscription,
        config: SubscriptionConfig,
    ) -> BoxFuture<'a, Result<Arc<dyn Receiver>, QueueError>> {
        Box::pin(async move {
            let inner = self.try_through(self.inner.subscribe(subscription, config)).await?;
            Ok(Arc::new(Away { link: self.clone(), inner }) as Arc<dyn Receiver>)
        })
    }

    fn plan<'a>(
        &'a self,
        subscription: &'a Subscription,
        config: SubscriptionConfig,
    ) -> BoxFuture<'a, Result<Vec<Change>, QueueError>> {
        Box::pin(self.try_through(self.inner.plan(subscription, config)))
    }

    fn subscriptions(&self) -> BoxFuture<'_, Result<Vec<(Subscription, Depth)>, QueueError>> {
        Box::pin(self.try_through(self.inner.subscriptions()))
    }

    fn dead_letters<'a>(
        &'a self,
        subscription: &'a Subscription,
        after: Option<&'a DeadLetterId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<DeadLetter>, QueueError>> {
        Box::pin(self.try_through(self.inner.dead_letters(subscription, after, limit)))
    }

    fn redrive<'a>(
        &'a self,
        subscription: &'a Subscription,
        limit: usize,
    ) -> BoxFuture<'a, Result<usize, QueueError>> {
        Box::pin(self.try_through(self.inner.redrive(subscription, limit)))
    }
}

/// A publisher or receiver behind the link.
#[derive(Debug)]
struct Away<T: ?Sized> {
    link: Outage,
    inner: Arc<T>,
}

impl Publisher for Away<dyn Publisher> {
    fn publish<'a>(
        &'a self,
        topic: &'a Topic,
        batch: Vec<Message>,
    ) -> BoxFuture<'a, Vec<Result<(), PublishError>>> {
        Box::pin(async move {
            let count = batch.len();
            match self.link.through(self.inner.publish(topic, batch)).await {
                Ok(answers) => answers,
                Err(error) => vec![Err(error.into()); count],
            }
        })
    }
}

impl Receiver for Away<dyn Receiver> {
    fn subscription(&self) -> &Subscription {
        self.inner.subscription()
    }

    fn receive(&self, max: usize, wait: Duration) -> BoxFuture<'_, Result<Vec<Delivery>, QueueError>> {
        Box::pin(self.link.try_through(self.inner.receive(max, wait)))
    }

    fn ack<'a>(&'a self, receipts: &'a [Receipt]) -> BoxFuture<'a, Vec<Result<(), AckError>>> {
        Box::pin(async move {
            match self.link.through(self.inner.ack(receipts)).await {
                Ok(answers) => answers,
                Err(error) => vec![Err(error.into()); receipts.len()],
            }
        })
    }

    fn nack<'a>(&'a self, receipt: &'a Receipt, delay: Duration) -> BoxFuture<'a, Result<(), AckError>> {
        Box::pin(async move { self.link.through(self.inner.nack(receipt, delay)).await? })
    }

    fn extend<'a>(
        &'a self,
        receipts: &'a [Receipt],
        lease: Duration,
    ) -> BoxFuture<'a, Vec<Result<Lease, AckError>>> {
        Box::pin(async move {
            match self.link.through(self.inner.extend(receipts, lease)).await {
                Ok(answers) => answers,
                Err(error) => vec![Err(error.into()); receipts.len()],
            }
        })
    }

    fn dead_letter<'a>(
        &'a self,
        receipt: &'a Receipt,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<(), AckError>> {
        Box::pin(async move { self.link.through(self.inner.dead_letter(receipt, reason)).await? })
    }

    fn depth(&self) -> BoxFuture<'_, Result<Depth, QueueError>> {
        Box::pin(self.link.try_through(self.inner.depth()))
    }
}
