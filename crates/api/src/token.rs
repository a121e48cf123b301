//! Signed tokens: JWT (RFC 7519) as compact JWS with Ed25519 (RFC 8037), as little of it as serves, and strictly.
//!
//! The header is `alg: EdDSA`, `typ: JWT` and `kid`, nothing more: what a reader would have to understand (`crit`)
//! is refused by being unknown. The claims are `iss`, `sub` (32 hexadecimal digits), `iat` and `exp` (seconds
//! since 1970). Further claims are ignored, as RFC 7519 asks, so that a newer signer does not lock people out of
//! older services; only `aud` and `nbf` are refused, since they restrict what we would otherwise accept.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::encoding::{base64url, hex, unbase64url, unhex};
use crate::keys::{KEY_ID_CHARS, PublicKey, SigningKey};
use crate::problem::Problem;

/// The longest token that is read, in bytes.
pub const TOKEN_BYTES_MAX: usize = 2048;
/// How far the clocks of the signer and the reader may be apart, in seconds.
pub const CLOCK_LEEWAY_S: u64 = 60;
/// After how many seconds to ask again with a key that has not been heard of yet.
pub const KEY_RETRY_AFTER_S: u32 = 2;
/// Who signs: the `iss` of every token. Which deployment it is, the key says.
pub const TOKEN_ISSUER: &str = "antiphon-users";

/// What a verified token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Who the bearer is.
    pub user: [u8; 16],
    /// When it was signed, in seconds since 1970.
    pub issued_s: u64,
    /// From when on it does not count, in seconds since 1970.
    pub expires_s: u64,
    /// The key that signed it.
    pub key_id: String,
}

impl Claims {
    /// The user's id as 32 hexadecimal digits.
    pub fn user_text(&self) -> String {
        hex(&self.user)
    }
}

/// Why a token does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Sign in.
    #[error("send a token: authorization: Bearer, then the token")]
    Missing,
    /// Sign in again: this was never signed here.
    #[error("sign in again: the token is malformed: {0}")]
    Malformed(&'static str),
    /// Send it again in [`KEY_RETRY_AFTER_S`] seconds: the signer's key may still be on its way.
    #[error("send the same again in {KEY_RETRY_AFTER_S} s: the key {0} has not been heard of yet")]
    UnknownKey(String),
    /// Sign in again: it was changed, or signed by someone else.
    #[error("sign in again: the token's signature is wrong")]
    WrongSignature,
    /// Renew it.
    #[error("renew the token: it has expired")]
    Expired,
    /// Tell the operator: one of two clocks is wrong.
    #[error("check the clocks: the token was signed in the future")]
    NotYetValid,
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        let detail = error.to_string();
        match error {
            TokenError::UnknownKey(_) => Self::unavailable(detail, KEY_RETRY_AFTER_S),
            _ => Self::unauthenticated(detail),
        }
        .with_field("Authorization")
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header<T> {
    alg: T,
    typ: T,
    kid: T,
}

#[derive(Serialize, Deserialize)]
struct Payload<T> {
    iss: T,
    sub: T,
    iat: u64,
    exp: u64,
    #[serde(default, skip_serializing)]
    aud: Option<IgnoredAny>,
    #[serde(default, skip_serializing)]
    nbf: Option<IgnoredAny>,
}

impl SigningKey {
    /// A token for this user, valid from `now_s` for `ttl_s` seconds. The same arguments give the same bytes.
    pub fn sign_token(&self, user: [u8; 16], now_s: u64, ttl_s: u64) -> String {
        let header = Header { alg: "EdDSA", typ: "JWT", kid: &self.key_id() };
        let exp = now_s.saturating_add(ttl_s);
        let payload = Payload { iss: TOKEN_ISSUER, sub: &hex(&user), iat: now_s, exp, aud: None, nbf: None };
        let token = format!("{}.{}", json_text(&header), json_text(&payload));
        let signature = base64url(&self.sign(token.as_bytes()));
        format!("{token}.{signature}")
    }
}

fn json_text(value: &impl Serialize) -> String {
    // Strings and numbers always serialise.
    base64url(&serde_json::to_vec(value).unwrap_or_default())
}

/// What a token says, if a key that `lookup` knows signed it and now is within its time.
///
/// `lookup` answers only with certified keys. An expired token is told as such even if its key is unknown, so that
/// nobody waits for a key that is gone.
pub fn verify(
    token: &str,
    lookup: impl Fn(&str) -> Option<PublicKey>,
    now_s: u64,
) -> Result<Claims, TokenError> {
    use TokenError::{Expired, Malformed, NotYetValid, UnknownKey, WrongSignature};

    if token.len() > TOKEN_BYTES_MAX {
        return Err(Malformed("too long"));
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(Malformed("not three parts"))?;
    let (header, payload) = signed.split_once('.').ok_or(Malformed("not three parts"))?;
    let signature = unbase64url(signature).and_then(|bytes| <[u8; 64]>::try_from(bytes).ok());
    let signature = signature.ok_or(Malformed("signature"))?;
    let key_id = read_header(header)?;
    let claims = read_claims(payload, key_id)?;

    let expired = now_s >= claims.expires_s.saturating_add(CLOCK_LEEWAY_S);
    let Some(key) = lookup(&claims.key_id) else {
        return Err(if expired { Expired } else { UnknownKey(claims.key_id) });
    };
    if !key.verifies(signed.as_bytes(), &signature) {
        return Err(WrongSignature);
    }
    if expired {
        return Err(Expired);
    }
    if claims.issued_s > now_s.saturating_add(CLOCK_LEEWAY_S) {
        return Err(NotYetValid);
    }
    Ok(claims)
}

fn read_header(text: &str) -> Result<String, TokenError> {
    let bytes = unbase64url(text).ok_or(TokenError::Malformed("header"))?;
    let header: Header<String> =
        serde_json::from_slice(&bytes).map_err(|_| TokenError::Malformed("header"))?;
    if header.alg != "EdDSA" {
        return Err(TokenError::Malformed("alg is not EdDSA"));
    }
    if header.typ != "JWT" {
        return Err(TokenError::Malformed("typ is not JWT"));
    }
    if header.kid.len() != KEY_ID_CHARS || unhex(&header.kid).is_none() {
        return Err(TokenError::Malformed("kid"));
    }
    Ok(header.kid)
}

fn read_claims(text: &str, key_id: String) -> Result<Claims, TokenError> {
    let bytes = unbase64url(text).ok_or(TokenError::Malformed("claims"))?;
    let payload: Payload<String> =
        serde_json::from_slice(&bytes).map_err(|_| TokenError::Malformed("claims"))?;
    if payload.iss != TOKEN_ISSUER {
        return Err(TokenError::Malformed("iss"));
    }
    if payload.aud.is_some() || payload.nbf.is_some() {
        return Err(TokenError::Malformed("aud and nbf are not understood"));
    }
    let user = unhex(&payload.sub).ok_or(TokenError::Malformed("sub"))?;
    Ok(Claims { user, issued_s: payload.iat, expires_s: payload.exp, key_id })
}
