//! The HTTP face of Comments.
#![expect(unused_qualifications, reason = "what utoipa's macros make of the types that they are given")]

use crate::Comments;
use crate::comment::Comment;
use crate::read::{self, CommentPage, CommentView, List, Listing};
use crate::rows;
use crate::write::{self, NewComment};
use api::openapi::{ReadProblems, WriteProblems};
use api::text::check_comment;
use api::views::{Count, CountProof};
use api::{Caller, Cursor, IdempotencyKey, Json, Keys, NoQuery, PageQuery, Path, Problem, Query};
use axum::extract::{FromRef, State};
use axum::http::StatusCode;
use choreography::proof::{self, Told};
use messages::{CommentId, Fact, Group, ParagraphId, PartId, TallyFact, UserId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use store::{Abort, Reader, View};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

mod thread;

impl FromRef<Comments> for Arc<dyn Keys> {
    fn from_ref(comments: &Comments) -> Self {
        Arc::<api::KeyRing>::clone(&comments.keys)
    }
}

/// Every route of the service, described.
pub(crate) fn router() -> OpenApiRouter<Comments> {
    OpenApiRouter::new()
        .routes(routes!(post, list))
        .routes(routes!(counts))
        .routes(routes!(prove))
        .routes(routes!(show_comment, edit, delete))
        .routes(routes!(replies))
        .routes(routes!(thread::thread))
        .routes(routes!(set_visibility))
}

/// What is to be posted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PostRequest {
    /// 1 to 10,000 characters.
    #[schema(min_length = 1, max_length = 10_000)]
    text: String,
    /// The paragraph it is on; a reply is on that of the comment it answers.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    paragraph: Option<ParagraphId>,
    /// The comment it answers.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    parent: Option<CommentId>,
}

/// What it is to say.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EditRequest {
    /// 1 to 10,000 characters.
    #[schema(min_length = 1, max_length = 10_000)]
    text: String,
}

/// Whether it is to be seen.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct VisibilityRequest {
    /// False hides it.
    visible: bool,
}

/// A comment after a change, and the counts that it may have moved.
#[derive(Debug, Serialize, ToSchema)]
struct Changed {
    comment: CommentView,
    /// The part's count; its paragraph's and its parent's replies where there are such.
    counts: Vec<Count>,
}

/// The exact counts of a part.
#[derive(Debug, Serialize, ToSchema)]
struct PartCounts {
    /// All its comments.
    part: Count,
    /// Those on each paragraph that has any; a scan of at most 10,000 tallies.
    paragraphs: Vec<Count>,
}

/// In which order to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Order {
    Newest,
    Oldest,
}

/// How to list the comments of a part.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Newest first unless said otherwise.
    #[param(inline)]
    order: Option<Order>,
    /// True lists exactly what the part's count counts, replies and paragraph comments included; false, the default,
    /// the top level.
    #[serde(default)]
    flat: bool,
    /// Only those on this paragraph.
    #[param(value_type = Option<String>)]
    paragraph: Option<ParagraphId>,
    /// 1 to 100 items; 20 unless said otherwise.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// How to list the replies of a comment.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RepliesQuery {
    /// Oldest first unless said otherwise.
    #[param(inline)]
    order: Option<Order>,
    /// 1 to 100 items; 20 unless said otherwise.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

fn user(caller: &Caller) -> UserId {
    UserId::from_bytes(caller.user)
}

/// Posts a comment on a part, on a paragraph of it, or as a reply.
#[utoipa::path(
    post, path = "/v1/parts/{part}/comments", tag = "comments",
    params(("part" = String, Path), IdempotencyKey),
    responses((status = 201, body = Changed), WriteProblems),
    security(("bearer" = []))
)]
async fn post(
    State(comments): State<Comments>,
    Path(part): Path<PartId>,
    Query(NoQuery {}): Query<NoQuery>,
    caller: Caller,
    key: Option<IdempotencyKey>,
    Json(request): Json<PostRequest>,
) -> Result<(StatusCode, Json<Changed>), Problem> {
    let text = check_comment("text", &request.text)?;
    let key = IdempotencyKey::or_mint(key, comments.store.world().random());
    let author = user(&caller);
    let id = api::derive_id("comment", &[&author.to_bytes(), &part.to_bytes(), key.as_bytes()]);
    let optional = |id: Option<[u8; 16]>| id.map_or_else(Vec::new, Vec::from);
    let paragraph = optional(request.paragraph.map(ParagraphId::to_bytes));
    let parent = optional(request.parent.map(CommentId::to_bytes));
    let whole = api::derive_id("comment request", &[key.as_bytes(), &paragraph, &parent, text.as_bytes()]);
    let new = NewComment {
        id: CommentId::from_bytes(id),
        author,
        part,
        paragraph: request.paragraph,
        parent: request.parent,
        text,
        request: CommentId::from_bytes(whole).to_string(),
    };
    let changed = change(&comments, new.id, move |view| write::post(view, &new)).await?;
    Ok((StatusCode::CREATED, Json(changed)))
}

/// Lists the comments of a part.
#[utoipa::path(
    get, path = "/v1/parts/{part}/comments", tag = "comments",
    params(("part" = String, Path), ListQuery),
    responses((status = 200, body = CommentPage), ReadProblems)
)]
async fn list(
    State(comments): State<Comments>,
    Path(part): Path<PartId>,
    Query(query): Query<ListQuery>,
) -> Result<Json<CommentPage>, Problem> {
    let (kind, prefix) = match (query.paragraph, query.flat) {
        (Some(paragraph), _) => ("paragraph", rows::paragraph_prefix(part, paragraph)),
        (None, true) => ("flat", rows::flat_prefix(part)),
        (None, false) => ("thread", rows::thread_prefix(part)),
    };
    let page = PageQuery { limit: query.limit, cursor: query.cursor };
    let list = List {
        listing: if query.flat {
            Listing::Flat
        } else {
            Listing::TopLevel { paragraph: query.paragraph.is_some() }
        },
        newest_first: query.order != Some(Order::Oldest),
        items_max: page.items_max()?,
        after: after(&page, kind, &prefix)?,
        prefix,
    };
    let reader = comments.store.reader()?;
    let (items, next) = read::page(&reader, &list).await?;
    let count = read::count(&reader, Group::Part(part)).await?;
    Ok(Json(CommentPage { items, next: next.map(|key| Cursor::seal(kind, &key)), count: Some(count) }))
}

/// Where a page begins. A cursor of another list would show what was not asked for.
fn after(page: &PageQuery, kind: &str, prefix: &[u8]) -> Result<Option<Vec<u8>>, Problem> {
    match page.after(kind)? {
        Some(key) if !key.starts_with(prefix) => {
            Err(Problem::bad_request("cursor", "the cursor is of another list"))
        }
        after => Ok(after),
    }
}

/// The exact counts of a part and of its paragraphs.
#[utoipa::path(
    get, path = "/v1/parts/{part}/comment-counts", tag = "comments",
    params(("part" = String, Path)),
    responses((status = 200, body = PartCounts), ReadProblems)
)]
async fn counts(
    State(comments): State<Comments>,
    Path(part): Path<PartId>,
    Query(NoQuery {}): Query<NoQuery>,
) -> Result<Json<PartCounts>, Problem> {
    let reader = comments.store.reader()?;
    let paragraphs = read::paragraph_counts(&reader, part).await?;
    Ok(Json(PartCounts { part: read::count(&reader, Group::Part(part)).await?, paragraphs }))
}

/// The evidence for the count of a part: its tallies with their epochs, their fingerprint, and as of when it is exact.
#[utoipa::path(
    get, path = "/v1/parts/{part}/comment-counts/proof", tag = "comments",
    params(("part" = String, Path)),
    responses((status = 200, body = CountProof), ReadProblems)
)]
async fn prove(
    State(comments): State<Comments>,
    Path(part): Path<PartId>,
    Query(NoQuery {}): Query<NoQuery>,
) -> Result<Json<CountProof>, Problem> {
    let of = (TallyFact::TOPIC, Told::AndWritten);
    let proof = proof::prove::<rows::TallyRow>(&comments.store, &comments.heard, of, Group::Part(part));
    Ok(Json(proof.await?))
}

/// Shows a comment.
#[utoipa::path(
    get, path = "/v1/comments/{comment}", tag = "comments",
    params(("comment" = String, Path)),
    responses((status = 200, body = CommentView), ReadProblems)
)]
async fn show_comment(
    State(comments): State<Comments>,
    Path(comment): Path<CommentId>,
    Query(NoQuery {}): Query<NoQuery>,
) -> Result<Json<CommentView>, Problem> {
    Ok(Json(read::one(&comments.store.reader()?, comment).await?))
}

/// Lists the replies of a comment.
#[utoipa::path(
    get, path = "/v1/comments/{comment}/replies", tag = "comments",
    params(("comment" = String, Path), RepliesQuery),
    responses((status = 200, body = CommentPage), ReadProblems)
)]
async fn replies(
    State(comments): State<Comments>,
    Path(comment): Path<CommentId>,
    Query(query): Query<RepliesQuery>,
) -> Result<Json<CommentPage>, Problem> {
    let (kind, prefix) = ("replies", rows::replies_prefix(comment));
    let page = PageQuery { limit: query.limit, cursor: query.cursor };
    let list = List {
        listing: Listing::Replies,
        newest_first: query.order == Some(Order::Newest),
        items_max: page.items_max()?,
        after: after(&page, kind, &prefix)?,
        prefix,
    };
    let (items, next) = read::page(&comments.store.reader()?, &list).await?;
    Ok(Json(CommentPage { items, next: next.map(|key| Cursor::seal(kind, &key)), count: None }))
}

/// Changes what a comment says. Its author only.
#[utoipa::path(
    patch, path = "/v1/comments/{comment}", tag = "comments",
    params(("comment" = String, Path)),
    responses((status = 200, body = CommentView), WriteProblems),
    security(("bearer" = []))
)]
async fn edit(
    State(comments): State<Comments>,
    Path(comment): Path<CommentId>,
    Query(NoQuery {}): Query<NoQuery>,
    caller: Caller,
    Json(request): Json<EditRequest>,
) -> Result<Json<CommentView>, Problem> {
    let text = check_comment("text", &request.text)?;
    let by = user(&caller);
    let changed = change(&comments, comment, move |view| write::edit(view, comment, by, &text)).await?;
    Ok(Json(changed.comment))
}

/// Deletes a comment for good. Its author, and the story's, may. Repeating it changes nothing.
#[utoipa::path(
    delete, path = "/v1/comments/{comment}", tag = "comments",
    params(("comment" = String, Path)),
    responses((status = 200, body = Changed), WriteProblems),
    security(("bearer" = []))
)]
async fn delete(
    State(comments): State<Comments>,
    Path(comment): Path<CommentId>,
    Query(NoQuery {}): Query<NoQuery>,
    caller: Caller,
) -> Result<Json<Changed>, Problem> {
    let by = user(&caller);
    Ok(Json(change(&comments, comment, move |view| write::delete(view, comment, by)).await?))
}

/// Hides a comment, or shows it again. The story's author only.
#[utoipa::path(
    put, path = "/v1/comments/{comment}/visibility", tag = "comments",
    params(("comment" = String, Path)),
    responses((status = 200, body = Changed), WriteProblems),
    security(("bearer" = []))
)]
async fn set_visibility(
    State(comments): State<Comments>,
    Path(comment): Path<CommentId>,
    Query(NoQuery {}): Query<NoQuery>,
    caller: Caller,
    Json(request): Json<VisibilityRequest>,
) -> Result<Json<Changed>, Problem> {
    let by = user(&caller);
    let set = move |view: &mut View<'_>| write::set_visible(view, comment, by, request.visible);
    Ok(Json(change(&comments, comment, set).await?))
}

/// Runs a change, and answers with what is on the disk then.
async fn change<F>(comments: &Comments, id: CommentId, function: F) -> Result<Changed, Problem>
where
    F: FnMut(&mut View<'_>) -> Result<Comment, Abort<Problem>> + Send + 'static,
{
    comments.store.write(function).await?;
    let reader: Reader = comments.store.reader()?;
    let stored = reader.get::<rows::CommentRow>(&id).await?.unwrap_or_default();
    let counts = read::counts_around(&reader, &stored).await?;
    Ok(Changed { comment: read::one(&reader, id).await?, counts })
}
