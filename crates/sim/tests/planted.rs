//! Every planted bug is caught within a stated number of seeds, and the same seeds are clean without it.
//!
//! The table in the README is what this prints with `--nocapture`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests, where a panic is the verdict")]

use antiphon_sim::actors::Company;
use antiphon_sim::{Fault, Plan, Planted, run};

const MINUTE_MS: u64 = 60_000;

/// Some faults in every run that is to catch a bug: those that the bug needs, as often as they can be.
struct Net {
    bug: Planted,
    /// The checks that may catch it.
    checks: &'static [&'static str],
    /// The fault without which nobody could see it, and how often it is played.
    needs: &'static [(Fault, f64)],
    sites: usize,
    digest_ms: Option<u64>,
    seeds_max: u64,
}

impl Net {
    /// A short run of this seed that could catch the bug.
    fn plan(&self, seed: u64) -> Plan {
        let mut plan = Plan::of(seed);
        plan.sites = self.sites;
        plan.duration_ms = plan.duration_ms.min(20 * MINUTE_MS);
        plan.digest_ms = self.digest_ms;
        for fault in [Fault::LoseAccepted, Fault::Restore, Fault::RestoreUntold, Fault::Lose] {
            plan.faults.remove(&fault);
        }
        plan.faults.extend(self.needs.iter().copied());
        plan
    }

    /// Plays seeds until one catches the bug; every one of them has to be clean without it.
    fn catches(&self) {
        for seed in 1..=self.seeds_max {
            let plan = self.plan(seed);
            let clean = run(&plan, &Company::plain(), false).unwrap();
            assert_eq!(clean.failure, None, "seed {seed} without {}: {plan:?}", self.bug);
            let caught = run(&plan.planting(self.bug), &Company::plain(), false).unwrap();
            if let Some(failure) = caught.failure {
                assert!(self.checks.contains(&failure.check), "{}: seed {seed}: {failure:?}", self.bug);
                println!("| `{}` | {seed} | {} | {seed} of {} |", self.bug, failure.check, self.seeds_max);
                return;
            }
        }
        panic!("{} was not caught within {} seeds", self.bug, self.seeds_max);
    }
}

/// What every run of these needs: time to write something.
const OFTEN: f64 = 12.0;

#[test]
fn ack_before_commit() {
    Net {
        bug: Planted::AckBeforeCommit,
        checks: &["acknowledged is on the disk", "nothing visible before its sync"],
        needs: &[],
        sites: 1,
        digest_ms: None,
        seeds_max: 3,
    }
    .catches();
}

#[test]
fn ack_before_merge() {
    Net {
        bug: Planted::AckBeforeMerge,
        checks: &[
            "shown is listed",
            "parts are known",
            "profiles are equal",
            "answers in the end",
            "rest",
            "what nobody understands is kept",
        ],
        needs: &[(Fault::Kill, 4.0 * OFTEN)],
        sites: 1,
        digest_ms: None,
        seeds_max: 20,
    }
    .catches();
}

#[test]
fn addition_for_join() {
    Net {
        bug: Planted::AdditionForJoin,
        checks: &["never above all acceptances", "shown is listed", "one writer a tally"],
        needs: &[],
        sites: 1,
        digest_ms: None,
        seeds_max: 5,
    }
    .catches();
}

#[test]
fn tally_apart() {
    Net {
        bug: Planted::TallyApart,
        checks: &[
            "one replica counts what it lists",
            "listed is counted",
            "votes are exact",
            "shown is listed",
        ],
        needs: &[(Fault::KillInCommit, 0.05)],
        sites: 1,
        digest_ms: None,
        seeds_max: 10,
    }
    .catches();
}

#[test]
fn mark_cleared_blindly() {
    Net {
        bug: Planted::MarkClearedBlindly,
        checks: &["shown is listed", "a browser ends exact"],
        needs: &[(Fault::DiskSlow, OFTEN)],
        sites: 1,
        digest_ms: None,
        seeds_max: 10,
    }
    .catches();
}

#[test]
fn lease_never_extended() {
    Net {
        bug: Planted::LeaseNeverExtended,
        checks: &["leases"],
        needs: &[(Fault::DiskSlow, 6.0 * OFTEN)],
        sites: 1,
        digest_ms: None,
        seeds_max: 20,
    }
    .catches();
}

#[test]
fn replica_reused() {
    Net {
        bug: Planted::ReplicaReused,
        checks: &[
            "shown is listed",
            "listed is counted",
            "one writer a tally",
            "a browser ends exact",
            "rest",
        ],
        needs: &[(Fault::RestoreUntold, 3.0)],
        sites: 1,
        digest_ms: Some(10_000),
        seeds_max: 20,
    }
    .catches();
}

#[test]
fn tie_by_arrival() {
    Net {
        bug: Planted::TieByArrival,
        checks: &["siblings are equal", "rest", "listed is counted", "shown is listed"],
        needs: &[(Fault::AnswerLost, 0.3)],
        sites: 2,
        digest_ms: None,
        seeds_max: 20,
    }
    .catches();
}

#[cfg(feature = "planted")]
#[test]
fn digest_without_deletions() {
    Net {
        bug: Planted::DigestWithoutDeletions,
        checks: &["shown is listed", "a browser ends exact"],
        needs: &[(Fault::LoseAccepted, 0.3)],
        sites: 1,
        digest_ms: Some(10_000),
        seeds_max: 30,
    }
    .catches();
}
