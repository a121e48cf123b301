//! The suite itself, tested: brokers with one planted bug each, which the case that is there for it has to catch. A net
//! that never caught anything is not known to be a net.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, its helpers included, fails by panicking")]

mod bent;

use std::sync::Arc;

use antiphon_conformance::{
    Control, LocalFuture, Need, Outage, Outcome, Place, Subject, Timing, Unable, verdict,
};
use bent::{Bent, Bug};
use queue::{MemoryQueue, Queue};

struct Buggy(Bug);

struct Here {
    queue: Arc<dyn Queue>,
    link: Outage,
}

impl Place for Here {
    fn connect(&self) -> LocalFuture<'_, Arc<dyn Queue>> {
        Box::pin(async { Arc::clone(&self.queue) })
    }

    fn url(&self) -> Option<String> {
        None
    }

    fn control(&self) -> Option<&dyn Control> {
        Some(&self.link)
    }
}

impl Subject for Buggy {
    fn name(&self) -> &'static str {
        "buggy"
    }

    fn timing(&self) -> Timing {
        Timing::VIRTUAL
    }

    fn place(&self, _: Need) -> LocalFuture<'_, Result<Box<dyn Place>, Unable>> {
        // The bug is before the link, as it would be in a backend.
        let link = Outage::new(Arc::new(MemoryQueue::new()));
        let queue = Arc::new(Bent::new(Arc::new(link.clone()), self.0));
        Box::pin(async { Ok(Box::new(Here { queue, link }) as Box<dyn Place>) })
    }

    fn wrong_urls(&self) -> Vec<(String, &'static str)> {
        Vec::new()
    }
}

fn outcome(bug: Bug, case: &str) -> Outcome {
    let subject: Arc<dyn Subject> = Arc::new(Buggy(bug));
    verdict(&subject, case, env!("CARGO_BIN_EXE_conformance-worker"))
}

/// Each bug, and the cases that have to catch it.
const CAUGHT: [(Bug, &[&str]); 12] = [
    (Bug::AcksForgotten, &["nothing_acked_comes_back", "a_killed_consumer_loses_nothing"]),
    (Bug::AcksAlwaysOk, &["nothing_works_after_a_lost_lease", "a_receipt_settles_once"]),
    (
        Bug::AcksBeforeTheHandler,
        &["what_is_not_acked_comes_back", "what_a_vanished_receiver_held_comes_back"],
    ),
    (Bug::ExtensionsForgotten, &["extending_keeps_it", "a_lease_is_kept_for_as_long_as_a_handler_takes"]),
    (Bug::DelaysForgotten, &["a_nack_delays"]),
    (Bug::NacksForgotten, &["a_graceful_stop_delivers_acks_and_hands_back_the_rest"]),
    (Bug::FetchesAhead, &["what_a_busy_pump_does_not_take_others_get"]),
    (Bug::TextOnly, &["bodies_are_bytes", "the_largest_may_be_binary"]),
    (Bug::CountsForgotten, &["receive_counts_grow", "receive_counts_outlive_their_receiver"]),
    (Bug::ReasonsForgotten, &["dead_letters_keep_their_reason"]),
    (Bug::ConfirmsUnsent, &["what_was_confirmed_survives_the_broker", "a_cut_link_is_made_again"]),
    (Bug::BatchesFailTogether, &["one_bad_message_spoils_no_other", "one_bad_receipt_spoils_no_other"]),
];

#[test]
fn every_planted_bug_is_caught() {
    for (bug, cases) in CAUGHT {
        for case in cases {
            assert_eq!(outcome(bug, case), Outcome::Failed, "{case} did not catch {bug:?}");
        }
    }
}

#[test]
fn without_a_bug_the_same_cases_pass() {
    for (_, cases) in CAUGHT {
        for case in cases {
            assert_eq!(outcome(Bug::None, case), Outcome::Passed, "{case}");
        }
    }
}
