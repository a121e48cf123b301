//! What Stories is told: comment tallies, profiles, keys, and what is none of these.

use crate::world::{DEPLOYMENT, NOTHING, World, tally_of, text};
use api::SigningKey;
use api::root::certify;
use consumer::HandlerError;
use lattice::{Hlc, Lane, Life, Lww, Min, ReplicaId, Stamp};
use messages::{
    CertifiedKey, Fact, Profile, ProfileFact, SigningKeyFact, SigningKeyState, TallyFact, UserId,
};
use queue::Message;
use serde_json::json;
use std::collections::BTreeMap;

#[tokio::test]
async fn counts_are_exact_in_any_order_and_however_often() {
    let world = World::new().await;
    let story = world.story("s").await;
    let shown = world.part(&story, "1").await;
    let part = text(&shown["id"]);
    let paragraph = text(&shown["paragraphs"][1]["id"]);
    let (whole, on_it) = (format!("part:{part}"), format!("paragraph:{part}:{paragraph}"));
    let elsewhere = format!("paragraph:{part}:{}", "0".repeat(32));
    let history: [&[_]; 5] = [
        &[(&*whole, 1, 1, 0), (&*on_it, 1, 1, 0)],
        &[(&*whole, 1, 5, 1)],
        &[(&*whole, 2, 7, 0), (&*on_it, 2, 3, 1)],
        &[(&*whole, 1, 9, 4), (&*on_it, 1, 2, 1), (&*elsewhere, 1, 8, 0)],
        &[(&*whole, 2, 7, 6)],
    ];
    for order in [[4, 0, 3, 3, 1, 2, 0, 4], [0, 1, 2, 3, 4, 4, 3, 2], [3, 4, 2, 1, 0, 0, 1, 2]] {
        for message in order {
            world.tell_tallies(history[message]).await;
        }
        let (_, shown) = world.get(&format!("/v1/parts/{part}")).await;
        assert_eq!(shown["counts"]["comments"]["count"], 6);
    }
    let world = world.restarted().await;
    let (_, shown) = world.get(&format!("/v1/parts/{part}")).await;
    let replica = |number: u128| ReplicaId::from_u128(number).to_string();
    let tally = |number, added, removed| json!({ "epoch": { "generation": 0, "owner": replica(number) }, "added": added, "removed": removed });
    let tallies = json!({ replica(1): tally(1, 9, 4), replica(2): tally(2, 7, 6) });
    assert_eq!(shown["counts"]["comments"], json!({ "group": whole, "count": 6, "tallies": tallies }));
    let counts: Vec<_> =
        shown["paragraphs"].as_array().unwrap().iter().map(|one| &one["comments"]["count"]).collect();
    assert_eq!(counts, [0, 3, 0]);
    assert_eq!(shown["paragraphs"][1]["comments"]["group"], json!(on_it));
    let (_, whole) = world.get(&format!("/v1/stories/{story}")).await;
    assert_eq!(whole["parts"][0]["counts"]["comments"]["count"], 6);
}

#[tokio::test]
async fn comments_may_be_told_before_the_part_is_there() {
    let world = World::new().await;
    let story = world.story("s").await;
    let raw = |id: &str| u128::from_str_radix(id, 16).unwrap().to_be_bytes();
    let key = format!("{:-<22}", "1");
    let id = api::derive_id("part", &[&raw(&story), &[1; 16], key.as_bytes()]);
    let part = messages::PartId::from_bytes(id).to_string();
    world.tell_tallies(&[(&format!("part:{part}"), 1, 3, 1)]).await;
    assert_eq!(world.get(&format!("/v1/parts/{part}")).await.0, 404);
    let published = world.part(&story, "1").await;
    assert_eq!(text(&published["id"]), part);
    assert_eq!(published["counts"]["comments"]["count"], 2);
}

/// Anybody may comment on paragraphs that never were: those that are keep their counts all the same.
#[tokio::test]
async fn made_up_paragraphs_hide_no_counts() {
    let world = World::new().await;
    let story = world.story("s").await;
    let shown = world.part(&story, "1").await;
    let part = text(&shown["id"]);
    let made_up: Vec<_> = (0_u128..10_000).map(|number| format!("paragraph:{part}:{number:032x}")).collect();
    for page in made_up.chunks(256) {
        let tallies: Vec<_> = page.iter().map(|group| (group.as_str(), 1, 1, 0)).collect();
        world.tell_tallies(&tallies).await;
    }
    for one in shown["paragraphs"].as_array().unwrap() {
        world.tell_tallies(&[(&format!("paragraph:{part}:{}", text(&one["id"])), 1, 4, 2)]).await;
    }
    let (_, shown) = world.get(&format!("/v1/parts/{part}")).await;
    let counts: Vec<_> =
        shown["paragraphs"].as_array().unwrap().iter().map(|one| &one["comments"]["count"]).collect();
    assert_eq!(counts, [2, 2, 2]);
}

#[tokio::test]
async fn names_follow_the_profile_wherever_it_comes_from() {
    let world = World::new().await;
    let story = world.story("s").await;
    let part = text(&world.part(&story, "1").await["id"]);
    let profile = |ms, name: &str| {
        let at = Stamp { hlc: Hlc::new(ms, 0), replica: ReplicaId::from_u128(9), lane: Lane::default() };
        let state = Profile { name: Lww::new(at, name.to_owned()), ..Profile::default() };
        let facts = BTreeMap::from([(UserId::from_bytes([1; 16]), state)]);
        choreography::announcement::<ProfileFact>("p", DEPLOYMENT, &facts).unwrap()
    };
    for message in [profile(2, "Orla"), profile(1, "O."), profile(2, "Orla")] {
        world.tell::<ProfileFact>(&message).await.unwrap();
    }
    for path in [format!("/v1/parts/{part}"), format!("/v1/stories/{story}")] {
        assert_eq!(world.get(&path).await.1["author"]["name"], "Orla");
    }
    assert_eq!(world.get("/v1/stories").await.1["items"][0]["author"]["name"], "Orla");
}

#[tokio::test]
async fn a_key_not_yet_heard_of_is_waited_for() {
    let world = World::new().await;
    let (root, newer) = (SigningKey::from_seed([1; 32]), SigningKey::from_seed([3; 32]));
    let token = newer.sign_token([1; 16], crate::world::NOW_S, 3600);
    let ask = async |world: &World| {
        let request =
            axum::http::Request::post("/v1/stories").header("Authorization", format!("Bearer {token}"));
        let request = request.header("Content-Type", "application/json");
        let request = request.body(axum::body::Body::from(r#"{"title":"a"}"#)).unwrap();
        world.send(request).await.0
    };
    assert_eq!(ask(&world).await, 503);
    let key = CertifiedKey {
        public_key: newer.public().to_string(),
        certificate: certify(&root, &newer.public()).to_string(),
    };
    let state = SigningKeyState { key: Min::of(key), life: Life::Live, ..SigningKeyState::default() };
    let facts = BTreeMap::from([(newer.key_id().parse().unwrap(), state)]);
    let message = choreography::announcement::<SigningKeyFact>("k", DEPLOYMENT, &facts).unwrap();
    world.tell::<SigningKeyFact>(&message).await.unwrap();
    assert_eq!(ask(&world).await, 201);
    let world = world.restarted().await;
    assert_eq!(ask(&world).await, 201, "the store remembers it");
}

#[tokio::test]
async fn hostile_messages_are_poison_and_change_nothing() {
    let world = World::new().await;
    let story = world.story("s").await;
    let part = text(&world.part(&story, "1").await["id"]);
    let group = format!("part:{part}");
    let facts = BTreeMap::from([tally_of((&group, 1, 5, 0))]);
    let good = choreography::announcement::<TallyFact>("m", DEPLOYMENT, &facts).unwrap();
    let foreign = choreography::announcement::<TallyFact>("m", "elsewhere", &facts).unwrap();
    let body = String::from_utf8(good.body.to_vec()).unwrap();
    let changed = |from: &str, to: &str| {
        assert!(body.contains(from), "{body}");
        Message::new(body.replace(from, to))
    };
    for hostile in [
        foreign,
        Message::new("garbage"),
        Message::new(vec![0xff; 100]),
        Message::new(""),
        changed(TallyFact::TYPE, "antiphon.comments.tally.v2"),
        changed("\"added\":5", "\"added\":-5"),
        changed("\"added\":5", "\"added\":\"5\""),
        changed(&group, "part:1"),
        changed(&body[..1], "["),
    ] {
        let told = world.tell::<TallyFact>(&hostile).await;
        assert!(matches!(told, Err(HandlerError::Poison { .. })), "{hostile:?}: {told:?}");
    }
    let path = format!("/v1/parts/{part}");
    assert_eq!(world.ask(1, "", "GET", &path, NOTHING).await.1["counts"]["comments"]["count"], 0);
    world.tell::<TallyFact>(&good).await.unwrap();
    assert_eq!(world.get(&path).await.1["counts"]["comments"]["count"], 5);
}

#[tokio::test]
async fn the_proof_of_a_count_names_its_tallies_and_knows_what_it_does_not_know() {
    let (one, other) = (World::new().await, World::new().await);
    let part = "a".repeat(32);
    let (group, path) = (format!("part:{part}"), format!("/v1/parts/{part}/comment-count/proof"));
    one.tell_tallies(&[(&group, 1, 5, 1), (&group, 2, 3, 0)]).await;
    other.tell_tallies(&[(&group, 2, 3, 0)]).await;
    let (_, lacking) = other.get(&path).await;
    other.tell_tallies(&[(&group, 1, 4, 1)]).await;
    other.tell_tallies(&[(&group, 1, 5, 1)]).await;
    let ((_, proof), (_, same)) = (one.get(&path).await, other.get(&path).await);
    assert_eq!(proof["count"]["count"], 7);
    assert_eq!(proof["digest"], same["digest"], "equal tallies, equal digests, whatever came in between");
    assert_ne!(proof["digest"], lacking["digest"]);
    assert!(proof["digest"].as_str().unwrap().starts_with("2:"), "{proof}");
    let writers = proof["writers"].as_array().unwrap();
    assert_eq!(writers.len(), 2);
    assert!(writers.iter().all(|writer| writer["answers"] == false && writer["exact_as_of"].is_null()));
    assert!(proof["exact_as_of"].is_null(), "no writer has told yet that this is all");
}
