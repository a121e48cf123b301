//! The client's name for one attempt to change something, which makes sending it again safe.

use axum::extract::OptionalFromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::Type;
use utoipa::openapi::{ObjectBuilder, Required};

use crate::encoding::base64url;
use crate::problem::Problem;

/// The header, as documents and problems spell it.
pub const IDEMPOTENCY_HEADER: &str = "Idempotency-Key";
/// The fewest characters: 128 random bits take 22 in base64.
pub const IDEMPOTENCY_CHARS_MIN: usize = 22;
/// The most characters.
pub const IDEMPOTENCY_CHARS_MAX: usize = 255;

/// What the client sent as `Idempotency-Key`: 22 to 255 visible ASCII characters other than `"` and `\`.
///
/// One pair of double quotes around them, as the IETF draft writes a structured string, is accepted and removed:
/// the key is the same with and without. Handlers take `Option<IdempotencyKey>`; where the header is absent they
/// [mint](IdempotencyKey::or_mint) a key from their world's random bits, and a retry is then not covered.
///
/// Ids derive from it, and with an id made from a guessed key one could take another's place: hence its length.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The key that was sent, or one of these 128 random bits.
    #[must_use]
    pub fn or_mint(sent: Option<Self>, random: u128) -> Self {
        sent.unwrap_or_else(|| Self(base64url(&random.to_be_bytes())))
    }

    /// Reads the value of a header.
    pub fn parse(value: &[u8]) -> Result<Self, Problem> {
        let wrong = |detail: String, limit| {
            let problem = Problem::bad_request(IDEMPOTENCY_HEADER, detail);
            Err(if let Some(limit) = limit { problem.with_limit(limit as u64) } else { problem })
        };
        let bare = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value);
        if bare.len() < IDEMPOTENCY_CHARS_MIN {
            let detail = format!("send at least {IDEMPOTENCY_CHARS_MIN} characters, such as a random UUID");
            return wrong(detail, Some(IDEMPOTENCY_CHARS_MIN));
        }
        if bare.len() > IDEMPOTENCY_CHARS_MAX {
            return wrong(
                format!("send at most {IDEMPOTENCY_CHARS_MAX} characters"),
                Some(IDEMPOTENCY_CHARS_MAX),
            );
        }
        let legal = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
        match str::from_utf8(bare) {
            Ok(text) if bare.iter().all(legal) => Ok(Self(text.to_owned())),
            _ => wrong("send visible ascii characters other than \" and \\ only".to_owned(), None),
        }
    }

    /// The bytes that ids derive from.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The key without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn of(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let mut values = headers.get_all(IDEMPOTENCY_HEADER).iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => Self::parse(value.as_bytes()).map(Some),
            (Some(_), Some(_)) => Err(Problem::bad_request(IDEMPOTENCY_HEADER, "send the header once")),
        }
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Problem> {
        Self::of(&parts.headers)
    }
}

/// `params(IdempotencyKey)` in `#[utoipa::path]` documents the header.
impl IntoParams for IdempotencyKey {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let schema = ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(IDEMPOTENCY_CHARS_MIN))
            .max_length(Some(IDEMPOTENCY_CHARS_MAX));
        let parameter = ParameterBuilder::new()
            .name(IDEMPOTENCY_HEADER)
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(
                "At least 128 random bits, such as a UUID. The same request with the same key changes nothing \
                 more. Without it the server makes one, and a retry is not covered.",
            ))
            .schema(Some(schema));
        vec![parameter.build()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        let uuid = "8e03978e-40d5-43e8-bc93-6894a57f9324";
        let (short, long) = ("a".repeat(21), "a".repeat(256));
        for (value, key) in [
            (uuid.as_bytes(), Some(uuid)),
            (format!("\"{uuid}\"").as_bytes(), Some(uuid)),
            (b"AAAAAAAAAAAAAAAAAAAAAA", Some("AAAAAAAAAAAAAAAAAAAAAA")),
            (b"!#$%&'()*+,-./:;<=>?@[]", Some("!#$%&'()*+,-./:;<=>?@[]")),
            (&long.as_bytes()[1..], Some(&long[1..])),
            (format!("\"{}\"", &long[1..]).as_bytes(), Some(&long[1..])),
            (b"", None),
            (short.as_bytes(), None),
            (format!("\"{short}\"").as_bytes(), None),
            (long.as_bytes(), None),
            (b"\"AAAAAAAAAAAAAAAAAAAAAAAA", None),
            (b"AAAAAAAAAAAAAAAAAAAAAAAA\"", None),
            (b"\"\"AAAAAAAAAAAAAAAAAAAAAAAA\"\"", None),
            (b"AAAAAAAAAAAA AAAAAAAAAAAA", None),
            (b"AAAAAAAAAAAA\tAAAAAAAAAAAA", None),
            (b"AAAAAAAAAAAA\\AAAAAAAAAAAA", None),
            ("éééééééééééééééééééééé".as_bytes(), None),
            (&[0xff; 30], None),
        ] {
            let parsed = IdempotencyKey::parse(value);
            let named = |problem: &Problem| problem.field() == Some(IDEMPOTENCY_HEADER);
            match key {
                Some(key) => assert_eq!(parsed.unwrap().as_str(), key),
                None => assert!(parsed.as_ref().is_err_and(named), "{value:?}: {parsed:?}"),
            }
        }
        assert_eq!(IdempotencyKey::parse(short.as_bytes()).unwrap_err().limit(), Some(22));
        assert_eq!(IdempotencyKey::parse(long.as_bytes()).unwrap_err().limit(), Some(255));
    }

    #[test]
    fn a_minted_key_could_have_been_sent() {
        for random in [0, 1, u128::MAX] {
            let minted = IdempotencyKey::or_mint(None, random);
            assert_eq!(IdempotencyKey::parse(minted.as_bytes()).unwrap(), minted);
            assert_eq!(IdempotencyKey::or_mint(Some(minted.clone()), 7), minted);
        }
        assert_eq!(IdempotencyKey::or_mint(None, 1).as_str(), "AAAAAAAAAAAAAAAAAAAAAQ");
    }
}
