//! Health, readiness, depths, metrics.

use crate::node::Service;
use crate::plain_counter::PlainCounter;
use crate::wiring::Connection;
use api::{Json, Problem};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use choreography::kept;
use consumer::Chain;
use metrics_exporter_prometheus::PrometheusHandle;
use queue::{Depth, Subscription};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::timeout;

mod counting;
mod lag;

pub(crate) use lag::{LagStatus, Window};

/// How long the queue may take to tell its depths.
const DEPTHS_MAX: Duration = Duration::from_secs(10);

/// What the status pages look at.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    pub(crate) services: Vec<Service>,
    pub(crate) connection: Connection,
    pub(crate) metrics: PrometheusHandle,
    pub(crate) plain_counter: Option<PlainCounter>,
}

impl Watched {
    /// The wall clock of the stores; 0 where there is none.
    fn now_ms(&self) -> u64 {
        self.services.first().map(|service| service.store().world().now_ms()).unwrap_or_default()
    }
}

#[derive(Debug, Serialize)]
struct Status {
    version: &'static str,
    deployment: Option<String>,
    services: BTreeMap<&'static str, ServiceStatus>,
    queue: QueueStatus,
    /// What the services of this process hear, by subscription.
    links: BTreeMap<String, LinkStatus>,
    /// Nothing is to be announced, and nothing is on its way.
    quiet: bool,
}

#[derive(Debug, Serialize)]
struct ServiceStatus {
    replica: String,
    /// Rows that are still to be announced; at least so many where `outbox_more` is true.
    outbox: usize,
    outbox_more: bool,
    /// Messages that were not understood.
    kept: u64,
    /// No more writes are taken; a restart is needed.
    stopped: bool,
    /// Who counts what is counted here, and whether something is counted again.
    #[serde(flatten)]
    counting: counting::CountingStatus,
}

#[derive(Debug, Serialize)]
struct LinkStatus {
    /// How long it takes until what was changed elsewhere is shown here.
    lag: LagStatus,
    /// What it knows of each replica that announces there, from the digests it heard.
    publishers: BTreeMap<String, choreography::anti_entropy::LinkStatus>,
}

#[derive(Debug, Serialize)]
struct QueueStatus {
    /// Where it is, without a password.
    url: String,
    connected: bool,
    /// Why it cannot be used, or does not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    why_not: Option<String>,
    /// Messages that this process is merging.
    in_hand: usize,
    /// Messages that it was given since its start.
    handled: u64,
    subscriptions: BTreeMap<String, DepthStatus>,
}

#[derive(Debug, Serialize)]
struct DepthStatus {
    ready: u64,
    in_flight: u64,
    delayed: u64,
    dead: u64,
}

impl From<Depth> for DepthStatus {
    fn from(depth: Depth) -> Self {
        Self { ready: depth.ready, in_flight: depth.in_flight, delayed: depth.delayed, dead: depth.dead }
    }
}

/// The routes of an operator.
pub(crate) fn routes(watched: Watched) -> Router {
    Router::new()
        .route("/health", get(async || "ok\n"))
        .route("/ready", get(ready))
        .route("/status", get(status))
        .route("/metrics", get(metrics))
        .route("/debug/plain-counts", get(plain_counts))
        .with_state(watched)
}

/// Ready means that requests are answered: that needs the stores, and neither the queue nor any other service.
async fn ready(State(watched): State<Watched>) -> Response {
    for service in &watched.services {
        let store = service.store();
        if let Some(error) = store.reader().err().or_else(|| store.stopped()) {
            let problem = format!("{}: {error}\n", service.name());
            return (StatusCode::SERVICE_UNAVAILABLE, problem).into_response();
        }
    }
    "ready\n".into_response()
}

async fn status(State(watched): State<Watched>) -> Result<Json<Status>, Problem> {
    look(&watched).await.map(Json)
}

async fn look(watched: &Watched) -> Result<Status, Problem> {
    // Outboxes first: what leaves one of them is seen in the queue that is looked at next.
    let mut services = BTreeMap::new();
    for service in &watched.services {
        let (outbox, outbox_more) = service.store().outbox_depth();
        let kept = kept::depth(service.store()).await?;
        let replica = service.store().identity().replica.to_string();
        let stopped = service.store().stopped().is_some();
        let counting = counting::look(service.store()).await?;
        let status = ServiceStatus { replica, outbox, outbox_more, kept, stopped, counting };
        services.insert(service.name(), status);
    }
    let queue = look_at_queue(&watched.connection).await;
    let announced = services.values().all(|service| service.outbox == 0 && !service.outbox_more);
    // What nobody told us of is not known to be empty.
    let arrived = watched.connection.heard().iter().all(|subscription| {
        let depth = queue.subscriptions.get(&subscription.to_string());
        depth.is_some_and(|depth| depth.ready == 0 && depth.in_flight == 0 && depth.delayed == 0)
    });
    let lags = watched.connection.lags().into_iter();
    let links = lags.map(|(subscription, lag)| {
        let now_ms = watched.now_ms();
        let publishers = publishers_of(watched, &subscription);
        (subscription.to_string(), LinkStatus { lag: LagStatus::of(&lag, now_ms), publishers })
    });
    Ok(Status {
        version: env!("CARGO_PKG_VERSION"),
        deployment: watched.services.first().map(|service| service.store().identity().deployment.clone()),
        quiet: announced && queue.connected && arrived && queue.in_hand == 0,
        links: links.collect(),
        services,
        queue,
    })
}

/// What a link heard of those that announce.
fn publishers_of(
    watched: &Watched,
    subscription: &Subscription,
) -> BTreeMap<String, choreography::anti_entropy::LinkStatus> {
    let service = watched.services.iter().find(|service| service.name() == subscription.service());
    let heard = service.and_then(|service| service.heard().all().remove(subscription.topic().as_str()));
    heard.unwrap_or_default().into_iter().map(|(replica, status)| (replica.to_string(), status)).collect()
}

/// A queue that does not answer is told, and hides nothing of the services.
async fn look_at_queue(connection: &Connection) -> QueueStatus {
    let mut status = QueueStatus {
        url: connection.url(),
        connected: false,
        why_not: connection.why_not(),
        in_hand: connection.in_hand(),
        handled: connection.handled(),
        subscriptions: BTreeMap::new(),
    };
    let Some(queue) = connection.queue() else { return status };
    status.connected = true;
    match timeout(DEPTHS_MAX, queue.subscriptions()).await {
        Ok(Ok(depths)) => {
            let named = |(name, depth): (Subscription, Depth)| (name.to_string(), depth.into());
            status.subscriptions = depths.into_iter().map(named).collect();
        }
        Ok(Err(error)) => status.why_not = Some(Chain(&error).to_string()),
        Err(_) => status.why_not = Some(format!("it did not tell its depths within {DEPTHS_MAX:?}")),
    }
    status
}

async fn metrics(State(watched): State<Watched>) -> Result<Response, Problem> {
    let status = look(&watched).await?;
    for (service, depths) in &status.services {
        gauge(
            "antiphon_outbox_rows",
            [("service", service)],
            u64::try_from(depths.outbox).unwrap_or(u64::MAX),
        );
        gauge("antiphon_kept_messages", [("service", service)], depths.kept);
        gauge("antiphon_store_stopped", [("service", service)], u64::from(depths.stopped));
    }
    for (subscription, depth) in &status.queue.subscriptions {
        for (state, messages) in [
            ("ready", depth.ready),
            ("in_flight", depth.in_flight),
            ("delayed", depth.delayed),
            ("dead", depth.dead),
        ] {
            gauge(
                "antiphon_queue_messages",
                [("subscription", subscription.as_str()), ("state", state)],
                messages,
            );
        }
    }
    watched.metrics.run_upkeep();
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], watched.metrics.render()).into_response())
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; 2^53 messages are beyond every bound")]
fn gauge<const N: usize>(name: &'static str, labels: [(&'static str, &str); N], value: u64) {
    let labels = labels.map(|(name, value)| metrics::Label::new(name, value.to_owned()));
    metrics::gauge!(name, labels.to_vec()).set(value as f64);
}

async fn plain_counts(State(watched): State<Watched>) -> Result<Json<BTreeMap<String, i64>>, Problem> {
    match &watched.plain_counter {
        Some(counter) => Ok(Json(counter.counts().await?)),
        None => Err(Problem::not_found("plain counter")),
    }
}
