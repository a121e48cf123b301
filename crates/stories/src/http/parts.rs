//! Parts: publish one, show it, edit it, take it down.

use super::{change, fingerprint, user};
use crate::Stories;
use crate::edit::{Edit, check_paragraphs};
use crate::read_part::{self, PartView};
use crate::rows::CommentTallyRow;
use crate::write::{self, NewPart};
use api::openapi::{ReadProblems, WriteProblems};
use api::text::{check_paragraph, check_title};
use api::views::CountProof;
use api::{Caller, IdempotencyKey, Json, NoQuery, Path, Problem, Query};
use axum::extract::State;
use axum::http::StatusCode;
use choreography::proof::{self, Told};
use messages::{Fact, Group, ParagraphId, PartId, StoryId, TallyFact};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn router() -> OpenApiRouter<Stories> {
    OpenApiRouter::new()
        .routes(routes!(create_part))
        .routes(routes!(show_part, edit_part, delete_part))
        .routes(routes!(prove_comments))
}

/// The part to publish.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPartRequest {
    /// 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200)]
    title: String,
    /// At most 500, each of 1 to 20,000 characters.
    #[schema(max_items = 500)]
    paragraphs: Vec<String>,
}

/// What a part is to be. What is left out stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EditPartRequest {
    /// 1 to 200 characters.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 200)]
    title: Option<String>,
    /// All its paragraphs in their new order, at most 500: those that are missing are removed.
    #[serde(default)]
    #[schema(max_items = 500)]
    paragraphs: Option<Vec<ParagraphRequest>>,
}

/// A paragraph of an edited part.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ParagraphRequest {
    /// Which of the part's paragraphs it is; a new one has none yet.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    id: Option<ParagraphId>,
    /// 1 to 20,000 characters.
    #[schema(min_length = 1, max_length = 20_000)]
    text: String,
}

/// Publishes a part of a story. The story's author only.
///
/// A retry with the same `Idempotency-Key` gets the part as it is now, with `gone` where it was taken down since.
#[utoipa::path(
    post, path = "/v1/stories/{story}/parts", tag = "stories",
    params(("story" = String, Path), IdempotencyKey),
    responses((status = 201, body = PartView), WriteProblems),
    security(("bearer" = []))
)]
async fn create_part(
    State(stories): State<Stories>,
    Path(story): Path<StoryId>,
    Query(NoQuery {}): Query<NoQuery>,
    caller: Caller,
    key: Option<IdempotencyKey>,
    Json(request): Json<NewPartRequest>,
) -> Result<(StatusCode, Json<PartView>), Problem> {
    let title = check_title("title", &request.title)?;
    check_paragraphs(request.paragraphs.len())?;
    let paragraphs = (0..).zip(&request.paragraphs);
    let checked = paragraphs
        .map(|(position, text): (usize, _)| check_paragraph(&format!("paragraphs[{position}]"), text));
    let paragraphs = checked.collect::<Result<Vec<_>, _>>()?;
    let key = IdempotencyKey::or_mint(key, stories.store.world().random());
    let author = user(&caller);
    let id = api::derive_id("part", &[&story.to_bytes(), &author.to_bytes(), key.as_bytes()]);
    let id = PartId::from_bytes(id);
    let fields: Vec<_> = std::iter::once(&title).chain(&paragraphs).map(String::as_bytes).collect();
    let request = fingerprint("part request", &key, &fields);
    let new = NewPart { id, story, author, title, paragraphs, request };
    let reader = change(&stories, move |view| write::create_part(view, &new)).await?;
    Ok((StatusCode::CREATED, Json(read_part::part_even_gone(&reader, id, Some(author)).await?)))
}

/// Shows a part. With a token it tells whether the caller votes for it.
#[utoipa::path(
    get, path = "/v1/parts/{part}", tag = "stories",
    params(("part" = String, Path)),
    responses((status = 200, body = PartView), WriteProblems),
    security((), ("bearer" = []))
)]
async fn show_part(
    State(stories): State<Stories>,
    Path(part): Path<PartId>,
    Query(NoQuery {}): Query<NoQuery>,
    caller: Option<Caller>,
) -> Result<Json<PartView>, Problem> {
    Ok(Json(read_part::part(&stories.store.reader()?, part, caller.as_ref().map(user)).await?))
}

/// Edits a part. Its author only.
///
/// A retry with the same `Idempotency-Key` changes nothing and gets the part as it is now, with `gone` where it was
/// taken down since; another body with that key is refused with 409. Without the header a retry is another edit: it
/// undoes what was changed since, and makes new paragraphs anew. A part remembers 1,000 edits with keys: one more is
/// refused with 400, which names the header and the limit, and can be sent without it.
///
/// As few paragraphs are moved as the list allows. The order takes at most 256 KiB, with what past moves left in it: an
/// edit that moves a paragraph beyond that is refused with 400, which names the limit; one that moves none is not.
#[utoipa::path(
    patch, path = "/v1/parts/{part}", tag = "stories",
    params(("part" = String, Path), IdempotencyKey),
    responses((status = 200, body = PartView), WriteProblems),
    security(("bearer" = []))
)]
async fn edit_part(
    State(stories): State<Stories>,
    Path(part): Path<PartId>,
    Query(NoQuery {}): Query<NoQuery>,
    caller: Caller,
    key: Option<IdempotencyKey>,
    Json(request): Json<EditPartRequest>,
) -> Result<Json<PartView>, Problem> {
    let title = request.title.map(|title| check_title("title", &title)).transpose()?;
    let paragraphs = request.paragraphs.map(checked).transpose()?;
    let by = user(&caller);
    let whose = [part.to_bytes(), by.to_bytes()];
    let remembered = key.as_ref().map(|key| fingerprint("part edit key", key, &[&whose[0], &whose[1]]));
    let key = IdempotencyKey::or_mint(key, stories.store.world().random());
    let mut fields = vec![part.to_bytes().to_vec(), title.clone().unwrap_or_default().into_bytes()];
    for (id, text) in paragraphs.iter().flatten() {
        fields.push(id.map_or_else(Vec::new, |id| id.to_bytes().to_vec()));
        fields.push(text.clone().into_bytes());
    }
    if paragraphs.as_ref().is_some_and(Vec::is_empty) {
        // One more field, where paragraphs are two each: removing them all is not leaving them.
        fields.push(Vec::new());
    }
    let fields: Vec<_> = fields.iter().map(Vec::as_slice).collect();
    let request = fingerprint("part edit", &key, &fields);
    let edit = Edit { part, by, title, paragraphs, request, remembered };
    let reader = change(&stories, move |view| write::edit_part(view, &edit)).await?;
    Ok(Json(read_part::part_even_gone(&reader, part, Some(by)).await?))
}

/// The paragraphs of an edit, or what is wrong with one of them.
fn checked(paragraphs: Vec<ParagraphRequest>) -> Result<Vec<(Option<ParagraphId>, String)>, Problem> {
    check_paragraphs(paragraphs.len())?;
    let check = |(position, paragraph): (usize, ParagraphRequest)| {
        Ok((paragraph.id, check_paragraph(&format!("paragraphs[{position}].text"), &paragraph.text)?))
    };
    paragraphs.into_iter().enumerate().map(check).collect()
}

/// Takes a part down for good. Its author only. Repeating it changes nothing.
#[utoipa::path(
    delete, path = "/v1/parts/{part}", tag = "stories",
    params(("part" = String, Path)),
    responses((status = 204), WriteProblems),
    security(("bearer" = []))
)]
async fn delete_part(
    State(stories): State<Stories>,
    Path(part): Path<PartId>,
    Query(NoQuery {}): Query<NoQuery>,
    caller: Caller,
) -> Result<StatusCode, Problem> {
    let by = user(&caller);
    change(&stories, move |view| write::delete_part(view, part, by)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The evidence for the count of a part's comments that is shown here: the tallies that Comments announced, with their
/// epochs, their fingerprint, and as of when it is exact.
#[utoipa::path(
    get, path = "/v1/parts/{part}/comment-count/proof", tag = "stories",
    params(("part" = String, Path)),
    responses((status = 200, body = CountProof), ReadProblems)
)]
async fn prove_comments(
    State(stories): State<Stories>,
    Path(part): Path<PartId>,
    Query(NoQuery {}): Query<NoQuery>,
) -> Result<Json<CountProof>, Problem> {
    let of = (TallyFact::TOPIC, Told::Only);
    let proof = proof::prove::<CommentTallyRow>(&stories.store, &stories.heard, of, Group::Part(part));
    Ok(Json(proof.await?))
}
