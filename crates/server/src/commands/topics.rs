//! `antiphon topics plan` and `antiphon topics apply`.

use super::Common;
use super::broker::{Broker, For};
use super::error::CommandError;
use super::out;
use crate::given::GivenUrl;
use crate::sites::Sites;
use crate::wiring;
use clap::Args;
use queue::{Action, Change, Subscription, SubscriptionConfig};
use serde::Serialize;
use std::process::ExitCode;

/// There is something to be made or changed. Not 2, which is a wrong command line.
const CHANGES: u8 = 3;

/// Tell what the services lack at a broker, and change nothing
#[derive(Debug, Args)]
#[command(after_long_help = PLAN_HELP)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    pub(super) common: Common,
}

const PLAN_HELP: &str = "\
+ is to be made, ~ to be changed, ! stands in the way and is to be moved by you.

Exit status:
  0  nothing is to be done
  1  something stands in the way, or the broker did not answer
  2  the command line is wrong
  3  something is to be made or changed: antiphon topics apply does it

Examples:
  antiphon topics plan nats://localhost:4222
  antiphon topics plan sqs://eu-west-1 --site eu-1 || antiphon topics apply sqs://eu-west-1 --site eu-1";

/// Make what the services lack at a broker
///
/// `antiphon serve` does the same when it starts. This does it before, with the rights that need not be the server's.
#[derive(Debug, Args)]
#[command(after_long_help = APPLY_HELP)]
pub(crate) struct ApplyArgs {
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    pub(super) common: Common,
}

const APPLY_HELP: &str = "\
Exit status:
  0  all is there
  1  something stands in the way, or the broker did not do as it was asked
  2  the command line is wrong

Examples:
  antiphon topics apply amqp://localhost/%2f
  antiphon topics apply nats://localhost:4222 orders/billing/eu-1 orders/shipping/eu-1";

#[derive(Debug, Args)]
struct What {
    /// Which broker
    #[arg(value_name = "URL")]
    url: GivenUrl,
    /// Which subscriptions, as topic/service/site [default: those of the services]
    #[arg(value_name = "SUBSCRIPTION")]
    subscriptions: Vec<Subscription>,
    #[command(flatten)]
    sites: Sites,
}

impl What {
    fn wanted(&self) -> Result<Vec<Subscription>, CommandError> {
        if self.subscriptions.is_empty() {
            self.sites.check()?;
            return Ok(wiring::subscriptions(&self.sites.site, self.sites.has_siblings())?);
        }
        Ok(self.subscriptions.clone())
    }
}

/// A difference, for programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case", tag = "action")]
enum Shown {
    Create { subscription: String, target: String },
    Alter { subscription: String, target: String, setting: String, from: String, to: String },
    Conflict { subscription: String, target: String, reason: String },
}

impl Shown {
    fn new(subscription: &Subscription, change: &Change) -> Self {
        let (subscription, target) = (subscription.to_string(), change.target.clone());
        match change.action.clone() {
            Action::Create => Self::Create { subscription, target },
            Action::Alter { setting, from, to } => Self::Alter { subscription, target, setting, from, to },
            Action::Conflict { reason } => Self::Conflict { subscription, target, reason },
        }
    }
}

/// What is to be done, without what several subscriptions share told twice.
async fn changes(
    broker: &Broker,
    wanted: &[Subscription],
) -> Result<Vec<(Subscription, Change)>, CommandError> {
    let mut all: Vec<(Subscription, Change)> = Vec::new();
    for subscription in wanted {
        let changes = broker.queue.plan(subscription, SubscriptionConfig::default()).await;
        for change in changes.map_err(broker.failed(format!("comparing what is there for {subscription}")))? {
            if all.iter().all(|(_, known)| *known != change) {
                all.push((subscription.clone(), change));
            }
        }
    }
    Ok(all)
}

fn show(common: &Common, changes: &[(Subscription, Change)]) -> Result<(), CommandError> {
    if common.json {
        let shown: Vec<_> =
            changes.iter().map(|(subscription, change)| Shown::new(subscription, change)).collect();
        return out::print_json(&shown);
    }
    for (_, change) in changes {
        out::print(&change.to_string())?;
    }
    Ok(())
}

fn conflicts(changes: &[(Subscription, Change)]) -> usize {
    changes.iter().filter(|(_, change)| matches!(change.action, Action::Conflict { .. })).count()
}

/// Tells.
pub(crate) async fn plan(args: &PlanArgs) -> Result<ExitCode, CommandError> {
    let broker = Broker::open(&args.what.url, For::Using).await?;
    let wanted = args.what.wanted()?;
    let changes = changes(&broker, &wanted).await?;
    show(&args.common, &changes)?;
    if changes.is_empty() && !args.common.json {
        out::print(&format!(
            "{}: all {} subscriptions are there as they are needed",
            broker.url,
            wanted.len()
        ))?;
    }
    Ok(match (changes.is_empty(), conflicts(&changes)) {
        (true, _) => ExitCode::SUCCESS,
        (false, 0) => ExitCode::from(CHANGES),
        (false, _) => ExitCode::FAILURE,
    })
}

/// Makes.
pub(crate) async fn apply(args: &ApplyArgs) -> Result<ExitCode, CommandError> {
    let broker = Broker::open(&args.what.url, For::Making).await?;
    let wanted = args.what.wanted()?;
    let changes = changes(&broker, &wanted).await?;
    show(&args.common, &changes)?;
    if conflicts(&changes) > 0 {
        return Ok(ExitCode::FAILURE);
    }
    for subscription in &wanted {
        let made = broker.queue.subscribe(subscription, SubscriptionConfig::default()).await;
        made.map(drop).map_err(broker.failed(format!("making {subscription}")))?;
    }
    if !args.common.json {
        out::print(&format!("{}: all {} subscriptions are there", broker.url, wanted.len()))?;
    }
    Ok(ExitCode::SUCCESS)
}
