//! `antiphon queue redrive`.

use super::Common;
use super::broker::{Broker, For};
use super::error::CommandError;
use super::out;
use crate::given::GivenUrl;
use crate::numbers::grouped;
use crate::progress::Progress;
use clap::Args;
use queue::{DEAD_LETTERS_PAGE_MAX, Subscription};
use serde::Serialize;
use std::process::ExitCode;

/// Messages that are moved by one call.
const STEP_MAX: usize = 100;

/// Give a subscription's dead letters to its readers again, oldest first
///
/// As if they had just been published to this subscription alone. Mend what made them dead letters first: `antiphon queue
/// peek --dead` shows the reasons.
#[derive(Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
pub(crate) struct RedriveArgs {
    /// Which broker
    #[arg(value_name = "URL")]
    url: GivenUrl,
    /// Which subscription, as topic/service/site [default: the only one that is there]
    #[arg(value_name = "SUBSCRIPTION")]
    subscription: Option<Subscription>,
    /// So many at most [default: as many as there are now]
    #[arg(long, value_name = "N")]
    max: Option<u64>,
    #[command(flatten)]
    pub(super) common: Common,
}

const AFTER_HELP: &str = "\
Exit status:
  0  they were made ready again, also if there were none
  1  the broker did not do as it was asked; what was not moved is a dead letter still
  2  the command line is wrong

Examples:
  antiphon queue redrive nats://localhost:4222 comments/stories/main
  antiphon queue redrive kafka://localhost:9092 comments/stories/main --max 1";

#[derive(Debug, Serialize)]
struct Summary {
    subscription: String,
    redriven: u64,
}

/// Redrives.
pub(crate) async fn run(args: &RedriveArgs) -> Result<ExitCode, CommandError> {
    let broker = Broker::open(&args.url, For::Using).await?;
    let (subscription, depth) = broker.choose(args.subscription.as_ref()).await?;
    // Not for ever: what is poison comes back while we are at it. Where a broker counts too few, a second run helps.
    let most = args.max.unwrap_or(depth.dead.max(wide(DEAD_LETTERS_PAGE_MAX)));
    let progress = Progress::start("redriven", usize::try_from(depth.dead.min(most)).unwrap_or(usize::MAX));
    let mut redriven = 0;
    while redriven < most {
        let step = usize::try_from(most - redriven).unwrap_or(usize::MAX).min(STEP_MAX);
        let moved = broker.queue.redrive(&subscription, step).await;
        let moved = moved.map_err(broker.failed(format!("redriving {subscription}")))?;
        if moved == 0 {
            break;
        }
        redriven += wide(moved);
        progress.set(redriven, depth.dead.max(redriven));
    }
    drop(progress);
    if args.common.json {
        out::print_json(&Summary { subscription: subscription.to_string(), redriven })?;
    } else {
        out::print(&format!("{} redriven in {subscription}", grouped(redriven)))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
