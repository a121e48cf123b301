//! `antiphon queue drain`.

use super::Common;
use super::broker::{Broker, For};
use super::error::CommandError;
use super::line::Line;
use super::out;
use super::take::Taker;
use crate::given::GivenUrl;
use crate::numbers::grouped;
use crate::progress::{Progress, say};
use crate::serve;
use clap::Args;
use queue::{Delivery, Subscription};
use serde::Serialize;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::Instant;

mod file;

use file::Sink;

/// Messages that are written, synced and acked together.
const BATCH_MESSAGES_MAX: usize = 500;

/// Move a subscription's messages into a file, until none is left or you interrupt
///
/// Each message becomes one line of JSON: `body` (or `body_base64` where it is no text), `attributes`, `published_at`,
/// `receive_count`. Lines are on the disk (fsync) before their messages are acked, so nothing is lost however it ends; a
/// message whose ack did not arrive comes again, and is then in the file twice. `antiphon queue send --file` sends the
/// lines again.
///
/// Into a pipe it is otherwise: what the pipe took is acked, up to 500 messages at a time, whether or not anybody reads
/// it. So `| head -1` loses messages; `--max 1` takes one, and `antiphon queue peek` none.
#[derive(Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
pub(crate) struct DrainArgs {
    /// Which broker
    #[arg(value_name = "URL")]
    url: GivenUrl,
    /// Which subscription, as topic/service/site [default: the only one that is there]
    #[arg(value_name = "SUBSCRIPTION")]
    subscription: Option<Subscription>,
    /// Append to this regular file; without it to standard output, where only a regular file is synced
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Take so many at most
    #[arg(long, value_name = "N")]
    max: Option<u64>,
    /// End when nothing came for so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    wait: u64,
    /// For how many seconds what was taken is ours before it goes to somebody else
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=43_200))]
    lease: u64,
    #[command(flatten)]
    pub(super) common: Common,
}

const AFTER_HELP: &str = "\
Exit status:
  0  nothing was left, --max was reached, or you interrupted: the last line on standard error says which;
     or whoever read our output closed it: then nothing is said
  1  it could not go on; what was not acked is in the queue still
  2  the command line is wrong

Examples:
  antiphon queue drain nats://localhost:4222 comments/stories/main --out comments.ndjson
  antiphon queue drain 'sqs+http://localhost:9324?prefix=test' a/b/c --max 10 | jq .body
  antiphon queue send nats://localhost:4222 comments --file comments.ndjson";

/// Why it ended.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum End {
    Empty,
    Max,
    Interrupted,
}

/// What was done.
#[derive(Debug, Serialize)]
struct Summary {
    subscription: String,
    drained: u64,
    /// Of these, those whose ack did not arrive: they are in the file and come again.
    come_again: u64,
    ended: End,
    seconds: f64,
    /// What the broker says is left; nothing if it did not say.
    left: Option<super::stat::Counts>,
}

/// Drains.
pub(crate) async fn run(args: &DrainArgs) -> Result<ExitCode, CommandError> {
    let mut stop = std::pin::pin!(serve::signals().map_err(CommandError::Signals)?);
    let broker = Broker::open(&args.url, For::Using).await?;
    let (subscription, depth) = broker.choose(args.subscription.as_ref()).await?;
    let mut sink = Sink::open(args.out.as_deref())?;
    let receiver = broker.receiver(&subscription, Duration::from_secs(args.lease)).await?;
    let mut taker = Taker::new(broker, receiver);
    let progress = Progress::start("drained", usize::try_from(depth.ready).unwrap_or(usize::MAX));
    let (mut drained, mut come_again) = (0, 0);
    let mut last = Instant::now();
    let ended = loop {
        let left = args.max.map_or(u64::MAX, |max| max - drained);
        if left == 0 {
            break End::Max;
        }
        let wait = Duration::from_secs(args.wait);
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(BATCH_MESSAGES_MAX);
        let batch = tokio::select! {
            biased;
            () = &mut stop => {
                taker.give_back_held().await;
                break End::Interrupted;
            }
            batch = taker.take(most, wait.saturating_sub(last.elapsed())) => batch?,
        };
        if batch.is_empty() {
            if last.elapsed() >= wait && taker.is_empty(last).await {
                break End::Empty;
            }
            continue;
        }
        sink = write(sink, &taker, &batch).await?;
        come_again += taker.ack(&batch).await?;
        let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        drained += count;
        progress.set(drained, depth.ready.max(drained));
        last = Instant::now();
    };
    let seconds = progress.elapsed().as_secs_f64();
    drop(progress);
    let left = taker.receiver().depth().await.map(super::stat::Counts::from).ok();
    let summary =
        Summary { subscription: subscription.to_string(), drained, come_again, ended, seconds, left };
    tell(args, &summary)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes and syncs, off the threads that others wait on. Where that fails the messages are given back.
async fn write(sink: Sink, taker: &Taker, batch: &[Delivery]) -> Result<Sink, CommandError> {
    let mut bytes = Vec::new();
    for delivery in batch {
        Line::from(delivery).write(&mut bytes)?;
    }
    let written = tokio::task::spawn_blocking(move || {
        let mut sink = sink;
        sink.append(&bytes).map(|()| sink)
    });
    match written.await? {
        Ok(sink) => Ok(sink),
        Err(error) => {
            taker.give_back(batch).await;
            Err(error)
        }
    }
}

fn tell(args: &DrainArgs, summary: &Summary) -> Result<(), CommandError> {
    if args.common.json {
        let text = serde_json::to_string(summary)?;
        // Standard output holds the messages, unless they went to a file.
        return if args.out.is_some() {
            out::print(&text)
        } else {
            say(&text);
            Ok(())
        };
    }
    let why = match summary.ended {
        End::Empty => "nothing is left to receive",
        End::Max => "--max is reached",
        End::Interrupted => "interrupted",
    };
    let mut text = format!("{} drained from {}: {why}", grouped(summary.drained), summary.subscription);
    if summary.come_again > 0 {
        // Writing into a string cannot fail.
        write!(text, "; {} of them come again", grouped(summary.come_again)).ok();
    }
    if let Some(left) = summary.left.filter(|left| left.total() > 0) {
        write!(text, "; left there: {}", left.told()).ok();
    }
    say(&text);
    Ok(())
}
