//! What a receiver does while nothing that it asks for works.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use antiphon_queue::{AckError, QueueError, SubscriptionConfig};
use serde_json::json;

use super::endpoint::scripted;
use super::{WAIT, config, open, subscribe, subscription, take};

/// An endpoint with one queue, which gives ten messages at the first receive, each handed out nine times before. Nothing
/// else that is asked of it works.
async fn ailing(sends: Arc<AtomicU32>) -> SocketAddr {
    let receives = AtomicU32::new(0);
    scripted(move |action, request| match action {
        "GetQueueUrl" => {
            (200, json!({ "QueueUrl": format!("http://h/1/{}", request["QueueName"].as_str().unwrap()) }))
        }
        "GetQueueAttributes" => {
            let name = request["QueueUrl"].as_str().unwrap().rsplit('/').next().unwrap();
            let attributes = json!({
                "QueueArn": format!("arn:aws:sqs:r:1:{name}"),
                "MessageRetentionPeriod": "1209600",
                "MaximumMessageSize": "1048576",
            });
            (200, json!({ "Attributes": attributes }))
        }
        "ReceiveMessage" if receives.fetch_add(1, Ordering::Relaxed) == 0 => {
            let message = |at: usize| {
                json!({ "MessageId": at.to_string(), "ReceiptHandle": format!("h{at}"), "Body": "x",
                    "Attributes": { "ApproximateReceiveCount": "10" } })
            };
            (200, json!({ "Messages": (0..10).map(message).collect::<Vec<_>>() }))
        }
        "ListQueues" | "SetQueueAttributes" | "ReceiveMessage" => (200, json!({})),
        "SendMessageBatch" => {
            sends.fetch_add(1, Ordering::Relaxed);
            let failed = json!({ "Id": "0", "Code": "ServiceUnavailable", "SenderFault": false });
            (200, json!({ "Successful": [], "Failed": [failed] }))
        }
        "ChangeMessageVisibilityBatch" => {
            let failed = json!({ "Id": "0", "Code": "ServiceUnavailable", "SenderFault": false });
            (200, json!({ "Successful": [], "Failed": [failed] }))
        }
        "DeleteMessageBatch" => (200, json!({ "Successful": [{ "Id": "0" }], "Failed": [] })),
        action => panic!("{action}"),
    })
    .await
}

#[tokio::test]
async fn a_receive_does_not_wait_for_each_that_cannot_be_put_aside() {
    let sends = Arc::new(AtomicU32::new(0));
    let queue = open(ailing(Arc::clone(&sends)).await, "").await;
    let config = SubscriptionConfig { receives_max: Some(3), ..config() };
    let receiver = queue.subscribe(&subscription(), config).await.unwrap();
    assert!(receiver.receive(10, WAIT).await.unwrap().is_empty(), "they were received too often");
    let sends = sends.load(Ordering::Relaxed);
    assert!(sends <= 4, "{sends} requests: one message is repeated, the others are not tried");
}

#[tokio::test]
async fn what_may_have_been_given_back_is_not_ours() {
    let queue = open(ailing(Arc::default()).await, "").await;
    let receiver = subscribe(&queue).await;
    let taken = take(&*receiver, 10).await;
    let receipts: Vec<_> = taken.into_iter().map(|delivery| delivery.receipt).collect();
    let answer = receiver.nack(&receipts[0], Duration::ZERO).await;
    assert!(matches!(answer, Err(AckError::Queue(QueueError::Unavailable(_)))), "{answer:?}");
    // Polled once and dropped: the request may be on its way.
    let give_up = Duration::ZERO;
    tokio::time::timeout(give_up, receiver.nack(&receipts[1], Duration::ZERO)).await.unwrap_err();
    let short = Duration::from_millis(100);
    tokio::time::timeout(give_up, receiver.extend(&receipts[2..3], short)).await.unwrap_err();
    tokio::time::sleep(2 * short).await;
    for lost in &receipts[..3] {
        let answer = receiver.ack(std::slice::from_ref(lost)).await.remove(0);
        assert!(matches!(answer, Err(AckError::LeaseLost)), "{answer:?}");
    }
    receiver.ack(&receipts[3..4]).await.remove(0).unwrap();
}
