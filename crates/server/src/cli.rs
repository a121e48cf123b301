//! The command line. Every option can be given by an environment variable too; nothing else reads the environment.

use crate::commands::completions::CompletionsArgs;
use crate::commands::heal::{AdoptArgs, RecountArgs};
use crate::commands::pbs::PbsArgs;
use crate::commands::status::StatusArgs;
use crate::commands::{QueueCommand, TopicsCommand};
use crate::given::GivenUrl;
use crate::sites::Sites;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Comments for serial stories, with counts that never drift.
#[derive(Debug, Parser)]
#[command(name = "antiphon", version, args_conflicts_with_subcommands = true)]
#[command(after_help = "Without a command it serves: open the address that it prints.")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) serve: ServeArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve users, stories and comments, or one of them alone.
    Serve(Box<ServeArgs>),
    /// Break it yourself: the platform on a queue whose faults are turned on a page, beside a counter that drifts.
    Chaos(Box<crate::chaos::ChaosArgs>),
    /// Post a corpus of comments through the public API and check every count.
    Replay(Box<crate::replay::ReplayArgs>),
    /// Look into a queue on any broker, fill it, empty it, measure it; or serve one.
    #[command(subcommand)]
    Queue(QueueCommand),
    /// What the services need at a broker: tell what is missing, or make it.
    #[command(subcommand)]
    Topics(TopicsCommand),
    Recount(RecountArgs),
    Adopt(AdoptArgs),
    Status(StatusArgs),
    Pbs(Box<PbsArgs>),
    /// Print a script that completes the command line in a shell.
    Completions(CompletionsArgs),
}

/// One of the services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ServiceName {
    /// Accounts and profiles.
    Users,
    /// Stories, parts, votes, reads, and the counts of comments.
    Stories,
    /// Comments.
    Comments,
}

impl ServiceName {
    /// As on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Users => users::NAME,
            Self::Stories => stories::NAME,
            Self::Comments => comments::NAME,
        }
    }
}

/// A share of messages that is lost: what loses everything never arrives at anything.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|error| format!("{error}: write a share such as 0.5"))?;
    if (0.0..1.0).contains(&share) { Ok(share) } else { Err("it is from 0 up to less than 1".to_owned()) }
}

/// How to serve.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServeArgs {
    /// Serve this one alone, on the same folder; without it all three.
    #[arg(value_enum)]
    pub(crate) service: Option<ServiceName>,
    /// Where everything is kept. Each service has a folder and a database of its own in there.
    #[arg(long, env = "ANTIPHON_DATA", value_name = "DIR", default_value = "./antiphon-data")]
    pub(crate) data: PathBuf,
    /// Where to listen. Port 0 takes a free one, which is printed.
    #[arg(long, env = "ANTIPHON_LISTEN", value_name = "ADDR", default_value = "127.0.0.1:7878")]
    pub(crate) listen: SocketAddr,
    /// Do not write the starter story on the first start.
    #[arg(long, env = "ANTIPHON_EMPTY")]
    pub(crate) empty: bool,
    /// The broker through which the services hear each other, such as `nats://host:4222`; without it one of its own in
    /// the data folder, which one process can use.
    ///
    /// A broker that cannot be reached is no reason not to serve: queries are answered, and news waits. It is tried again
    /// and again; `/status` says why it is not connected. Everything that the services need there is made when it is
    /// missing; `antiphon topics plan URL` tells what.
    #[arg(long, env = "ANTIPHON_QUEUE", value_name = "URL", hide_env_values = true)]
    pub(crate) queue: Option<GivenUrl>,
    /// Which sites there are, and which one this is.
    #[command(flatten)]
    pub(crate) sites: Sites,
    /// The deployment to belong to: 32 hexadecimal digits; minted on the first start unless given.
    #[arg(long, env = "ANTIPHON_DEPLOYMENT", value_name = "ID")]
    pub(crate) deployment: Option<String>,
    /// The public half of the root key, whose signature makes a signing key believed; made on the first start where all
    /// services run in one process.
    // Of base64url, so one key in 64 begins with a hyphen.
    #[arg(long, env = "ANTIPHON_ROOT_PUBLIC_KEY", value_name = "KEY", allow_hyphen_values = true)]
    pub(crate) root_public_key: Option<String>,
    /// Logs as JSON lines instead of text.
    #[arg(long, env = "ANTIPHON_LOG_JSON")]
    pub(crate) log_json: bool,
    /// What to log, as `level` or `target=level,…`.
    #[arg(long, env = "ANTIPHON_LOG", value_name = "FILTER", default_value = "info")]
    pub(crate) log: String,
    /// Compare what the services announce with what the others have every so many seconds, faster while somebody lacks
    /// something; 0 never does, and then a broker that loses messages loses counts [default: 10, or 1 where --queue is
    /// core NATS, which loses them as a matter of course].
    #[arg(long, env = "ANTIPHON_ANTI_ENTROPY", value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(0..=86_400))]
    pub(crate) anti_entropy: Option<u32>,
    /// Refuse writes while fewer bytes than this are free on the disk.
    #[arg(long, env = "ANTIPHON_DISK_FREE_MIN", value_name = "BYTES", default_value_t = 256 << 20)]
    pub(crate) disk_free_min: u64,
    /// Make the queue and the handlers fail on a schedule that this seed decides. For `replay`.
    #[arg(long, value_name = "SEED", hide = true)]
    pub(crate) fault_seed: Option<u64>,
    /// Lose this share of all messages for ever. For `replay`.
    #[arg(long, value_name = "SHARE", hide = true, value_parser = share)]
    pub(crate) fault_drop: Option<f64>,
    /// Count with "+1" messages too, to compare. For `replay`.
    #[arg(long, hide = true)]
    pub(crate) plain_counter: bool,
}

/// How often services tell what they have, in seconds, where nobody says.
const ANTI_ENTROPY_S: u32 = 10;
/// The same over a queue that loses messages: there it is what makes counts exact, and digests are lost too.
pub(crate) const ANTI_ENTROPY_LOSSY_S: u32 = 1;

impl ServeArgs {
    /// How often the services tell what they have, in seconds; 0 for never.
    pub(crate) fn anti_entropy_s(&self) -> u32 {
        let loses = self.queue.as_ref().is_some_and(GivenUrl::loses);
        self.anti_entropy.unwrap_or(if loses { ANTI_ENTROPY_LOSSY_S } else { ANTI_ENTROPY_S })
    }

    /// Whether this process runs a service.
    pub(crate) fn runs(&self, service: ServiceName) -> bool {
        self.service.is_none_or(|only| only == service)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_loses_messages_is_compared_more_often() {
        for (words, seconds) in [
            ("antiphon serve", 10),
            ("antiphon serve --queue nats://h", 10),
            ("antiphon serve --queue nats-core://h", 1),
            ("antiphon serve --queue nats-core+tls://h", 1),
            ("antiphon serve --queue nats-core://h --anti-entropy 0", 0),
            ("antiphon serve --anti-entropy 3", 3),
        ] {
            let Ok(Cli { command: Some(Command::Serve(args)), .. }) = Cli::try_parse_from(words.split(' '))
            else {
                panic!("{words}");
            };
            assert_eq!(args.anti_entropy_s(), seconds, "{words}");
        }
    }
}
