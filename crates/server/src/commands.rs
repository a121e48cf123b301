//! `antiphon queue …`, `antiphon topics …`, `antiphon status`, `antiphon pbs` and `antiphon completions`: for whoever runs a queue, on any
//! broker.
//!
//! | module | what |
//! |---|---|
//! | `broker` | from a URL to a broker, and to one of its subscriptions |
//! | `error` | what went wrong, and with which exit status |
//! | `line` | a message as a line of a file |
//! | `out` | tables and JSON on standard output |
//! | `take` | taking many messages at a time |
//! | `drain`, `peek`, `send`, `redrive`, `stat`, `bench`, `audit`, `serve_sqs` | a command each |
//! | `heal` | `recount` and `adopt` |
//! | `topics`, `status`, `pbs`, `completions` | the others |

pub(crate) mod audit;
pub(crate) mod bench;
pub(crate) mod broker;
pub(crate) mod completions;
pub(crate) mod drain;
pub(crate) mod error;
pub(crate) mod heal;
pub(crate) mod line;
pub(crate) mod out;
pub(crate) mod pbs;
pub(crate) mod peek;
pub(crate) mod redrive;
pub(crate) mod send;
pub(crate) mod serve_sqs;
pub(crate) mod stat;
pub(crate) mod status;
pub(crate) mod take;
pub(crate) mod topics;

use crate::telemetry;
use clap::{Args, Subcommand};
use error::CommandError;
use std::process::ExitCode;

/// What is asked of a queue.
#[derive(Debug, Subcommand)]
pub(crate) enum QueueCommand {
    Drain(drain::DrainArgs),
    Peek(peek::PeekArgs),
    Send(send::SendArgs),
    Redrive(redrive::RedriveArgs),
    Stat(stat::StatArgs),
    Bench(bench::BenchArgs),
    Audit(audit::AuditArgs),
    Serve(serve_sqs::ServeSqsArgs),
}

/// What is asked about the services' subscriptions.
#[derive(Debug, Subcommand)]
pub(crate) enum TopicsCommand {
    Plan(topics::PlanArgs),
    Apply(topics::ApplyArgs),
}

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Print JSON instead of text
    #[arg(long)]
    pub(crate) json: bool,
    /// What to log on standard error, as `level` or `target=level,…`
    #[arg(long, env = "ANTIPHON_LOG", value_name = "FILTER", default_value = "warn")]
    pub(crate) log: String,
}

/// Runs a command of `antiphon queue`.
pub(crate) async fn queue(command: QueueCommand) -> ExitCode {
    match command {
        QueueCommand::Drain(args) => ended("queue drain", begun(&args.common, drain::run(&args)).await),
        QueueCommand::Peek(args) => ended("queue peek", begun(&args.common, peek::run(&args)).await),
        QueueCommand::Send(args) => ended("queue send", begun(&args.common, send::run(&args)).await),
        QueueCommand::Redrive(args) => ended("queue redrive", begun(&args.common, redrive::run(&args)).await),
        QueueCommand::Stat(args) => ended("queue stat", begun(&args.common, stat::run(&args)).await),
        QueueCommand::Serve(args) => ended("queue serve", begun(&args.common, serve_sqs::run(&args)).await),
        QueueCommand::Audit(args) => ended("queue audit", begun(&args.common, audit::run(&args)).await),
        QueueCommand::Bench(args) => ended("queue bench", begun(&args.common, bench::run(&args)).await),
    }
}

/// Runs a command of `antiphon topics`.
pub(crate) async fn topics(command: TopicsCommand) -> ExitCode {
    match command {
        TopicsCommand::Plan(args) => ended("topics plan", begun(&args.common, topics::plan(&args)).await),
        TopicsCommand::Apply(args) => ended("topics apply", begun(&args.common, topics::apply(&args)).await),
    }
}

/// Runs `antiphon recount`.
pub(crate) async fn recount(args: heal::RecountArgs) -> ExitCode {
    ended("recount", begun(&args.common, heal::recount(&args)).await)
}

/// Runs `antiphon adopt`.
pub(crate) async fn adopt(args: heal::AdoptArgs) -> ExitCode {
    ended("adopt", begun(&args.common, heal::adopt(&args)).await)
}

/// Runs `antiphon status`.
pub(crate) async fn status(args: status::StatusArgs) -> ExitCode {
    ended("status", begun(&args.common, status::run(&args)).await)
}

/// Runs `antiphon pbs`.
pub(crate) async fn pbs(args: pbs::PbsArgs) -> ExitCode {
    let common = Common { json: args.common.json, log: args.common.log.clone() };
    ended("pbs", begun(&common, pbs::run(args)).await)
}

async fn begun(
    common: &Common,
    command: impl Future<Output = Result<ExitCode, CommandError>>,
) -> Result<ExitCode, CommandError> {
    telemetry::log(&common.log, false)?;
    command.await
}

fn ended(command: &str, result: Result<ExitCode, CommandError>) -> ExitCode {
    result.unwrap_or_else(|error| {
        if error.is_closed_output() {
            // Who closed our output does not want to read on: `antiphon queue peek … | head`.
            return ExitCode::SUCCESS;
        }
        eprintln!("antiphon {command}: {}", consumer::Chain(&error));
        error.exit_code()
    })
}
