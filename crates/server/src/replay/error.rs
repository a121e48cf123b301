//! Why a replay ended early, and with which exit status.

use std::error::Error as _;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use messages::PartId;
use queue::QueueError;
use thiserror::Error;

use super::call::CallError;
use super::input::InputError;

/// What stopped a replay before its verdict.
#[derive(Debug, Error)]
pub(super) enum ReplayError {
    /// *Mend the file, name another, or pass `--skip-bad`.*
    #[error(transparent)]
    Input(#[from] InputError),
    /// *Choose another place for the report.*
    #[error("cannot write {path}")]
    Json {
        /// Where the report was to go.
        path: PathBuf,
        /// Why it did not.
        source: std::io::Error,
    },
    /// *Look at the server.*
    #[error("while {doing}")]
    Call {
        /// What the replay was about to do, as a participle.
        doing: String,
        /// What became of the request.
        source: CallError,
    },
    /// *Look at the machine: the process could not be started, killed or waited for.*
    #[error("cannot {doing} the server")]
    Process {
        /// A verb.
        doing: &'static str,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// *Read the end of the server's log.*
    #[error("the server ended with {status} while replay was waiting for it; its log ends with\n{log}")]
    ServerEnded {
        /// How it ended.
        status: ExitStatus,
        /// The last lines that it wrote.
        log: String,
    },
    /// *Read the end of the server's log.*
    #[error("the server was not {what} after {after:?}; its log ends with\n{log}")]
    ServerSlow {
        /// `ready` or `stopped`.
        what: &'static str,
        /// How long replay waited.
        after: Duration,
        /// The last lines that it wrote.
        log: String,
    },
    /// *Mend the URL, or build with the broker's feature.*
    #[error("the broker of --queue cannot be used")]
    Queue(#[source] QueueError),
    /// *Name another broker.*
    #[error(
        "memory: forgets what is on its way when its process is killed: name another broker with --queue"
    )]
    Forgetful,
    /// *Look at what is stuck.*
    #[error("not quiet after {after:?}: {pending}")]
    NotQuiet {
        /// How long nothing had moved, or the whole wait.
        after: Duration,
        /// What was still on its way.
        pending: String,
    },
    /// *Wait longer with `--patience`, or look at what anti-entropy does in `/status`.*
    #[error(
        "after {after:?} the counts of {parts} parts are not exact: that of {part} is {shown}, not {expected}"
    )]
    NotHealed {
        /// How long nothing had got better, or the whole wait.
        after: Duration,
        /// How many parts differ.
        parts: usize,
        /// One of them.
        part: PartId,
        /// What was acknowledged.
        expected: i64,
        /// What Stories shows.
        shown: i64,
    },
}

impl ReplayError {
    /// 2 where the command line or the file is to be mended, else 1.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Input(_) | Self::Json { .. } | Self::Queue(_) | Self::Forgetful => 2,
            _ => 1,
        }
    }

    /// The message with those of its sources.
    pub(super) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = self.source();
        while let Some(error) = source {
            text.push_str(": ");
            text.push_str(&error.to_string());
            source = error.source();
        }
        text
    }
}

/// Says what was being done when a request failed.
pub(super) trait While<T> {
    /// `doing` is a participle: `creating the story`.
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T, ReplayError>;
}

impl<T> While<T> for Result<T, CallError> {
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T, ReplayError> {
        self.map_err(|source| ReplayError::Call { doing: doing(), source })
    }
}
