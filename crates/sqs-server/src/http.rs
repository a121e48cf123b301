//! The face: one address for every request, as SQS has it. What comes as JSON or as a form becomes a [`Call`], and what
//! it answers becomes JSON or XML.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use bytes::Bytes;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::engine::Engine;
use crate::error::{Kind, SqsError, SqsResult};

mod batch;
mod call;
mod messages;
mod operations;
mod page;
mod query;
mod queues;
mod tasks;
mod xml;

use call::Call;
pub(crate) use page::summaries;

/// Largest request, in bytes: the messages of a batch, and what their encoding may make of them.
pub const REQUEST_BYTES_MAX: usize = 8 << 20;

/// Most requests at a time, long polls included; more are answered `RequestThrottled`, which clients retry.
pub const REQUESTS_MAX: usize = 2_048;

/// Most memory for large requests at a time, in KiB: more wait.
const LARGE_KIB_MAX: u32 = 256 << 10;
/// Smaller requests are not counted.
const LARGE_BYTES_MIN: usize = 64 << 10;
/// For how long a request may take to arrive.
const ARRIVAL_MAX: Duration = Duration::from_secs(30);

const TRACE_ID: &str = "x-amzn-trace-id";
const TARGET: &str = "x-amz-target";
const TARGET_PREFIX: &str = "AmazonSQS.";
const JSON: &str = "application/x-amz-json-1.0";

#[derive(Debug, Clone)]
struct Face {
    engine: Arc<Engine>,
    requests: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

/// In which words a request came, and its answer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Json,
    Query,
}

/// The protocol as a service.
pub(crate) fn router(engine: Arc<Engine>) -> Router {
    let large = usize::try_from(LARGE_KIB_MAX).unwrap_or(Semaphore::MAX_PERMITS);
    let face = Face {
        engine,
        requests: Arc::new(Semaphore::new(REQUESTS_MAX)),
        large: Arc::new(Semaphore::new(large)),
    };
    // A queue's URL is an address of the query protocol, so every path is served.
    Router::new().fallback(answer).with_state(face)
}

async fn answer(State(face): State<Face>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let asks_query = parts.uri.query().is_some_and(|query| query.contains("Action="));
    if parts.method == Method::GET && !asks_query {
        return page::show(&face.engine, parts.uri.path(), &base_of(&parts.headers)).await;
    }
    let protocol = if parts.headers.contains_key(TARGET) { Protocol::Json } else { Protocol::Query };
    let request_id = face.engine.request_id();
    let mut action = String::new();
    let done = if let Ok(_permit) = face.requests.try_acquire() {
        face.run(&parts, body, protocol, &mut action).await
    } else {
        let message = format!("{REQUESTS_MAX} requests are being answered, which is the most: try again");
        Err(SqsError::new(Kind::Throttled, message))
    };
    render(protocol, &action, &done, &request_id)
}

/// The address under which the client sees this server.
fn base_of(headers: &HeaderMap) -> String {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    format!("http://{host}")
}

impl Face {
    async fn run(
        &self,
        parts: &axum::http::request::Parts,
        body: Body,
        protocol: Protocol,
        action: &mut String,
    ) -> SqsResult<Value> {
        let (body, _large) = self.read(&parts.headers, body).await?;
        let params = match protocol {
            Protocol::Json => {
                let target = parts.headers.get(TARGET).and_then(|target| target.to_str().ok());
                target
                    .and_then(|target| target.strip_prefix(TARGET_PREFIX))
                    .unwrap_or_default()
                    .clone_into(action);
                parse_json(&body)?
            }
            Protocol::Query => {
                let query = parts.uri.query().unwrap_or_default();
                query::parse(query.as_bytes(), &body, parts.uri.path(), action)?
            }
        };
        drop(body);
        let trace_header = parts.headers.get(TRACE_ID).and_then(|id| id.to_str().ok()).map(str::to_owned);
        let call = Call::new(Arc::clone(&self.engine), base_of(&parts.headers), params, trace_header);
        let action = action.clone();
        if action == operations::RECEIVE {
            // Dropped with its connection: what it had taken is given back.
            return operations::run(&call, &action).await;
        }
        // What was begun is finished, also when its client has gone.
        tokio::spawn(async move { operations::run(&call, &action).await }).await.unwrap_or_else(|error| {
            Err(SqsError::new(Kind::Internal, format!("the operation failed: {error}")))
        })
    }

    async fn read(
        &self,
        headers: &HeaderMap,
        body: Body,
    ) -> SqsResult<(Bytes, Option<OwnedSemaphorePermit>)> {
        let length =
            headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        let too_long = || {
            let message =
                format!("the request is longer than {REQUEST_BYTES_MAX} bytes: send less at a time");
            SqsError::new(Kind::MalformedInput, message)
        };
        let bytes_max = length.unwrap_or(REQUEST_BYTES_MAX);
        if bytes_max > REQUEST_BYTES_MAX {
            return Err(too_long());
        }
        let large = if bytes_max >= LARGE_BYTES_MIN {
            let kib = u32::try_from(bytes_max >> 10).unwrap_or(LARGE_KIB_MAX).min(LARGE_KIB_MAX);
            Arc::clone(&self.large).acquire_many_owned(kib).await.ok()
        } else {
            None
        };
        let read = tokio::time::timeout(ARRIVAL_MAX, to_bytes(body, REQUEST_BYTES_MAX)).await;
        let late = || {
            let message = format!("the request did not arrive within {} s", ARRIVAL_MAX.as_secs());
            SqsError::new(Kind::MalformedInput, message)
        };
        Ok((read.map_err(|_| late())?.map_err(|_| too_long())?, large))
    }
}

fn parse_json(body: &[u8]) -> SqsResult<serde_json::Map<String, Value>> {
    if body.is_empty() {
        return Ok(serde_json::Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(params)) => Ok(params),
        Ok(_) => Err(SqsError::new(Kind::MalformedInput, "the request is JSON, and not an object")),
        Err(error) => Err(SqsError::new(Kind::MalformedInput, format!("the request is not JSON: {error}"))),
    }
}

fn render(protocol: Protocol, action: &str, done: &SqsResult<Value>, request_id: &str) -> Response<Body> {
    if let Err(error) = done
        && !error.kind.is_sender_fault()
    {
        tracing::warn!(action, %error, "an operation failed");
    }
    let (status, content_type, text) = match (protocol, done) {
        (Protocol::Json, Ok(value)) => (200, JSON, value.to_string()),
        (Protocol::Json, Err(error)) => {
            let kind = format!("com.amazonaws.sqs#{}", error.kind.shape());
            let body = serde_json::json!({ "__type": kind, "message": error.message });
            (error.kind.status(), JSON, body.to_string())
        }
        (Protocol::Query, Ok(value)) => (200, "text/xml", xml::answer(action, value, request_id)),
        (Protocol::Query, Err(error)) => (error.kind.status(), "text/xml", xml::error(error, request_id)),
    };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert("x-amzn-requestid", id);
    }
    if let (Protocol::Json, Err(error)) = (protocol, done) {
        let fault = if error.kind.is_sender_fault() { "Sender" } else { "Receiver" };
        if let Ok(value) = HeaderValue::from_str(&format!("{};{fault}", error.kind.code())) {
            headers.insert("x-amzn-query-error", value);
        }
    }
    response
}
