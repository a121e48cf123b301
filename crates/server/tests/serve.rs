//! The platform as its users meet it: started, asked, killed, started again.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests, where a panic is the verdict"
)]

mod common;

use common::Platform;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError, mpsc};

#[test]
fn the_first_start_shows_a_story_with_its_counts() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start(folder.path(), &[]);
    platform.wait_until_quiet();
    let stories = platform.get("/v1/stories");
    assert_eq!(stories["items"].as_array().unwrap().len(), 1);
    assert!(stories["items"][0]["author"]["name"].is_string(), "Stories has heard who wrote it");
    let story = platform.get(&format!("/v1/stories/{}", stories["items"][0]["id"].as_str().unwrap()));
    for part in story["parts"].as_array().unwrap() {
        let id = part["id"].as_str().unwrap();
        let listed = platform.list(&format!("/v1/parts/{id}/comments?flat=true"));
        assert!(!listed.is_empty());
        assert_eq!(part["counts"]["comments"]["count"], listed.len());
    }
    let page = platform.send("GET", "/", None, "", None);
    assert!(page.body.starts_with("<!doctype html>"), "{}", page.body);
    assert!(page.head.contains("content-security-policy: default-src 'self'"), "{}", page.head);
    assert_eq!(platform.send("GET", "/web/app.js", None, "", None).status, 200);
    assert_eq!(platform.send("GET", "/health", None, "", None).status, 200);
    assert_eq!(platform.send("GET", "/ready", None, "", None).status, 200);
    let metrics = platform.send("GET", "/metrics", None, "", None).body;
    for name in [
        "antiphon_outbox_rows",
        "antiphon_merge_lag_seconds_bucket",
        "antiphon_store_group_writes_bucket",
        "antiphon_queue_messages",
    ] {
        assert!(metrics.contains(name), "{name}");
    }
    assert!(platform.stop().success(), "SIGTERM drains and exits 0");

    let again = Platform::start(folder.path(), &[]);
    assert_eq!(again.get("/v1/stories")["items"].as_array().unwrap().len(), 1, "it is written once");
    assert!(again.stop().success());
}

/// Posts from four writers until the process is killed under them, again and again on one folder. Then every
/// acknowledged comment is listed, every delete is done, and both services agree.
#[test]
fn what_was_acknowledged_survives_the_kill() {
    const KILLS: usize = 6;
    let folder = tempfile::tempdir().unwrap();
    let mut platform = Platform::start(folder.path(), &["--empty"]);
    let (_, token) = platform.user("Orla");
    let part = platform.part(&token);
    let path = format!("/v1/parts/{part}/comments");
    let acknowledged = Acknowledged::default();
    for kill in 0..KILLS {
        let (ack, acks) = mpsc::channel();
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let (platform, acknowledged, token, path, ack) =
                    (&platform, &acknowledged, &token, &path, ack.clone());
                scope.spawn(move || {
                    write_until_killed(
                        platform,
                        &format!("{kill}-{writer}"),
                        path,
                        token,
                        acknowledged,
                        &ack,
                    );
                });
            }
            drop(ack);
            // Ends early where every writer failed: then there is nothing to wait for.
            let waited = acks.iter().take(20 + 7 * kill).count();
            rustix::process::kill_process(platform.pid(), rustix::process::Signal::KILL).unwrap();
            assert_eq!(waited, 20 + 7 * kill, "the writers stopped before the kill");
        });
        let address = platform.address.clone();
        drop(platform);
        platform = Platform::start_at(folder.path(), &address, &["--empty"]);
    }
    platform.wait_until_quiet();
    let listed = platform.list(&format!("{path}?flat=true&limit=100"));
    let shown = platform.get(&format!("/v1/parts/{part}"))["counts"]["comments"]["count"].clone();
    assert_eq!(shown, listed.len(), "Stories shows what Comments lists");
    let acknowledged = acknowledged.into_inner().unwrap();
    for (key, (id, deleted)) in &acknowledged {
        if *deleted {
            assert!(!listed.contains(id), "{key} was deleted");
        } else {
            // A delete whose answer the kill swallowed may have been done.
            let comment = platform.get(&format!("/v1/comments/{id}"));
            assert_eq!(comment["text"].is_string(), listed.contains(id), "{key}");
        }
    }
    for (key, (id, _)) in acknowledged.iter().take(20) {
        let again = platform.send(
            "POST",
            &path,
            Some(&token),
            key,
            Some(json!({ "text": format!("comment {key}") })),
        );
        assert_eq!(
            (again.status, again.json()["comment"]["id"].as_str()),
            (201, Some(id.as_str())),
            "the same comment"
        );
    }
    assert_eq!(
        platform.list(&format!("{path}?flat=true&limit=100")).len(),
        listed.len(),
        "retries added none"
    );
    println!("kills {KILLS}, acknowledged posts {}, lost 0", acknowledged.len());
    assert!(platform.stop().success());
}

/// By key: the comment's id, and whether its deletion was acknowledged.
type Acknowledged = Mutex<BTreeMap<String, (String, bool)>>;

/// Posts, and deletes every fifth, until there is no answer any more.
fn write_until_killed(
    platform: &Platform,
    name: &str,
    path: &str,
    token: &str,
    acknowledged: &Acknowledged,
    ack: &mpsc::Sender<()>,
) {
    let note = |key: &str, id: &str, deleted| {
        let mut acknowledged = acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
        acknowledged.insert(key.to_owned(), (id.to_owned(), deleted));
    };
    for n in 0.. {
        let key = format!("kill-{name}-{n}");
        let body = json!({ "text": format!("comment {key}") });
        let Ok(answer) = platform.try_send("POST", path, Some(token), &key, Some(body)) else { return };
        if answer.status == 503 {
            continue;
        }
        assert_eq!(answer.status, 201, "{}", answer.body);
        let id = answer.json()["comment"]["id"].as_str().unwrap().to_owned();
        note(&key, &id, false);
        if ack.send(()).is_err() {
            return;
        }
        if n % 5 == 0 {
            let path = format!("/v1/comments/{id}");
            let Ok(answer) = platform.try_send("DELETE", &path, Some(token), "", None) else { return };
            assert_eq!(answer.status, 200, "{}", answer.body);
            note(&key, &id, true);
        }
    }
}

#[test]
fn each_service_answers_alone_on_the_same_folder() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start(folder.path(), &["--empty"]);
    let (user, token) = platform.user("Orla");
    let part = platform.part(&token);
    let path = format!("/v1/parts/{part}/comments");
    for n in 0..5 {
        let posted =
            platform.send("POST", &path, Some(&token), &format!("k{n}"), Some(json!({ "text": "a" })));
        assert_eq!(posted.status, 201, "{}", posted.body);
    }
    platform.wait_until_quiet();
    assert!(platform.stop().success());

    let stories = Platform::start(folder.path(), &["stories"]);
    let shown = stories.get(&format!("/v1/parts/{part}"));
    assert_eq!(
        (&shown["counts"]["comments"]["count"], &shown["author"]["name"]),
        (&json!(5), &json!("Orla"))
    );
    assert_eq!(stories.send("GET", &path, None, "", None).status, 404, "comments are not served here");
    // Comments runs beside it: the queue is taken by Stories, and it answers and takes comments all the same.
    let comments = Platform::start(folder.path(), &["comments"]);
    assert_eq!(comments.list(&format!("{path}?flat=true")).len(), 5);
    let posted = comments.send("POST", &path, Some(&token), "alone", Some(json!({ "text": "still" })));
    assert_eq!(posted.status, 201, "{}", posted.body);
    assert_eq!(comments.get("/status")["queue"]["connected"], Value::Bool(false));
    assert!(stories.stop().success());
    assert!(comments.stop().success());

    let users = Platform::start(folder.path(), &["users"]);
    assert_eq!(users.get(&format!("/v1/users/{user}"))["name"], "Orla");
    assert!(users.stop().success());
    let platform = Platform::start(folder.path(), &["--empty"]);
    platform.wait_until_quiet();
    assert_eq!(
        platform.get(&format!("/v1/parts/{part}"))["counts"]["comments"]["count"],
        6,
        "told as soon as it could be"
    );
    assert!(platform.stop().success());
}

/// What is waiting in the queue is in flight. What somebody took out of it is lost, and named.
#[test]
fn the_audit_tells_what_is_on_the_way_from_what_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Platform::start(folder.path(), &["--empty"]).stop().success());
    // Nobody merges: the others do not run.
    let users = Platform::start(folder.path(), &["--empty", "users"]);
    users.user("Orla");
    for _ in 0..600 {
        if users.get("/status")["services"]["users"]["outbox"] == 0 {
            break;
        }
        std::thread::park_timeout(std::time::Duration::from_millis(50));
    }
    assert!(users.stop().success());
    let audit = |args: &[&str]| {
        let mut command = common::antiphon();
        let (output, text) =
            common::run(command.args(["queue", "audit", "--json", "--data"]).arg(folder.path()).args(args));
        let books: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {text}"));
        (output.status.code(), books)
    };
    let (code, books) = audit(&["--subscription", "profiles/stories/main"]);
    let row = &books["subscriptions"][0];
    assert_eq!((code, &row["verdict"]), (Some(0), &json!("on_the_way")), "{books}");
    assert!(row["in_flight"].as_u64().unwrap() > 0 && row["held"]["ready"].as_u64().unwrap() > 0, "{books}");

    let url = format!("embedded:{}", folder.path().join("queue").display());
    let (output, text) = common::run(common::antiphon().args([
        "queue",
        "drain",
        &url,
        "profiles/stories/main",
        "--wait",
        "0",
    ]));
    assert!(output.status.success(), "{text}");
    let (code, books) = audit(&["--subscription", "profiles/stories/main"]);
    let row = &books["subscriptions"][0];
    assert_eq!(
        (code, &row["verdict"], &books["lost"]),
        (Some(1), &json!("lost"), &row["in_flight"]),
        "{books}"
    );
    assert!(!row["missing"].as_str().unwrap().is_empty(), "{books}");
    let (code, books) = audit(&["--subscription", "profiles/comments/main"]);
    assert_eq!(
        (code, &books["lost"]),
        (Some(0), &json!(0)),
        "the copy of another subscription is where it was"
    );
}

#[test]
fn a_queue_that_cannot_be_used_is_told_and_stops_nobody() {
    let folder = tempfile::tempdir().unwrap();
    // Nobody listens there; without a client of a broker, nothing can be opened there.
    let (given, shown) = if cfg!(feature = "rabbitmq") {
        ("amqp://me:secret@127.0.0.1:1/x?prefix=p", "amqp://me:***@127.0.0.1:1/x?prefix=p")
    } else {
        ("embedded:/dev/null/queue", "embedded:/dev/null/queue")
    };
    let platform = Platform::start(folder.path(), &["--empty", "--queue", given]);
    platform.user("Orla");
    let mut status = platform.get("/status");
    for _ in 0..600 {
        if status["queue"]["why_not"].is_string() {
            break;
        }
        std::thread::park_timeout(std::time::Duration::from_millis(50));
        status = platform.get("/status");
    }
    let queue = &status["queue"];
    assert_eq!((&queue["connected"], &status["quiet"]), (&json!(false), &json!(false)), "{status}");
    assert_eq!(queue["url"], shown);
    assert!(queue["why_not"].as_str().is_some_and(|why| !why.is_empty()), "{status}");
    assert!(!status.to_string().contains("secret"), "{status}");
    assert_eq!(platform.send("GET", "/ready", None, "", None).status, 200);
    assert!(platform.stop().success());
    // What can never work stops the start.
    for (url, why) in [("nats//h", "no scheme"), ("redis://h", "is no broker")] {
        let (output, text) =
            common::run(common::antiphon().args(["serve", "--queue", url, "--data"]).arg(folder.path()));
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(why), "{text}");
    }
}

#[test]
fn a_name_changes_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start(folder.path(), &["--empty"]);
    let (user, token) = platform.user("Orla");
    let part = platform.part(&token);
    let path = format!("/v1/parts/{part}/comments");
    assert_eq!(platform.send("POST", &path, Some(&token), "k", Some(json!({ "text": "a" }))).status, 201);
    let renamed = platform.send(
        "PATCH",
        &format!("/v1/users/{user}"),
        Some(&token),
        "",
        Some(json!({ "name": "Órla ✨" })),
    );
    assert_eq!(renamed.status, 200, "{}", renamed.body);
    platform.wait_until_quiet();
    assert_eq!(platform.get(&format!("/v1/parts/{part}"))["author"]["name"], "Órla ✨");
    assert_eq!(platform.get(&path)["items"][0]["author"]["name"], "Órla ✨");
    assert!(platform.stop().success());
}

#[test]
fn the_api_is_described_to_the_last_reference() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start(folder.path(), &["--empty"]);
    let description = platform.get("/v1/openapi.json");
    let paths = description["paths"].as_object().unwrap();
    for path in [
        "/v1/users",
        "/v1/stories/{story}/parts",
        "/v1/parts/{part}",
        "/v1/parts/{part}/comments",
        "/v1/comments/{comment}",
    ] {
        assert!(paths.contains_key(path), "{path}");
    }
    let answers = paths.values().flat_map(|path| path.as_object().unwrap().values());
    for answer in answers.flat_map(|operation| operation["responses"].as_object().unwrap().values()) {
        assert!(answer["description"].as_str().is_some_and(|said| !said.is_empty()), "{answer}");
    }
    let text = description.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(description.pointer(reference).is_some(), "{reference}");
    }
    let mut names: Vec<_> = paths
        .values()
        .flat_map(|path| path.as_object().unwrap().values())
        .filter_map(|operation| operation["operationId"].as_str())
        .collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "operation ids are unique");
    assert!(platform.stop().success());
}

/// A nearly full disk refuses writes. It is no reason not to start, nor not to answer.
#[test]
fn a_start_on_a_nearly_full_disk_answers_queries() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start(folder.path(), &["--empty"]);
    let (user, token) = platform.user("Orla");
    let part = platform.part(&token);
    platform.wait_until_quiet();
    assert!(platform.stop().success());
    let everything = u64::MAX.to_string();
    let platform =
        Platform::start_with(folder.path(), "127.0.0.1:0", &["--empty", "--disk-free-min", &everything]);
    assert_eq!(platform.get(&format!("/v1/users/{user}"))["name"], "Orla");
    let path = format!("/v1/parts/{part}/comments");
    let refused = platform.send("POST", &path, Some(&token), "k", Some(json!({ "text": "a" })));
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert!(refused.head.contains("retry-after: 30"), "{}", refused.head);
    assert!(platform.list(&format!("{path}?flat=true")).is_empty());
    assert!(platform.stop().success());
}
