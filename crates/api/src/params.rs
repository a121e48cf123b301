//! Path and query parameters, read strictly.

use axum::extract::FromRequestParts;
use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::body::fit;
use crate::path;
use crate::problem::Problem;

/// The parameters of the route: one value, a tuple in their order, or a struct by their names. One that does not
/// fit is 400 and named, also where an id checks its text by itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = axum::extract::Path::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let params = params.map_err(unreadable)?.0;
        path::read(&params).map(Self).map_err(|misfit| {
            // Without a name it is not about a value: the route does not suit its handler.
            if misfit.name.is_empty() { Problem::internal(&misfit) } else { fit(&misfit.name, &misfit.what) }
        })
    }
}

fn unreadable(error: PathRejection) -> Problem {
    let PathRejection::FailedToDeserializePathParams(error) = error else { return Problem::internal(&error) };
    match error.into_kind() {
        ErrorKind::InvalidUtf8InPathParam { key } => fit(&key, "expected UTF-8"),
        other => Problem::internal(&std::io::Error::other(other.to_string())),
    }
}

/// The query string. A parameter that does not fit `T` or is given twice is 400 and named; an unknown one too, if
/// `T` has `#[serde(deny_unknown_fields)]`, which every query type has. A handler without parameters takes
/// [`NoQuery`], so that a misspelt one is never ignored.
#[derive(Debug, Clone, Copy, Default)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let pairs = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
        let reader = serde_urlencoded::Deserializer::new(pairs);
        serde_path_to_error::deserialize(reader)
            .map(Self)
            .map_err(|error| fit(&error.path().to_string(), &error.inner().to_string()))
    }
}

/// The query of a handler that has no parameters: `Query<NoQuery>`.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoQuery {}
