//! One run: a seed's world from its beginning to the verdict.

use crate::core::{BEGINNING_MS, Core, Failure, Phase};
use crate::faults::Counts;
use crate::nemesis;
use crate::operator;
use crate::plan::Plan;
use crate::process::{Process, heard, site_name};
use crate::queue::Broker;
use crate::service::ServiceName;
use crate::world::World;
use queue::{NameError, Subscription};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// How long actors may take to finish after the faults have ended.
const ACTORS_MAX: Duration = Duration::from_hours(6);
/// How long everything may take to come to rest after that.
const REST_MAX: Duration = Duration::from_hours(6);
/// And so many times more than publishers wait before they tell what they have.
const REST_DIGESTS_MAX: u32 = 100;
/// How often is looked whether it has.
const REST_LOOK: Duration = Duration::from_secs(30);
/// How often an operator looks for replicas that are gone and have no heir.
const HEIRS_MAX: usize = 8;
/// Within so much, and some digests, a publisher that lives has told what it has.
const TOLD_MS: u64 = 60_000;
/// So often in a row nothing may have moved.
const REST_LOOKS: u32 = 3;

/// Why a run could not begin.
#[derive(Debug, Error)]
pub enum RunError {
    /// The runtime could not be made. *The source says why.*
    #[error("a runtime could not be made")]
    Runtime(#[from] std::io::Error),
    /// A topic has a name that no queue allows. *This is a bug.*
    #[error("a name is not allowed in a queue")]
    Name(#[from] NameError),
    /// The services could not be asked what they hear. *This is a bug.*
    #[error("the services do not say what they hear: {0}")]
    Services(String),
}

/// What became of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// The check that failed, if one did.
    pub failure: Option<Failure>,
    /// How much virtual time passed, in milliseconds.
    pub elapsed_ms: u64,
    /// The faults that were played.
    pub counts: Counts,
    /// Lines of the trace, and the hash over them.
    pub lines: u64,
    /// Two runs of a plan have the same one.
    pub hash: u64,
    /// The trace, where it was asked for.
    pub trace: Option<String>,
}

/// Who plays in a world, and judges it in the end.
pub trait Play {
    /// Spawns the actors.
    fn enter(&self, world: &World);
    /// Checks a world that has come to rest: [`World::fail`] says what is wrong.
    fn verdict<'a>(&'a self, world: &'a World) -> impl Future<Output = ()> + Send + 'a;
}

/// Runs a plan to its end. The same plan gives the same report, to the last byte.
pub fn run(plan: &Plan, actors: &impl Play, keep_trace: bool) -> Result<Report, RunError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    runtime.block_on(async {
        let core = Core::new(plan.clone(), keep_trace);
        let world = build(&core).await?;
        tokio::select! {
            biased;
            () = core.failing() => {}
            () = live(&world, actors) => {}
        }
        let (lines, hash, trace) = core.with_trace(|trace| (trace.lines(), trace.hash(), trace.take_text()));
        Ok(Report {
            seed: plan.seed,
            failure: core.failure(),
            elapsed_ms: core.elapsed_ms(),
            counts: core.counts(),
            lines,
            hash,
            trace,
        })
    })
}

async fn build(core: &Core) -> Result<World, RunError> {
    let plan = core.plan();
    core.trace("plan", format_args!("{plan:?}"));
    let broker = Arc::new(Broker::new(core));
    let mut processes = Vec::new();
    let heard = heard(plan).await?;
    for site in 0..plan.sites {
        for (service, topic) in &heard {
            broker.subscribe(&Subscription::new(topic.clone(), service.name(), &site_name(site))?);
        }
        let groups: Vec<&[ServiceName]> =
            if plan.apart { ServiceName::ALL.chunks(1).collect() } else { vec![&ServiceName::ALL] };
        let process = |services| Arc::new(Process::new(core, &broker, site, services));
        processes.extend(groups.into_iter().map(process));
    }
    Ok(World::new(core.clone(), broker, processes))
}

async fn live(world: &World, actors: &impl Play) {
    let core = world.core();
    for process in world.processes() {
        drop(tokio::spawn(Arc::clone(process).keep()));
    }
    actors.enter(world);
    nemesis::unleash(world);
    tokio::time::sleep(Duration::from_millis(world.plan().duration_ms)).await;
    core.trace("world", format_args!("heals"));
    core.heal();
    world.broker().hurry();
    // Whatever lasts hears of the healing, and ends itself.
    tokio::task::yield_now().await;
    debug_assert_eq!(core.phase(), Phase::Healing);
    if tokio::time::timeout(ACTORS_MAX, world.actors_are_done()).await.is_err() {
        return core.fail("actors", format!("an actor had not finished {ACTORS_MAX:?} after the healing"));
    }
    core.trace("world", format_args!("the actors are done"));
    for _ in 0..HEIRS_MAX {
        if !rests(world).await {
            return;
        }
        if !operator::find_heirs(world).await {
            break;
        }
    }
    core.trace("world", format_args!("is at rest"));
    actors.verdict(world).await;
}

/// Waits until nothing moves any more; false where that never came.
async fn rests(world: &World) -> bool {
    let digest = Duration::from_millis(world.plan().digest_ms.unwrap_or(0));
    let rest_max = REST_MAX + digest * REST_DIGESTS_MAX;
    let rested = tokio::time::timeout(rest_max, rest(world, digest)).await.is_ok();
    if !rested {
        let detail = format!("no rest {rest_max:?} after the healing: {}", unrest(world));
        world.core().fail("rest", detail);
    }
    rested
}

/// Completes when nothing moves any more.
async fn rest(world: &World, digest: Duration) {
    let (mut before, mut still) = (None, 0);
    while still < REST_LOOKS {
        tokio::time::sleep(REST_LOOK + digest).await;
        let commits: u64 = world
            .processes()
            .iter()
            .flat_map(|process| process.disks.values().map(crate::disk::Disk::commits))
            .sum();
        let quiet = unrest(world).is_empty() && before == Some(commits);
        before = Some(commits);
        still = if quiet { still + 1 } else { 0 };
    }
}

/// What has not come to rest, in words.
fn unrest(world: &World) -> String {
    let mut found = Vec::new();
    for process in world.processes() {
        for service in process.disks.keys() {
            match process.store(*service) {
                None => found.push(format!("{} is down", process.name)),
                Some(store) if store.outbox_depth().0 > 0 => {
                    found.push(format!("{service}@{} has {} marks", process.site, store.outbox_depth().0));
                }
                Some(_) => {}
            }
        }
    }
    for (subscription, contents) in world.broker().contents() {
        if contents.news > 0 {
            found.push(format!("{subscription} holds {contents:?}"));
        }
    }
    found.extend(differences(world));
    found.join(", ")
}

/// Whom of those that announce a service does not equal, as far as it knows.
fn differences(world: &World) -> Vec<String> {
    let Some(digest_ms) = world.plan().digest_ms else { return Vec::new() };
    let replicas: BTreeMap<_, _> = world
        .processes()
        .iter()
        .flat_map(|process| process.disks.keys().map(move |service| (process, *service)))
        .filter_map(|(process, service)| Some((process.replica(service)?, (process.site, service))))
        .collect();
    let now_ms = BEGINNING_MS + world.elapsed_ms();
    let mut found = Vec::new();
    for process in world.processes() {
        for service in process.disks.keys() {
            for (topic, publishers) in process.heard(*service).map(|links| links.all()).unwrap_or_default() {
                // Those that are gone tell nothing more.
                let lives = publishers.iter().filter_map(|(id, status)| Some((replicas.get(id)?, status)));
                // Itself it hears too, and knows that it equals itself.
                let lives = lives.filter(|(replica, _)| **replica != (process.site, *service));
                for ((site, publisher), status) in lives {
                    // What was told by a clock that ran ahead is from before the clocks were set right.
                    let is_new = status.told_ms + 3 * digest_ms + TOLD_MS >= now_ms
                        && status.told_ms <= now_ms + TOLD_MS;
                    if !status.equal || !is_new {
                        found.push(format!(
                            "{service}@{} has {} rows of {topic} of {publisher}@{site}, which has {}, equal: {}",
                            process.site, status.rows_here, status.rows_there, status.equal
                        ));
                    }
                }
            }
        }
    }
    found
}
