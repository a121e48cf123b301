//! What a person sees who opens the address in a browser.

use std::fmt::Write as _;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Response, StatusCode};

use crate::engine::Engine;
use crate::error::SqsError;
use crate::server::QueueSummary;

/// Most queues that the page lists.
const LISTED_MAX: usize = 1_000;

/// All queues and how much each holds, in the order of their names.
pub(crate) async fn summaries(engine: &Engine) -> Result<Vec<QueueSummary>, SqsError> {
    let mut found = Vec::new();
    for line in engine.lines() {
        match engine.counts(&line).await {
            Ok(counts) => found.push(QueueSummary {
                name: line.name().to_owned(),
                visible: counts.visible,
                in_flight: counts.in_flight,
                delayed: counts.delayed,
            }),
            // It was deleted meanwhile.
            Err(error) if error == SqsError::no_queue() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

fn table(queues: &[QueueSummary]) -> String {
    let mut text = String::new();
    let mut line = |name: &str, counts: [&str; 3]| {
        let [visible, in_flight, delayed] = counts;
        writeln!(text, "{name:<60} {visible:>10} {in_flight:>10} {delayed:>10}")
            .unwrap_or_else(|_| unreachable!("writing to a string cannot fail"));
    };
    line("queue", ["visible", "in flight", "delayed"]);
    for queue in queues.iter().take(LISTED_MAX) {
        let counts = [queue.visible, queue.in_flight, queue.delayed].map(|count| count.to_string());
        line(&queue.name, counts.each_ref().map(String::as_str));
    }
    if queues.len() > LISTED_MAX {
        line(&format!("and {} more", queues.len() - LISTED_MAX), ["", "", ""]);
    }
    text
}

/// Whether it can write, and which queues there are.
pub(super) async fn show(engine: &Engine, path: &str, base: &str) -> Response<Body> {
    let (status, text) = if !matches!(path, "/" | "/health") {
        // What SQS says at the URL of a queue.
        (StatusCode::NOT_FOUND, format!("<UnknownOperationException/>\nRequests of SQS are sent to {base}\n"))
    } else if let Some(error) = engine.stopped() {
        (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n"))
    } else {
        match summaries(engine).await {
            Ok(queues) => {
                let region = &engine.config().region;
                let head = format!(
                    "This is a durable SQS. Point any client of SQS at it:\n  aws --endpoint-url {base} --region {region} sqs list-queues\n\n"
                );
                (StatusCode::OK, head + &table(&queues))
            }
            Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")),
        }
    };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
