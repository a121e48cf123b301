//! What the URL says.

use super::limits::{RETENTION_SECS_MAX, RETENTION_SECS_MIN};
use super::names::Names;
use crate::{QueueError, QueueUrl};

/// Region of an endpoint that is not Amazon's, unless it is told: it is signed into every request, and into every ARN.
const REGION_DEFAULT: &str = "us-east-1";
/// Credentials for an endpoint that asks for none: the protocol has no request without a signature.
const KEY_DEFAULT: &str = "antiphon";

/// How a message gets to every subscription of its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FanOut {
    /// SNS does it.
    Sns {
        /// Whether it delivers the message as it is, and not within a notification of its own.
        raw: bool,
    },
    /// The publisher sends it to the queue of each.
    Queues,
}

/// Where requests go, and who signs them.
#[derive(Clone)]
pub(super) enum Place {
    /// Amazon, with the credentials of the SDK's own chain.
    Amazon,
    /// Somewhere else.
    Endpoint { url: String, tls: bool, key: String, secret: String },
}

/// A URL of this backend, read and checked.
pub(super) struct Options {
    pub(super) place: Place,
    pub(super) region: String,
    pub(super) fan_out: FanOut,
    /// For how long queues keep messages, if the URL says so: then it is also set on queues that are there.
    pub(super) retention_secs: Option<u32>,
    pub(super) names: Names,
}

fn refused(url: &QueueUrl, why: &str) -> QueueError {
    QueueError::Refused(format!("{url}: {why}"))
}

impl Options {
    /// Errors: [`QueueError::Refused`], which names the part that is wrong and what it may be.
    pub(super) fn read(url: &QueueUrl) -> Result<Self, QueueError> {
        let amazon = url.scheme() == "sqs";
        if amazon {
            url.only(&["fanout", "raw", "retention"])?;
        } else {
            url.only(&["fanout", "raw", "region", "retention"])?;
        }
        if !url.path().is_empty() {
            return Err(refused(url, "nothing may stand behind the host: queues are named by subscriptions"));
        }
        let legal = |region: &str| {
            !region.is_empty() && region.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        };
        let region = if amazon { url.hosts() } else { url.parameter("region").unwrap_or(REGION_DEFAULT) };
        if !legal(region) {
            return Err(refused(url, "a region is made of a-z, 0-9 and '-': sqs://eu-west-1"));
        }
        Ok(Self {
            place: if amazon { amazon_of(url)? } else { endpoint_of(url)? },
            region: region.to_owned(),
            fan_out: fan_out(url, amazon)?,
            retention_secs: url.parameter("retention").map(|text| retention(url, text)).transpose()?,
            names: Names::new(url.prefix()),
        })
    }
}

fn amazon_of(url: &QueueUrl) -> Result<Place, QueueError> {
    if url.user().is_some() {
        return Err(refused(
            url,
            "credentials for Amazon do not stand in the URL: the AWS SDK reads them from the environment, the profile, \
             or what the machine is given",
        ));
    }
    Ok(Place::Amazon)
}

fn endpoint_of(url: &QueueUrl) -> Result<Place, QueueError> {
    let hosts = url.hosts();
    if hosts.is_empty() || hosts.contains(',') {
        return Err(refused(url, "it takes one HOST:PORT"));
    }
    let tls = url.scheme() == "sqs+https";
    let (key, secret) = match (url.user(), url.password()) {
        (None, _) => (KEY_DEFAULT, KEY_DEFAULT),
        (Some(key), Some(secret)) => (key, secret),
        (Some(_), None) => return Err(refused(url, "there is a key without a secret: KEY:SECRET@HOST:PORT")),
    };
    let scheme = if tls { "https" } else { "http" };
    let (key, secret) = (key.to_owned(), secret.to_owned());
    Ok(Place::Endpoint { url: format!("{scheme}://{hosts}"), tls, key, secret })
}

fn fan_out(url: &QueueUrl, amazon: bool) -> Result<FanOut, QueueError> {
    let raw: Option<bool> = url.parsed("raw")?;
    let sns = match url.parameter("fanout") {
        Some("sns") => true,
        Some("queues") => false,
        None => amazon,
        Some(_) => return Err(refused(url, "fanout is sns or queues")),
    };
    match (sns, raw) {
        (true, raw) => Ok(FanOut::Sns { raw: raw.unwrap_or(true) }),
        (false, None) => Ok(FanOut::Queues),
        (false, Some(_)) => Err(refused(url, "raw concerns what SNS delivers: it goes with fanout=sns")),
    }
}

fn retention(url: &QueueUrl, text: &str) -> Result<u32, QueueError> {
    let (number, unit_secs) = match (text.strip_suffix('d'), text.strip_suffix('s')) {
        (Some(days), _) => (days, 24 * 60 * 60),
        (_, Some(secs)) => (secs, 1),
        _ => ("", 1),
    };
    number
        .parse::<u32>()
        .ok()
        .and_then(|number| number.checked_mul(unit_secs))
        .filter(|secs| (RETENTION_SECS_MIN..=RETENTION_SECS_MAX).contains(secs))
        .ok_or_else(|| refused(url, "retention is 60s to 14d, in seconds (s) or days (d)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Options, QueueError> {
        Options::read(&text.parse().unwrap())
    }

    #[test]
    fn every_form_is_read() {
        let amazon = read("sqs://eu-west-1?retention=14d").unwrap();
        assert!(matches!(amazon.place, Place::Amazon));
        assert_eq!(amazon.fan_out, FanOut::Sns { raw: true });
        assert_eq!((amazon.region.as_str(), amazon.retention_secs), ("eu-west-1", Some(RETENTION_SECS_MAX)));
        let local = read("sqs+http://127.0.0.1:9324?region=local-1&retention=60s").unwrap();
        let Place::Endpoint { url, tls, key, .. } = local.place else { panic!("an endpoint") };
        assert_eq!((url.as_str(), tls, key.as_str()), ("http://127.0.0.1:9324", false, KEY_DEFAULT));
        assert_eq!(local.fan_out, FanOut::Queues);
        let wrapped = read("sqs+https://k:s@h?fanout=sns&raw=false").unwrap();
        assert_eq!(wrapped.fan_out, FanOut::Sns { raw: false });
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, word) in [
            ("sqs://", "region"),
            ("sqs://key:secret@eu-west-1", "credentials"),
            ("sqs://eu-west-1?region=x", "\"region\""),
            ("sqs+http://a,b", "one HOST"),
            ("sqs+http://key@h", "secret"),
            ("sqs+http://h/queue", "behind the host"),
            ("sqs+http://h?fanout=all", "fanout"),
            ("sqs+http://h?raw=true", "raw"),
            ("sqs+http://h?fanout=sns&raw=yes", "\"raw\""),
            ("sqs+http://h?retention=15d", "14d"),
            ("sqs+http://h?retention=4", "retention"),
        ] {
            let refusal = read(text).err().unwrap().to_string();
            assert!(refusal.contains(word), "{text}: {refusal}");
            assert!(!refusal.contains(":secret@"), "{refusal}");
        }
    }
}
