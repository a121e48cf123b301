//! A process: one service of a site, or all of them, on its machine's clock and disks, life after life.

use crate::core::{Core, Phase, lock};
use crate::disk::Disk;
use crate::faults::Fault;
use crate::life::Life;
use crate::machine::Machine;
use crate::queue::{Broker, Endpoint, Wire};
use crate::service::{Service, ServiceName};
use api::problem::problems_only;
use axum::Router;
use choreography::Links;
use lattice::ReplicaId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::Store;
use tokio::sync::watch;

mod start;

pub(crate) use start::{heard, site_name};

/// For how long a process is down, at least and at most, while faults are played.
const DOWN_MS: (f64, f64) = (20.0, 120_000.0);
/// The same while everything heals.
const DOWN_HEALING_MS: (f64, f64) = (20.0, 2_000.0);
/// How often is looked whether a store has stopped: then an operator starts the process again.
const WATCH: Duration = Duration::from_secs(30);
/// How long a process that is stopped in order may take.
const STOP_MAX: Duration = Duration::from_mins(1);

/// A process and everything that outlives it.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) core: Core,
    pub(crate) name: String,
    pub(crate) site: usize,
    pub(crate) machine: Machine,
    pub(crate) disks: BTreeMap<ServiceName, Disk>,
    pub(crate) wire: Arc<Wire>,
    broker: Arc<Broker>,
    now: Mutex<Option<Running>>,
    /// What an operator tells its stores before it starts again.
    told: Mutex<Vec<(ServiceName, Word)>>,
}

/// What an operator tells a store, with the server stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    /// It was restored from a backup: `antiphon recount`.
    Restored,
    /// It is the heir of this one: `antiphon adopt`.
    Adopt(ReplicaId),
}

/// What there is of a process while it lives.
#[derive(Debug)]
struct Running {
    life: Life,
    stop: watch::Sender<bool>,
    services: BTreeMap<ServiceName, (Store, Router)>,
    heard: BTreeMap<ServiceName, Links>,
}

impl Process {
    pub(crate) fn new(core: &Core, broker: &Arc<Broker>, site: usize, services: &[ServiceName]) -> Self {
        let first = services.first().map_or("", |service| service.name());
        let name = if services.len() == 1 { format!("{first}@{site}") } else { format!("all@{site}") };
        let disk = |service: &ServiceName| (*service, Disk::new(core, &format!("disk-{service}@{site}")));
        Self {
            core: core.clone(),
            site,
            machine: Machine::new(core, &name),
            disks: services.iter().map(disk).collect(),
            wire: Arc::default(),
            broker: Arc::clone(broker),
            now: Mutex::new(None),
            told: Mutex::default(),
            name,
        }
    }

    pub(crate) fn runs(&self, service: ServiceName) -> bool {
        self.disks.contains_key(&service)
    }

    /// The life that it leads now.
    pub(crate) fn life(&self) -> Option<Life> {
        lock(&self.now).as_ref().map(|running| running.life.clone())
    }

    /// The store of a service, while the process lives and has opened it.
    pub(crate) fn store(&self, service: ServiceName) -> Option<Store> {
        lock(&self.now).as_ref()?.services.get(&service).map(|(store, _)| store.clone())
    }

    /// What a service has heard of those that announce.
    pub(crate) fn heard(&self, service: ServiceName) -> Option<Links> {
        lock(&self.now).as_ref()?.heard.get(&service).cloned()
    }

    /// The life and the routes of a service, while it answers.
    pub(crate) fn face(&self, service: ServiceName) -> Option<(Life, Router)> {
        let now = lock(&self.now);
        let running = now.as_ref().filter(|running| running.life.is_alive())?;
        let (_, router) = running.services.get(&service)?;
        Some((running.life.clone(), router.clone()))
    }

    /// Before it starts again, an operator tells a store this.
    pub(crate) fn tell(&self, service: ServiceName, word: Word) {
        lock(&self.told).push((service, word));
    }

    /// Who the store of a service is, also while nothing has it open.
    pub(crate) fn replica(&self, service: ServiceName) -> Option<ReplicaId> {
        if let Some(store) = self.store(service) {
            return Some(store.identity().replica);
        }
        let nobody = Life::begin(&self.core, &self.name, 0);
        nobody.kill("only looks");
        let (world, setup) = (Arc::new(self.machine.clone()), self.setup(service));
        let opened = Store::open_stepwise(self.disks.get(&service)?.engine(&nobody), world, &setup);
        opened.ok().map(|(store, _)| store.identity().replica)
    }

    /// It stops in order: what is in hand is finished, stores are closed.
    pub(crate) async fn deploy(&self) {
        let Some(life) = self.life() else { return };
        self.core.trace(&self.name, format_args!("is stopped in order"));
        life.disturb();
        if let Some(running) = &*lock(&self.now) {
            running.stop.send_replace(true);
        }
        tokio::select! {
            biased;
            () = life.ended() => {}
            () = tokio::time::sleep(STOP_MAX) => life.kill("did not stop in time"),
        }
    }

    /// Starts it, and starts it again whenever it has died.
    pub(crate) async fn keep(self: Arc<Self>) {
        let mut rng = self.core.rng(&format!("keep {}", self.name));
        for number in 1_u64.. {
            let life = Life::begin(&self.core, &self.name, number);
            let stop = watch::Sender::new(false);
            let stopped = stop.subscribe();
            *lock(&self.now) =
                Some(Running { life: life.clone(), stop, services: BTreeMap::new(), heard: BTreeMap::new() });
            self.core.trace(&self.name, format_args!("starts"));
            drop(life.spawn(Arc::clone(&self).serve(life.clone(), stopped)));
            life.ended().await;
            lock(&self.now).take();
            let (least, most) = if self.core.phase() == Phase::Faults { DOWN_MS } else { DOWN_HEALING_MS };
            let down = crate::dice::log_ms(&mut rng, least, most);
            self.core.sleep_while_faulty(down).await;
            if self.core.phase() == Phase::Healing {
                tokio::time::sleep(Duration::from_millis(rng.u64(1..1_000))).await;
            }
        }
    }

    /// One life: opens everything, and announces and merges until it is stopped or killed.
    async fn serve(self: Arc<Self>, life: Life, stopped: watch::Receiver<bool>) {
        let endpoint = Endpoint::new(&self.broker, &life, &self.wire);
        let services = match self.open(&life).await {
            Ok(services) => services,
            Err(error) => {
                self.core.trace(&self.name, format_args!("does not start: {error}"));
                return life.kill("it could not start");
            }
        };
        let face = |service: &Service| problems_only(service.router().split_for_parts().0);
        if let Some(running) = &mut *lock(&self.now) {
            running.heard = services.iter().map(|(_, service)| (service.name(), service.heard())).collect();
            running.services = services
                .iter()
                .map(|(store, service)| (service.name(), (store.clone(), face(service))))
                .collect();
        }
        self.core.trace(&self.name, format_args!("answers"));
        let stores: Vec<_> = services.iter().map(|(store, _)| store.clone()).collect();
        drop(life.spawn(watch_stores(life.clone(), stores.clone())));
        if let Err(error) = self.converse(&life, &endpoint, services, &stopped).await {
            self.core.fail("wiring", format!("{} does not hear: {error}", self.name));
        }
        if let Some(running) = &mut *lock(&self.now) {
            running.services.clear();
        }
        for store in stores {
            store.close().await;
        }
        self.core.note(Fault::Deploy);
        life.kill("stopped in order");
    }
}

/// A store that takes no more writes is opened again by an operator.
async fn watch_stores(life: Life, stores: Vec<Store>) {
    loop {
        tokio::time::sleep(WATCH).await;
        if stores.iter().any(|store| store.stopped().is_some()) {
            life.kill("a store had stopped");
        }
    }
}
