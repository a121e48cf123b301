//! `antiphon queue audit`.

use super::Common;
use super::broker::{Broker, For};
use super::error::CommandError;
use super::out;
use crate::given::GivenUrl;
use crate::numbers::grouped;
use crate::wiring::books;
use clap::Args;
use consumer::audit::{Account, Books, Ledger, dot_of};
use lattice::{CausalContext, Lattice};
use queue::{DEAD_LETTERS_PAGE_MAX, Depth, QueueUrl, Subscription};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::sleep;

/// Dead letters of one subscription that are looked at.
const DEAD_LETTERS_MAX: usize = 100_000;
/// Looks at the books and at the broker, and the pause between: a message is lost only if it is missing in every look
/// at the books while the broker holds nothing in any.
const LOOKS: u32 = 3;
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Check that every message which was sent is merged, in flight, or dead
///
/// `antiphon serve` notes in its data folder what each broker confirmed, what was merged and what was put aside: sets of
/// names, not counters, so that restarts, duplicates and retries put nothing out. This reads the books of one or more data
/// folders and asks the broker what it holds. A message that is in flight by the books while the broker holds nothing is
/// lost, and named.
#[derive(Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
pub(crate) struct AuditArgs {
    /// Which broker, as `antiphon serve --queue` was told [default: the queue in the data folder, while nobody serves it]
    #[arg(value_name = "URL")]
    url: Option<GivenUrl>,
    /// A data folder of `antiphon serve`; again for each, where the services have their own
    #[arg(long, env = "ANTIPHON_DATA", value_name = "DIR", default_value = "./antiphon-data")]
    data: Vec<PathBuf>,
    /// Only this subscription, as topic/service/site
    #[arg(long, value_name = "SUBSCRIPTION")]
    subscription: Option<Subscription>,
    #[command(flatten)]
    pub(super) common: Common,
}

const AFTER_HELP: &str = "\
sent         confirmed by the broker, to the topic, since the subscription was made
merged       handled, and on the subscriber's disk
dead         put aside, by the subscriber or by the broker
in flight    sent, and neither: sent = merged + dead + in flight
unconfirmed  merged or dead although the broker's confirmation was never noted; outside of the sum
held         what the broker says it holds; duplicates count there, and nowhere else
What `antiphon queue drain` took out was merged by nobody: it counts as lost.

Exit status:
  0  the books balance, and what is in flight the broker may still hold
  1  messages are lost, or the broker did not answer
  2  the command line is wrong

Examples:
  antiphon queue audit
  antiphon queue audit nats://localhost:4222 --data /var/lib/antiphon
  antiphon queue audit amqp://localhost --data ./users --data ./stories --data ./comments --json";

/// What is to be said about a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    /// Nothing is in flight.
    Balanced,
    /// Something is in flight, and the broker holds something.
    OnTheWay,
    /// Something is in flight, and the broker holds nothing.
    Lost,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Balanced => "balanced",
            Self::OnTheWay => "on the way",
            Self::Lost => "LOST",
        }
    }
}

#[derive(Debug, Serialize)]
struct Row {
    subscription: String,
    sent: u64,
    merged: u64,
    in_flight: u64,
    dead: u64,
    unconfirmed: u64,
    held: super::stat::Counts,
    verdict: Verdict,
    /// Which messages are in flight, as lane and numbers.
    #[serde(skip_serializing_if = "String::is_empty")]
    missing: String,
}

/// Audits.
pub(crate) async fn run(args: &AuditArgs) -> Result<ExitCode, CommandError> {
    let folders = folders(args)?;
    let broker = Broker::open(&broker_url(args)?, For::Using).await?;
    let mut looks = Vec::new();
    for look in 0..LOOKS {
        if look > 0 {
            sleep(LOOK_EVERY).await;
        }
        let books = read(&folders).await?;
        let depths: BTreeMap<_, _> = broker.subscriptions().await?.into_iter().collect();
        looks.push((books, depths));
        // Nothing is in flight: there is nothing to wait for.
        if looks.last().is_some_and(|(books, _)| books.accounts().iter().all(|sum| sum.in_flight == 0)) {
            break;
        }
    }
    let Some((mut books, depths)) = looks.pop() else { return Ok(ExitCode::FAILURE) };
    if let Some(wanted) = args.subscription.as_ref().filter(|wanted| !books.knows(wanted)) {
        // A name that nobody knows would balance for ever.
        let known: Vec<_> = books.accounts().iter().map(|sum| sum.subscription.to_string()).collect();
        let there = format!("there are books about: {}", known.join(", "));
        return Err(CommandError::NoSubscription { url: broker.url, wanted: wanted.clone(), there });
    }
    let wanted = |name: &Subscription| args.subscription.as_ref().is_none_or(|only| only == name);
    let mut rows = Vec::new();
    for account in books.accounts() {
        let name = account.subscription.clone();
        if !wanted(&name) {
            continue;
        }
        if depths.contains_key(&name) {
            note_dead(&broker, &mut books, &name).await?;
        }
        let account = books.account(&name);
        let held = depths.get(&name).copied().unwrap_or_default();
        let ever_held = looks.iter().any(|(_, depths)| depths.get(&name).is_some_and(|depth| holds(*depth)));
        let still = looks
            .iter()
            .fold(account.missing.clone(), |still, (books, _)| both(&still, &books.account(&name).missing));
        let lost = !ever_held && !holds(held) && still != CausalContext::default();
        rows.push(row(&account, held, lost));
    }
    tell(args, &broker, &rows)?;
    let lost = rows.iter().any(|row| row.verdict == Verdict::Lost);
    Ok(if lost { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn holds(depth: Depth) -> bool {
    depth.ready > 0 || depth.in_flight > 0 || depth.delayed > 0
}

fn both(one: &CausalContext, other: &CausalContext) -> CausalContext {
    one.minus(&one.minus(other))
}

fn row(account: &Account, held: Depth, lost: bool) -> Row {
    let verdict = match (account.in_flight, lost) {
        (0, _) => Verdict::Balanced,
        (_, true) => Verdict::Lost,
        (_, false) => Verdict::OnTheWay,
    };
    Row {
        subscription: account.subscription.to_string(),
        sent: account.sent,
        merged: account.merged,
        in_flight: account.in_flight,
        dead: account.dead,
        unconfirmed: account.unconfirmed,
        held: held.into(),
        verdict,
        missing: if account.in_flight > 0 { account.missing.to_string() } else { String::new() },
    }
}

/// The broker that is asked.
fn broker_url(args: &AuditArgs) -> Result<GivenUrl, CommandError> {
    if let Some(given) = &args.url {
        return Ok(given.clone());
    }
    match args.data.as_slice() {
        [only] => {
            let Ok(given) = format!("embedded:{}", only.join("queue").display()).parse();
            Ok(given)
        }
        _ => Err(CommandError::Input {
            from: "the command line".to_owned(),
            why: "name the broker that these folders share".to_owned(),
        }),
    }
}

/// The folders of the books.
fn folders(args: &AuditArgs) -> Result<Vec<PathBuf>, CommandError> {
    let url = args.url.as_ref().map(GivenUrl::url).transpose().map_err(CommandError::Url)?;
    let mut folders = Vec::new();
    for data in &args.data {
        let url = url.filter(|url| !is_own(data, url));
        let folder = books::folder(data, url);
        if !folder.is_dir() {
            let known =
                books::known(data).map_err(|source| CommandError::File { path: data.clone(), source })?;
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let why = format!("it has no books about this broker; there are books about: {known}");
            return Err(CommandError::Input { from: data.display().to_string(), why });
        }
        folders.push(folder);
    }
    Ok(folders)
}

/// Whether a URL means the data folder's own queue.
fn is_own(data: &Path, url: &QueueUrl) -> bool {
    let (Some(folder), Ok(own)) = (super::broker::folder(url), data.join("queue").canonicalize()) else {
        return false;
    };
    folder.canonicalize().is_ok_and(|folder| folder == own)
}

async fn read(folders: &[PathBuf]) -> Result<Books, CommandError> {
    let folders = folders.to_vec();
    let read = tokio::task::spawn_blocking(move || {
        let mut all = Books::default();
        for folder in folders {
            all.join(Ledger::read_folder(&folder)?);
        }
        Ok(all)
    });
    read.await?.map_err(CommandError::Books)
}

/// Adds what the broker put aside by itself.
async fn note_dead(
    broker: &Broker,
    books: &mut Books,
    subscription: &Subscription,
) -> Result<(), CommandError> {
    let mut after = None;
    let mut seen = 0;
    while seen < DEAD_LETTERS_MAX {
        let page = broker.queue.dead_letters(subscription, after.as_ref(), DEAD_LETTERS_PAGE_MAX).await;
        let page = page.map_err(broker.failed(format!("listing the dead letters of {subscription}")))?;
        let Some(last) = page.last() else { break };
        seen += page.len();
        for dot in page.iter().filter_map(|letter| dot_of(&letter.message)) {
            books.dead(subscription, dot);
        }
        if after.as_ref() == Some(&last.id) {
            break;
        }
        after = Some(last.id.clone());
    }
    Ok(())
}

fn tell(args: &AuditArgs, broker: &Broker, rows: &[Row]) -> Result<(), CommandError> {
    let lost: u64 = rows.iter().filter(|row| row.verdict == Verdict::Lost).map(|row| row.in_flight).sum();
    if args.common.json {
        let verdict = if lost > 0 { Verdict::Lost } else { Verdict::Balanced };
        let shown =
            serde_json::json!({ "url": broker.url, "subscriptions": rows, "lost": lost, "verdict": verdict });
        return out::print_json(&shown);
    }
    let cells: Vec<_> = rows
        .iter()
        .map(|row| {
            let held = row.held.ready + row.held.in_flight + row.held.delayed;
            let counts = [row.sent, row.merged, row.dead, row.in_flight, row.unconfirmed, held].map(grouped);
            let [sent, merged, dead, in_flight, unconfirmed, held] = counts;
            let name = row.subscription.clone();
            [name, sent, merged, dead, in_flight, unconfirmed, held, row.verdict.word().to_owned()]
        })
        .collect();
    let head = ["subscription", "sent", "merged", "dead", "in flight", "unconfirmed", "held", "verdict"];
    out::print(&out::columns(head, &cells))?;
    for row in rows.iter().filter(|row| row.verdict == Verdict::Lost) {
        out::print(&format!("lost of {}: {}", row.subscription, row.missing))?;
    }
    out::print(&match lost {
        0 => "balanced: sent = merged + dead + in flight, and nothing is lost".to_owned(),
        lost => format!("NOT balanced: {} were confirmed by the broker and are nowhere", grouped(lost)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use lattice::Dot;

    fn books(sent: std::ops::RangeInclusive<u64>, merged: std::ops::RangeInclusive<u64>) -> Account {
        let subscription: Subscription = "a/b/c".parse().unwrap();
        let dot = |counter| Dot { replica: lattice::ReplicaId::from_u128(7), counter };
        let mut books = Books::default();
        for counter in sent {
            assert!(books.sent(subscription.topic(), dot(counter)));
        }
        for counter in merged {
            assert!(books.merged(&subscription, dot(counter)));
        }
        books.account(&subscription)
    }

    #[test]
    fn what_is_in_flight_is_lost_only_when_the_broker_holds_nothing() {
        let nothing = Depth::default();
        assert_eq!(row(&books(1..=3, 1..=3), nothing, false).verdict, Verdict::Balanced);
        let held = Depth { ready: 1, ..nothing };
        assert_eq!(row(&books(1..=3, 1..=2), held, false).verdict, Verdict::OnTheWay);
        let lost = row(&books(1..=3, 1..=2), nothing, true);
        assert_eq!((lost.verdict, lost.in_flight), (Verdict::Lost, 1));
        assert!(lost.missing.contains('3'), "{}", lost.missing);
    }

    #[test]
    fn only_what_is_missing_in_both_looks_is_missing() {
        let (one, other) = (books(1..=4, 1..=2).missing, books(1..=4, 1..=3).missing);
        assert_eq!(both(&one, &other), other);
        assert_eq!(both(&one, &CausalContext::default()), CausalContext::default());
    }
}
