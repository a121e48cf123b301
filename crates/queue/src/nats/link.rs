//! The connection: bounded requests over it, and what went wrong with it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::client::{Request, RequestErrorKind};
use async_nats::connection::State;
use async_nats::header::HeaderMap;
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, ServerError};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::{QueueError, QueueUrl};

/// Longest wait for the connection when it is made first.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// Longest wait for any answer.
pub(super) const REQUEST_WAIT: Duration = Duration::from_secs(5);
/// How long a call waits for a connection that was lost.
const LINK_WAIT: Duration = Duration::from_secs(2);
/// How often it looks.
const LINK_TICK: Duration = Duration::from_millis(25);
/// First and longest pause between two attempts to connect again.
const RECONNECT_PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// How often a quiet server is asked whether it lives; two answers missing end the connection.
const PING_EVERY: Duration = Duration::from_secs(5);
/// A connection over which a request went unanswered is made anew, but not more often than this.
const RENEW_EVERY: Duration = Duration::from_secs(5);

/// Most answers to one request for messages that wait for us: more than any request asks for.
const WAITING_MAX: usize = 65_536;

/// Counts messages that arrived and never reached a receiver, by subscription and reason.
pub(super) const DROPPED: &str = "antiphon_queue_dropped_total";

/// The parameters of the URL that concern the connection.
pub(super) const CONNECTING: [&str; 2] = ["creds", "ca"];
/// Those and JetStream's own.
pub(super) const PARAMETERS: [&str; 3] = ["creds", "ca", "domain"];

/// What the server said is not allowed, and when we heard it.
#[derive(Debug, Default)]
struct Trouble {
    forbidden: Option<(Instant, String)>,
    last: Option<String>,
    renewed: Option<Instant>,
}

/// A connection that renews itself.
#[derive(Clone)]
pub(super) struct Link {
    client: Client,
    api: Arc<str>,
    shown: Arc<str>,
    trouble: Arc<Mutex<Trouble>>,
    /// Counts the losses of the connection.
    losses: watch::Receiver<u64>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({})", self.shown)
    }
}

/// Why a request has no answer.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// Nobody listens to its subject.
    Nobody,
    /// Something else.
    Other(QueueError),
}

/// What the server answers to a request that it refuses.
#[derive(Debug, Clone, serde::Deserialize)]
pub(super) struct ApiError {
    /// As in HTTP.
    #[serde(default)]
    pub(super) code: u16,
    /// JetStream's own number.
    #[serde(default)]
    pub(super) err_code: u16,
    #[serde(default)]
    pub(super) description: String,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (error {})", self.description, self.err_code)
    }
}

impl ApiError {
    pub(super) const NO_CONSUMER: u16 = 10_014;
    pub(super) const NO_STREAM: u16 = 10_059;
    pub(super) const NO_MESSAGE: u16 = 10_037;
    /// A consumer of that name was made meanwhile.
    const CONSUMER_EXISTS: [u16; 3] = [10_013, 10_105, 10_148];
    /// A stream of that name was made meanwhile.
    const STREAM_EXISTS: u16 = 10_058;
    const NOT_ENABLED: [u16; 2] = [10_039, 10_076];
    const OVERLAP: u16 = 10_065;
    const NOT_CLUSTERED: u16 = 10_074;
    const NO_PEERS: u16 = 10_005;
    /// Storage or memory of the server or of the account is used up.
    const RESOURCES: [u16; 4] = [10_002, 10_023, 10_028, 10_047];

    pub(super) fn is_race(&self) -> bool {
        self.err_code == Self::STREAM_EXISTS || Self::CONSUMER_EXISTS.contains(&self.err_code)
    }
}

/// Why the server did not do what it was asked for.
#[derive(Debug)]
pub(super) enum Failure {
    /// It said why.
    Told(ApiError),
    /// It did not answer.
    Silent(QueueError),
}

/// What every answer of the server is.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Answer<T> {
    Failed { error: ApiError },
    Done(T),
}

/// Reads an answer of JetStream.
pub(super) fn read_answer<T: DeserializeOwned>(payload: &[u8]) -> Result<T, Failure> {
    match serde_json::from_slice(payload) {
        Ok(Answer::Done(done)) => Ok(done),
        Ok(Answer::Failed { error }) => Err(Failure::Told(error)),
        Err(error) => {
            let text = String::from_utf8_lossy(payload);
            Err(Failure::Silent(QueueError::broken(format!("the server answers {text:.200}: {error}"))))
        }
    }
}

impl Link {
    /// Connects, whatever the server offers. A subscription's messages wait for us up to `waiting_max`; the client drops
    /// what comes then.
    pub(super) async fn open(url: &QueueUrl, seed: u64, waiting_max: usize) -> Result<Self, QueueError> {
        let trouble: Arc<Mutex<Trouble>> = Arc::default();
        let (loss, losses) = watch::channel(0);
        let scheme = if url.scheme().ends_with("tls") { "tls" } else { "nats" };
        let options = options(url, seed).await?.require_tls(scheme == "tls");
        let options = options.subscription_capacity(waiting_max).event_callback({
            let trouble = Arc::clone(&trouble);
            move |event| {
                note(&trouble, &loss, &event);
                std::future::ready(())
            }
        });
        let hosts: Vec<_> = url.hosts().split(',').map(|host| format!("{scheme}://{host}")).collect();
        let connecting = timeout(CONNECT_WAIT, options.connect(hosts));
        let client = match connecting.await {
            Ok(Ok(client)) => client,
            Ok(Err(error)) => return Err(not_connected(url, &error)),
            Err(_) => {
                return Err(QueueError::unavailable(format!(
                    "{url} does not answer within {CONNECT_WAIT:?}"
                )));
            }
        };
        let api = match url.parameter("domain") {
            None => "$JS.API".into(),
            Some(domain) if domain.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') => {
                format!("$JS.{domain}.API").into()
            }
            Some(domain) => {
                return Err(QueueError::Refused(format!("{url}: {domain:?} is not the name of a domain")));
            }
        };
        Ok(Self { client, api, shown: url.to_string().into(), trouble, losses })
    }

    /// Connects, and asks whether JetStream is there.
    pub(super) async fn connect(url: &QueueUrl, seed: u64) -> Result<Self, QueueError> {
        let link = Self::open(url, seed, WAITING_MAX).await?;
        match link.request(format!("{}.INFO", link.api), None, Bytes::new(), REQUEST_WAIT).await {
            Ok(answer) => match read_answer::<Value>(&answer.payload) {
                Ok(_) => Ok(link),
                Err(failure) => Err(link.failed(failure, "the account")),
            },
            Err(NoAnswer::Nobody) => Err(QueueError::broken(format!(
                "{url} runs without JetStream: start the server with -js, or allow it for this account"
            ))),
            Err(NoAnswer::Other(error)) => Err(error),
        }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// The subject of an operation of JetStream.
    pub(super) fn api_subject(&self, operation: &str) -> String {
        format!("{}.{operation}", self.api)
    }

    /// Most bytes of a message, headers included.
    pub(super) fn payload_bytes_max(&self) -> usize {
        self.client.server_info().max_payload
    }

    fn trouble(&self) -> std::sync::MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An [`Unavailable`](QueueError::Unavailable) that says what is known.
    pub(super) fn unavailable(&self, what: impl fmt::Display) -> QueueError {
        let last = self.trouble().last.clone().map(|last| format!(" ({last})")).unwrap_or_default();
        QueueError::unavailable(format!("{}: {what}{last}", self.shown))
    }

    /// A [`Broken`](QueueError::Broken) that names the server.
    pub(super) fn broken(&self, what: impl fmt::Display) -> QueueError {
        QueueError::broken(format!("{}: {what}", self.shown))
    }

    /// Waits a little for the connection, if it is lost. Sending without one would leave the request in the client's
    /// buffer, to be sent long after its caller was told that it failed.
    pub(super) async fn connected(&self) -> Result<(), QueueError> {
        let give_up = Instant::now() + LINK_WAIT;
        while self.client.connection_state() != State::Connected {
            if Instant::now() >= give_up {
                return Err(self.unavailable("not connected"));
            }
            sleep(LINK_TICK).await;
        }
        Ok(())
    }

    /// Returns when the connection is lost.
    pub(super) fn lost(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut losses = self.losses.clone();
        losses.mark_unchanged();
        async move {
            if losses.changed().await.is_err() {
                // The client is gone, and reports no more. Whoever waits has a bound of its own.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Whether the server has forbidden nothing since then. It says so in no answer, but beside them.
    pub(super) fn allowed(&self, since: Instant, what: &str) -> Result<(), QueueError> {
        match self.trouble().forbidden.clone().filter(|(at, _)| *at >= since) {
            Some((_, told)) => Err(self.broken(format_args!("{what} is not allowed to this user: {told}"))),
            None => Ok(()),
        }
    }

    /// A request over this connection went unanswered: perhaps the other end is gone and nobody told us.
    pub(super) async fn unanswered(&self, since: Instant, what: String) -> QueueError {
        if let Err(error) = self.allowed(since, &what) {
            return error;
        }
        let now = Instant::now();
        let renew = {
            let mut trouble = self.trouble();
            let renew = trouble.renewed.is_none_or(|at| now - at > RENEW_EVERY);
            if renew {
                trouble.renewed = Some(now);
            }
            renew
        };
        if renew && !matches!(timeout(LINK_TICK, self.client.force_reconnect()).await, Ok(Ok(()))) {
            tracing::debug!(link = %self.shown, "the client is too busy to be told to connect again");
        }
        self.unavailable(format_args!("{what}: no answer"))
    }

    /// Asks, and waits up to `wait` for the answer.
    pub(super) async fn request(
        &self,
        subject: String,
        headers: Option<HeaderMap>,
        payload: Bytes,
        wait: Duration,
    ) -> Result<async_nats::Message, NoAnswer> {
        self.connected().await.map_err(NoAnswer::Other)?;
        let (since, lost) = (Instant::now(), self.lost());
        let mut request = Request::new().payload(payload).timeout(Some(wait));
        if let Some(headers) = headers {
            request = request.headers(headers);
        }
        let answer = tokio::select! {
            biased;
            // The outer limit covers the client's queue of commands, which the inner one does not.
            answer = timeout(wait, self.client.send_request(subject.clone(), request)) => answer,
            () = lost => return Err(NoAnswer::Other(self.unavailable("the connection was lost"))),
        };
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => match error.kind() {
                RequestErrorKind::NoResponders => Err(NoAnswer::Nobody),
                RequestErrorKind::TimedOut => {
                    Err(NoAnswer::Other(self.unanswered(since, format!("a request to {subject}")).await))
                }
                RequestErrorKind::MaxPayloadExceeded | RequestErrorKind::InvalidSubject => {
                    Err(NoAnswer::Other(QueueError::Refused(format!("a request to {subject}: {error}"))))
                }
                RequestErrorKind::Other => Err(NoAnswer::Other(self.unavailable(error))),
            },
            Err(_) => Err(NoAnswer::Other(self.unanswered(since, format!("a request to {subject}")).await)),
        }
    }

    /// Asks JetStream to do something.
    pub(super) async fn ask<T: DeserializeOwned>(&self, operation: &str, body: &Value) -> Result<T, Failure> {
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        match self.request(self.api_subject(operation), None, body, REQUEST_WAIT).await {
            Ok(answer) => read_answer(&answer.payload),
            Err(NoAnswer::Nobody) => Err(Failure::Silent(self.unavailable("JetStream does not answer"))),
            Err(NoAnswer::Other(error)) => Err(Failure::Silent(error)),
        }
    }

    /// What to tell the caller of something that failed at `what`.
    pub(super) fn failed(&self, failure: Failure, what: &str) -> QueueError {
        let error = match failure {
            Failure::Silent(error) => return error,
            Failure::Told(error) => error,
        };
        let code = error.err_code;
        let refused = |remedy: &str| QueueError::Refused(format!("{what}: {error}: {remedy}"));
        if ApiError::NOT_ENABLED.contains(&code) {
            self.broken(format_args!("{error}: start the server with -js, or allow it for this account"))
        } else if code == ApiError::OVERLAP {
            refused("a stream of somebody else takes messages of this prefix: choose another ?prefix=")
        } else if code == ApiError::NOT_CLUSTERED {
            refused("this server is no cluster: leave out ?replicas=")
        } else if code == ApiError::NO_PEERS {
            self.unavailable(format_args!("{what}: {error}: fewer servers are there than ?replicas= wants"))
        } else if ApiError::RESOURCES.contains(&code) {
            refused("the server or the account has no storage left for it: raise its limits or make room")
        } else if error.code == 503 || code == ApiError::NO_STREAM || code == ApiError::NO_CONSUMER {
            self.unavailable(format_args!("{what}: {error}"))
        } else {
            QueueError::Refused(format!("{what}: {error}"))
        }
    }
}

fn note(trouble: &Mutex<Trouble>, loss: &watch::Sender<u64>, event: &Event) {
    let mut trouble = trouble.lock().unwrap_or_else(PoisonError::into_inner);
    match event {
        Event::Connected => trouble.last = None,
        Event::Disconnected => loss.send_modify(|losses| *losses += 1),
        Event::ServerError(ServerError::Other(text)) if text.to_lowercase().contains("permissions") => {
            tracing::error!(%text, "the NATS server forbids something");
            trouble.forbidden = Some((Instant::now(), text.clone()));
        }
        Event::ServerError(_) | Event::ClientError(_) => {
            tracing::warn!(%event, "trouble with the NATS server");
            trouble.last = Some(event.to_string());
        }
        Event::SlowConsumer(_) => {
            metrics::counter!(DROPPED, "reason" => "client full").increment(1);
            tracing::debug!(%event, "the client dropped a message");
        }
        _ => tracing::debug!(%event, "NATS"),
    }
}

async fn options(url: &QueueUrl, seed: u64) -> Result<ConnectOptions, QueueError> {
    let mut options = ConnectOptions::new()
        .name("antiphon")
        .connection_timeout(CONNECT_WAIT)
        .request_timeout(Some(REQUEST_WAIT))
        .ping_interval(PING_EVERY)
        .reconnect_delay_callback(move |attempts| pause(seed, attempts));
    options = match (url.user(), url.password()) {
        (None, _) => options,
        (Some(token), None) => options.token(token.to_owned()),
        (Some(user), Some(password)) => options.user_and_password(user.to_owned(), password.to_owned()),
    };
    if let Some(file) = url.parameter("creds") {
        options = options.credentials_file(file).await.map_err(|error| {
            QueueError::Refused(format!("the credentials of {url} in {file:?} cannot be read: {error}"))
        })?;
    }
    if let Some(file) = url.parameter("ca") {
        if !std::path::Path::new(file).is_file() {
            return Err(QueueError::Refused(format!("the certificates of {url}: there is no file {file:?}")));
        }
        options = options.add_root_certificates(file.into());
    }
    Ok(options)
}

/// The pause before an attempt to connect: none before the first, then it doubles, and its upper half is left to chance.
fn pause(seed: u64, attempts: usize) -> Duration {
    let (first, longest) = RECONNECT_PAUSES;
    if attempts <= 1 {
        return Duration::ZERO;
    }
    let doublings = u32::try_from(attempts - 2).unwrap_or(u32::MAX).min(16);
    let pause = first.saturating_mul(1 << doublings).min(longest);
    let chance = fastrand::Rng::with_seed(seed.wrapping_add(u64::from(doublings))).f64();
    pause.mul_f64(0.5 + chance / 2.0)
}

fn not_connected(url: &QueueUrl, error: &async_nats::ConnectError) -> QueueError {
    let told = format!("{url} cannot be reached: {error}");
    match error.kind() {
        ConnectErrorKind::ServerParse => QueueError::Refused(format!(
            "{url}: {error}: it is nats://USER:PASSWORD@HOST:PORT,HOST:PORT or tls://…, a port in each"
        )),
        ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
            QueueError::broken(format!("{url} does not accept these credentials: {error}"))
        }
        ConnectErrorKind::Tls => QueueError::broken(format!("{told}: check its certificate and ?ca=")),
        ConnectErrorKind::Io if is_about_tls(error) => {
            QueueError::broken(format!("{told}: check its certificate and ?ca="))
        }
        ConnectErrorKind::Dns
        | ConnectErrorKind::TimedOut
        | ConnectErrorKind::Io
        | ConnectErrorKind::MaxReconnects => QueueError::unavailable(told),
    }
}

/// The client reports a certificate that it does not trust as an I/O error with invalid data.
fn is_about_tls(error: &async_nats::ConnectError) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        if kind == Some(std::io::ErrorKind::InvalidData) {
            return true;
        }
        cause = error.source();
    }
    false
}
