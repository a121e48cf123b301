//! A small service described with utoipa: how the parts of this crate fit `#[utoipa::path]`.

use antiphon_api::openapi::{OPENAPI_PATH, ReadProblems, SharedParts, WriteProblems, routes};
use antiphon_api::{IdempotencyKey, Json, PageQuery, Path, Problem, Query};
use axum::body::{Body, to_bytes};
use axum::http::Request;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tower::ServiceExt as _;
use utoipa::{OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes as described;

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Note {
    text: String,
}

/// Lists notes.
#[utoipa::path(
    get, path = "/v1/parts/{part}/notes",
    params(("part" = u64, Path), PageQuery),
    responses((status = 200, body = Vec<Note>), ReadProblems)
)]
async fn list(Path(_part): Path<u64>, Query(page): Query<PageQuery>) -> Result<Json<Vec<Note>>, Problem> {
    page.items_max()?;
    Ok(Json(Vec::new()))
}

#[derive(Deserialize, ToSchema)]
struct NoteId(String);

/// Shows a note. The type of a parameter is written `inline`: only bodies are collected as components.
#[utoipa::path(
    get, path = "/v1/notes/{note}",
    params(("note" = inline(NoteId), Path)),
    responses((status = 200, body = Note), ReadProblems)
)]
async fn show(Path(NoteId(text)): Path<NoteId>) -> Json<Note> {
    Json(Note { text })
}

/// Leaves a note. The body is found by the name `Json`.
#[utoipa::path(
    post, path = "/v1/parts/{part}/notes",
    params(("part" = u64, Path), IdempotencyKey),
    responses((status = 201, body = Note), WriteProblems),
    security(("bearer" = []))
)]
async fn leave(
    Path(_part): Path<u64>,
    _key: Option<IdempotencyKey>,
    Json(note): Json<Note>,
) -> Result<Json<Note>, Problem> {
    Ok(Json(note))
}

#[derive(OpenApi)]
#[openapi(info(title = "notes"), modifiers(&SharedParts))]
struct Description;

#[tokio::test]
async fn the_description_is_served_and_refers_to_nothing_that_is_missing() {
    let (router, description) = OpenApiRouter::<()>::with_openapi(Description::openapi())
        .routes(described!(list, leave))
        .routes(described!(show))
        .split_for_parts();
    let router = router.merge(routes(&description).unwrap());
    let response = router.oneshot(Request::get(OPENAPI_PATH).body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/json");
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let document: Value = serde_json::from_slice(&bytes).unwrap();

    let text = String::from_utf8(bytes.to_vec()).unwrap();
    for reference in text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
    let notes = &document["paths"]["/v1/parts/{part}/notes"];
    let problem = &notes["post"]["responses"]["401"]["content"]["application/problem+json"]["schema"]["$ref"];
    assert_eq!(problem, "#/components/schemas/Problem");
    let body = &notes["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"];
    assert_eq!(body, "#/components/schemas/Note");
    assert_eq!(document["paths"]["/v1/notes/{note}"]["get"]["parameters"][0]["schema"]["type"], "string");
    assert_eq!(notes["post"]["parameters"][1]["name"], "Idempotency-Key");
    assert_eq!(notes["post"]["parameters"][1]["in"], "header");
    assert_eq!(notes["post"]["security"][0]["bearer"], serde_json::json!([]));
    let names: Vec<_> =
        notes["get"]["parameters"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["part", "limit", "cursor"]);
    assert_eq!(notes["get"]["parameters"][1]["schema"]["maximum"], 100);
    assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
    let schema = &document["components"]["schemas"]["Problem"];
    assert_eq!(schema["required"], serde_json::json!(["type", "title", "status", "detail"]));
}
