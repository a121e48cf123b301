//! A machine's clock and entropy: what its processes are told, which need not be true.

use crate::core::{BEGINNING_MS, Core, Phase, lock};
use std::sync::{Arc, Mutex};
use store::World;

/// The clock of one machine. It outlives its processes.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    core: Core,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    offset_ms: i64,
    /// How much faster than time it runs, in parts of a million.
    drift_ppm: i64,
    rng: fastrand::Rng,
}

impl Machine {
    pub(crate) fn new(core: &Core, name: &str) -> Self {
        let state = State { offset_ms: 0, drift_ppm: 0, rng: core.rng(&format!("machine {name}")) };
        Self { core: core.clone(), state: Arc::new(Mutex::new(state)) }
    }

    /// Moves the clock by so much.
    pub(crate) fn jump(&self, by_ms: i64) {
        lock(&self.state).offset_ms += by_ms;
    }

    /// Lets it run fast or slow from now on.
    pub(crate) fn drift(&self, ppm: i64) {
        lock(&self.state).drift_ppm = ppm;
    }
}

impl World for Machine {
    fn now_ms(&self) -> u64 {
        let state = lock(&self.state);
        let elapsed = i64::try_from(self.core.elapsed_ms()).unwrap_or(i64::MAX);
        if self.core.phase() == Phase::Healing {
            // Somebody has set the clocks right.
            return BEGINNING_MS.saturating_add_signed(elapsed);
        }
        let drifted = elapsed.saturating_mul(state.drift_ppm) / 1_000_000;
        BEGINNING_MS
            .saturating_add_signed(elapsed)
            .saturating_add_signed(drifted)
            .saturating_add_signed(state.offset_ms)
    }

    fn random(&self) -> u128 {
        lock(&self.state).rng.u128(..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn a_clock_jumps_and_drifts() {
        let core = Core::new(Plan::of(1), false);
        let machine = Machine::new(&core, "a");
        tokio::time::sleep(Duration::from_secs(1000)).await;
        assert_eq!(machine.now_ms(), BEGINNING_MS + 1_000_000);
        machine.drift(-100);
        machine.jump(-5_000);
        assert_eq!(machine.now_ms(), BEGINNING_MS + 1_000_000 - 100 - 5_000);
        let again = Machine::new(&core, "a");
        assert_eq!(machine.random(), again.random(), "the seed decides");
    }
}
