//! The HTTP face of Users.

mod shelf;

use crate::Users;
use crate::read::{self, UserView};
use crate::write::{self, Change, NewUser};
use api::openapi::{ReadProblems, WriteProblems};
use api::text::{check_avatar, check_name};
use api::{Caller, IdempotencyKey, Json, Keys, NoQuery, Path, Problem, Query};
use axum::extract::{FromRef, State};
use axum::http::StatusCode;
use messages::{Profile, UserId};
use queue::rfc3339;
use serde::{Deserialize, Deserializer, Serialize};
use std::sync::Arc;
use store::{Abort, View};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// For how long a token counts, in seconds: 30 days.
pub const TOKEN_TTL_S: u64 = 30 * 24 * 60 * 60;

impl FromRef<Users> for Arc<dyn Keys> {
    fn from_ref(users: &Users) -> Self {
        Arc::<api::KeyRing>::clone(&users.keys)
    }
}

/// Every route of the service, described.
pub(crate) fn router() -> OpenApiRouter<Users> {
    OpenApiRouter::new()
        .routes(routes!(create))
        .routes(routes!(show, rename))
        .routes(routes!(renew))
        .merge(shelf::router())
}

/// Who is to be created.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateUserRequest {
    /// 1 to 64 characters, on one line.
    #[schema(min_length = 1, max_length = 64)]
    name: String,
    /// The address of a picture.
    #[serde(default)]
    #[schema(max_length = 2048)]
    avatar: Option<String>,
}

/// Who they are to be from now on: a name, an avatar, or both.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::option_option, reason = "absent, null and an address ask for three things")]
struct ChangeUserRequest {
    /// 1 to 64 characters, on one line; left alone where it is absent.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 64)]
    name: Option<String>,
    /// The address of a picture; null removes it; left alone where it is absent.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 2048)]
    avatar: Option<Option<String>>,
}

/// What was given, null too: only an absent field is `None`.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Somebody, and a token that proves that one is them. Not `Debug`: the token is a secret.
#[derive(Serialize, ToSchema)]
struct Session {
    user: UserView,
    /// For the header `Authorization: Bearer`.
    token: String,
    /// From when on the token does not count.
    expires_at: String,
}

fn user(caller: &Caller) -> UserId {
    UserId::from_bytes(caller.user)
}

/// Creates a user. Whoever repeats it with the same `Idempotency-Key` gets a token of the same user: the key is the
/// user's secret.
#[utoipa::path(
    post, path = "/v1/users", tag = "users",
    params(IdempotencyKey),
    responses((status = 201, body = Session), WriteProblems)
)]
async fn create(
    State(users): State<Users>,
    Query(NoQuery {}): Query<NoQuery>,
    key: Option<IdempotencyKey>,
    Json(request): Json<CreateUserRequest>,
) -> Result<(StatusCode, Json<Session>), Problem> {
    let name = check_name("name", &request.name)?;
    let avatar = request.avatar.map(|avatar| check_avatar("avatar", &avatar)).transpose()?;
    let key = IdempotencyKey::or_mint(key, users.store.world().random());
    let id = UserId::from_bytes(api::derive_id("user", &[key.as_bytes()]));
    let picture = avatar.as_deref().unwrap_or_default().as_bytes();
    let whole = api::derive_id("user request", &[key.as_bytes(), name.as_bytes(), picture]);
    let new = NewUser { id, name, avatar, request: UserId::from_bytes(whole).to_string() };
    let user = change(&users, id, move |view| write::create(view, &new)).await?;
    Ok((StatusCode::CREATED, Json(sign_in(&users, id, user))))
}

/// Shows a user.
#[utoipa::path(
    get, path = "/v1/users/{user}", tag = "users",
    params(("user" = String, Path)),
    responses((status = 200, body = UserView), ReadProblems)
)]
async fn show(
    State(users): State<Users>,
    Path(user): Path<UserId>,
    Query(NoQuery {}): Query<NoQuery>,
) -> Result<Json<UserView>, Problem> {
    Ok(Json(read::one(&users.store.reader()?, user).await?))
}

/// Changes a name, an avatar, or both. They themselves only.
#[utoipa::path(
    patch, path = "/v1/users/{user}", tag = "users",
    params(("user" = String, Path)),
    responses((status = 200, body = UserView), WriteProblems),
    security(("bearer" = []))
)]
async fn rename(
    State(users): State<Users>,
    Path(id): Path<UserId>,
    Query(NoQuery {}): Query<NoQuery>,
    caller: Caller,
    Json(request): Json<ChangeUserRequest>,
) -> Result<Json<UserView>, Problem> {
    let name = request.name.map(|name| check_name("name", &name)).transpose()?;
    let check = |avatar: Option<String>| avatar.map(|avatar| check_avatar("avatar", &avatar)).transpose();
    let avatar = request.avatar.map(check).transpose()?;
    if name.is_none() && avatar.is_none() {
        return Err(Problem::malformed("say what to change: name, avatar, or both"));
    }
    let (by, wanted) = (user(&caller), Change { name, avatar });
    Ok(Json(change(&users, id, move |view| write::rename(view, id, by, &wanted)).await?))
}

/// Renews a token while the one before still counts. They themselves only.
#[utoipa::path(
    post, path = "/v1/users/{user}/tokens", tag = "users",
    params(("user" = String, Path)),
    responses((status = 201, body = Session), WriteProblems),
    security(("bearer" = []))
)]
async fn renew(
    State(users): State<Users>,
    Path(id): Path<UserId>,
    Query(NoQuery {}): Query<NoQuery>,
    caller: Caller,
) -> Result<(StatusCode, Json<Session>), Problem> {
    let shown = read::one(&users.store.reader()?, id).await?;
    if id != user(&caller) {
        return Err(Problem::forbidden("only they themselves may renew a token"));
    }
    Ok((StatusCode::CREATED, Json(sign_in(&users, id, shown))))
}

/// A token of somebody, valid from now on.
fn sign_in(users: &Users, id: UserId, user: UserView) -> Session {
    let now_s = users.keys.now_s();
    let token = users.signing_key.sign_token(id.to_bytes(), now_s, TOKEN_TTL_S);
    let expires_at = rfc3339::format(now_s.saturating_add(TOKEN_TTL_S).saturating_mul(1000));
    Session { user, token, expires_at }
}

/// Runs a change, and answers with what is on the disk then.
async fn change<F>(users: &Users, id: UserId, function: F) -> Result<UserView, Problem>
where
    F: FnMut(&mut View<'_>) -> Result<Profile, Abort<Problem>> + Send + 'static,
{
    let profile = users.store.write(function).await?;
    UserView::of(id, &profile).ok_or_else(|| Problem::not_found("user"))
}
