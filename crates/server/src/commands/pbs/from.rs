//! What was measured: a file of numbers, or the `/status` of a running server.

use super::super::error::CommandError;
use super::wrong;
use crate::status::{LagStatus, Window};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use pbs::{Distribution, SAMPLES_MAX};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::timeout;

/// The longest status, and the longest file of numbers, in bytes.
const BYTES_MAX: u64 = 32 << 20;
/// How long a server may take to tell its status: it asks its broker for depths.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// As much of a status as is needed here.
#[derive(Debug, Deserialize)]
struct Status {
    links: BTreeMap<String, Link>,
}

#[derive(Debug, Deserialize)]
struct Link {
    lag: LagStatus,
}

/// The numbers in a file, separated by white space.
pub(super) fn samples(name: &str) -> Result<Vec<f64>, String> {
    let text = file(Path::new(name)).map_err(|error| format!("{name}: {error}"))?;
    let text = String::from_utf8(text).map_err(|_| format!("{name}: it is not UTF-8"))?;
    let mut numbers = Vec::new();
    for (line, words) in text.lines().enumerate() {
        for word in words.split_whitespace() {
            let number =
                word.parse().map_err(|_| format!("{name}, line {}: {word:?} is no number", line + 1))?;
            numbers.push(number);
            if numbers.len() > SAMPLES_MAX {
                return Err(format!("{name}: more than {SAMPLES_MAX} numbers"));
            }
        }
    }
    Ok(numbers)
}

fn file(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > BYTES_MAX {
        return Err(std::io::Error::other(format!("it is longer than {BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

/// The links of a server that counted anything, each with how long its changes took.
pub(super) async fn measured(
    source: &str,
    link: Option<&str>,
    last_hour: bool,
) -> Result<Vec<(String, Distribution)>, CommandError> {
    let body = if source.starts_with("http://") {
        ask(source).await.map_err(|why| CommandError::Asked { url: source.to_owned(), why })?
    } else if source.contains("://") {
        return Err(wrong("--from", format_args!("{source}: it takes http://host:port, or a file")));
    } else {
        let path = PathBuf::from(source);
        file(&path).map_err(|source| CommandError::File { path, source })?
    };
    let status: Status = serde_json::from_slice(&body)
        .map_err(|error| wrong("--from", format_args!("{source}: it is no status of a server: {error}")))?;
    let names: Vec<_> = status.links.keys().cloned().collect();
    let mut measured = Vec::new();
    for (name, link_status) in status.links {
        if link.is_some_and(|wanted| !name.starts_with(wanted)) {
            continue;
        }
        let LagStatus { since_start, last_hour: hour } = link_status.lag;
        let Window { buckets, count, .. } = if last_hour { hour } else { since_start };
        if count == 0 {
            continue;
        }
        let times = Distribution::histogram(&buckets)
            .map_err(|error| wrong("--from", format_args!("{source}, {name}: {error}")))?;
        measured.push((name, times));
    }
    if measured.is_empty() {
        let wanted = link.map(|link| format!(" {link}")).unwrap_or_default();
        let why =
            format!("{source}: no link{wanted} has counted anything yet; there are {}", names.join(", "));
        return Err(wrong("--from", why));
    }
    Ok(measured)
}

async fn ask(source: &str) -> Result<Vec<u8>, String> {
    let base = source.trim_end_matches('/');
    let url = if base.ends_with("/status") { base.to_owned() } else { format!("{base}/status") };
    let url = url.parse().map_err(|error| format!("it is no URL: {error}"))?;
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    let answered = async {
        let answer = client.get(url).await.map_err(|error| consumer::Chain(&error).to_string())?;
        if !answer.status().is_success() {
            return Err(format!("it answered {}", answer.status()));
        }
        let bytes_max = usize::try_from(BYTES_MAX).unwrap_or(usize::MAX);
        let body = Limited::new(answer.into_body(), bytes_max).collect().await;
        body.map(|body| body.to_bytes().to_vec()).map_err(|error| error.to_string())
    };
    timeout(ANSWER_MAX, answered).await.unwrap_or_else(|_| Err(format!("no answer within {ANSWER_MAX:?}")))
}
