//! What breaks things: a task for each kind of fault that is not an occasion's but a moment's.

use crate::core::Phase;
use crate::dice;
use crate::faults::{Fault, Often};
use crate::operator;
use crate::process::{Process, Word};
use crate::world::{Loss, World};
use queue::{Message, Topic};
use std::sync::Arc;
use std::time::Duration;

/// How long a fault that ends by itself lasts.
const LASTS_MS: (f64, f64) = (1_000.0, 1_800_000.0);
/// How far clocks are off from the beginning on: no token is refused for that alone.
const SKEW_MS: (f64, f64) = (10.0, 20_000.0);
/// How far a clock jumps, either way.
const JUMP_MS: (f64, f64) = (10.0, 7_200_000.0);
/// How wrong a clock runs at most, in parts of a million; a quartz that is bad is off by a hundred.
const DRIFT_PPM_MAX: i64 = 500;
/// A deploy that takes longer is one that is killed.
const DEPLOY_MAX: Duration = Duration::from_mins(2);
/// How often a disk is copied in a run, more or less.
const BACKUPS: u64 = 8;
/// Within how many polls a process dies.
const POLLS: u64 = 400;

/// Begins to break things, as the plan says; stops when everything heals.
pub(crate) fn unleash(world: &World) {
    if [Fault::Restore, Fault::RestoreUntold].iter().any(|fault| world.plan().rate(*fault) > 0.0) {
        drop(tokio::spawn(back_up(world.clone())));
    }
    for fault in Fault::ALL {
        let rate = world.plan().rate(fault);
        match fault.often() {
            Often::Run { .. } if rate > 0.0 => drop(tokio::spawn(strike(world.clone(), fault, rate))),
            Often::Start if rate > 0.0 => skew(world),
            Often::Run { .. } | Often::Start | Often::Each { .. } => {}
        }
    }
}

/// Clocks that are wrong from the beginning.
fn skew(world: &World) {
    for process in world.processes() {
        let mut rng = world.core().rng(&format!("skew {}", process.name));
        let (ahead, by) = (rng.bool(), dice::log_ms(&mut rng, SKEW_MS.0, SKEW_MS.1));
        process.machine.jump(signed(ahead, by));
        process.machine.drift(rng.i64(-DRIFT_PPM_MAX..=DRIFT_PPM_MAX));
        world.core().note(Fault::ClockSkew);
    }
}

fn signed(ahead: bool, by_ms: u64) -> i64 {
    let by = i64::try_from(by_ms).unwrap_or(i64::MAX);
    if ahead { by } else { -by }
}

async fn strike(world: World, fault: Fault, rate: f64) {
    let mut rng = world.core().rng(&format!("nemesis {fault}"));
    #[expect(clippy::cast_precision_loss, reason = "a duration in milliseconds is far below 2^52")]
    let mean_ms = world.plan().duration_ms as f64 / rate;
    loop {
        world.sleep(dice::until_next_ms(&mut rng, mean_ms)).await;
        let processes = world.processes();
        let Some(process) = processes.get(rng.usize(..processes.len().max(1))) else { return };
        if world.core().phase() == Phase::Healing {
            return;
        }
        world.trace("nemesis", format_args!("{fault} of {}", process.name));
        let lasts_ms = dice::log_ms(&mut rng, LASTS_MS.0, LASTS_MS.1);
        play(&world, process, fault, lasts_ms, &mut rng).await;
    }
}

async fn play(world: &World, process: &Arc<Process>, fault: Fault, lasts_ms: u64, rng: &mut fastrand::Rng) {
    let core = world.core();
    match fault {
        Fault::Kill | Fault::PowerCut | Fault::KillAtPoll | Fault::Deploy | Fault::Pause => {
            strike_process(process, fault, lasts_ms, rng).await;
        }
        Fault::BrokerPause => {
            core.note(fault);
            world.broker().set_paused(true);
            core.sleep_while_faulty(lasts_ms).await;
            world.broker().set_paused(false);
        }
        Fault::Partition | Fault::PartitionOneWay => {
            core.note(fault);
            let both = fault == Fault::Partition;
            let there = both || rng.bool();
            process.wire.set_cut(there, both || !there, core.elapsed_ms());
            core.sleep_while_faulty(lasts_ms).await;
            process.wire.set_cut(false, false, core.elapsed_ms());
        }
        Fault::ClockJump => {
            core.note(fault);
            let by_ms = signed(rng.bool(), dice::log_ms(rng, JUMP_MS.0, JUMP_MS.1));
            process.machine.jump(by_ms);
            core.sleep_while_faulty(lasts_ms).await;
            // Somebody sets it right again: a second jump.
            process.machine.jump(-by_ms);
        }
        Fault::DiskFull | Fault::DiskSlow => {
            core.note(fault);
            let set = |on| {
                for disk in process.disks.values() {
                    if fault == Fault::DiskFull { disk.set_full(on) } else { disk.set_slow(on) }
                }
            };
            set(true);
            core.sleep_while_faulty(lasts_ms).await;
            set(false);
        }
        Fault::Poison => poison(world, rng),
        Fault::Restore | Fault::RestoreUntold | Fault::Lose => lose(world, process, fault, rng).await,
        // The others are not of a moment: they are drawn where they happen.
        _ => core.fail("nemesis", format!("{fault} cannot be played at a moment")),
    }
}

/// Rubbish in a topic that somebody hears.
fn poison(world: &World, rng: &mut fastrand::Rng) {
    let topics: Vec<Topic> = world.broker().contents().into_keys().map(|name| name.topic().clone()).collect();
    let Some(topic) = topics.get(rng.usize(..topics.len().max(1))) else { return };
    let body = match rng.u8(..3) {
        0 => format!("rubbish {}", rng.u32(..)),
        1 => format!(r#"{{"specversion":"1.0","id":"{}","source":"/x","type":"no.such.type"}}"#, rng.u32(..)),
        _ => format!("{{\"{}\":", rng.u32(..)),
    };
    world.poison(topic, Message::new(body));
}

/// A disk is set back, or gone.
async fn lose(world: &World, process: &Arc<Process>, fault: Fault, rng: &mut fastrand::Rng) {
    let services: Vec<_> = process.disks.keys().copied().collect();
    let Some(service) = services.get(rng.usize(..services.len().max(1))).copied() else { return };
    let Some(disk) = process.disks.get(&service) else { return };
    let (at_ms, site) = (world.elapsed_ms(), process.site);
    let kill = |why| process.life().iter().for_each(|life| life.kill(why));
    let was = process.replica(service);
    if fault != Fault::Lose {
        kill("its disk is set back");
        let Some(kept_until_ms) = disk.restore() else { return };
        world.core().note(fault);
        let told = fault == Fault::Restore;
        world.declare(Loss { site, service, at_ms, kept_until_ms, told });
        if told {
            process.tell(service, Word::Restored);
        }
        if was == process.replica(service) {
            return;
        }
        // The backup is from before it became who it was: that one is gone.
    } else if was.is_some() {
        kill("its disk is lost");
        disk.lose();
        world.core().note(fault);
        world.declare(Loss { site, service, at_ms, kept_until_ms: 0, told: true });
    }
    // The heir is the one that takes its place, or a sibling. Nobody has to know who was lost: the status pages tell.
    let heirs: Vec<_> = world.processes().iter().filter(|heir| heir.runs(service)).cloned().collect();
    let Some(heir) = heirs.get(rng.usize(..heirs.len().max(1))) else { return };
    world.core().sleep_while_faulty(dice::log_ms(rng, LASTS_MS.0, LASTS_MS.1)).await;
    operator::find_heir(world, service, heir).await;
}

/// Every disk is copied now and then, for whoever restores it.
async fn back_up(world: World) {
    let mut rng = world.core().rng("backups");
    while !world.is_over() {
        let next_ms = rng.u64(..=world.plan().duration_ms / BACKUPS * 2);
        world.core().sleep_while_faulty(next_ms.max(1)).await;
        for process in world.processes() {
            process.disks.values().for_each(crate::disk::Disk::back_up);
        }
    }
}

async fn strike_process(process: &Arc<Process>, fault: Fault, lasts_ms: u64, rng: &mut fastrand::Rng) {
    let (core, Some(life)) = (&process.core, process.life()) else { return };
    match fault {
        Fault::Kill => {
            core.note(fault);
            life.kill("killed");
        }
        Fault::PowerCut => {
            core.note(fault);
            life.kill("power cut");
            process.disks.values().for_each(crate::disk::Disk::cut);
        }
        Fault::KillAtPoll => life.kill_after_polls(rng.u64(..POLLS)),
        Fault::Pause => {
            core.note(fault);
            life.pause();
            core.sleep_while_faulty(lasts_ms).await;
            life.resume();
        }
        _ => {
            if tokio::time::timeout(DEPLOY_MAX, process.deploy()).await.is_err() {
                life.kill("a deploy took too long");
            }
        }
    }
}
