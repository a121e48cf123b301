//! What the first start shows: a short story of our own, with a few comments, written through the public API.
//!
//! Every request carries a key made from a secret of the data folder, so a start that was killed in the middle goes on
//! where it was, and nobody else can be the people of the story.

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, header};
use http_body_util::BodyExt;
use serde::Deserialize;
use serde_json::{Value, json};
use thiserror::Error;
use tower::ServiceExt;

/// Why the starter story was not written.
#[derive(Debug, Error)]
pub(crate) enum StarterError {
    #[error("its file is malformed")]
    Malformed(#[from] serde_json::Error),
    #[error("a request could not be made")]
    Request(#[from] axum::http::Error),
    #[error("an answer could not be read")]
    Answer(#[from] axum::Error),
    #[error("{path} was answered with {status}: {body}")]
    Refused { path: String, status: u16, body: String },
    #[error("an answer lacks {0}")]
    Lacks(&'static str),
}

#[derive(Debug, Deserialize)]
struct Starter {
    people: Vec<Value>,
    story: StarterStory,
    parts: Vec<Value>,
    comments: Vec<StarterComment>,
}

#[derive(Debug, Deserialize)]
struct StarterStory {
    title: String,
    author: usize,
}

#[derive(Debug, Deserialize)]
struct StarterComment {
    part: usize,
    author: usize,
    text: String,
    paragraph: Option<usize>,
    reply_to: Option<usize>,
}

/// Writes it.
pub(crate) async fn write(router: &Router, secret: &str) -> Result<(), StarterError> {
    let starter: Starter = serde_json::from_str(include_str!("../../../web/starter.json"))?;
    let writer = Writer { router, secret };
    let mut tokens = Vec::new();
    for (n, person) in starter.people.iter().enumerate() {
        let created = writer.post("/v1/users", None, &format!("person-{n}"), person).await?;
        tokens.push(text(&created, "/token")?);
    }
    let token = |n: usize| tokens.get(n).map(String::as_str).ok_or(StarterError::Lacks("an author"));
    let author = token(starter.story.author)?;
    let story =
        writer.post("/v1/stories", Some(author), "story", &json!({ "title": starter.story.title })).await?;
    let path = format!("/v1/stories/{}/parts", text(&story, "/id")?);
    let mut parts = Vec::new();
    for (n, part) in starter.parts.iter().enumerate() {
        parts.push(writer.post(&path, Some(author), &format!("part-{n}"), part).await?);
    }
    let mut comments: Vec<String> = Vec::new();
    for (n, comment) in starter.comments.iter().enumerate() {
        let part = parts.get(comment.part).ok_or(StarterError::Lacks("a part"))?;
        let paragraph = comment.paragraph.map(|n| text(part, &format!("/paragraphs/{n}/id"))).transpose()?;
        let parent =
            comment.reply_to.map(|n| comments.get(n).ok_or(StarterError::Lacks("a parent"))).transpose()?;
        let body = json!({ "text": comment.text, "paragraph": paragraph, "parent": parent });
        let path = format!("/v1/parts/{}/comments", text(part, "/id")?);
        let posted = writer.post(&path, Some(token(comment.author)?), &format!("comment-{n}"), &body).await?;
        comments.push(text(&posted, "/comment/id")?);
    }
    Ok(())
}

fn text(value: &Value, pointer: &str) -> Result<String, StarterError> {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .map(str::to_owned)
        .ok_or(StarterError::Lacks("an id or a token"))
}

struct Writer<'a> {
    router: &'a Router,
    secret: &'a str,
}

/// A key that was announced a moment ago may not have been heard of yet: so often is asked again.
const TRIES_MAX: usize = 100;
/// The pause in between.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

impl Writer<'_> {
    async fn post(
        &self,
        path: &str,
        token: Option<&str>,
        key: &str,
        body: &Value,
    ) -> Result<Value, StarterError> {
        let mut tries = 0;
        loop {
            match self.try_post(path, token, key, body).await {
                Err(StarterError::Refused { status: 503, .. }) if tries < TRIES_MAX => {
                    tries += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                answer => return answer,
            }
        }
    }

    async fn try_post(
        &self,
        path: &str,
        token: Option<&str>,
        key: &str,
        body: &Value,
    ) -> Result<Value, StarterError> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/json")
            .header(api::idempotency::IDEMPOTENCY_HEADER, format!("starter-{}-{key}", self.secret));
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Body::from(serde_json::to_vec(body)?))?;
        let response = self.router.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
        let status = response.status();
        let bytes = response.into_body().collect().await?.to_bytes();
        if !status.is_success() {
            let body = String::from_utf8_lossy(&bytes).into_owned();
            return Err(StarterError::Refused { path: path.to_owned(), status: status.as_u16(), body });
        }
        Ok(serde_json::from_slice(&bytes)?)
    }
}
