//! Votes are exact, reads are not.

use crate::world::{NOTHING, World, refusal, text};
use antiphon_stories::both::Both;
use antiphon_stories::readers::Readers;
use antiphon_stories::rows::{ReadersRow, VoteRow};
use axum::body::Body;
use axum::http::Request;
use futures_util::future::join_all;
use lattice::{HyperLogLog, Lattice};
use messages::{PartId, UserId};
use serde_json::json;
use std::convert::Infallible;
use store::{Abort, View};

#[tokio::test]
async fn votes_are_exact_however_often_they_are_repeated() {
    let world = World::new().await;
    let story = world.story("s").await;
    let part = text(&world.part(&story, "1").await["id"]);
    let path = format!("/v1/parts/{part}/vote");
    let ask = |user, method| world.ask(user, "", method, &path, NOTHING);
    let (status, nothing) = ask(2, "DELETE").await;
    assert_eq!((status, &nothing["voted"], &nothing["votes"]["count"]), (200, &json!(false), &json!(0)));
    let (status, once) = ask(2, "PUT").await;
    assert_eq!((status, &once["voted"], &once["votes"]["count"]), (200, &json!(true), &json!(1)));
    assert_eq!(once["votes"]["group"], json!(format!("votes:{part}")));
    let key = Both(part.parse().unwrap(), UserId::from_bytes([2; 16]));
    let stored = async || world.stories.store().reader().unwrap().get::<VoteRow>(&key).await.unwrap();
    let before = stored().await;
    assert_eq!(ask(2, "PUT").await.1, once, "a retry");
    assert_eq!(stored().await, before);
    for user in 3..=9 {
        for method in ["PUT", "PUT", "DELETE", "DELETE", "PUT"] {
            assert_eq!(ask(user, method).await.0, 200);
        }
    }
    let (_, back) = ask(9, "DELETE").await;
    assert_eq!(back["votes"]["count"], 7);
    let tallies = back["votes"]["tallies"].as_object().unwrap();
    let replica = world.stories.store().identity().replica.to_string();
    assert_eq!(tallies.keys().collect::<Vec<_>>(), [&replica]);
    assert_eq!((&tallies[&replica]["added"], &tallies[&replica]["removed"]), (&json!(15), &json!(8)));
    let world = world.restarted().await;
    let seen_by = |user| world.ask(user, "", "GET", path.trim_end_matches("/vote"), NOTHING);
    let shown = seen_by(9).await.1;
    assert_eq!((&shown["voted"], &shown["counts"]["votes"]), (&json!(false), &back["votes"]));
    assert_eq!(seen_by(8).await.1["voted"], json!(true));
    assert_eq!(seen_by(0).await.1["voted"], json!(null));
    let (_, whole) = world.get(&format!("/v1/stories/{story}")).await;
    assert_eq!(whole["parts"][0]["counts"]["votes"]["count"], 7);
    assert_eq!(refusal(&world.ask(0, "", "PUT", &path, NOTHING).await).0, 401);
}

#[tokio::test]
async fn votes_at_once_are_all_counted() {
    let world = World::new().await;
    let story = world.story("s").await;
    let path = format!("/v1/parts/{}", text(&world.part(&story, "1").await["id"]));
    let vote = format!("{path}/vote");
    // Each of a group sees what those before it in the group wrote.
    let answers = join_all((1..=40).map(|n| world.ask(n % 20 + 1, "", "PUT", &vote, NOTHING))).await;
    assert!(answers.iter().all(|(status, answer)| *status == 200 && answer["voted"] == true));
    assert_eq!(world.get(&path).await.1["counts"]["votes"]["count"], 20);
}

#[tokio::test]
async fn readers_are_counted_once_however_often_they_read() {
    let world = World::new().await;
    let story = world.story("s").await;
    let id = text(&world.part(&story, "1").await["id"]);
    let (path, reads) = (format!("/v1/parts/{id}"), format!("/v1/parts/{id}/reads"));
    let read = |user, name: &'static str| {
        let body = if name.is_empty() { NOTHING } else { json!({ "reader": format!("{name:-<22}") }) };
        world.ask(user, "", "POST", &reads, body)
    };
    // Two with accounts, one of whom also sends a name, and two without.
    for (user, name) in [(2, ""), (2, "a"), (3, ""), (2, ""), (0, "a"), (0, "b"), (0, "a"), (0, ""), (0, "")]
    {
        assert_eq!(read(user, name).await, (204, NOTHING));
    }
    let shown = world.get(&path).await.1;
    assert_eq!((&shown["counts"]["reads"], &shown["counts"]["readers"]), (&json!(9), &json!(4)));
    let (_, whole) = world.get(&format!("/v1/stories/{story}")).await;
    assert_eq!(whole["parts"][0]["counts"]["readers"], 4);
    // What is stored tells nobody's name.
    let stored =
        world.stories.store().reader().unwrap().get::<ReadersRow>(&id.parse().unwrap()).await.unwrap();
    let stored = serde_json::to_string(&stored.unwrap()).unwrap();
    assert!(stored.len() < 60, "{stored}");
    for nothing in ["{}", r#"{"reader":null}"#, " null "] {
        let said = Request::post(&reads).header("Content-Type", "application/json").body(Body::from(nothing));
        assert_eq!(world.send(said.unwrap()).await, (204, NOTHING), "{nothing}");
    }
    for (body, field) in [
        (json!({ "reader": "short" }), "reader"),
        (json!({ "reader": "é".repeat(30) }), "reader"),
        (json!({ "reader": "a".repeat(256) }), "reader"),
        (json!({ "reader": 7 }), "reader"),
        (json!({ "name": "a" }), "name"),
    ] {
        assert_eq!(refusal(&world.ask(0, "", "POST", &reads, body).await), (400, Some(field)));
    }
    let unsaid = Request::post(&reads).body(Body::from("{}")).unwrap();
    assert_eq!(refusal(&world.send(unsaid).await).0, 415);
    let large = json!({ "reader": "a".repeat(1 << 20) });
    assert_eq!(refusal(&world.ask(0, "", "POST", &reads, large).await).0, 413);
    let wrong = Request::post(&reads).header("Authorization", "Bearer x").body(Body::empty()).unwrap();
    assert_eq!(refusal(&world.send(wrong).await).0, 401);
    assert_eq!(world.get(&path).await.1["counts"]["reads"], 12, "what was refused was not counted");
}

/// Half of all estimates are too high, and where everybody read once the page would say "742 reads by 746 readers".
#[tokio::test]
async fn no_more_readers_are_shown_than_reads() {
    let world = World::new().await;
    let story = world.story("s").await;
    let id = text(&world.part(&story, "1").await["id"]);
    let (path, reads) = (format!("/v1/parts/{id}"), format!("/v1/parts/{id}/reads"));
    let part: PartId = id.parse().unwrap();
    let seen = (0..1_000).map(HyperLogLog::of_hash).fold(HyperLogLog::default(), Lattice::joined);
    let estimate = Readers { seen, ..Readers::default() };
    let too_many = move |view: &mut View<'_>| {
        view.join::<ReadersRow>(&part, estimate.clone()).map_err(Abort::<Infallible>::from)?;
        Ok(())
    };
    world.stories.store().write(too_many).await.unwrap();
    for many in 1..=3 {
        assert_eq!(world.ask(0, "", "POST", &reads, NOTHING).await.0, 204);
        assert_eq!(world.get(&path).await.1["counts"]["readers"], many);
        let (_, whole) = world.get(&format!("/v1/stories/{story}")).await;
        assert_eq!(whole["parts"][0]["counts"]["readers"], many);
    }
}

#[tokio::test]
async fn reads_are_counted_without_a_name_and_without_a_promise() {
    let world = World::new().await;
    let story = world.story("s").await;
    let path = format!("/v1/parts/{}", text(&world.part(&story, "1").await["id"]));
    for _ in 0..3 {
        assert_eq!(world.ask(0, "", "POST", &format!("{path}/reads"), NOTHING).await, (204, NOTHING));
    }
    assert_eq!(world.get(&path).await.1["counts"]["reads"], 3);
    assert_eq!(world.get(&format!("/v1/stories/{story}")).await.1["parts"][0]["counts"]["reads"], 3);
    // A power cut may forget them, and nothing else.
    let world = world.restarted().await;
    let (status, shown) = world.get(&path).await;
    assert_eq!(status, 200);
    assert!(shown["counts"]["reads"].as_u64().unwrap() <= 3);
}
