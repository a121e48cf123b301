//! People who write at either site, and what must be true once both have heard of everything.

use crate::world::{NOTHING, Site, World};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Somebody: their id and a token.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) token: String,
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

pub(crate) async fn person(site: &Site, key: &str) -> Person {
    let created = site.ok("", key, "POST", "/v1/users", json!({ "name": key })).await;
    Person { id: text(&created["user"]["id"]), token: text(&created["token"]) }
}

/// A story of somebody, by the key of its creation.
pub(crate) async fn story(site: &Site, by: &Person, key: &str) -> String {
    text(&site.ok(&by.token, key, "POST", "/v1/stories", json!({ "title": key })).await["id"])
}

pub(crate) async fn part(site: &Site, by: &Person, story: &str, key: &str) -> String {
    let body = json!({ "title": key, "paragraphs": ["one", "two", "three"] });
    text(&site.ok(&by.token, key, "POST", &format!("/v1/stories/{story}/parts"), body).await["id"])
}

pub(crate) async fn comment(site: &Site, by: &Person, part: &str, key: &str, body: Value) -> String {
    let path = format!("/v1/parts/{part}/comments");
    text(&site.ok(&by.token, key, "POST", &path, body).await["comment"]["id"])
}

/// Every id that a list shows.
pub(crate) async fn listed(site: &Site, path: &str) -> BTreeSet<String> {
    let (mut ids, mut cursor) = (BTreeSet::new(), String::new());
    loop {
        let page = site.get(&format!("{path}{cursor}")).await;
        for item in page["items"].as_array().unwrap() {
            assert!(ids.insert(text(&item["id"])), "{path} lists {item} twice");
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return ids,
        }
    }
}

/// A part at both sites: what is shown at each is what is listed there, and the same.
pub(crate) async fn expect_exact(world: &World, part: &str, people: &[&Person]) {
    let flat = format!("/v1/parts/{part}/comments?flat=true&limit=100");
    let list = listed(&world.a, &flat).await;
    assert_eq!(list, listed(&world.b, &flat).await, "both list the same comments");
    for site in [&world.a, &world.b] {
        let own = site.get(&format!("/v1/parts/{part}/comment-counts")).await;
        assert_eq!(own["part"]["count"], json!(list.len()), "{own}");
        for id in &list {
            let comment = site.get(&format!("/v1/comments/{id}")).await;
            let answers = listed(site, &format!("/v1/comments/{id}/replies?limit=100")).await;
            let live = answers.intersection(&list).count();
            assert_eq!(comment["replies"]["count"], json!(live), "{comment}");
        }
        let path = format!("/v1/parts/{part}");
        let (status, shown) = site.ask("", "", "GET", &path, NOTHING).await;
        if status == 410 {
            continue;
        }
        assert_eq!(status, 200, "{shown}");
        assert_eq!(shown["counts"]["comments"]["count"], json!(list.len()), "{shown}");
        for paragraph in shown["paragraphs"].as_array().unwrap() {
            let mut on_it = 0;
            for id in &list {
                let comment = site.get(&format!("/v1/comments/{id}")).await;
                on_it += usize::from(comment["paragraph"] == paragraph["id"]);
            }
            assert_eq!(paragraph["comments"]["count"], json!(on_it), "{paragraph}");
        }
        let mut votes = 0;
        for person in people {
            let seen = site.ok(&person.token, "", "GET", &path, NOTHING).await;
            votes += usize::from(seen["voted"] == json!(true));
        }
        assert_eq!(shown["counts"]["votes"]["count"], json!(votes), "{shown}");
    }
}
