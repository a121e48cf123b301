//! The broker in memory, plain and behind a fault injector that injects nothing, under a paused clock.

use std::process::ExitCode;
use std::sync::Arc;

use antiphon_conformance::{
    Control, LocalFuture, Need, Outage, PASSWORD, Place, Subject, Timing, Unable, run,
};
use queue::{Clock, Faults, Faulty, MESSAGES_MAX, MemoryQueue, Queue};

struct Memory {
    /// Behind [`Faulty`].
    harmless: bool,
}

/// A broker of this process: other processes have none of it, and its link is cut in front of it.
struct Here {
    link: Outage,
}

impl Place for Here {
    fn connect(&self) -> LocalFuture<'_, Arc<dyn Queue>> {
        Box::pin(async { Arc::new(self.link.clone()) as Arc<dyn Queue> })
    }

    fn url(&self) -> Option<String> {
        None
    }

    fn control(&self) -> Option<&dyn Control> {
        Some(&self.link)
    }
}

impl Subject for Memory {
    fn name(&self) -> &'static str {
        if self.harmless { "faulty" } else { "memory" }
    }

    fn timing(&self) -> Timing {
        Timing::VIRTUAL
    }

    fn place(&self, need: Need) -> LocalFuture<'_, Result<Box<dyn Place>, Unable>> {
        let messages_max = if let Need::Bounded(most) = need { most } else { MESSAGES_MAX };
        let queue = MemoryQueue::with(Clock::starting_at(0), messages_max);
        let queue: Arc<dyn Queue> =
            if self.harmless { Arc::new(Faulty::new(queue, Faults::none())) } else { Arc::new(queue) };
        Box::pin(async { Ok(Box::new(Here { link: Outage::new(queue) }) as Box<dyn Place>) })
    }

    fn wrong_urls(&self) -> Vec<(String, &'static str)> {
        vec![
            ("memory:?flavour=sweet".to_owned(), "flavour"),
            (format!("memorie://me:{PASSWORD}@somewhere"), "memorie"),
            ("no scheme".to_owned(), "scheme"),
        ]
    }
}

fn main() -> ExitCode {
    let subjects = [false, true].map(|harmless| Arc::new(Memory { harmless }) as Arc<dyn Subject>);
    run(subjects.into(), env!("CARGO_BIN_EXE_conformance-worker"))
}
