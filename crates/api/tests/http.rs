//! Every refusal of a small service is a problem document that names what is at fault.

mod service;

use antiphon_api::problem::{PROBLEM_MEDIA_TYPE, problems_only};
use antiphon_api::{Cursor, Problem, body};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use axum::response::IntoResponse as _;
use axum::routing::get;
use service::{KEY, Posted, at, comment, refused, send, service};
use tower::ServiceExt as _;

#[tokio::test]
async fn what_is_right_passes() {
    let (status, headers, body) = send(comment(r#"{"text":"a\r\nb","paragraph":3}"#)).await;
    assert_eq!(
        (status, &headers["content-type"]),
        (StatusCode::CREATED, &"application/json".parse().unwrap())
    );
    let posted: Posted = serde_json::from_slice(&body).unwrap();
    let user = "ab".repeat(16);
    assert_eq!(
        posted,
        Posted { user, key: KEY.to_owned(), part: 7, text: "a\nb".to_owned(), paragraph: Some(3) }
    );

    let mut unkeyed = comment(r#"{"text":"a"}"#);
    unkeyed.headers_mut().remove("idempotency-key");
    assert_eq!(send(unkeyed).await.0, StatusCode::CREATED);
    let cursor = Cursor::seal("comments", b"k");
    let uri = format!("/v1/stories/s/parts/7/comments?limit=5&cursor={cursor}");
    assert_eq!(send(at(&uri)).await.2, "[5,false]");
    assert_eq!(send(at("/v1/moved")).await.0, StatusCode::TEMPORARY_REDIRECT);
}

#[tokio::test]
async fn bodies() {
    let long = format!(r#"{{"text":"{}"}}"#, "a".repeat(10_001));
    for (body, status, field, limit) in [
        ("{", 400, None, None),
        ("", 400, None, None),
        (r#"{"text":"a"} trailing"#, 400, None, None),
        (r#"{"text":1}"#, 400, Some("text"), None),
        (r#"{"text":"a","text":"b"}"#, 400, Some("text"), None),
        (r#"{"text":"a","paragraf":1}"#, 400, Some("paragraf"), None),
        (r#"{"text":"a","paragraph":-1}"#, 400, Some("paragraph"), None),
        (r#"{"paragraph":1}"#, 400, Some("text"), None),
        (r#"{"text":" "}"#, 400, Some("text"), None),
        (r#"{"text":"a\u0000"}"#, 400, Some("text"), None),
        (&long, 400, Some("text"), Some(10_000)),
    ] {
        let (problem, _) = refused(comment(body.to_owned())).await;
        assert_eq!(
            (problem.status, problem.field.as_deref(), problem.limit),
            (status, field, limit),
            "{body}"
        );
        assert_eq!(problem.kind, "/problems/bad-request");
    }
    let (problem, _) = refused(comment("{\n\"text\": nil}")).await;
    assert_eq!(problem.detail, "the body is not JSON: expected ident at line 2 column 10");
}

#[tokio::test]
async fn sizes_and_types_of_bodies() {
    let fits = format!(r#"{{"text":"a"{}}}"#, " ".repeat(body::BODY_BYTES_MAX - 12));
    assert_eq!(fits.len(), body::BODY_BYTES_MAX);
    assert_eq!(send(comment(fits.clone())).await.0, StatusCode::CREATED);

    let over = format!("{fits} ");
    let unannounced = Body::new(Body::from(over.clone())); // a stream: only reading tells its size
    let mut announced = comment("never read");
    announced.headers_mut().insert("content-length", (body::BODY_BYTES_MAX + 1).into());
    for request in [comment(over), comment(unannounced), announced] {
        let (problem, _) = refused(request).await;
        assert_eq!((problem.status, problem.limit), (413, Some(1_048_576)));
    }
    for media in [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("é")] {
        let mut request = comment(r#"{"text":"a"}"#);
        request.headers_mut().remove("content-type");
        if let Some(media) = media {
            request.headers_mut().insert("content-type", media.parse().unwrap());
        }
        let (problem, _) = refused(request).await;
        assert_eq!((problem.status, problem.field.as_deref()), (415, Some("Content-Type")));
    }
    // Extractors of axum itself are told the same way.
    let huge = Request::post("/v1/bytes").body(Body::from(vec![0; 3_000_000])).unwrap();
    assert_eq!(refused(huge).await.0.kind, "/problems/too-large");
}

#[tokio::test]
async fn parameters() {
    for (uri, field) in [
        ("/v1/parts/x", Some("part")),
        ("/v1/parts/-1", Some("part")),
        ("/v1/parts/%ff", Some("part")),
        ("/v1/named/x", Some("part")),
        ("/v1/stories/s/parts/7/comments?limit=0", Some("limit")),
        ("/v1/stories/s/parts/7/comments?limit=101", Some("limit")),
        ("/v1/stories/s/parts/7/comments?limit=x", Some("limit")),
        ("/v1/stories/s/parts/7/comments?limit=1&limit=2", Some("limit")),
        ("/v1/stories/s/parts/7/comments?limits=1", Some("limits")),
        ("/v1/stories/s/parts/7/comments?cursor=nonsense", Some("cursor")),
    ] {
        let (problem, _) = refused(at(uri)).await;
        assert_eq!((problem.status, problem.field.as_deref()), (400, field), "{uri}: {}", problem.detail);
    }
    for (uri, field) in
        [("/v1/stories/s/parts/x/comments", "part"), ("/v1/stories/s/parts/7/comments?flat=1", "flat")]
    {
        let mut request = comment(r#"{"text":"a"}"#);
        *request.uri_mut() = uri.parse().unwrap();
        let (problem, _) = refused(request).await;
        assert_eq!(
            (problem.status, problem.field.as_deref()),
            (400, Some(field)),
            "{uri}: {}",
            problem.detail
        );
    }
}

#[tokio::test]
async fn routes_and_methods() {
    assert_eq!(refused(at("/nowhere")).await.0.kind, "/problems/not-found");
    let (problem, headers) = refused(Request::put("/v1/parts/1").body(Body::empty()).unwrap()).await;
    assert_eq!((problem.status, &headers["allow"]), (405, &"GET,HEAD".parse().unwrap()));
    assert_eq!(refused(at("/v1/plain")).await.0.kind, "/problems/bad-request");
    assert_eq!(refused(at("/v1/gone")).await.0.detail, "the part was taken back");
    let (problem, _) = refused(at("/v1/broken/1/2")).await;
    assert_eq!(problem.kind, "/problems/internal");
    assert!(!problem.detail.contains("parameter"), "our mistakes are not told: {}", problem.detail);

    // The body of an answer to HEAD is left out by the server, as for every answer.
    let (status, headers, _) = send(Request::head("/nowhere").body(Body::empty()).unwrap()).await;
    assert_eq!((status.as_u16(), headers["content-type"].as_bytes()), (404, PROBLEM_MEDIA_TYPE.as_bytes()));
}

#[tokio::test]
async fn guarded_routers_may_be_merged() {
    let other = problems_only(Router::new().route("/other", get(async || "other")));
    let both = service().merge(other);
    for (uri, status) in [("/other", 200), ("/v1/parts/1", 200), ("/nowhere", 404)] {
        let response = both.clone().oneshot(at(uri)).await.unwrap();
        assert_eq!(response.status(), status);
        assert!(status == 200 || response.headers()["content-type"] == PROBLEM_MEDIA_TYPE);
    }
}

/// These bytes are published: clients in other languages read them.
#[tokio::test]
async fn golden_document() {
    let problem = Problem::bad_request("text", "write at most 10 characters").with_limit(10);
    assert_eq!(problem.to_string(), "text: write at most 10 characters");
    let body = to_bytes(problem.into_response().into_body(), 1000).await.unwrap();
    assert_eq!(
        body,
        r#"{"type":"/problems/bad-request","title":"not understood","status":400,"detail":"write at most 10 characters","field":"text","limit":10}"#
    );
}
