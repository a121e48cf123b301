//! `antiphon queue peek`.

use super::Common;
use super::broker::{Broker, For};
use super::error::CommandError;
use super::line::Line;
use super::out;
use super::take::Taker;
use crate::given::GivenUrl;
use crate::numbers::{grouped, several, wide};
use crate::progress::say;
use crate::serve;
use clap::Args;
use queue::{DEAD_LETTERS_PAGE_MAX, DeadLetter, Delivery, Subscription};
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::Instant;

/// Characters of a body that are shown to people.
const BODY_CHARS_SHOWN: usize = 400;

/// Look at messages without taking them away
///
/// Brokers have no such thing as looking: the messages are received, shown, and given back at once. So their receive
/// counts grow, their order may change, and nobody else gets them meanwhile. Dead letters are only listed.
#[derive(Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
pub(crate) struct PeekArgs {
    /// Which broker
    #[arg(value_name = "URL")]
    url: GivenUrl,
    /// Which subscription, as topic/service/site [default: the only one that is there]
    #[arg(value_name = "SUBSCRIPTION")]
    subscription: Option<Subscription>,
    /// Show so many at most
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    max: u16,
    /// Show the dead letters, oldest first
    #[arg(long)]
    dead: bool,
    /// Wait so many seconds for the first message
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(0..=20), conflicts_with = "dead")]
    wait: u64,
    #[command(flatten)]
    pub(super) common: Common,
}

const AFTER_HELP: &str = "\
With --json each message is a line as `antiphon queue drain` writes it.

Exit status:
  0  the messages were shown, also if there were none
  1  the broker did not do as it was asked
  2  the command line is wrong

Examples:
  antiphon queue peek nats://localhost:4222 comments/stories/main
  antiphon queue peek amqp://localhost comments/stories/main --dead --json | jq .reason";

/// While messages are being looked at, nobody else gets them for so long.
const LEASE: Duration = Duration::from_secs(15);

/// Peeks.
pub(crate) async fn run(args: &PeekArgs) -> Result<ExitCode, CommandError> {
    let stop = serve::signals().map_err(CommandError::Signals)?;
    let broker = Broker::open(&args.url, For::Using).await?;
    let (subscription, _) = broker.choose(args.subscription.as_ref()).await?;
    let max = usize::from(args.max);
    if args.dead {
        let letters = broker.queue.dead_letters(&subscription, None, max.min(DEAD_LETTERS_PAGE_MAX)).await;
        let letters =
            letters.map_err(broker.failed(format!("listing the dead letters of {subscription}")))?;
        show(args, letters.iter().map(|letter| (Line::from(letter), head_of_letter(letter))))?;
        say(&format!("{} in {subscription}", several(letters.len(), "dead letter")));
        return Ok(ExitCode::SUCCESS);
    }
    let receiver = broker.receiver(&subscription, LEASE).await?;
    let mut taker = Taker::new(broker, receiver);
    let mut stop = std::pin::pin!(stop);
    let (began, wait) = (Instant::now(), Duration::from_secs(args.wait));
    let batch = loop {
        let batch = tokio::select! {
            biased;
            () = &mut stop => {
                taker.give_back_held().await;
                return Ok(ExitCode::SUCCESS);
            }
            batch = taker.take(max, wait.saturating_sub(began.elapsed())) => batch?,
        };
        if !batch.is_empty() || (began.elapsed() >= wait && taker.is_empty(began).await) {
            break batch;
        }
    };
    let shown = show(args, batch.iter().map(|delivery| (Line::from(delivery), head(delivery))));
    taker.give_back(&batch).await;
    shown?;
    say(&format!("{} in {subscription}", several(batch.len(), "message")));
    Ok(ExitCode::SUCCESS)
}

fn show(args: &PeekArgs, messages: impl Iterator<Item = (Line, String)>) -> Result<(), CommandError> {
    for (line, head) in messages {
        if args.common.json {
            out::print_json(&line)?;
        } else {
            out::print(&described(&line, &head))?;
        }
    }
    Ok(())
}

fn head(delivery: &Delivery) -> String {
    let mut text = format!("received {} times", grouped(delivery.receive_count));
    if let Some(ms) = delivery.published_at_ms {
        write!(text, ", published {}", queue::rfc3339::format(ms)).ok();
    }
    text
}

fn head_of_letter(letter: &DeadLetter) -> String {
    format!("{}: received {} times, {}", letter.id.as_str(), grouped(letter.receive_count), letter.reason)
}

/// For people: the body is cut, and nothing of it commands the terminal.
fn described(line: &Line, head: &str) -> String {
    let mut text = format!("-- {}", plain(head));
    for (name, value) in &line.attributes {
        // Writing into a string cannot fail.
        write!(text, "\n   {}: {}", plain(name), plain(value)).ok();
    }
    let (body, kind) = match (&line.body, &line.body_base64) {
        (Some(body), _) => (body.as_str(), ""),
        (None, Some(encoded)) => (encoded.as_str(), "base64: "),
        (None, None) => ("", ""),
    };
    let shown: String = body.chars().take(BODY_CHARS_SHOWN).collect();
    write!(text, "\n{kind}{}", plain(&shown)).ok();
    if shown.len() < body.len() {
        write!(text, "… ({} bytes; --json shows all)", grouped(wide(body.len()))).ok();
    }
    text
}

fn plain(text: &str) -> String {
    text.chars()
        .map(|character| if character.is_control() && character != '\n' { '\u{fffd}' } else { character })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use queue::Message;

    #[test]
    fn a_message_does_not_command_the_terminal() {
        let line = Line::from(&Message::new("\u{1b}[2Jhi").with_attribute("a", "b\u{7}"));
        let text = described(&line, "received 1 times");
        assert_eq!(text, "-- received 1 times\n   a: b\u{fffd}\n\u{fffd}[2Jhi");
        let long = Line::from(&Message::new("x".repeat(BODY_CHARS_SHOWN + 1)));
        assert!(described(&long, "").contains("… (401 bytes"));
    }
}
