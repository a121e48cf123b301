//! A consumer or publisher in a process of its own, which is killed.
//!
//! A broker that has no other processes (it lives in this one) gets a task instead, which is dropped where it stands:
//! as for a broker when a process is killed, nobody says goodbye.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use queue::{Message, Queue, Subscription, SubscriptionConfig};
use tempfile::TempDir;
use testbed::{Process, Program};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::scene::{Scene, must, text};

/// What a worker notes: one line each, of a word and a name.
const HANDLED: &str = "handled";
const ACKED: &str = "acked";
const CONFIRMED: &str = "confirmed";
/// Messages taken or sent at a time.
const BATCH: usize = 5;
/// Between two batches, so that it can be killed in between.
const PAUSE: Duration = Duration::from_millis(20);
const WAIT: Duration = Duration::from_secs(1);
/// After a call that failed.
const AGAIN: Duration = Duration::from_millis(200);

/// The process or the task.
enum Life {
    Process(Process),
    Task(JoinHandle<()>),
}

/// A worker and what it noted.
pub(crate) struct Worker {
    life: Life,
    notes: PathBuf,
    _folder: TempDir,
}

impl Worker {
    /// One that acks each message after having noted it; after `slow_after` it takes one at a time.
    pub(crate) async fn consume(scene: &Scene, subscription: &Subscription, slow_after: usize) -> Self {
        Self::start(scene, "consume", subscription, slow_after).await
    }

    /// One that publishes number after number.
    pub(crate) async fn publish(scene: &Scene, subscription: &Subscription) -> Self {
        Self::start(scene, "publish", subscription, 0).await
    }

    async fn start(scene: &Scene, work: &str, subscription: &Subscription, slow_after: usize) -> Self {
        let folder = must(tempfile::tempdir(), "a temporary folder");
        let notes = folder.path().join("notes");
        must(std::fs::write(&notes, ""), "a file for notes");
        let job = Job {
            work: work.to_owned(),
            subscription: subscription.clone(),
            lease: scene.timing.lease,
            notes: notes.clone(),
            pause: if slow_after == 0 { Duration::ZERO } else { PAUSE },
        };
        let life = if let Some(url) = scene.place.url() {
            let program = Program::new(&scene.worker, folder.path())
                .args([url, job.work, job.subscription.to_string()])
                .args([job.lease.as_millis().to_string(), job.pause.as_millis().to_string()])
                .arg(&notes);
            Life::Process(must(Process::spawn(program), "starting a worker"))
        } else {
            let queue = scene.place.connect().await;
            Life::Task(tokio::spawn(async move { job.run(queue).await }))
        };
        Self { life, notes, _folder: folder }
    }

    /// `SIGKILL`.
    pub(crate) async fn kill(&mut self) {
        match &mut self.life {
            Life::Process(process) => {
                assert!(process.ended().is_none(), "it ended by itself: {}", process.log_tail());
                must(process.kill(), "killing the worker");
            }
            Life::Task(task) => {
                task.abort();
                match task.await {
                    Err(error) if error.is_cancelled() => {}
                    ended => panic!("it ended by itself: {ended:?}"),
                }
            }
        }
    }

    /// What it did.
    pub(crate) fn handled(&self) -> BTreeSet<String> {
        noted(&self.notes, HANDLED)
    }

    /// What it was told is done.
    pub(crate) fn acked(&self) -> BTreeSet<String> {
        noted(&self.notes, ACKED)
    }

    /// What it was told is published.
    pub(crate) fn confirmed(&self) -> BTreeSet<String> {
        noted(&self.notes, CONFIRMED)
    }
}

/// Whole lines only: the last may be half written.
fn noted(notes: &Path, word: &str) -> BTreeSet<String> {
    let text = must(std::fs::read_to_string(notes), "reading notes");
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().filter_map(|line| line.strip_prefix(word)?.strip_prefix(' ')).map(str::to_owned).collect()
}

/// What a worker does.
#[derive(Debug, Clone)]
pub struct Job {
    /// `consume` or `publish`.
    pub work: String,
    /// Of what.
    pub subscription: Subscription,
    /// Of each delivery.
    pub lease: Duration,
    /// Where it writes what it did.
    pub notes: PathBuf,
    /// Between two batches.
    pub pause: Duration,
}

impl Job {
    /// Works on `queue` until it is killed.
    pub async fn run(self, queue: Arc<dyn Queue>) {
        if self.work == "publish" { self.publish(queue).await } else { self.consume(queue).await }
    }

    async fn consume(self, queue: Arc<dyn Queue>) {
        let config = SubscriptionConfig { lease: self.lease, ..SubscriptionConfig::default() };
        let receiver = must(queue.subscribe(&self.subscription, config).await, "subscribing");
        loop {
            let found = match receiver.receive(BATCH, WAIT).await {
                Ok(found) => found,
                Err(error) => {
                    eprintln!("receiving: {error:?}");
                    sleep(AGAIN).await;
                    continue;
                }
            };
            let names: Vec<String> = found.iter().map(text).collect();
            self.note(HANDLED, &names);
            let receipts: Vec<_> = found.iter().map(|delivery| delivery.receipt.clone()).collect();
            let answers = receiver.ack(&receipts).await;
            let acked: Vec<String> = names
                .into_iter()
                .zip(answers)
                .filter_map(|(name, answer)| match answer {
                    Ok(()) => Some(name),
                    Err(error) => {
                        eprintln!("acking {name}: {error:?}");
                        None
                    }
                })
                .collect();
            self.note(ACKED, &acked);
            sleep(self.pause).await;
        }
    }

    async fn publish(self, queue: Arc<dyn Queue>) {
        let publisher = queue.publisher();
        let mut next = 0_u64;
        loop {
            let names: Vec<String> = (next..).take(BATCH).map(|number| number.to_string()).collect();
            next += u64::try_from(names.len()).unwrap_or(u64::MAX);
            let batch = names.iter().map(|name| Message::new(name.clone())).collect();
            let answers = publisher.publish(self.subscription.topic(), batch).await;
            let confirmed: Vec<String> = names
                .into_iter()
                .zip(answers)
                .filter_map(|(name, answer)| match answer {
                    Ok(()) => Some(name),
                    Err(error) => {
                        eprintln!("publishing {name}: {error:?}");
                        None
                    }
                })
                .collect();
            self.note(CONFIRMED, &confirmed);
            sleep(PAUSE).await;
        }
    }

    fn note(&self, word: &str, names: &[String]) {
        let mut lines = String::new();
        for name in names {
            lines.extend([word, " ", name, "\n"]);
        }
        let write = || {
            let mut file = std::fs::OpenOptions::new().append(true).open(&self.notes)?;
            file.write_all(lines.as_bytes())
        };
        must(write(), "writing notes");
    }
}
