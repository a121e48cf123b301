//! `antiphon`: the platform in one binary.
//!
//! | file | what |
//! |---|---|
//! | `cli` | the command line, the only place that reads the environment |
//! | `serve` | starting, running and stopping a process |
//! | `data` | the data folder: whose it is, its keys |
//! | `node` | the services of this process |
//! | `wiring` | the queue between them: subscriptions, relays, pumps |
//! | `face` | what HTTP asks: routes, pages, limits |
//! | `listen` | a bounded number of connections |
//! | `status` | health, readiness, depths |
//! | `telemetry` | logs and metrics |
//! | `starter` | what the first start shows |
//! | `plain_counter` | the "+1" counter that everybody writes first, to compare with |
//! | `replay` | a corpus of comments, posted through the public API, and the audit of every count |

mod cli;
mod data;
mod face;
mod hostile;
mod listen;
mod node;
mod pages;
mod plain_counter;
mod replay;
mod serve;
mod starter;
mod status;
mod telemetry;
mod wiring;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("antiphon: the runtime did not start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match cli.command {
        Some(cli::Command::Replay(args)) => runtime.block_on(replay::run(args)),
        Some(cli::Command::Serve(args)) => serve(&runtime, &args),
        None => serve(&runtime, &cli.serve),
    }
}

fn serve(runtime: &tokio::runtime::Runtime, args: &cli::ServeArgs) -> ExitCode {
    match runtime.block_on(serve::run(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("antiphon: {}", consumer::Chain(&error));
            ExitCode::FAILURE
        }
    }
}
