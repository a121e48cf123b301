//! `SIGKILL` in the middle of traffic, several times: what was answered holds afterwards.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test, its helpers included, fails by panicking"
)]

mod common;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use antiphon_sqs_server::Config;
use common::http::json as ask;
use serde_json::{Value, json};

const LIVES: u32 = 4;
const SENDERS: u32 = 3;
const CONSUMERS: u32 = 2;
const QUEUE: &str = "/000000000000/kill";

/// The process that is killed: serves the store in its working directory.
#[test]
#[ignore = "it is run, and killed, by the tests below"]
fn child() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let running = common::Running::start(Path::new("sqs"), Config::default()).await;
        println!("endpoint {}", running.endpoint);
        std::future::pending::<()>().await;
    });
}

/// A server in a process of its own; killed when it is dropped.
struct Life {
    child: Child,
    endpoint: String,
}

impl Life {
    fn begin(folder: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--ignored", "--nocapture"])
            .current_dir(folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let endpoint =
            lines.map(Result::unwrap).find_map(|line| line.split("endpoint ").nth(1).map(str::to_owned));
        Self { endpoint: endpoint.unwrap(), child }
    }

    /// An answer that has to be a good one.
    fn ask(&self, action: &str, params: &Value) -> Value {
        let answer = ask(&self.endpoint, action, params).unwrap();
        assert_eq!(answer.status, 200, "{action}: {answer:?}");
        serde_json::from_str(&answer.body).unwrap()
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        // It may be dead already.
        self.child.kill().unwrap_or_default();
        self.child.wait().map(|_| ()).unwrap_or_default();
    }
}

#[derive(Default)]
struct Seen {
    sent: BTreeSet<String>,
    /// Asked to be deleted: the answer may have been lost with the server.
    tried: BTreeSet<String>,
    deleted: BTreeSet<String>,
}

/// Sends number after number until the server is gone; notes what was answered.
fn send(endpoint: &str, name: &str, seen: &Mutex<Seen>) {
    for number in 0.. {
        let body = format!("{name}-{number}");
        let params = json!({ "QueueUrl": QUEUE, "MessageBody": body });
        match ask(endpoint, "SendMessage", &params) {
            Ok(answer) if answer.status == 200 && answer.body.contains("MessageId") => {
                seen.lock().unwrap().sent.insert(body);
            }
            _ => return,
        }
    }
}

/// Receives and deletes until the server is gone; notes what was answered.
fn consume(endpoint: &str, seen: &Mutex<Seen>) {
    loop {
        let params = json!({ "QueueUrl": QUEUE, "MaxNumberOfMessages": 3, "WaitTimeSeconds": 1 });
        let Ok(answer) = ask(endpoint, "ReceiveMessage", &params) else { return };
        let Ok(answer) = serde_json::from_str::<Value>(&answer.body) else { return };
        for message in answer["Messages"].as_array().into_iter().flatten() {
            let body = message["Body"].as_str().unwrap().to_owned();
            seen.lock().unwrap().tried.insert(body.clone());
            let params = json!({ "QueueUrl": QUEUE, "ReceiptHandle": message["ReceiptHandle"] });
            match ask(endpoint, "DeleteMessage", &params) {
                Ok(answer) if answer.status == 200 && answer.body == "{}" => {
                    seen.lock().unwrap().deleted.insert(body);
                }
                _ => return,
            }
        }
    }
}

#[test]
fn what_was_answered_survives_kills() {
    let folder = tempfile::tempdir().unwrap();
    let seen = Arc::new(Mutex::new(Seen::default()));
    for life in 0..LIVES {
        let server = Life::begin(folder.path());
        let attributes = json!({ "VisibilityTimeout": "2" });
        server.ask("CreateQueue", &json!({ "QueueName": "kill", "Attributes": attributes }));
        let before = seen.lock().unwrap().sent.len();
        let mut clients = Vec::new();
        for client in 0..SENDERS + CONSUMERS {
            let (endpoint, seen) = (server.endpoint.clone(), Arc::clone(&seen));
            clients.push(thread::spawn(move || {
                if client < SENDERS {
                    send(&endpoint, &format!("{life}-{client}"), &seen);
                } else {
                    consume(&endpoint, &seen);
                }
            }));
        }
        let enough = before + 40 + 30 * usize::try_from(life).unwrap();
        while seen.lock().unwrap().sent.len() < enough {
            assert!(!clients.iter().all(thread::JoinHandle::is_finished), "the clients gave up");
            thread::yield_now();
        }
        server.kill();
        for client in clients {
            client.join().unwrap();
        }
    }
    let server = Life::begin(folder.path());
    let mut left = BTreeSet::new();
    loop {
        // Longer than what was in flight is invisible.
        let params = json!({ "QueueUrl": QUEUE, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 5, "VisibilityTimeout": 600 });
        let answer = server.ask("ReceiveMessage", &params);
        let Some(messages) = answer["Messages"].as_array() else { break };
        left.extend(messages.iter().map(|message| message["Body"].as_str().unwrap().to_owned()));
    }
    let seen = seen.lock().unwrap();
    println!("{} sent, {} deleted, {} left", seen.sent.len(), seen.deleted.len(), left.len());
    let lost: Vec<_> =
        seen.sent.iter().filter(|body| !seen.tried.contains(*body) && !left.contains(*body)).collect();
    assert!(lost.is_empty(), "answered and missing: {lost:?}");
    let back: Vec<_> = seen.deleted.intersection(&left).collect();
    assert!(back.is_empty(), "deleted and back: {back:?}");
    assert!(!seen.deleted.is_empty(), "consumers had something to do");
}

#[test]
fn leases_receipts_delays_and_duplicates_are_known_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let server = Life::begin(folder.path());
    let (plain, fifo) = ("/000000000000/plain", "/000000000000/line.fifo");
    server.ask(
        "CreateQueue",
        &json!({ "QueueName": "plain", "tags": { "a": "b" }, "Attributes": { "DelaySeconds": "0" } }),
    );
    server.ask("CreateQueue", &json!({ "QueueName": "line.fifo", "Attributes": { "FifoQueue": "true" } }));
    server.ask("SendMessage", &json!({ "QueueUrl": plain, "MessageBody": "held" }));
    let receive = |server: &Life, url: &str| {
        server.ask("ReceiveMessage", &json!({ "QueueUrl": url, "AttributeNames": ["All"] }))
    };
    let held = receive(&server, plain);
    server.ask("SendMessage", &json!({ "QueueUrl": plain, "MessageBody": "late", "DelaySeconds": 900 }));
    server.ask(
        "SetQueueAttributes",
        &json!({ "QueueUrl": plain, "Attributes": { "VisibilityTimeout": "77" } }),
    );
    let send = |server: &Life, id: &str| {
        let params = json!({ "QueueUrl": fifo, "MessageBody": id, "MessageGroupId": "g", "MessageDeduplicationId": id });
        server.ask("SendMessage", &params)
    };
    let first = send(&server, "one");
    send(&server, "two");
    let in_flight = receive(&server, fifo);
    assert_eq!(in_flight["Messages"][0]["Body"], "one");
    server.kill();

    let server = Life::begin(folder.path());
    assert_eq!(server.ask("ListQueueTags", &json!({ "QueueUrl": plain }))["Tags"], json!({ "a": "b" }));
    let attributes = server
        .ask("GetQueueAttributes", &json!({ "QueueUrl": plain, "AttributeNames": ["VisibilityTimeout"] }));
    assert_eq!(attributes["Attributes"]["VisibilityTimeout"], "77");
    // In flight, or not due: not to be had. The group waits behind what is in flight.
    assert_eq!(receive(&server, plain), json!({}));
    assert_eq!(receive(&server, fifo), json!({}));
    assert_eq!(send(&server, "one")["MessageId"], first["MessageId"], "a duplicate");
    // The receipts of before the kill.
    let handle = &in_flight["Messages"][0]["ReceiptHandle"];
    let back = json!({ "QueueUrl": fifo, "ReceiptHandle": handle, "VisibilityTimeout": 0 });
    server.ask("ChangeMessageVisibility", &back);
    let again = receive(&server, fifo);
    assert_eq!(again["Messages"][0]["Body"], "one");
    assert_eq!(again["Messages"][0]["Attributes"]["ApproximateReceiveCount"], "2");
    server.ask(
        "DeleteMessage",
        &json!({ "QueueUrl": fifo, "ReceiptHandle": again["Messages"][0]["ReceiptHandle"] }),
    );
    assert_eq!(receive(&server, fifo)["Messages"][0]["Body"], "two");
    server.ask(
        "DeleteMessage",
        &json!({ "QueueUrl": plain, "ReceiptHandle": held["Messages"][0]["ReceiptHandle"] }),
    );
    let names = json!([
        "ApproximateNumberOfMessages",
        "ApproximateNumberOfMessagesNotVisible",
        "ApproximateNumberOfMessagesDelayed"
    ]);
    let counts = server.ask("GetQueueAttributes", &json!({ "QueueUrl": plain, "AttributeNames": names }));
    assert_eq!(counts["Attributes"]["ApproximateNumberOfMessagesDelayed"], "1");
    assert_eq!(counts["Attributes"]["ApproximateNumberOfMessages"], "0");
    assert_eq!(counts["Attributes"]["ApproximateNumberOfMessagesNotVisible"], "0");
}
