//! `SIGKILL`, several times, while messages are published: every confirmed one is received afterwards.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test, its helpers included, fails by panicking"
)]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use antiphon_queue::{EmbeddedQueue, Message, Queue, Subscription, SubscriptionConfig};
use store::RealWorld;

const SEED: u64 = 20_160_728;
const LIVES: u64 = 6;
/// Messages that one life may publish, more than any is given time for.
const LIFE_MESSAGES: u64 = 1_000_000;
const BATCH_MAX: u64 = 5;

fn subscription() -> Subscription {
    "topic/service/site".parse().unwrap()
}

async fn open(folder: &Path) -> EmbeddedQueue {
    EmbeddedQueue::open(&folder.join("queue"), Arc::new(RealWorld)).await.unwrap()
}

/// The process that is killed: publishes number after number in its working directory and prints each that was
/// confirmed.
#[test]
#[ignore = "it is run, and killed, by the test below"]
fn child() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let life: u64 = std::fs::read_to_string("life").unwrap().parse().unwrap();
        let queue = Arc::new(open(Path::new(".")).await);
        queue.subscribe(&subscription(), SubscriptionConfig::default()).await.unwrap();
        let mut rng = fastrand::Rng::with_seed(SEED + life);
        let mut next = life * LIFE_MESSAGES;
        loop {
            // Several publishers at a time, so that kills hit groups of them.
            let mut publishing = tokio::task::JoinSet::new();
            for _ in 0..rng.u64(1..=4) {
                let numbers: Vec<u64> = (next..next + rng.u64(1..=BATCH_MAX)).collect();
                next += BATCH_MAX;
                let publisher = queue.publisher();
                publishing.spawn(async move {
                    let batch =
                        numbers.iter().map(|number| Message::new(number.to_be_bytes().to_vec())).collect();
                    let answers = publisher.publish(subscription().topic(), batch).await;
                    let mut out = std::io::stdout().lock();
                    for (number, answer) in numbers.iter().zip(answers) {
                        answer.unwrap();
                        writeln!(out, "confirmed {number}").unwrap();
                    }
                    out.flush().unwrap();
                });
            }
            publishing.join_all().await;
        }
    });
}

/// Runs the child until it has confirmed `enough`, kills it, and returns all that it confirmed.
fn one_life(folder: &Path, life: u64, enough: usize) -> Vec<u64> {
    std::fs::write(folder.join("life"), life.to_string()).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .current_dir(folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut confirmed = Vec::new();
    let mut killed = false;
    // After the kill the pipe still holds what was confirmed before it.
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        if let Some(number) = line.unwrap().strip_prefix("confirmed ").and_then(|text| text.parse().ok()) {
            confirmed.push(number);
        }
        if confirmed.len() >= enough && !killed {
            child.kill().unwrap();
            killed = true;
        }
    }
    assert!(killed, "life {life} ended by itself after {} messages", confirmed.len());
    child.wait().unwrap();
    confirmed
}

#[test]
fn every_confirmed_publish_survives_kills() {
    println!("seed {SEED}");
    let folder = tempfile::tempdir().unwrap();
    let mut rng = fastrand::Rng::with_seed(SEED);
    let mut confirmed = BTreeSet::new();
    for life in 0..LIVES {
        confirmed.extend(one_life(folder.path(), life, rng.usize(1..150)));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let received = runtime.block_on(async {
        let queue = open(folder.path()).await;
        let from = queue.subscribe(&subscription(), SubscriptionConfig::default()).await.unwrap();
        let mut received = BTreeSet::new();
        loop {
            let deliveries = from.receive(100, Duration::ZERO).await.unwrap();
            if deliveries.is_empty() {
                break received;
            }
            let numbers =
                deliveries.iter().map(|d| u64::from_be_bytes(d.message.body[..].try_into().unwrap()));
            received.extend(numbers);
        }
    });
    let lost: Vec<_> = confirmed.difference(&received).collect();
    assert!(lost.is_empty(), "{} of {} confirmed were lost: {lost:?}", lost.len(), confirmed.len());
}
