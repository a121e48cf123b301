//! A users service in memory, and how to ask it.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests, where a panic is the verdict"
)]

use antiphon_users::{NAME, Users};
use api::problem::{PROBLEM_MEDIA_TYPE, ProblemDocument, problems_only};
use api::root::certify;
use api::{KeyRing, SigningKey};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use serde_json::Value;
use std::sync::Arc;
use store::{Memory, SeededWorld, Setup, Store, World};
use tower::ServiceExt as _;

pub(crate) const START_MS: u64 = 1_700_000_000_000;
pub(crate) const ORLA: &str = "8e03978e-40d5-43e8-bc93-6894a57f9324";
pub(crate) const FINN: &str = "0d5c1d5e-7a39-4b0f-9c55-2b7d2f3f1f10";

pub(crate) fn root() -> SigningKey {
    SigningKey::from_seed([1; 32])
}

pub(crate) fn signing_key() -> SigningKey {
    SigningKey::from_seed([2; 32])
}

/// What outlives a process: the disk, and time.
pub(crate) struct Site {
    pub(crate) disk: Memory,
    pub(crate) world: Arc<SeededWorld>,
    /// Whether it has siblings.
    pub(crate) siblings: bool,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::with_seed(7)
    }

    /// Another seed is another replica.
    pub(crate) fn with_seed(seed: u64) -> Self {
        let world = Arc::new(SeededWorld::new(seed, START_MS));
        Self { disk: Memory::new(), world, siblings: false }
    }

    pub(crate) fn ring(&self) -> Arc<KeyRing> {
        let world = Arc::clone(&self.world);
        Arc::new(KeyRing::new(root().public(), move || world.now_ms() / 1000))
    }

    pub(crate) fn store(&self) -> Store {
        let world = Arc::<SeededWorld>::clone(&self.world);
        let setup = Setup::of(NAME);
        let setup = if self.siblings { setup } else { setup.muting(antiphon_users::siblings::TOPICS) };
        Store::open(self.disk.clone(), world, &setup).unwrap()
    }

    pub(crate) async fn start(&self) -> Service {
        let key = signing_key();
        let certificate = certify(&root(), &key.public());
        let users = Users::open(self.store(), self.ring(), key, certificate).await.unwrap();
        let router = problems_only(users.router().split_for_parts().0);
        Service { users, router }
    }
}

pub(crate) struct Service {
    pub(crate) users: Users,
    pub(crate) router: Router,
}

/// A request: method, path, headers, body.
pub(crate) struct Ask {
    request: axum::http::request::Builder,
    body: String,
}

pub(crate) fn ask(method: &str, path: &str) -> Ask {
    Ask { request: Request::builder().method(method).uri(path), body: String::new() }
}

impl Ask {
    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        Self { request: self.request.header(name, value), ..self }
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn json(self, body: &str) -> Self {
        Self { body: body.to_owned(), ..self.header("content-type", "application/json") }
    }
}

/// Somebody who was created, with their token.
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) token: String,
}

impl Person {
    pub(crate) fn path(&self) -> String {
        format!("/v1/users/{}", self.id)
    }
}

impl Service {
    pub(crate) async fn send(&self, ask: Ask) -> (u16, HeaderMap, Vec<u8>) {
        let response =
            self.router.clone().oneshot(ask.request.body(Body::from(ask.body)).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        (parts.status.as_u16(), parts.headers, to_bytes(body, usize::MAX).await.unwrap().to_vec())
    }

    pub(crate) async fn ok(&self, ask: Ask) -> (u16, Value) {
        let (status, _, body) = self.send(ask).await;
        assert!(status < 400, "{status}: {}", String::from_utf8_lossy(&body));
        (status, serde_json::from_slice(&body).unwrap())
    }

    pub(crate) async fn refused(&self, ask: Ask) -> (ProblemDocument, HeaderMap) {
        let (status, headers, body) = self.send(ask).await;
        assert_eq!(
            headers["content-type"],
            PROBLEM_MEDIA_TYPE,
            "{status}: {}",
            String::from_utf8_lossy(&body)
        );
        let document: ProblemDocument = serde_json::from_slice(&body).unwrap();
        assert_eq!(document.status, status);
        (document, headers)
    }

    pub(crate) async fn create(&self, key: &str, body: &str) -> Person {
        let (status, answer) = self.ok(ask("POST", "/v1/users").key(key).json(body)).await;
        assert_eq!(status, 201);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Person { id: text(&answer["user"]["id"]), token: text(&answer["token"]) }
    }
}
