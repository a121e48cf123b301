//! The counter that everybody writes first: each accepted post sends "+1", each accepted delete "−1".
//!
//! It exists to be compared with. Its messages go through the same queue, with the same faults, as the tallies, and its
//! handler is written with care: durable, in one transaction, acked after the commit. It drifts all the same, since a
//! duplicate is a second comment to it, and a request that is repeated is a second request.

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use consumer::{Context, Handler, HandlerError};
use http_body_util::BodyExt;
use queue::{Message, NameError, Publisher, Subscription, Topic};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use store::{Abort, SCAN_PAIRS_MAX, Scan, Store, StoreError};

/// Where its messages go.
pub(crate) const TOPIC: &str = "plain-counts";
/// Whose subscription it is, and the name of its store.
pub(crate) const NAME: &str = "plain-counter";
/// The first byte of its keys, which go on with the part's id.
const TAG: u8 = 0x10;
/// A careful sender repeats what failed, so many times at most.
const TRIES_MAX: usize = 5;

#[derive(Debug, Serialize, Deserialize)]
struct Increment {
    part: String,
    by: i64,
}

/// The counter: its store, and the publisher once the queue is there.
#[derive(Debug, Clone)]
pub(crate) struct PlainCounter {
    store: Store,
    topic: Topic,
    publisher: Arc<OnceLock<Arc<dyn Publisher>>>,
}

impl PlainCounter {
    pub(crate) fn new(store: Store) -> Result<Self, NameError> {
        Ok(Self { store, topic: Topic::new(TOPIC)?, publisher: Arc::default() })
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn subscription(&self, site: &str) -> Result<Subscription, NameError> {
        Subscription::new(self.topic.clone(), NAME, site)
    }

    /// The queue is there.
    pub(crate) fn connect(&self, publisher: Arc<dyn Publisher>) {
        self.publisher.get_or_init(|| publisher);
    }

    /// What it would show, by part.
    pub(crate) async fn counts(&self) -> Result<BTreeMap<String, i64>, StoreError> {
        let pairs = self.store.reader()?.scan(&Scan::prefix(&[TAG]).limit(SCAN_PAIRS_MAX)).await?;
        let part = |key: &[u8]| key.get(1..).map(|part| String::from_utf8_lossy(part).into_owned());
        Ok(pairs.iter().filter_map(|(key, value)| Some((part(key)?, count(value)))).collect())
    }

    async fn send(&self, increment: &Increment) {
        let Some(publisher) = self.publisher.get() else { return };
        let Ok(body) = serde_json::to_vec(increment) else { return };
        for _ in 0..TRIES_MAX {
            let answers = publisher.publish(&self.topic, vec![Message::new(body.clone())]).await;
            if answers.iter().all(Result::is_ok) {
                return;
            }
        }
    }
}

fn count(bytes: &[u8]) -> i64 {
    bytes.try_into().map_or(0, i64::from_be_bytes)
}

impl Handler for PlainCounter {
    async fn handle(&self, message: &Message, _context: &Context) -> Result<(), HandlerError> {
        let increment: Increment = serde_json::from_slice(&message.body)?;
        let key = [&[TAG], increment.part.as_bytes()].concat();
        let added = self.store.write(move |view| {
            let old = view.bytes(&key)?.map_or(0, |bytes| count(&bytes));
            view.set(key.clone(), old.saturating_add(increment.by).to_be_bytes().to_vec());
            Ok::<_, Abort<Infallible>>(())
        });
        Ok(added.await.map_err(store::WriteError::into_store)?)
    }
}

/// Sends ±1 for each request that is answered with success.
pub(crate) async fn count_requests(
    State(counter): State<PlainCounter>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let by = match (request.method(), path.as_deref()) {
        (&Method::POST, Some("/v1/parts/{part}/comments")) => 1,
        (&Method::DELETE, Some("/v1/comments/{comment}")) => -1,
        _ => return next.run(request).await,
    };
    let response = next.run(request).await;
    if !response.status().is_success() {
        return response;
    }
    let (parts, body) = response.into_parts();
    let Ok(body) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
        return Response::builder()
            .status(StatusCode::INTERNAL_SERVER_ERROR)
            .body(Body::empty())
            .unwrap_or_default();
    };
    let answer: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
    let part =
        answer.as_ref().and_then(|answer| answer.pointer("/comment/part")).and_then(|part| part.as_str());
    if let Some(part) = part {
        counter.send(&Increment { part: part.to_owned(), by }).await;
    }
    Response::from_parts(parts, Body::from(body))
}
