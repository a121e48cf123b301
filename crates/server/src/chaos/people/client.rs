//! How people and the watch reach the platform: the public API, over HTTP, at the address where everybody finds it.

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use thiserror::Error;
use tokio::time::timeout;

/// One answer may take so long.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// The longest answer that is read: a page of a hundred comments fits many times.
const ANSWER_BYTES_MAX: usize = 4 << 20;
/// Connections that are kept open.
const IDLE_MAX: usize = 64;

/// Why there is no answer to use.
#[derive(Debug, Error)]
pub(in crate::chaos) enum AskError {
    /// *Ask again, with the same key: it may have happened.*
    #[error("no answer: {0}")]
    NoAnswer(String),
    /// *Ask again later where the status is 429 or 5xx; else the request is wrong.*
    #[error("answered with {0}")]
    Refused(StatusCode),
    /// *A bug: the answer has another shape.*
    #[error("the answer lacks {0}")]
    Lacks(&'static str),
}

impl AskError {
    /// Whether the same request may succeed later.
    pub(in crate::chaos) fn is_passing(&self) -> bool {
        match self {
            Self::NoAnswer(_) => true,
            Self::Refused(status) => status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS,
            Self::Lacks(_) => false,
        }
    }
}

/// One request.
#[derive(Debug, Clone)]
pub(in crate::chaos) struct Ask {
    pub(in crate::chaos) method: Method,
    pub(in crate::chaos) path: String,
    /// In whose name.
    pub(in crate::chaos) token: Option<String>,
    /// The `Idempotency-Key`.
    pub(in crate::chaos) key: Option<String>,
    pub(in crate::chaos) body: Option<Value>,
}

impl Ask {
    /// Reads.
    pub(in crate::chaos) fn get(path: String) -> Self {
        Self { method: Method::GET, path, token: None, key: None, body: None }
    }
}

/// Connections to the platform.
#[derive(Debug)]
pub(in crate::chaos) struct Client {
    pool: Pool<HttpConnector, Full<Bytes>>,
    address: SocketAddr,
}

impl Client {
    /// A client of whoever listens at `address`, on this machine where that is everywhere.
    pub(in crate::chaos) fn new(mut address: SocketAddr) -> Self {
        if address.ip().is_unspecified() {
            address.set_ip(match address {
                SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let pool = Pool::builder(TokioExecutor::new()).pool_max_idle_per_host(IDLE_MAX).build(connector);
        Self { pool, address }
    }

    /// Asks once; the answer's JSON where it is a success.
    pub(in crate::chaos) async fn ask(&self, ask: &Ask) -> Result<Value, AskError> {
        match timeout(ANSWER_MAX, self.exchange(ask)).await {
            Ok(answer) => answer,
            Err(_) => Err(AskError::NoAnswer(format!("nothing within {ANSWER_MAX:?}"))),
        }
    }

    async fn exchange(&self, ask: &Ask) -> Result<Value, AskError> {
        let lost = |error: &dyn std::fmt::Display| AskError::NoAnswer(error.to_string());
        let address = self.address.to_string();
        let mut request = Request::builder()
            .method(ask.method.clone())
            .uri(format!("http://{address}{}", ask.path))
            .header(HOST, address);
        if let Some(token) = &ask.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(key) = &ask.key {
            request = request.header(api::idempotency::IDEMPOTENCY_HEADER, key.as_str());
        }
        let body = match &ask.body {
            None => Bytes::new(),
            Some(body) => {
                request = request.header(CONTENT_TYPE, "application/json");
                body.to_string().into()
            }
        };
        let request = request.body(Full::new(body)).map_err(|error| lost(&error))?;
        let response = self.pool.request(request).await.map_err(|error| lost(&error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| lost(&error))?.to_bytes();
        if !status.is_success() {
            return Err(AskError::Refused(status));
        }
        serde_json::from_slice(&body).map_err(|_| AskError::Lacks("JSON"))
    }
}
