//! The place of a part in its story.

use super::{change, user};
use crate::Stories;
use crate::place::{self, Move};
use crate::read::{self, StoryView};
use crate::rows::PartFactRow;
use api::openapi::WriteProblems;
use api::{Caller, Json, NoQuery, Path, Problem, Query};
use axum::extract::State;
use messages::PartId;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn router() -> OpenApiRouter<Stories> {
    OpenApiRouter::new().routes(routes!(place_part))
}

/// Where a part is to stand.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PlaceRequest {
    /// Behind which part of the same story; null puts it first.
    // Without a default of its own, so that a body that forgets it moves nothing to the front.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(value_type = Option<String>, required)]
    behind: Option<PartId>,
}

/// Moves a part in its story, and shows the story. Its author only. Repeating it changes nothing.
///
/// Of two moves of one part at the same time one holds; moves of different parts both do. A story remembers where its
/// parts have stood, in at most 3 MiB: one more move is refused with 409, which names the limit, and parts can still be
/// published.
#[utoipa::path(
    put, path = "/v1/parts/{part}/place", tag = "stories",
    params(("part" = String, Path)),
    responses((status = 200, body = StoryView), WriteProblems),
    security(("bearer" = []))
)]
async fn place_part(
    State(stories): State<Stories>,
    Path(part): Path<PartId>,
    Query(NoQuery {}): Query<NoQuery>,
    caller: Caller,
    Json(PlaceRequest { behind }): Json<PlaceRequest>,
) -> Result<Json<StoryView>, Problem> {
    let never_placed = read::never_placed(&stories.store.reader()?, part).await?;
    let wanted = Move { part, by: user(&caller), behind, never_placed };
    let reader = change(&stories, move |view| place::move_part(view, &wanted)).await?;
    let fact = reader.get::<PartFactRow>(&part).await?.unwrap_or_default();
    let story = fact.place.get().map(|place| place.story).ok_or_else(|| Problem::not_found("part"))?;
    Ok(Json(read::story(&reader, story).await?))
}
