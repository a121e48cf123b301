//! A queue that does its worst, on a schedule that a seed decides.

use std::sync::Arc;
use std::time::Duration;

use crate::{
    BoxFuture, Change, DeadLetter, DeadLetterId, Depth, Message, PublishError, Publisher, Queue, QueueError,
    Receiver, Subscription, SubscriptionConfig, Topic,
};

mod dials;
mod receiver;

pub use dials::{Dials, FaultCounts, TOPICS_COUNTED_MAX};
use receiver::FaultyReceiver;

/// How often a [`Faulty`] queue does what. All but `seed` and `delay_max` are probabilities, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Faults {
    /// Decides everything: the same calls in the same order meet the same faults.
    pub seed: u64,
    /// A message is accepted twice.
    pub duplicate: f64,
    /// A delivery changes places with another of its batch; one that is alone is put off for a moment.
    pub reorder: f64,
    /// A delivery is put off instead of handed out.
    pub delay: f64,
    /// For how long at most.
    pub delay_max: Duration,
    /// A publish is answered with an error, and nothing was accepted.
    pub publish_fails_before: f64,
    /// A publish is answered with an error, and the message was accepted.
    pub publish_fails_after_accept: f64,
    /// A publish is answered with success, and nothing was accepted. At-least-once queues do not do this; core NATS does.
    pub drop: f64,
    /// An ack, or a dead-lettering, is answered with an error; in half of the cases it took effect.
    pub ack_lost: f64,
}

impl Faults {
    /// No faults.
    pub fn none() -> Self {
        Self {
            seed: 0,
            duplicate: 0.0,
            reorder: 0.0,
            delay: 0.0,
            delay_max: Duration::ZERO,
            publish_fails_before: 0.0,
            publish_fails_after_accept: 0.0,
            drop: 0.0,
            ack_lost: 0.0,
        }
    }

    /// Everything that a queue may do which delivers at least once; nothing is dropped.
    pub fn hostile(seed: u64) -> Self {
        Self {
            seed,
            duplicate: 0.2,
            reorder: 0.3,
            delay: 0.2,
            delay_max: Duration::from_mins(1),
            publish_fails_before: 0.1,
            publish_fails_after_accept: 0.1,
            drop: 0.0,
            ack_lost: 0.1,
        }
    }
}

/// Any queue, made worse.
///
/// It keeps no message: what it delays is given back to the queue inside, what it duplicates is accepted there twice. So
/// whatever the inner queue promises about crashes stays true, and a test may kill a process in the middle of a fault.
/// Since a delayed delivery is received inside and given back, receive counts grow faster than hand-outs do. Its
/// [`dials`](Self::dials) turn the faults while it runs.
///
/// ```
/// # use std::sync::Arc;
/// use antiphon_queue::{Faults, Faulty, MemoryQueue, Queue};
///
/// let queue = Faulty::new(MemoryQueue::new(), Faults::hostile(42));
/// let publisher = queue.publisher();
/// assert_eq!(queue.counts().duplicated, 0);
/// ```
#[derive(Debug, Clone)]
pub struct Faulty<Q> {
    inner: Q,
    dials: Dials,
}

impl<Q: Queue> Faulty<Q> {
    /// Plays `faults` on what passes through.
    pub fn new(inner: Q, faults: Faults) -> Self {
        Self { inner, dials: Dials::new(faults) }
    }

    /// What turns the faults.
    pub fn dials(&self) -> Dials {
        self.dials.clone()
    }

    /// What was played so far.
    pub fn counts(&self) -> FaultCounts {
        self.dials.counts()
    }

    /// The queue inside, free of faults.
    pub fn inner(&self) -> &Q {
        &self.inner
    }

    /// The same, and nothing around it any more.
    pub fn into_inner(self) -> Q {
        self.inner
    }
}

/// Draws every time, also for what never happens, so that changing one probability moves no other draw.
fn happens(rng: &mut fastrand::Rng, probability: f64) -> bool {
    rng.f64() < probability
}

fn played(what: &str) -> QueueError {
    QueueError::unavailable(format!("a fault was played: {what}"))
}

impl<Q: Queue> Queue for Faulty<Q> {
    fn publisher(&self) -> Arc<dyn Publisher> {
        Arc::new(FaultyPublisher { inner: self.inner.publisher(), dials: self.dials.clone() })
    }

    fn subscribe<'a>(
        &'a self,
        subscription: &'a Subscription,
        config: SubscriptionConfig,
    ) -> BoxFuture<'a, Result<Arc<dyn Receiver>, QueueError>> {
        Box::pin(async move {
            let inner = self.inner.subscribe(subscription, config).await?;
            Ok(Arc::new(FaultyReceiver::new(inner, self.dials.clone())) as Arc<dyn Receiver>)
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

#[derive(Debug)]
struct FaultyPublisher {
    inner: Arc<dyn Publisher>,
    dials: Dials,
}

/// What is to happen to one message.
#[derive(Debug, Clone, Copy)]
struct Fate {
    /// How many copies the inner queue is given.
    copies: usize,
    /// What is answered if they are accepted.
    answer: Result<(), &'static str>,
}

impl FaultyPublisher {
    fn draw(&self, topic: &Topic) -> Fate {
        self.dials.throw(topic, |faults, rng, counts| {
            let before = happens(rng, faults.publish_fails_before);
            let dropped = happens(rng, faults.drop);
            let after = happens(rng, faults.publish_fails_after_accept);
            let twice = happens(rng, faults.duplicate);
            if before {
                counts.refused_before += 1;
                return Fate { copies: 0, answer: Err("publish fails before it is accepted") };
            }
            if dropped {
                counts.dropped += 1;
                return Fate { copies: 0, answer: Ok(()) };
            }
            counts.refused_after += u64::from(after);
            counts.duplicated += u64::from(twice);
            let answer = if after { Err("publish fails after it was accepted") } else { Ok(()) };
            Fate { copies: 1 + usize::from(twice), answer }
        })
    }
}

impl Publisher for FaultyPublisher {
    fn publish<'a>(
        &'a self,
        topic: &'a Topic,
        batch: Vec<Message>,
    ) -> BoxFuture<'a, Vec<Result<(), PublishError>>> {
        Box::pin(async move {
            let fates: Vec<Fate> = batch.iter().map(|_| self.draw(topic)).collect();
            let copies = batch.into_iter().zip(&fates);
            let copies =
                copies.flat_map(|(message, fate)| std::iter::repeat_n(message, fate.copies)).collect();
            let mut accepted = self.inner.publish(topic, copies).await.into_iter();
            let answer = |fate: Fate| {
                for copy in accepted.by_ref().take(fate.copies).collect::<Vec<_>>() {
                    copy?;
                }
                fate.answer.map_err(|what| played(what).into())
            };
            fates.into_iter().map(answer).collect()
        })
    }
}
