//! Who is asking.

use std::fmt;
use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts, OptionalFromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};

use crate::keys::PublicKey;
use crate::problem::Problem;
use crate::token::{Claims, TokenError, verify};

/// What a service knows for verifying tokens alone: certified keys, and the time.
///
/// **The implementer owes:** `public_key` answers from memory without waiting, and only with keys whose
/// certificate was verified under the root key of the configuration: a key that is merely announced must not be
/// found here, or anyone who can publish can sign in as anyone. `now_s` is the service's world's clock. Neither
/// panics. **If it forgets a key,** its bearers get 503 until it hears of it again.
pub trait Keys: Send + Sync {
    /// The certified key with this id, if it has been heard of.
    fn public_key(&self, key_id: &str) -> Option<PublicKey>;

    /// Seconds since 1970.
    fn now_s(&self) -> u64;
}

impl fmt::Debug for dyn Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

/// The user whose token came with the request. Without a token, or with one that does not count, the handler is
/// not called: 401, or 503 with `Retry-After` where the key may still be on its way.
///
/// `Option<Caller>` is for pages that anyone may read and that show a user more: no token is `None`, a wrong one is
/// still refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The user's id.
    pub user: [u8; 16],
    /// The user's id as 32 hexadecimal digits.
    pub user_text: String,
    /// All that the token says.
    pub claims: Claims,
}

impl Caller {
    fn of(headers: &HeaderMap, keys: &dyn Keys) -> Result<Self, TokenError> {
        let token = bearer(headers)?;
        let claims = verify(token, |key_id| keys.public_key(key_id), keys.now_s())?;
        Ok(Self { user: claims.user, user_text: claims.user_text(), claims })
    }
}

fn bearer(headers: &HeaderMap) -> Result<&str, TokenError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or(TokenError::Missing)?;
    if values.next().is_some() {
        return Err(TokenError::Malformed("authorization is there twice"));
    }
    let text = value.to_str().map_err(|_| TokenError::Malformed("not ascii"))?;
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("Bearer") => Ok(token.trim_start_matches(' ')),
        _ => Err(TokenError::Missing),
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller
where
    Arc<dyn Keys>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Ok(Self::of(&parts.headers, &*Arc::<dyn Keys>::from_ref(state))?)
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Caller
where
    Arc<dyn Keys>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, Problem> {
        if !parts.headers.contains_key(header::AUTHORIZATION) {
            return Ok(None);
        }
        <Self as FromRequestParts<S>>::from_request_parts(parts, state).await.map(Some)
    }
}
