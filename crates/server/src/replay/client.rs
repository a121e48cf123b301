//! An HTTP/1.1 client that insists: what may have failed is sent again, with the same key, until it is answered.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use consumer::Backoff;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, RETRY_AFTER};
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

use super::answers::SignedIn;
use super::args::Base;
use super::call::{Call, CallError, Failure, Retries, refusal, retry_after};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// One attempt: a server that syncs slowly is slow, not dead.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);
/// All attempts of one request together: a server is restarted in less.
const INSIST: Duration = Duration::from_mins(2);
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
/// The longest that a server may make us wait with `Retry-After`.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(10);
/// The longest answer that is read: a page of a hundred of the longest comments fits.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// A bounded pool of kept-alive connections to one server.
#[derive(Debug)]
pub(super) struct Client {
    pool: Pool<HttpConnector, Full<Bytes>>,
    base: Base,
    /// One per connection; held only while a request is on the wire.
    permits: Semaphore,
    jitter: Mutex<fastrand::Rng>,
    retries: Retries,
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, CallError> {
    serde_json::from_slice(body).map_err(CallError::Unreadable)
}

/// An answer with its whole body.
struct Answer {
    status: StatusCode,
    retry_after: Option<Duration>,
    body: Bytes,
}

impl Client {
    /// A client of the server at `base` with at most so many connections. `seed` decides the waits between attempts.
    pub(super) fn new(base: Base, connections: u16, seed: u64) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let pool = Pool::builder(TokioExecutor::new())
            .pool_max_idle_per_host(usize::from(connections))
            .build(connector);
        let permits = Semaphore::new(usize::from(connections));
        let jitter = Mutex::new(fastrand::Rng::with_seed(seed));
        Self { pool, base, permits, jitter, retries: Retries::default() }
    }

    /// How often requests were sent again because of what happened to them.
    pub(super) fn retries(&self) -> &Retries {
        &self.retries
    }

    /// Sends until there is an answer that a repetition would not change, and reads it. A token that has expired on
    /// the way is renewed.
    pub(super) async fn send<T: DeserializeOwned>(&self, call: &Call) -> Result<T, CallError> {
        match (self.insist(call).await, call.session()) {
            (Err(error), Some(session)) if error.is(StatusCode::UNAUTHORIZED) => {
                let renewed: SignedIn = read(&self.insist(session.renewal()).await?)?;
                session.renew(&renewed.token);
                read(&self.insist(call).await?)
            }
            (body, _) => read(&body?),
        }
    }

    /// One attempt, without patience: whether anything answers here, so that a wrong address is told at once.
    pub(super) async fn reach(&self) -> Result<(), CallError> {
        match self.attempt(&Call::get("/health".to_owned())).await {
            Ok(_) => Ok(()),
            Err(last) => Err(CallError::GaveUp { attempts: 1, last }),
        }
    }

    /// One attempt, without patience: whether the server answers with success.
    pub(super) async fn probe(&self, call: &Call) -> bool {
        self.attempt(call).await.is_ok_and(|answer| answer.status.is_success())
    }

    /// Sends, and hangs up after a while without knowing what became of it. True if there was no answer by then.
    pub(super) async fn abandon(&self, call: &Call, after: Duration) -> bool {
        timeout(after, self.attempt(call)).await.is_err()
    }

    async fn insist(&self, call: &Call) -> Result<Bytes, CallError> {
        let started = Instant::now();
        let mut attempt = 0;
        loop {
            attempt += 1;
            let (failure, wait) = match self.attempt(call).await {
                Ok(answer) if answer.status.is_success() => return Ok(answer.body),
                Ok(answer) => match Failure::of(answer.status) {
                    None => return Err(refusal(answer.status, &answer.body)),
                    Some(failure) => (failure, answer.retry_after),
                },
                Err(failure) => (failure, None),
            };
            self.retries.count(&failure);
            let wait = self.backoff(attempt).max(wait.unwrap_or_default().min(RETRY_AFTER_MAX));
            if started.elapsed() + wait > INSIST {
                return Err(CallError::GaveUp { attempts: attempt, last: failure });
            }
            sleep(wait).await;
        }
    }

    async fn attempt(&self, call: &Call) -> Result<Answer, Failure> {
        // The semaphore is never closed; were it, only the bound on connections would be lost.
        let _permit = self.permits.acquire().await.ok();
        match timeout(ATTEMPT_TIMEOUT, self.exchange(call)).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::Timeout),
        }
    }

    async fn exchange(&self, call: &Call) -> Result<Answer, Failure> {
        let response =
            self.pool.request(self.request(call)?).await.map_err(|error| Failure::connection(&error))?;
        let status = response.status();
        let retry_after = retry_after(response.headers().get(RETRY_AFTER));
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| Failure::Connection(error.to_string()))?.to_bytes();
        Ok(Answer { status, retry_after, body })
    }

    fn request(&self, call: &Call) -> Result<Request<Full<Bytes>>, Failure> {
        let base = self.base.as_str();
        let mut request = Request::builder()
            .method(call.method())
            .uri(format!("{base}{}", call.path()))
            .header(HOST, base.trim_start_matches("http://"));
        if let Some(session) = call.session() {
            request = request.header(AUTHORIZATION, session.bearer());
        }
        if let Some(key) = call.key() {
            request = request.header("idempotency-key", key.as_str());
        }
        if *call.method() != Method::GET && !call.body().is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::new(call.body().clone()));
        request.map_err(|error| Failure::Connection(error.to_string()))
    }

    fn backoff(&self, attempt: u32) -> Duration {
        BACKOFF.delay(attempt, &mut self.jitter.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
