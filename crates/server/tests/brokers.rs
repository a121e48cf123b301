//! The platform over brokers of others: exact under faults and kills, in one process and in three.
#![cfg(any(feature = "kafka", feature = "nats", feature = "rabbitmq", feature = "sqs"))]
#![cfg_attr(
    any(feature = "kafka", feature = "nats", feature = "rabbitmq", feature = "sqs"),
    expect(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::panic,
        reason = "helpers of tests, where a panic is the verdict"
    )
)]

mod common;

use common::{Platform, antiphon, run};
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::Path;

/// A corpus of our own: threads of replies on a few parts.
fn corpus(path: &Path, comments: usize) {
    let mut lines = String::new();
    for n in 0..comments {
        let (part, author) = (n % 5, n % 23);
        let reply =
            if n >= 10 && n % 3 != 0 { format!(r#", "reply_to": "c{}""#, n - 5) } else { String::new() };
        writeln!(lines, r#"{{"id": "c{n}", "part": "part-{part}", "author": "author {author}", "text": "comment {n}"{reply}}}"#).unwrap();
    }
    std::fs::write(path, lines).unwrap();
}

/// What a broker that is not installed means.
fn started<T>(started: Result<T, testbed::StartError>) -> Option<T> {
    match started {
        Ok(broker) => Some(broker),
        Err(testbed::StartError::Missing(missing)) if !testbed::needed_by_all() => {
            println!("passed over: {missing}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// A hostile replay with kills is exact, its books balance, and the dead are none.
fn is_exact(url: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (file, data) = (folder.path().join("corpus.ndjson"), folder.path().join("data"));
    corpus(&file, 600);
    let mut command = antiphon();
    command.arg("replay").arg(&file).args(["--hostile", "7", "--kill", "--queue", url, "--data"]).arg(&data);
    let (output, text) = run(&mut command);
    println!("{text}");
    assert!(output.status.success(), "{text}");
    assert!(text.contains("exact: 5 parts, 600 posted"), "{text}");
    assert!(!text.contains("(off in 0 parts)"), "the faults were played: {text}");

    // Replay tells under which prefix it was.
    let told = text.split("--queue '").nth(1).and_then(|rest| rest.split('\'').next()).unwrap();
    let prefix = told.split("prefix=").nth(1).unwrap();
    let sign = if url.contains('?') { '&' } else { '?' };
    let prefixed = format!("{url}{sign}prefix={prefix}");
    let (output, text) = run(antiphon().args(["queue", "audit", &prefixed, "--data"]).arg(&data));
    println!("{text}");
    assert!(output.status.success(), "{text}");
    assert!(text.contains("balanced: sent = merged + dead + in flight"), "{text}");
    let (output, text) = run(antiphon().args(["topics", "plan", &prefixed]));
    assert!(output.status.success(), "serving made all that is needed: {text}");
}

/// The commands do with this broker what they do with the embedded one.
fn has_its_commands(url: &str) {
    let folder = tempfile::tempdir().unwrap();
    let sign = if url.contains('?') { '&' } else { '?' };
    let url = format!("{url}{sign}prefix=commands");
    let call = |args: &[&str], more: &[&str]| {
        let (output, text) = run(antiphon().args(args).arg(&url).args(more));
        assert!(output.status.success(), "{args:?} {more:?}: {text}");
        String::from_utf8(output.stdout).unwrap()
    };
    let (output, text) = run(antiphon().args(["topics", "plan", &url, "a/b/c"]));
    assert_eq!(output.status.code(), Some(3), "{text}");
    call(&["topics", "apply"], &["a/b/c"]);
    call(&["topics", "plan"], &["a/b/c"]);
    let input = folder.path().join("in.ndjson");
    let mut lines = String::new();
    for n in 0..25 {
        let line = json!({ "body": format!("body {n} é"), "attributes": { "n": n.to_string() } });
        writeln!(lines, "{line}").unwrap();
    }
    std::fs::write(&input, lines + "{\"body_base64\":\"/wAB\"}\n").unwrap();
    call(&["queue", "send"], &["a", "--file", input.to_str().unwrap()]);
    let peeked = call(&["queue", "peek"], &["a/b/c", "--max", "3", "--json"]);
    assert!((1..=3).contains(&peeked.lines().count()), "{peeked}");
    let out = folder.path().join("out.ndjson");
    call(&["queue", "drain"], &["a/b/c", "--wait", "5", "--out", out.to_str().unwrap()]);
    let drained = std::fs::read_to_string(&out).unwrap();
    let mut bodies: Vec<String> = drained
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|line| line["body"].as_str().or(line["body_base64"].as_str()).unwrap().to_owned())
        .collect();
    bodies.sort_unstable();
    bodies.dedup();
    assert_eq!(bodies.len(), 26, "{drained}");
    let stat: Value = serde_json::from_str(&call(&["queue", "stat"], &["a/b/c", "--json"])).unwrap();
    assert_eq!(stat["subscriptions"][0]["ready"], 0, "{stat}");
    assert_eq!(
        call(&["queue", "redrive"], &["a/b/c", "--json"]).trim(),
        r#"{"subscription":"a/b/c","redriven":0}"#
    );
    call(&["queue", "bench"], &["--messages", "200", "--json"]);
}

/// Three processes on one data folder, each a service, hear each other through the broker; one is killed meanwhile.
fn three_processes_converse(url: &str) {
    let folder = three_processes(url, &[]);
    let (output, text) =
        run(antiphon().args(["queue", "audit", &prefixed(url), "--data"]).arg(folder.path()));
    println!("{text}");
    assert!(output.status.success(), "{text}");
}

/// Where the three find each other.
fn prefixed(url: &str) -> String {
    let sign = if url.contains('?') { '&' } else { '?' };
    format!("{url}{sign}prefix=three")
}

/// The conversation; its data folder.
fn three_processes(url: &str, more: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let url = prefixed(url);
    let start = |service: &[&str]| {
        Platform::start(folder.path(), &[&["--empty", "--queue", &url], more, service].concat())
    };
    // Begins the folder with its keys.
    assert!(start(&[]).stop().success());
    let (users, stories, comments) = (start(&["users"]), start(&["stories"]), start(&["comments"]));
    let (user, token) = users.user("Orla");
    let part = stories.part(&token);
    let path = format!("/v1/parts/{part}/comments");
    let post = |platform: &Platform, key: &str| {
        for _ in 0..600 {
            let answer = platform.send("POST", &path, Some(&token), key, Some(json!({ "text": "a" })));
            // Until Comments has heard of the part, and of the key that signs tokens.
            if answer.status == 201 {
                return;
            }
            assert!([401, 404, 503].contains(&answer.status), "{}", answer.body);
            std::thread::park_timeout(std::time::Duration::from_millis(50));
        }
        panic!("comments has not heard of the part: {}", comments_status(platform));
    };
    post(&comments, "one");
    post(&comments, "two");
    until(&stories, &part, 2);
    // Killed with SIGKILL, and back: what it announces arrives all the same.
    drop(comments);
    let comments = start(&["comments"]);
    post(&comments, "three");
    until(&stories, &part, 3);
    becomes(&stories, &format!("/v1/parts/{part}"), "/author/name", "Orla");
    let renamed =
        users.send("PATCH", &format!("/v1/users/{user}"), Some(&token), "", Some(json!({ "name": "Órla" })));
    assert_eq!(renamed.status, 200, "{}", renamed.body);
    becomes(&comments, &path, "/items/0/author/name", "Órla");
    let status = comments.get("/status");
    let shown = url.replace("guest:guest@", "guest:***@");
    assert_eq!((&status["queue"]["connected"], &status["queue"]["url"]), (&json!(true), &json!(shown)));
    for platform in [users, stories, comments] {
        assert!(platform.stop().success());
    }
    folder
}

/// Waits until what a service answers says so. A name and a count are facts of their own: neither waits for the other.
fn becomes(platform: &Platform, path: &str, pointer: &str, value: &str) {
    let mut answer = Value::Null;
    for _ in 0..600 {
        answer = platform.get(path);
        if answer.pointer(pointer).is_some_and(|shown| shown == value) {
            return;
        }
        std::thread::park_timeout(std::time::Duration::from_millis(50));
    }
    panic!("{path} has no {value} at {pointer}: {answer} {}", platform.get("/status"));
}

fn comments_status(platform: &Platform) -> Value {
    platform.get("/status")
}

/// Waits until Stories shows so many comments.
fn until(stories: &Platform, part: &str, comments: u64) {
    let shown = || stories.get(&format!("/v1/parts/{part}"))["counts"]["comments"]["count"].clone();
    for _ in 0..600 {
        if shown() == comments {
            return;
        }
        std::thread::park_timeout(std::time::Duration::from_millis(50));
    }
    panic!("stories shows {}, not {comments}: {}", shown(), stories.get("/status"));
}

/// All of it, one after the other: the brokers are small, and so is the machine.
fn carries_the_platform(url: &str) {
    has_its_commands(url);
    three_processes_converse(url);
    is_exact(url);
}

#[cfg(feature = "nats")]
#[tokio::test(flavor = "multi_thread")]
async fn nats_carries_the_platform() {
    let Some(broker) = started(testbed::Nats::start().await) else { return };
    let url = format!("nats://{}", broker.address());
    tokio::task::spawn_blocking(move || carries_the_platform(&url)).await.unwrap();
}

/// Core NATS keeps nothing, and half of what is given to it is lost for ever on top: anti-entropy makes every count exact,
/// also where the server is killed meanwhile.
#[cfg(feature = "nats")]
#[tokio::test(flavor = "multi_thread")]
async fn core_nats_that_loses_half_of_all_messages_is_exact() {
    let Some(broker) = started(testbed::Nats::start().await) else { return };
    let url = format!("nats-core://{}", broker.address());
    let replay = move || {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("corpus.ndjson");
        corpus(&file, 600);
        let mut command = antiphon();
        command.arg("replay").arg(&file).args([
            "--lossy",
            "0.5",
            "--hostile",
            "7",
            "--kill",
            "--queue",
            &url,
        ]);
        run(&mut command)
    };
    let (output, text) = tokio::task::spawn_blocking(replay).await.unwrap();
    println!("{text}");
    assert!(output.status.success(), "{text}");
    assert!(text.contains("exact: 5 parts, 600 posted"), "{text}");
    assert!(text.contains("50 % of all messages lost for ever"), "{text}");
    assert!(!text.contains("(off in 0 parts)"), "the faults were played: {text}");
}

/// Each service in a process of its own, over a broker that keeps nothing: what one announces while another starts, or is
/// down, anti-entropy finds. The books are not balanced then, since nobody knows what became of what was sent.
#[cfg(feature = "nats")]
#[tokio::test(flavor = "multi_thread")]
async fn three_processes_converse_over_core_nats() {
    let Some(broker) = started(testbed::Nats::start().await) else { return };
    let url = format!("nats-core://{}", broker.address());
    let talk = move || three_processes(&url, &["--anti-entropy", "1"]);
    tokio::task::spawn_blocking(talk).await.unwrap();
}

/// Without anti-entropy such a queue loses counts, and an operator is told so before that happens.
#[cfg(feature = "nats")]
#[test]
fn core_nats_without_anti_entropy_is_warned_of() {
    for (scheme, seconds, warned) in
        [("nats-core", "0", true), ("nats-core", "10", false), ("nats", "0", false)]
    {
        let folder = tempfile::tempdir().unwrap();
        let mut command = antiphon();
        // Nobody is there: that is told as well, and is no reason not to serve.
        command.args([
            "serve",
            "--empty",
            "--listen",
            "127.0.0.1:0",
            "--queue",
            &format!("{scheme}://127.0.0.1:1"),
        ]);
        command.args(["--anti-entropy", seconds, "--log", "warn", "--data"]).arg(folder.path());
        let child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn();
        let mut child = child.unwrap();
        let mut greeting = String::new();
        let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut stdout, &mut greeting).unwrap();
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        let told =
            String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(greeting.starts_with("antiphon is at"), "{greeting} {told}");
        assert_eq!(told.contains("--anti-entropy"), warned, "{scheme} {seconds}: {told}");
    }
}

#[cfg(feature = "rabbitmq")]
#[tokio::test(flavor = "multi_thread")]
async fn rabbitmq_carries_the_platform() {
    let Some(broker) = started(testbed::RabbitMq::start().await) else { return };
    let url = format!("amqp://guest:guest@{}/%2f", broker.address());
    tokio::task::spawn_blocking(move || carries_the_platform(&url)).await.unwrap();
}

#[cfg(feature = "kafka")]
#[tokio::test(flavor = "multi_thread")]
async fn kafka_carries_the_platform() {
    let Some(broker) = started(testbed::Tansu::start(testbed::Storage::Memory).await) else { return };
    let url = format!("kafka://{}", broker.address());
    tokio::task::spawn_blocking(move || carries_the_platform(&url)).await.unwrap();
}

#[cfg(feature = "sqs")]
#[tokio::test(flavor = "multi_thread")]
async fn sqs_with_sns_carries_the_platform() {
    let Some(broker) = started(testbed::Ministack::start().await) else { return };
    let url = format!("sqs+http://{}?fanout=sns", broker.address());
    tokio::task::spawn_blocking(move || carries_the_platform(&url)).await.unwrap();
}

#[cfg(feature = "sqs")]
#[test]
fn our_own_sqs_carries_the_platform() {
    let folder = tempfile::tempdir().unwrap();
    let queue = common::SqsServer::start(&folder.path().join("queue"));
    carries_the_platform(&format!("sqs+http://{}", queue.address));
    assert!(queue.stop().success(), "SIGTERM drains and exits 0");
}
