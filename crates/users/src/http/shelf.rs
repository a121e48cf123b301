//! The library shelf: put a story on it, take it off, see what is there.
//!
//! What one reads is private, so every request here needs its reader's own token, and no answer may be cached. Whether
//! somebody has a shelf is not told either: another's is 403 whether or not it is there.

use super::user;
use crate::Users;
use crate::read::{self, OnShelf, ShelfView};
use crate::write;
use api::openapi::{ReadProblems, WriteProblems};
use api::{Caller, Json, NoQuery, Path, Problem, Query};
use axum::extract::State;
use axum::http::{HeaderName, header};
use messages::{StoryId, UserId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn router() -> OpenApiRouter<Users> {
    OpenApiRouter::new().routes(routes!(list_shelf)).routes(routes!(
        is_on_shelf,
        put_on_shelf,
        take_off_shelf
    ))
}

/// An answer that is for its reader alone.
type Private<T> = ([(HeaderName, &'static str); 1], Json<T>);

fn private<T>(answer: T) -> Private<T> {
    ([(header::CACHE_CONTROL, "no-store")], Json(answer))
}

fn check_own(reader: UserId, caller: &Caller) -> Result<(), Problem> {
    if reader == user(caller) {
        return Ok(());
    }
    Err(Problem::forbidden("a shelf is its reader's alone: use your own id and token"))
}

/// Lists the stories on one's library shelf, in the order of their ids. Its reader only. The answer is the whole shelf: at
/// most 1,000 ids, and more only where several replicas filled it at the same time. What the stories are called is to be
/// asked of Stories; one that is unknown there was taken down, or has not arrived yet, or never was.
#[utoipa::path(
    get, path = "/v1/users/{user}/shelf", tag = "users",
    params(("user" = String, Path)),
    responses(
        (status = 200, body = ShelfView),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "sign in, or renew the token"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "it is another reader's shelf"),
        ReadProblems
    ),
    security(("bearer" = []))
)]
async fn list_shelf(
    State(users): State<Users>,
    Path(id): Path<UserId>,
    Query(NoQuery {}): Query<NoQuery>,
    caller: Caller,
) -> Result<Private<ShelfView>, Problem> {
    check_own(id, &caller)?;
    Ok(private(read::shelf(&users.store.reader()?, id).await?))
}

/// Tells whether a story is on one's library shelf. Its reader only.
#[utoipa::path(
    get, path = "/v1/users/{user}/shelf/{story}", tag = "users",
    params(("user" = String, Path), ("story" = String, Path)),
    responses(
        (status = 200, body = OnShelf),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "sign in, or renew the token"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "it is another reader's shelf"),
        ReadProblems
    ),
    security(("bearer" = []))
)]
async fn is_on_shelf(
    State(users): State<Users>,
    Path((id, story)): Path<(UserId, StoryId)>,
    Query(NoQuery {}): Query<NoQuery>,
    caller: Caller,
) -> Result<Private<OnShelf>, Problem> {
    check_own(id, &caller)?;
    Ok(private(read::on_shelf(&users.store.reader()?, id, story).await?))
}

/// Puts a story on one's library shelf. Its reader only. Repeating it changes nothing. Users does not ask Stories
/// whether there is such a story, so any well-formed id is accepted. A shelf holds at most 1,000 stories; one more is
/// refused with 409 until one is taken off. Where one device puts a story on the shelf while another takes it off, it is
/// on the shelf.
#[utoipa::path(
    put, path = "/v1/users/{user}/shelf/{story}", tag = "users",
    params(("user" = String, Path), ("story" = String, Path)),
    responses((status = 200, body = OnShelf), WriteProblems),
    security(("bearer" = []))
)]
async fn put_on_shelf(
    State(users): State<Users>,
    Path((id, story)): Path<(UserId, StoryId)>,
    Query(NoQuery {}): Query<NoQuery>,
    caller: Caller,
) -> Result<Private<OnShelf>, Problem> {
    check_own(id, &caller)?;
    let writer = users.shelf_writer;
    users.store.write(move |view| write::put_on_shelf(view, id, story, writer)).await?;
    Ok(private(OnShelf::of(story, true)))
}

/// Takes a story off one's library shelf. Its reader only. Repeating it changes nothing, and it may be put there again.
#[utoipa::path(
    delete, path = "/v1/users/{user}/shelf/{story}", tag = "users",
    params(("user" = String, Path), ("story" = String, Path)),
    responses((status = 200, body = OnShelf), WriteProblems),
    security(("bearer" = []))
)]
async fn take_off_shelf(
    State(users): State<Users>,
    Path((id, story)): Path<(UserId, StoryId)>,
    Query(NoQuery {}): Query<NoQuery>,
    caller: Caller,
) -> Result<Private<OnShelf>, Problem> {
    check_own(id, &caller)?;
    users.store.write(move |view| write::take_off_shelf(view, id, story)).await?;
    Ok(private(OnShelf::of(story, false)))
}
