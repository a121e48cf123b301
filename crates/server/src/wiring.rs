//! The queue between the services: who hears what, and the tasks that announce and merge.
//!
//! A service answers its queries without any of this. So a queue that cannot be used is no reason not to start: it is
//! tried again and again, and what is marked in the outboxes waits.

use crate::cli::{ServeArgs, ServiceName};
use crate::data::Data;
use crate::hostile::{self, Failing};
use crate::node::{self, NodeError, Service};
use crate::plain_counter::PlainCounter;
use choreography::Pace;
use choreography::anti_entropy::{is_wants_topic, wants_topic};
use choreography::kept::{self, StoreDeadLetters};
use comments::siblings::{CommentFact, ReplyTallyFact};
use consumer::audit::{Audit, AuditedDeadLetters, Ledger, LedgerError};
use consumer::{Backoff, BoxHandler, Chain, DefaultStack, Layer, Pump};
use messages::{Fact, PartFact, ProfileFact, SigningKeyFact, TallyFact};
use queue::{
    Clock, EmbeddedQueue, Faulty, MESSAGES_MAX, NameError, Publisher, Queue, QueueError, Receiver, Settings,
    Subscription, SubscriptionConfig, Topic,
};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use store::World;
use stories::siblings::{PartsOrderFact, ReadsFact, StoryFact, StoryPartFact, VoteFact, VoteTallyFact};
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use users::siblings::{AccountFact, ShelfFact};

pub(crate) mod books;
mod connection;

pub(crate) use connection::Connection;

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

/// Who hears its siblings, the replicas of the same service at other sites, where there are any. A replica hears itself
/// there too, which changes nothing: a topic does not know who said what.
const SIBLINGS: [(&str, &str); 14] = [
    (AccountFact::TOPIC, users::NAME),
    (ProfileFact::TOPIC, users::NAME),
    (ShelfFact::TOPIC, users::NAME),
    (SigningKeyFact::TOPIC, users::NAME),
    (StoryFact::TOPIC, stories::NAME),
    (StoryPartFact::TOPIC, stories::NAME),
    (PartFact::TOPIC, stories::NAME),
    (VoteFact::TOPIC, stories::NAME),
    (VoteTallyFact::TOPIC, stories::NAME),
    (ReadsFact::TOPIC, stories::NAME),
    (PartsOrderFact::TOPIC, stories::NAME),
    (CommentFact::TOPIC, comments::NAME),
    (TallyFact::TOPIC, comments::NAME),
    (ReplyTallyFact::TOPIC, comments::NAME),
];

/// Who announces what to other services, and hears on `wants.` and the topic what was lost of it on the way.
const ANNOUNCERS: [(&str, &str); 4] = [
    (ProfileFact::TOPIC, users::NAME),
    (SigningKeyFact::TOPIC, users::NAME),
    (PartFact::TOPIC, stories::NAME),
    (TallyFact::TOPIC, comments::NAME),
];

/// What only siblings hear.
pub(crate) fn sibling_topics() -> impl Iterator<Item = &'static str> {
    users::siblings::TOPICS.into_iter().chain(stories::siblings::TOPICS).chain(comments::siblings::TOPICS)
}

/// The pauses between tries to open a queue.
const CONNECT_PAUSE_MIN: Duration = Duration::from_millis(200);
const CONNECT_PAUSE_MAX: Duration = Duration::from_secs(10);
/// How long handlers may go on at shutdown.
const DRAIN: Duration = Duration::from_secs(10);
/// Delays of messages whose merge failed.
const NACK_BACKOFF: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(30));
/// The same where faults are played: `replay` waits for the last of them.
const NACK_BACKOFF_HOSTILE: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));

/// The folder of the embedded queue in the data folder.
const EMBEDDED: &str = "queue";
/// How long one try to connect, with everything that is made at the broker, may take.
const CONNECT_MAX: Duration = Duration::from_mins(2);

#[derive(Debug, Error)]
enum WiringError {
    #[error("a name is not allowed in a queue")]
    Name(#[from] NameError),
    #[error("the queue cannot be used")]
    Queue(#[from] QueueError),
    #[error("the queue cannot be opened")]
    Store(#[from] NodeError),
    #[error("the books of the audit cannot be kept")]
    Books(#[from] LedgerError),
    #[error("a task failed")]
    Task(#[from] tokio::task::JoinError),
    #[error("the queue did not answer within {CONNECT_MAX:?}")]
    Silent,
    #[error("{0} is not among the subscriptions that are made: this is a bug")]
    Unheard(Subscription),
}

impl WiringError {
    fn is_retryable(&self) -> bool {
        match self {
            Self::Queue(error) => error.is_retryable(),
            // Another process may have the folder.
            Self::Store(_)
            | Self::Silent
            | Self::Books(LedgerError::InUse { .. } | LedgerError::Busy { .. }) => true,
            Self::Name(_) | Self::Books(_) | Self::Task(_) | Self::Unheard(_) => false,
        }
    }
}

/// The subscriptions of the services of a site, and those to their siblings if there are any.
pub(crate) fn subscriptions(site: &str, siblings: bool) -> Result<Vec<Subscription>, NameError> {
    let named = |(topic, service): &(&str, &str)| Subscription::new(Topic::new(topic)?, service, site);
    let wanted = |(topic, service): (&str, &str)| Subscription::new(wants_topic(topic)?, service, site);
    let to_siblings = if siblings { SIBLINGS.as_slice() } else { &[] };
    let only = |topic: &str| !ANNOUNCERS.iter().any(|(public, _)| *public == topic);
    let from_siblings = to_siblings.iter().copied().filter(|(topic, _)| only(topic));
    let heard = SUBSCRIPTIONS.iter().chain(to_siblings).map(named);
    heard.chain(ANNOUNCERS.iter().copied().chain(from_siblings).map(wanted)).collect()
}

/// Completes when a stop was called, or its caller is gone.
pub(crate) async fn called(mut stop: watch::Receiver<bool>) {
    // An error means that nobody can call it any more: that is a stop too.
    stop.wait_for(|stop| *stop).await.map(drop).unwrap_or_default();
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
    /// A queue that is open already, in place of the one that the arguments name.
    pub(crate) opened: Option<Arc<dyn Queue>>,
}

/// What a pump needs.
struct Hearing {
    store: store::Store,
    receiver: Arc<dyn Receiver>,
    subscription: Subscription,
    handler: BoxHandler,
    ledger: Ledger,
}

/// What a connection gives.
struct Linked {
    queue: Arc<dyn Queue>,
    /// Notes what is sent and what becomes of it.
    ledger: Ledger,
    /// Everything that the services of this site hear.
    heard: BTreeMap<Subscription, Arc<dyn Receiver>>,
}

impl Wiring {
    /// Connects, and announces and merges until `stop` is called.
    pub(crate) async fn run(self, stop: watch::Receiver<bool>) {
        let Some(linked) = self.connected(&stop).await else { return };
        self.connection.connected(Arc::clone(&linked.queue), linked.heard.keys().cloned().collect());
        tracing::info!(queue = %self.connection.url(), "the services hear each other");
        if let Err(error) = self.converse(linked, &stop).await {
            tracing::error!(error = %Chain(&error), "the services do not hear each other; restart when this is mended");
        }
        self.connection.ended();
    }

    /// Tries to connect until it succeeds, or a stop is called.
    async fn connected(&self, stop: &watch::Receiver<bool>) -> Option<Linked> {
        let mut pause = CONNECT_PAUSE_MIN;
        let url = match &self.args.queue {
            None => format!("embedded:{}", self.data.folder(EMBEDDED).display()),
            Some(given) => given.url().map(ToString::to_string).unwrap_or_default(),
        };
        loop {
            let tried = tokio::select! {
                tried = timeout(CONNECT_MAX, self.connect()) => tried.unwrap_or(Err(WiringError::Silent)),
                () = called(stop.clone()) => return None,
            };
            let error = match tried {
                Ok(linked) => {
                    self.connection.tried(url, None);
                    return Some(linked);
                }
                Err(error) => error,
            };
            let why = Chain(&error).to_string();
            // Whatever is broken may be mended while we try: but an operator has to hear of it.
            if error.is_retryable() {
                tracing::warn!(queue = %url, error = %why, "no queue: queries are answered, news waits in the outboxes");
            } else {
                tracing::error!(queue = %url, error = %why, "no queue: queries are answered, news waits in the outboxes");
            }
            self.connection.tried(url.clone(), Some(why));
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(CONNECT_PAUSE_MAX),
                () = called(stop.clone()) => return None,
            }
        }
    }

    /// Opens the queue, with every subscription in it.
    async fn connect(&self) -> Result<Linked, WiringError> {
        let opened: Arc<dyn Queue> = match (&self.opened, &self.args.queue) {
            (Some(opened), _) => Arc::clone(opened),
            (None, None) => {
                let store = node::open_store(&self.args, &self.data, &self.world, EMBEDDED)?;
                Arc::new(EmbeddedQueue::on(store, MESSAGES_MAX).await?)
            }
            (None, Some(given)) => {
                let world = Arc::clone(&self.world);
                let settings = Settings { clock: Clock::new(move || world.now_ms()), seed: self.random() };
                queue::connect(given.url()?, &settings).await?
            }
        };
        let queue: Arc<dyn Queue> = match hostile::faults(self.args.fault_seed, self.args.fault_drop) {
            Some(faults) => Arc::new(Faulty::new(opened, faults)),
            None => opened,
        };
        let (data, given) = (self.args.data.clone(), self.args.queue.clone());
        let process = self.args.service.map_or("all", ServiceName::name);
        let lane = self.random().max(1);
        let ledger =
            tokio::task::spawn_blocking(move || books::open(&data, given.as_ref(), process, lane)).await??;
        let mut wanted = subscriptions(&self.args.sites.site, self.args.sites.has_siblings())?;
        if let Some(counter) = &self.plain_counter {
            wanted.push(counter.subscription(&self.args.sites.site)?);
        }
        let mut heard = BTreeMap::new();
        for subscription in wanted {
            // No limit of receives: what cannot be understood is kept by its subscriber, all else is tried for ever.
            let receiver = queue.subscribe(&subscription, SubscriptionConfig::default()).await?;
            ledger.begin(&subscription).await?;
            heard.insert(subscription, receiver);
        }
        Ok(Linked { queue, ledger, heard })
    }

    /// Runs the relays and the pumps of every service until `stop` is called: then relays announce what is marked, pumps
    /// merge what is in hand, and both end.
    async fn converse(&self, linked: Linked, stop: &watch::Receiver<bool>) -> Result<(), WiringError> {
        let (mut relays, mut pumps) = (JoinSet::new(), JoinSet::new());
        let Linked { queue, ledger, mut heard } = linked;
        let publisher: Arc<dyn Publisher> = Arc::new(ledger.publisher(queue.publisher()));
        let mut receiver = |subscription: &Subscription| {
            let unknown = || WiringError::Unheard(subscription.clone());
            heard.remove(subscription).ok_or_else(unknown)
        };
        for service in &self.services {
            let anti_entropy = service.anti_entropy(Arc::clone(&publisher))?;
            for link in service.links(&publisher)?.into_iter().chain(anti_entropy.links()?) {
                let subscription = Subscription::new(link.topic, service.name(), &self.args.sites.site)?;
                let receiver = receiver(&subscription)?;
                if !is_wants_topic(subscription.topic()) {
                    self.connection.measures(subscription.clone(), link.lag);
                }
                let link = Hearing {
                    store: service.store().clone(),
                    receiver,
                    subscription,
                    handler: link.handler,
                    ledger: ledger.clone(),
                };
                pumps.spawn(self.pump(link, called(stop.clone())));
            }
            let relay = service.relay(Arc::clone(&publisher))?;
            relays.spawn(relay.run(called(stop.clone())));
            let every_s = self.args.anti_entropy_s();
            if every_s > 0 {
                let pace = Pace::every(Duration::from_secs(u64::from(every_s)));
                relays.spawn(anti_entropy.run(pace, called(stop.clone())));
            }
        }
        if let Some(counter) = &self.plain_counter {
            let subscription = counter.subscription(&self.args.sites.site)?;
            let receiver = receiver(&subscription)?;
            let (store, handler) = (counter.store().clone(), BoxHandler::new(counter.clone()));
            let link = Hearing { store, receiver, subscription, handler, ledger: ledger.clone() };
            pumps.spawn(self.pump(link, called(stop.clone())));
            counter.connect(publisher);
        }
        // What other processes hear is theirs to receive.
        drop(heard);
        end(relays).await;
        end(pumps).await;
        Ok(())
    }

    fn random(&self) -> u64 {
        u64::try_from(self.world.random() & u128::from(u64::MAX)).unwrap_or_default()
    }

    /// A pump, and beside it one more try of what was kept.
    fn pump(
        &self,
        hearing: Hearing,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        let Hearing { store, receiver, subscription, handler, ledger } = hearing;
        let seed = self.args.fault_seed.map(|seed| seed.wrapping_add(hash(&subscription.to_string())));
        let jitter = self.random();
        let clock = Arc::clone(&self.world);
        let connection = self.connection.clone();
        async move {
            let again = retry_kept(store.clone(), subscription.clone(), handler.clone());
            let handler = match seed {
                Some(seed) => BoxHandler::new(Failing::new(handler, seed)),
                None => handler,
            };
            let handler = DefaultStack::new(jitter).layer(connection.counting(handler));
            // Outermost, so that what is noted as merged is merged, and a note that fails runs nothing again in place.
            let handler = Audit::new(ledger.clone()).layer(handler);
            let kept = StoreDeadLetters::new(store, subscription.clone());
            let pump = Pump::builder(receiver, handler)
                .dead_letters(AuditedDeadLetters::new(ledger, subscription.clone(), kept))
                .nack_backoff(if seed.is_some() { NACK_BACKOFF_HOSTILE } else { NACK_BACKOFF })
                .drain(DRAIN)
                .seed(jitter)
                .clock(Clock::new(move || clock.now_ms()))
                .build();
            connection.watch(pump.in_flight());
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

/// A number that differs between names, and not between runs.
fn hash(name: &str) -> u64 {
    name.bytes().fold(0, |hash: u64, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)))
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
    use queue::MemoryQueue;
    use std::collections::BTreeSet;
    use store::{Memory, SeededWorld, Setup, Store};

    async fn links(muted: &[&'static str]) -> BTreeSet<(String, &'static str)> {
        let world: Arc<dyn World> = Arc::new(SeededWorld::new(1, 1_700_000_000_000));
        let setup = |name| Setup::of(name).muting(muted.iter().copied());
        let open = |name| Store::open(Memory::new(), Arc::clone(&world), &setup(name)).unwrap();
        let (root, key) = (SigningKey::from_seed([1; 32]), SigningKey::from_seed([2; 32]));
        let ring = || Arc::new(KeyRing::new(root.public(), || 1_700_000_000));
        let certificate = certify(&root, &key.public());
        let services = [
            Service::Users(users::Users::open(open(users::NAME), ring(), key, certificate).await.unwrap()),
            Service::Stories(stories::Stories::open(open(stories::NAME), ring()).await.unwrap()),
            Service::Comments(comments::Comments::open(open(comments::NAME), ring()).await.unwrap()),
        ];
        let publisher = MemoryQueue::new().publisher();
        let links = services.iter().flat_map(|service| {
            let wants = service.anti_entropy(Arc::clone(&publisher)).unwrap().links().unwrap();
            let links = service.links(&publisher).unwrap().into_iter().chain(wants);
            links.map(|link| (link.topic.to_string(), service.name()))
        });
        links.collect()
    }

    fn made(siblings: bool) -> BTreeSet<(String, &'static str)> {
        let subscriptions = subscriptions("main", siblings).unwrap();
        let services = [users::NAME, stories::NAME, comments::NAME];
        let name = |one: &Subscription| services.into_iter().find(|name| one.service() == *name).unwrap();
        subscriptions.iter().map(|one| (one.topic().to_string(), name(one))).collect()
    }

    #[tokio::test]
    async fn every_link_of_a_service_has_its_subscription() {
        let muted: Vec<_> = sibling_topics().collect();
        assert_eq!(links(&muted).await, made(false));
        assert_eq!(links(&[]).await, made(true));
        assert!(made(true).iter().all(|(topic, _)| topic != crate::plain_counter::TOPIC));
    }

    #[test]
    fn what_only_siblings_hear_is_heard_by_nobody_else() {
        let public: BTreeSet<_> = SUBSCRIPTIONS.iter().map(|(topic, _)| *topic).collect();
        let only: BTreeSet<_> = sibling_topics().collect();
        assert_eq!(only.len(), 10, "none is listed twice");
        let heard: BTreeSet<_> = SIBLINGS.iter().map(|(topic, _)| *topic).collect();
        assert_eq!(heard.difference(&public).copied().collect::<BTreeSet<_>>(), only);
    }
}
