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
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

/// Requests that are answered at a time; one more is told to come back.
const REQUESTS_MAX: usize = 1024;
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
    let permits = Arc::new(Semaphore::new(REQUESTS_MAX));
    let services =
        services.merge(openapi::routes(&description)?).layer(middleware::from_fn_with_state(permits, limit));
    let shows_pages = watched.services.iter().any(|service| matches!(service, Service::Stories(_)));
    let mut all = services.merge(status::routes(watched));
    if shows_pages {
        all = all.merge(pages::routes());
    }
    Ok(problems_only(all))
}

/// Bounds how many requests are answered at a time, and for how long each.
async fn limit(State(permits): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    let Ok(_permit) = permits.try_acquire() else {
        return Problem::unavailable("too many requests at a time", 1).into_response();
    };
    match tokio::time::timeout(ANSWER_MAX, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::unavailable("the answer took too long: repeat with the same Idempotency-Key", 1)
            .into_response(),
    }
}
