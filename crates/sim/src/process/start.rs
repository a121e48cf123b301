//! What the server's wiring does, in the world: opens stores and services, subscribes, relays and pumps.

use super::{Process, Word};
use crate::core::{BEGINNING_MS, Core, lock};
use crate::life::Life;
use crate::plan::{Plan, SITES_MAX};
use crate::planted::{self, Planted};
use crate::queue::{Broker, Endpoint};
use crate::run::RunError;
use crate::service::{Service, ServiceName};
use api::root::{Certificate, certify};
use api::{KeyRing, SigningKey};
use choreography::anti_entropy::BUSY_MAX;
use choreography::kept::{self, StoreDeadLetters};
use choreography::{Link, NameError, Pace};
use comments::Comments;
use consumer::{Backoff, BoxHandler, Context, DefaultStack, Handler, HandlerError, Layer, Pump};
use queue::{
    Clock, Message, Publisher, Queue, QueueError, Receiver, Subscription, SubscriptionConfig, Topic,
};
use std::sync::Arc;
use std::time::Duration;
use store::{OpenError, Setup, Store, StoreError, World, WriteError};
use stories::Stories;
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use users::Users;

/// What the server's wiring has, so that the world is as the server is.
const NACK_BACKOFF: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(30));
const DRAIN: Duration = Duration::from_secs(10);
/// How long writes gather before their group runs.
const GATHER_MS: (f64, f64) = (0.1, 3.0);
/// How much more often publishers tell what they have while somebody lacks it.
const BUSIER: u32 = 10;
/// The pauses after receives that failed, where pumps are stepped.
const RECEIVE_PAUSE_MS: (f64, f64) = (100.0, 30_000.0);
/// The pauses between tries to subscribe.
const SUBSCRIBE_PAUSE_MS: (f64, f64) = (200.0, 10_000.0);

#[derive(Debug, Error)]
pub(super) enum StartError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Users(#[from] users::OpenError),
    #[error(transparent)]
    Name(#[from] NameError),
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// The name of the deployment, the same for all sites.
pub(crate) fn deployment(seed: u64) -> String {
    format!("{:032x}", u128::from(seed) + 1)
}

/// The name of a site, as subscriptions write it.
pub(crate) fn site_name(site: usize) -> String {
    format!("site-{site}")
}

fn secret(core: &Core, name: &str) -> SigningKey {
    let mut rng = core.rng(name);
    SigningKey::from_seed(std::array::from_fn(|_| rng.u8(..)))
}

/// What only siblings hear.
fn sibling_topics() -> impl Iterator<Item = &'static str> {
    users::siblings::TOPICS.into_iter().chain(stories::siblings::TOPICS).chain(comments::siblings::TOPICS)
}

/// Who hears what, in the words of the services themselves: a process that nobody hears of begins to tell. Subscriptions
/// have to be there before anything is announced.
pub(crate) async fn heard(plan: &Plan) -> Result<Vec<(ServiceName, Topic)>, RunError> {
    let core = Core::new(plan.clone().without_faults(), false);
    let broker = Arc::new(Broker::new(&core));
    let process = Process::new(&core, &broker, SITES_MAX, &ServiceName::ALL);
    let life = Life::begin(&core, "nobody", 0);
    let failed = |error: StartError| RunError::Services(error.to_string());
    let services = process.open(&life).await.map_err(failed)?;
    let publisher: Arc<dyn Publisher> = Arc::new(Endpoint::new(&broker, &life, &Arc::default()));
    let mut heard = Vec::new();
    for (_, service) in services {
        let wants = service.anti_entropy(Arc::clone(&publisher))?.links()?;
        let links = service.links(&publisher)?.into_iter().chain(wants);
        heard.extend(links.map(|link| (service.name(), link.topic)));
    }
    life.kill("told what it hears");
    Ok(heard)
}

impl Process {
    /// The key with which the users of its site sign, and the root key's word for it.
    fn signing_key(&self) -> (SigningKey, Certificate) {
        let key = secret(&self.core, &format!("signing key {}", self.site));
        let certificate = certify(&secret(&self.core, "root key"), &key.public());
        (key, certificate)
    }

    fn ring(&self) -> Arc<KeyRing> {
        let machine = self.machine.clone();
        Arc::new(KeyRing::new(secret(&self.core, "root key").public(), move || machine.now_ms() / 1000))
    }

    /// Opens the stores and the services on them.
    pub(super) async fn open(&self, life: &Life) -> Result<Vec<(Store, Service)>, StartError> {
        let mut services = Vec::new();
        for name in self.disks.keys() {
            let store = self.open_store(life, *name)?;
            self.hear_operator(*name, &store).await?;
            let service = match name {
                ServiceName::Users => {
                    let (key, certificate) = self.signing_key();
                    Service::Users(Users::open(store.clone(), self.ring(), key, certificate).await?)
                }
                ServiceName::Stories => Service::Stories(Stories::open(store.clone(), self.ring()).await?),
                ServiceName::Comments => Service::Comments(Comments::open(store.clone(), self.ring()).await?),
            };
            services.push((store, service));
        }
        Ok(services)
    }

    pub(super) fn setup(&self, name: ServiceName) -> Setup {
        let setup = Setup::of(name.name()).in_deployment(deployment(self.core.plan().seed));
        let setup = if self.core.plan().sites > 1 { setup } else { setup.muting(sibling_topics()) };
        planted::setup(self.core.plan().planted, setup)
    }

    /// What an operator has to say to a store, before anything else uses it.
    async fn hear_operator(&self, name: ServiceName, store: &Store) -> Result<(), StartError> {
        loop {
            let word = lock(&self.told).iter().find(|(service, _)| *service == name).map(|(_, word)| *word);
            let Some(word) = word else { return Ok(()) };
            if self.core.plan().planted == Some(Planted::ReplicaReused) {
                return Ok(());
            }
            let told = match word {
                Word::Restored => store::renew_restored(store).await.map(|adopted| format!("{adopted:?}"))?,
                Word::Adopt(lost) => match store::adopt(store, lost).await {
                    Ok(adopted) => format!("{adopted:?}"),
                    Err(WriteError::Refused(refused)) => refused.to_string(),
                    Err(WriteError::Store(error)) => return Err(error.into()),
                },
            };
            self.core.trace(&self.name, format_args!("is told {word:?}: {told}"));
            let mut words = lock(&self.told);
            if let Some(at) = words.iter().position(|said| *said == (name, word)) {
                words.remove(at);
            }
        }
    }

    fn open_store(&self, life: &Life, name: ServiceName) -> Result<Store, StartError> {
        let Some(disk) = self.disks.get(&name).cloned() else {
            return Err(StoreError::Engine(format!("{name} has no disk").into()).into());
        };
        let setup = self.setup(name);
        let world: Arc<dyn World> = Arc::new(self.machine.clone());
        let engine = planted::engine(self.core.plan().planted, name, disk.engine(life));
        let (store, mut committer) = Store::open_stepwise(engine, world, &setup)?;
        let committing = {
            let life = life.clone();
            async move {
                while committer.ready().await {
                    life.pass(GATHER_MS.0, GATHER_MS.1).await;
                    let (least, most) = disk.latency_ms();
                    committer.step_during(life.pass(least, most)).await;
                }
            }
        };
        drop(life.spawn(committing));
        Ok(store)
    }

    /// Relays and pumps, until it is stopped.
    pub(super) async fn converse(
        &self,
        life: &Life,
        endpoint: &Endpoint,
        services: Vec<(Store, Service)>,
        stopped: &watch::Receiver<bool>,
    ) -> Result<(), StartError> {
        let mut tasks: Vec<JoinHandle<()>> = Vec::new();
        let publisher: Arc<dyn Publisher> = Arc::new(endpoint.clone());
        for (store, service) in services {
            let anti_entropy = service.anti_entropy(Arc::clone(&publisher))?;
            for link in service.links(&publisher)?.into_iter().chain(anti_entropy.links()?) {
                let subscription =
                    Subscription::new(link.topic.clone(), service.name().name(), &site_name(self.site))?;
                tasks.push(self.hear(life, endpoint, store.clone(), link, subscription, stopped));
            }
            let publisher = planted::publisher(self.core.plan().planted, &publisher, &store);
            let relay = service.relay(publisher)?;
            tasks.push(life.spawn(relay.run(called(stopped.clone()))));
            if let Some(digest_ms) = self.core.plan().digest_ms {
                let idle = Duration::from_millis(digest_ms);
                // In a long run a publisher that is asked takes its time too, or nothing else would happen.
                let pace = Pace { idle, busy: (idle / BUSIER).max(BUSY_MAX) };
                tasks.push(life.spawn(anti_entropy.run(pace, called(stopped.clone()))));
            }
            tasks.push(life.spawn(service.healer().run(called(stopped.clone()))));
        }
        for task in tasks {
            // A task that was aborted belongs to a life that has ended.
            task.await.unwrap_or_default();
        }
        Ok(())
    }

    /// A pump, once its subscription can be used, and beside it one more try of what was kept.
    fn hear(
        &self,
        life: &Life,
        endpoint: &Endpoint,
        store: Store,
        link: Link,
        subscription: Subscription,
        stopped: &watch::Receiver<bool>,
    ) -> JoinHandle<()> {
        let (machine, endpoint, alive) = (self.machine.clone(), endpoint.clone(), life.clone());
        let (stopped, seed) = (stopped.clone(), life.draw(|rng| rng.u64(..)));
        let bug = self.core.plan().planted;
        life.spawn(async move {
            let subscribing = subscribe(&alive, &endpoint, &subscription);
            let receiver = tokio::select! {
                biased;
                () = called(stopped.clone()) => return,
                receiver = subscribing => planted::receiver(bug, receiver),
            };
            let inner = planted::handler(bug, &subscription, link.handler.clone(), (&store, &alive));
            let again = alive.spawn(retry_kept(store.clone(), subscription.clone(), link.handler.clone()));
            let handler = DefaultStack::new(seed).layer(Lived { life: alive.clone(), inner });
            let pump = Pump::builder(receiver, handler)
                .dead_letters(StoreDeadLetters::new(store, subscription.clone()))
                .nack_backoff(NACK_BACKOFF)
                .drain(DRAIN)
                .seed(seed)
                .clock(Clock::new(move || machine.now_ms().max(BEGINNING_MS)))
                .build();
            if alive.core().plan().stepped {
                step(&alive, &endpoint, pump, &subscription, &stopped).await;
            } else {
                pump.run(called(stopped)).await;
            }
            again.abort();
        })
    }
}

/// Steps a pump whenever something waits for it, until it is stopped.
async fn step(
    life: &Life,
    endpoint: &Endpoint,
    mut pump: Pump,
    subscription: &Subscription,
    stopped: &watch::Receiver<bool>,
) {
    while !*stopped.borrow() {
        tokio::select! {
            biased;
            () = called(stopped.clone()) => return,
            () = endpoint.something_waits(subscription) => {}
        }
        if let Err(error) = pump.step().await {
            life.core().trace(life.name(), format_args!("receives nothing of {subscription}: {error}"));
            life.pass(RECEIVE_PAUSE_MS.0, RECEIVE_PAUSE_MS.1).await;
        }
    }
}

async fn subscribe(life: &Life, endpoint: &Endpoint, subscription: &Subscription) -> Arc<dyn Receiver> {
    loop {
        match endpoint.subscribe(subscription, SubscriptionConfig::default()).await {
            Ok(receiver) => return receiver,
            Err(error) => {
                life.core().trace(life.name(), format_args!("cannot subscribe to {subscription}: {error}"));
                life.pass(SUBSCRIBE_PAUSE_MS.0, SUBSCRIBE_PAUSE_MS.1).await;
            }
        }
    }
}

/// Completes when a stop was called, or its caller is gone.
async fn called(mut stop: watch::Receiver<bool>) {
    stop.wait_for(|stop| *stop).await.map(drop).unwrap_or_default();
}

async fn retry_kept(store: Store, subscription: Subscription, handler: BoxHandler) {
    if let Err(error) = kept::retry(&store, &subscription, &handler).await {
        tracing::debug!(%subscription, %error, "kept messages could not be tried again");
    }
}

/// A handler whose polls are those of its process: it stands still with it, and may be what it dies in.
struct Lived {
    life: Life,
    inner: BoxHandler,
}

impl Handler for Lived {
    async fn handle(&self, message: &Message, context: &Context) -> Result<(), HandlerError> {
        self.life.live(self.inner.handle(message, context)).await
    }
}
