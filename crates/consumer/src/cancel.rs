//! Telling a handler to stop.

use std::fmt;

use tokio::sync::watch;

/// Why a handler is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelReason {
    /// The lease ended, or the broker says that it did: somebody else may be working on the message.
    LeaseLost,
    /// The consumer stops, and its time to finish is over.
    Stopped,
}

impl fmt::Display for CancelReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LeaseLost => "the lease was lost",
            Self::Stopped => "the consumer was stopped",
        })
    }
}

/// The side that cancels.
#[derive(Debug)]
pub struct CancelSource(watch::Sender<Option<CancelReason>>);

impl CancelSource {
    /// A source, and the token that it fires.
    pub fn new() -> (Self, Cancellation) {
        let (sender, receiver) = watch::channel(None);
        (Self(sender), Cancellation(receiver))
    }

    /// Fires the token. The first reason stays.
    pub fn cancel(&self, reason: CancelReason) {
        self.0.send_if_modified(|current| {
            let first = current.is_none();
            current.get_or_insert(reason);
            first
        });
    }
}

/// The side that is cancelled. Cheap to clone; all clones fire together.
#[derive(Debug, Clone)]
pub struct Cancellation(watch::Receiver<Option<CancelReason>>);

impl Cancellation {
    /// A token that never fires.
    pub fn never() -> Self {
        CancelSource::new().1
    }

    /// The reason, if it has fired.
    pub fn reason(&self) -> Option<CancelReason> {
        *self.0.borrow()
    }

    /// Whether it has fired.
    pub fn is_cancelled(&self) -> bool {
        self.reason().is_some()
    }

    /// Waits until it fires; for ever if its source is gone without having fired it.
    pub async fn cancelled(&self) -> CancelReason {
        let mut receiver = self.0.clone();
        let fired = receiver.wait_for(Option::is_some).await.ok().and_then(|reason| *reason);
        match fired {
            Some(reason) => reason,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn fires_every_clone_and_keeps_the_first_reason() {
        let (source, token) = CancelSource::new();
        let waiting = tokio::spawn({
            let token = token.clone();
            async move { token.cancelled().await }
        });
        assert!(!token.is_cancelled());
        source.cancel(CancelReason::LeaseLost);
        source.cancel(CancelReason::Stopped);
        assert_eq!(waiting.await.unwrap(), CancelReason::LeaseLost);
        drop(source);
        assert_eq!(token.cancelled().await, CancelReason::LeaseLost);
    }

    #[tokio::test(start_paused = true)]
    async fn never_fires_without_a_source() {
        let token = Cancellation::never();
        let waited = tokio::time::timeout(std::time::Duration::from_secs(1), token.cancelled()).await;
        assert!(waited.is_err());
    }
}
