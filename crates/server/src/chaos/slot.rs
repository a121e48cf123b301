//! A service that can be taken away: its HTTP, its relay, its pumps and its store.

use super::error::ChaosError;
use super::platform::Ground;
use crate::cli::ServiceName;
use crate::node::{self, NodeError, Service};
use crate::plain_counter;
use crate::wiring::{Connection, Wiring, called};
use api::Problem;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::OpenError;
use tokio::sync::{Mutex as Turn, RwLock, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tower::ServiceExt;

/// How long requests that are being answered may take when a service is stopped.
const ANSWERS_MAX: Duration = Duration::from_secs(5);
/// A store that was dropped a moment ago is free soon: so long is waited for it …
const FREE_MAX: Duration = Duration::from_secs(10);
/// … and it is tried this often.
const FREE_EVERY: Duration = Duration::from_millis(25);
/// When one that is away may be asked again.
const RETRY_AFTER_S: u32 = 1;

/// Every service, in the order of starting.
pub(super) fn names() -> [ServiceName; 3] {
    [ServiceName::Users, ServiceName::Stories, ServiceName::Comments]
}

/// How a service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Condition {
    Running,
    Stopping,
    Stopped,
    Killed,
    Starting,
}

/// The place of a service, whether it is there or not. Clones are the same place.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    name: ServiceName,
    ground: Arc<Ground>,
    seen: Arc<Mutex<Seen>>,
    /// The tasks of the service, held by whoever starts or ends it.
    turn: Arc<Turn<Option<Tasks>>>,
}

/// What requests and the watch see.
#[derive(Debug)]
struct Seen {
    condition: Condition,
    live: Option<Live>,
}

/// A running service.
#[derive(Debug, Clone)]
struct Live {
    router: Router,
    service: Service,
    connection: Connection,
    /// Read by every request while it is answered.
    answering: Arc<RwLock<()>>,
    killed: watch::Receiver<bool>,
}

#[derive(Debug)]
struct Tasks {
    stop: watch::Sender<bool>,
    kill: watch::Sender<bool>,
    /// Announcing, merging and healing.
    work: JoinHandle<()>,
}

impl Slot {
    pub(super) fn new(name: ServiceName, ground: Arc<Ground>) -> Self {
        let seen = Arc::new(Mutex::new(Seen { condition: Condition::Stopped, live: None }));
        Self { name, ground, seen, turn: Arc::default() }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn name(&self) -> ServiceName {
        self.name
    }

    pub(super) fn condition(&self) -> Condition {
        self.seen().condition
    }

    /// The service, while it runs.
    pub(super) fn service(&self) -> Option<Service> {
        self.seen().live.as_ref().map(|live| live.service.clone())
    }

    /// Messages that it is merging.
    pub(super) fn in_hand(&self) -> usize {
        self.seen().live.as_ref().map_or(0, |live| live.connection.in_hand())
    }

    /// The paths that it answers.
    pub(super) fn paths(&self) -> Vec<String> {
        let Some(service) = self.service() else { return Vec::new() };
        let (_, description) = service.router().split_for_parts();
        description.paths.paths.into_keys().collect()
    }

    /// Starts the service on its own store, if it does not run.
    pub(super) async fn start(&self) -> Result<(), ChaosError> {
        let mut turn = self.turn.lock().await;
        if turn.is_some() {
            return Ok(());
        }
        let before = std::mem::replace(&mut self.seen().condition, Condition::Starting);
        match self.open().await {
            Ok((live, tasks)) => {
                *turn = Some(tasks);
                *self.seen() = Seen { condition: Condition::Running, live: Some(live) };
                Ok(())
            }
            Err(error) => {
                self.seen().condition = before;
                Err(error)
            }
        }
    }

    async fn open(&self) -> Result<(Live, Tasks), ChaosError> {
        let ground = &self.ground;
        let args = crate::cli::ServeArgs { service: Some(self.name), ..ground.args.clone() };
        let began = Instant::now();
        let services = loop {
            match node::open(&args, &ground.data, &ground.world).await {
                Ok((services, _)) => break services,
                // Whoever still holds it has been told to let go.
                Err(NodeError::Open(OpenError::Locked { .. })) if began.elapsed() < FREE_MAX => {
                    sleep(FREE_EVERY).await;
                }
                Err(error) => return Err(error.into()),
            }
        };
        let service = services.first().cloned().ok_or(ChaosError::Nobody)?;
        let (router, _) = service.router().split_for_parts();
        let counted =
            middleware::from_fn_with_state(ground.plain_counter.clone(), plain_counter::count_requests);
        let connection = Connection::default();
        let (stop, kill) = (watch::Sender::new(false), watch::Sender::new(false));
        let wiring = Wiring {
            args,
            data: ground.data.clone(),
            world: Arc::clone(&ground.world),
            services,
            plain_counter: None,
            connection: connection.clone(),
            opened: Some(Arc::clone(&ground.queue)),
        };
        let live = Live {
            router: router.route_layer(counted),
            service,
            connection,
            answering: Arc::default(),
            killed: kill.subscribe(),
        };
        let healer = live.service.healer();
        let (wiring, healer) = (wiring.run(stop.subscribe()), healer.run(called(stop.subscribe())));
        let work = tokio::spawn(async move {
            tokio::join!(wiring, healer);
        });
        Ok((live, Tasks { stop, kill, work }))
    }

    /// Stops the service as `serve` does: it answers what it was asked, announces what is marked, merges what it holds.
    pub(super) async fn stop(&self) {
        let mut turn = self.turn.lock().await;
        let Some(tasks) = turn.take() else { return };
        let live = self.leave(Condition::Stopping);
        if let Some(live) = &live
            && timeout(ANSWERS_MAX, live.answering.write()).await.is_err()
        {
            tracing::warn!(service = self.name.name(), "some requests were still being answered");
        }
        tasks.kill.send_replace(true);
        tasks.stop.send_replace(true);
        end(tasks.work).await;
        if let Some(live) = live {
            let store = live.service.store().clone();
            drop(live);
            store.close().await;
        }
        self.seen().condition = Condition::Stopped;
    }

    /// Drops the service where it stands: requests are not answered, nothing is announced, what it merges is left
    /// half-way, and its store is not closed.
    pub(super) async fn kill(&self) {
        let mut turn = self.turn.lock().await;
        let Some(tasks) = turn.take() else { return };
        let live = self.leave(Condition::Killed);
        tasks.kill.send_replace(true);
        tasks.work.abort();
        end(tasks.work).await;
        drop(live);
    }

    /// Answers nobody from now on.
    fn leave(&self, condition: Condition) -> Option<Live> {
        let mut seen = self.seen();
        seen.condition = condition;
        seen.live.take()
    }

    /// Passes a request on, if the service is there.
    pub(super) async fn answer(&self, request: Request) -> Response {
        let Some(mut live) = self.seen().live.clone() else {
            return self.away("it is not running").into_response();
        };
        let _answering = Arc::clone(&live.answering).read_owned().await;
        let router = live.router.clone();
        tokio::select! {
            answer = router.oneshot(afresh(request)) => answer.unwrap_or_else(|never| match never {}),
            // An error means that nobody can kill it any more, so it was.
            _ = live.killed.wait_for(|killed| *killed) => {
                self.away("it was killed before it answered").into_response()
            }
        }
    }

    fn away(&self, why: &str) -> Problem {
        let name = self.name.name();
        Problem::unavailable(
            format!("{name} is away ({why}): repeat with the same Idempotency-Key"),
            RETRY_AFTER_S,
        )
    }
}

/// The request without what the outer router noted on it: the inner one reads the path itself.
fn afresh(request: Request) -> Request<Body> {
    let (parts, body) = request.into_parts();
    let mut fresh = Request::new(body);
    *fresh.method_mut() = parts.method;
    *fresh.uri_mut() = parts.uri;
    *fresh.version_mut() = parts.version;
    *fresh.headers_mut() = parts.headers;
    fresh
}

async fn end(work: JoinHandle<()>) {
    match work.await {
        Err(error) if error.is_panic() => tracing::error!(%error, "the work of a service failed"),
        // It ended, or was dropped: both as it was told.
        _ => {}
    }
}
