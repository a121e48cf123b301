//! `antiphon queue stat`.

use super::Common;
use super::broker::{Broker, For};
use super::error::CommandError;
use super::out;
use crate::given::GivenUrl;
use crate::numbers::grouped;
use crate::serve;
use clap::Args;
use queue::{Depth, Subscription};
use serde::Serialize;
use std::process::ExitCode;
use std::time::Duration;

/// Show every subscription of a broker, and how much each holds
///
/// Brokers count approximately, and some know what is in flight only of their own connection. Some, as NATS, count as in
/// flight what was given back, or whose lease is over, until it is handed out again: it is not lost.
#[derive(Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
pub(crate) struct StatArgs {
    /// Which broker
    #[arg(value_name = "URL")]
    url: GivenUrl,
    /// Only this subscription, as topic/service/site
    #[arg(value_name = "SUBSCRIPTION")]
    subscription: Option<Subscription>,
    /// Show it again and again, every so many seconds, until you interrupt
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2", value_parser = clap::value_parser!(u64).range(1..=3_600))]
    watch: Option<u64>,
    #[command(flatten)]
    pub(super) common: Common,
}

const AFTER_HELP: &str = "\
Exit status:
  0  shown
  1  the broker did not answer, or has no such subscription
  2  the command line is wrong

Examples:
  antiphon queue stat nats://localhost:4222
  antiphon queue stat sqs://eu-west-1 --watch 10
  antiphon queue stat kafka://localhost:9092 --json | jq '.subscriptions[] | select(.dead > 0)'";

/// What one subscription holds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Counts {
    pub(super) ready: u64,
    pub(super) in_flight: u64,
    pub(super) delayed: u64,
    pub(super) dead: u64,
}

impl From<Depth> for Counts {
    fn from(depth: Depth) -> Self {
        Self { ready: depth.ready, in_flight: depth.in_flight, delayed: depth.delayed, dead: depth.dead }
    }
}

impl Counts {
    /// All of them.
    pub(super) fn total(self) -> u64 {
        [self.ready, self.in_flight, self.delayed, self.dead].into_iter().fold(0, u64::saturating_add)
    }

    /// Those that are not 0, in words.
    pub(super) fn told(self) -> String {
        let all = [
            (self.ready, "ready"),
            (self.in_flight, "in flight"),
            (self.delayed, "delayed"),
            (self.dead, "dead"),
        ];
        let told: Vec<_> = all
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, state)| format!("{} {state}", grouped(count)))
            .collect();
        told.join(", ")
    }
}

#[derive(Debug, Serialize)]
struct Stat {
    url: String,
    subscriptions: Vec<Named>,
}

#[derive(Debug, Serialize)]
struct Named {
    subscription: String,
    #[serde(flatten)]
    counts: Counts,
}

/// Shows.
pub(crate) async fn run(args: &StatArgs) -> Result<ExitCode, CommandError> {
    let mut stop = std::pin::pin!(serve::signals().map_err(CommandError::Signals)?);
    let broker = Broker::open(&args.url, For::Using).await?;
    loop {
        let found = match &args.subscription {
            Some(_) => vec![broker.choose(args.subscription.as_ref()).await?],
            None => broker.subscriptions().await?,
        };
        show(args, &broker, &found)?;
        let Some(seconds) = args.watch else { return Ok(ExitCode::SUCCESS) };
        tokio::select! {
            biased;
            () = &mut stop => return Ok(ExitCode::SUCCESS),
            () = tokio::time::sleep(Duration::from_secs(seconds)) => {}
        }
    }
}

fn show(args: &StatArgs, broker: &Broker, found: &[(Subscription, Depth)]) -> Result<(), CommandError> {
    if args.common.json {
        let named = |(name, depth): &(Subscription, Depth)| Named {
            subscription: name.to_string(),
            counts: Counts::from(*depth),
        };
        let subscriptions = found.iter().map(named).collect();
        return out::print_json(&Stat { url: broker.url.clone(), subscriptions });
    }
    if found.is_empty() {
        return out::print(&format!("{} has no subscriptions", broker.url));
    }
    let rows: Vec<_> = found
        .iter()
        .map(|(name, depth)| {
            let counts = [depth.ready, depth.in_flight, depth.delayed, depth.dead].map(grouped);
            let [ready, in_flight, delayed, dead] = counts;
            [name.to_string(), ready, in_flight, delayed, dead]
        })
        .collect();
    let text = out::columns(["subscription", "ready", "in flight", "delayed", "dead"], &rows);
    out::print(&if args.watch.is_some() { format!("{text}\n") } else { text })
}
