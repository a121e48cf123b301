//! `antiphon`: the platform in one binary.
//!
//! | file | what |
//! |---|---|
//! | `cli` | the command line, the only place that reads the environment |
//! | `serve` | starting, running and stopping a process |
//! | `commands` | `antiphon queue …`, `topics …`, `status`, `pbs`, `recount`, `adopt`, `completions` |
//! | `sites` | which sites there are, and which one this is |
//! | `given` | the URL of a broker, as it was given |
//! | `data` | the data folder: whose it is, its keys |
//! | `node` | the services of this process |
//! | `wiring` | the queue between them: subscriptions, relays, pumps |
//! | `face` | what HTTP asks: routes, pages, limits |
//! | `listen` | a bounded number of connections |
//! | `status` | health, readiness, depths |
//! | `telemetry` | logs and metrics |
//! | `starter` | what the first start shows |
//! | `plain_counter` | the "+1" counter that everybody writes first, to compare with |
//! | `numbers`, `progress` | for people who wait |
//! | `chaos` | the platform to be broken: faults to turn, people who write, and a page to watch it on |
//! | `replay` | a corpus of comments, posted through the public API, and the audit of every count |

mod chaos;
mod cli;
mod commands;
mod data;
mod face;
mod given;
mod hostile;
mod listen;
mod node;
mod numbers;
mod pages;
mod plain_counter;
mod progress;
mod replay;
mod serve;
mod sites;
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
        Some(cli::Command::Chaos(args)) => runtime.block_on(chaos::run(*args)),
        Some(cli::Command::Replay(args)) => runtime.block_on(replay::run(*args)),
        Some(cli::Command::Queue(command)) => runtime.block_on(commands::queue(command)),
        Some(cli::Command::Topics(command)) => runtime.block_on(commands::topics(command)),
        Some(cli::Command::Recount(args)) => runtime.block_on(commands::recount(args)),
        Some(cli::Command::Adopt(args)) => runtime.block_on(commands::adopt(args)),
        Some(cli::Command::Status(args)) => runtime.block_on(commands::status(args)),
        Some(cli::Command::Pbs(args)) => runtime.block_on(commands::pbs(*args)),
        Some(cli::Command::Completions(args)) => commands::completions::run(&args),
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
