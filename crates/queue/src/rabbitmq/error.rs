//! From the broker's errors to what the caller should do.

use std::io;
use std::sync::Arc;

use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::{Error, ErrorKind};

use super::target::Target;
use crate::QueueError;

/// Why the broker closed a channel, as far as somebody here reacts to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closed {
    /// What was named is not there.
    NotFound,
    /// It is there with other settings.
    OtherSettings,
    /// Another connection has it for itself.
    Locked,
    Else,
}

pub(super) fn closed(error: &Error) -> Closed {
    let ErrorKind::ProtocolError(amqp) = error.kind() else { return Closed::Else };
    match amqp.kind() {
        AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND) if !is_down(amqp.get_message().as_str()) => {
            Closed::NotFound
        }
        AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED) => Closed::OtherSettings,
        AMQPErrorKind::Soft(AMQPSoftError::RESOURCELOCKED) => Closed::Locked,
        _ => Closed::Else,
    }
}

/// A queue that is there, on a node that is not: the broker says "not found" all the same.
fn is_down(message: &str) -> bool {
    ["inaccessible", "is stopped", "is down"].iter().any(|hint| message.contains(hint))
}

/// What the broker said, in its own words.
pub(super) fn words(error: &Error) -> String {
    match error.kind() {
        ErrorKind::ProtocolError(amqp) => amqp.get_message().to_string(),
        _ => error.to_string(),
    }
}

/// An error of the broker with what was attempted, and a remedy where there is one.
#[derive(Debug, thiserror::Error)]
#[error("{target}: {what}{remedy}")]
struct Failed {
    target: String,
    what: String,
    remedy: &'static str,
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// The innermost error: those around it repeat it.
fn innermost(error: &Error) -> Box<dyn std::error::Error + Send + Sync> {
    match error.kind() {
        ErrorKind::ProtocolError(amqp) => amqp.get_message().to_string().into(),
        ErrorKind::IOError(io) => Box::new(Arc::clone(io)),
        _ => Box::new(error.clone()),
    }
}

fn remedy(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::ProtocolError(amqp) => match amqp.kind() {
            AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => {
                " (check the user, the password and the permissions)"
            }
            AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) => " (check the virtual host, and who may use it)",
            _ => "",
        },
        ErrorKind::IOError(io) if is_tls(io) => {
            " (check that the port speaks TLS, the name of the host, and `ca`)"
        }
        _ => "",
    }
}

/// What rustls has against a certificate or an answer comes as invalid data.
fn is_tls(io: &io::Error) -> bool {
    io.kind() == io::ErrorKind::InvalidData
}

/// `what` failed at `target`.
pub(super) fn failed(target: &Target, what: &str, error: &Error) -> QueueError {
    let broken = match error.kind() {
        ErrorKind::ProtocolError(amqp) => match amqp.kind() {
            AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND) if !is_down(amqp.get_message().as_str()) => {
                return QueueError::Refused(format!(
                    "{target}: {what}: {}: subscribe again to make it",
                    amqp.get_message()
                ));
            }
            AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED)
            | AMQPErrorKind::Hard(
                AMQPHardError::NOTALLOWED
                | AMQPHardError::NOTIMPLEMENTED
                | AMQPHardError::FRAMEERROR
                | AMQPHardError::SYNTAXERROR
                | AMQPHardError::COMMANDINVALID
                | AMQPHardError::UNEXPECTEDFRAME
                | AMQPHardError::INVALIDPATH,
            ) => true,
            _ => false,
        },
        ErrorKind::IOError(io) => is_tls(io),
        ErrorKind::InvalidProtocolVersion(_)
        | ErrorKind::ParsingError(_)
        | ErrorKind::SerialisationError(_)
        | ErrorKind::AuthProviderError(_)
        | ErrorKind::NoDefaultRuntime => true,
        _ => false,
    };
    let failed = Failed {
        target: target.to_string(),
        what: what.to_owned(),
        remedy: remedy(error),
        source: innermost(error),
    };
    if broken { QueueError::broken(failed) } else { QueueError::unavailable(failed) }
}

/// `what` took longer than it may.
pub(super) fn late(target: &Target, what: &str) -> QueueError {
    QueueError::unavailable(format!("{target}: {what}: no answer in time"))
}
