//! The server: a store, its queues, and a listener.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt;
use store::Store;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::engine::Engine;
use crate::error::{Kind, SqsError};
use crate::http;

/// Whose store it is, in the store's own books: give it to `store::Setup::of`.
pub const SERVICE: &str = "sqs";

/// How often a server looks for what is old.
pub const HOUSEKEEP_EVERY: Duration = Duration::from_secs(5);

/// How long a server that is stopped waits for requests that are being answered. Long polls are ended at once.
pub const SHUTDOWN_WAIT_MAX: Duration = Duration::from_secs(5);

/// Digits of an account.
const ACCOUNT_DIGITS: usize = 12;

/// As which region and account a server answers, and how much it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The region in ARNs. Clients sign for theirs, which is not checked.
    pub region: String,
    /// The account in ARNs and queue URLs: 12 digits.
    pub account: String,
    /// Most messages of one queue, whatever their state.
    pub messages_max: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { region: "us-east-1".into(), account: "000000000000".into(), messages_max: 1_000_000 }
    }
}

impl Config {
    fn check(&self) -> Result<(), SqsError> {
        let refuse = |message: String| Err(SqsError::new(Kind::InvalidParameterValue, message));
        let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.region.is_empty() || !self.region.chars().all(is_part) {
            return refuse(format!("the region {:?} is no name like us-east-1", self.region));
        }
        if self.account.len() != ACCOUNT_DIGITS || !self.account.bytes().all(|b| b.is_ascii_digit()) {
            return refuse(format!("the account {:?} does not have {ACCOUNT_DIGITS} digits", self.account));
        }
        Ok(())
    }
}

/// How much a queue holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueSummary {
    /// Its name.
    pub name: String,
    /// Messages that can be received.
    pub visible: u64,
    /// Messages that were received, and neither deleted nor visible again.
    pub in_flight: u64,
    /// Messages that wait for their delay.
    pub delayed: u64,
}

/// SQS on a store. Clones are the same server.
#[derive(Debug, Clone)]
pub struct SqsServer {
    engine: Arc<Engine>,
}

impl SqsServer {
    /// The queues that `store` holds, which is used for nothing else; it was opened as [`SERVICE`].
    ///
    /// Errors: `InvalidParameterValue` for a configuration that is none, `InternalError` if the store is damaged: its
    /// message says where.
    pub async fn open(store: Store, config: Config) -> Result<Self, SqsError> {
        config.check()?;
        Ok(Self { engine: Arc::new(Engine::open(store, config).await?) })
    }

    /// The protocol as a service. Whoever serves it otherwise than by [`serve`](Self::serve) calls
    /// [`housekeep`](Self::housekeep) now and then.
    pub fn router(&self) -> Router {
        http::router(Arc::clone(&self.engine))
    }

    /// Serves until `shutdown` is ready: then long polls are answered with what there is, other requests are finished
    /// (for up to [`SHUTDOWN_WAIT_MAX`]), and the store is closed.
    ///
    /// Errors are those of the listener.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        let (stop, mut stopped) = watch::channel(false);
        let engine = Arc::clone(&self.engine);
        let signal = async move {
            shutdown.await;
            engine.stop_waiting();
            stop.send_replace(true);
        };
        let listener = listener.tap_io(|stream| {
            // Answers are small and waited for.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "a connection keeps its delays");
            }
        });
        let serving = axum::serve(listener, self.router()).with_graceful_shutdown(signal);
        let overtime = async {
            // The sender is dropped only after it has sent.
            stopped.wait_for(|stopped| *stopped).await.map(|_| ()).unwrap_or_default();
            tokio::time::sleep(SHUTDOWN_WAIT_MAX).await;
        };
        let served = tokio::select! {
            served = serving => served,
            () = overtime => {
                tracing::warn!("requests were still being answered when the server was stopped");
                Ok(())
            }
            () = self.keep_house() => Ok(()),
        };
        self.close().await;
        served
    }

    async fn keep_house(&self) {
        loop {
            match self.housekeep().await {
                Ok(true) => tokio::task::yield_now().await,
                Ok(false) => tokio::time::sleep(HOUSEKEEP_EVERY).await,
                Err(error) => {
                    tracing::warn!(%error, "housekeeping failed, and is tried again");
                    tokio::time::sleep(HOUSEKEEP_EVERY).await;
                }
            }
        }
    }

    /// Removes a bounded number of rows that are over: of purged and deleted queues, expired messages, old
    /// deduplication ids. True if there are more.
    pub async fn housekeep(&self) -> Result<bool, SqsError> {
        self.engine.housekeep().await
    }

    /// All queues and how much each holds, in the order of their names.
    ///
    /// Errors: those of the store.
    pub async fn queues(&self) -> Result<Vec<QueueSummary>, SqsError> {
        http::summaries(&self.engine).await
    }

    /// Finishes what is being written, and takes no more. The folder is free once every clone and router is dropped.
    pub async fn close(self) {
        self.engine.stop_waiting();
        let store = self.engine.store().clone();
        drop(self);
        store.close().await;
    }
}
