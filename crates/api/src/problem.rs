//! Refusals as problem documents (RFC 9457).

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

pub use crate::kind::Kind;

/// The media type of a problem document.
pub const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";

/// Why a request was refused: a kind, which is an instruction to the client, and what exactly was wrong.
///
/// The constructors are one per reaction. `detail` is a lower-case fragment that tells what to do; `field` is the
/// path of a body field (`paragraphs[2].text`), a header or a parameter, spelled as the client spells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    kind: Kind,
    detail: Cow<'static, str>,
    field: Option<Cow<'static, str>>,
    limit: Option<u64>,
    retry_after_s: Option<u32>,
}

/// A [`Problem`] as it travels. Clients that are written in Rust parse this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemDocument {
    /// A relative reference that names the kind for good, such as `/problems/not-found`.
    #[serde(rename = "type")]
    #[schema(example = "/problems/bad-request")]
    pub kind: String,
    /// The kind in a few words.
    pub title: String,
    /// The HTTP status, again.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// What was wrong this time, and what to do about it.
    pub detail: String,
    /// The body field, header or parameter at fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub field: Option<String>,
    /// The limit that was broken, in the unit that `detail` names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub limit: Option<u64>,
    /// After how many seconds the same request may succeed; also the `Retry-After` header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub retry_after_s: Option<u32>,
}

impl Problem {
    fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, detail: detail.into(), field: None, limit: None, retry_after_s: None }
    }

    /// 400: this field, header or parameter must be changed before the request is sent again.
    pub fn bad_request(field: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::BadRequest, detail).with_field(field)
    }

    /// 400 for a request of which no single part is to blame, such as a body that is not JSON at all.
    pub fn malformed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::BadRequest, detail)
    }

    /// 413: the body has more bytes than are read.
    pub fn too_large(limit_bytes: usize) -> Self {
        Self::new(Kind::TooLarge, format!("send at most {limit_bytes} bytes of body"))
            .with_limit(u64::try_from(limit_bytes).unwrap_or(u64::MAX))
    }

    /// 401: sign in, or renew the token, and send the request again.
    pub fn unauthenticated(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Unauthenticated, detail)
    }

    /// 403: the caller is known and may not do this.
    pub fn forbidden(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Forbidden, detail)
    }

    /// 404; `what` is a noun, such as `comment`.
    pub fn not_found(what: &str) -> Self {
        Self::new(Kind::NotFound, format!("no such {what} is known here: check its address"))
    }

    /// 409: what is stored contradicts the request, as when an idempotency key comes with another body.
    pub fn conflict(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Conflict, detail)
    }

    /// 410: it was here, and will not come back.
    pub fn gone(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Gone, detail)
    }

    /// 415: the body must be sent as JSON and must say so.
    pub fn unsupported_media_type() -> Self {
        Self::new(Kind::UnsupportedMediaType, "send the body as JSON with content-type: application/json")
            .with_field("Content-Type")
    }

    /// 405; axum's `Allow` header tells which methods there are.
    pub fn method_not_allowed() -> Self {
        Self::new(Kind::MethodNotAllowed, "use one of the methods that the allow header names")
    }

    /// 503: the same request may succeed after so many seconds.
    pub fn unavailable(detail: impl Into<Cow<'static, str>>, retry_after_s: u32) -> Self {
        Self { retry_after_s: Some(retry_after_s), ..Self::new(Kind::Unavailable, detail) }
    }

    /// 500: logs the source with all its causes, and tells the client nothing of it.
    pub fn internal(source: &(dyn Error + 'static)) -> Self {
        let mut causes = source.to_string();
        let mut next = source.source();
        while let Some(cause) = next {
            causes = format!("{causes}: {cause}");
            next = cause.source();
        }
        tracing::error!(error = causes, "a request failed inside");
        Self::new(Kind::Internal, "this failed on our side: send it again with the same Idempotency-Key")
    }

    /// Names what is at fault.
    #[must_use]
    pub fn with_field(self, field: impl Into<Cow<'static, str>>) -> Self {
        Self { field: Some(field.into()), ..self }
    }

    /// Tells the limit that was broken, in the unit that the detail names.
    #[must_use]
    pub fn with_limit(self, limit: u64) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// Which of the few kinds this is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The status that it is answered with.
    pub fn status(&self) -> StatusCode {
        self.kind.status()
    }

    /// What was wrong, and what to do about it.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The field, header or parameter at fault.
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// The limit that was broken.
    pub fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// What is sent.
    pub fn to_document(&self) -> ProblemDocument {
        ProblemDocument {
            kind: self.kind.uri(),
            title: self.kind.title().to_owned(),
            status: self.status().as_u16(),
            detail: self.detail.clone().into_owned(),
            field: self.field.clone().map(Cow::into_owned),
            limit: self.limit,
            retry_after_s: self.retry_after_s,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            Some(field) => write!(f, "{field}: {}", self.detail),
            None => f.write_str(&self.detail),
        }
    }
}

impl Error for Problem {}

impl PartialSchema for Problem {
    fn schema() -> RefOr<Schema> {
        ProblemDocument::schema()
    }
}

impl ToSchema for Problem {}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // A document of strings and numbers always serialises; an empty body would still carry the status.
        let document = serde_json::to_vec(&self.to_document()).unwrap_or_default();
        let mut response = (self.status(), document).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_MEDIA_TYPE));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.kind == Kind::Unauthenticated {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Makes every refusal of a router a problem document: unknown routes, wrong methods (`Allow` is kept), and
/// whatever else answers with 400 or more without being one already. It covers the routes that are there when it is
/// applied, so apply it last. Routers that have it may be merged.
///
/// ```
/// let router: axum::Router = antiphon_api::problem::problems_only(axum::Router::new());
/// ```
pub fn problems_only<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router.layer(map_response(as_problem))
}

/// Replaces the body of a refusal that is not a problem document, and keeps its headers.
pub async fn as_problem(response: Response) -> Response {
    let status = response.status();
    let is_problem = |value: &HeaderValue| value.as_bytes() == PROBLEM_MEDIA_TYPE.as_bytes();
    if !(status.is_client_error() || status.is_server_error())
        || response.headers().get(header::CONTENT_TYPE).is_some_and(is_problem)
    {
        return response;
    }
    let (mut parts, _) = response.into_parts();
    let (problem, body) = Problem::of_status(status).into_response().into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    for (name, value) in &problem.headers {
        parts.headers.insert(name, value.clone());
    }
    parts.status = problem.status;
    Response::from_parts(parts, Body::new(body))
}

impl Problem {
    /// What a bare status means; one that has no kind of its own is told as 400 or 500, whichever it is like.
    fn of_status(status: StatusCode) -> Self {
        match Kind::of_status(status) {
            Some(Kind::NotFound) => Self::not_found("page"),
            Some(Kind::MethodNotAllowed) => Self::method_not_allowed(),
            Some(Kind::UnsupportedMediaType) => Self::unsupported_media_type(),
            Some(kind) => Self::new(kind, kind.advice()),
            None if status.is_server_error() => Self::new(Kind::Internal, Kind::Internal.advice()),
            None => Self::new(Kind::BadRequest, Kind::BadRequest.advice()),
        }
    }
}
