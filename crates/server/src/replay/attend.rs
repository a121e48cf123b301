//! Work while a server of our own is watched, and perhaps killed again and again.

use std::pin::pin;
use std::time::Duration;

use tokio::time::sleep;

use super::error::ReplayError;
use super::server::Server;

/// Between the moment when a server is ready and the next kill.
const KILL_AFTER_MS: std::ops::RangeInclusive<u64> = 1_500..=4_000;

/// When to kill, decided by a seed.
#[derive(Debug)]
pub(super) struct Killer {
    rng: fastrand::Rng,
    kills: u64,
}

impl Killer {
    pub(super) fn new(seed: u64) -> Self {
        Self { rng: fastrand::Rng::with_seed(seed), kills: 0 }
    }

    /// How often it struck.
    pub(super) fn kills(&self) -> u64 {
        self.kills
    }

    async fn strike(&mut self, server: &mut Server) -> Result<(), ReplayError> {
        server.kill_and_restart().await?;
        self.kills += 1;
        Ok(())
    }
}

/// Does the work; if the server ends unasked, that is the error.
pub(super) async fn watched<T>(
    server: Option<&mut Server>,
    work: impl Future<Output = Result<T, ReplayError>>,
) -> Result<T, ReplayError> {
    let Some(server) = server else { return work.await };
    tokio::select! {
        biased;
        result = work => result,
        error = server.ended() => Err(error),
    }
}

/// Does the work while the server is killed at seeded moments, and a last time when the work is done, so that what
/// was still on its way must survive that, too.
pub(super) async fn killing<T>(
    server: &mut Server,
    killer: &mut Killer,
    work: impl Future<Output = Result<T, ReplayError>>,
) -> Result<T, ReplayError> {
    let mut work = pin!(work);
    loop {
        let moment = Duration::from_millis(killer.rng.u64(KILL_AFTER_MS));
        tokio::select! {
            biased;
            result = &mut work => {
                let result = result?;
                killer.strike(server).await?;
                return Ok(result);
            }
            error = server.ended() => return Err(error),
            () = sleep(moment) => {}
        }
        let strike = killer.strike(server);
        let mut strike = pin!(strike);
        let early = tokio::select! {
            struck = &mut strike => { struck?; None }
            result = &mut work => Some(result?),
        };
        if let Some(result) = early {
            strike.await?;
            return Ok(result);
        }
    }
}
