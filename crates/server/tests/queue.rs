//! The commands for a queue, as whoever runs one uses them.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests, where a panic is the verdict"
)]

mod common;

use common::{antiphon, run};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

/// An embedded queue in a folder of its own.
struct Queue {
    folder: tempfile::TempDir,
    url: String,
}

impl Queue {
    /// One with a subscription `a/b/c`.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("embedded:{}", folder.path().join("queue").display());
        let queue = Self { folder, url };
        let (output, text) = queue.call(&["topics", "apply"], &["a/b/c"]);
        assert!(output.status.success(), "{text}");
        queue
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Calls a command on it.
    fn call(&self, command: &[&str], args: &[&str]) -> (Output, String) {
        run(antiphon().args(command).arg(&self.url).args(args))
    }

    /// The same where it must succeed; its standard output.
    fn done(&self, command: &[&str], args: &[&str]) -> String {
        let (output, text) = self.call(command, args);
        assert!(output.status.success(), "{command:?} {args:?}: {text}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn depth(&self) -> Value {
        let stat: Value = serde_json::from_str(&self.done(&["queue", "stat"], &["a/b/c", "--json"])).unwrap();
        stat["subscriptions"][0].clone()
    }

    /// Sends the numbers from 0 on, each a message.
    fn fill(&self, messages: usize) {
        let path = self.path("numbers");
        let lines: Vec<_> = (0..messages).map(|number| number.to_string()).collect();
        std::fs::write(&path, lines.join("\n")).unwrap();
        self.done(&["queue", "send"], &["a", "--lines", path.to_str().unwrap()]);
    }
}

/// The messages in a file that `drain` wrote.
fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn what_is_sent_is_peeked_at_drained_and_sent_again() {
    let queue = Queue::new();
    queue.done(&["queue", "send"], &["a", "first", "--attribute", "lang=en", "--attribute", "empty="]);
    let event = queue.done(&["queue", "send"], &["a", r#"{"n":1}"#, "--type", "order.placed", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&event).unwrap(), json!({ "topic": "a", "sent": 1 }));
    let bytes = queue.path("bytes.ndjson");
    std::fs::write(&bytes, "{\"body_base64\":\"/wAB\"}\n{\"body\":\"\"}\n").unwrap();
    queue.done(&["queue", "send"], &["a", "--file", bytes.to_str().unwrap()]);

    let peeked = queue.done(&["queue", "peek"], &["--json"]);
    let peeked: Vec<Value> = peeked.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(peeked.len(), 4);
    assert_eq!(peeked[0]["attributes"], json!({ "lang": "en", "empty": "" }));
    assert_eq!(queue.depth()["ready"], 4, "looking takes nothing away");
    let shown = queue.done(&["queue", "peek"], &["--max", "1"]);
    assert!(shown.contains("received 2 times") || shown.contains("received 1 times"), "{shown}");

    let out = queue.path("out.ndjson");
    queue.done(&["queue", "drain"], &["--wait", "0", "--out", out.to_str().unwrap()]);
    let drained = lines(&out);
    assert_eq!(drained.len(), 4);
    let event: Value = serde_json::from_str(drained[1]["body"].as_str().unwrap()).unwrap();
    assert_eq!((&event["type"], &event["data"]), (&json!("order.placed"), &json!({ "n": 1 })));
    assert_eq!(drained[2]["body_base64"], "/wAB");
    assert_eq!(drained[3]["body"], "");
    assert_eq!(queue.depth()["ready"], 0);

    queue.done(&["queue", "send"], &["a", "--file", out.to_str().unwrap()]);
    let again = queue.path("again.ndjson");
    let summary =
        queue.done(&["queue", "drain"], &["--wait", "0", "--json", "--out", again.to_str().unwrap()]);
    let summary: Value = serde_json::from_str(&summary).unwrap();
    assert_eq!((&summary["drained"], &summary["ended"]), (&json!(4), &json!("empty")));
    let messages = |lines: &[Value]| {
        let message =
            |line: &Value| (line["body"].clone(), line["body_base64"].clone(), line["attributes"].clone());
        lines.iter().map(message).collect::<Vec<_>>()
    };
    assert_eq!(messages(&lines(&again)), messages(&drained), "the same messages");
}

#[test]
fn a_drain_goes_on_where_the_last_one_ended() {
    let queue = Queue::new();
    queue.fill(25);
    let out = queue.path("out.ndjson");
    let path = out.to_str().unwrap();
    queue.done(&["queue", "drain"], &["--wait", "0", "--max", "10", "--out", path]);
    assert_eq!((lines(&out).len(), queue.depth()["ready"].clone()), (10, json!(15)));
    // To standard output, whose reader is the next program.
    assert_eq!(queue.done(&["queue", "drain"], &["a/b/c", "--wait", "0", "--max", "5"]).lines().count(), 5);
    queue.done(&["queue", "drain"], &["--wait", "0", "--out", path]);
    assert_eq!(lines(&out).len(), 20, "it appends");
}

/// Kills drains at all moments: every message is in the file in the end, and every line of it is whole.
#[test]
fn a_drain_that_is_killed_loses_nothing() {
    const MESSAGES: usize = 20_000;
    let queue = Queue::new();
    queue.fill(MESSAGES);
    let out = queue.path("out.ndjson");
    let mut kills = 0;
    for moment_ms in [30, 60, 90, 120, 150, 180, 210, 240, 270, 300] {
        let mut command = antiphon();
        command.args(["queue", "drain", &queue.url, "--wait", "1", "--out"]).arg(&out);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::park_timeout(Duration::from_millis(moment_ms));
        if child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            kills += 1;
        }
        child.wait().unwrap();
    }
    queue.done(&["queue", "drain"], &["--wait", "0", "--out", out.to_str().unwrap()]);
    let lines = lines(&out);
    let seen: BTreeSet<usize> =
        lines.iter().map(|line| line["body"].as_str().unwrap().parse().unwrap()).collect();
    assert_eq!(seen, (0..MESSAGES).collect(), "nothing is lost");
    assert_eq!(queue.depth()["ready"], 0);
    println!("kills {kills}, messages {MESSAGES}, in the file twice {}", lines.len() - MESSAGES);
}

#[test]
fn an_interrupted_drain_gives_back_what_it_has_not_written() {
    let queue = Queue::new();
    queue.fill(10);
    let out = queue.path("out.ndjson");
    let mut command = antiphon();
    command.args(["queue", "drain", &queue.url, "--wait", "600", "--out"]).arg(&out);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    for _ in 0..600 {
        if out.exists() && lines(&out).len() == 10 {
            break;
        }
        std::thread::park_timeout(Duration::from_millis(50));
    }
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT)
        .unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(lines(&out).len(), 10);
    assert_eq!(
        queue.depth(),
        json!({ "subscription": "a/b/c", "ready": 0, "in_flight": 0, "delayed": 0, "dead": 0 })
    );
}

/// Puts the first message of `a/b/c` aside.
fn bury(queue: &Queue, reason: &str) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let folder = queue.path("queue");
        let opened =
            queue::EmbeddedQueue::open(&folder, std::sync::Arc::new(store::RealWorld)).await.unwrap();
        let subscription = "a/b/c".parse().unwrap();
        let receiver = queue::Queue::subscribe(&opened, &subscription, queue::SubscriptionConfig::default());
        let receiver = receiver.await.unwrap();
        let delivery = receiver.receive(1, Duration::from_secs(5)).await.unwrap().pop().unwrap();
        receiver.dead_letter(&delivery.receipt, reason).await.unwrap();
        drop(receiver);
        opened.close().await;
    });
}

#[test]
fn dead_letters_are_shown_and_redriven() {
    let queue = Queue::new();
    queue.fill(3);
    bury(&queue, "no such part");
    assert_eq!((queue.depth()["ready"].clone(), queue.depth()["dead"].clone()), (json!(2), json!(1)));
    let shown = queue.done(&["queue", "peek"], &["--dead"]);
    assert!(shown.contains("no such part") && shown.contains('0'), "{shown}");
    let line: Value = serde_json::from_str(&queue.done(&["queue", "peek"], &["--dead", "--json"])).unwrap();
    assert_eq!(
        (&line["reason"], &line["body"], &line["receive_count"]),
        (&json!("no such part"), &json!("0"), &json!(1))
    );
    let redriven = queue.done(&["queue", "redrive"], &["a/b/c", "--json"]);
    assert_eq!(
        serde_json::from_str::<Value>(&redriven).unwrap(),
        json!({ "subscription": "a/b/c", "redriven": 1 })
    );
    assert_eq!((queue.depth()["ready"].clone(), queue.depth()["dead"].clone()), (json!(3), json!(0)));
}

#[test]
fn mistakes_are_told_with_their_remedy() {
    let queue = Queue::new();
    let path = queue.path("lines.ndjson");
    std::fs::write(&path, "{\"body\":\"good\"}\n{\"body\":1}\n").unwrap();
    let lines = path.to_str().unwrap();
    let missing = format!("embedded:{}", queue.path("nowhere").display());
    let url = queue.url.as_str();
    let too_large = queue.path("large");
    std::fs::write(&too_large, "x".repeat(300_000)).unwrap();
    let cases: [(&[&str], i32, &[&str]); 12] = [
        (&["queue", "stat", "nowhere"], 2, &["no scheme"]),
        (&["queue", "stat", "redis://h"], 2, &["redis: is no broker", "kafka:"]),
        (&["queue", "stat", "amqp://me:secret@h?prefix=NO"], 2, &["prefix"]),
        (&["queue", "stat", "embedded:?x=1"], 2, &["\"x\""]),
        (&["queue", "stat", &missing], 2, &["no queue in the folder", "topics apply"]),
        (&["queue", "drain", url, "a/b/typo"], 1, &["no subscription a/b/typo", "a/b/c"]),
        (&["queue", "drain", url, "a/b"], 2, &["a/b"]),
        (&["queue", "send", url, "nobody", "x"], 1, &["nobody is subscribed to nobody", "--unheard"]),
        (&["queue", "send", url, "a", "--file", lines], 2, &["line 2"]),
        (&["queue", "send", url, "a", "--lines", too_large.to_str().unwrap()], 1, &["300000", "262144"]),
        (&["queue", "send", url, "a", "--attribute", "novalue", "x"], 2, &["NAME=VALUE"]),
        (&["queue", "peek", url, "--max", "0"], 2, &["--max"]),
    ];
    for (args, code, told) in cases {
        let (output, text) = run(antiphon().args(args));
        assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
        for part in told {
            assert!(text.contains(part), "{args:?} tells {part:?}: {text}");
        }
        assert!(!text.contains("secret"), "{args:?}: {text}");
    }
    assert!(!queue.path("nowhere").exists(), "looking makes nothing");
}

#[test]
fn a_queue_that_is_in_use_is_told() {
    let queue = Queue::new();
    let mut command = antiphon();
    command.args(["queue", "stat", &queue.url, "--watch", "--json"]);
    let mut watching = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(watching.stdout.take().unwrap()), &mut first)
        .unwrap();
    assert!(first.contains("a/b/c"), "{first}");
    let (output, text) = queue.call(&["queue", "stat"], &[]);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("in use by another process"), "{text}");
    watching.kill().unwrap();
    watching.wait().unwrap();
}

#[test]
fn topics_are_planned_and_applied() {
    let queue = Queue::new();
    let (output, text) = queue.call(&["topics", "plan"], &[]);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("+ subscription \"tallies/stories/main\""), "{text}");
    let planned: Value =
        serde_json::from_slice(&queue.call(&["topics", "plan"], &["--site", "eu-1", "--json"]).0.stdout)
            .unwrap();
    assert_eq!(planned[0]["action"], "create");
    assert!(planned[0]["subscription"].as_str().unwrap().ends_with("/eu-1"), "{planned}");
    queue.done(&["topics", "apply"], &[]);
    let plan = queue.done(&["topics", "plan"], &[]);
    assert!(plan.contains("all 10 subscriptions are there"), "{plan}");
    let (output, _) = queue.call(&["topics", "plan"], &["--site", "eu-1"]);
    assert_eq!(output.status.code(), Some(3), "another site has its own");
}

#[test]
fn a_measurement_loses_nothing_and_tells_its_figures() {
    let queue = Queue::new();
    let figures = queue.done(&["queue", "bench"], &["--messages", "500", "--size", "100", "--json"]);
    let figures: Value = serde_json::from_str(&figures).unwrap();
    assert_eq!((&figures["messages"], &figures["body_bytes"]), (&json!(500), &json!(100)));
    for figure in ["published_per_s", "acked_per_s"] {
        assert!(figures[figure].as_u64().unwrap() > 0, "{figures}");
    }
    for figure in ["p50", "p90", "p99", "max"] {
        assert!(figures["delivery_ms"][figure].as_f64().unwrap() > 0.0, "{figures}");
    }
    let text = queue.done(&["queue", "bench"], &["--messages", "10"]);
    assert!(text.contains("10 messages of 256 bytes") && text.contains("delivery"), "{text}");
}

#[test]
fn standard_input_is_a_body() {
    let queue = Queue::new();
    let mut command = antiphon();
    command.args(["queue", "send", &queue.url, "a"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"two\nlines").unwrap();
    assert!(child.wait().unwrap().success());
    let out = queue.path("out");
    queue.done(&["queue", "drain"], &["--wait", "0", "--out", out.to_str().unwrap()]);
    assert_eq!(lines(&out)[0]["body"], "two\nlines");
}

#[test]
fn every_shell_is_completed() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (output, text) = run(antiphon().args(["completions", shell]));
        assert!(output.status.success(), "{text}");
        for word in ["drain", "replay", "topics", "--queue"] {
            assert!(text.contains(word.trim_start_matches('-')), "{shell}: {word}");
        }
    }
    let (output, _) = run(antiphon().args(["completions", "tcsh"]));
    assert_eq!(output.status.code(), Some(2));
}

/// Each command tells what it does, how it ends, and an example.
#[test]
fn every_command_explains_itself() {
    let queue = ["audit", "bench", "drain", "peek", "redrive", "send", "serve", "stat"];
    let commands = queue.map(|command| ["queue", command]).into_iter();
    for command in commands.chain([["topics", "plan"], ["topics", "apply"]]) {
        let (output, text) = run(antiphon().args(command).arg("--help"));
        assert!(output.status.success(), "{text}");
        for part in ["Exit status:", "Examples:", "--json"] {
            assert!(text.contains(part), "{command:?} lacks {part}");
        }
    }
}

/// By its attributes, which no command may lose: a name or value may hold anything.
#[test]
fn attributes_go_through_a_file() {
    let queue = Queue::new();
    let attributes: BTreeMap<_, _> =
        [("naïve", "välue"), ("with space", "a=b"), ("line", "one\ntwo"), ("empty", "")].into();
    let path = queue.path("in.ndjson");
    std::fs::write(&path, json!({ "body": "x", "attributes": attributes }).to_string()).unwrap();
    queue.done(&["queue", "send"], &["a", "--file", path.to_str().unwrap()]);
    let out = queue.path("out.ndjson");
    queue.done(&["queue", "drain"], &["--wait", "0", "--out", out.to_str().unwrap()]);
    assert_eq!(lines(&out)[0]["attributes"], json!(attributes));
}
