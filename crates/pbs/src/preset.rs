//! The paper's models of systems in production (its table 3), all times in milliseconds.

use crate::distribution::{Distribution, DistributionError};
use crate::wars::Wars;

/// A system that the paper measured and fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// Voldemort at `LinkedIn`, on solid state.
    LnkdSsd,
    /// The same on spinning disks.
    LnkdDisk,
    /// Riak at Yammer.
    Ymmr,
    /// As [`LnkdDisk`](Self::LnkdDisk), with one replica in each data centre and 75 ms between any two.
    Wan,
}

/// One way between two data centres in [`Preset::Wan`], in milliseconds.
const WAN_MS: f64 = 75.0;

/// A Pareto body with an exponential tail: the share of the body, its xm and α, the tail's λ per millisecond.
fn fit(body: f64, xm: f64, alpha: f64, rate: f64) -> Result<Distribution, DistributionError> {
    let (body_part, tail) = (Distribution::pareto(xm, alpha)?, Distribution::exponential(1.0 / rate)?);
    Distribution::mixture([(body, body_part), (1.0 - body, tail)])
}

impl Preset {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::LnkdSsd, Self::LnkdDisk, Self::Ymmr, Self::Wan];

    /// As on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::LnkdSsd => "lnkd-ssd",
            Self::LnkdDisk => "lnkd-disk",
            Self::Ymmr => "ymmr",
            Self::Wan => "wan",
        }
    }

    /// Its messages. An error would be a mistake in this file, and a test sees that there is none.
    pub fn wars(self) -> Result<Wars, DistributionError> {
        let ssd = || fit(0.9122, 0.235, 10.0, 1.66);
        let disk = || fit(0.38, 1.05, 1.51, 0.183);
        Ok(match self {
            Self::LnkdSsd => Wars::symmetric(ssd()?, ssd()?),
            Self::LnkdDisk => Wars::symmetric(disk()?, ssd()?),
            Self::Ymmr => Wars::symmetric(fit(0.939, 3.0, 3.35, 0.0028)?, fit(0.982, 1.5, 3.8, 0.0217)?),
            Self::Wan => Wars { remote: Some(WAN_MS), ..Wars::symmetric(disk()?, ssd()?) },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_distributions() {
        for preset in Preset::ALL {
            assert!(preset.wars().unwrap().w.mean() > 0.0, "{}", preset.name());
        }
    }
}
