//! `antiphon queue bench`.

use super::Common;
use super::broker::{self, Broker, For};
use super::error::CommandError;
use super::out;
use crate::given::GivenUrl;
use crate::numbers::{grouped, rate, several, wide};
use crate::progress::Progress;
use clap::Args;
use queue::{Message, Publisher, Receiver, Subscription, WAIT_MAX};
use serde::Serialize;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// The one subscription that is measured with, so that nothing is left behind but that.
const SUBSCRIPTION: &str = "antiphon-bench/bench/bench";
/// Measurements are given up when nothing moved for so long.
const STUCK: Duration = Duration::from_secs(30);
const LEASE: Duration = Duration::from_mins(1);
/// The run and the number of a message, in hexadecimal digits, stand at the beginning of its body.
const HEAD_BYTES: usize = 32;
/// Messages of one receive.
const RECEIVE_MAX: usize = 100;
/// Tries of one publish.
const TRIES_MAX: u32 = 8;

/// Measure a broker: how many messages a second, and how long each takes
///
/// Publishes to, and receives from, the subscription `antiphon-bench/bench/bench`, which is made and stays. Every
/// message that the broker confirmed must arrive, or the measurement fails. Figures are of this machine, this broker and
/// this moment; publishers and receivers share them. Interrupted, it prints no figures, and what was not received yet
/// stays in that subscription; a later measurement acks what it meets of it, and does not count it.
#[derive(Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
pub(crate) struct BenchArgs {
    /// Which broker
    #[arg(value_name = "URL")]
    url: GivenUrl,
    /// How many messages
    #[arg(long, value_name = "N", default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    messages: u32,
    /// Bytes of a body
    #[arg(long, value_name = "BYTES", default_value_t = 256, value_parser = clap::value_parser!(u32).range(32..=262_144))]
    size: u32,
    /// Messages of one publish
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    batch: u32,
    /// Publishes at a time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=256))]
    publishers: u32,
    /// Receives at a time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=256))]
    receivers: u32,
    #[command(flatten)]
    pub(super) common: Common,
}

const AFTER_HELP: &str = "\
Exit status:
  0  every confirmed message arrived
  1  some did not, or the broker did not do as it was asked
  2  the command line is wrong

Examples:
  antiphon queue bench nats://localhost:4222
  antiphon queue bench embedded:/tmp/queue --messages 100000 --batch 100 --json";

/// What was measured.
#[derive(Debug, Serialize)]
struct Figures {
    url: String,
    messages: usize,
    body_bytes: u32,
    batch: u32,
    publishers: u32,
    receivers: u32,
    published_per_s: u64,
    acked_per_s: u64,
    /// Of one call of publish, with its batch.
    publish_ms: Percentiles,
    /// From the beginning of its publish to its hand-out.
    delivery_ms: Percentiles,
    /// Hand-outs of what had been handed out before.
    duplicates: usize,
    /// Publishes that were repeated.
    repeated: usize,
}

#[derive(Debug, Default, Clone, Copy, Serialize)]
struct Percentiles {
    p50: f64,
    p90: f64,
    p99: f64,
    max: f64,
}

impl Percentiles {
    fn of(mut durations: Vec<Duration>) -> Self {
        durations.sort_unstable();
        let at = |per_cent: usize| {
            let index = (durations.len() * per_cent / 100).min(durations.len().saturating_sub(1));
            durations.get(index).map_or(0.0, |duration| duration.as_secs_f64() * 1_000.0)
        };
        Self { p50: at(50), p90: at(90), p99: at(99), max: at(100) }
    }

    fn cells(self, name: &str) -> [String; 5] {
        let [p50, p90, p99, max] = [self.p50, self.p90, self.p99, self.max].map(|ms| format!("{ms:.2}"));
        [name.to_owned(), p50, p90, p99, max]
    }
}

/// What publishers and receivers know of each other.
#[derive(Debug)]
struct Run {
    id: u64,
    messages: usize,
    body_bytes: usize,
    batch: usize,
    subscription: Subscription,
    next: AtomicUsize,
    /// When each message was sent, and when it came.
    sent: Vec<OnceLock<Instant>>,
    came: Vec<OnceLock<Instant>>,
    arrived: AtomicUsize,
    duplicates: AtomicUsize,
    repeated: AtomicUsize,
    publishes: Mutex<Vec<Duration>>,
    moved: Mutex<Instant>,
    /// When the last message was acked that had not come before.
    acked: Mutex<Instant>,
}

/// Measures.
pub(crate) async fn run(args: &BenchArgs) -> Result<ExitCode, CommandError> {
    let broker = Broker::open(&args.url, For::Making).await?;
    let subscription: Subscription = SUBSCRIPTION.parse()?;
    let receiver = broker.receiver(&subscription, LEASE).await?;
    let messages = usize::try_from(args.messages).unwrap_or(usize::MAX);
    let run = Arc::new(Run {
        id: broker::random(),
        messages,
        body_bytes: usize::try_from(args.size).unwrap_or(usize::MAX),
        batch: usize::try_from(args.batch).unwrap_or(usize::MAX),
        subscription,
        next: AtomicUsize::new(0),
        sent: std::iter::repeat_with(OnceLock::new).take(messages).collect(),
        came: std::iter::repeat_with(OnceLock::new).take(messages).collect(),
        arrived: AtomicUsize::new(0),
        duplicates: AtomicUsize::new(0),
        repeated: AtomicUsize::new(0),
        publishes: Mutex::default(),
        moved: Mutex::new(Instant::now()),
        acked: Mutex::new(Instant::now()),
    });
    let progress = Progress::start("received", messages);
    let began = Instant::now();
    let (mut publishing, mut receiving) = (JoinSet::new(), JoinSet::new());
    for _ in 0..args.publishers {
        publishing.spawn(Arc::clone(&run).publish(broker.queue.publisher()));
    }
    for _ in 0..args.receivers {
        receiving.spawn(Arc::clone(&run).receive(Arc::clone(&receiver)));
    }
    let ended = run.watch(&broker, &progress, &mut publishing, &mut receiving, began).await;
    drop(progress);
    let (until_published, until_acked) = ended?;
    let figures = run.figures(args, &broker, until_published, until_acked);
    tell(args, &figures)?;
    Ok(ExitCode::SUCCESS)
}

type Ended = Result<(), String>;

impl Run {
    /// Waits for both sides; returns how long each took.
    async fn watch(
        &self,
        broker: &Broker,
        progress: &Progress,
        publishing: &mut JoinSet<Ended>,
        receiving: &mut JoinSet<Ended>,
        began: Instant,
    ) -> Result<(Duration, Duration), CommandError> {
        let failed = |what: String| CommandError::Bench { url: broker.url.clone(), what };
        let mut published = None;
        loop {
            tokio::select! {
                Some(ended) = publishing.join_next() => {
                    ended?.map_err(failed)?;
                    if publishing.is_empty() {
                        published = Some(began.elapsed());
                    }
                }
                ended = receiving.join_next() => {
                    let Some(ended) = ended else {
                        let acked = *self.acked.lock().unwrap_or_else(PoisonError::into_inner);
                        let published = published.unwrap_or_else(|| began.elapsed());
                        return Ok((published, acked.duration_since(began)));
                    };
                    ended?.map_err(failed)?;
                }
                () = sleep(Duration::from_millis(200)) => {}
            }
            let arrived = self.arrived.load(Ordering::Relaxed);
            progress.set_at(arrived);
            let still = self.moved.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
            if still > STUCK {
                let missing = several(self.messages - arrived, "message");
                return Err(failed(format!("{missing} did not arrive, and nothing moved for {STUCK:?}")));
            }
        }
    }

    fn moved(&self) {
        *self.moved.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    async fn publish(self: Arc<Self>, publisher: Arc<dyn Publisher>) -> Ended {
        loop {
            let first = self.next.fetch_add(self.batch, Ordering::Relaxed);
            if first >= self.messages {
                return Ok(());
            }
            let numbers = first..(first + self.batch).min(self.messages);
            let mut batch: Vec<_> = numbers.map(|number| (number, self.message(number))).collect();
            let began = Instant::now();
            for (number, _) in &batch {
                self.sent.get(*number).map(|sent| sent.get_or_init(|| began));
            }
            let mut pause = Duration::from_millis(50);
            for tried in 1.. {
                let messages = batch.iter().map(|(_, message)| message.clone()).collect();
                let answers = publisher.publish(self.subscription.topic(), messages).await;
                let mut again = Vec::new();
                for (one, answer) in batch.into_iter().zip(answers) {
                    match answer {
                        Ok(()) => {}
                        Err(error) if error.is_retryable() && tried < TRIES_MAX => again.push(one),
                        Err(error) => return Err(format!("publishing failed: {}", consumer::Chain(&error))),
                    }
                }
                self.moved();
                if again.is_empty() {
                    break;
                }
                self.repeated.fetch_add(again.len(), Ordering::Relaxed);
                batch = again;
                sleep(pause).await;
                pause *= 2;
            }
            self.publishes.lock().unwrap_or_else(PoisonError::into_inner).push(began.elapsed());
        }
    }

    fn message(&self, number: usize) -> Message {
        let mut body = format!("{:016x}{number:016x}", self.id).into_bytes();
        body.resize(self.body_bytes.max(HEAD_BYTES), b'.');
        Message::new(body)
    }

    /// The number of a message of this run.
    fn number(&self, message: &Message) -> Option<usize> {
        let (id, rest) = std::str::from_utf8(message.body.get(..HEAD_BYTES)?).ok()?.split_at_checked(16)?;
        (u64::from_str_radix(id, 16).ok()? == self.id).then_some(())?;
        usize::from_str_radix(rest, 16).ok()
    }

    async fn receive(self: Arc<Self>, receiver: Arc<dyn Receiver>) -> Ended {
        let told = |error: &(dyn std::error::Error + 'static)| {
            format!("receiving failed: {}", consumer::Chain(error))
        };
        while self.arrived.load(Ordering::Relaxed) < self.messages {
            // Not for long: the other receivers may have got the last one.
            let receive = receiver.receive(RECEIVE_MAX, Duration::from_millis(500));
            let deliveries = match timeout(WAIT_MAX, receive).await {
                Ok(Ok(deliveries)) => deliveries,
                Ok(Err(error)) if error.is_retryable() => {
                    sleep(Duration::from_millis(200)).await;
                    continue;
                }
                Ok(Err(error)) => return Err(told(&error)),
                Err(_) => continue,
            };
            let now = Instant::now();
            let receipts: Vec<_> = deliveries.iter().map(|delivery| delivery.receipt.clone()).collect();
            for answer in receiver.ack(&receipts).await {
                if let Err(error) = answer {
                    tracing::warn!(%error, "a message was not acked: it comes again");
                }
            }
            for number in deliveries.iter().filter_map(|delivery| self.number(&delivery.message)) {
                let Some(came) = self.came.get(number) else { continue };
                if came.set(now).is_ok() {
                    self.arrived.fetch_add(1, Ordering::Relaxed);
                    *self.acked.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
                } else {
                    self.duplicates.fetch_add(1, Ordering::Relaxed);
                }
            }
            if !deliveries.is_empty() {
                self.moved();
            }
        }
        Ok(())
    }

    fn figures(
        &self,
        args: &BenchArgs,
        broker: &Broker,
        until_published: Duration,
        until_acked: Duration,
    ) -> Figures {
        let took = |(sent, came): (&OnceLock<Instant>, &OnceLock<Instant>)| {
            Some(came.get()?.duration_since(*sent.get()?))
        };
        let deliveries = self.sent.iter().zip(&self.came).filter_map(took).collect();
        let calls = std::mem::take(&mut *self.publishes.lock().unwrap_or_else(PoisonError::into_inner));
        Figures {
            url: broker.url.clone(),
            messages: self.messages,
            body_bytes: args.size,
            batch: args.batch,
            publishers: args.publishers,
            receivers: args.receivers,
            published_per_s: rate(self.messages, until_published),
            acked_per_s: rate(self.messages, until_acked),
            publish_ms: Percentiles::of(calls),
            delivery_ms: Percentiles::of(deliveries),
            duplicates: self.duplicates.load(Ordering::Relaxed),
            repeated: self.repeated.load(Ordering::Relaxed),
        }
    }
}

fn tell(args: &BenchArgs, figures: &Figures) -> Result<(), CommandError> {
    if args.common.json {
        return out::print_json(figures);
    }
    out::print(&format!(
        "{}\n{} of {} bytes, {} a publish; {} publishers, {} receivers\npublished {} a second, acked {} a second\n",
        figures.url,
        several(figures.messages, "message"),
        grouped(figures.body_bytes),
        figures.batch,
        figures.publishers,
        figures.receivers,
        grouped(figures.published_per_s),
        grouped(figures.acked_per_s),
    ))?;
    let rows = [figures.publish_ms.cells("publish"), figures.delivery_ms.cells("delivery")];
    out::print(&out::columns(["milliseconds", "p50", "p90", "p99", "max"], &rows))?;
    if figures.duplicates + figures.repeated > 0 {
        let (duplicates, repeated) = (grouped(wide(figures.duplicates)), grouped(wide(figures.repeated)));
        out::print(&format!("{duplicates} handed out again, {repeated} published again"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles() {
        let all = Percentiles::of((1..=100).rev().map(Duration::from_millis).collect());
        assert_eq!((all.p50, all.p90, all.p99, all.max), (51.0, 91.0, 100.0, 100.0));
        assert!(Percentiles::of(Vec::new()).max.abs() < f64::EPSILON);
    }
}
