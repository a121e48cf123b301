//! `antiphon queue serve`, as whoever starts it finds it. What clients of SQS find is tested where it is written.

mod common;

use common::{SqsServer, antiphon, run};
use serde_json::json;

#[test]
fn what_was_sent_survives_the_kill_of_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("queue");
    let server = SqsServer::start(&data);
    let (status, made) = server.call("CreateQueue", &json!({ "QueueName": "orders" }));
    assert_eq!(status, 200, "{made}");
    let url = made["QueueUrl"].clone();
    assert!(url.as_str().unwrap().contains(&server.address), "{url}");
    for n in 0..20 {
        let (status, sent) =
            server.call("SendMessage", &json!({ "QueueUrl": url, "MessageBody": format!("order {n}") }));
        assert_eq!(status, 200, "{sent}");
    }
    let server = server.kill_and_restart(&data);
    let mut bodies = Vec::new();
    loop {
        let asked = json!({ "QueueUrl": url, "MaxNumberOfMessages": 10 });
        let (status, received) = server.call("ReceiveMessage", &asked);
        assert_eq!(status, 200, "{received}");
        let Some(messages) = received["Messages"].as_array().filter(|messages| !messages.is_empty()) else {
            break;
        };
        bodies.extend(messages.iter().map(|message| message["Body"].as_str().unwrap().to_owned()));
    }
    bodies.sort_unstable();
    bodies.dedup();
    assert_eq!(bodies.len(), 20);
    assert!(server.stop().success(), "SIGTERM stops it, and it exits 0");
}

#[test]
fn what_is_in_use_is_told_with_its_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("queue");
    let server = SqsServer::start(&data);
    let (output, text) =
        run(antiphon().args(["queue", "serve", "--listen", "127.0.0.1:0", "--data"]).arg(&data));
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("in use by another process"), "{text}");
    let other = folder.path().join("other");
    let (output, text) =
        run(antiphon().args(["queue", "serve", "--listen", &server.address, "--data"]).arg(&other));
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("choose another with --listen"), "{text}");
    assert!(!other.exists(), "nothing was begun");
    let (output, text) = run(antiphon().args(["queue", "serve", "--account", "12"]));
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(server.stop().success());
}

#[test]
fn a_page_tells_people_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let server = SqsServer::start(&folder.path().join("queue"));
    server.call("CreateQueue", &json!({ "QueueName": "orders" }));
    let page = common::get(&server.address, "/");
    assert!(page.status == 200 && page.body.contains("orders"), "{page:?}");
    assert!(server.stop().success());
}
