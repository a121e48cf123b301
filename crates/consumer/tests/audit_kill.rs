//! `SIGKILL`, several times, while messages are published and merged: what was said to be noted is noted.

#![allow(clippy::unwrap_used, reason = "a test, its helpers included, fails by panicking")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use antiphon_consumer::audit::{Account, Audit, Ledger};
use antiphon_consumer::{Context, Handler, Layer, handler_fn};
use queue::{MemoryQueue, Message, Publisher, Queue, Subscription, SubscriptionConfig};

const SEED: u64 = 20_160_728;
const LIVES: u64 = 6;
const BATCH_MAX: u64 = 5;

fn subscription() -> Subscription {
    "topic/service/site".parse().unwrap()
}

fn tell(what: &str, count: usize) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "noted {what} {count}").unwrap();
    out.flush().unwrap();
}

/// The process that is killed: publishes and merges in its working directory, and prints what it was told is noted.
#[test]
#[ignore = "it is run, and killed, by the test below"]
fn child() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let life: u64 = std::fs::read_to_string("life").unwrap().parse().unwrap();
        let ledger = Ledger::open("audit", "child", life + 1).unwrap();
        let queue = MemoryQueue::new();
        let receiver = queue.subscribe(&subscription(), SubscriptionConfig::default()).await.unwrap();
        let publisher: Arc<dyn Publisher> = Arc::new(ledger.publisher(queue.publisher()));
        let merge = Arc::new(Audit::new(ledger).layer(handler_fn(|_: Message, _| async { Ok(()) })));
        let mut rng = fastrand::Rng::with_seed(SEED + life);
        loop {
            let mut working = tokio::task::JoinSet::new();
            for _ in 0..rng.u64(1..=4) {
                let batch = (0..rng.u64(1..=BATCH_MAX)).map(|n| Message::new(n.to_string())).collect();
                let publisher = Arc::clone(&publisher);
                working.spawn(async move {
                    let answers = publisher.publish(subscription().topic(), batch).await;
                    tell("sent", answers.into_iter().map(Result::unwrap).count());
                });
            }
            for delivery in receiver.receive(10, Duration::ZERO).await.unwrap() {
                let merge = Arc::clone(&merge);
                working.spawn(async move {
                    merge.handle(&delivery.message, &Context::new(subscription())).await.unwrap();
                    tell("merged", 1);
                });
            }
            working.join_all().await;
        }
    });
}

fn account(folder: &Path) -> Account {
    Ledger::read_folder(folder.join("audit")).unwrap().account(&subscription())
}

/// Runs the child until it has told `enough` times, kills it, and adds what it told to `noted`.
fn one_life(folder: &Path, life: u64, enough: usize, noted: &mut [u64; 2]) {
    std::fs::write(folder.join("life"), life.to_string()).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .current_dir(folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut told, mut killed) = (0, false);
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let text = line.unwrap();
        let Some((what, count)) = text.strip_prefix("noted ").and_then(|rest| rest.split_once(' ')) else {
            continue;
        };
        let [sent, merged] = noted;
        let count: u64 = count.parse().unwrap();
        match what {
            "sent" => *sent += count,
            _ => *merged += count,
        }
        told += 1;
        if told >= enough && !killed {
            // Read while it writes: a true state, with all that it has told by now.
            let sum = account(folder);
            assert!(sum.sent >= *sent && sum.merged + sum.unconfirmed >= *merged, "{noted:?} {sum:?}");
            child.kill().unwrap();
            killed = true;
        }
    }
    assert!(killed, "life {life} ended by itself");
    child.wait().unwrap();
}

#[test]
fn what_was_noted_survives_kills() {
    println!("seed {SEED}");
    let folder = tempfile::tempdir().unwrap();
    let mut rng = fastrand::Rng::with_seed(SEED);
    let mut noted = [0, 0];
    for life in 0..LIVES {
        one_life(folder.path(), life, rng.usize(1..150), &mut noted);
        let sum = account(folder.path());
        let [sent, merged] = noted;
        assert_eq!(sum.sent, sum.merged + sum.in_flight + sum.dead);
        assert!(sum.sent >= sent && sum.merged + sum.unconfirmed >= merged, "life {life}: {noted:?} {sum:?}");
        // No more than was under way in each life.
        let most = (life + 1) * 4 * BATCH_MAX;
        assert!(sum.sent <= sent + most && sum.merged <= merged + (life + 1) * 10, "{noted:?} {sum:?}");
    }
}
