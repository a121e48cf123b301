//! SQS and SNS, against ministack: fan-out by SNS, and by the publisher.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use antiphon_conformance::{
    Linked, LocalFuture, Need, PASSWORD, Place, Remote, Subject, Timing, Unable, fresh_prefix, run,
};
use testbed::{Ministack, Proxy, StartError};
use tokio::sync::OnceCell;

/// One process for both.
static SHARED: OnceCell<Ministack> = OnceCell::const_new();

struct Sqs {
    name: &'static str,
    fanout: &'static str,
    excuses: &'static [(&'static str, &'static str)],
}

impl Sqs {
    fn url(&self, address: SocketAddr) -> String {
        format!("sqs+http://key:secret@{address}?prefix={}&fanout={}", fresh_prefix(), self.fanout)
    }

    async fn remote(&self, need: Need) -> Result<Remote, StartError> {
        let broker = SHARED.get_or_try_init(Ministack::start).await?;
        Ok(match need {
            Need::Shared | Need::Bounded(_) | Need::Broker => Remote::new(self.url(broker.address())),
            Need::Link => {
                let proxy = Proxy::start(broker.address())?;
                Remote::new(self.url(proxy.address())).with(Linked { proxy, keep: () })
            }
        })
    }
}

impl Subject for Sqs {
    fn name(&self) -> &'static str {
        self.name
    }

    fn timing(&self) -> Timing {
        Timing::REMOTE
    }

    fn place(&self, need: Need) -> LocalFuture<'_, Result<Box<dyn Place>, Unable>> {
        Box::pin(async move { Ok(Box::new(self.remote(need).await?) as Box<dyn Place>) })
    }

    fn excuses(&self) -> &'static [(&'static str, &'static str)] {
        self.excuses
    }

    fn wrong_urls(&self) -> Vec<(String, &'static str)> {
        vec![
            (format!("sqs+http://me:{PASSWORD}@127.0.0.1:1?flavour=sweet"), "flavour"),
            (format!("sqs+http://me:{PASSWORD}@127.0.0.1:1"), "127.0.0.1:1"),
            (format!("sqs+http://me:{PASSWORD}@127.0.0.1:1?fanout=waterfall"), "fanout"),
        ]
    }
}

const NO_BOUND: &str = "a queue of SQS holds any number of messages";
const IN_MEMORY: &str = "ministack forgets everything when it is killed; `serve` plays it";
const SMALL: &str = "SNS takes 256 KiB of text: in base64 it is more, and refused as too large";

fn main() -> ExitCode {
    let subjects: Vec<Arc<dyn Subject>> = vec![
        Arc::new(Sqs {
            name: "sqs-sns",
            fanout: "sns",
            excuses: &[
                ("full_is_said", NO_BOUND),
                ("what_was_confirmed_survives_the_broker", IN_MEMORY),
                ("the_largest_may_be_binary", SMALL),
            ],
        }),
        Arc::new(Sqs {
            name: "sqs",
            fanout: "queues",
            excuses: &[("full_is_said", NO_BOUND), ("what_was_confirmed_survives_the_broker", IN_MEMORY)],
        }),
    ];
    run(subjects, env!("CARGO_BIN_EXE_conformance-worker"))
}
