//! A service, people with tokens, and short ways to ask.

use antiphon_stories::Stories;
use api::root::certify;
use api::{KeyRing, SigningKey};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use consumer::{Context, Handler, HandlerError};
use lattice::{Epoch, ReplicaId, Tally};
use messages::{Fact, TallyFact, TallyKey};
use queue::{MemoryQueue, Message, Queue as _, Subscription};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use store::{Memory, SeededWorld, Setup, Store};
use tower::ServiceExt as _;

pub(crate) const NOW_S: u64 = 1_700_000_000;
pub(crate) const DEPLOYMENT: &str = "here";
/// What is sent where there is no body.
pub(crate) const NOTHING: Value = Value::Null;

/// An answer: its status and its body.
pub(crate) type Answer = (u16, Value);

pub(crate) struct World {
    pub(crate) disk: Memory,
    pub(crate) stories: Stories,
    router: Router,
    signer: SigningKey,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::on(Memory::new(), 7).await
    }

    /// A sibling: another replica of the same service.
    pub(crate) async fn elsewhere() -> Self {
        Self::on(Memory::new(), 8).await
    }

    async fn on(disk: Memory, seed: u64) -> Self {
        let (root, signer) = (SigningKey::from_seed([1; 32]), SigningKey::from_seed([2; 32]));
        let keys = KeyRing::new(root.public(), || NOW_S);
        let certificate = certify(&root, &signer.public()).to_string();
        keys.learn(&signer.key_id(), &signer.public().to_string(), &certificate).unwrap();
        let world = Arc::new(SeededWorld::new(seed, NOW_S * 1_000));
        let setup = Setup::of(antiphon_stories::NAME)
            .in_deployment(DEPLOYMENT)
            .muting(antiphon_stories::siblings::TOPICS);
        let store = Store::open(disk.clone(), world, &setup).unwrap();
        let stories = Stories::open(store, Arc::new(keys)).await.unwrap();
        let (router, _) = stories.router().split_for_parts();
        Self { disk, stories, router: api::problem::problems_only(router), signer }
    }

    /// The process ends, the power too, and another one begins on the same disk.
    pub(crate) async fn restarted(self) -> Self {
        let Self { disk, stories, router, .. } = self;
        drop(router);
        stories.store().clone().close().await;
        disk.crash();
        Self::on(disk, 7).await
    }

    pub(crate) fn token(&self, user: u8) -> String {
        self.signer.sign_token([user; 16], NOW_S, 3600)
    }

    /// Asks as a user, 0 being nobody, under an idempotency key unless it is empty.
    pub(crate) async fn ask(&self, user: u8, key: &str, method: &str, path: &str, body: Value) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if user > 0 {
            request = request.header("Authorization", format!("Bearer {}", self.token(user)));
        }
        if !key.is_empty() {
            request = request.header("Idempotency-Key", format!("{key:-<22}"));
        }
        let body = if body.is_null() {
            Body::empty()
        } else {
            request = request.header("Content-Type", "application/json");
            Body::from(body.to_string())
        };
        self.send(request.body(body).unwrap()).await
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, if bytes.is_empty() { NOTHING } else { serde_json::from_slice(&bytes).unwrap() })
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(0, "", "GET", path, NOTHING).await
    }

    /// A story of user 1, by the key of its creation.
    pub(crate) async fn story(&self, key: &str) -> String {
        let (status, story) =
            self.ask(1, key, "POST", "/v1/stories", json!({ "title": "The harbour" })).await;
        assert_eq!(status, 201, "{story}");
        text(&story["id"])
    }

    /// A part of it with three paragraphs.
    pub(crate) async fn part(&self, story: &str, key: &str) -> Value {
        let body = json!({ "title": format!("Chapter {key}"), "paragraphs": ["one", "two", "three"] });
        let (status, part) = self.ask(1, key, "POST", &format!("/v1/stories/{story}/parts"), body).await;
        assert_eq!(status, 201, "{part}");
        part
    }

    /// Gives a message to whoever listens on the topic of `F`.
    pub(crate) async fn tell<F: Fact>(&self, message: &Message) -> Result<(), HandlerError> {
        let links = self.stories.links(&MemoryQueue::new().publisher()).unwrap();
        let link = links.into_iter().find(|link| link.topic.as_str() == F::TOPIC).unwrap();
        let subscription = Subscription::new(link.topic, antiphon_stories::NAME, "main").unwrap();
        link.handler.handle(message, &Context::new(subscription)).await
    }

    /// Announces tallies, each of a group, a replica, and what it added and removed.
    pub(crate) async fn tell_tallies(&self, tallies: &[(&str, u128, u64, u64)]) {
        let facts: BTreeMap<TallyKey, Tally> = tallies.iter().map(|tally| tally_of(*tally)).collect();
        let message = choreography::announcement::<TallyFact>("m", DEPLOYMENT, &facts).unwrap();
        self.tell::<TallyFact>(&message).await.unwrap();
    }
}

pub(crate) fn tally_of((group, replica, added, removed): (&str, u128, u64, u64)) -> (TallyKey, Tally) {
    let replica = ReplicaId::from_u128(replica);
    let epoch = Epoch { generation: 0, owner: replica };
    (TallyKey { group: group.parse().unwrap(), replica }, Tally { epoch, added, removed })
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// The status of a refusal and the field that it names.
pub(crate) fn refusal((status, problem): &Answer) -> (u16, Option<&str>) {
    assert_eq!(problem["status"], json!(status), "{problem}");
    (*status, problem["field"].as_str())
}
