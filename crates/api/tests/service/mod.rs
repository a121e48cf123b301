//! A small service that uses everything of this crate, and how to ask it.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests, where a panic is the verdict"
)]

use std::sync::Arc;

use antiphon_api::problem::{PROBLEM_MEDIA_TYPE, ProblemDocument, problems_only};
use antiphon_api::{
    Caller, IdempotencyKey, Json, Keys, NoQuery, PageQuery, Path, Problem, PublicKey, Query, SigningKey, text,
};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::FromRef;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use tower::ServiceExt as _;

pub(crate) const NOW_S: u64 = 1_700_000_000;
pub(crate) const TTL_S: u64 = 3600;
pub(crate) const USER: [u8; 16] = [0xab; 16];
pub(crate) const KEY: &str = "8e03978e-40d5-43e8-bc93-6894a57f9324";

#[derive(Clone)]
struct App {
    keys: Arc<dyn Keys>,
}

struct OneKey(SigningKey);

impl Keys for OneKey {
    fn public_key(&self, key_id: &str) -> Option<PublicKey> {
        (key_id == self.0.key_id()).then(|| self.0.public())
    }

    fn now_s(&self) -> u64 {
        NOW_S
    }
}

impl FromRef<App> for Arc<dyn Keys> {
    fn from_ref(app: &App) -> Self {
        Arc::clone(&app.keys)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewComment {
    text: String,
    paragraph: Option<u32>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Posted {
    pub(crate) user: String,
    pub(crate) key: String,
    pub(crate) part: u64,
    pub(crate) text: String,
    pub(crate) paragraph: Option<u32>,
}

async fn create(
    Path((_story, part)): Path<(String, u64)>,
    Query(NoQuery {}): Query<NoQuery>,
    caller: Caller,
    key: Option<IdempotencyKey>,
    Json(comment): Json<NewComment>,
) -> Result<(StatusCode, Json<Posted>), Problem> {
    let key = IdempotencyKey::or_mint(key, 1).as_str().to_owned();
    let text = text::check_comment("text", &comment.text)?;
    let posted = Posted { user: caller.user_text, key, part, text, paragraph: comment.paragraph };
    Ok((StatusCode::CREATED, Json(posted)))
}

async fn list(Query(page): Query<PageQuery>, caller: Option<Caller>) -> Result<Json<(usize, bool)>, Problem> {
    page.after("comments")?;
    Ok(Json((page.items_max()?, caller.is_some())))
}

#[derive(Deserialize)]
struct ById {
    part: u64,
}

pub(crate) fn service() -> Router {
    let keys = Arc::new(OneKey(SigningKey::from_seed([1; 32])));
    let routes = Router::new()
        .route("/v1/stories/{story}/parts/{part}/comments", post(create).get(list))
        .route("/v1/parts/{part}", get(async |Path(part): Path<u64>| part.to_string()))
        .route("/v1/named/{part}", get(async |Path(ById { part }): Path<ById>| part.to_string()))
        .route("/v1/broken/{a}/{b}", get(async |Path(part): Path<u64>| part.to_string()))
        .route("/v1/plain", get(async || (StatusCode::IM_A_TEAPOT, "no coffee")))
        .route("/v1/bytes", post(async |bytes: Bytes| bytes.len().to_string()))
        .route("/v1/gone", get(async || Problem::gone("the part was taken back")))
        .route("/v1/moved", get(async || StatusCode::TEMPORARY_REDIRECT));
    problems_only(routes).with_state(App { keys })
}

pub(crate) async fn send(request: Request<Body>) -> (StatusCode, HeaderMap, Bytes) {
    let response = service().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    (parts.status, parts.headers, to_bytes(body, usize::MAX).await.unwrap())
}

pub(crate) async fn refused(request: Request<Body>) -> (ProblemDocument, HeaderMap) {
    let (status, headers, body) = send(request).await;
    assert_eq!(headers["content-type"], PROBLEM_MEDIA_TYPE, "{status}: {body:?}");
    let document: ProblemDocument = serde_json::from_slice(&body).unwrap();
    assert_eq!(document.status, status.as_u16());
    assert_eq!(headers["cache-control"], "no-store");
    assert!(headers.get("content-length").is_none_or(|length| *length == body.len().to_string()));
    (document, headers)
}

pub(crate) fn token() -> String {
    SigningKey::from_seed([1; 32]).sign_token(USER, NOW_S, TTL_S)
}

pub(crate) fn comment(body: impl Into<Body>) -> Request<Body> {
    Request::post("/v1/stories/s/parts/7/comments")
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {}", token()))
        .header("idempotency-key", KEY)
        .body(body.into())
        .unwrap()
}

pub(crate) fn at(uri: &str) -> Request<Body> {
    Request::get(uri).body(Body::empty()).unwrap()
}
