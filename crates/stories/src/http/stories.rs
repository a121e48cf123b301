//! Stories: begin one, list them, show one.

use super::{change, fingerprint, user};
use crate::Stories;
use crate::read::{self, StoryPage, StoryView};
use crate::rows;
use crate::write::{self, NewStory};
use api::openapi::{ReadProblems, WriteProblems};
use api::text::check_title;
use api::{Caller, Cursor, IdempotencyKey, Json, NoQuery, PageQuery, Path, Problem, Query};
use axum::extract::State;
use axum::http::StatusCode;
use messages::StoryId;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn router() -> OpenApiRouter<Stories> {
    OpenApiRouter::new().routes(routes!(create_story, list_stories)).routes(routes!(show_story))
}

/// The story to begin.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewStoryRequest {
    /// 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200)]
    title: String,
}

/// Begins a story.
#[utoipa::path(
    post, path = "/v1/stories", tag = "stories",
    params(IdempotencyKey),
    responses((status = 201, body = StoryView), WriteProblems),
    security(("bearer" = []))
)]
async fn create_story(
    State(stories): State<Stories>,
    Query(NoQuery {}): Query<NoQuery>,
    caller: Caller,
    key: Option<IdempotencyKey>,
    Json(request): Json<NewStoryRequest>,
) -> Result<(StatusCode, Json<StoryView>), Problem> {
    let title = check_title("title", &request.title)?;
    let key = IdempotencyKey::or_mint(key, stories.store.world().random());
    let author = user(&caller);
    let id = StoryId::from_bytes(api::derive_id("story", &[&author.to_bytes(), key.as_bytes()]));
    let request = fingerprint("story request", &key, &[title.as_bytes()]);
    let new = NewStory { id, author, title, request };
    let reader = change(&stories, move |view| write::create_story(view, &new)).await?;
    Ok((StatusCode::CREATED, Json(read::story(&reader, id).await?)))
}

/// Lists the stories, newest first.
#[utoipa::path(
    get, path = "/v1/stories", tag = "stories",
    params(PageQuery),
    responses((status = 200, body = StoryPage), ReadProblems)
)]
async fn list_stories(
    State(stories): State<Stories>,
    Query(page): Query<PageQuery>,
) -> Result<Json<StoryPage>, Problem> {
    let (kind, items_max) = ("stories", page.items_max()?);
    let after = page.after(kind)?;
    if after.as_ref().is_some_and(|key| rows::listed_story(key).is_none()) {
        return Err(Problem::bad_request("cursor", "the cursor is of another list"));
    }
    let (items, next) = read::stories(&stories.store.reader()?, after.as_deref(), items_max).await?;
    Ok(Json(StoryPage { items, next: next.map(|key| Cursor::seal(kind, &key)) }))
}

/// Shows a story with its parts.
#[utoipa::path(
    get, path = "/v1/stories/{story}", tag = "stories",
    params(("story" = String, Path)),
    responses((status = 200, body = StoryView), ReadProblems)
)]
async fn show_story(
    State(stories): State<Stories>,
    Path(story): Path<StoryId>,
    Query(NoQuery {}): Query<NoQuery>,
) -> Result<Json<StoryView>, Problem> {
    Ok(Json(read::story(&stories.store.reader()?, story).await?))
}
