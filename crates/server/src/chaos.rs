//! `antiphon chaos`: the platform to be broken.
//!
//! The real services, on a queue whose faults are turned on a page while people write; beside them the "+1" counter that
//! everybody writes first. Whatever is turned, the counts of the platform meet its lists again, and the other's do not.
//!
//! | file | what |
//! |---|---|
//! | `args` | the command line |
//! | `platform`, `slot` | the services, each of which can be stopped, killed and started, on one faulty queue |
//! | `dials` | what can be turned, its bounds, and the presets |
//! | `people` | who writes: through the public API, over HTTP |
//! | `watch`, `meter` | reads every count and every list, once a second |
//! | `http` | what the page asks |

use crate::listen::Bounded;
use crate::serve::signals;
use crate::telemetry;
use crate::wiring::called;
use axum::serve::Listener;
use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use store::{RealWorld, World};
use tempfile::TempDir;
use tokio::sync::watch as flag;
use tokio::time::timeout;

mod args;
mod dials;
mod error;
mod http;
mod meter;
mod people;
mod platform;
mod slot;
mod watch;

pub(crate) use args::ChaosArgs;
use dials::Habits;
use error::ChaosError;
use http::Game;
use people::People;
use people::client::Client;
use platform::Platform;
use watch::{Sight, Watch};

/// How long requests that are being answered may take at the end.
const ANSWERS_MAX: Duration = Duration::from_secs(5);

/// Plays until SIGTERM or SIGINT.
pub(crate) async fn run(args: ChaosArgs) -> ExitCode {
    match play(&args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("antiphon chaos: {}", consumer::Chain(&error));
            ExitCode::FAILURE
        }
    }
}

async fn play(args: &ChaosArgs) -> Result<(), ChaosError> {
    telemetry::log(&args.log, false)?;
    let metrics = telemetry::measure()?;
    let refused = |source| ChaosError::Listen { address: args.listen, source };
    let listener = Bounded::bind(args.listen).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    let signals = signals().map_err(ChaosError::Signals)?;
    let scratch = match args.folder() {
        Some(_) => None,
        None => Some(scratch().map_err(ChaosError::Scratch)?),
    };
    let world: Arc<dyn World> = Arc::new(RealWorld);
    let folder = scratch.as_ref().map(TempDir::path).or(args.folder()).unwrap_or_else(|| ".".as_ref());
    let platform = Arc::new(Platform::open(args.platform(folder)?, Arc::clone(&world), args.seed).await?);
    let client = Arc::new(Client::new(address));
    let people = People::new(Arc::clone(&client), args.people, Habits { rate: args.rate, impatience: 0.0 });
    let game = Game { platform: Arc::clone(&platform), people: people.clone(), sight: Sight::default() };
    let watch = Watch {
        platform: Arc::clone(&platform),
        people: people.clone(),
        client,
        metrics,
        sight: game.sight.clone(),
    };

    let stop = flag::Sender::new(false);
    let server = axum::serve(listener, http::router(game)).with_graceful_shutdown(called(stop.subscribe()));
    let mut server = tokio::spawn(server.into_future());
    let people = tokio::spawn(people.live(args.seed, world.random()));
    let watch = tokio::spawn(watch.look_on());
    greet(args, address);
    let ended = tokio::select! {
        () = signals => Ok(()),
        ended = &mut server => {
            ended.unwrap_or_else(|error| Err(std::io::Error::other(error))).map_err(ChaosError::Serve)
        }
    };
    for task in [people, watch] {
        task.abort();
        // It was dropped: there is nothing to hear of it.
        task.await.unwrap_or_default();
    }
    stop.send_replace(true);
    if ended.is_ok() && timeout(ANSWERS_MAX, &mut server).await.is_err() {
        // Somebody's browser holds on.
        server.abort();
        server.await.map(drop).unwrap_or_default();
    }
    if let Ok(platform) = Arc::try_unwrap(platform) {
        platform.close().await;
    } else {
        tracing::warn!(
            "a request still holds the platform: it is not closed, and recovers at its next start"
        );
    }
    if let Some(scratch) = scratch {
        scratch.close().map_err(ChaosError::Tidy)?;
    }
    ended
}

fn scratch() -> std::io::Result<TempDir> {
    tempfile::Builder::new().prefix("antiphon-chaos-").tempdir()
}

/// Says where to look. The first line is also what scripts read the address from.
fn greet(args: &ChaosArgs, address: SocketAddr) {
    let data = match args.folder() {
        Some(folder) => format!("kept in {}", folder.display()),
        None => "in a folder that is removed at the end".to_owned(),
    };
    let greeting = format!(
        "antiphon chaos is at http://{address}/chaos\n  the platform itself  http://{address}/\n  {} people write; \
         everything is {data}; end with Ctrl-C\n",
        args.people
    );
    // Nobody may be reading: that is no reason to stop.
    if let Err(error) = std::io::stdout().lock().write_all(greeting.as_bytes()) {
        tracing::info!(%error, %address, "listening; the greeting could not be printed");
    }
    if !address.ip().is_loopback() {
        tracing::error!(%address, "whoever reaches this address can break things");
    }
}
