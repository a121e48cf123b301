//! `antiphon queue send`.

use super::Common;
use super::broker::{self, Broker, For};
use super::error::CommandError;
use super::line::{Line, Lines};
use super::out;
use crate::given::GivenUrl;
use crate::numbers::several;
use crate::progress::Progress;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use queue::{ENVELOPE_BYTES_MAX, Envelope, EnvelopeData, Message, PublishError, Publisher, Topic};
use serde::Serialize;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use store::{RealWorld, World};
use tokio::time::sleep;

/// Messages of one publish.
const BATCH_MESSAGES_MAX: usize = 100;
/// Tries of a message that the broker could not take just then.
const TRIES_MAX: u32 = 6;
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// Publish messages to a topic
///
/// One message from the command line or from standard input, or many from a file. Ends when the broker has them all. A
/// message that the broker did not answer is sent again, so it may arrive twice.
#[derive(Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
pub(crate) struct SendArgs {
    /// Which broker
    #[arg(value_name = "URL")]
    url: GivenUrl,
    /// To which topic
    #[arg(value_name = "TOPIC")]
    topic: Topic,
    /// The body; without it, or as `-`, standard input whole
    #[arg(value_name = "BODY")]
    body: Option<String>,
    /// Send the messages of this file, which `drain` wrote; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["body", "lines"])]
    file: Option<PathBuf>,
    /// Send each line of this file as a body; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "body")]
    lines: Option<PathBuf>,
    /// Add an attribute to each message; again for more
    #[arg(long, value_name = "NAME=VALUE", value_parser = attribute)]
    attribute: Vec<(String, String)>,
    /// Put each body into an event (CloudEvents 1.0) of this type, which routers route on; JSON becomes its `data`, all
    /// else its `data_base64`
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// Where the event happened
    #[arg(long, value_name = "URI", default_value = "/antiphon/queue/send", requires = "event_type")]
    source: String,
    /// Send although nobody is subscribed to the topic
    #[arg(long)]
    unheard: bool,
    #[command(flatten)]
    pub(super) common: Common,
}

const AFTER_HELP: &str = "\
Exit status:
  0  the broker has all messages
  1  it does not; what was sent before the first refusal is sent
  2  the command line, or a line of the file, is wrong; the batches before that line's are sent, and the
     progress on standard error tells how many messages

Examples:
  antiphon queue send nats://localhost:4222 comments 'hello' --attribute lang=en
  echo '{\"n\": 1}' | antiphon queue send amqp://localhost orders --type order.placed
  antiphon queue send sqs+http://localhost:9324 comments --file drained.ndjson";

fn attribute(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

#[derive(Debug, Serialize)]
struct Summary {
    topic: String,
    sent: u64,
}

/// Sends.
pub(crate) async fn run(args: &SendArgs) -> Result<ExitCode, CommandError> {
    let broker = Broker::open(&args.url, For::Using).await?;
    if !args.unheard {
        let heard = broker.subscriptions().await?;
        if heard.iter().all(|(subscription, _)| *subscription.topic() != args.topic) {
            return Err(CommandError::Unheard { url: broker.url, topic: args.topic.clone() });
        }
    }
    let mut messages = Messages::open(args)?;
    let mut sending = Sending { args, publisher: broker.queue.publisher(), broker, sent: 0 };
    let progress = Progress::start("sent", 0);
    loop {
        // Read on a thread of its own: standard input may keep us waiting.
        let batch = tokio::task::spawn_blocking(move || messages.batch().map(|batch| (messages, batch)));
        let (read, batch) = batch.await??;
        messages = read;
        if batch.is_empty() {
            break;
        }
        let batch = batch.into_iter().map(|message| sending.dressed(message));
        let batch = batch.collect::<Result<Vec<_>, _>>()?;
        sending.publish(batch).await?;
        progress.set(sending.sent, sending.sent);
    }
    drop(progress);
    if args.common.json {
        out::print_json(&Summary { topic: args.topic.to_string(), sent: sending.sent })?;
    } else {
        let sent = usize::try_from(sending.sent).unwrap_or(usize::MAX);
        out::print(&format!("{} sent to {}", several(sent, "message"), args.topic))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Where the messages come from.
enum Messages {
    One(Option<Vec<u8>>),
    Bodies(Lines<Box<dyn BufRead + Send>>),
    Drained(Lines<Box<dyn BufRead + Send>>),
}

fn input(path: &Path) -> Result<Lines<Box<dyn BufRead + Send>>, CommandError> {
    if path.as_os_str() == "-" {
        return Ok(Lines::new(Box::new(BufReader::new(std::io::stdin())), "standard input"));
    }
    let file = File::open(path).map_err(|source| CommandError::File { path: path.to_owned(), source })?;
    Ok(Lines::new(Box::new(BufReader::new(file)), path.display().to_string()))
}

impl Messages {
    fn open(args: &SendArgs) -> Result<Self, CommandError> {
        match (&args.file, &args.lines, args.body.as_deref()) {
            (Some(file), ..) => input(file).map(Self::Drained),
            (None, Some(lines), _) => input(lines).map(Self::Bodies),
            (None, None, Some(body)) if body != "-" => Ok(Self::One(Some(body.as_bytes().to_vec()))),
            _ => {
                let mut body = Vec::new();
                let most = u64::try_from(ENVELOPE_BYTES_MAX).unwrap_or(u64::MAX);
                let read = std::io::stdin().lock().take(most + 1).read_to_end(&mut body);
                let wrong = |why: String| CommandError::Input { from: "standard input".to_owned(), why };
                read.map_err(|error| wrong(error.to_string()))?;
                if body.len() > ENVELOPE_BYTES_MAX {
                    return Err(wrong(format!(
                        "a message may have {ENVELOPE_BYTES_MAX} bytes, and this has more"
                    )));
                }
                Ok(Self::One(Some(body)))
            }
        }
    }

    fn batch(&mut self) -> Result<Vec<Message>, CommandError> {
        let mut batch = Vec::new();
        while batch.len() < BATCH_MESSAGES_MAX {
            let next = match self {
                Self::One(body) => body.take().map(Message::new),
                Self::Bodies(lines) => lines.next()?.map(Message::new),
                Self::Drained(lines) => match lines.next()? {
                    None => None,
                    Some(line) => {
                        let line: Line = serde_json::from_slice(&line).map_err(|error| lines.wrong(error))?;
                        Some(line.message().map_err(|why| lines.wrong(why))?)
                    }
                },
            };
            let Some(next) = next else { break };
            batch.push(next);
        }
        Ok(batch)
    }
}

struct Sending<'a> {
    args: &'a SendArgs,
    broker: Broker,
    publisher: Arc<dyn Publisher>,
    sent: u64,
}

impl Sending<'_> {
    /// With the event around it and the attributes beside it that were asked for.
    fn dressed(&self, mut message: Message) -> Result<Message, CommandError> {
        if let Some(event_type) = &self.args.event_type {
            let id = format!("{:032x}", RealWorld.random());
            let mut envelope = Envelope::new(id, &self.args.source, event_type).at(broker::clock().now_ms());
            if let Ok(json) = serde_json::from_slice(&message.body) {
                envelope.data = EnvelopeData::Json(json);
            } else {
                envelope.datacontenttype = Some("application/octet-stream".to_owned());
                envelope.data = EnvelopeData::Base64(STANDARD.encode(&message.body));
            }
            message.body = envelope.encode().into();
            Envelope::decode(&message.body).map_err(|error| CommandError::Input {
                from: "the event".to_owned(),
                why: error.to_string(),
            })?;
        }
        message.attributes.extend(self.args.attribute.iter().cloned());
        Ok(message)
    }

    /// Sends a batch, and again what the broker could not take just then.
    async fn publish(&mut self, mut batch: Vec<Message>) -> Result<(), CommandError> {
        let mut pause = PAUSE_MIN;
        for tried in 1.. {
            let answers = self.publisher.publish(&self.args.topic, batch.clone()).await;
            let messages = u64::try_from(batch.len()).unwrap_or(u64::MAX);
            let (mut again, mut refusal): (Vec<Message>, Option<PublishError>) = (Vec::new(), None);
            for (message, answer) in batch.into_iter().zip(answers) {
                match answer {
                    Ok(()) => self.sent += 1,
                    Err(error) => {
                        let worse = refusal.as_ref().is_none_or(PublishError::is_retryable);
                        if worse {
                            refusal = Some(error);
                        }
                        again.push(message);
                    }
                }
            }
            let Some(source) = refusal else { return Ok(()) };
            if tried >= TRIES_MAX || !source.is_retryable() {
                let failed = u64::try_from(again.len()).unwrap_or(u64::MAX);
                let (url, topic) = (self.broker.url.clone(), self.args.topic.clone());
                return Err(CommandError::NotSent { url, topic, failed, messages, source });
            }
            batch = again;
            sleep(pause).await;
            pause *= 2;
        }
        Ok(())
    }
}
