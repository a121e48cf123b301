//! What goes wrong, decided by a seed.

use std::time::Duration;

use testbed::Process;
use tokio::time::sleep;

use crate::scene::{Elsewhere, Scene};

/// Between the end of one misfortune and the next.
const PAUSE_MS: std::ops::Range<u64> = 100..1_500;
/// How long something is away, paused, cut or swallowed.
const AWAY_MS: std::ops::Range<u64> = 1..2_500;

/// One misfortune.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// `SIGKILL`, and a new start after a while.
    KillServer(Duration),
    KillBroker(Duration),
    /// `SIGSTOP` and `SIGCONT`.
    PauseServer(Duration),
    PauseBroker(Duration),
    /// The connections are reset, and new ones too.
    Cut(Duration),
    /// Nothing passes, and nobody is told.
    Swallow(Duration),
}

/// How often what was done.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Struck {
    pub(crate) kills: u64,
    pub(crate) pauses: u64,
    pub(crate) cuts: u64,
}

/// A moment, and what happens then: one or two misfortunes at once.
pub(crate) fn draw(rng: &mut fastrand::Rng, with_broker: bool) -> (Duration, Fault, Option<Fault>) {
    let pause = Duration::from_millis(rng.u64(PAUSE_MS));
    let away = |rng: &mut fastrand::Rng| Duration::from_millis(rng.u64(AWAY_MS));
    let of_server = |rng: &mut fastrand::Rng| match rng.u8(0..10) {
        0..7 => Fault::KillServer(if rng.bool() { Duration::ZERO } else { away(rng) }),
        _ => Fault::PauseServer(away(rng)),
    };
    if !with_broker {
        return (pause, of_server(rng), None);
    }
    let elsewhere = |rng: &mut fastrand::Rng| match rng.u8(0..10) {
        0..4 => Fault::KillBroker(if rng.bool() { Duration::ZERO } else { away(rng) }),
        4..6 => Fault::PauseBroker(away(rng)),
        6..8 => Fault::Cut(away(rng)),
        _ => Fault::Swallow(away(rng)),
    };
    match rng.u8(0..3) {
        0 => (pause, of_server(rng), None),
        1 => (pause, elsewhere(rng), None),
        _ => (pause, of_server(rng), Some(elsewhere(rng))),
    }
}

impl Scene {
    /// Strikes, and returns when everything runs again.
    pub(crate) async fn strike(&self, fault: Fault, struck: &mut Struck) {
        match (fault, &self.elsewhere) {
            (Fault::KillServer(away), _) => {
                self.server.kill().unwrap();
                struck.kills += 1;
                sleep(away).await;
                self.server.start().unwrap();
                self.ready().await;
            }
            (Fault::PauseServer(away), _) => pause(&self.server, away, struck).await,
            (Fault::KillBroker(away), Some(Elsewhere { broker, .. })) => {
                broker.process().kill().unwrap();
                struck.kills += 1;
                sleep(away).await;
                broker.restart().await.unwrap();
            }
            (Fault::PauseBroker(away), Some(Elsewhere { broker, .. })) => {
                pause(broker.process(), away, struck).await;
            }
            (Fault::Cut(away) | Fault::Swallow(away), Some(Elsewhere { proxy, .. })) => {
                if matches!(fault, Fault::Cut(_)) {
                    proxy.cut();
                } else {
                    proxy.swallow();
                }
                struck.cuts += 1;
                sleep(away).await;
                proxy.heal();
            }
            (fault, None) => panic!("{fault:?} needs a broker"),
        }
    }
}

async fn pause(process: &Process, away: Duration, struck: &mut Struck) {
    process.pause().unwrap();
    struck.pauses += 1;
    sleep(away).await;
    process.resume().unwrap();
}
