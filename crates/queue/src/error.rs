//! Errors, each of which is an instruction to the caller.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// What went wrong below, kept as the source of an error.
///
/// Clones share it, so that one failed call can be reported for each message of its batch.
#[derive(Clone)]
pub struct Cause(Arc<dyn Error + Send + Sync>);

impl Cause {
    /// Keeps `source`.
    pub fn new(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(Arc::from(source.into()))
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// Why a call to a queue failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// **Retry.** The broker did not answer, or said that it is busy. Whether the call took effect is unknown. Make
    /// it again after a pause that grows; everything here may be repeated.
    #[error("the queue is unavailable")]
    Unavailable(#[source] Cause),
    /// **Fix your request.** The broker, or this crate on its behalf, will never accept it as it is.
    #[error("the queue refused the request: {0}")]
    Refused(String),
    /// **Call for help.** Credentials, a corrupt disk, a bug: repeating does not help, and neither would another
    /// request. Tell an operator. A loop that has nobody to tell logs it as an error and goes on trying, slowly.
    #[error("the queue is broken")]
    Broken(#[source] Cause),
}

impl QueueError {
    /// An [`Unavailable`](Self::Unavailable) because of `source`.
    pub fn unavailable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable(Cause::new(source))
    }

    /// A [`Broken`](Self::Broken) because of `source`.
    pub fn broken(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Broken(Cause::new(source))
    }

    /// Whether the same call may succeed later without anybody's help.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// Why one message of a batch was not published.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// **Retry later.** A subscription of the topic holds as many messages as it may. No subscription got a copy.
    /// Waiting helps only if consumers make progress.
    #[error("a subscription is full")]
    Full,
    /// **Split it.** The message is larger than the broker takes. As it is it will never be accepted; a delta group is
    /// sent in two halves instead.
    #[error("a message of {bytes} bytes is larger than the {bytes_max} that {limit} allows")]
    TooLarge {
        /// Its size as the limit counts it, in bytes.
        bytes: usize,
        /// The most that is allowed, in bytes.
        bytes_max: usize,
        /// Whose limit that is: "an envelope", "an SNS message", …
        limit: &'static str,
    },
    /// As the inner error says. After [`QueueError::Unavailable`] the message may have been accepted all the same:
    /// publishing it again may duplicate it, not publishing it again may lose it.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl PublishError {
    /// Whether the same message may be accepted later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Full => true,
            Self::TooLarge { .. } => false,
            Self::Queue(error) => error.is_retryable(),
        }
    }
}

/// Why a delivery was not settled or extended.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum AckError {
    /// **Forget it.** The delivery is no longer ours: its lease ran out, or it was settled before. Stop working on
    /// it. If it was not settled it comes, or has come, again.
    #[error("the lease was lost")]
    LeaseLost,
    /// As the inner error says; worth a retry only while the lease lives.
    #[error(transparent)]
    Queue(#[from] QueueError),
}
