//! Parts: publish, repeat, contradict, show, take down.

use crate::world::{NOTHING, World, refusal, text};
use antiphon_stories::rows::{self, PartFactRow};
use messages::{Fact, PartFact, PartId, StoryId};
use queue::{MemoryQueue, Queue as _};
use serde_json::json;
use std::convert::Infallible;
use store::Abort;

#[tokio::test]
async fn a_part_is_published_once_and_shown_with_its_neighbours() {
    let world = World::new().await;
    let story = world.story("s").await;
    let first = world.part(&story, "1").await;
    assert_eq!(world.part(&story, "1").await, first, "a retry");
    let (second, third) = (world.part(&story, "2").await, world.part(&story, "3").await);
    assert_eq!((&second["previous"], &second["next"]), (&first["id"], &json!(null)));
    let path = format!("/v1/parts/{}", text(&second["id"]));
    let (status, shown) = world.get(&path).await;
    assert_eq!(status, 200);
    assert_eq!((&shown["previous"], &shown["next"]), (&first["id"], &third["id"]));
    assert_eq!(shown["story"], json!({ "id": story, "title": "The harbour" }));
    assert_eq!((&shown["title"], &shown["voted"]), (&json!("Chapter 2"), &json!(null)));
    assert_eq!(shown["created_at"].as_str().map(|at| &at[..17]), Some("2023-11-14T22:13:"));
    let texts: Vec<_> =
        shown["paragraphs"].as_array().unwrap().iter().map(|one| one["text"].clone()).collect();
    assert_eq!(texts, ["one", "two", "three"]);
    assert_eq!(world.ask(2, "", "GET", &path, NOTHING).await.1["voted"], json!(false));
    let (_, whole) = world.get(&format!("/v1/stories/{story}")).await;
    let listed: Vec<_> = whole["parts"].as_array().unwrap().iter().map(|part| part["id"].clone()).collect();
    assert_eq!(listed, [first["id"].clone(), second["id"].clone(), third["id"].clone()]);
    assert_eq!(whole["parts"][1]["title"], "Chapter 2");
    let counts = &whole["parts"][1]["counts"];
    assert_eq!(
        (&counts["reads"], &counts["votes"]["count"], &counts["comments"]["count"]),
        (&json!(0), &json!(0), &json!(0))
    );
}

#[tokio::test]
async fn another_body_another_author_another_story() {
    let world = World::new().await;
    let story = world.story("s").await;
    let part = world.part(&story, "1").await;
    let path = format!("/v1/stories/{story}/parts");
    let body = |title: &str, paragraphs: &[&str]| json!({ "title": title, "paragraphs": paragraphs });
    for changed in [body("Chapter 2", &["one", "two", "three"]), body("Chapter 1", &["one", "twothree"])] {
        assert_eq!(refusal(&world.ask(1, "1", "POST", &path, changed).await), (409, Some("Idempotency-Key")));
    }
    let theirs = world.ask(2, "1", "POST", &path, body("Chapter 1", &["one"])).await;
    assert_eq!(refusal(&theirs), (403, None));
    let nowhere = format!("/v1/stories/{}/parts", "0".repeat(32));
    assert_eq!(refusal(&world.ask(1, "1", "POST", &nowhere, body("a", &[])).await).0, 404);
    assert_eq!(
        refusal(&world.ask(1, "1", "POST", "/v1/stories/x/parts", body("a", &[])).await),
        (400, Some("story"))
    );
    assert_eq!(refusal(&world.ask(0, "1", "POST", &path, body("a", &[])).await).0, 401);
    let (_, shown) = world.get(&format!("/v1/stories/{story}")).await;
    assert_eq!(shown["parts"].as_array().unwrap().len(), 1);
    assert_eq!(world.ask(1, "", "GET", &format!("/v1/parts/{}", text(&part["id"])), NOTHING).await.1, part);
}

#[tokio::test]
async fn a_wrong_paragraph_is_named() {
    let world = World::new().await;
    let story = world.story("s").await;
    let path = format!("/v1/stories/{story}/parts");
    for (body, field) in [
        (json!({ "title": "a" }), "paragraphs"),
        (json!({ "title": "a", "paragraphs": ["a", "\u{0}"] }), "paragraphs[1]"),
        (json!({ "title": "a", "paragraphs": ["a", "b", " "] }), "paragraphs[2]"),
        (json!({ "title": "a", "paragraphs": ["a", 2] }), "paragraphs[1]"),
        (json!({ "title": "a", "paragraphs": ["a".repeat(20_001)] }), "paragraphs[0]"),
        (json!({ "title": "a", "paragraphs": vec!["a"; 501] }), "paragraphs"),
        (json!({ "title": "a", "paragraphs": [], "author": "me" }), "author"),
        (json!({ "title": "a".repeat(201), "paragraphs": [] }), "title"),
    ] {
        let answer = world.ask(1, "1", "POST", &path, body).await;
        assert_eq!(refusal(&answer), (400, Some(field)), "{}", answer.1);
    }
    let (status, part) =
        world.ask(1, "1", "POST", &path, json!({ "title": "a", "paragraphs": vec!["a"; 500] })).await;
    assert_eq!((status, part["paragraphs"].as_array().map(Vec::len)), (201, Some(500)));
    let large = json!({ "title": "a", "paragraphs": vec!["a".repeat(20_000); 60] });
    assert_eq!(refusal(&world.ask(1, "2", "POST", &path, large).await).0, 413);
}

#[tokio::test]
async fn a_part_that_was_taken_down_is_gone() {
    let world = World::new().await;
    let story = world.story("s").await;
    let parts = [world.part(&story, "1").await, world.part(&story, "2").await, world.part(&story, "3").await];
    let path = format!("/v1/parts/{}", text(&parts[1]["id"]));
    assert_eq!(refusal(&world.ask(2, "", "DELETE", &path, NOTHING).await), (403, None));
    assert_eq!(refusal(&world.ask(0, "", "DELETE", &path, NOTHING).await).0, 401);
    assert_eq!(world.ask(1, "", "DELETE", &path, NOTHING).await, (204, NOTHING));
    assert_eq!(world.ask(1, "", "DELETE", &path, NOTHING).await, (204, NOTHING), "a retry");
    let world = world.restarted().await;
    for (user, key, method, path, body) in [
        (0, "", "GET", path.clone(), NOTHING),
        (1, "", "PATCH", path.clone(), json!({ "title": "b" })),
        (2, "", "PUT", format!("{path}/vote"), NOTHING),
        (2, "", "DELETE", format!("{path}/vote"), NOTHING),
        (0, "", "POST", format!("{path}/reads"), NOTHING),
    ] {
        assert_eq!(refusal(&world.ask(user, key, method, &path, body).await).0, 410, "{method} {path}");
    }
    let (_, shown) = world.get(&format!("/v1/stories/{story}")).await;
    assert_eq!(shown["parts"].as_array().unwrap().len(), 2);
    let (_, first) = world.get(&format!("/v1/parts/{}", text(&parts[0]["id"]))).await;
    assert_eq!(first["next"], parts[2]["id"], "it is passed over");
}

#[tokio::test]
async fn a_retry_of_a_creation_after_the_part_was_taken_down() {
    let world = World::new().await;
    let story = world.story("s").await;
    let part = world.part(&story, "1").await;
    let path = format!("/v1/parts/{}", text(&part["id"]));
    world.ask(1, "", "DELETE", &path, NOTHING).await;
    let world = world.restarted().await;
    let gone = world.part(&story, "1").await;
    let mut expected = part.clone();
    expected["gone"] = json!(true);
    expected["title"] = json!("");
    expected["paragraphs"] = json!([]);
    assert_eq!((&part["gone"], &gone), (&json!(false), &expected));
    let other = json!({ "title": "Chapter 1", "paragraphs": ["one"] });
    let answer = world.ask(1, "1", "POST", &format!("/v1/stories/{story}/parts"), other).await;
    assert_eq!(refusal(&answer), (409, Some("Idempotency-Key")));
    assert_eq!(refusal(&world.get(&path).await).0, 410);
    let (_, shown) = world.get(&format!("/v1/stories/{story}")).await;
    assert_eq!(shown["parts"], json!([]), "it did not come back");
}

#[tokio::test]
async fn unknown_and_malformed_parts() {
    let world = World::new().await;
    let nobody = "0".repeat(32);
    for (user, method, rest, body) in [
        (0, "GET", "", NOTHING),
        (1, "PATCH", "", json!({ "title": "b" })),
        (1, "DELETE", "", NOTHING),
        (1, "PUT", "/vote", NOTHING),
        (1, "DELETE", "/vote", NOTHING),
        (0, "POST", "/reads", NOTHING),
    ] {
        let unknown = world.ask(user, "", method, &format!("/v1/parts/{nobody}{rest}"), body.clone()).await;
        assert_eq!(refusal(&unknown), (404, None), "{method} {rest}");
        let malformed = world.ask(user, "", method, &format!("/v1/parts/AB{rest}"), body).await;
        assert_eq!(refusal(&malformed), (400, Some("part")), "{method} {rest}");
    }
}

#[tokio::test]
async fn a_story_has_so_many_parts() {
    let world = World::new().await;
    let story = world.story("s").await;
    let first = world.part(&story, "1").await;
    let count = rows::parts_count(story.parse::<StoryId>().unwrap());
    let full = move |view: &mut store::View<'_>| {
        view.set(count.clone(), 10_000_u64.to_be_bytes().to_vec());
        Ok::<_, Abort<Infallible>>(())
    };
    world.stories.store().write(full).await.unwrap();
    let path = format!("/v1/stories/{story}/parts");
    let answer = world.ask(1, "2", "POST", &path, json!({ "title": "b", "paragraphs": [] })).await;
    assert_eq!((refusal(&answer).0, &answer.1["limit"]), (409, &json!(10_000)));
    assert_eq!(world.part(&story, "1").await, first, "a retry is no more");
    world.ask(1, "", "DELETE", &format!("/v1/parts/{}", text(&first["id"])), NOTHING).await;
    world.part(&story, "2").await;
}

#[tokio::test]
async fn parts_are_announced_with_their_owner_and_their_end() {
    let world = World::new().await;
    let relay = world.stories.relay(MemoryQueue::new().publisher()).unwrap();
    let story = world.story("s").await;
    let part = text(&world.part(&story, "1").await["id"]);
    let marks = || world.stories.store().marks(PartFact::TOPIC, 10).unwrap();
    assert_eq!(marks().len(), 1);
    assert_eq!(relay.step().await.unwrap().rows, 1);
    // What others are not told of is not announced.
    let path = format!("/v1/parts/{part}");
    assert_eq!(world.ask(1, "", "PATCH", &path, json!({ "title": "b" })).await.0, 200);
    world.part(&story, "1").await;
    assert_eq!(marks(), []);
    world.ask(1, "", "DELETE", &path, NOTHING).await;
    assert_eq!(relay.step().await.unwrap().rows, 1);
    let id: PartId = part.parse().unwrap();
    let fact = world.stories.store().reader().unwrap().get::<PartFactRow>(&id).await.unwrap().unwrap();
    let place = fact.place.get().unwrap();
    assert_eq!((place.story.to_string(), place.owner.to_bytes()), (story, [1; 16]));
    assert!(fact.life.is_gone());
}
