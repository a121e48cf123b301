//! What a process shows over HTTP: the services' routes, the pages, the operator's routes, and the limits around them.

use crate::node::Service;
use crate::pages;
use crate::plain_counter;
use crate::status::{self, Watched};
use api::Problem;
use api::openapi::{self, SharedParts};
use api::problem::problems_only;
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

/// Reads that are answered at a time; one more is told to come back.
const READS_MAX: usize = 1024;
/// Other requests that are answered at a time, the reading of their bodies included: a pool of their own, so that slow
/// senders hold back no reader.
const WRITES_MAX: usize = 1024;
/// How long an answer may take, the reading of the request included.
const ANSWER_MAX: Duration = Duration::from_secs(30);

#[derive(Debug, OpenApi)]
#[openapi(
    info(title = "Antiphon", description = "Comments for serial stories, with counts that never drift."),
    modifiers(&SharedParts)
)]
struct Description;

/// The routes of this process.
pub(crate) fn router(watched: Watched) -> Result<Router, serde_json::Error> {
    let described = watched
        .services
        .iter()
        .fold(OpenApiRouter::with_openapi(Description::openapi()), |router, service| {
            router.merge(service.router())
        });
    let (mut services, description) = described.split_for_parts();
    if let Some(counter) = watched.plain_counter.clone() {
        services =
            services.route_layer(middleware::from_fn_with_state(counter, plain_counter::count_requests));
    }
    let services = limited(services.merge(openapi::routes(&description)?));
    let shows_pages = watched.services.iter().any(|service| matches!(service, Service::Stories(_)));
    let mut all = services.merge(status::routes(watched));
    if shows_pages {
        all = all.merge(pages::routes());
    }
    Ok(problems_only(all))
}

/// Routes behind the limits on how many requests are answered at a time, and for how long.
pub(crate) fn limited(routes: Router) -> Router {
    let pools =
        Pools { reads: Arc::new(Semaphore::new(READS_MAX)), writes: Arc::new(Semaphore::new(WRITES_MAX)) };
    routes.layer(middleware::from_fn_with_state(pools, limit))
}

/// Places for requests.
#[derive(Debug, Clone)]
struct Pools {
    reads: Arc<Semaphore>,
    writes: Arc<Semaphore>,
}

/// Bounds how many requests are answered at a time, and for how long each. A panic is our mistake, and an answer too.
async fn limit(State(pools): State<Pools>, request: Request, next: Next) -> Response {
    let pool = if request.method().is_safe() { pools.reads } else { pools.writes };
    let Ok(_permit) = pool.try_acquire() else {
        return Problem::unavailable("too many requests at a time", 1).into_response();
    };
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind();
    match tokio::time::timeout(ANSWER_MAX, answer).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => {
            Problem::internal(&std::io::Error::other("answering a request panicked")).into_response()
        }
        Err(_) => Problem::unavailable("the answer took too long: repeat with the same Idempotency-Key", 1)
            .into_response(),
    }
}
