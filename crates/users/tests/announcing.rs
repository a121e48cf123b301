//! What Users tells others: who people are, and with which key it signs.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests, where a panic is the verdict")]

mod common;

use antiphon_users::rows::{ProfileRow, SigningKeyRow};
use antiphon_users::{OpenError, Users};
use api::root::certify;
use api::{Keys as _, SigningKey};
use common::{FINN, ORLA, Service, Site, ask, root, signing_key};
use lattice::Life;
use messages::{DeltaGroup, Fact, KeyId, ProfileFact, SigningKeyFact, SigningKeyState, UserId, delta_group};
use queue::{Envelope, EnvelopeData, MemoryQueue, Queue as _, Subscription, SubscriptionConfig, Topic};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use store::{Abort, Row};

/// What the outbox holds for a topic.
fn marked<R: Row>(service: &Service, topic: &str) -> Vec<R::Key> {
    let marks = service.users.store().marks(topic, 100).unwrap();
    marks.iter().map(|mark| store::key::read::<R>(&mark.row).unwrap()).collect()
}

fn our_key() -> KeyId {
    signing_key().key_id().parse().unwrap()
}

/// What somebody who listens to a topic was told.
async fn heard<F: Fact>(queue: &MemoryQueue) -> DeltaGroup<F> {
    let receiver = queue.subscribe(&subscription::<F>(), SubscriptionConfig::default()).await.unwrap();
    let mut facts = DeltaGroup::<F>::new();
    for delivery in receiver.receive(100, Duration::ZERO).await.unwrap() {
        let envelope = Envelope::decode(&delivery.message.body).unwrap();
        assert_eq!(envelope.event_type, F::TYPE);
        let EnvelopeData::Json(data) = &envelope.data else { panic!("{:?}", envelope.data) };
        facts.extend(delta_group::decode::<F>(data).unwrap().group);
    }
    facts
}

fn subscription<F: Fact>() -> Subscription {
    Subscription::new(Topic::new(F::TOPIC).unwrap(), "listener", "main").unwrap()
}

#[tokio::test]
async fn a_new_key_is_marked_once() {
    let site = Site::new();
    let service = site.start().await;
    assert_eq!(marked::<SigningKeyRow>(&service, SigningKeyFact::TOPIC), [our_key()]);
    let marks = service.users.store().marks(SigningKeyFact::TOPIC, 100).unwrap();
    service.users.store().clone().close().await;
    let service = site.start().await;
    let again = service.users.store().marks(SigningKeyFact::TOPIC, 100).unwrap();
    assert_eq!(again, marks, "the second start found it there, and marked nothing");
}

#[tokio::test]
async fn changed_profiles_are_marked_in_the_same_write() {
    let site = Site::new();
    let service = site.start().await;
    let before = site.disk.commits();
    let orla = service.create(ORLA, r#"{"name":"Orla"}"#).await;
    assert_eq!(site.disk.commits(), before + 1);
    let id: UserId = orla.id.parse().unwrap();
    assert_eq!(marked::<ProfileRow>(&service, ProfileFact::TOPIC), [id]);

    let queue = MemoryQueue::new();
    let relay = service.users.relay(queue.publisher()).unwrap();
    relay.step().await.unwrap();
    assert!(marked::<ProfileRow>(&service, ProfileFact::TOPIC).is_empty());
    service.create(ORLA, r#"{"name":"Orla"}"#).await;
    let rename = |name| ask("PATCH", &orla.path()).bearer(&orla.token).json(name);
    service.ok(rename(r#"{"name":"Orla"}"#)).await;
    let conflict = ask("POST", "/v1/users").key(ORLA).json(r#"{"name":"O"}"#);
    assert_eq!(service.refused(conflict).await.0.status, 409);
    assert!(marked::<ProfileRow>(&service, ProfileFact::TOPIC).is_empty(), "nothing changed");
    service.ok(rename(r#"{"name":"O"}"#)).await;
    assert_eq!(marked::<ProfileRow>(&service, ProfileFact::TOPIC), [id]);
}

#[tokio::test]
async fn what_is_announced_is_what_is_stored() {
    let site = Site::new();
    let service = site.start().await;
    let queue = MemoryQueue::new();
    for subscription in [subscription::<ProfileFact>(), subscription::<SigningKeyFact>()] {
        queue.subscribe(&subscription, SubscriptionConfig::default()).await.unwrap();
    }
    let orla = service.create(ORLA, r#"{"name":"Orla"}"#).await;
    service.create(FINN, r#"{"name":"Finn","avatar":"https://example.org/finn.png"}"#).await;
    let change = r#"{"name":"Órla","avatar":"https://example.org/orla.png"}"#;
    service.ok(ask("PATCH", &orla.path()).bearer(&orla.token).json(change)).await;
    let round = service.users.relay(queue.publisher()).unwrap().step().await.unwrap();
    assert_eq!(round.rows, 3);

    let reader = service.users.store().reader().unwrap();
    let profiles = heard::<ProfileFact>(&queue).await;
    assert_eq!(profiles.len(), 2);
    for (id, profile) in &profiles {
        assert_eq!(reader.get::<ProfileRow>(id).await.unwrap().as_ref(), Some(profile));
    }
    let keys = heard::<SigningKeyFact>(&queue).await;
    assert_eq!(keys.keys().collect::<Vec<_>>(), [&our_key()]);
    let key = keys[&our_key()].key.get().unwrap();
    let elsewhere = site.ring();
    assert_eq!(elsewhere.public_key(&our_key().to_string()), None);
    elsewhere.learn(&our_key().to_string(), &key.public_key, &key.certificate).unwrap();
    let claims = api::token::verify(&orla.token, |id| elsewhere.public_key(id), elsewhere.now_s()).unwrap();
    assert_eq!(claims.user_text(), orla.id, "a service that heard the key verifies alone");
    assert!(service.users.links(&queue.publisher()).unwrap().is_empty());
}

#[tokio::test]
async fn a_key_that_nobody_would_believe_is_refused_at_the_start() {
    let site = Site::new();
    let store = site.store();
    let stranger = SigningKey::from_seed([3; 32]);
    let forged = certify(&stranger, &signing_key().public());
    let refused = Users::open(store.clone(), site.ring(), signing_key(), forged).await.unwrap_err();
    assert!(matches!(refused, OpenError::Uncertified { .. }), "{refused}");
    assert_eq!(store.outbox_depth(), (0, false));

    let revoke = |view: &mut store::View<'_>| {
        let revoked = SigningKeyState { life: Life::Gone, ..SigningKeyState::default() };
        view.join::<SigningKeyRow>(&our_key(), revoked)?;
        Ok::<_, Abort<Infallible>>(())
    };
    store.write(revoke).await.unwrap();
    let certificate = certify(&root(), &signing_key().public());
    let ring = site.ring();
    let refused = Users::open(store, Arc::clone(&ring), signing_key(), certificate).await.unwrap_err();
    assert!(matches!(refused, OpenError::Revoked { .. }), "{refused}");
    assert_eq!(ring.public_key(&our_key().to_string()), None);
}
