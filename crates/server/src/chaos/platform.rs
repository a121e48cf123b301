//! The platform as it is broken: its services, each of which can be stopped, killed and started, on one faulty queue.

use super::dials::FaultDials;
use super::error::ChaosError;
use super::slot::{Slot, names};
use crate::cli::{ServeArgs, ServiceName};
use crate::data::Data;
use crate::node;
use crate::plain_counter::{self, PlainCounter};
use crate::wiring::{Connection, Wiring};
use queue::{Depth, Dials, EmbeddedQueue, Faults, Faulty, Queue, Subscription};
use std::sync::Arc;
use store::World;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Messages that the queue holds for one subscription at most. Where a service is away for longer than these last, its
/// news waits in the outboxes of the others.
const MESSAGES_MAX: u64 = 100_000;
/// The folder of the queue in the data folder.
const QUEUE: &str = "queue";

/// What all services stand on.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) args: ServeArgs,
    pub(super) data: Data,
    pub(super) world: Arc<dyn World>,
    pub(super) queue: Arc<dyn Queue>,
    pub(super) plain_counter: PlainCounter,
}

/// All of it.
#[derive(Debug)]
pub(super) struct Platform {
    pub(super) slots: Vec<Slot>,
    pub(super) dials: Dials,
    pub(super) plain_counter: PlainCounter,
    faulty: Faulty<EmbeddedQueue>,
    beside: (watch::Sender<bool>, JoinHandle<()>),
}

impl Platform {
    /// Opens everything in the folder that the arguments name, and starts every service.
    pub(super) async fn open(args: ServeArgs, world: Arc<dyn World>, seed: u64) -> Result<Self, ChaosError> {
        let data = Data::open(&args, &*world)?;
        let store = node::open_store(&args, &data, &world, QUEUE)?;
        let inner = EmbeddedQueue::on(store, MESSAGES_MAX).await?;
        let faulty = Faulty::new(inner, Faults { seed, ..FaultDials::calm().faults() });
        let queue: Arc<dyn Queue> = Arc::new(faulty.clone());
        let counts = node::open_store(&args, &data, &world, plain_counter::NAME)?;
        let plain_counter = PlainCounter::new(counts)?;
        let beside = beside(&args, &data, &world, &queue, &plain_counter);
        let dials = faulty.dials();
        let ground = Arc::new(Ground { args, data, world, queue, plain_counter: plain_counter.clone() });
        let mut slots = Vec::new();
        for name in names() {
            let slot = Slot::new(name, Arc::clone(&ground));
            slot.start().await?;
            slots.push(slot);
        }
        Ok(Self { slots, dials, plain_counter, faulty, beside })
    }

    /// The place of a service.
    pub(super) fn slot(&self, name: &str) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.name().name() == name)
    }

    /// What the queue holds, by subscription; none where it does not tell.
    pub(super) async fn depths(&self) -> Option<Vec<(Subscription, Depth)>> {
        self.faulty.subscriptions().await.ok()
    }

    /// Runs exactly those services that are not among `away`. The first failure is returned, after every service had its
    /// turn.
    pub(super) async fn run_all_but(&self, away: &[ServiceName]) -> Result<(), ChaosError> {
        let mut failure = None;
        for slot in &self.slots {
            if away.contains(&slot.name()) {
                slot.stop().await;
            } else if let Err(error) = slot.start().await {
                failure.get_or_insert(error);
            }
        }
        failure.map_or(Ok(()), Err)
    }

    /// Stops everything, in an order in which nothing waits in vain.
    pub(super) async fn close(self) {
        for slot in &self.slots {
            slot.stop().await;
        }
        let (stop, task) = self.beside;
        stop.send_replace(true);
        if let Err(error) = task.await {
            tracing::error!(%error, "the wiring of the plain counter failed");
        }
        self.plain_counter.store().clone().close().await;
        drop(self.slots);
        self.faulty.into_inner().close().await;
    }
}

/// The plain counter hears its own messages, whichever service is away.
fn beside(
    args: &ServeArgs,
    data: &Data,
    world: &Arc<dyn World>,
    queue: &Arc<dyn Queue>,
    counter: &PlainCounter,
) -> (watch::Sender<bool>, JoinHandle<()>) {
    let wiring = Wiring {
        args: args.clone(),
        data: data.clone(),
        world: Arc::clone(world),
        services: Vec::new(),
        plain_counter: Some(counter.clone()),
        connection: Connection::default(),
        opened: Some(Arc::clone(queue)),
    };
    let stop = watch::Sender::new(false);
    let task = tokio::spawn(wiring.run(stop.subscribe()));
    (stop, task)
}
