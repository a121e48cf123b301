//! The thread around a comment, over HTTP.

use crate::Comments;
use crate::read::thread::{self as read, Position, ThreadPage};
use crate::thread::COMMENTS_MAX;
use api::openapi::ReadProblems;
use api::{Cursor, Json, Path, Problem, Query};
use axum::extract::State;
use messages::CommentId;
use serde::Deserialize;
use utoipa::IntoParams;

/// What a cursor of a thread is sealed as.
const KIND: &str = "comment thread";

/// The comments of a page whose size was not asked for.
const COMMENTS_DEFAULT: usize = 100;

/// How to list the thread around a comment.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ThreadQuery {
    /// 1 to 500 comments; 100 unless said otherwise. The ancestors come in addition.
    #[param(minimum = 1, maximum = 500, default = 100)]
    limit: Option<usize>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// Shows the thread around a comment in one answer: what it answers, up to the top level, and what answers it, depth
/// first.
///
/// Replies to a comment that has not been heard of yet wait for it on the top level. Where comments all answer one
/// another, in a ring, the one that was posted first is the top of their thread.
#[utoipa::path(
    get, path = "/v1/comments/{comment}/thread", tag = "comments",
    params(("comment" = String, Path), ThreadQuery),
    responses((status = 200, body = ThreadPage), ReadProblems)
)]
pub(super) async fn thread(
    State(comments): State<Comments>,
    Path(comment): Path<CommentId>,
    Query(query): Query<ThreadQuery>,
) -> Result<Json<ThreadPage>, Problem> {
    let last = query.cursor.as_deref().map(|cursor| last_of(comment, cursor)).transpose()?;
    let comments_max = comments_max(query.limit)?;
    let (page, next) = read::page(&comments.store.reader()?, comment, last, comments_max).await?;
    Ok(Json(ThreadPage { next: next.map(|next| Cursor::seal(KIND, &next.to_bytes())), ..page }))
}

fn comments_max(limit: Option<usize>) -> Result<usize, Problem> {
    match limit.unwrap_or(COMMENTS_DEFAULT) {
        limit @ 1..=COMMENTS_MAX => Ok(limit),
        _ => Err(Problem::bad_request("limit", format!("ask for 1 to {COMMENTS_MAX} comments"))
            .with_limit(u64::try_from(COMMENTS_MAX).unwrap_or(u64::MAX))),
    }
}

fn last_of(comment: CommentId, cursor: &str) -> Result<CommentId, Problem> {
    let position = Position::from_bytes(&Cursor::open(KIND, cursor)?);
    let position = position.filter(|position| position.around == comment);
    let last = position.map(|position| position.last);
    last.ok_or_else(|| Problem::bad_request("cursor", "the cursor is of another thread"))
}
