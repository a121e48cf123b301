//! A connection that is made again when it is needed, after pauses that grow.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use lapin::runtime::default_runtime;
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::error::{failed, late};
use super::target::Target;
use crate::QueueError;

/// Longest attempt at one host.
pub(super) const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Longest wait for an answer of the broker. Then the link is taken for dead.
pub(super) const CALL_MAX: Duration = Duration::from_secs(10);
/// Pause after a first failure to connect, doubled by each further one up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Least frame that the headers of our messages fit into.
const FRAME_BYTES_MIN: u32 = 65_536;
/// AMQP's word for "all went well", and for "I had to".
const CLOSE_OK: u16 = 200;
const CLOSE_FORCED: u16 = 320;

/// One connection for one purpose.
pub(super) struct Link {
    target: Arc<Target>,
    role: &'static str,
    state: Mutex<State>,
}

/// For each host an attempt that has not ended. The client waits for a host that accepts and then says nothing in a
/// thread of its own, which nobody can end: so there is at most one.
type Attempts = Vec<Option<JoinHandle<lapin::Result<Connection>>>>;

struct State {
    connection: Option<Arc<Connection>>,
    attempts: Attempts,
    failures: u32,
    failed: Option<(Instant, QueueError)>,
    random: fastrand::Rng,
}

impl Link {
    pub(super) fn new(target: Arc<Target>, role: &'static str, seed: u64) -> Self {
        let state = State {
            connection: None,
            attempts: target.uris.iter().map(|_| None).collect(),
            failures: 0,
            failed: None,
            random: fastrand::Rng::with_seed(seed),
        };
        Self { target, role, state: Mutex::new(state) }
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// Whether the broker takes us, now.
    pub(super) async fn check(&self) -> Result<(), QueueError> {
        self.connection().await.map(drop)
    }

    /// The connection, made if there is none. Takes no longer than the pause and one attempt at each host.
    pub(super) async fn connection(&self) -> Result<Arc<Connection>, QueueError> {
        let asked = Instant::now();
        let mut state = self.state.lock().await;
        if let Some(connection) = state.connection.take_if(|connection| !connection.status().connected()) {
            tracing::warn!(target = %self.target, role = self.role, "the connection was lost");
            drop(connection);
        }
        if let Some(connection) = &state.connection {
            return Ok(Arc::clone(connection));
        }
        if let Some((at, error)) = state.failed.clone() {
            if at > asked {
                // Whoever tried while we waited failed for us, too.
                return Err(error);
            }
            let pause = PAUSE_MIN.saturating_mul(1 << state.failures.min(16)).min(PAUSE_MAX);
            let pause = pause.mul_f64(0.5 + state.random.f64() / 2.0);
            sleep_until(at + pause).await;
        }
        match self.attempt(&mut state.attempts).await {
            Ok(connection) => {
                let connection = Arc::new(connection);
                (state.failures, state.failed) = (0, None);
                state.connection = Some(Arc::clone(&connection));
                Ok(connection)
            }
            Err(error) => {
                state.failures = state.failures.saturating_add(1);
                state.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    /// Tries each host in turn.
    async fn attempt(&self, attempts: &mut Attempts) -> Result<Connection, QueueError> {
        let what = "connecting";
        let mut last = late(&self.target, what);
        for (uri, attempt) in self.target.uris.iter().zip(attempts) {
            let running = attempt
                .get_or_insert_with(|| tokio::spawn(open(uri.clone(), Arc::clone(&self.target), self.role)));
            let Ok(ended) = timeout(CONNECT_MAX, running).await else {
                last = late(&self.target, what);
                continue;
            };
            *attempt = None;
            match ended {
                Ok(Ok(connection)) if connection.configuration().frame_max() < FRAME_BYTES_MIN => {
                    last = QueueError::broken(format!(
                        "{}: frame_max is {}, and headers need {FRAME_BYTES_MIN}: raise it in rabbitmq.conf",
                        self.target,
                        connection.configuration().frame_max()
                    ));
                }
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(error)) => last = failed(&self.target, what, &error),
                Err(panicked) => last = QueueError::broken(panicked),
            }
        }
        Err(last)
    }

    /// A connection of its own, for what ends with it: locks, and messages that are looked at and given back.
    pub(super) async fn apart(&self) -> Result<Apart<'_>, QueueError> {
        let mut attempts = self.target.uris.iter().map(|_| None).collect();
        let connection = self.attempt(&mut attempts).await?;
        Ok(Apart { link: self, connection })
    }

    pub(super) async fn channel(&self) -> Result<Channel, QueueError> {
        let connection = self.connection().await?;
        self.call("opening a channel", connection.create_channel()).await
    }

    /// Waits for an answer of the broker, but not for ever. If there is none, the connection is given up: the outer
    /// error says so, the inner one is the broker's.
    pub(super) async fn bounded<T>(
        &self,
        what: &str,
        call: impl Future<Output = lapin::Result<T>>,
    ) -> Result<lapin::Result<T>, QueueError> {
        if let Ok(answer) = timeout(CALL_MAX, call).await {
            return Ok(answer);
        }
        self.give_up().await;
        Err(late(&self.target, what))
    }

    pub(super) async fn call<T>(
        &self,
        what: &str,
        call: impl Future<Output = lapin::Result<T>>,
    ) -> Result<T, QueueError> {
        self.bounded(what, call).await?.map_err(|error| failed(&self.target, what, &error))
    }

    /// Takes the connection for dead: the next call makes another.
    pub(super) async fn give_up(&self) {
        let Some(connection) = self.state.lock().await.connection.take() else { return };
        tracing::warn!(target = %self.target, role = self.role, "no answer in time: the connection is given up");
        tokio::spawn(async move {
            let closing = connection.close(CLOSE_FORCED, "no answer in time".into());
            if let Ok(Err(error)) = timeout(CALL_MAX, closing).await {
                tracing::debug!(%error, "closing a connection that does not answer");
            }
        });
    }
}

async fn open(uri: AMQPUri, target: Arc<Target>, role: &'static str) -> lapin::Result<Connection> {
    let name = format!("antiphon {role}");
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    Connection::connect_uri_with_config(uri, properties, target.tls(), default_runtime()?).await
}

/// A connection for one task. What it took and did not ack is ready again once this is gone.
pub(super) struct Apart<'a> {
    link: &'a Link,
    connection: Connection,
}

impl Apart<'_> {
    pub(super) async fn channel(&self) -> Result<Channel, QueueError> {
        self.link.call("opening a channel", self.connection.create_channel()).await
    }

    /// Returns when the broker knows that we are gone. Dropping does the same, and does not wait.
    pub(super) async fn close(self) {
        let closing = self.connection.close(CLOSE_OK, "done".into());
        if let Ok(Err(error)) = timeout(CALL_MAX, closing).await {
            tracing::debug!(%error, "closing a connection: the broker closed it first");
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("target", &self.target).field("role", &self.role).finish_non_exhaustive()
    }
}
