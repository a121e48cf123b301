//! The thread around a comment.

mod corpus;

use crate::face::{Face, PART, id};
use crate::{CREATED, OK};
use axum::http::StatusCode;
use serde_json::{Value, json};
use store::Memory;

/// Posts comments, each named by its text, as `("reply", Some("what it answers"))`; answers their ids in this order.
async fn posted(face: &Face, comments: &[(&str, Option<&str>)]) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    for (text, parent) in comments {
        let parent = parent.map(|parent| {
            let at = comments.iter().position(|(text, _)| *text == parent).unwrap();
            ids[at].clone()
        });
        let (status, answer) = face.post(1, text, json!({ "text": text, "parent": parent })).await;
        assert_eq!(status, CREATED, "{answer}");
        ids.push(id(&answer));
    }
    ids
}

const SONG: [(&str, Option<&str>); 8] = [
    ("a", None),
    ("b", Some("a")),
    ("other", None),
    ("c", Some("a")),
    ("b1", Some("b")),
    ("c1", Some("c")),
    ("b2", Some("b")),
    ("b1x", Some("b1")),
];

fn text(comment: &Value) -> &str {
    comment["text"].as_str().unwrap_or(if comment["deleted"] == true { "deleted" } else { "hidden" })
}

fn ancestors(page: &Value) -> Vec<&str> {
    page["ancestors"].as_array().unwrap().iter().map(text).collect()
}

/// The list as a reader sees it: each text behind as many dots as it is deep.
fn items(page: &Value) -> Vec<String> {
    let line = |item: &Value| {
        let depth = usize::try_from(item["depth"].as_u64().unwrap()).unwrap();
        format!("{}{}", ".".repeat(depth), text(&item["comment"]))
    };
    page["items"].as_array().unwrap().iter().map(line).collect()
}

async fn thread(face: &Face, around: &str, query: &str) -> Value {
    face.get(&format!("/v1/comments/{around}/thread{query}")).await
}

#[tokio::test]
async fn a_thread_is_one_answer_depth_first() {
    let face = Face::open(Memory::new()).await;
    let ids = posted(&face, &SONG).await;
    let whole = thread(&face, &ids[0], "").await;
    assert_eq!(items(&whole), ["a", ".b", "..b1", "...b1x", "..b2", ".c", "..c1"]);
    assert_eq!((ancestors(&whole).len(), &whole["above"], &whole["next"]), (0, &Value::Null, &Value::Null));
    let replies = |page: &Value, at: usize| page["items"][at]["comment"]["replies"]["count"].clone();
    assert_eq!((replies(&whole, 0), replies(&whole, 1), replies(&whole, 3)), (json!(2), json!(2), json!(0)));

    let around = thread(&face, &ids[4], "").await;
    assert_eq!((ancestors(&around), items(&around)), (vec!["a", "b"], vec!["b1".into(), ".b1x".into()]));
    assert_eq!(around["items"][0]["cut"], false);
    let alone = thread(&face, &ids[2], "").await;
    assert_eq!(items(&alone), ["other"]);
}

#[tokio::test]
async fn pages_of_a_thread_show_everything_once() {
    let face = Face::open(Memory::new()).await;
    let ids = posted(&face, &SONG).await;
    let whole = items(&thread(&face, &ids[0], "").await);
    for limit in 1..=whole.len() {
        let (mut seen, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let page = thread(&face, &ids[0], &format!("?limit={limit}{cursor}")).await;
            seen.extend(items(&page));
            pages += 1;
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!((&seen, pages), (&whole, whole.len().div_ceil(limit)), "{limit}");
    }
}

#[tokio::test]
async fn a_page_goes_on_among_what_came_since() {
    let face = Face::open(Memory::new()).await;
    let ids = posted(&face, &SONG).await;
    let first = thread(&face, &ids[0], "?limit=4").await;
    assert_eq!(items(&first), ["a", ".b", "..b1", "...b1x"]);
    face.post(2, "new", json!({ "text": "new", "parent": ids[4] })).await;
    face.post(2, "last", json!({ "text": "last", "parent": ids[0] })).await;
    let next = first["next"].as_str().unwrap();
    let rest = thread(&face, &ids[0], &format!("?cursor={next}")).await;
    assert_eq!(items(&rest), ["...new", "..b2", ".c", "..c1", ".last"]);
}

#[tokio::test]
async fn what_is_deleted_keeps_its_place_while_something_answers_it() {
    let face = Face::open(Memory::new()).await;
    let ids = posted(&face, &SONG).await;
    for at in [1, 5] {
        let (status, _) = face.send("DELETE", &format!("/v1/comments/{}", ids[at]), Some(1), "", None).await;
        assert_eq!(status, OK);
    }
    let whole = thread(&face, &ids[0], "").await;
    assert_eq!(items(&whole), ["a", ".deleted", "..b1", "...b1x", "..b2", ".c"], "c1 was answered by nobody");
    assert_eq!(whole["items"][0]["comment"]["replies"]["count"], 1, "the count is of the live ones");
    let around = thread(&face, &ids[7], "").await;
    assert_eq!(ancestors(&around), ["a", "deleted", "b1"]);
    let gone = thread(&face, &ids[5], "").await;
    assert_eq!(
        (ancestors(&gone), items(&gone)),
        (vec!["a", "c"], vec!["deleted".into()]),
        "asked for by name"
    );

    // A page of which nothing is left is empty, and goes on.
    let page = thread(&face, &ids[3], "?limit=1").await;
    assert_eq!((items(&page), page["next"].is_string()), (vec!["c".into()], true));
    let next = page["next"].as_str().unwrap();
    let page = thread(&face, &ids[3], &format!("?cursor={next}")).await;
    assert_eq!((items(&page).len(), &page["next"]), (0, &Value::Null));
}

#[tokio::test]
async fn an_orphan_is_the_top_of_its_thread_until_its_parent_comes() {
    let face = Face::open(Memory::new()).await;
    // A comment of the same author, part and key has the same id in another store: this is how a parent is known early.
    let elsewhere = Face::open(Memory::new()).await;
    let ids = posted(&elsewhere, &SONG).await;
    let (_, early) = face.post(1, "b", json!({ "text": "b", "parent": ids[0] })).await;
    face.post(1, "b1", json!({ "text": "b1", "parent": ids[1] })).await;
    let masked = thread(&face, &ids[4], "").await;
    assert_eq!((ancestors(&masked), items(&masked)), (vec!["b"], vec!["b1".into()]));
    assert_eq!((&masked["above"], &masked["ancestors"][0]["parent"]), (&Value::Null, &json!(ids[0])));
    let (status, _) = face.send("GET", &format!("/v1/comments/{}/thread", ids[0]), None, "", None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);

    face.post(1, "a", json!({ "text": "a" })).await;
    let whole = thread(&face, &ids[0], "").await;
    assert_eq!(items(&whole), ["a", ".b", "..b1"]);
    assert_eq!(ancestors(&thread(&face, &id(&early), "").await), ["a"]);
}

#[tokio::test]
async fn a_reply_that_names_a_comment_of_another_part_stays_on_its_own() {
    let face = Face::open(Memory::new()).await;
    let elsewhere = Face::open(Memory::new()).await;
    let parent = posted(&elsewhere, &[("parent", None)]).await.remove(0);
    let other = "b".repeat(32);
    let key = format!("{:-<24}", "stray");
    let stray = json!({ "text": "stray", "parent": parent });
    let path = format!("/v1/parts/{other}/comments");
    let (status, stray) = face.send("POST", &path, Some(2), &key, Some(stray)).await;
    assert_eq!(status, CREATED);
    posted(&face, &[("parent", None)]).await;
    assert_eq!(items(&thread(&face, &parent, "").await), ["parent"]);
    let alone = thread(&face, &id(&stray), "").await;
    assert_eq!((ancestors(&alone).len(), items(&alone)), (0, vec!["stray".into()]));
}

/// Only what is answered before it comes has to find the top level near.
#[tokio::test]
async fn a_late_comment_that_is_answered_already_is_not_deep() {
    let (face, elsewhere) = (Face::open(Memory::new()).await, Face::open(Memory::new()).await);
    let late = posted(&elsewhere, &[("late", None)]).await.remove(0);
    face.post(1, "early", json!({ "text": "early", "parent": late })).await;
    let chain = [
        ("0", None),
        ("1", Some("0")),
        ("2", Some("1")),
        ("3", Some("2")),
        ("4", Some("3")),
        ("5", Some("4")),
    ];
    let ids = posted(&face, &chain).await;
    let (status, problem) = face.post(1, "late", json!({ "text": "late", "parent": ids[5] })).await;
    assert_eq!(
        (status, &problem["field"], &problem["limit"]),
        (StatusCode::BAD_REQUEST, &json!("parent"), &json!(4))
    );
    let (status, _) = face.post(1, "late", json!({ "text": "late", "parent": ids[4] })).await;
    assert_eq!(status, CREATED);
    assert_eq!(face.post(1, "not-late", json!({ "text": "x", "parent": ids[5] })).await.0, CREATED);
}

/// Ids are known before the comments are posted, so a client can make them answer each other.
#[tokio::test]
async fn comments_do_not_answer_each_other_in_a_ring() {
    let elsewhere = Face::open(Memory::new()).await;
    let ids = posted(&elsewhere, &SONG).await;
    let face = Face::open(Memory::new()).await;
    let refused = async |key: &str, parent: &str| {
        let (status, problem) = face.post(1, key, json!({ "text": key, "parent": parent })).await;
        assert_eq!(
            (status, problem["field"].as_str()),
            (StatusCode::BAD_REQUEST, Some("parent")),
            "{problem}"
        );
    };
    refused("a", &ids[0]).await;
    // b answers a, which is not there yet; b1 answers b.
    assert_eq!(face.post(1, "b", json!({ "text": "b", "parent": ids[0] })).await.0, CREATED);
    assert_eq!(face.post(1, "b1", json!({ "text": "b1", "parent": ids[1] })).await.0, CREATED);
    refused("a", &ids[1]).await;
    refused("a", &ids[4]).await;
    let top = face.get(&format!("/v1/parts/{PART}/comments")).await;
    assert_eq!(
        top["items"].as_array().unwrap().len(),
        1,
        "all that is counted can be found from the top level"
    );

    // It may answer anything else, and a retry of what was accepted is no ring.
    let (_, other) = face.post(2, "other", json!({ "text": "other" })).await;
    for _ in 0..2 {
        let answer = json!({ "text": "a", "parent": id(&other) });
        assert_eq!(face.post(1, "a", answer).await.0, CREATED);
    }
    assert_eq!(items(&thread(&face, &id(&other), "").await), ["other", ".a", "..b", "...b1"]);
}

#[tokio::test]
async fn a_deep_thread_is_cut_above_and_below() {
    let face = Face::open(Memory::new()).await;
    let (mut ids, mut parent) = (Vec::new(), Value::Null);
    for n in 0..=405 {
        let (_, answer) =
            face.post(1, &format!("n{n}"), json!({ "text": n.to_string(), "parent": parent })).await;
        ids.push(id(&answer));
        parent = json!(ids[n]);
    }
    let whole = thread(&face, &ids[0], "?limit=500").await;
    let items = whole["items"].as_array().unwrap();
    assert_eq!((items.len(), &whole["next"]), (201, &Value::Null));
    assert_eq!((&items[199]["cut"], &items[200]["cut"]), (&json!(false), &json!(true)));
    assert_eq!(items[200]["comment"]["id"], json!(ids[200]));
    let rest = thread(&face, &ids[200], "?limit=500").await;
    assert_eq!(rest["items"].as_array().unwrap().len(), 201);
    assert_eq!((rest["ancestors"].as_array().unwrap().len(), &rest["above"]), (200, &Value::Null));

    let end = thread(&face, &ids[405], "").await;
    let above = end["ancestors"].as_array().unwrap();
    assert_eq!((above.len(), &above[0]["id"], &end["above"]), (200, &json!(ids[205]), &json!(ids[204])));
}

#[tokio::test]
async fn what_a_thread_is_asked_for_is_checked() {
    let face = Face::open(Memory::new()).await;
    let ids = posted(&face, &SONG).await;
    let first = thread(&face, &ids[0], "?limit=1").await;
    let cursor = first["next"].as_str().unwrap();
    for (query, field, limit) in [
        ("limit=0".to_owned(), "limit", json!(500)),
        ("limit=501".to_owned(), "limit", json!(500)),
        ("limit=-1".to_owned(), "limit", Value::Null),
        ("cursor=x".to_owned(), "cursor", Value::Null),
        ("order=newest".to_owned(), "order", Value::Null),
    ] {
        let path = format!("/v1/comments/{}/thread?{query}", ids[0]);
        let (status, problem) = face.send("GET", &path, None, "", None).await;
        assert_eq!((status, problem["field"].as_str()), (StatusCode::BAD_REQUEST, Some(field)), "{problem}");
        assert_eq!(problem["limit"], limit, "{problem}");
    }
    let path = format!("/v1/comments/{}/thread?cursor={cursor}", ids[1]);
    let (status, problem) = face.send("GET", &path, None, "", None).await;
    assert_eq!((status, problem["field"].as_str()), (StatusCode::BAD_REQUEST, Some("cursor")), "{problem}");
    let (status, _) =
        face.send("GET", &format!("/v1/comments/{}/thread", "0".repeat(32)), None, "", None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_thread_is_described_with_its_limits() {
    let face = Face::open(Memory::new()).await;
    let described = &face.description;
    let thread = &described["paths"]["/v1/comments/{comment}/thread"]["get"];
    assert!(thread["description"].as_str().is_some_and(|said| !said.is_empty()), "{thread}");
    let limit = &thread["parameters"].as_array().unwrap().iter().find(|one| one["name"] == "limit").unwrap();
    let schema = &limit["schema"];
    assert_eq!(
        (&schema["minimum"], &schema["maximum"], &schema["default"]),
        (&json!(1), &json!(500), &json!(100))
    );
    let schemas = &described["components"]["schemas"];
    assert_eq!(schemas["ThreadItem"]["properties"]["depth"]["maximum"], 200);
    for (schema, fields) in [("ThreadPage", 4), ("ThreadItem", 3)] {
        let properties = schemas[schema]["properties"].as_object().unwrap();
        assert_eq!(properties.len(), fields, "{properties:?}");
        for (name, property) in properties {
            assert!(property["description"].is_string(), "{schema}.{name}: {property}");
        }
    }
}
