//! A Comments service in memory, and how to ask it.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests, where a panic is the verdict"
)]

use antiphon_comments::Comments;
use api::root::{Certificate, certify};
use api::{KeyRing, SigningKey};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use choreography::announcement;
use consumer::{Context, Handler, HandlerError};
use lattice::{Life, Min, Stamp};
use messages::{CertifiedKey, Fact, SigningKeyFact, SigningKeyState};
use queue::{MemoryQueue, Queue as _, Subscription};
use serde_json::Value;
use std::convert::Infallible;
use std::sync::Arc;
use store::{Abort, Memory, SeededWorld, Setup, Store};
use tower::ServiceExt;

pub(crate) const PART: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const NOW_S: u64 = 1_700_000_000;

pub(crate) fn id(answer: &Value) -> String {
    answer["comment"]["id"].as_str().unwrap_or_else(|| unreachable!("no comment: {answer}")).to_owned()
}

/// A user's token.
pub(crate) fn token_of(key: &SigningKey, user: u8) -> String {
    key.sign_token([user; 16], NOW_S, 3600)
}

pub(crate) struct Face {
    comments: Comments,
    router: Router,
    key: SigningKey,
    /// What the service says of its routes.
    pub(crate) description: Value,
}

impl Face {
    /// A service whose users' tokens are signed with a key that the root key certified.
    pub(crate) async fn open(disk: Memory) -> Self {
        let face = Self::reopen(disk).await;
        let root = SigningKey::from_seed([1; 32]);
        face.announce_key(&face.key, &certify(&root, &face.key.public())).await.unwrap();
        face
    }

    /// The same, with only the keys that its store has.
    pub(crate) async fn reopen(disk: Memory) -> Self {
        let world = Arc::new(SeededWorld::new(1, NOW_S * 1000));
        let setup = Setup::of(antiphon_comments::NAME)
            .muting(antiphon_comments::siblings::TOPICS)
            .in_deployment("0".repeat(32));
        let store = Store::open(disk, world, &setup).unwrap();
        let (root, key) = (SigningKey::from_seed([1; 32]), SigningKey::from_seed([2; 32]));
        let comments = Comments::open(store, Arc::new(KeyRing::new(root.public(), || NOW_S))).await.unwrap();
        let (routes, description) = comments.router().split_for_parts();
        let description = serde_json::to_value(description).unwrap();
        Self { comments, router: api::problem::problems_only(routes), key, description }
    }

    pub(crate) async fn announce_end_of_key(&self) -> Result<(), HandlerError> {
        let state = SigningKeyState { life: Life::Gone, ..SigningKeyState::default() };
        self.try_hear::<SigningKeyFact>([(self.key.key_id().parse().unwrap(), state)]).await
    }

    pub(crate) async fn announce_empty_key(&self) -> Result<(), HandlerError> {
        let nothing = CertifiedKey { public_key: String::new(), certificate: String::new() };
        let state = SigningKeyState { key: Min::of(nothing), ..SigningKeyState::default() };
        self.try_hear::<SigningKeyFact>([(self.key.key_id().parse().unwrap(), state)]).await
    }

    pub(crate) async fn close(self) {
        self.comments.store().clone().close().await;
    }

    pub(crate) async fn announce_key(
        &self,
        key: &SigningKey,
        certificate: &Certificate,
    ) -> Result<(), HandlerError> {
        let certified =
            CertifiedKey { public_key: key.public().to_string(), certificate: certificate.to_string() };
        let state = SigningKeyState { key: Min::of(certified), ..SigningKeyState::default() };
        self.try_hear::<SigningKeyFact>([(key.key_id().parse().unwrap(), state)]).await
    }

    /// Merges facts as the pump would.
    pub(crate) async fn hear<F: Fact>(&self, facts: impl IntoIterator<Item = (F::Key, F::State)>) {
        self.try_hear::<F>(facts).await.unwrap();
    }

    async fn try_hear<F: Fact>(
        &self,
        facts: impl IntoIterator<Item = (F::Key, F::State)>,
    ) -> Result<(), HandlerError> {
        let deployment = &self.comments.store().identity().deployment.clone();
        let message = announcement::<F>("1", deployment, &facts.into_iter().collect()).unwrap();
        let links = self.comments.links(&MemoryQueue::new().publisher()).unwrap();
        let link = links.into_iter().find(|link| link.topic.as_str() == F::TOPIC).unwrap();
        let subscription = Subscription::new(link.topic, antiphon_comments::NAME, "main").unwrap();
        link.handler.handle(&message, &Context::new(subscription)).await
    }

    pub(crate) async fn mint(&self) -> Stamp {
        let minted = self.comments.store().write(|view| Ok::<_, Abort<Infallible>>(view.mint(None)));
        minted.await.unwrap()
    }

    /// Posts on [`PART`] as a user, under a key that is made long enough.
    pub(crate) async fn post(&self, user: u8, key: &str, body: Value) -> (StatusCode, Value) {
        let key = format!("{key:-<24}");
        self.send("POST", &format!("/v1/parts/{PART}/comments"), Some(user), &key, Some(body)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.send("GET", path, None, "", None).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        answer
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        user: Option<u8>,
        key: &str,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let token = user.map(|user| token_of(&self.key, user));
        self.send_with(method, path, token.as_deref(), key, body).await
    }

    pub(crate) async fn send_with(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        key: &str,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let mut request =
            Request::builder().method(method).uri(path).header("content-type", "application/json");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if !key.is_empty() {
            request = request.header("idempotency-key", key);
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let response = self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let status = response.status();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }
}
