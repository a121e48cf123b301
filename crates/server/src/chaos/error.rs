//! Why the game ended, or a service did not start.

use crate::data::DataError;
use crate::node::NodeError;
use crate::telemetry::TelemetryError;
use std::net::SocketAddr;
use thiserror::Error;

/// What went wrong with the platform that is broken, beyond what was broken on purpose.
#[derive(Debug, Error)]
pub(super) enum ChaosError {
    #[error("the command line could not be passed on")]
    Args(#[from] clap::Error),
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    #[error("a folder for this game cannot be made")]
    Scratch(#[source] std::io::Error),
    #[error("the folder of this game cannot be removed")]
    Tidy(#[source] std::io::Error),
    #[error(transparent)]
    Data(#[from] DataError),
    #[error(transparent)]
    Node(#[from] NodeError),
    #[error(transparent)]
    Name(#[from] queue::NameError),
    #[error("the queue cannot be opened")]
    Queue(#[from] queue::QueueError),
    #[error("cannot listen on {address}; choose another with --listen")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("the process cannot be watched for signals")]
    Signals(#[source] std::io::Error),
    #[error("serving failed")]
    Serve(#[source] std::io::Error),
    #[error("the service was opened and is not there: this is a bug")]
    Nobody,
}
