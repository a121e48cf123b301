//! Two sites, each with a process and a data folder of its own, and a broker between them.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests, where a panic is the verdict"
)]
#![cfg_attr(
    any(feature = "nats", feature = "sqs"),
    expect(clippy::panic, reason = "helpers of tests, where a panic is the verdict")
)]

mod common;

use common::{Platform, antiphon, run};
use serde_json::Value;
#[cfg(any(feature = "nats", feature = "sqs"))]
use serde_json::json;
use std::path::Path;

fn refused(data: &Path, args: &[&str]) -> String {
    let mut command = antiphon();
    command.arg("serve").args(args).arg("--data").arg(data).args(["--listen", "127.0.0.1:0"]);
    let (output, text) = run(&mut command);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(!text.contains("panicked"), "{text}");
    text
}

/// What `antiphon.json` says of a deployment, as arguments for who joins it.
fn joining(data: &Path) -> [String; 4] {
    let site: Value = serde_json::from_slice(&std::fs::read(data.join("antiphon.json")).unwrap()).unwrap();
    let text = |field: &str| site[field].as_str().unwrap().to_owned();
    ["--deployment".to_owned(), text("deployment"), "--root-public-key".to_owned(), text("root_public_key")]
}

#[test]
fn sites_that_cannot_be_meant_are_refused_with_their_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let fresh = folder.path().join("fresh");
    let nats = ["--queue", "nats://127.0.0.1:1"];
    let sites = |list: &'static str| [&["--site", "c", "--sites", list], nats.as_slice()].concat();
    let text = refused(&fresh, &sites("a,b"));
    assert!(text.contains("--site c is not among --sites a,b"), "{text}");
    let text = refused(&fresh, &sites("c,c"));
    assert!(text.contains("--sites names c twice"), "{text}");
    for own in [&[][..], &["--queue", "memory:"]] {
        let text = refused(&fresh, &[&["--site", "a", "--sites", "a,b"], own].concat());
        assert!(text.contains("give --queue, such as nats://host:4222"), "{text}");
    }
    assert!(!fresh.exists(), "nothing was begun");
}

#[test]
fn who_joins_a_deployment_is_told_how_its_key_gets_signed() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    assert!(Platform::start(&first, &["--empty"]).stop().success());
    let joining = joining(&first);
    let joining: Vec<_> = joining.iter().map(String::as_str).collect();
    // A key is of base64url, and may begin with a hyphen as if it were an option.
    let hyphen = format!("-p{}", "A".repeat(41));
    let text = refused(&first, &["--root-public-key", &hyphen]);
    assert!(text.contains(&format!("belongs to root key {}, not {hyphen}", joining[3])), "{text}");
    let text = refused(&second, &joining);
    let wanted = second.join("root.key");
    assert!(text.contains("Copy root.key") && text.contains(wanted.to_str().unwrap()), "{text}");
    // Another root key signs nothing that anybody believes.
    let other = folder.path().join("other");
    assert!(Platform::start(&other, &["--empty"]).stop().success());
    std::fs::copy(other.join("root.key"), &wanted).unwrap();
    let text = refused(&second, &joining);
    assert!(text.contains("another root key than the deployment's"), "{text}");
    // A copy keeps the mode.
    std::fs::copy(first.join("root.key"), &wanted).unwrap();
    let platform = Platform::start(&second, &joining);
    assert_eq!(platform.get("/v1/stories")["items"], Value::Array(Vec::new()), "it writes no starter story");
    assert!(platform.stop().success());
    std::fs::remove_file(&wanted).unwrap();
    assert!(Platform::start(&second, &joining).stop().success(), "it was needed once");
}

/// Asks until the answer is as wanted.
#[cfg(any(feature = "nats", feature = "sqs"))]
fn until(platform: &Platform, path: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    for _ in 0..1_200 {
        let answer = platform.send("GET", path, None, "", None);
        if answer.status == 200 {
            last = answer.json();
            if wanted(&last) {
                return last;
            }
        }
        std::thread::park_timeout(std::time::Duration::from_millis(50));
    }
    panic!("{what}: {path} stayed {last}; {}", platform.get("/status"));
}

/// Sends the same again for as long as the answer asks for it: a site may not have heard yet of what another one signed.
#[cfg(any(feature = "nats", feature = "sqs"))]
fn ok(platform: &Platform, token: &str, key: &str, method: &str, path: &str, body: Option<&Value>) -> Value {
    for _ in 0..1_200 {
        let answer = platform.send(method, path, Some(token), key, body.cloned());
        if answer.status != 503 {
            assert!(answer.status < 300, "{method} {path}: {} {}", answer.status, answer.body);
            return answer.json();
        }
        std::thread::park_timeout(std::time::Duration::from_millis(50));
    }
    panic!("{method} {path} stayed unavailable: {}", platform.get("/status"));
}

/// Writes at both, kills one of them in the middle, and both show the same.
#[cfg(any(feature = "nats", feature = "sqs"))]
fn two_sites_converge(url: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("a"), folder.path().join("b"));
    let at = |site: &'static str| ["--site", site, "--sites", "a,b", "--empty", "--queue", url];
    let a = Platform::start(&first, &at("a"));
    let joining = joining(&first);
    let joining: Vec<_> = joining.iter().map(String::as_str).chain(at("b")).collect();
    std::fs::create_dir(&second).unwrap();
    std::fs::copy(first.join("root.key"), second.join("root.key")).unwrap();
    let b = Platform::start(&second, &joining);

    let (user, token) = a.user("Orla");
    let part = a.part(&token);
    let (shown, comments) = (format!("/v1/parts/{part}"), format!("/v1/parts/{part}/comments"));
    until(&b, &shown, "the part arrives", |part| part["author"]["name"] == "Orla");
    let post = |platform: &Platform, key: &str| {
        let body = json!({ "text": key });
        let answer = ok(platform, &token, key, "POST", &comments, Some(&body));
        answer["comment"]["id"].as_str().unwrap().to_owned()
    };
    // The token was signed at the other site.
    let same = post(&a, "same");
    assert_eq!(post(&b, "same"), same);
    let gone = post(&a, "gone");
    until(&b, &format!("/v1/comments/{gone}"), "a comment arrives", |comment| comment["text"] == "gone");
    ok(&b, &token, "", "DELETE", &format!("/v1/comments/{gone}"), None);
    for site in [&a, &b] {
        ok(site, &token, "", "PUT", &format!("{shown}/vote"), None);
    }
    // Killed with SIGKILL; the other goes on, and what it took arrives when this one is back.
    drop(a);
    for n in 0..20 {
        post(&b, &format!("meanwhile {n}").replace(' ', "-"));
    }
    ok(&b, &token, "", "PATCH", &format!("/v1/users/{user}"), Some(&json!({ "name": "Órla" })));
    let a = Platform::start(&first, &at("a"));
    post(&a, "back");

    let count = |part: &Value| {
        (part["counts"]["comments"]["count"].clone(), part["counts"]["votes"]["count"].clone())
    };
    for (site, name) in [(&a, "a"), (&b, "b")] {
        let what = format!("{name} shows 22 comments and a vote");
        until(site, &shown, &what, |part| count(part) == (json!(22), json!(1)));
        until(site, &format!("/v1/users/{user}"), "the name arrives", |user| user["name"] == "Órla");
        until(site, &format!("{comments}?limit=1"), "comments count too", |page| {
            page["count"]["count"] == 22
        });
        site.wait_until_quiet();
    }
    let flat = format!("{comments}?flat=true");
    assert_eq!(a.list(&flat), b.list(&flat));
    assert_eq!(a.list(&flat).len(), 22);
    assert_eq!(a.get(&shown), b.get(&shown), "byte for byte the same answer");
    for site in [a, b] {
        for service in ["users", "stories", "comments"] {
            assert_eq!(site.get("/status")["services"][service]["kept"], 0);
        }
        assert!(site.stop().success());
    }
    for site in ["a", "b"] {
        let (output, text) = run(antiphon().args(["topics", "plan", url, "--site", site, "--sites", "a,b"]));
        assert!(output.status.success(), "serving made all that is needed: {text}");
    }
}

#[cfg(feature = "nats")]
#[tokio::test(flavor = "multi_thread")]
async fn two_sites_converge_over_nats() {
    let broker = match testbed::Nats::start().await {
        Ok(broker) => broker,
        Err(testbed::StartError::Missing(missing)) if !testbed::needed_by_all() => {
            println!("passed over: {missing}");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    let url = format!("nats://{}", broker.address());
    tokio::task::spawn_blocking(move || two_sites_converge(&url)).await.unwrap();
}

#[cfg(feature = "sqs")]
#[test]
fn two_sites_converge_over_our_own_sqs() {
    let folder = tempfile::tempdir().unwrap();
    let queue = common::SqsServer::start(&folder.path().join("queue"));
    two_sites_converge(&format!("sqs+http://{}", queue.address));
    assert!(queue.stop().success());
}
