//! Why a command ended early.

use crate::telemetry::TelemetryError;
use queue::{NameError, PublishError, QueueError, Subscription, Topic};
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use store::OpenError;
use thiserror::Error as ThisError;

/// As clap's own complaints about a command line.
const WRONG_COMMAND_LINE: u8 = 2;

/// What stopped a command.
#[derive(Debug, ThisError)]
pub(crate) enum CommandError {
    /// *Mend the command line.*
    #[error(transparent)]
    Sites(#[from] crate::sites::SitesError),
    /// *Mend the URL, or build with the broker's feature.*
    #[error("this URL cannot be used")]
    Url(#[source] QueueError),
    #[error("{url} cannot be opened")]
    Open { url: String, source: QueueError },
    #[error(
        "{url} did not answer within {after:?}: see whether the broker runs, and whether it can be reached from here"
    )]
    Silent { url: String, after: Duration },
    #[error(
        "there is no queue in the folder of {url}: name the folder of one, or make one with antiphon topics apply"
    )]
    NoFolder { url: String },
    /// `doing` is a participle: `receiving from a/b/c`.
    #[error("{url}: {doing} failed")]
    Queue { url: String, doing: String, source: QueueError },
    #[error("{url}: {doing} went on failing for {after:?}")]
    Tired { url: String, doing: String, after: Duration, source: QueueError },
    #[error("{url} has no subscription {wanted}; {there}")]
    NoSubscription { url: String, wanted: Subscription, there: String },
    #[error("{url}: name a subscription, as topic/service/site; {there}")]
    WhichSubscription { url: String, there: String },
    #[error(
        "{url}: nobody is subscribed to {topic}, so what is sent is kept for nobody; make a subscription with antiphon \
         topics apply URL {topic}/SERVICE/SITE, or send all the same with --unheard"
    )]
    Unheard { url: String, topic: Topic },
    #[error("{url}: {failed} of {messages} messages were not taken by {topic}")]
    NotSent { url: String, topic: Topic, failed: u64, messages: u64, source: PublishError },
    #[error("{url}: {what}")]
    Bench { url: String, what: String },
    #[error("cannot listen on {address}; choose another with --listen")]
    Listen { address: SocketAddr, source: io::Error },
    #[error(transparent)]
    Store(#[from] OpenError),
    /// *Stop it first.*
    #[error("{path} is in use: stop the server that has it, or whatever else reads it, first")]
    Served { path: PathBuf },
    #[error("{path} holds no store of {what}: name a data folder of antiphon serve with --data")]
    NoStore { path: PathBuf, what: &'static str },
    #[error("{path} could not be read or written; run it again to go on")]
    Rows { path: PathBuf, source: store::StoreError },
    #[error("{replica} is not adopted")]
    NotAdopted { replica: lattice::ReplicaId, source: store::AdoptRefused },
    #[error("serving failed")]
    Serve(#[source] Box<dyn Error + Send + Sync>),
    #[error("the books cannot be read")]
    Books(#[source] consumer::audit::LedgerError),
    #[error(transparent)]
    Name(#[from] NameError),
    /// *Mend the input.*
    #[error("{from}, line {number}: {why}")]
    Line { from: String, number: u64, why: String },
    #[error("{from}: {why}")]
    Input { from: String, why: String },
    #[error("{url}: {why}")]
    Asked { url: String, why: String },
    #[error("cannot use {path}")]
    File { path: PathBuf, source: io::Error },
    #[error("{path} is being written by another drain: name another file with --out")]
    Taken { path: PathBuf },
    #[error(
        "{path} ends in the middle of a line that no drain wrote: end it with a line feed, or name another file with --out"
    )]
    Foreign { path: PathBuf },
    #[error("standard output cannot be written")]
    Output(#[source] io::Error),
    #[error("the process cannot be watched for signals")]
    Signals(#[source] io::Error),
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    #[error("a task failed")]
    Task(#[from] tokio::task::JoinError),
    #[error("a result cannot be written as JSON")]
    Json(#[from] serde_json::Error),
}

impl CommandError {
    /// 2 where the command line or the input is to be mended, else 1.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Url(_)
            | Self::NoFolder { .. }
            | Self::NoStore { .. }
            | Self::WhichSubscription { .. }
            | Self::Name(_)
            | Self::Line { .. }
            | Self::Input { .. }
            | Self::Telemetry(TelemetryError::Filter(_)) => ExitCode::from(WRONG_COMMAND_LINE),
            _ => ExitCode::FAILURE,
        }
    }

    /// Whether whoever read our output stopped reading.
    pub(crate) fn is_closed_output(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}
