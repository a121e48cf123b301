//! A signed-in user: the token that every request of theirs carries, and how to get another.

use std::fmt;
use std::sync::{PoisonError, RwLock};

use hyper::header::HeaderValue;
use serde::Deserialize;

use super::call::Call;

/// What tells a server who asks. Never printed.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub(super) struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// A user with a token that may expire.
#[derive(Debug)]
pub(super) struct Session {
    bearer: RwLock<HeaderValue>,
    /// Creating the same user again gives a new token.
    renewal: Call,
}

impl Session {
    pub(super) fn new(token: &Token, renewal: Call) -> Self {
        Self { bearer: RwLock::new(bearer(token)), renewal }
    }

    pub(super) fn bearer(&self) -> HeaderValue {
        self.bearer.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn renewal(&self) -> &Call {
        &self.renewal
    }

    pub(super) fn renew(&self, token: &Token) {
        *self.bearer.write().unwrap_or_else(PoisonError::into_inner) = bearer(token);
    }
}

fn bearer(token: &Token) -> HeaderValue {
    // A token that cannot stand in a header is no token: the server will say so.
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.0))
        .unwrap_or_else(|_| HeaderValue::from_static("Bearer"));
    value.set_sensitive(true);
    value
}
