//! Bad input: the right status, a problem that names the field, nothing changed, and everything else goes on.

mod common;

use common::{Platform, antiphon, run};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

/// Method, path, token, body (null: none), and the status and field of the refusal.
type Case<'a> = (&'a str, String, Option<&'a str>, Value, u16, Option<&'a str>);

#[test]
fn requests_are_refused_by_name_and_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start(folder.path(), &["--empty"]);
    let (user, token) = platform.user("Orla");
    let (_, other) = platform.user("Bran");
    let part = platform.part(&token);
    platform.wait_until_quiet();
    let comments = format!("/v1/parts/{part}/comments");
    let posted = platform.send("POST", &comments, Some(&token), "k", Some(json!({ "text": "a" }))).json();
    let comment = format!("/v1/comments/{}", posted["comment"]["id"].as_str().unwrap());
    platform.wait_until_quiet();
    let before = (platform.get(&format!("/v1/parts/{part}")), platform.get(&format!("{comments}?flat=true")));

    let nobody = "0".repeat(32);
    // One character of the signature becomes another one.
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let forged =
        format!("{signed}.{}{}", if signature.starts_with('A') { 'B' } else { 'A' }, &signature[1..]);
    let cases: Vec<Case<'_>> = vec![
        ("POST", comments.clone(), Some(&token), json!({ "text": "" }), 400, Some("text")),
        ("POST", comments.clone(), Some(&token), json!({ "text": "x".repeat(10_001) }), 400, Some("text")),
        ("POST", comments.clone(), Some(&token), json!({ "text": "a\u{0}b" }), 400, Some("text")),
        (
            "POST",
            comments.clone(),
            Some(&token),
            json!({ "text": "a", "colour": "red" }),
            400,
            Some("colour"),
        ),
        ("POST", comments.clone(), Some(&token), json!({ "text": 7 }), 400, Some("text")),
        ("POST", comments.clone(), Some(&token), json!(["a"]), 400, None),
        ("POST", comments.clone(), None, json!({ "text": "a" }), 401, Some("Authorization")),
        ("POST", comments.clone(), Some("nonsense"), json!({ "text": "a" }), 401, Some("Authorization")),
        ("POST", comments.clone(), Some(&forged), json!({ "text": "a" }), 401, Some("Authorization")),
        ("POST", "/v1/parts/xyz/comments".into(), Some(&token), json!({ "text": "a" }), 400, Some("part")),
        ("PATCH", comment.clone(), Some(&other), json!({ "text": "mine now" }), 403, None),
        ("DELETE", comment.clone(), Some(&other), Value::Null, 403, None),
        ("DELETE", format!("/v1/comments/{nobody}"), Some(&token), Value::Null, 404, None),
        ("GET", format!("/v1/parts/{nobody}"), None, Value::Null, 404, None),
        ("GET", format!("/v1/users/{nobody}"), None, Value::Null, 404, None),
        ("GET", format!("{comments}?limit=101"), None, Value::Null, 400, Some("limit")),
        ("GET", format!("{comments}?cursor=rubbish"), None, Value::Null, 400, Some("cursor")),
        ("GET", format!("{comments}?sort=best"), None, Value::Null, 400, Some("sort")),
        ("PATCH", format!("/v1/users/{user}"), Some(&other), json!({ "name": "Bran" }), 403, None),
        (
            "PATCH",
            format!("/v1/users/{user}"),
            Some(&token),
            json!({ "name": "x".repeat(65) }),
            400,
            Some("name"),
        ),
        ("PATCH", format!("/v1/parts/{part}"), Some(&other), json!({ "title": "Mine" }), 403, None),
        ("PUT", "/v1/parts".into(), None, Value::Null, 404, None),
        ("PUT", comments.clone(), None, Value::Null, 405, None),
        ("GET", "/nowhere".into(), None, Value::Null, 404, None),
    ];
    for (method, path, token, body, status, field) in cases {
        let body = (!body.is_null()).then_some(body);
        let answer = platform.send(method, &path, token, "", body);
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
        assert!(
            answer.head.contains("content-type: application/problem+json"),
            "{method} {path}: {}",
            answer.head
        );
        assert_eq!(answer.json()["field"].as_str(), field, "{method} {path}: {}", answer.body);
    }

    for bytes in [
        &b"\x16\x03\x01 this is no HTTP\r\n\r\n"[..],
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v1/users HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{\"name\": ",
    ] {
        let answer = platform.raw(bytes).unwrap();
        assert_eq!(answer.status, 400, "{}", answer.body);
    }
    let huge = format!(
        "POST /v1/users HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        1_u64 << 40
    );
    assert_eq!(platform.raw(huge.as_bytes()).unwrap().status, 413);

    platform.wait_until_quiet();
    let after = (platform.get(&format!("/v1/parts/{part}")), platform.get(&format!("{comments}?flat=true")));
    assert_eq!(after, before, "nothing changed");
    assert!(platform.stop().success());
}

fn refused(data: &Path, args: &[&str]) -> String {
    let (output, text) =
        run(antiphon().arg("serve").args(args).arg("--data").arg(data).args(["--listen", "127.0.0.1:0"]));
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(!text.contains("panicked"), "{text}");
    text
}

#[test]
fn folders_that_are_not_ours_are_refused_and_left_alone() {
    let foreign = tempfile::tempdir().unwrap();
    std::fs::write(foreign.path().join("thesis.txt"), "years of work").unwrap();
    assert!(refused(foreign.path(), &[]).contains("thesis.txt"));
    assert_eq!(std::fs::read_dir(foreign.path()).unwrap().count(), 1, "nothing was written there");

    let fresh = tempfile::tempdir().unwrap();
    assert!(
        refused(fresh.path(), &["comments"]).contains("--deployment"),
        "a lone service must be told where it belongs"
    );
    let file = fresh.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(refused(&file, &[]).contains("cannot use"));

    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start(folder.path(), &["--empty"]);
    assert!(refused(folder.path(), &["--empty"]).contains("in use by another process"));
    let taken = run(antiphon()
        .args(["serve", "--empty", "--listen", &platform.address])
        .arg("--data")
        .arg(fresh.path().join("d")));
    assert!(taken.1.contains("choose another with --listen"), "{}", taken.1);
    assert!(platform.stop().success());
    assert!(!fresh.path().join("d").exists(), "where the port is taken nothing is begun");
    let elsewhere = "f".repeat(32);
    assert!(refused(folder.path(), &["--deployment", &elsewhere]).contains(&elsewhere));
    let key = folder.path().join("users/signing.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(refused(folder.path(), &[]).contains("chmod 600"));
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    // A store that is gone, or not mounted, is not begun again in its place.
    std::fs::rename(folder.path().join("comments"), folder.path().join("elsewhere")).unwrap();
    assert!(refused(folder.path(), &[]).contains("comments held a store and it is gone"));
    std::fs::rename(folder.path().join("elsewhere"), folder.path().join("comments")).unwrap();
    std::fs::rename(folder.path().join("users/STORE"), folder.path().join("users/STORE.gone")).unwrap();
    assert!(refused(folder.path(), &[]).contains("it is gone"));
    std::fs::rename(folder.path().join("users/STORE.gone"), folder.path().join("users/STORE")).unwrap();
    assert!(Platform::start(folder.path(), &["--empty"]).stop().success(), "and it still is what it was");
}

/// Of processes that begin one folder at once, one serves; the folder is whole, and what is posted there stays.
#[test]
fn of_two_first_starts_one_gets_the_folder() {
    for _ in 0..5 {
        let folder = tempfile::tempdir().unwrap();
        let start = || {
            let mut command = antiphon();
            command.args(["serve", "--empty", "--listen", "127.0.0.1:0", "--disk-free-min", "0", "--data"]);
            command.arg(folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let mut children = [start(), start()];
        let mut lines = children.each_mut().map(|child| {
            let mut line = String::new();
            BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
            line
        });
        lines.sort();
        assert!(lines[0].is_empty() && lines[1].starts_with("antiphon is at"), "{lines:?}");
        for mut child in children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let platform = Platform::start(folder.path(), &["--empty"]);
        let (_, token) = platform.user("Orla");
        platform.part(&token);
        assert!(platform.stop().success(), "and it is whole");
    }
}

#[test]
fn nobody_else_can_be_the_people_of_the_starter_story() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start(folder.path(), &[]);
    platform.wait_until_quiet();
    let deployment = platform.get("/status")["deployment"].as_str().unwrap().to_owned();
    let story = platform.get("/v1/stories")["items"][0].clone();
    let (author, name) = (story["author"]["id"].as_str().unwrap(), story["author"]["name"].clone());
    for key in [format!("starter-{deployment}-person-0"), format!("starter--person-0{}", "-".repeat(20))] {
        let made =
            platform.send("POST", "/v1/users", None, &key, Some(json!({ "name": name, "avatar": null })));
        assert_eq!(made.status, 201, "{}", made.body);
        assert_ne!(made.json()["user"]["id"].as_str(), Some(author), "{key}");
    }
    assert!(!folder.path().join("starter").exists(), "the secret is gone once the story is written");
    assert!(platform.stop().success());
}
