//! What can be turned: the faults of the queue and what people do, with their bounds, and the presets.

use super::args::RATE_MAX;
use crate::cli::ServiceName;
use api::Problem;
use queue::Faults;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The longest that a delivery is put off. Whoever heals waits for the last one.
const DELAY_MAX: Duration = Duration::from_secs(20);

/// The faults, as the page turns them: shares from 0 to 1, all of them given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FaultDials {
    /// A message is accepted twice.
    pub(super) duplicate: f64,
    /// A message is lost, and its sender is told that all went well.
    pub(super) drop: f64,
    /// Deliveries change places.
    pub(super) reorder: f64,
    /// A delivery is put off …
    pub(super) delay: f64,
    /// … for so long at most, in milliseconds: 0 to 20,000.
    pub(super) delay_max_ms: u64,
    /// An ack is answered with an error, in half of the cases after it took effect.
    pub(super) ack_lost: f64,
    /// A publish is refused.
    pub(super) publish_fails_before: f64,
    /// A publish is answered with an error after the message was accepted.
    pub(super) publish_fails_after_accept: f64,
}

impl FaultDials {
    /// Refuses what is out of bounds, by its name.
    pub(super) fn check(&self) -> Result<(), Problem> {
        for (field, share) in [
            ("duplicate", self.duplicate),
            ("drop", self.drop),
            ("reorder", self.reorder),
            ("delay", self.delay),
            ("ack_lost", self.ack_lost),
            ("publish_fails_before", self.publish_fails_before),
            ("publish_fails_after_accept", self.publish_fails_after_accept),
        ] {
            check_share(field, share)?;
        }
        let delay_max_ms = millis(DELAY_MAX);
        if self.delay_max_ms > delay_max_ms {
            let detail = format!("put off by at most {delay_max_ms} milliseconds");
            return Err(Problem::bad_request("delay_max_ms", detail).with_limit(delay_max_ms));
        }
        Ok(())
    }

    /// Whether none of them happens.
    pub(super) fn is_calm(&self) -> bool {
        let quiet = Self { delay_max_ms: self.delay_max_ms, ..Self::default() };
        *self == quiet
    }

    pub(super) fn faults(&self) -> Faults {
        Faults {
            duplicate: self.duplicate,
            drop: self.drop,
            reorder: self.reorder,
            delay: self.delay,
            delay_max: Duration::from_millis(self.delay_max_ms),
            ack_lost: self.ack_lost,
            publish_fails_before: self.publish_fails_before,
            publish_fails_after_accept: self.publish_fails_after_accept,
            ..Faults::none()
        }
    }

    pub(super) fn of(faults: &Faults) -> Self {
        Self {
            duplicate: faults.duplicate,
            drop: faults.drop,
            reorder: faults.reorder,
            delay: faults.delay,
            delay_max_ms: millis(faults.delay_max),
            ack_lost: faults.ack_lost,
            publish_fails_before: faults.publish_fails_before,
            publish_fails_after_accept: faults.publish_fails_after_accept,
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn check_share(field: &'static str, share: f64) -> Result<(), Problem> {
    if (0.0..=1.0).contains(&share) {
        return Ok(());
    }
    Err(Problem::bad_request(field, "a share is a number from 0 (never) to 1 (always)").with_limit(1))
}

/// What people do.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Habits {
    /// Deeds a second, all people together: 0 to 100; at 0 they rest.
    pub(super) rate: f64,
    /// How often one presses the button a second time.
    pub(super) impatience: f64,
}

impl Habits {
    /// Refuses what is out of bounds, by its name.
    pub(super) fn check(&self) -> Result<(), Problem> {
        if !(0.0..=RATE_MAX).contains(&self.rate) {
            let detail = format!("a rate is a number from 0 to {RATE_MAX} a second");
            return Err(Problem::bad_request("rate", detail).with_limit(100));
        }
        check_share("impatience", self.impatience)
    }
}

/// A day to live through.
#[derive(Debug, Clone, Copy)]
pub(super) struct Preset {
    /// As in its address.
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    /// What happens, in a sentence.
    pub(super) says: &'static str,
    pub(super) faults: FaultDials,
    pub(super) impatience: f64,
    /// These are away; all others run.
    pub(super) away: &'static [ServiceName],
}

const CALM: FaultDials = FaultDials {
    duplicate: 0.0,
    drop: 0.0,
    reorder: 0.0,
    delay: 0.0,
    delay_max_ms: 5_000,
    ack_lost: 0.0,
    publish_fails_before: 0.0,
    publish_fails_after_accept: 0.0,
};

impl FaultDials {
    /// No faults, and the delay that they begin with.
    pub(super) fn calm() -> Self {
        CALM
    }
}

/// The days that the page offers.
pub(super) const PRESETS: [Preset; 4] = [
    Preset {
        id: "tuesday",
        title: "Wattpad’s Tuesday",
        says: "Messages come twice and out of order, and people press Post again.",
        faults: FaultDials { duplicate: 0.2, reorder: 0.5, ..CALM },
        impatience: 0.1,
        away: &[],
    },
    Preset {
        id: "half-is-lost",
        title: "Half is lost",
        says: "Every second message vanishes, and nobody is told.",
        faults: FaultDials { drop: 0.5, ..CALM },
        impatience: 0.0,
        away: &[],
    },
    Preset {
        id: "stories-is-away",
        title: "Stories is away",
        says: "The service that shows the counts is stopped. Readers go on commenting.",
        faults: CALM,
        impatience: 0.0,
        away: &[ServiceName::Stories],
    },
    Preset {
        id: "everything",
        title: "Everything at once",
        says: "All that a queue can do wrong, together.",
        faults: FaultDials {
            duplicate: 0.25,
            drop: 0.2,
            reorder: 0.5,
            delay: 0.2,
            delay_max_ms: 5_000,
            ack_lost: 0.2,
            publish_fails_before: 0.1,
            publish_fails_after_accept: 0.1,
        },
        impatience: 0.1,
        away: &[],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use api::problem::Kind;

    #[test]
    fn what_is_out_of_bounds_is_named() {
        let calm = FaultDials::calm();
        for (dials, field) in [
            (FaultDials { drop: 1.1, ..calm }, "drop"),
            (FaultDials { duplicate: -0.1, ..calm }, "duplicate"),
            (FaultDials { reorder: f64::NAN, ..calm }, "reorder"),
            (FaultDials { delay_max_ms: 20_001, ..calm }, "delay_max_ms"),
        ] {
            let problem = dials.check().unwrap_err();
            assert_eq!((problem.kind(), problem.field()), (Kind::BadRequest, Some(field)));
            assert!(problem.limit().is_some());
        }
        assert!(Habits { rate: 101.0, impatience: 0.0 }.check().is_err());
        assert!(Habits { rate: 1.0, impatience: 2.0 }.check().is_err());
        assert!(Habits { rate: 0.0, impatience: 1.0 }.check().is_ok());
    }

    #[test]
    fn every_preset_is_within_bounds_and_does_something() {
        for preset in PRESETS {
            preset.faults.check().unwrap();
            Habits { rate: 1.0, impatience: preset.impatience }.check().unwrap();
            assert!(!preset.faults.is_calm() || !preset.away.is_empty(), "{}", preset.id);
        }
    }

    #[test]
    fn dials_and_faults_say_the_same() {
        for preset in PRESETS {
            assert_eq!(FaultDials::of(&preset.faults.faults()), preset.faults);
        }
        assert!(FaultDials::of(&Faults::none()).is_calm());
    }
}
