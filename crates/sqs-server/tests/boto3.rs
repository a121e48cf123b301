//! A client that is not ours: `boto3_client.py` uses `boto3` as its documentation says, and knows nothing of this server.

mod common;

use antiphon_sqs_server::Config;
use common::{Running, client, is_there, verdict};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/boto3_client.py");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn boto3_finds_an_sqs() {
    if !is_there("python3", &["-c", "import boto3"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(&folder.path().join("sqs"), Config::default()).await;
    let said = verdict(&client("python3", &[SCRIPT, &server.endpoint]).await);
    println!("{said}");
    assert!(said.trim_end().ends_with("all passed"), "{said}");
    server.stop().await;
}

/// What a user of the AWS CLI types first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_aws_cli_finds_an_sqs() {
    if !is_there("aws", &["--version"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(&folder.path().join("sqs"), Config::default()).await;
    let aws = async |args: &[&str]| {
        let args = [&["--endpoint-url", &server.endpoint, "--output", "text", "sqs"], args].concat();
        verdict(&client("aws", &args).await).trim().to_owned()
    };
    let url = aws(&["create-queue", "--queue-name", "cli", "--attributes", "VisibilityTimeout=5"]).await;
    assert_eq!(url, format!("{}/000000000000/cli", server.endpoint));
    assert_eq!(aws(&["list-queues", "--query", "QueueUrls[0]"]).await, url);
    let attributes = r#"{"n":{"DataType":"Number","StringValue":"7"}}"#;
    let send = ["send-message", "--queue-url", &url, "--message-body", "from the shell"];
    aws(&[&send[..], &["--message-attributes", attributes]].concat()).await;
    let receive = ["receive-message", "--queue-url", &url, "--message-attribute-names", "All", "--query"];
    let query = "Messages[0].[Body,MessageAttributes.n.StringValue,ReceiptHandle]";
    let received = aws(&[&receive[..], &[query]].concat()).await;
    let parts: Vec<&str> = received.split('\t').collect();
    assert_eq!(parts[..2], ["from the shell", "7"]);
    aws(&["delete-message", "--queue-url", &url, "--receipt-handle", parts[2]]).await;
    let names = ["get-queue-attributes", "--queue-url", &url, "--attribute-names", "All", "--query"];
    let left = "Attributes.[ApproximateNumberOfMessages,ApproximateNumberOfMessagesNotVisible]";
    assert_eq!(aws(&[&names[..], &[left]].concat()).await, "0\t0");
    aws(&["delete-queue", "--queue-url", &url]).await;
    server.stop().await;
}
