//! The generated description of an API: where it is served, and the parts that every service's has.

use std::collections::BTreeMap;

use axum::Router;
use axum::http::header;
use axum::routing::get;
use bytes::Bytes;
use serde_json::Value;
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
    let mut document = serde_json::to_value(description)?;
    describe_answers(&mut document);
    let json = Bytes::from(serde_json::to_vec(&document)?);
    let answer = async move || ([(header::CONTENT_TYPE, "application/json")], json);
    Ok(Router::new().route(OPENAPI_PATH, get(answer)))
}

/// Every answer owes a description (`OpenAPI` 3.1, response object). Where a route has none, its schema says it all.
fn describe_answers(document: &mut Value) {
    let paths = document.get_mut("paths").and_then(Value::as_object_mut).into_iter().flatten();
    let operations = paths.filter_map(|(_, path)| path.as_object_mut()).flatten();
    for (_, operation) in operations {
        let answers = operation.get_mut("responses").and_then(Value::as_object_mut).into_iter().flatten();
        for (status, answer) in answers {
            let Some(answer) = answer.as_object_mut().filter(|answer| !answer.contains_key("$ref")) else {
                continue;
            };
            let said = answer.get("description").and_then(Value::as_str).is_some_and(|said| !said.is_empty());
            if !said {
                let words = if status == "201" { "It is there now." } else { "Done." };
                answer.insert("description".to_owned(), words.into());
            }
        }
    }
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
