//! Bugs of what is heard.

use super::Planted;
use crate::life::Life;
use comments::rows::CommentRow;
use comments::siblings::CommentFact;
use consumer::{BoxHandler, Context, Handler, HandlerError};
use lattice::Min;
use messages::{Fact, TallyFact, delta_group};
use queue::{
    AckError, BoxFuture, Delivery, Depth, Envelope, EnvelopeData, Lease, Message, QueueError, Receipt,
    Receiver, Subscription,
};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use store::{Abort, Store, key};
use stories::rows::CommentTallyRow;
use tokio::time::Instant;

/// How long what was settled already waits for its merge, in milliseconds.
const LATER_MS: (f64, f64) = (1.0, 5_000.0);

/// A receiver, with the bug if it has one.
pub(crate) fn receiver(bug: Option<Planted>, inner: Arc<dyn Receiver>) -> Arc<dyn Receiver> {
    match bug {
        Some(Planted::LeaseNeverExtended) => Arc::new(NeverExtends { inner }),
        _ => inner,
    }
}

/// A handler, with the bug if it has one.
pub(crate) fn handler(
    bug: Option<Planted>,
    subscription: &Subscription,
    inner: BoxHandler,
    (store, life): (&Store, &Life),
) -> BoxHandler {
    let (store, life, topic) = (store.clone(), life.clone(), subscription.topic().as_str());
    match bug {
        Some(Planted::AckBeforeMerge) => BoxHandler::new(MergesLater { inner, life }),
        Some(Planted::AdditionForJoin)
            if topic == TallyFact::TOPIC && subscription.service() == stories::NAME =>
        {
            BoxHandler::new(Adds { inner, store })
        }
        Some(Planted::ReplicaReused) if topic.strip_prefix("wants.") == Some(TallyFact::TOPIC) => {
            BoxHandler::new(Deaf)
        }
        Some(Planted::TieByArrival) if topic == CommentFact::TOPIC => {
            BoxHandler::new(FirstCome { inner, store })
        }
        _ => inner,
    }
}

/// Says that a lease was extended, and asks nobody.
#[derive(Debug)]
struct NeverExtends {
    inner: Arc<dyn Receiver>,
}

impl Receiver for NeverExtends {
    fn subscription(&self) -> &Subscription {
        self.inner.subscription()
    }

    fn receive(&self, max: usize, wait: Duration) -> BoxFuture<'_, Result<Vec<Delivery>, QueueError>> {
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
        let until = Instant::now() + lease;
        let answers = receipts.iter().map(|_| Ok(Lease::until(until))).collect();
        Box::pin(async move { answers })
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

/// Says that a message is handled, and handles it afterwards.
struct MergesLater {
    inner: BoxHandler,
    life: Life,
}

impl Handler for MergesLater {
    async fn handle(&self, message: &Message, context: &Context) -> Result<(), HandlerError> {
        let (inner, life, message) = (self.inner.clone(), self.life.clone(), message.clone());
        let context = Context::new(context.subscription.clone());
        drop(self.life.spawn(async move {
            life.pass(LATER_MS.0, LATER_MS.1).await;
            if let Err(error) = inner.handle(&message, &context).await {
                tracing::debug!(%error, "what was settled already is not merged");
            }
        }));
        Ok(())
    }
}

/// Hears nothing of what others hold: so it never meets its own future.
struct Deaf;

impl Handler for Deaf {
    async fn handle(&self, _message: &Message, _context: &Context) -> Result<(), HandlerError> {
        Ok(())
    }
}

/// Adds what it is told of a count to what it has.
struct Adds {
    inner: BoxHandler,
    store: Store,
}

impl Handler for Adds {
    async fn handle(&self, message: &Message, context: &Context) -> Result<(), HandlerError> {
        let Some(told) = told::<TallyFact>(message) else { return self.inner.handle(message, context).await };
        let added = self.store.write(move |view| {
            for (key, tally) in &told {
                let mut sum = view.get::<CommentTallyRow>(key)?.unwrap_or_default();
                sum.epoch = tally.epoch;
                sum.added = sum.added.saturating_add(tally.added);
                sum.removed = sum.removed.saturating_add(tally.removed);
                let bytes = serde_json::to_vec(&sum).map_err(|error| Abort::Refused(error.to_string()))?;
                view.set(key::of::<CommentTallyRow>(key), bytes);
            }
            Ok::<_, Abort<String>>(())
        });
        added.await.map_err(|error| HandlerError::poison(error.to_string()))
    }
}

/// Keeps the post that it has, and not the earlier of two.
struct FirstCome {
    inner: BoxHandler,
    store: Store,
}

impl Handler for FirstCome {
    async fn handle(&self, message: &Message, context: &Context) -> Result<(), HandlerError> {
        let Some(told) = told::<CommentFact>(message) else {
            return self.inner.handle(message, context).await;
        };
        // One comment a message is not what the service would do, and what it does with it is its own.
        for (id, mut comment) in told {
            let stored =
                self.store.write(move |view| Ok::<_, Abort<Infallible>>(view.get::<CommentRow>(&id)?));
            let stored = stored.await.map_err(|error| HandlerError::poison(error.to_string()))?;
            if stored.is_some_and(|stored| stored.post.get().is_some()) {
                comment.post = Min::default();
            }
            let Some(one) = retold(message, &[(id, comment)].into()) else { continue };
            self.inner.handle(&one, context).await?;
        }
        Ok(())
    }
}

/// The facts of a message; none where it is something else.
fn told<F: Fact>(message: &Message) -> Option<messages::DeltaGroup<F>> {
    let envelope = Envelope::decode(&message.body).ok().filter(|envelope| envelope.event_type == F::TYPE)?;
    let EnvelopeData::Json(data) = &envelope.data else { return None };
    Some(delta_group::decode::<F>(data).ok()?.group)
}

/// The same message, with these facts.
fn retold(message: &Message, facts: &messages::DeltaGroup<CommentFact>) -> Option<Message> {
    let mut envelope = Envelope::decode(&message.body).ok()?;
    envelope.data = EnvelopeData::Json(delta_group::encode::<CommentFact>(facts).ok()?);
    Some(Message { body: envelope.encode().into(), attributes: message.attributes.clone() })
}
