//! Tokens: what is signed is read back, and nothing else is believed.

use antiphon_api::token::{CLOCK_LEEWAY_S, TOKEN_BYTES_MAX, verify};
use antiphon_api::{Claims, PublicKey, SigningKey, TokenError};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::Signer as _;
use proptest::prelude::*;

const SEED: [u8; 32] = [1; 32];
const USER: [u8; 16] = *b"0123456789abcdef";
const NOW_S: u64 = 1_700_000_000;
const TTL_S: u64 = 3600;

fn key() -> SigningKey {
    SigningKey::from_seed(SEED)
}

fn known(key_id: &str) -> Option<PublicKey> {
    (key_id == key().key_id()).then(|| key().public())
}

fn read(token: &str) -> Result<Claims, TokenError> {
    verify(token, known, NOW_S)
}

/// A token with a right signature and any header and claims.
fn signed(header: &str, payload: &str) -> String {
    let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature = ed25519_dalek::SigningKey::from_bytes(&SEED).sign(text.as_bytes()).to_bytes();
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn header() -> String {
    format!(r#"{{"alg":"EdDSA","typ":"JWT","kid":"{}"}}"#, key().key_id())
}

fn payload(more: &str) -> String {
    let sub = "30313233343536373839616263646566";
    format!(r#"{{"iss":"antiphon-users","sub":"{sub}","iat":1700000000,"exp":1700003600{more}}}"#)
}

#[test]
fn golden() {
    let token = key().sign_token(USER, NOW_S, TTL_S);
    assert_eq!(token, signed(&header(), &payload("")));
    // OpenSSL signs the same text with the same key in the same way.
    assert_eq!(
        token,
        concat!(
            "eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCIsImtpZCI6IjM0NzUwZjk4YmQ1OWZjZmM5NDZkYTQ1YWFhYmU5MzNiIn0",
            ".eyJpc3MiOiJhbnRpcGhvbi11c2VycyIsInN1YiI6IjMwMzEzMjMzMzQzNTM2MzczODM5NjE2MjYzNjQ2NTY2Iiwi",
            "aWF0IjoxNzAwMDAwMDAwLCJleHAiOjE3MDAwMDM2MDB9",
            ".cnp32LKY3bxoJMT1CXw7vDOHmTOmBZ8-7DEFqpLlNrOTFDG7jH9ofnc150pW-7k3goip2_rj05uos4yxLNkLDA",
        )
    );
    let claims = read(&token).unwrap();
    assert_eq!(claims.user_text(), "30313233343536373839616263646566");
    let key_id = key().key_id();
    assert_eq!(claims, Claims { user: USER, issued_s: NOW_S, expires_s: NOW_S + TTL_S, key_id });
}

#[test]
fn times() {
    let token = key().sign_token(USER, NOW_S, TTL_S);
    let end = NOW_S + TTL_S + CLOCK_LEEWAY_S;
    for (now_s, verdict) in [
        (NOW_S - CLOCK_LEEWAY_S - 1, Some(TokenError::NotYetValid)),
        (NOW_S - CLOCK_LEEWAY_S, None),
        (NOW_S, None),
        (end - 1, None),
        (end, Some(TokenError::Expired)),
        (u64::MAX, Some(TokenError::Expired)),
        (0, Some(TokenError::NotYetValid)),
    ] {
        assert_eq!(verify(&token, known, now_s).err(), verdict, "{now_s}");
    }
    let eternal = key().sign_token(USER, NOW_S, u64::MAX);
    assert!(verify(&eternal, known, NOW_S).is_ok());
}

#[test]
fn keys() {
    let token = key().sign_token(USER, NOW_S, TTL_S);
    let unknown = TokenError::UnknownKey(key().key_id());
    assert_eq!(verify(&token, |_| None, NOW_S), Err(unknown));
    assert_eq!(
        verify(&token, |_| None, NOW_S + 2 * TTL_S),
        Err(TokenError::Expired),
        "no waiting for a key that is gone"
    );
    let other = SigningKey::from_seed([2; 32]);
    assert_eq!(verify(&token, |_| Some(other.public()), NOW_S), Err(TokenError::WrongSignature));
    let forged = other.sign_token(USER, NOW_S, TTL_S);
    assert_eq!(verify(&forged, |_| Some(key().public()), NOW_S), Err(TokenError::WrongSignature));
    // Another's claims under a signature that was right for one's own.
    let (_, signature) = token.rsplit_once('.').unwrap();
    let stolen = key().sign_token([9; 16], NOW_S, TTL_S);
    let (claims, _) = stolen.rsplit_once('.').unwrap();
    assert_eq!(read(&format!("{claims}.{signature}")), Err(TokenError::WrongSignature));
}

#[test]
fn headers_and_claims_are_exact() {
    assert!(read(&signed(&header(), &payload(""))).is_ok());
    assert!(read(&signed(&header(), &payload(r#","role":"admin""#))).is_ok(), "further claims are ignored");
    let kid = key().key_id();
    for header in [
        format!(r#"{{"alg":"none","typ":"JWT","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"HS256","typ":"JWT","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"Ed25519","typ":"JWT","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"eddsa","typ":"JWT","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"EdDSA","typ":"at+jwt","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"EdDSA","kid":"{kid}"}}"#),
        r#"{"alg":"EdDSA","typ":"JWT"}"#.to_owned(),
        format!(r#"{{"alg":"EdDSA","typ":"JWT","kid":"{}"}}"#, kid.to_uppercase()),
        format!(r#"{{"alg":"EdDSA","typ":"JWT","kid":"../{kid}"}}"#),
        format!(r#"{{"alg":"EdDSA","typ":"JWT","kid":"{kid}","crit":["exp"]}}"#),
        format!(r#"{{"alg":"EdDSA","typ":"JWT","kid":"{kid}","jwk":{{}}}}"#),
        format!(r#"{{"alg":"EdDSA","alg":"none","typ":"JWT","kid":"{kid}"}}"#),
        "[]".to_owned(),
        String::new(),
    ] {
        assert!(matches!(read(&signed(&header, &payload(""))), Err(TokenError::Malformed(_))), "{header}");
    }
    for claims in [
        payload(r#","aud":"elsewhere""#),
        payload(r#","nbf":1800000000"#),
        payload(r#","exp":1900000000"#),
        payload("").replace("antiphon-users", "elsewhere"),
        payload("").replace("3031", "30"),
        payload("").replace("6566", "6F66"),
        payload("").replace("1700003600", "1700003600.5"),
        payload("").replace("1700003600", "-1"),
        payload("").replace(r#","exp":1700003600"#, ""),
        payload("") + "{}",
        "null".to_owned(),
    ] {
        assert!(matches!(read(&signed(&header(), &claims)), Err(TokenError::Malformed(_))), "{claims}");
    }
}

#[test]
fn spellings_are_canonical() {
    let token = key().sign_token(USER, NOW_S, TTL_S);
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (header, payload) = signed.split_once('.').unwrap();
    // The last character of 64 bytes in base64 carries two bits; the others must not be set.
    let (rest, last) = signature.split_at(signature.len() - 1);
    let next = char::from(last.as_bytes()[0] + 1);
    for wrong in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        signed.to_owned(),
        format!("{signed}."),
        format!("{token}."),
        format!(".{token}"),
        format!("{token}="),
        format!("{signed}.{rest}{next}"),
        format!("{header}=.{payload}.{signature}"),
        format!("{header}.{payload}.{header}.{signature}"),
        format!(" {token}"),
        format!("{token}\n"),
        token.replace('.', "%2e"),
        "a".repeat(TOKEN_BYTES_MAX + 1),
    ] {
        assert!(matches!(read(&wrong), Err(TokenError::Malformed(_))), "{wrong}: {:?}", read(&wrong));
    }
}

#[test]
fn no_beginning_of_a_token_is_a_token() {
    let token = key().sign_token(USER, NOW_S, TTL_S);
    for end in 0..token.len() {
        assert!(matches!(read(&token[..end]), Err(TokenError::Malformed(_))), "{end}");
    }
}

proptest! {
    #[test]
    fn one_changed_byte_is_noticed(at: prop::sample::Index, byte in 0_u8..128) {
        let token = key().sign_token(USER, NOW_S, TTL_S);
        let mut changed = token.clone().into_bytes();
        changed[at.index(token.len())] = byte;
        let changed = String::from_utf8(changed).unwrap();
        prop_assert_eq!(read(&changed).is_ok(), changed == token);
    }

    #[test]
    fn any_text_is_refused_without_panic(text in "[ -~]{0,80}(\\.[A-Za-z0-9_=-]{0,90}){0,4}") {
        prop_assert!(read(&text).is_err());
    }

    #[test]
    fn what_is_signed_is_read(seed: [u8; 32], user: [u8; 16], now_s in 0_u64..u64::MAX / 2, ttl_s in 1_u64..1 << 40) {
        let key = SigningKey::from_seed(seed);
        let token = key.sign_token(user, now_s, ttl_s);
        prop_assert!(token.len() <= TOKEN_BYTES_MAX);
        let claims = verify(&token, |_| Some(key.public()), now_s).unwrap();
        prop_assert_eq!((claims.user, claims.issued_s, claims.expires_s), (user, now_s, now_s + ttl_s));
    }
}
