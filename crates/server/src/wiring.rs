//! The queue between the services: who hears what, and the tasks that announce and merge.
//!
//! A service answers its queries without any of this. So a queue that cannot be used is no reason not to start: it is
//! tried again and again, and what is marked in the outboxes waits.

use crate::cli::ServeArgs;
use crate::data::Data;
use crate::hostile::{self, Failing};
use crate::node::{self, NodeError, Service};
use crate::plain_counter::PlainCounter;
use choreography::kept::{self, StoreDeadLetters};
use consumer::{Backoff, BoxHandler, Chain, DefaultStack, Layer, Pump};
use messages::{Fact, PartFact, ProfileFact, SigningKeyFact, TallyFact};
use queue::{
    Clock, EmbeddedQueue, Faulty, MESSAGES_MAX, NameError, Queue, QueueError, Receiver, Subscription,
    SubscriptionConfig, Topic,
};
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use store::World;
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Who hears what. Every process makes sure that all of these exist before it announces anything: a topic keeps nothing
/// for a subscription that is made later.
const SUBSCRIPTIONS: [(&str, &str); 6] = [
    (ProfileFact::TOPIC, stories::NAME),
    (ProfileFact::TOPIC, comments::NAME),
    (SigningKeyFact::TOPIC, stories::NAME),
    (SigningKeyFact::TOPIC, comments::NAME),
    (PartFact::TOPIC, comments::NAME),
    (TallyFact::TOPIC, stories::NAME),
];

/// The pauses between tries to open a queue.
const CONNECT_PAUSE_MIN: Duration = Duration::from_millis(200);
const CONNECT_PAUSE_MAX: Duration = Duration::from_secs(10);
/// How long handlers may go on at shutdown.
const DRAIN: Duration = Duration::from_secs(10);
/// Delays of messages whose merge failed.
const NACK_BACKOFF: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(30));
/// The same where faults are played: `replay` waits for the last of them.
const NACK_BACKOFF_HOSTILE: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));

#[derive(Debug, Error)]
enum WiringError {
    #[error("a name is not allowed in a queue")]
    Name(#[from] NameError),
    #[error("the queue cannot be used")]
    Queue(#[from] QueueError),
    #[error("the queue cannot be opened")]
    Store(#[from] NodeError),
}

/// Completes when a stop was called, or its caller is gone.
pub(crate) async fn called(mut stop: watch::Receiver<bool>) {
    // An error means that nobody can call it any more: that is a stop too.
    stop.wait_for(|stop| *stop).await.map(drop).unwrap_or_default();
}

/// The queue as far as the status page knows it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Connection(Arc<Mutex<Option<Arc<dyn Queue>>>>);

impl Connection {
    pub(crate) fn queue(&self) -> Option<Arc<dyn Queue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, queue: Option<Arc<dyn Queue>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = queue;
    }
}

/// Everything that the wiring needs.
#[derive(Debug, Clone)]
pub(crate) struct Wiring {
    pub(crate) args: ServeArgs,
    pub(crate) data: Data,
    pub(crate) world: Arc<dyn World>,
    pub(crate) services: Vec<Service>,
    pub(crate) plain_counter: Option<PlainCounter>,
    pub(crate) connection: Connection,
}

impl Wiring {
    /// Connects, and announces and merges until `stop` is called.
    pub(crate) async fn run(self, stop: watch::Receiver<bool>) {
        let mut pause = CONNECT_PAUSE_MIN;
        let queue = loop {
            match self.connect().await {
                Ok(queue) => break queue,
                Err(error) => {
                    tracing::warn!(error = %Chain(&error), "no queue: queries are answered, news waits in the outboxes");
                    tokio::select! {
                        () = tokio::time::sleep(pause) => pause = (pause * 2).min(CONNECT_PAUSE_MAX),
                        () = called(stop.clone()) => return,
                    }
                }
            }
        };
        self.connection.set(Some(Arc::clone(&queue)));
        metrics::gauge!("antiphon_queue_connected").set(1.0);
        if let Err(error) = self.converse(&*queue, &stop).await {
            tracing::error!(error = %Chain(&error), "the services do not hear each other; restart when this is mended");
        }
        self.connection.set(None);
        metrics::gauge!("antiphon_queue_connected").set(0.0);
    }

    /// Opens the queue, with every subscription in it.
    async fn connect(&self) -> Result<Arc<dyn Queue>, WiringError> {
        let store = node::open_store(&self.args, &self.data, &self.world, "queue")?;
        let embedded = EmbeddedQueue::on(store, MESSAGES_MAX).await?;
        let queue: Arc<dyn Queue> = match self.args.fault_seed {
            Some(seed) => Arc::new(Faulty::new(embedded, hostile::faults(seed))),
            None => Arc::new(embedded),
        };
        for (topic, service) in SUBSCRIPTIONS {
            self.subscribe(&*queue, &Subscription::new(Topic::new(topic)?, service, &self.args.site)?)
                .await?;
        }
        Ok(queue)
    }

    async fn subscribe(
        &self,
        queue: &dyn Queue,
        subscription: &Subscription,
    ) -> Result<Arc<dyn Receiver>, QueueError> {
        // No limit of receives: what cannot be understood is kept by its subscriber, all else is tried for ever.
        queue.subscribe(subscription, SubscriptionConfig::default()).await
    }

    /// Runs the relays and the pumps of every service until `stop` is called: then relays announce what is marked, pumps
    /// merge what is in hand, and both end.
    async fn converse(&self, queue: &dyn Queue, stop: &watch::Receiver<bool>) -> Result<(), WiringError> {
        let (mut relays, mut pumps) = (JoinSet::new(), JoinSet::new());
        for service in &self.services {
            for link in service.links()? {
                let subscription = Subscription::new(link.topic, service.name(), &self.args.site)?;
                let receiver = self.subscribe(queue, &subscription).await?;
                let store = service.store().clone();
                pumps.spawn(self.pump(store, receiver, subscription, link.handler, called(stop.clone())));
            }
            let relay = service.relay(queue.publisher())?;
            relays.spawn(relay.run(called(stop.clone())));
        }
        if let Some(counter) = &self.plain_counter {
            let subscription = counter.subscription(&self.args.site)?;
            let receiver = self.subscribe(queue, &subscription).await?;
            let (store, handler) = (counter.store().clone(), BoxHandler::new(counter.clone()));
            pumps.spawn(self.pump(store, receiver, subscription, handler, called(stop.clone())));
            counter.connect(queue.publisher());
        }
        end(relays).await;
        end(pumps).await;
        Ok(())
    }

    /// A pump, and beside it one more try of what was kept.
    fn pump(
        &self,
        store: store::Store,
        receiver: Arc<dyn Receiver>,
        subscription: Subscription,
        handler: BoxHandler,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        let seed = self.args.fault_seed.map(|seed| seed.wrapping_add(hash(&subscription)));
        let jitter = u64::try_from(self.world.random() & u128::from(u64::MAX)).unwrap_or_default();
        let clock = Arc::clone(&self.world);
        async move {
            let again = retry_kept(store.clone(), subscription.clone(), handler.clone());
            let handler = match seed {
                Some(seed) => BoxHandler::new(Failing::new(handler, seed)),
                None => handler,
            };
            let pump = Pump::builder(receiver, DefaultStack::new(jitter).layer(handler))
                .dead_letters(StoreDeadLetters::new(store, subscription.clone()))
                .nack_backoff(if seed.is_some() { NACK_BACKOFF_HOSTILE } else { NACK_BACKOFF })
                .drain(DRAIN)
                .seed(jitter)
                .clock(Clock::new(move || clock.now_ms()))
                .build();
            // Beside the pump: what waited long may wait a little longer, what comes now may not.
            let again = tokio::spawn(again);
            let summary = pump.run(stop).await;
            again.abort();
            tracing::debug!(%subscription, ?summary, "stopped");
        }
    }
}

/// Gives what was kept to the handler once more: an upgrade may understand it.
async fn retry_kept(store: store::Store, subscription: Subscription, handler: BoxHandler) {
    match kept::retry(&store, &subscription, &handler).await {
        Ok(0) => {}
        Ok(understood) => tracing::info!(%subscription, understood, "kept messages are understood now"),
        Err(error) => tracing::warn!(%subscription, %error, "kept messages could not be tried again"),
    }
}

/// A number that differs between subscriptions, and not between runs.
fn hash(subscription: &Subscription) -> u64 {
    subscription
        .to_string()
        .bytes()
        .fold(0, |hash: u64, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)))
}

async fn end(mut tasks: JoinSet<()>) {
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a task of the queue failed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::root::certify;
    use api::{KeyRing, SigningKey};
    use std::collections::BTreeSet;
    use store::{Memory, SeededWorld, Setup, Store};

    #[tokio::test]
    async fn every_link_of_a_service_has_its_subscription() {
        let world: Arc<dyn World> = Arc::new(SeededWorld::new(1, 1_700_000_000_000));
        let open = |name| Store::open(Memory::new(), Arc::clone(&world), &Setup::of(name)).unwrap();
        let (root, key) = (SigningKey::from_seed([1; 32]), SigningKey::from_seed([2; 32]));
        let ring = || Arc::new(KeyRing::new(root.public(), || 1_700_000_000));
        let certificate = certify(&root, &key.public());
        let services = [
            Service::Users(users::Users::open(open(users::NAME), ring(), key, certificate).await.unwrap()),
            Service::Stories(stories::Stories::open(open(stories::NAME), ring()).await.unwrap()),
            Service::Comments(comments::Comments::open(open(comments::NAME), ring()).await.unwrap()),
        ];
        let links: BTreeSet<_> = services
            .iter()
            .flat_map(|service| {
                service.links().unwrap().into_iter().map(|link| (link.topic.to_string(), service.name()))
            })
            .collect();
        let made: BTreeSet<_> =
            SUBSCRIPTIONS.iter().map(|(topic, name)| ((*topic).to_owned(), *name)).collect();
        assert_eq!(links, made);
        assert!(SUBSCRIPTIONS.iter().all(|(topic, _)| *topic != crate::plain_counter::TOPIC));
    }
}
