//! A client of a few lines: what goes over the wire is seen, and nothing stands between.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The head, in small letters.
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Longest wait for an answer: longer than any long poll.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// Sends one request on a connection of its own. Errors are those of the connection.
pub(crate) fn ask(
    endpoint: &str,
    line: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> std::io::Result<Answer> {
    let host = endpoint.strip_prefix("http://").unwrap_or(endpoint);
    let more: String = headers.iter().flat_map(|(name, value)| [name, ": ", value, "\r\n"]).collect();
    let length = body.len();
    let request = format!(
        "{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n{more}\r\n{body}"
    );
    raw(endpoint, &request)
}

/// Sends what is no whole request, perhaps.
pub(crate) fn raw(endpoint: &str, request: &str) -> std::io::Result<Answer> {
    let host = endpoint.strip_prefix("http://").unwrap_or(endpoint);
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(ANSWER_MAX))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Ok(Answer { status, head: head.to_lowercase(), body: body.to_owned() })
}

/// A request of the JSON protocol.
pub(crate) fn json(endpoint: &str, action: &str, params: &serde_json::Value) -> std::io::Result<Answer> {
    let target = format!("AmazonSQS.{action}");
    let headers = [("X-Amz-Target", target.as_str()), ("Content-Type", "application/x-amz-json-1.0")];
    ask(endpoint, "POST /", &headers, &params.to_string())
}
