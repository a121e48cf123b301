//! The service as its callers see it, on a store in memory.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests, where a panic is the verdict"
)]

mod face;
mod thread;

use api::{SigningKey, root};
use axum::http::StatusCode;
use face::{Face, PART, id};
use messages::{PartFact, PartId, PartPlace, PartState, Profile, ProfileFact, StoryId, UserId};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use store::Memory;

const CREATED: StatusCode = StatusCode::CREATED;
const OK: StatusCode = StatusCode::OK;

fn ids(page: &Value) -> Vec<String> {
    page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_comment_is_posted_once_however_often_it_is_sent() {
    let face = Face::open(Memory::new()).await;
    let (status, first) = face.post(1, "k1", json!({ "text": "Sing!" })).await;
    assert_eq!((status, &first["counts"][0]["count"]), (CREATED, &json!(1)), "{first}");
    assert_eq!(first["counts"][0]["group"], format!("part:{PART}"));
    for _ in 0..3 {
        let (status, again) = face.post(1, "k1", json!({ "text": "Sing!" })).await;
        assert_eq!((status, &again["comment"]["id"]), (CREATED, &first["comment"]["id"]));
        assert_eq!(again["counts"], first["counts"]);
    }
    for other in [json!({ "text": "Sing" }), json!({ "text": "Sing!", "parent": "0".repeat(32) })] {
        let (status, problem) = face.post(1, "k1", other).await;
        assert_eq!((status, problem["field"].as_str()), (StatusCode::CONFLICT, Some("Idempotency-Key")));
    }
    let (_, theirs) = face.post(2, "k1", json!({ "text": "Sing!" })).await;
    assert_ne!(theirs["comment"]["id"], first["comment"]["id"], "nobody can take another's id");
    assert_eq!(theirs["counts"][0]["count"], 2);
}

#[tokio::test]
async fn the_flat_list_is_what_the_count_counts() {
    let face = Face::open(Memory::new()).await;
    let paragraph = "5".repeat(32);
    let (_, root) = face.post(1, "root", json!({ "text": "a" })).await;
    let root = id(&root);
    let (_, reply) = face.post(2, "reply", json!({ "text": "b", "parent": root })).await;
    face.post(3, "on-paragraph", json!({ "text": "c", "paragraph": paragraph })).await;
    let (_, answer) = face.post(2, "reply-to-reply", json!({ "text": "d", "parent": id(&reply) })).await;
    assert_eq!(answer["counts"][0]["count"], 4);

    let flat = face.get(&format!("/v1/parts/{PART}/comments?flat=true")).await;
    assert_eq!((ids(&flat).len(), &flat["count"]["count"]), (4, &json!(4)));
    let oldest = face.get(&format!("/v1/parts/{PART}/comments?flat=true&order=oldest")).await;
    assert_eq!(ids(&oldest), ids(&flat).into_iter().rev().collect::<Vec<_>>());
    let top = face.get(&format!("/v1/parts/{PART}/comments")).await;
    assert_eq!(ids(&top).len(), 2, "replies are below what they answer");
    assert_eq!(top["items"][1]["replies"]["count"], 1);
    let replies = face.get(&format!("/v1/comments/{root}/replies")).await;
    assert_eq!(ids(&replies), [id(&reply)]);
    let on = face.get(&format!("/v1/parts/{PART}/comments?paragraph={paragraph}")).await;
    assert_eq!(ids(&on).len(), 1);
    let counts = face.get(&format!("/v1/parts/{PART}/comment-counts")).await;
    assert_eq!((&counts["part"]["count"], &counts["paragraphs"][0]["count"]), (&json!(4), &json!(1)));
}

#[tokio::test]
async fn a_reply_is_on_the_paragraph_of_what_it_answers() {
    let face = Face::open(Memory::new()).await;
    let (on, other) = ("5".repeat(32), "6".repeat(32));
    let (_, root) = face.post(1, "root", json!({ "text": "a", "paragraph": on })).await;
    let (_, reply) = face.post(2, "reply", json!({ "text": "b", "parent": id(&root) })).await;
    assert_eq!(reply["comment"]["paragraph"], json!(on));
    let (status, problem) =
        face.post(2, "x", json!({ "text": "c", "parent": id(&root), "paragraph": other })).await;
    assert_eq!((status, problem["field"].as_str()), (StatusCode::BAD_REQUEST, Some("paragraph")));
    let (status, again) = face.post(2, "reply", json!({ "text": "b", "parent": id(&root) })).await;
    assert_eq!(
        (status, &again["comment"]["id"]),
        (CREATED, &reply["comment"]["id"]),
        "a retry is the same request"
    );

    // One that came before its parent keeps its place, and its paragraph's list shows what its count counts.
    let elsewhere = Face::open(Memory::new()).await;
    let (_, parent) = elsewhere.post(1, "late", json!({ "text": "first" })).await;
    face.post(2, "early", json!({ "text": "d", "parent": id(&parent), "paragraph": other })).await;
    face.post(1, "late", json!({ "text": "first" })).await;
    for (paragraph, count) in [(&on, 2), (&other, 1)] {
        let flat = face.get(&format!("/v1/parts/{PART}/comments?flat=true&paragraph={paragraph}")).await;
        assert_eq!(ids(&flat).len(), count);
        let top = face.get(&format!("/v1/parts/{PART}/comments?paragraph={paragraph}")).await;
        assert_eq!(ids(&top).len(), 1);
        let counts = face.get(&format!("/v1/parts/{PART}/comment-counts")).await;
        let counted = counts["paragraphs"]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["group"].as_str().unwrap().ends_with(paragraph.as_str()));
        assert_eq!(counted.unwrap()["count"], count);
    }
}

#[tokio::test]
async fn pages_show_everything_once() {
    let face = Face::open(Memory::new()).await;
    let mut posted = BTreeSet::new();
    for n in 0..25 {
        posted.insert(id(&face.post(1, &format!("k{n}"), json!({ "text": "x" })).await.1));
    }
    for list in ["?flat=true&limit=7", "?limit=10", "?limit=5&order=oldest"] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = face.get(&format!("/v1/parts/{PART}/comments{list}{cursor}")).await;
            seen.extend(ids(&page));
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(seen.len(), 25, "{list}");
        assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), posted, "{list}");
    }
    let page = face.get(&format!("/v1/parts/{PART}/comments?limit=3")).await;
    let cursor = page["next"].as_str().unwrap();
    let other = "9".repeat(32);
    for foreign in [
        format!("/v1/parts/{other}/comments?cursor={cursor}"),
        format!("/v1/parts/{PART}/comments?flat=true&cursor={cursor}"),
    ] {
        let (status, problem) = face.send("GET", &foreign, None, "", None).await;
        assert_eq!((status, problem["field"].as_str()), (StatusCode::BAD_REQUEST, Some("cursor")));
    }
}

#[tokio::test]
async fn a_delete_is_for_good_and_counts_once() {
    let face = Face::open(Memory::new()).await;
    let (_, posted) = face.post(1, "k", json!({ "text": "secret" })).await;
    let (_, reply) = face.post(2, "r", json!({ "text": "reply", "parent": id(&posted) })).await;
    let path = format!("/v1/comments/{}", id(&posted));
    let (status, problem) = face.send("DELETE", &path, Some(2), "", None).await;
    assert_eq!((status, problem["type"].as_str()), (StatusCode::FORBIDDEN, Some("/problems/forbidden")));
    for _ in 0..2 {
        let (status, gone) = face.send("DELETE", &path, Some(1), "", None).await;
        assert_eq!(
            (status, &gone["comment"]["deleted"], &gone["comment"]["text"]),
            (OK, &json!(true), &Value::Null)
        );
        assert_eq!(gone["counts"][0]["count"], 1);
    }
    let (status, _) = face.send("PATCH", &path, Some(1), "", Some(json!({ "text": "back" }))).await;
    assert_eq!(status, StatusCode::GONE);
    let (status, again) = face.post(1, "k", json!({ "text": "secret" })).await;
    assert_eq!(
        (status, &again["comment"]["deleted"]),
        (CREATED, &json!(true)),
        "a retry does not bring it back"
    );
    let (status, _) = face.post(1, "k", json!({ "text": "other" })).await;
    assert_eq!(status, StatusCode::CONFLICT, "the key is still that of another body");
    let flat = face.get(&format!("/v1/parts/{PART}/comments?flat=true")).await;
    assert_eq!(ids(&flat), [id(&reply)]);
    let top = face.get(&format!("/v1/parts/{PART}/comments")).await;
    assert_eq!(
        (ids(&top), &top["items"][0]["deleted"]),
        (vec![id(&posted)], &json!(true)),
        "the reply keeps its place"
    );
    let (status, _) =
        face.send("DELETE", &format!("/v1/comments/{}", "0".repeat(32)), Some(1), "", None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_part_and_a_parent_may_come_later() {
    let face = Face::open(Memory::new()).await;
    // A comment of the same author, part and key has the same id in another store: this is how a parent is known early.
    let elsewhere = Face::open(Memory::new()).await;
    let (_, parent) = elsewhere.post(1, "parent", json!({ "text": "first" })).await;
    let (_, orphan) = face.post(2, "orphan", json!({ "text": "early", "parent": id(&parent) })).await;
    let top = face.get(&format!("/v1/parts/{PART}/comments")).await;
    assert_eq!(ids(&top), [id(&orphan)], "shown at the top until its parent comes");
    let (status, _) = face.post(1, "parent", json!({ "text": "first" })).await;
    assert_eq!(status, CREATED);
    let top = face.get(&format!("/v1/parts/{PART}/comments")).await;
    assert_eq!((ids(&top), &top["items"][0]["replies"]["count"]), (vec![id(&parent)], &json!(1)));

    let part = PartId::from_bytes([0xaa; 16]);
    let at = face.mint().await;
    let place = PartPlace { at, story: StoryId::default(), owner: UserId::from_bytes([3; 16]) };
    face.hear::<PartFact>([(part, PartState { place: lattice::Min::of(place), ..PartState::default() })])
        .await;
    face.hear::<ProfileFact>([(
        UserId::from_bytes([1; 16]),
        Profile { name: lattice::Lww::new(at, "Orla".into()), ..Profile::default() },
    )])
    .await;
    let shown = face.get(&format!("/v1/comments/{}", id(&parent))).await;
    assert_eq!(shown["author"]["name"], "Orla");
    assert_eq!(face.get(&format!("/v1/comments/{}", id(&orphan))).await["author"]["name"], Value::Null);

    let path = format!("/v1/comments/{}/visibility", id(&parent));
    let hide = |visible: bool| Some(json!({ "visible": visible }));
    assert_eq!(face.send("PUT", &path, Some(1), "", hide(false)).await.0, StatusCode::FORBIDDEN);
    let (status, hidden) = face.send("PUT", &path, Some(3), "", hide(false)).await;
    assert_eq!(
        (status, &hidden["comment"]["text"], &hidden["counts"][0]["count"]),
        (OK, &Value::Null, &json!(1))
    );
    let (_, shown) = face.send("PUT", &path, Some(3), "", hide(true)).await;
    assert_eq!((&shown["comment"]["text"], &shown["counts"][0]["count"]), (&json!("first"), &json!(2)));
    let (status, _) = face.send("DELETE", &format!("/v1/comments/{}", id(&orphan)), Some(3), "", None).await;
    assert_eq!(status, OK, "the story's author may");

    face.hear::<PartFact>([(part, PartState { life: lattice::Life::Gone, ..PartState::default() })]).await;
    let (status, _) = face.post(1, "late", json!({ "text": "x" })).await;
    assert_eq!(status, StatusCode::GONE);
}

#[tokio::test]
async fn edits_are_seen_and_repeated_without_effect() {
    let face = Face::open(Memory::new()).await;
    let (_, posted) = face.post(1, "k", json!({ "text": "teh" })).await;
    let path = format!("/v1/comments/{}", id(&posted));
    let (status, edited) = face.send("PATCH", &path, Some(1), "", Some(json!({ "text": "the" }))).await;
    assert_eq!((status, &edited["text"]), (OK, &json!("the")));
    let (_, again) = face.send("PATCH", &path, Some(1), "", Some(json!({ "text": "the" }))).await;
    assert_eq!(again, edited);
    assert_eq!(
        face.send("PATCH", &path, Some(2), "", Some(json!({ "text": "x" }))).await.0,
        StatusCode::FORBIDDEN
    );
    let (status, retry) = face.post(1, "k", json!({ "text": "teh" })).await;
    assert_eq!((status, &retry["comment"]["text"]), (CREATED, &json!("the")), "the current state");
}

#[tokio::test]
async fn bad_input_is_named_and_changes_nothing() {
    let face = Face::open(Memory::new()).await;
    let path = format!("/v1/parts/{PART}/comments");
    let long = "x".repeat(10_001);
    for (body, field) in [
        (json!({}), "text"),
        (json!({ "text": "" }), "text"),
        (json!({ "text": long }), "text"),
        (json!({ "text": "a\u{7}" }), "text"),
        (json!({ "text": "a", "parent": "nobody" }), "parent"),
        (json!({ "text": "a", "txet": 1 }), "txet"),
    ] {
        let (status, problem) =
            face.send("POST", &path, Some(1), "kkkkkkkkkkkkkkkkkkkkkkkk", Some(body)).await;
        assert_eq!((status, problem["field"].as_str()), (StatusCode::BAD_REQUEST, Some(field)), "{problem}");
    }
    let (status, problem) = face.send("POST", &path, Some(1), "short", Some(json!({ "text": "a" }))).await;
    assert_eq!((status, problem["field"].as_str()), (StatusCode::BAD_REQUEST, Some("Idempotency-Key")));
    let (status, _) = face.send("POST", &path, None, "", Some(json!({ "text": "a" }))).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let stranger = SigningKey::from_seed([9; 32]);
    let (status, problem) = face
        .send_with("POST", &path, Some(&face::token_of(&stranger, 1)), "", Some(json!({ "text": "a" })))
        .await;
    assert_eq!(
        (status, &problem["retry_after_s"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!(2)),
        "a key not heard of"
    );
    let forged = root::certify(&SigningKey::from_seed([8; 32]), &stranger.public());
    assert!(face.announce_key(&stranger, &forged).await.is_err(), "poison");
    let (status, _) = face
        .send_with("POST", &path, Some(&face::token_of(&stranger, 1)), "", Some(json!({ "text": "a" })))
        .await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "nor is one that somebody else certified");
    let flat = face.get(&format!("{path}?flat=true")).await;
    assert_eq!((ids(&flat).len(), &flat["count"]["count"]), (0, &json!(0)));
}

#[tokio::test]
async fn an_announcement_that_nobody_signed_ends_no_key_and_hides_none() {
    let disk = Memory::new();
    let face = Face::open(disk.clone()).await;
    assert!(face.announce_end_of_key().await.is_err(), "poison");
    assert!(face.announce_empty_key().await.is_err(), "poison");
    let (status, _) = face.post(1, "k", json!({ "text": "a" })).await;
    assert_eq!(status, CREATED);
    face.close().await;
    let face = Face::reopen(disk).await;
    let (status, _) = face.post(1, "k2", json!({ "text": "a" })).await;
    assert_eq!(status, CREATED, "the stored key is still the true one");
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let disk = Memory::new();
    let face = Face::open(disk.clone()).await;
    let (_, posted) = face.post(1, "k", json!({ "text": "a" })).await;
    face.close().await;
    disk.crash();
    let face = Face::open(disk).await;
    assert_eq!(face.get(&format!("/v1/comments/{}", id(&posted))).await["text"], "a");
    let (_, next) = face.post(1, "k2", json!({ "text": "b" })).await;
    assert_eq!(next["counts"][0]["count"], 2);
}

#[tokio::test]
async fn a_count_is_proved() {
    let face = Face::open(Memory::new()).await;
    let path = format!("/v1/parts/{PART}/comment-counts/proof");
    let (status, proof) = face.send("GET", &path, None, "", None).await;
    assert_eq!(
        (status, &proof["count"]["count"], &proof["digest"]),
        (StatusCode::OK, &json!(0), &json!(format!("0:{}", "0".repeat(32))))
    );
    for (key, body) in [("1", "one"), ("2", "two")] {
        face.post(1, key, json!({ "text": body })).await;
    }
    let (_, before) = face.send("GET", &path, None, "", None).await;
    assert_eq!(before["count"]["count"], 2);
    let writer = &before["writers"][0];
    assert_eq!((&writer["replica"], &writer["answers"]), (&before["replica"], &json!(true)));
    assert!(before["exact_as_of"].is_string(), "what a replica writes itself is exact now: {before}");
    assert!(writer["unannounced_since"].is_string(), "and nobody was told yet: {before}");
    assert_eq!(before["count"]["tallies"][before["replica"].as_str().unwrap()]["added"], 2);
    let (_, comments) = face.send("GET", &format!("/v1/parts/{PART}/comments"), None, "", None).await;
    assert_eq!(comments["count"], before["count"], "the same count as everywhere");
    let gone = comments["items"][0]["id"].as_str().unwrap().to_owned();
    face.send("DELETE", &format!("/v1/comments/{gone}"), Some(1), "", None).await;
    let (_, after) = face.send("GET", &path, None, "", None).await;
    assert_eq!(after["count"]["count"], 1);
    assert_ne!(after["digest"], before["digest"], "another tally has another fingerprint");
}
