//! What was measured: a file of numbers, or the `/status` of a running server.

use super::super::error::CommandError;
use super::super::status;
use super::wrong;
use crate::status::{LagStatus, Window};
use pbs::{Distribution, SAMPLES_MAX};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The longest file of numbers, or with a status, in bytes.
const BYTES_MAX: u64 = 32 << 20;

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
pub(super) fn samples(name: &str, bytes: Vec<u8>) -> Result<Vec<f64>, String> {
    let text = String::from_utf8(bytes).map_err(|_| format!("{name}: it is not UTF-8"))?;
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

/// All of a file, if it is not too long.
pub(super) fn file(path: &Path) -> std::io::Result<Vec<u8>> {
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
        status::ask(source).await?
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
