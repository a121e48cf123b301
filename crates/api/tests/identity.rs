//! Who asks, and for which time: tokens and idempotency keys as headers.

mod service;

use antiphon_api::SigningKey;
use axum::http::StatusCode;
use service::{KEY, NOW_S, Posted, TTL_S, USER, at, comment, refused, send, token};

#[tokio::test]
async fn callers() {
    let forged = SigningKey::from_seed([2; 32]).sign_token(USER, NOW_S, TTL_S);
    let expired = SigningKey::from_seed([1; 32]).sign_token(USER, NOW_S - TTL_S - 60, TTL_S);
    let ok = token();
    for (header, status) in [
        (Some(format!("Bearer {ok}")), 201),
        (Some(format!("bearer  {ok}")), 201),
        (None, 401),
        (Some(ok.clone()), 401),
        (Some("Basic YTpi".to_owned()), 401),
        (Some("Bearer".to_owned()), 401),
        (Some("Bearer ".to_owned()), 401),
        (Some(format!("Bearer {ok} ")), 401),
        (Some(format!("Bearer {ok}x")), 401),
        (Some(format!("Bearer {expired}")), 401),
        (Some(format!("Bearer {forged}")), 503),
        (Some("Bearer é".to_owned()), 401),
    ] {
        let mut request = comment(r#"{"text":"a"}"#);
        request.headers_mut().remove("authorization");
        if let Some(header) = &header {
            request.headers_mut().insert("authorization", header.parse().unwrap());
        }
        if status == 201 {
            assert_eq!(send(request).await.0, StatusCode::CREATED);
            continue;
        }
        let (problem, headers) = refused(request).await;
        assert_eq!((problem.status, problem.field.as_deref()), (status, Some("Authorization")), "{header:?}");
        assert_eq!(headers.get("www-authenticate").is_some_and(|value| value == "Bearer"), status == 401);
        assert_eq!(headers.get("retry-after").is_some_and(|value| value == "2"), status == 503);
        assert_eq!(problem.retry_after_s, (status == 503).then_some(2));
    }
    let mut twice = comment(r#"{"text":"a"}"#);
    twice.headers_mut().append("authorization", "Bearer x".parse().unwrap());
    assert_eq!(refused(twice).await.0.status, 401);

    let mut reader = at("/v1/stories/s/parts/7/comments");
    reader.headers_mut().insert("authorization", format!("Bearer {ok}").parse().unwrap());
    assert_eq!(send(reader).await.2, "[20,true]");
    let mut reader = at("/v1/stories/s/parts/7/comments");
    reader.headers_mut().insert("authorization", "Bearer nonsense".parse().unwrap());
    assert_eq!(refused(reader).await.0.status, 401);
}

#[tokio::test]
async fn idempotency_keys() {
    for key in ["short", "has a space in it, and more", "\"unbalanced-but-long-enough"] {
        let mut request = comment(r#"{"text":"a"}"#);
        request.headers_mut().insert("idempotency-key", key.parse().unwrap());
        let (problem, _) = refused(request).await;
        assert_eq!((problem.status, problem.field.as_deref()), (400, Some("Idempotency-Key")), "{key}");
    }
    let mut twice = comment(r#"{"text":"a"}"#);
    twice.headers_mut().append("idempotency-key", KEY.parse().unwrap());
    assert_eq!(refused(twice).await.0.field.as_deref(), Some("Idempotency-Key"));
    let mut quoted = comment(r#"{"text":"a"}"#);
    quoted.headers_mut().insert("idempotency-key", format!("\"{KEY}\"").parse().unwrap());
    let posted: Posted = serde_json::from_slice(&send(quoted).await.2).unwrap();
    assert_eq!(posted.key, KEY);
}
