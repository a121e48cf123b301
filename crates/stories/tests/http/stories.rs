//! Stories: begin, repeat, contradict, list.

use crate::world::{NOTHING, World, refusal, text};
use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use store::StoreError;

#[tokio::test]
async fn a_story_is_begun_once() {
    let world = World::new().await;
    let ask = |user, key, title: &'static str| {
        world.ask(user, key, "POST", "/v1/stories", json!({ "title": title }))
    };
    let (status, story) = ask(1, "a", "The harbour").await;
    assert_eq!(status, 201);
    assert_eq!((story["title"].as_str(), &story["parts"]), (Some("The harbour"), &json!([])));
    assert_eq!(story["author"], json!({ "id": "01".repeat(16), "name": null, "avatar": null }));
    assert_eq!(ask(1, "a", "The harbour").await, (201, story.clone()), "a retry");
    assert_eq!(refusal(&ask(1, "a", "The pier").await), (409, Some("Idempotency-Key")));
    assert_ne!(ask(2, "a", "The harbour").await.1["id"], story["id"], "nobody takes another's id");
    assert_ne!(ask(1, "b", "The harbour").await.1["id"], story["id"]);
    let path = format!("/v1/stories/{}", text(&story["id"]));
    assert_eq!(world.get(&path).await, (200, story));
    // Without a key every request is another story.
    assert_ne!(ask(1, "", "Fog").await.1["id"], ask(1, "", "Fog").await.1["id"]);
}

#[tokio::test]
async fn what_is_wrong_is_named_and_changes_nothing() {
    let world = World::new().await;
    for (body, field) in [
        (json!({}), "title"),
        (json!({ "title": "a", "colour": "b" }), "colour"),
        (json!({ "title": " " }), "title"),
        (json!({ "title": "a\u{7}" }), "title"),
        (json!({ "title": "a\nb" }), "title"),
        (json!({ "title": "a".repeat(201) }), "title"),
        (json!({ "title": 7 }), "title"),
    ] {
        let answer = world.ask(1, "a", "POST", "/v1/stories", body.clone()).await;
        assert_eq!(refusal(&answer), (400, Some(field)), "{body}");
    }
    let title = json!({ "title": "a" });
    let short = Request::post("/v1/stories")
        .header("Idempotency-Key", "short")
        .header("Content-Type", "application/json");
    let short = short
        .header("Authorization", format!("Bearer {}", world.token(1)))
        .body(Body::from(title.to_string()));
    assert_eq!(refusal(&world.send(short.unwrap()).await), (400, Some("Idempotency-Key")));
    assert_eq!(refusal(&world.ask(0, "a", "POST", "/v1/stories", title.clone()).await).0, 401);
    assert_eq!(refusal(&world.ask(1, "a", "POST", "/v1/stories", NOTHING).await).0, 415);
    assert_eq!(
        refusal(&world.ask(1, "a", "POST", "/v1/stories", json!({ "title": "a".repeat(1 << 20) })).await).0,
        413
    );
    assert_eq!(refusal(&world.ask(1, "a", "POST", "/v1/stories?x=1", title).await), (400, Some("x")));
    assert_eq!(refusal(&world.get("/v1/stories/abc").await), (400, Some("story")));
    assert_eq!(refusal(&world.get(&format!("/v1/stories/{}", "0".repeat(32))).await).0, 404);
    assert_eq!(world.get("/v1/stories").await.1["items"], json!([]));
}

#[tokio::test]
async fn the_list_is_paged_newest_first() {
    let world = World::new().await;
    let mut begun = Vec::new();
    for key in ["a", "b", "c", "d", "e"] {
        begun.push(Value::from(world.story(key).await));
    }
    begun.reverse();
    let (mut listed, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let (status, page) = world.get(&format!("/v1/stories?limit=2{cursor}")).await;
        assert_eq!(status, 200);
        listed.extend(page["items"].as_array().unwrap().iter().map(|story| story["id"].clone()));
        pages += 1;
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!((listed, pages), (begun, 3));
    assert!(world.get("/v1/stories?limit=5").await.1["next"].is_null());
    for (query, field) in
        [("limit=0", "limit"), ("limit=101", "limit"), ("cursor=xyz", "cursor"), ("order=up", "order")]
    {
        assert_eq!(refusal(&world.get(&format!("/v1/stories?{query}")).await), (400, Some(field)));
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_on_the_disk_and_what_was_refused_is_not() {
    let world = World::new().await;
    let story = world.story("a").await;
    let full = StoreError::DiskFull { free_bytes: 0, needed_bytes: 1 };
    world.disk.fail_with(Some(full));
    let refused = world.ask(1, "b", "POST", "/v1/stories", json!({ "title": "Fog" })).await;
    assert_eq!((refusal(&refused).0, &refused.1["retry_after_s"]), (503, &json!(30)));
    world.disk.fail_with(None);
    let world = world.restarted().await;
    let (_, page) = world.get("/v1/stories").await;
    let ids: Vec<_> = page["items"].as_array().unwrap().iter().map(|story| text(&story["id"])).collect();
    assert_eq!(ids, [story]);
}
