//! The generated description of an API: where it is served, and the parts that every service's has.

use std::collections::BTreeMap;

use axum::Router;
use axum::http::header;
use axum::routing::get;
use bytes::Bytes;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Components, Content, OpenApi, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, Modify, PartialSchema};

use crate::problem::{Kind, PROBLEM_MEDIA_TYPE, ProblemDocument};

/// Where the description is served.
pub const OPENAPI_PATH: &str = "/v1/openapi.json";
/// The name of the security scheme: `security(("bearer" = []))` in `#[utoipa::path]`.
pub const BEARER: &str = "bearer";
/// The component that describes a problem document.
const PROBLEM_SCHEMA: &str = "Problem";

/// Serves a finished description at [`OPENAPI_PATH`]. Fails where the description cannot be written as JSON.
pub fn routes<S: Clone + Send + Sync + 'static>(
    description: &OpenApi,
) -> Result<Router<S>, serde_json::Error> {
    let json = Bytes::from(serde_json::to_vec(description)?);
    let answer = async move || ([(header::CONTENT_TYPE, "application/json")], json);
    Ok(Router::new().route(OPENAPI_PATH, get(answer)))
}

/// `#[openapi(modifiers(&SharedParts))]`: adds what the responses below and `security` refer to.
#[derive(Debug, Clone, Copy)]
pub struct SharedParts;

impl Modify for SharedParts {
    fn modify(&self, description: &mut OpenApi) {
        let components = description.components.get_or_insert_with(Components::new);
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        bearer.bearer_format = Some("JWT".to_owned());
        components.add_security_scheme(BEARER, SecurityScheme::Http(bearer));
        components.schemas.insert(PROBLEM_SCHEMA.to_owned(), ProblemDocument::schema());
    }
}

/// The refusals of a request that reads: `responses((status = 200, …), ReadProblems)`.
#[derive(Debug, Clone, Copy)]
pub struct ReadProblems;

/// The refusals of a request that changes something: those of a read and the rest.
#[derive(Debug, Clone, Copy)]
pub struct WriteProblems;

impl IntoResponses for ReadProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        described([Kind::BadRequest, Kind::NotFound, Kind::Internal, Kind::Unavailable])
    }
}

impl IntoResponses for WriteProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        described(Kind::all().filter(|kind| *kind != Kind::MethodNotAllowed))
    }
}

fn described(kinds: impl IntoIterator<Item = Kind>) -> BTreeMap<String, RefOr<Response>> {
    let content = || Content::new(Some(Ref::from_schema_name(PROBLEM_SCHEMA)));
    let response = |kind: Kind| {
        ResponseBuilder::new().description(kind.advice()).content(PROBLEM_MEDIA_TYPE, content()).build()
    };
    kinds.into_iter().map(|kind| (kind.status().as_str().to_owned(), response(kind).into())).collect()
}
