//! `antiphon status`.

use super::Common;
use super::error::CommandError;
use super::out;
use crate::numbers::grouped;
use crate::serve;
use crate::status::{LagStatus, Window};
use clap::Args;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use pbs::plot::{told_ms, told_share};
use queue::rfc3339;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::timeout;

/// The longest status that is read, in bytes.
const STATUS_BYTES_MAX: usize = 32 << 20;
/// How long a server may take to tell it: it asks its broker for depths.
const ANSWER_MAX: Duration = Duration::from_secs(20);
/// Of all times after a change, the one for which the table tells whether it is shown.
const FRESH_AFTER_MS: u64 = 1_000;

/// Show what a running server knows: outboxes, the queue, and for each link whether both sides are equal, and how fresh
#[derive(Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
pub(crate) struct StatusArgs {
    /// Where it listens
    #[arg(value_name = "URL", default_value = "http://127.0.0.1:7878")]
    url: String,
    /// Show it again and again, every so many seconds, until you interrupt
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2", value_parser = clap::value_parser!(u64).range(1..=3_600))]
    watch: Option<u64>,
    #[command(flatten)]
    pub(super) common: Common,
}

const AFTER_HELP: &str = "\
from         the replica that announces; a link has a line for each that was heard of
there, here  rows on either side, when they were compared last
differ       key ranges that are known to differ, and are being healed; ? where nothing was compared yet
exact as of  all that it had at this time, by its clock, is here, and nothing else
heard        when anything of its counts came; one that is silent for long may be lost: see antiphon adopt
50 %, 99 %   how long it took until a change was shown here, in the last hour; 1 s: how many were shown within a second

Exit status:
  0  shown
  1  the server did not answer
  2  the command line is wrong

Examples:
  antiphon status
  antiphon status http://stories.example:7878 --watch 5
  antiphon status --json | jq '.links[].publishers[] | select(.equal | not)'";

/// As much of a status as is shown. What an older server does not tell is left out.
#[derive(Debug, Deserialize)]
struct Status {
    version: String,
    deployment: Option<String>,
    services: BTreeMap<String, Service>,
    queue: Queue,
    links: BTreeMap<String, Link>,
    quiet: bool,
}

#[derive(Debug, Deserialize)]
struct Service {
    replica: String,
    outbox: u64,
    outbox_more: bool,
    kept: u64,
    stopped: bool,
    #[serde(default)]
    writers: BTreeMap<String, Writer>,
    recount: Option<Recount>,
}

#[derive(Debug, Deserialize)]
struct Writer {
    generation: u32,
    #[serde(rename = "writer")]
    by: String,
    here: bool,
    heard_ms: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Recount {
    replicas: Vec<String>,
    rows_looked_at: u64,
    groups_counted: u64,
}

#[derive(Debug, Deserialize)]
struct Queue {
    url: String,
    connected: bool,
    why_not: Option<String>,
    subscriptions: BTreeMap<String, Depth>,
}

#[derive(Debug, Deserialize)]
struct Depth {
    ready: u64,
    in_flight: u64,
    delayed: u64,
}

#[derive(Debug, Deserialize)]
struct Link {
    lag: LagStatus,
    #[serde(default)]
    publishers: BTreeMap<String, Publisher>,
}

#[derive(Debug, Deserialize)]
struct Publisher {
    rows_there: u64,
    rows_here: u64,
    differing_ranges: u64,
    equal: bool,
    told_ms: u64,
    exact_as_of_ms: Option<u64>,
}

/// Asks a server for its status, and gives it as it came.
pub(super) async fn ask(server: &str) -> Result<Vec<u8>, CommandError> {
    let wrong = |why: String| CommandError::Asked { url: server.to_owned(), why };
    let base = server.trim_end_matches('/');
    let url = if base.ends_with("/status") { base.to_owned() } else { format!("{base}/status") };
    let url = url.parse().map_err(|error| wrong(format!("it is no URL: {error}")))?;
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    let answered = async {
        let answer = client.get(url).await.map_err(|error| consumer::Chain(&error).to_string())?;
        if !answer.status().is_success() {
            return Err(format!("it answered {}", answer.status()));
        }
        let body = Limited::new(answer.into_body(), STATUS_BYTES_MAX).collect().await;
        body.map(|body| body.to_bytes().to_vec()).map_err(|error| error.to_string())
    };
    let silent = || Err(format!("no answer within {ANSWER_MAX:?}"));
    timeout(ANSWER_MAX, answered).await.unwrap_or_else(|_| silent()).map_err(wrong)
}

/// Shows.
pub(crate) async fn run(args: &StatusArgs) -> Result<ExitCode, CommandError> {
    if !args.url.starts_with("http://") {
        let why = format!("{}: it takes http://host:port", args.url);
        return Err(CommandError::Input { from: "URL".to_owned(), why });
    }
    let mut stop = std::pin::pin!(serve::signals().map_err(CommandError::Signals)?);
    loop {
        let body = ask(&args.url).await?;
        let unread =
            |error| CommandError::Asked { url: args.url.clone(), why: format!("it told no status: {error}") };
        if args.common.json {
            let told: Value = serde_json::from_slice(&body).map_err(unread)?;
            out::print_json(&told)?;
        } else {
            let status: Status = serde_json::from_slice(&body).map_err(unread)?;
            let text = status.text(&args.url);
            out::print(&if args.watch.is_some() { format!("{text}\n") } else { text })?;
        }
        let Some(seconds) = args.watch else { return Ok(ExitCode::SUCCESS) };
        tokio::select! {
            biased;
            () = &mut stop => return Ok(ExitCode::SUCCESS),
            () = tokio::time::sleep(Duration::from_secs(seconds)) => {}
        }
    }
}

impl Status {
    fn text(&self, url: &str) -> String {
        let quiet = if self.quiet { "quiet" } else { "not quiet: something is on its way, or not known" };
        let mut head = format!("antiphon {} at {url}: {quiet}", self.version);
        if let Some(deployment) = &self.deployment {
            head += "\ndeployment ";
            head += deployment;
        }
        let connected = if self.queue.connected { "connected" } else { "not connected" };
        let why_not = self.queue.why_not.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        let queue = format!("queue {}, {connected}{why_not}", self.queue.url);
        let parts = [
            format!("{head}\n{queue}"),
            self.services(),
            self.links(),
            self.freshness(),
            self.writers(),
            self.recounts(),
        ];
        let told: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        told.join("\n\n")
    }

    fn services(&self) -> String {
        let rows = self.services.iter().map(|(name, service)| {
            let more = if service.outbox_more { "+" } else { "" };
            let name = if service.stopped { format!("{name} (stopped: restart it)") } else { name.clone() };
            [
                name,
                service.replica.clone(),
                format!("{}{more}", grouped(service.outbox)),
                grouped(service.kept),
            ]
        });
        let rows: Vec<_> = rows.collect();
        out::columns(["service", "replica", "to announce", "kept"], &rows)
    }

    /// Whether both sides are equal.
    fn links(&self) -> String {
        let mut rows = Vec::new();
        for (name, link) in &self.links {
            if link.publishers.is_empty() {
                let unknown = || "–".to_owned();
                rows.push([name.clone(), unknown(), unknown(), unknown(), unknown(), unknown()]);
            }
            for (replica, publisher) in &link.publishers {
                rows.push(publisher.row(name, replica));
            }
        }
        out::columns(["link", "from", "rows there", "here", "differ", "exact as of"], &rows)
    }

    /// Who counts: a replica that nobody was heard of for long may be lost.
    fn writers(&self) -> String {
        let all = self.services.iter().flat_map(|(service, status)| {
            status.writers.iter().map(move |(replica, writer)| {
                let heard = match (writer.here, writer.heard_ms) {
                    (true, _) => "here".to_owned(),
                    (false, Some(heard_ms)) => rfc3339::format(heard_ms),
                    (false, None) => "–".to_owned(),
                };
                let by = if writer.by == *replica { "itself".to_owned() } else { writer.by.clone() };
                [service.clone(), replica.clone(), by, writer.generation.to_string(), heard]
            })
        });
        let rows: Vec<_> = all.collect();
        if rows.is_empty() {
            return String::new();
        }
        out::columns(["counts of", "accepted by", "counted by", "generation", "heard"], &rows)
    }

    fn recounts(&self) -> String {
        let told = self.services.iter().filter_map(|(service, status)| {
            let Recount { replicas, rows_looked_at, groups_counted } = status.recount.as_ref()?;
            let (rows, groups) = (grouped(*rows_looked_at), grouped(*groups_counted));
            let names = replicas.join(", ");
            Some(format!(
                "{service} is counting again for {names}: {rows} rows looked at, {groups} groups counted"
            ))
        });
        told.collect::<Vec<_>>().join("\n")
    }

    /// How long it took.
    fn freshness(&self) -> String {
        let rows = self.links.iter().map(|(name, link)| {
            let Window { count, p50_ms, p99_ms, fresh, .. } = &link.lag.last_hour;
            let waiting = self.queue.subscriptions.get(name).map(|depth| {
                [depth.ready, depth.in_flight, depth.delayed].into_iter().fold(0, u64::saturating_add)
            });
            let unknown = || "–".to_owned();
            let time = |time: &Option<u64>| time.map_or_else(unknown, millis);
            let fresh = fresh.iter().find(|fresh| fresh.after_ms == FRESH_AFTER_MS);
            [
                name.clone(),
                waiting.map_or_else(unknown, grouped),
                grouped(*count),
                time(p50_ms),
                time(p99_ms),
                fresh.map_or_else(unknown, |fresh| told_share(fresh.probability)),
            ]
        });
        let rows: Vec<_> = rows.collect();
        out::columns(["fresh, in the last hour", "on its way", "rows", "50 %", "99 %", "1 s"], &rows)
    }
}

impl Publisher {
    fn row(&self, link: &str, replica: &str) -> [String; 6] {
        let compared = self.equal || self.differing_ranges > 0;
        [
            link.to_owned(),
            replica.to_owned(),
            if self.told_ms == 0 { "–".to_owned() } else { grouped(self.rows_there) },
            if self.told_ms == 0 { "–".to_owned() } else { grouped(self.rows_here) },
            if compared { grouped(self.differing_ranges) } else { "?".to_owned() },
            self.exact_as_of_ms.map_or_else(|| "–".to_owned(), rfc3339::format),
        ]
    }
}

/// A time that was counted in whole milliseconds.
#[expect(clippy::cast_precision_loss, reason = "a lag is below 2^53 ms")]
fn millis(ms: u64) -> String {
    if ms < 1_000 { format!("{ms} ms") } else { told_ms(ms as f64) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_known_is_shown_and_what_is_not_is_a_dash() {
        let window = json!({"count": 1200, "p50_ms": 4, "p99_ms": 1500, "fresh": [
            {"after_ms": 500, "probability": 0.9}, {"after_ms": 1000, "probability": 0.985}]});
        let publisher = json!({"rows_there": 1292, "rows_here": 1290, "differing_ranges": 2, "equal": false,
            "told_ms": 1_700_000_000_000_u64, "exact_as_of_ms": 1_469_727_000_000_u64, "lag_ms": 3, "digest": "x"});
        let status: Status = serde_json::from_value(json!({
            "version": "0.1.0", "deployment": "d", "quiet": false,
            "services": {"stories": {"replica": "r", "outbox": 1024, "outbox_more": true, "kept": 3, "stopped": false,
                "writers": {"a": {"generation": 0, "writer": "a", "here": true},
                    "b": {"generation": 2, "writer": "a", "here": false, "heard_ms": 1_469_727_000_000_u64}},
                "recount": {"replicas": ["b"], "rows_looked_at": 1000, "groups_counted": 7}}},
            "queue": {"url": "nats://h", "connected": false, "why_not": "refused", "in_hand": 0, "handled": 0,
                "subscriptions": {"tallies/stories/main": {"ready": 5, "in_flight": 1, "delayed": 0, "dead": 0}}},
            "links": {
                "tallies/stories/main": {"lag": {"since_start": {"count": 0}, "last_hour": window},
                    "publishers": {"p1": publisher, "p2": {"rows_there": 0, "rows_here": 0, "differing_ranges": 0,
                        "equal": false, "told_ms": 0, "exact_as_of_ms": null}}},
                "profiles/stories/main": {"lag": {"since_start": {"count": 0}, "last_hour": {"count": 0}}},
            },
        }))
        .unwrap();
        let text = status.text("http://h");
        for line in [
            "antiphon 0.1.0 at http://h: not quiet: something is on its way, or not known",
            "queue nats://h, not connected: refused",
            "stories r 1,024+ 3",
            "profiles/stories/main – – – – –",
            "tallies/stories/main p1 1,292 1,290 2 2016-07-28T17:30:00.000Z",
            "tallies/stories/main p2 – – ? –",
            "profiles/stories/main – 0 – – –",
            "tallies/stories/main 6 1,200 4 ms 1.50 s 98.5 %",
            "stories a itself 0 here",
            "stories b a 2 2016-07-28T17:30:00.000Z",
            "stories is counting again for b: 1,000 rows looked at, 7 groups counted",
        ] {
            let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(text.lines().any(|found| words(found) == line), "{line}\n\n{text}");
        }
    }
}
