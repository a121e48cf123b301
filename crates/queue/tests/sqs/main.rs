//! What only SQS and SNS have: notifications, settings of others, foreign clients, entries that fail.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test, its helpers included, fails by panicking"
)]

use std::net::SocketAddr;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use antiphon_queue::{
    AckError, Action, Change, Clock, Delivery, Message, PublishError, Queue, QueueError, Receiver, Settings,
    Subscription, SubscriptionConfig, connect,
};
use serde_json::{Value, json};
use testbed::{Ministack, StartError};

mod ailing;
mod endpoint;

use endpoint::scripted;

/// A lease that does not end while a test runs.
const LEASE: Duration = Duration::from_mins(2);
/// How long what must come is waited for.
const WAIT: Duration = Duration::from_secs(20);
const ROUNDS_MAX: usize = 30;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A broker of its own, or nothing where none is installed.
async fn ministack() -> Option<Ministack> {
    match Ministack::start().await {
        Ok(broker) => Some(broker),
        Err(StartError::Missing(missing)) if !testbed::needed_by_all() => {
            println!("passes over: {missing}");
            None
        }
        Err(error) => panic!("{error:?}"),
    }
}

async fn try_open(url: &str) -> Result<Arc<dyn Queue>, QueueError> {
    let seed = u64::from(NEXT.fetch_add(1, Ordering::Relaxed));
    connect(&url.parse()?, &Settings { clock: Clock::starting_at(0), seed }).await
}

async fn open(address: SocketAddr, parameters: &str) -> Arc<dyn Queue> {
    try_open(&format!("sqs+http://{address}?{parameters}")).await.unwrap()
}

fn subscription() -> Subscription {
    "topic/service/site".parse().unwrap()
}

fn config() -> SubscriptionConfig {
    SubscriptionConfig { lease: LEASE, ..SubscriptionConfig::default() }
}

async fn subscribe(queue: &Arc<dyn Queue>) -> Arc<dyn Receiver> {
    queue.subscribe(&subscription(), config()).await.unwrap()
}

async fn publish(queue: &Arc<dyn Queue>, messages: &[Message]) {
    for answer in queue.publisher().publish(subscription().topic(), messages.to_vec()).await {
        answer.unwrap();
    }
}

async fn take(receiver: &dyn Receiver, count: usize) -> Vec<Delivery> {
    let mut taken = Vec::new();
    for _ in 0..ROUNDS_MAX {
        if taken.len() >= count {
            break;
        }
        taken.extend(receiver.receive(count - taken.len(), WAIT).await.unwrap());
    }
    assert_eq!(taken.len(), count);
    taken
}

/// Set where the credentials and the endpoint are given as on a machine of Amazon's.
const AS_AMAZON: &str = "ANTIPHON_TEST_AS_AMAZON";

/// Both clients of others and this test's other self end by themselves, at the latest when their requests time out.
async fn run(mut command: Command) -> Output {
    let output = tokio::task::spawn_blocking(move || command.output());
    tokio::time::timeout(Duration::from_mins(2), output).await.unwrap().unwrap().unwrap()
}

/// What boto3 does with the client `sqs`.
async fn boto3(address: SocketAddr, script: &str) -> String {
    let script = format!(
        "import boto3\nsqs, sns = (boto3.client(name, endpoint_url='http://{address}', region_name='us-east-1', \
         aws_access_key_id='k', aws_secret_access_key='s') for name in ('sqs', 'sns'))\n{script}"
    );
    let mut command = Command::new("python3");
    command.arg("-c").arg(script);
    let output = run(command).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn messages() -> Vec<Message> {
    vec![
        Message::new("text").with_attribute("type", "greeting"),
        Message::new(vec![0, 159, 146, 150]).with_attribute("", "\u{0}"),
        Message::default(),
    ]
}

#[tokio::test]
async fn notifications_are_opened_where_they_were_asked_for() {
    let Some(broker) = ministack().await else { return };
    let queue = open(broker.address(), "fanout=sns&raw=false").await;
    let receiver = subscribe(&queue).await;
    publish(&queue, &messages()).await;
    let taken = take(&*receiver, 3).await;
    let mut got: Vec<_> = taken.iter().map(|delivery| delivery.message.clone()).collect();
    got.sort_by_key(|message| messages().iter().position(|sent| sent == message));
    assert_eq!(got, messages());
    receiver.dead_letter(&taken[0].receipt, "no idea").await.unwrap();
    let letters = queue.dead_letters(&subscription(), None, 9).await.unwrap();
    assert_eq!((&letters[0].message, letters[0].reason.as_str()), (&taken[0].message, "no idea"));

    // What another deployment wraps is none of our business.
    let url = "http://h/000000000000/topic_Sservice_Ssite";
    let foreign = r#"{"Type":"Notification","TopicArn":"arn:aws:sns:us-east-1:1:other","Message":"inner"}"#;
    boto3(broker.address(), &format!("sqs.send_message(QueueUrl='{url}', MessageBody='{foreign}')")).await;
    assert_eq!(take(&*receiver, 1).await[0].message.body, foreign);
}

/// The test runs itself again, in a process that has the environment of a program at Amazon.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "tells the process that plays from the one that watches")]
async fn amazon_is_found_by_the_sdks_own_chain() {
    if std::env::var(AS_AMAZON).is_ok() {
        let queue = try_open("sqs://us-east-1?prefix=amazon").await.unwrap();
        let receiver = subscribe(&queue).await;
        publish(&queue, &messages()).await;
        assert_eq!(take(&*receiver, 3).await.len(), 3);
        return;
    }
    let Some(broker) = ministack().await else { return };
    let play = |credentials: bool| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "amazon_is_found_by_the_sdks_own_chain", "--nocapture"]);
        command.env(AS_AMAZON, "yes").env("AWS_ENDPOINT_URL", format!("http://{}", broker.address()));
        command.env("AWS_EC2_METADATA_DISABLED", "true").env("HOME", "/nonexistent");
        if credentials {
            command.env("AWS_ACCESS_KEY_ID", "key").env("AWS_SECRET_ACCESS_KEY", "secret");
        }
        run(command)
    };
    let played = play(true).await;
    assert!(played.status.success(), "{}", String::from_utf8_lossy(&played.stderr));
    let refused = play(false).await;
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && told.contains("there are no credentials"), "{told}");
}

#[tokio::test]
async fn a_link_is_changed_to_what_the_url_says() {
    let Some(broker) = ministack().await else { return };
    subscribe(&open(broker.address(), "fanout=sns&raw=false").await).await;
    let raw = open(broker.address(), "fanout=sns").await;
    let plan = raw.plan(&subscription(), config()).await.unwrap();
    let setting = |change: &Change| match &change.action {
        Action::Alter { setting, from, to } => format!("{setting}: {from} -> {to}"),
        action => panic!("{action:?}"),
    };
    assert_eq!(plan.iter().map(setting).collect::<Vec<_>>(), ["RawMessageDelivery: false -> true"]);
    let receiver = subscribe(&raw).await;
    assert_eq!(raw.plan(&subscription(), config()).await.unwrap(), []);
    publish(&raw, &messages()[..1]).await;
    assert_eq!(take(&*receiver, 1).await[0].message, messages()[0]);
    let queues = open(broker.address(), "fanout=queues").await;
    assert_eq!(queues.plan(&subscription(), config()).await.unwrap(), [], "the queues are the same");
}

#[tokio::test]
async fn foreign_clients_are_welcome() {
    let Some(broker) = ministack().await else { return };
    let queue = open(broker.address(), "retention=2d").await;
    let receiver = subscribe(&queue).await;
    publish(&queue, &[Message::new("ours").with_attribute("type", "greeting")]).await;
    let script = "
url = sqs.get_queue_url(QueueName='topic_Sservice_Ssite')['QueueUrl']
m = sqs.receive_message(QueueUrl=url, MessageAttributeNames=['All'])['Messages'][0]
print(m['Body'], m['MessageAttributes'])
sqs.delete_message(QueueUrl=url, ReceiptHandle=m['ReceiptHandle'])
sqs.send_message(QueueUrl=url, MessageBody='theirs', MessageAttributes={
    's': {'DataType': 'String', 'StringValue': 'text'},
    'n': {'DataType': 'Number.int', 'StringValue': '7'},
    'b': {'DataType': 'Binary', 'BinaryValue': b'\\x00\\xff'},
    'antiphon': {'DataType': 'String', 'StringValue': 'not JSON'}})";
    let seen = boto3(broker.address(), script).await;
    assert_eq!(seen, "ours {'type': {'StringValue': 'greeting', 'DataType': 'String'}}");
    let taken = take(&*receiver, 1).await;
    let theirs = Message::new("theirs").with_attribute("s", "text").with_attribute("n", "7");
    let theirs = theirs.with_attribute("b", "AP8=").with_attribute("antiphon", "not JSON");
    assert_eq!(taken[0].message, theirs);
    assert!(taken[0].published_at_ms.is_some());
    receiver.dead_letter(&taken[0].receipt, "foreign").await.unwrap();
    assert_eq!(queue.redrive(&subscription(), 9).await.unwrap(), 1);
    assert_eq!(take(&*receiver, 1).await[0].message, theirs, "put aside and taken back without a change");
}

#[tokio::test]
async fn what_the_queue_puts_aside_by_itself_is_told() {
    let Some(broker) = ministack().await else { return };
    for parameters in ["prefix=a", "prefix=b&fanout=sns", "prefix=c&fanout=sns&raw=false"] {
        let queue = open(broker.address(), parameters).await;
        let config = SubscriptionConfig { receives_max: Some(1), ..config() };
        let receiver = queue.subscribe(&subscription(), config).await.unwrap();
        publish(&queue, &messages()[..1]).await;
        let taken = take(&*receiver, 1).await;
        receiver.nack(&taken[0].receipt, Duration::ZERO).await.unwrap();
        assert_eq!(receiver.receive(1, Duration::ZERO).await.unwrap().len(), 0);
        let letters = queue.dead_letters(&subscription(), None, 9).await.unwrap();
        let [letter] = &letters[..] else { panic!("{parameters}: {letters:?}") };
        assert_eq!(letter.message, messages()[0], "{parameters}");
        assert_eq!((letter.reason.as_str(), letter.receive_count), ("received 1 times and never acked", 1));
    }
}

#[tokio::test]
async fn settings_of_others_are_left_alone_or_told() {
    let Some(broker) = ministack().await else { return };
    let queue = open(broker.address(), "").await;
    subscribe(&queue).await;
    let script = "
url = sqs.get_queue_url(QueueName='topic_Sservice_Ssite')['QueueUrl']
other = sqs.create_queue(QueueName='theirs')['QueueUrl']
arn = sqs.get_queue_attributes(QueueUrl=other, AttributeNames=['QueueArn'])['Attributes']['QueueArn']
sqs.set_queue_attributes(QueueUrl=url, Attributes={'MessageRetentionPeriod': '7200',
    'RedrivePolicy': '{\"deadLetterTargetArn\": \"%s\", \"maxReceiveCount\": \"5\"}' % arn})";
    boto3(broker.address(), script).await;
    assert_eq!(queue.plan(&subscription(), config()).await.unwrap(), [], "nobody asked for anything else");
    let limited = SubscriptionConfig { receives_max: Some(3), ..config() };
    let plan = queue.plan(&subscription(), limited).await.unwrap();
    assert!(matches!(&plan[..], [Change { action: Action::Conflict { .. }, .. }]), "{plan:?}");
    let refusal = queue.subscribe(&subscription(), limited).await.unwrap_err().to_string();
    assert!(refusal.contains("RedrivePolicy") && refusal.contains("theirs"), "{refusal}");
    let longer = open(broker.address(), "retention=14d").await;
    let plan = longer.plan(&subscription(), config()).await.unwrap();
    assert_eq!(
        plan.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["~ queue \"topic_Sservice_Ssite\": MessageRetentionPeriod = 1209600 (is 7200)"]
    );
    subscribe(&longer).await;
    assert_eq!(longer.plan(&subscription(), config()).await.unwrap(), []);
    let refused =
        queue.plan(&subscription(), SubscriptionConfig { receives_max: Some(1_001), ..config() }).await;
    assert!(refused.unwrap_err().to_string().contains("1000"));
}

#[tokio::test]
async fn a_receive_takes_more_than_one_request_brings() {
    let Some(broker) = ministack().await else { return };
    let queue = open(broker.address(), "").await;
    let receiver = subscribe(&queue).await;
    let many: Vec<Message> = (0..45).map(|number| Message::new(number.to_string())).collect();
    publish(&queue, &many).await;
    let taken = receiver.receive(35, WAIT).await.unwrap();
    assert_eq!(taken.len(), 35);
    let receipts: Vec<_> = taken.iter().map(|delivery| delivery.receipt.clone()).collect();
    for answer in receiver.ack(&receipts).await {
        answer.unwrap();
    }
    assert_eq!(receiver.receive(100, WAIT).await.unwrap().len(), 10);
    assert_eq!(receiver.depth().await.unwrap().in_flight, 10);
}

#[tokio::test]
async fn what_sns_does_not_take_is_too_large() {
    let Some(broker) = ministack().await else { return };
    let queue = open(broker.address(), "fanout=sns").await;
    let receiver = subscribe(&queue).await;
    let binary = |bytes: usize| Message::new(vec![0xff; bytes]);
    // In base64 four bytes stand for three.
    let batch = vec![binary(195_000), binary(200_000), binary(195_000), Message::new("small")];
    let answers = queue.publisher().publish(subscription().topic(), batch).await;
    let told = answers[1].as_ref().unwrap_err();
    assert!(matches!(told, PublishError::TooLarge { bytes_max: 262_144, .. }), "{told:?}");
    assert!(told.to_string().contains("a message of SNS"), "{told}");
    assert!(answers[0].is_ok() && answers[2].is_ok() && answers[3].is_ok(), "{answers:?}");
    let mut sizes: Vec<_> =
        take(&*receiver, 3).await.iter().map(|delivery| delivery.message.body.len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [5, 195_000, 195_000]);
}

#[tokio::test]
async fn what_is_gone_is_told() {
    let Some(broker) = ministack().await else { return };
    let queue = open(broker.address(), "fanout=sns").await;
    let receiver = subscribe(&queue).await;
    let script = "
sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName='topic_Sservice_Ssite')['QueueUrl'])
for topic in sns.list_topics()['Topics']: sns.delete_topic(TopicArn=topic['TopicArn'])";
    publish(&queue, &messages()).await;
    let taken = take(&*receiver, 3).await;
    boto3(broker.address(), script).await;
    let refusal = receiver.receive(1, Duration::ZERO).await.unwrap_err();
    assert!(matches!(refusal, QueueError::Refused(_)), "{refusal:?}");
    assert!(
        refusal.to_string().contains("topic_Sservice_Ssite") && refusal.to_string().contains("subscribe")
    );
    let answers = receiver.ack(&[taken[0].receipt.clone()]).await;
    assert!(matches!(answers[..], [Err(AckError::Queue(QueueError::Refused(_)))]), "{answers:?}");
    let answers = queue.publisher().publish(subscription().topic(), messages()).await;
    assert!(
        answers.iter().all(|answer| answer.as_ref().is_err_and(PublishError::is_retryable)),
        "{answers:?}"
    );
    publish(&queue, &messages()).await;
}

#[tokio::test]
async fn entries_that_fail_are_told_and_repeated_one_by_one() {
    let sends = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&sends);
    let address = scripted(move |action, request| match action {
        "ListQueues" => (200, json!({ "QueueUrls": ["http://h/1/topic_Sservice_Ssite"] })),
        "SendMessageBatch" => {
            counted.fetch_add(1, Ordering::Relaxed);
            let (mut done, mut failed) = (Vec::new(), Vec::new());
            for entry in request["Entries"].as_array().unwrap() {
                let id = &entry["Id"];
                let mut fail = |code: &str, ours: bool| {
                    failed.push(json!({ "Id": id, "Code": code, "SenderFault": ours, "Message": "m" }));
                };
                match entry["MessageBody"].as_str().unwrap() {
                    "bad" => fail("InvalidMessageContents", true),
                    "slow" if counted.load(Ordering::Relaxed) < 3 => fail("InternalError", false),
                    "never" => fail("ServiceUnavailable", false),
                    "forgotten" => {}
                    _ => done.push(json!({ "Id": id, "MessageId": "m", "MD5OfMessageBody": "" })),
                }
            }
            (200, json!({ "Successful": done, "Failed": failed }))
        }
        action => panic!("{action}"),
    })
    .await;
    let queue = open(address, "").await;
    let batch = ["good", "bad", "slow", "never", "forgotten"].map(Message::new).to_vec();
    let answers = queue.publisher().publish(subscription().topic(), batch).await;
    assert!(answers[0].is_ok() && answers[2].is_ok(), "{answers:?}");
    assert!(matches!(&answers[1], Err(PublishError::Queue(QueueError::Refused(_)))), "{answers:?}");
    for late in &answers[3..] {
        assert!(matches!(late, Err(PublishError::Queue(QueueError::Unavailable(_)))), "{answers:?}");
    }
    let sends = sends.load(Ordering::Relaxed);
    assert!((3..=5).contains(&sends), "{sends} requests: repeated, and not for ever");
}

/// All that an error says.
fn story(error: &QueueError) -> String {
    let mut told = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(source) = next {
        told = format!("{told}: {source}");
        next = source.source();
    }
    told
}

#[tokio::test]
async fn who_must_act_is_told() {
    let answering = async |status: u16, code: &str| {
        let body = json!({ "__type": format!("com.amazonaws.sqs#{code}"), "message": "because" });
        let address = scripted(move |_, _| (status, body.clone())).await;
        try_open(&format!("sqs+http://key:hidden@{address}")).await.unwrap_err()
    };
    for code in ["AccessDenied", "InvalidClientTokenId", "SignatureDoesNotMatch", "ExpiredToken"] {
        let error = answering(403, code).await;
        let told = story(&error);
        assert!(matches!(error, QueueError::Broken(_)), "{error:?}");
        assert!(told.contains(code) && told.contains("credentials") && told.contains("key:***@"), "{told}");
        assert!(!told.contains("hidden"), "{told}");
    }
    for code in ["RequestThrottled", "ThrottlingException", "InternalError"] {
        let error = answering(400, code).await;
        assert!(error.is_retryable() && story(&error).contains(code), "{error:?}");
    }
    let web = scripted(|_, _| (404, Value::Null)).await;
    let told = story(&try_open(&format!("sqs+http://{web}")).await.unwrap_err());
    assert!(told.contains("does not speak SQS"), "{told}");
}

#[tokio::test]
async fn what_is_wrong_with_tls_is_told() {
    let Some(broker) = ministack().await else { return };
    let error = try_open(&format!("sqs+https://{}", broker.address())).await.unwrap_err();
    assert!(
        matches!(error, QueueError::Broken(_)) && story(&error).contains("sqs+http://"),
        "{}",
        story(&error)
    );

    // A server whose certificate nobody signed but itself.
    let Ok(openssl) = testbed::find("openssl", "apt-get install openssl") else {
        assert!(!testbed::needed_by_all(), "openssl is needed");
        println!("passes over: openssl is not installed");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let [key, certificate] = ["key.pem", "certificate.pem"].map(|name| folder.path().join(name));
    let mut made = Command::new(&openssl);
    made.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout"]);
    let made = {
        made.arg(&key).arg("-out").arg(&certificate);
        run(made).await
    };
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let port = testbed::free_port().unwrap();
    let program = testbed::Program::new(openssl, folder.path())
        .args(["s_server", "-www", "-cert", "certificate.pem", "-key", "key.pem", "-accept"])
        .arg(format!("127.0.0.1:{}", port.number()));
    let server = testbed::Process::spawn(program).unwrap();
    let until = tokio::time::Instant::now() + WAIT;
    while tokio::net::TcpStream::connect(port.address()).await.is_err() {
        assert!(tokio::time::Instant::now() < until, "openssl does not listen");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let error = try_open(&format!("sqs+https://{}", port.address())).await.unwrap_err();
    assert!(
        matches!(error, QueueError::Broken(_)) && story(&error).contains("certificate"),
        "{}",
        story(&error)
    );
    drop(server);
}
