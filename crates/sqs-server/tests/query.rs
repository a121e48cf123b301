//! The query protocol, as it goes over the wire: forms in, XML out. The requests are those of the documentation's examples.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, its helpers included, fails by panicking")]

mod common;

use std::path::Path;

use antiphon_sqs_server::Config;
use common::Running;
use common::http::{Answer, ask, json, raw};
use serde_json::json;

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8");

/// A server, and a way to talk with it.
struct Talk {
    endpoint: String,
}

impl Talk {
    async fn post(&self, path: &str, body: &str) -> Answer {
        let (endpoint, line, body) = (self.endpoint.clone(), format!("POST {path}"), body.to_owned());
        tokio::task::spawn_blocking(move || ask(&endpoint, &line, &[FORM], &body).unwrap()).await.unwrap()
    }

    async fn get(&self, path: &str) -> Answer {
        let (endpoint, line) = (self.endpoint.clone(), format!("GET {path}"));
        tokio::task::spawn_blocking(move || ask(&endpoint, &line, &[], "").unwrap()).await.unwrap()
    }
}

async fn start(folder: &Path) -> (Running, Talk) {
    let running = Running::start(&folder.join("sqs"), Config::default()).await;
    let endpoint = running.endpoint.clone();
    (running, Talk { endpoint })
}

/// The text of the first element of this name.
fn inner<'a>(xml: &'a str, name: &str) -> &'a str {
    let (_, rest) = xml.split_once(&format!("<{name}>")).unwrap_or_else(|| panic!("no {name} in {xml}"));
    rest.split_once(&format!("</{name}>")).unwrap().0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forms_are_answered_in_xml() {
    let folder = tempfile::tempdir().unwrap();
    let (running, talk) = start(folder.path()).await;
    let made = talk
        .post("/", "Action=CreateQueue&Version=2012-11-05&QueueName=old&Attribute.1.Name=VisibilityTimeout&Attribute.1.Value=40&Tag.1.Key=team&Tag.1.Value=a%26b")
        .await;
    assert_eq!(made.status, 200, "{made:?}");
    assert!(made.head.contains("content-type: text/xml"));
    let url = inner(&made.body, "QueueUrl").to_owned();
    assert_eq!(url, format!("{}/000000000000/old", talk.endpoint));
    assert!(made.body.contains("xmlns=\"http://queue.amazonaws.com/doc/2012-11-05/\""));
    inner(&made.body, "RequestId");
    let path = url.strip_prefix(&talk.endpoint).unwrap();

    // The queue by its URL, as older clients do, and the attributes' digest of the developer guide's steps.
    let sent = talk
        .post(path, "Action=SendMessage&MessageBody=a%3Cb%3E%26%22%0D%0Ac&MessageAttribute.1.Name=timestamp&MessageAttribute.1.Value.DataType=Number&MessageAttribute.1.Value.StringValue=1493147359900")
        .await;
    assert_eq!(inner(&sent.body, "MD5OfMessageAttributes"), "235c5c510d26fb653d073faed50ae77c");
    let id = inner(&sent.body, "MessageId").to_owned();
    let received = talk
        .post(
            path,
            "Action=ReceiveMessage&MaxNumberOfMessages=10&AttributeName.1=All&MessageAttributeName.1=All",
        )
        .await;
    assert_eq!(inner(&received.body, "MessageId"), id);
    assert_eq!(inner(&received.body, "Body"), "a&lt;b&gt;&amp;&quot;&#13;\nc");
    assert!(
        received.body.contains("<Attribute><Name>ApproximateReceiveCount</Name><Value>1</Value></Attribute>")
    );
    let attribute = inner(&received.body, "MessageAttribute");
    assert_eq!(inner(attribute, "Name"), "timestamp");
    assert_eq!(inner(attribute, "StringValue"), "1493147359900");
    let handle = inner(&received.body, "ReceiptHandle").to_owned();
    let changed = talk
        .post(path, &format!("Action=ChangeMessageVisibility&VisibilityTimeout=60&ReceiptHandle={handle}"))
        .await;
    assert_eq!(changed.status, 200);
    assert!(!changed.body.contains("Result"), "{changed:?}");
    let deleted =
        talk.post("/", &format!("Action=DeleteMessage&QueueUrl={url}&ReceiptHandle={handle}")).await;
    assert_eq!(deleted.status, 200, "{deleted:?}");
    let empty = talk.get(&format!("{path}?Action=ReceiveMessage")).await;
    assert!(empty.body.contains("<ReceiveMessageResult/>"), "{empty:?}");
    let shown = talk.get(&format!("{path}?Action=GetQueueAttributes&AttributeName.1=All")).await;
    assert!(shown.body.contains("<Name>VisibilityTimeout</Name><Value>40</Value>"), "{shown:?}");
    assert!(shown.body.contains("<Name>ApproximateNumberOfMessages</Name><Value>0</Value>"));
    let tags = talk.post(path, "Action=ListQueueTags").await;
    assert_eq!(inner(&tags.body, "Tag"), "<Key>team</Key><Value>a&amp;b</Value>");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_and_errors_are_those_of_the_protocol() {
    let folder = tempfile::tempdir().unwrap();
    let (running, talk) = start(folder.path()).await;
    talk.post("/", "Action=CreateQueue&QueueName=old").await;
    let path = "/000000000000/old";
    let sent = talk
        .post(path, "Action=SendMessageBatch&SendMessageBatchRequestEntry.1.Id=a&SendMessageBatchRequestEntry.1.MessageBody=one&SendMessageBatchRequestEntry.2.Id=b&SendMessageBatchRequestEntry.2.MessageBody=%01")
        .await;
    assert_eq!(inner(inner(&sent.body, "SendMessageBatchResultEntry"), "Id"), "a");
    let failed = inner(&sent.body, "BatchResultErrorEntry");
    assert_eq!((inner(failed, "Id"), inner(failed, "Code")), ("b", "InvalidMessageContents"));
    assert_eq!(inner(failed, "SenderFault"), "true");
    for (path, form, status, code) in [
        (path, "Action=FooBar", 400, "InvalidAction"),
        (path, "MessageBody=x", 400, "MissingParameter"),
        (path, "Action=SendMessage", 400, "MissingParameter"),
        (path, "Action=ListQueues", 400, "InvalidAction"),
        ("/000000000000/none", "Action=PurgeQueue", 400, "AWS.SimpleQueueService.NonExistentQueue"),
        (path, "Action=DeleteMessage&ReceiptHandle=x", 404, "ReceiptHandleIsInvalid"),
        (path, "Action=ReceiveMessage&MaxNumberOfMessages=ten", 400, "MalformedInput"),
    ] {
        let refused = talk.post(path, form).await;
        let error = inner(&refused.body, "Error");
        assert_eq!(
            (refused.status, inner(error, "Code"), inner(error, "Type")),
            (status, code, "Sender"),
            "{form}"
        );
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_protocols_see_one_queue_and_a_person_sees_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let (running, talk) = start(folder.path()).await;
    let endpoint = talk.endpoint.clone();
    let ask_json = async |action: &'static str, params: serde_json::Value| {
        let endpoint = endpoint.clone();
        tokio::task::spawn_blocking(move || json(&endpoint, action, &params).unwrap()).await.unwrap()
    };
    assert_eq!(ask_json("CreateQueue", json!({"QueueName": "both"})).await.status, 200);
    talk.post("/000000000000/both", "Action=SendMessage&MessageBody=x").await;
    let received = ask_json("ReceiveMessage", json!({"QueueUrl": "/000000000000/both"})).await;
    assert!(received.body.contains("\"Body\":\"x\""), "{received:?}");
    // What clients of the JSON protocol make of an error.
    let refused = ask_json("SendMessage", json!({"QueueUrl": "/0/none", "MessageBody": "x"})).await;
    assert_eq!(refused.status, 400);
    assert!(refused.body.contains("\"__type\":\"com.amazonaws.sqs#QueueDoesNotExist\""), "{refused:?}");
    let header = "x-amzn-query-error: aws.simplequeueservice.nonexistentqueue;sender";
    assert!(refused.head.contains(header), "{refused:?}");
    for (action, params) in
        [("SendMessage", json!([])), ("Nonsense", json!({})), ("SendMessage", json!({"QueueUrl": 7}))]
    {
        assert_eq!(ask_json(action, params).await.status, 400);
    }
    let page = talk.get("/").await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("both") && page.body.contains(&format!("--endpoint-url {}", talk.endpoint)));
    assert_eq!(talk.get("/health").await.status, 200);
    assert_eq!(talk.get("/000000000000/both").await.status, 404);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_large_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (running, talk) = start(folder.path()).await;
    let (endpoint, length) = (talk.endpoint.clone(), antiphon_sqs_server::REQUEST_BYTES_MAX + 1);
    // Only announced: the answer comes before the body would.
    let head = format!("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    let refused = tokio::task::spawn_blocking(move || raw(&endpoint, &head).unwrap());
    let refused = refused.await.unwrap();
    assert_eq!(refused.status, 400, "{refused:?}");
    assert!(inner(&refused.body, "Message").contains("longer than"), "{refused:?}");
    assert_eq!(talk.get("/health").await.status, 200);
    running.stop().await;
}
