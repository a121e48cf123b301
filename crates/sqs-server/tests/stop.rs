//! Stopping: who waits is answered, and what was sent is there afterwards.

#![allow(clippy::unwrap_used, reason = "a test, its helpers included, fails by panicking")]

mod common;

use std::time::Duration;

use antiphon_sqs_server::Config;
use common::Running;
use common::http::json as ask;
use serde_json::json;

/// Longer than a stop takes, shorter than the poll that it ends.
const STOPPED_WITHIN: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_polls_are_answered_and_the_folder_is_free() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("sqs");
    let running = Running::start(&folder, Config::default()).await;
    let endpoint = running.endpoint.clone();
    let polling = tokio::task::spawn_blocking(move || {
        let made = ask(&endpoint, "CreateQueue", &json!({ "QueueName": "q" })).unwrap();
        assert_eq!(made.status, 200);
        let sent = json!({ "QueueUrl": "/0/q", "MessageBody": "x", "DelaySeconds": 900 });
        assert_eq!(ask(&endpoint, "SendMessage", &sent).unwrap().status, 200);
        ask(&endpoint, "ReceiveMessage", &json!({ "QueueUrl": "/0/q", "WaitTimeSeconds": 20 })).unwrap()
    });
    // By then it waits, or has still to: both are answered.
    tokio::time::sleep(Duration::from_secs(1)).await;
    tokio::time::timeout(STOPPED_WITHIN, running.stop()).await.unwrap();
    let answer = polling.await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "{}"));

    let again = Running::start(&folder, Config::default()).await;
    let endpoint = again.endpoint.clone();
    let names = json!({ "QueueUrl": "/0/q", "AttributeNames": ["ApproximateNumberOfMessagesDelayed"] });
    let counted = tokio::task::spawn_blocking(move || ask(&endpoint, "GetQueueAttributes", &names).unwrap());
    assert_eq!(counted.await.unwrap().body, r#"{"Attributes":{"ApproximateNumberOfMessagesDelayed":"1"}}"#);
    again.stop().await;
}
