//! What Users answers: to its people, to those who claim to be them, and to nonsense.

#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the verdict")]

mod common;

use antiphon_users::TOKEN_TTL_S;
use antiphon_users::rows::ProfileRow;
use api::openapi::SharedParts;
use api::token::CLOCK_LEEWAY_S;
use api::{Keys as _, SigningKey, token};
use common::{Ask, FINN, ORLA, START_MS, Site, ask, signing_key};
use lattice::{Hlc, Lane, Lww, ReplicaId, Stamp};
use messages::{Profile, UserId};
use serde_json::{Value, json};
use std::convert::Infallible;
use store::Abort;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;

fn create(key: &str, body: &str) -> Ask {
    ask("POST", "/v1/users").key(key).json(body)
}

#[tokio::test]
async fn creating_answers_with_who_they_are_and_a_token() {
    let site = Site::new();
    let service = site.start().await;
    let body = r#"{"name":"Orla","avatar":"https://example.org/orla.png"}"#;
    let (status, created) = service.ok(create(ORLA, body)).await;
    let id = UserId::from_bytes(api::derive_id("user", &[ORLA.as_bytes()])).to_string();
    assert_eq!(status, 201);
    let orla = json!({"id": id, "name": "Orla", "avatar": "https://example.org/orla.png"});
    assert_eq!(created["user"], orla);
    assert_eq!(created.as_object().unwrap().keys().collect::<Vec<_>>(), ["expires_at", "token", "user"]);

    let claims = verified(&site, &created);
    assert_eq!(claims.user_text(), id);
    assert_eq!(claims.expires_s, claims.issued_s + TOKEN_TTL_S);
    assert_eq!(created["expires_at"], queue::rfc3339::format(claims.expires_s * 1000));
    assert_eq!(service.ok(ask("GET", &format!("/v1/users/{id}"))).await, (200, orla));
}

/// What another service makes of the token in an answer.
fn verified(site: &Site, answer: &Value) -> token::Claims {
    let lookup = |id: &str| (id == signing_key().key_id()).then(|| signing_key().public());
    token::verify(answer["token"].as_str().unwrap(), lookup, site.ring().now_s()).unwrap()
}

#[tokio::test]
async fn the_key_is_the_secret_and_repeating_it_changes_nothing() {
    let site = Site::new();
    let service = site.start().await;
    let orla = service.create(ORLA, r#"{"name":"Orla"}"#).await;
    let rename = ask("PATCH", &orla.path()).bearer(&orla.token).json(r#"{"name":"Orla Reader"}"#);
    service.ok(rename).await;
    let before = site.disk.commits();

    for body in [r#"{"name":"Orla"}"#, r#"{"avatar":null,"name":"Orla"}"#] {
        let (status, again) = service.ok(create(ORLA, body)).await;
        let shown = json!({"id": orla.id, "name": "Orla Reader", "avatar": null});
        assert_eq!((status, &again["user"]), (201, &shown), "the same person, as they are now");
        assert_eq!(verified(&site, &again).user_text(), orla.id);
    }
    // Another body is another request, the present name too.
    for body in [r#"{"name":"Orla Reader"}"#, r#"{"name":"Orla","avatar":"https://example.org/a.png"}"#] {
        let (problem, _) = service.refused(create(ORLA, body)).await;
        assert_eq!((problem.status, problem.field.as_deref()), (409, Some("Idempotency-Key")));
    }
    assert_eq!(site.disk.commits(), before);

    let other = service.create(FINN, r#"{"name":"Orla"}"#).await;
    assert_ne!(other.id, orla.id, "names need not be unique");
}

#[tokio::test]
async fn without_a_key_everybody_is_new() {
    let service = Site::new().start().await;
    let body = r#"{"name":"Orla"}"#;
    let one = service.ok(ask("POST", "/v1/users").json(body)).await.1;
    let two = service.ok(ask("POST", "/v1/users").json(body)).await.1;
    assert_ne!(one["user"]["id"], two["user"]["id"]);
}

#[tokio::test]
async fn people_change_who_they_are() {
    let service = Site::new().start().await;
    let orla = service.create(ORLA, r#"{"name":"Orla"}"#).await;
    for (change, name, avatar) in [
        (r#"{"name":"Órla"}"#, "Órla", json!(null)),
        (r#"{"avatar":"https://example.org/1.png"}"#, "Órla", json!("https://example.org/1.png")),
        (r#"{"name":"Orla"}"#, "Orla", json!("https://example.org/1.png")),
        (r#"{"avatar":null}"#, "Orla", json!(null)),
        (r#"{"name":"O","avatar":"https://example.org/2.png"}"#, "O", json!("https://example.org/2.png")),
    ] {
        let shown = (200, json!({"id": orla.id, "name": name, "avatar": avatar}));
        let answer = service.ok(ask("PATCH", &orla.path()).bearer(&orla.token).json(change)).await;
        assert_eq!(answer, shown, "{change}");
        assert_eq!(service.ok(ask("GET", &orla.path())).await, shown, "{change}");
    }
}

#[tokio::test]
async fn setting_what_is_so_changes_nothing() {
    let site = Site::new();
    let service = site.start().await;
    let orla = service.create(ORLA, r#"{"name":"Orla"}"#).await;
    let before = site.disk.commits();
    for change in [r#"{"name":"Orla"}"#, r#"{"avatar":null}"#, r#"{"name":"Orla","avatar":null}"#] {
        service.ok(ask("PATCH", &orla.path()).bearer(&orla.token).json(change)).await;
    }
    assert_eq!(site.disk.commits(), before);
}

#[tokio::test]
async fn a_change_wins_over_what_it_replaces_whatever_the_clocks_say() {
    let service = Site::new().start().await;
    let orla = service.create(ORLA, r#"{"name":"Orla"}"#).await;
    let id: UserId = orla.id.parse().unwrap();
    // Written where the clock is ahead of ours.
    let ahead = Hlc::new(START_MS + 60_000, 0);
    let ahead = Stamp { hlc: ahead, replica: ReplicaId::from_u128(u128::MAX), lane: Lane::default() };
    let merge = move |view: &mut store::View<'_>| {
        let delta = Profile { name: Lww::new(ahead, "Ó".to_owned()), ..Profile::default() };
        view.join::<ProfileRow>(&id, delta)?;
        Ok::<_, Abort<Infallible>>(())
    };
    service.users.store().write(merge).await.unwrap();
    let (_, shown) = service.ok(ask("PATCH", &orla.path()).bearer(&orla.token).json(r#"{"name":"O"}"#)).await;
    assert_eq!(shown["name"], "O");
    let stored = service.users.store().reader().unwrap().get::<ProfileRow>(&id).await.unwrap().unwrap();
    assert!(stored.name.stamp() > Some(ahead));
}

#[tokio::test]
async fn nobody_speaks_for_another() {
    let site = Site::new();
    let service = site.start().await;
    let orla = service.create(ORLA, r#"{"name":"Orla"}"#).await;
    let finn = service.create(FINN, r#"{"name":"Finn"}"#).await;
    let now_s = START_MS / 1000;
    let id: UserId = orla.id.parse().unwrap();
    let sign = |key: &SigningKey, issued_s| key.sign_token(id.to_bytes(), issued_s, TOKEN_TTL_S);
    // Orla's claims over Finn's signature.
    let (claims, (_, signature)) =
        (orla.token.rsplit_once('.').unwrap().0, finn.token.rsplit_once('.').unwrap());
    let forged = format!("{claims}.{signature}");
    let expired = sign(&signing_key(), now_s - TOKEN_TTL_S - CLOCK_LEEWAY_S);
    let unknown = sign(&SigningKey::from_seed([9; 32]), now_s);
    let requests = || {
        [
            ask("PATCH", &orla.path()).json(r#"{"name":"Mallory"}"#),
            ask("POST", &format!("{}/tokens", orla.path())),
        ]
    };
    for (token, status) in [
        (None, 401),
        (Some("nonsense"), 401),
        (Some(forged.as_str()), 401),
        (Some(&expired), 401),
        (Some(&unknown), 503),
        (Some(&finn.token), 403),
    ] {
        for request in requests() {
            let request = if let Some(token) = token { request.bearer(token) } else { request };
            let (problem, headers) = service.refused(request).await;
            assert_eq!(problem.status, status, "{token:?}: {problem:?}");
            assert_eq!(problem.field.as_deref(), (status != 403).then_some("Authorization"));
            assert_eq!(headers.contains_key("retry-after"), status == 503);
            assert_eq!(headers.contains_key("www-authenticate"), status == 401);
        }
    }
    assert_eq!(service.ok(ask("GET", &orla.path())).await.1["name"], "Orla");
}

#[tokio::test]
async fn a_token_is_renewed_while_it_counts() {
    let site = Site::new();
    let service = site.start().await;
    let orla = service.create(ORLA, r#"{"name":"Orla"}"#).await;
    let renew = |token: &str| ask("POST", &format!("{}/tokens", orla.path())).bearer(token);
    site.world.set_ms(START_MS + (TOKEN_TTL_S - 60) * 1000);
    let (status, renewed) = service.ok(renew(&orla.token)).await;
    assert_eq!((status, &renewed["user"]["id"]), (201, &json!(orla.id)));
    let claims = verified(&site, &renewed);
    assert_eq!(claims.user_text(), orla.id);
    assert_eq!(claims.issued_s, START_MS / 1000 + TOKEN_TTL_S - 60);

    site.world.set_ms(START_MS + (TOKEN_TTL_S + CLOCK_LEEWAY_S) * 1000);
    assert_eq!(service.refused(renew(&orla.token)).await.0.status, 401);
    assert_eq!(service.ok(renew(renewed["token"].as_str().unwrap())).await.0, 201);
    // Who has the secret is never locked out.
    let again = service.create(ORLA, r#"{"name":"Orla"}"#).await;
    assert_eq!(service.ok(renew(&again.token)).await.0, 201);
}

#[tokio::test]
async fn refusals_name_the_field_and_change_nothing() {
    let site = Site::new();
    let service = site.start().await;
    let orla = service.create(ORLA, r#"{"name":"Orla"}"#).await;
    let before = site.disk.commits();
    let (long, far) = ("ö".repeat(65), format!("https://example.org/{}", "a".repeat(2048)));
    let shared = [
        (json!({"name": long}), Some("name"), Some(64)),
        (json!({"name": ""}), Some("name"), None),
        (json!({"name": " \u{200b}"}), Some("name"), None),
        (json!({"name": "Or\nla"}), Some("name"), None),
        (json!({"name": "Or\u{0}la"}), Some("name"), None),
        (json!({"name": "Or\u{202e}la"}), Some("name"), None),
        (json!({"name": 7}), Some("name"), None),
        (json!({"name": null}), Some("name"), None),
        (json!({"name": "O", "avatar": far}), Some("avatar"), Some(2048)),
        (json!({"name": "O", "avatar": ""}), Some("avatar"), None),
        (json!({"name": "O", "avatar": "javascript:alert(1)"}), Some("avatar"), None),
        (json!({"name": "O", "avatar": 7}), Some("avatar"), None),
        (json!({"name": "O", "id": orla.id}), Some("id"), None),
    ];
    for (body, field, limit) in shared {
        let body = body.to_string();
        for request in [create(FINN, &body), ask("PATCH", &orla.path()).bearer(&orla.token).json(&body)] {
            let (problem, _) = service.refused(request).await;
            assert_eq!(
                (problem.status, problem.field.as_deref(), problem.limit),
                (400, field, limit),
                "{body}"
            );
        }
    }
    assert_eq!(service.refused(create(FINN, "{}")).await.0.field.as_deref(), Some("name"));
    assert_eq!(service.refused(create(FINN, r#"{"name":"#)).await.0.status, 400);
    let nothing = ask("PATCH", &orla.path()).bearer(&orla.token).json("{}");
    assert_eq!(service.refused(nothing).await.0.status, 400);
    let short = service.refused(create("too-short", r#"{"name":"O"}"#)).await.0;
    assert_eq!((short.field.as_deref(), short.limit), (Some("Idempotency-Key"), Some(22)));
    let large = create(FINN, &json!({"name": "a".repeat(1024 * 1024)}).to_string());
    assert_eq!(service.refused(large).await.0.status, 413);
    let plain = ask("POST", "/v1/users").header("content-type", "text/plain");
    assert_eq!(service.refused(plain).await.0.status, 415);
    let query = service.refused(ask("GET", &format!("{}?x=1", orla.path()))).await.0;
    assert_eq!((query.status, query.field.as_deref()), (400, Some("x")));
    assert_eq!(service.refused(ask("DELETE", &orla.path())).await.0.status, 405);
    assert_eq!(site.disk.commits(), before);
}

#[tokio::test]
async fn who_is_not_here_and_what_is_no_id() {
    let service = Site::new().start().await;
    let orla = service.create(ORLA, r#"{"name":"Orla"}"#).await;
    let nobody = "0".repeat(32);
    for (id, status) in [(nobody.as_str(), 404), ("orla", 400), (&orla.id.to_uppercase(), 400)] {
        let path = format!("/v1/users/{id}");
        for request in [
            ask("GET", &path),
            ask("PATCH", &path).bearer(&orla.token).json(r#"{"name":"O"}"#),
            ask("POST", &format!("{path}/tokens")).bearer(&orla.token),
        ] {
            let (problem, _) = service.refused(request).await;
            assert_eq!(problem.status, status, "{id}: {problem:?}");
            assert_eq!(problem.field.as_deref(), (status == 400).then_some("user"));
        }
    }
}

#[tokio::test]
async fn a_restart_forgets_nothing() {
    let site = Site::new();
    let service = site.start().await;
    let body = r#"{"name":"Orla"}"#;
    let orla = service.create(ORLA, body).await;
    service.users.store().clone().close().await;
    drop(service);
    site.disk.crash();

    let service = site.start().await;
    assert_eq!(service.ok(ask("GET", &orla.path())).await.1["name"], "Orla");
    assert_eq!(service.create(ORLA, body).await.id, orla.id);
    assert_eq!(service.refused(create(ORLA, r#"{"name":"O"}"#)).await.0.status, 409);
    let rename = ask("PATCH", &orla.path()).bearer(&orla.token).json(r#"{"name":"O"}"#);
    assert_eq!(service.ok(rename).await.1["name"], "O", "the token of before the restart counts");
}

#[derive(utoipa::OpenApi)]
#[openapi(info(title = "users"), modifiers(&SharedParts))]
struct Description;

#[tokio::test]
async fn every_route_is_described_and_refers_to_nothing_that_is_missing() {
    let service = Site::new().start().await;
    let described = OpenApiRouter::<()>::with_openapi(Description::openapi()).merge(service.users.router());
    let text = serde_json::to_string(&described.into_openapi()).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    for reference in text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(
                operation["summary"].is_string() && operation["responses"].is_object(),
                "{method} {path}"
            );
            routes.push(format!("{method} {path}"));
        }
    }
    let expected = [
        "post /v1/users",
        "get /v1/users/{user}",
        "patch /v1/users/{user}",
        "get /v1/users/{user}/shelf",
        "delete /v1/users/{user}/shelf/{story}",
        "get /v1/users/{user}/shelf/{story}",
        "put /v1/users/{user}/shelf/{story}",
        "post /v1/users/{user}/tokens",
    ];
    assert_eq!(routes, expected);

    for shelf in ["/v1/users/{user}/shelf", "/v1/users/{user}/shelf/{story}"] {
        let read = &document["paths"][shelf]["get"];
        for status in ["401", "403"] {
            let schema = &read["responses"][status]["content"]["application/problem+json"]["schema"];
            assert_eq!(schema["$ref"], "#/components/schemas/Problem", "{shelf} {status}");
        }
        assert_eq!(read["security"], json!([{"bearer": []}]));
    }

    let schemas = &document["components"]["schemas"];
    let change = &schemas["ChangeUserRequest"];
    assert_eq!(change["required"], Value::Null);
    assert_eq!(change["properties"]["name"]["type"], "string");
    assert_eq!(change["properties"]["avatar"]["type"], json!(["string", "null"]));
    assert_eq!(schemas["CreateUserRequest"]["required"], json!(["name"]));
    assert_eq!(schemas["Session"]["properties"]["user"]["$ref"], "#/components/schemas/User");
}
