//! Starting, running and stopping a process.

use crate::cli::ServeArgs;
use crate::data::{Data, DataError};
use crate::face;
use crate::listen::Bounded;
use crate::node::{self, NodeError, Service};
use crate::plain_counter::{self, PlainCounter};
use crate::sites::SitesError;
use crate::starter;
use crate::status::Watched;
use crate::telemetry::{self, TelemetryError};
use crate::wiring::{Connection, Wiring, called};
use api::{KeyRing, Keys};
use axum::Router;
use axum::serve::Listener;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use store::{RealWorld, World};
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long requests that are being answered may take at shutdown.
const ANSWERS_MAX: Duration = Duration::from_secs(10);

/// How often, and how long apart, is looked whether the services of a process know each other.
const FIRST_NEWS_TRIES: usize = 100;
/// The same where a broker elsewhere has to be connected to first.
const FIRST_NEWS_TRIES_ELSEWHERE: usize = 500;
const FIRST_NEWS_PAUSE: Duration = Duration::from_millis(20);

/// Why a process did not serve.
#[derive(Debug, Error)]
pub(crate) enum ServeError {
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    #[error(transparent)]
    Data(#[from] DataError),
    #[error(transparent)]
    Node(#[from] NodeError),
    #[error(transparent)]
    Name(#[from] queue::NameError),
    #[error(transparent)]
    Sites(#[from] SitesError),
    #[error(
        "several sites need a broker that all of them reach, and a queue of one process is none: give --queue, such as \
         nats://host:4222"
    )]
    SitesApart,
    #[error("the broker of --queue cannot be used")]
    Queue(#[source] queue::QueueError),
    #[error("cannot listen on {address}; choose another with --listen")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("the API could not be described")]
    Description(#[from] serde_json::Error),
    #[error("the process cannot be watched for signals")]
    Signals(#[source] std::io::Error),
    #[error("serving failed")]
    Serve(#[source] std::io::Error),
}

/// Serves until SIGTERM or SIGINT, then drains.
pub(crate) async fn run(args: &ServeArgs) -> Result<(), ServeError> {
    telemetry::log(&args.log, args.log_json)?;
    let metrics = telemetry::measure()?;
    check_queue(args)?;
    // First of all: where the port is taken, nothing is begun.
    let refused = |source| ServeError::Listen { address: args.listen, source };
    let listener = Bounded::bind(args.listen).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    let world: Arc<dyn World> = Arc::new(RealWorld);
    let data = Data::open(args, &*world)?;
    let (services, rings) = node::open(args, &data, &world).await?;
    let plain_counter = if args.plain_counter {
        Some(PlainCounter::new(node::open_store(args, &data, &world, plain_counter::NAME)?)?)
    } else {
        None
    };
    let connection = Connection::default();
    let wiring = Wiring {
        args: args.clone(),
        data: data.clone(),
        world,
        services: services.clone(),
        plain_counter: plain_counter.clone(),
        connection: connection.clone(),
        opened: None,
    };
    let watched =
        Watched { services: services.clone(), connection: connection.clone(), metrics, plain_counter };
    let router = face::router(watched)?;
    let signals = signals().map_err(ServeError::Signals)?;

    let (stop_answers, stop_wiring) = (watch::Sender::new(false), watch::Sender::new(false));
    // Healing needs no queue: what was adopted is counted while the broker is away.
    let mut healers = JoinSet::new();
    for service in &services {
        healers.spawn(service.healer().run(called(stop_wiring.subscribe())));
    }
    let wiring = tokio::spawn(wiring.run(stop_wiring.subscribe()));
    let tries = if args.queue.is_some() { FIRST_NEWS_TRIES_ELSEWHERE } else { FIRST_NEWS_TRIES };
    know_each_other(&services, &rings, &connection, tries).await;
    write_starter(args, &data, &router).await?;
    let server = axum::serve(listener, router).with_graceful_shutdown(called(stop_answers.subscribe()));
    let mut server = tokio::spawn(server.into_future());
    greet(args, address);
    tracing::info!(%address, data = %args.data.display(), version = env!("CARGO_PKG_VERSION"), "serving");

    tokio::select! {
        () = signals => {}
        ended = &mut server => {
            return ended.unwrap_or_else(|error| Err(std::io::Error::other(error))).map_err(ServeError::Serve);
        }
    }
    tracing::info!("stopping: answering what was asked, announcing what is marked, merging what is in hand");
    stop_answers.send_replace(true);
    if tokio::time::timeout(ANSWERS_MAX, server).await.is_err() {
        tracing::warn!("some requests were still being answered");
    }
    stop_wiring.send_replace(true);
    if let Err(error) = wiring.await {
        tracing::error!(%error, "the wiring failed");
    }
    while let Some(ended) = healers.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "healing failed");
        }
    }
    for service in services {
        service.store().clone().close().await;
    }
    tracing::info!("stopped");
    Ok(())
}

/// A broker that is away is waited for. A URL that is none will never become one, and no other site reaches a queue in
/// the data folder.
fn check_queue(args: &ServeArgs) -> Result<(), ServeError> {
    args.sites.check()?;
    let Some(given) = &args.queue else {
        return if args.sites.has_siblings() { Err(ServeError::SitesApart) } else { Ok(()) };
    };
    let url = given.url().map_err(ServeError::Queue)?;
    queue::check_scheme(url).map_err(ServeError::Queue)?;
    if args.sites.has_siblings() && matches!(url.scheme(), "embedded" | "memory") {
        return Err(ServeError::SitesApart);
    }
    if url.scheme() == "memory" {
        tracing::warn!("memory: forgets what is on its way when this process ends: counts may stay behind");
    }
    if given.loses() && args.anti_entropy_s() == 0 {
        tracing::warn!(
            queue = %url,
            "this broker loses messages, and --anti-entropy 0 never finds out what: counts will stay behind"
        );
    }
    if args.sites.has_siblings() && args.anti_entropy_s() == 0 {
        tracing::warn!(
            "--anti-entropy 0: what was written before this site had siblings is never told to them, nor what a queue loses"
        );
    }
    Ok(())
}

/// Waits until the services of this process have heard of the key that signs tokens here, so that the first request is
/// not told to come back. Bounded: with the queue away they answer all the same.
async fn know_each_other(
    services: &[Service],
    rings: &[Arc<KeyRing>],
    connection: &Connection,
    tries: usize,
) {
    let Some(key_id) = services.iter().find_map(Service::signing_key_id) else { return };
    for _ in 0..tries {
        if rings.iter().all(|ring| ring.public_key(&key_id).is_some()) {
            return;
        }
        if connection.why_not().is_some() {
            break;
        }
        tokio::time::sleep(FIRST_NEWS_PAUSE).await;
    }
    tracing::warn!("not every service has heard of the key that signs tokens yet");
}

/// Writes the starter story, or goes on with it. A story that cannot be written is no reason not to serve.
async fn write_starter(args: &ServeArgs, data: &Data, router: &Router) -> Result<(), DataError> {
    if args.empty || args.service.is_some() {
        return Ok(());
    }
    let Some(secret) = data.starter_secret()? else { return Ok(()) };
    match starter::write(router, &secret).await {
        Ok(()) => data.starter_is_done()?,
        Err(error) => {
            tracing::warn!(%error, "the starter story is not complete; the next start goes on with it");
        }
    }
    Ok(())
}

/// Completes at the first SIGTERM or SIGINT.
pub(crate) fn signals() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Says where to look. The first line is also what scripts read the port from.
fn greet(args: &ServeArgs, address: SocketAddr) {
    let shown = match args.service {
        None => format!("stories and comments  http://{address}/"),
        Some(service) => format!("only {}", service.name()),
    };
    let greeting = format!(
        "antiphon is at http://{address}\n  {shown}\n  the API, described    http://{address}{}\n  status, metrics       \
         http://{address}/status  http://{address}/metrics\n  data                  {}\n",
        api::openapi::OPENAPI_PATH,
        args.data.display(),
    );
    // Nobody may be reading: that is no reason to stop.
    if let Err(error) = std::io::stdout().lock().write_all(greeting.as_bytes()) {
        tracing::info!(%error, %address, "listening; the greeting could not be printed");
    }
}
