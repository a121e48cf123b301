//! One request, and what can become of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::body::Bytes;
use hyper::header::HeaderValue;
use hyper::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::keys::Key;
use super::session::Session;

/// A request that can be sent any number of times: it reads, deletes, or carries a key.
#[derive(Debug, Clone)]
pub(super) struct Call {
    method: Method,
    path: String,
    session: Option<Arc<Session>>,
    key: Option<Key>,
    body: Bytes,
}

impl Call {
    /// Reads.
    pub(super) fn get(path: String) -> Self {
        Self { method: Method::GET, path, session: None, key: None, body: Bytes::new() }
    }

    /// Creates; a repetition with the same key creates nothing more.
    pub(super) fn post(path: String, key: Key, body: &impl Serialize) -> Self {
        // Bodies here are structs of texts and ids, which always have a JSON form.
        let body = serde_json::to_vec(body).unwrap_or_default().into();
        Self { method: Method::POST, path, session: None, key: Some(key), body }
    }

    /// Deletes.
    pub(super) fn delete(path: String) -> Self {
        Self { method: Method::DELETE, path, session: None, key: None, body: Bytes::new() }
    }

    /// In the name of this user.
    #[must_use]
    pub(super) fn by(self, session: &Arc<Session>) -> Self {
        Self { session: Some(Arc::clone(session)), ..self }
    }

    pub(super) fn method(&self) -> &Method {
        &self.method
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn session(&self) -> Option<&Session> {
        self.session.as_deref()
    }

    pub(super) fn key(&self) -> Option<&Key> {
        self.key.as_ref()
    }

    pub(super) fn body(&self) -> &Bytes {
        &self.body
    }
}

/// Why a request did not do what it should.
#[derive(Debug, Error)]
pub(super) enum CallError {
    /// *Do not repeat it: the server understood, and will not.*
    #[error("the server answered {status}: {detail}")]
    Refused {
        /// Neither a success nor a passing failure.
        status: StatusCode,
        /// From the problem document, or the start of the body.
        detail: String,
    },
    /// *Look whether the server is still there.*
    #[error("gave up (attempts: {attempts}): {last}")]
    GaveUp {
        /// How often it was sent.
        attempts: u32,
        /// What happened last.
        last: Failure,
    },
    /// *Compare the versions of client and server.*
    #[error("the server's answer has another shape")]
    Unreadable(#[source] serde_json::Error),
}

impl CallError {
    /// Whether the server refused with this status.
    pub(super) fn is(&self, expected: StatusCode) -> bool {
        matches!(self, Self::Refused { status, .. } if *status == expected)
    }
}

/// What may be over at the next attempt.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Failure {
    /// Not reached, or cut off.
    #[error("{0}")]
    Connection(String),
    /// No answer in time.
    #[error("no answer in time")]
    Timeout,
    /// 429 or 503: later.
    #[error("the server answered {0}")]
    Unavailable(StatusCode),
    /// Another 5xx.
    #[error("the server answered {0}")]
    Internal(StatusCode),
}

impl Failure {
    /// None if repeating the request would not help.
    pub(super) fn of(status: StatusCode) -> Option<Self> {
        match status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                Some(Self::Unavailable(status))
            }
            StatusCode::REQUEST_TIMEOUT => Some(Self::Timeout),
            _ => status.is_server_error().then_some(Self::Internal(status)),
        }
    }

    /// With the innermost reason, which hyper's own message leaves out.
    pub(super) fn connection(error: &hyper_util::client::legacy::Error) -> Self {
        let mut innermost: &dyn std::error::Error = error;
        while let Some(source) = innermost.source() {
            innermost = source;
        }
        Self::Connection(format!("{error}: {innermost}"))
    }
}

/// How often requests were sent again, and why.
#[derive(Debug, Default)]
pub(super) struct Retries {
    connection: AtomicU64,
    timeout: AtomicU64,
    unavailable: AtomicU64,
    internal: AtomicU64,
}

impl Retries {
    pub(super) fn count(&self, failure: &Failure) {
        let counter = match failure {
            Failure::Connection(_) => &self.connection,
            Failure::Timeout => &self.timeout,
            Failure::Unavailable(_) => &self.unavailable,
            Failure::Internal(_) => &self.internal,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// In words, with the numbers.
    pub(super) fn by_reason(&self) -> [(&'static str, u64); 4] {
        [
            ("connection lost", &self.connection),
            ("no answer in time", &self.timeout),
            ("429 or 503", &self.unavailable),
            ("other 5xx", &self.internal),
        ]
        .map(|(reason, counter)| (reason, counter.load(Ordering::Relaxed)))
    }
}

/// What the server said in place of success.
pub(super) fn refusal(status: StatusCode, body: &[u8]) -> CallError {
    #[derive(Deserialize)]
    struct Problem {
        detail: String,
        field: Option<String>,
    }
    let detail = match serde_json::from_slice(body) {
        Ok(Problem { detail, field: Some(field) }) => format!("{field}: {detail}"),
        Ok(Problem { detail, field: None }) => detail,
        Err(_) => String::from_utf8_lossy(body).chars().take(200).collect(),
    };
    CallError::Refused { status, detail }
}

/// The seconds of a `Retry-After` header; its other form, a date, is not read.
pub(super) fn retry_after(value: Option<&HeaderValue>) -> Option<Duration> {
    value?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_repeated() {
        for (status, repeated) in [
            (400, false),
            (401, false),
            (404, false),
            (409, false),
            (410, false),
            (408, true),
            (429, true),
            (500, true),
            (503, true),
            (507, true),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(Failure::of(status).is_some(), repeated, "{status}");
        }
        let header = HeaderValue::from_static("3");
        assert_eq!(retry_after(Some(&header)), Some(Duration::from_secs(3)));
        assert_eq!(retry_after(Some(&HeaderValue::from_static("Fri, 31 Dec 1999 23:59:59 GMT"))), None);
    }

    #[test]
    fn refusals_say_what_the_server_said() {
        let problem =
            br#"{"type":"/problems/bad-request","title":"t","status":400,"detail":"shorter","field":"text"}"#;
        let error = refusal(StatusCode::BAD_REQUEST, problem);
        assert_eq!(error.to_string(), "the server answered 400 Bad Request: text: shorter");
        assert!(error.is(StatusCode::BAD_REQUEST) && !error.is(StatusCode::GONE));
        let plain = refusal(StatusCode::NOT_FOUND, b"no\xff");
        assert_eq!(plain.to_string(), "the server answered 404 Not Found: no\u{fffd}");
    }
}
