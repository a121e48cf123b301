//! Votes, which are exact, and reads, which are statistics.

use super::{change, user};
use crate::Stories;
use crate::read_part::{self, Voted};
use crate::write;
use api::openapi::WriteProblems;
use api::{Caller, Json, NoQuery, Path, Problem, Query};
use axum::extract::State;
use axum::http::StatusCode;
use messages::PartId;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn router() -> OpenApiRouter<Stories> {
    OpenApiRouter::new().routes(routes!(vote, unvote)).routes(routes!(count_read))
}

/// Votes for a part. Repeating it changes nothing.
#[utoipa::path(
    put, path = "/v1/parts/{part}/vote", tag = "stories",
    params(("part" = String, Path)),
    responses((status = 200, body = Voted), WriteProblems),
    security(("bearer" = []))
)]
async fn vote(
    State(stories): State<Stories>,
    Path(part): Path<PartId>,
    Query(NoQuery {}): Query<NoQuery>,
    caller: Caller,
) -> Result<Json<Voted>, Problem> {
    set(&stories, part, &caller, true).await
}

/// Takes a vote back. Repeating it changes nothing.
#[utoipa::path(
    delete, path = "/v1/parts/{part}/vote", tag = "stories",
    params(("part" = String, Path)),
    responses((status = 200, body = Voted), WriteProblems),
    security(("bearer" = []))
)]
async fn unvote(
    State(stories): State<Stories>,
    Path(part): Path<PartId>,
    Query(NoQuery {}): Query<NoQuery>,
    caller: Caller,
) -> Result<Json<Voted>, Problem> {
    set(&stories, part, &caller, false).await
}

async fn set(stories: &Stories, part: PartId, caller: &Caller, yes: bool) -> Result<Json<Voted>, Problem> {
    let user = user(caller);
    let reader = change(stories, move |view| write::set_vote(view, part, user, yes)).await?;
    Ok(Json(read_part::voted(&reader, part, user).await?))
}

/// Counts one more read of a part: statistics, not exact.
#[utoipa::path(
    post, path = "/v1/parts/{part}/reads", tag = "stories",
    params(("part" = String, Path)),
    responses((status = 204), WriteProblems)
)]
async fn count_read(
    State(stories): State<Stories>,
    Path(part): Path<PartId>,
    Query(NoQuery {}): Query<NoQuery>,
) -> Result<StatusCode, Problem> {
    // Relaxed: nobody is promised that a read is counted, so nobody waits for the disk.
    stories.store.write_relaxed(move |view| write::count_read(view, part)).await?;
    Ok(StatusCode::NO_CONTENT)
}
