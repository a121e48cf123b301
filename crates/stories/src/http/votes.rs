//! Votes, which are exact, and reads, which are statistics.

use super::{change, user};
use crate::Stories;
use crate::read_part::{self, Voted};
use crate::readers::Reader;
use crate::write;
use api::body::BODY_BYTES_MAX;
use api::openapi::WriteProblems;
use api::{Caller, IdempotencyKey, Json, NoQuery, Path, Problem, Query};
use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest as _, Request, State};
use axum::http::StatusCode;
use messages::PartId;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;
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

/// Who reads.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReadRequest {
    /// A random name that a browser made for itself and keeps: 22 to 255 visible ASCII characters other than `"` and
    /// `\`. It is not stored. Where a token is sent, its user is the reader and not this.
    #[serde(default)]
    #[schema(min_length = 22, max_length = 255)]
    reader: Option<String>,
}

/// Counts one more read of a part, and its reader: statistics, not exact.
///
/// The reader is the token's user, else the one that the body names. Body and token may both be left out: then only the
/// read is counted.
#[utoipa::path(
    post, path = "/v1/parts/{part}/reads", tag = "stories",
    params(("part" = String, Path)),
    request_body = Option<ReadRequest>,
    responses((status = 204), WriteProblems),
    security((), ("bearer" = []))
)]
async fn count_read(
    State(stories): State<Stories>,
    Path(part): Path<PartId>,
    Query(NoQuery {}): Query<NoQuery>,
    caller: Option<Caller>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let named = body_if_any::<ReadRequest>(request).await?.reader;
    // Read as an idempotency key is: as long, of the same characters, and made in the same way.
    let named = named.map(|name| IdempotencyKey::parse(name.as_bytes())).transpose();
    let named = named.map_err(|problem| problem.with_field("reader"))?;
    let reader = match (caller, named) {
        (Some(caller), _) => Some(Reader::User(user(&caller))),
        (None, named) => named.map(|name| Reader::Named(name.as_str().to_owned())),
    };
    // Relaxed: nobody is promised that a read is counted, so nobody waits for the disk.
    let random = stories.store.world().random();
    stories.store.write_relaxed(move |view| write::count_read(view, part, reader.as_ref(), random)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A JSON body as [`Json`] reads it, or bottom where there is none: that is what clients sent before there was anything
/// to say, and it needs no content type. `null` says as little: the description of a body that may be left out allows it.
async fn body_if_any<T: DeserializeOwned + Default>(request: Request) -> Result<T, Problem> {
    let (head, body) = request.into_parts();
    // Whose body breaks off is not there to read the answer.
    let bytes = to_bytes(body, BODY_BYTES_MAX).await.map_err(|_| Problem::too_large(BODY_BYTES_MAX))?;
    if bytes.is_empty() || bytes.trim_ascii() == b"null" {
        return Ok(T::default());
    }
    let Json(body) = Json::from_request(Request::from_parts(head, Body::from(bytes)), &()).await?;
    Ok(body)
}
