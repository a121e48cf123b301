//! What a seed decides before a run begins: the sites, for how long, and which faults.

use crate::dice;
use crate::faults::{Fault, Often};
use crate::planted::Planted;
use std::collections::BTreeMap;

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// How often publishers tell what they have in a run, and the least and the most between two times.
const DIGESTS: u64 = 100;
const DIGEST_MS: (u64, u64) = (10_000, 2 * HOUR_MS);

/// Runs that are longer are stepped.
const STEPPED_FROM_MS: u64 = HOUR_MS;

/// The most sites of a run.
pub const SITES_MAX: usize = 3;

/// What only anti-entropy heals: not played without it.
const LOSSES: [Fault; 4] = [Fault::LoseAccepted, Fault::Restore, Fault::RestoreUntold, Fault::Lose];

/// A run, as its seed decides it.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Decides everything.
    pub seed: u64,
    /// How many sites there are, each with a replica of every service.
    pub sites: usize,
    /// Whether the services of a site are one process each, or one together.
    pub apart: bool,
    /// For how long faults are played, in virtual milliseconds; then everything heals.
    pub duration_ms: u64,
    /// Whether pumps are stepped whenever a message waits for them, instead of asking every few seconds: an empty week costs
    /// nothing then.
    pub stepped: bool,
    /// How often publishers tell what they have, in milliseconds, if they do: without it nothing may be lost, and nothing
    /// hides what the relays and merges do.
    pub digest_ms: Option<u64>,
    /// The faults that are switched on, and how often each happens: its probability at each occasion, or how often in the
    /// whole run on the average.
    pub faults: BTreeMap<Fault, f64>,
    /// A bug that is planted, for whoever tests the checks.
    pub planted: Option<Planted>,
}

impl Plan {
    /// The run of a seed. Each fault is switched on in half of the runs, more or less: a fault that is always there hides
    /// what happens without it.
    pub fn of(seed: u64) -> Self {
        let mut rng = dice::stream(seed, "plan");
        let sites = 1 + rng.usize(..SITES_MAX);
        let apart = rng.u8(..4) != 0;
        let duration_ms = match rng.u8(..10) {
            0..=3 => rng.u64(2 * MINUTE_MS..30 * MINUTE_MS),
            4..=6 => rng.u64(HOUR_MS..12 * HOUR_MS),
            7 | 8 => rng.u64(DAY_MS..7 * DAY_MS),
            _ => rng.u64(7 * DAY_MS..22 * DAY_MS),
        };
        let stepped = duration_ms > STEPPED_FROM_MS;
        let heals = rng.bool();
        let digest_ms = heals.then(|| (duration_ms / DIGESTS).clamp(DIGEST_MS.0, DIGEST_MS.1));
        let mut faults = BTreeMap::new();
        for fault in Fault::ALL {
            // Drawn always, so that a new kind of fault moves as little as it can.
            let (on, share) = (rng.bool(), rng.f64());
            let much = match fault.often() {
                Often::Each { most } | Often::Run { most } => most * share,
                Often::Start => 1.0,
            };
            if on && (heals || !LOSSES.contains(&fault)) {
                faults.insert(fault, much);
            }
        }
        Self { seed, sites, apart, duration_ms, stepped, digest_ms, faults, planted: None }
    }

    /// The same without any fault.
    #[must_use]
    pub fn without_faults(mut self) -> Self {
        self.faults.clear();
        self
    }

    /// The same with this bug.
    #[must_use]
    pub fn planting(mut self, bug: Planted) -> Self {
        self.planted = Some(bug);
        self
    }

    /// How often a fault is to happen; 0 where it is off.
    pub fn rate(&self, fault: Fault) -> f64 {
        self.faults.get(&fault).copied().unwrap_or(0.0)
    }

    /// The command that plays it again.
    pub fn command(&self) -> String {
        let planted = self.planted.as_ref().map_or_else(String::new, |bug| format!(" --plant {bug}"));
        format!("cargo run --profile sim -p antiphon-sim -- --seed {}{planted} --trace trace.txt", self.seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_and_seeds_differ() {
        assert_eq!(Plan::of(7), Plan::of(7));
        let on = |fault| (0..200).filter(|seed| Plan::of(*seed).faults.contains_key(&fault)).count();
        assert!((60..140).contains(&on(Fault::Kill)), "{}", on(Fault::Kill));
        assert!((0..200).any(|seed| Plan::of(seed).duration_ms > 7 * DAY_MS));
    }
}
