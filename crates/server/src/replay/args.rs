//! The command line of `antiphon replay`.

use std::path::PathBuf;
use std::str::FromStr;

use hyper::Uri;

use crate::cli::share;
use crate::given::GivenUrl;

/// How many requests are in flight at once unless `--connections` says otherwise.
const CONNECTIONS: u16 = 128;

/// Plays a file of comments through the HTTP API and proves the counts.
///
/// Creates the people, one story, its parts and the comments of FILE as any client would, waits until every queue
/// is empty, and compares, part by part: what was posted and deleted, what Comments lists, what Stories shows, and
/// what a plain "+1" counter would show.
#[derive(Debug, clap::Args)]
#[command(after_long_help = AFTER_HELP)]
pub(crate) struct ReplayArgs {
    /// Comments as NDJSON, plain or gzipped
    ///
    /// One JSON object a line: `id`, `part`, `author`, `text` and, in a reply, `reply_to`: the id of an earlier
    /// comment of the same part.
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,

    /// Use this server instead of one of its own
    ///
    /// Without it, replay starts `antiphon serve` on a free local port and a temporary folder, and stops it
    /// afterwards.
    #[arg(long, value_name = "URL")]
    pub(super) url: Option<Base>,

    /// Make life hard, by a schedule that SEED decides
    ///
    /// Requests are abandoned and sent again, also though they had succeeded; 5 % of the comments are deleted, some
    /// twice, some at once from two connections. A server of its own also duplicates, reorders, delays and fails
    /// its queue's deliveries.
    #[arg(long, value_name = "SEED")]
    pub(super) hostile: Option<u64>,

    /// Let the queue lose this share of all messages for ever, digests and wants included: 0.5 is every other one
    ///
    /// Then no queue that is empty proves anything: after the last post it waits until every count is exact, and tells
    /// how long anti-entropy took. So it does too where `--queue` is core NATS. The server compares every second then.
    #[arg(long, value_name = "SHARE", conflicts_with = "url", value_parser = share)]
    pub(super) lossy: Option<f64>,

    /// Kill its own server with SIGKILL again and again while posting
    #[arg(long, conflicts_with = "url")]
    pub(super) kill: bool,

    /// Count broken lines instead of stopping at the first
    #[arg(long)]
    pub(super) skip_bad: bool,

    /// What keys and ids derive from [default: the seed of --hostile, else 0]
    ///
    /// The same file with the same seed on the same server repeats its requests: it makes nothing twice.
    #[arg(long, value_name = "SEED")]
    pub(super) seed: Option<u64>,

    /// Let the services of its own server hear each other through this broker
    ///
    /// Without it through the queue in the server's data folder. Unless the URL has a prefix, one is added that belongs
    /// to the deployment which this replay makes, so that it hears no other; what it makes there stays.
    #[arg(long, value_name = "BROKER", conflicts_with = "url")]
    pub(super) queue: Option<GivenUrl>,

    /// Keep the data of its own server here
    #[arg(long, value_name = "DIR", conflicts_with = "url")]
    pub(super) data: Option<PathBuf>,

    /// Requests in flight at once
    #[arg(long, value_name = "N", default_value_t = CONNECTIONS, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub(super) connections: u16,

    /// Stop waiting for quiet, or for exact counts, when nothing has moved for so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(super) patience: u64,

    /// Write the report as JSON, too
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,

    /// Print a row for every part, however many there are
    #[arg(long)]
    pub(super) all: bool,
}

const AFTER_HELP: &str = "\
Exit status:
  0  the list, the counts and the input agree in every part
  1  they do not, or the replay could not be finished
  2  the command line or FILE is wrong

Examples:
  antiphon replay comments.ndjson.gz
  antiphon replay comments.ndjson.gz --hostile 7 --kill --data ./replayed
  antiphon serve stories --data ./replayed
  antiphon replay comments.ndjson --hostile 7 --queue nats://127.0.0.1:4222
  antiphon replay comments.ndjson --lossy 0.5 --queue nats-core://127.0.0.1:4222
  antiphon replay comments.ndjson --url http://127.0.0.1:7878 --hostile 7

Users' keys derive from the seed and their names alone, so whoever knows both can sign in as them: replay into a
server that is meant for it.";

impl ReplayArgs {
    /// What keys, ids and moments derive from.
    pub(super) fn seed(&self) -> u64 {
        self.seed.or(self.hostile).unwrap_or_default()
    }

    /// Whether messages are lost for ever, so that only anti-entropy makes counts exact.
    pub(super) fn loses(&self) -> bool {
        self.lossy.is_some() || self.queue.as_ref().is_some_and(GivenUrl::loses)
    }

    /// The name of the file, without its folder.
    pub(super) fn file_name(&self) -> String {
        self.file.file_name().unwrap_or(self.file.as_os_str()).to_string_lossy().into_owned()
    }
}

/// Where a server answers: `http://host:port`, without a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Base(String);

impl Base {
    /// Of a server that listens on this address.
    pub(super) fn of_address(address: &str) -> Self {
        Self(format!("http://{address}"))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Base {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|_| "write a URL, such as http://127.0.0.1:7878".to_owned())?;
        if uri.scheme_str() != Some("http") {
            return Err("start with http:// (replay does not speak TLS)".to_owned());
        }
        if uri.path() != "/" || uri.query().is_some() {
            return Err("leave out the path: replay adds it".to_owned());
        }
        match uri.authority() {
            Some(authority) if !authority.as_str().contains('@') => Ok(Self(format!("http://{authority}"))),
            Some(_) => Err("leave out the user name: replay makes its own users".to_owned()),
            None => Err("name a host after http://".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        replay: ReplayArgs,
    }

    fn parse(line: &str) -> Result<ReplayArgs, clap::Error> {
        Cli::try_parse_from(format!("replay {line}").split_whitespace()).map(|cli| cli.replay)
    }

    #[test]
    fn bases() {
        for (text, base) in [
            ("http://127.0.0.1:7878", Some("http://127.0.0.1:7878")),
            ("http://localhost:7878/", Some("http://localhost:7878")),
            ("http://[::1]:80", Some("http://[::1]:80")),
            ("https://example.org", None),
            ("127.0.0.1:7878", None),
            ("http://example.org/v1", None),
            ("http://example.org/?a", None),
            ("http://me@example.org/", None),
            ("", None),
        ] {
            assert_eq!(text.parse::<Base>().ok().as_ref().map(Base::as_str), base, "{text:?}");
        }
    }

    #[test]
    fn lines() {
        let args = parse("a/b.ndjson.gz --hostile 7 --kill").unwrap();
        assert_eq!(
            (args.seed(), args.file_name(), args.connections),
            (7, "b.ndjson.gz".to_owned(), CONNECTIONS)
        );
        assert_eq!(parse("f").unwrap().seed(), 0);
        assert_eq!(parse("f --hostile 7 --seed 3").unwrap().seed(), 3);
        for (line, loses) in [
            ("f", false),
            ("f --lossy 0.5", true),
            ("f --queue nats-core://h", true),
            ("f --queue nats-core+tls://h", true),
            ("f --queue nats://h", false),
        ] {
            assert_eq!(parse(line).unwrap().loses(), loses, "{line}");
        }
        for wrong in [
            "",
            "f --url http://h --kill",
            "f --url http://h --data d",
            "f --url ftp://h",
            "f --connections 0",
            "f --hostile x",
            "f --url http://h --queue nats://h",
            "f --url http://h --lossy 0.5",
            "f --lossy 1",
            "f --lossy -0.1",
            "f --lossy NaN",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
