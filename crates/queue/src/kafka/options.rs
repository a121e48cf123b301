//! What a URL says about a cluster, and the settings of each client that follow from it.

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};

use crate::{ENVELOPE_BYTES_MAX, QueueError, QueueUrl};

/// Partitions of a topic that is made here.
const PARTITIONS_DEFAULT: i32 = 8;
/// Most partitions of a topic that is made here: each costs a queue in every receiver.
const PARTITIONS_MAX: i32 = 1_000;
const REPLICATION_MAX: i32 = 10;
/// How long a message is kept at least, unless the URL says otherwise.
const RETENTION_DEFAULT_SECS: i64 = 4 * DAY_SECS;
const RETENTION_MAX_SECS: i64 = 365 * DAY_SECS;
const DAY_SECS: i64 = 24 * 60 * 60;
/// After this long without a heartbeat a member's partitions go to others. Kafka accepts nothing below 6 s as it comes.
const SESSION_MS_DEFAULT: u32 = 10_000;
const SESSION_MS_MIN: u32 = 6_000;
const SESSION_MS_MAX: u32 = 300_000;
/// How long a broker holds a fetch that finds nothing.
const FETCH_WAIT_MS_DEFAULT: u32 = 100;
const FETCH_WAIT_MS_MAX: u32 = 5_000;
/// Longest wait for the answer to one request.
const REQUEST_MS_MAX: u32 = 10_000;
/// How long the client tries to deliver a message before publish answers `Unavailable`.
const DELIVERY_MS_MAX: u32 = 20_000;
/// Largest message that the client passes on: what an envelope may measure, and room for headers.
const MESSAGE_BYTES_MAX: usize = 2 * ENVELOPE_BYTES_MAX;
/// Most messages of one batch. A receiver starts this many earlier than it must (see [`REWIND`]).
const BATCH_MESSAGES_MAX: i64 = 64;
/// How far before the committed offset a receiver begins to read, to drop what it has: a broker that speaks the
/// protocol without being Kafka may hand out nothing of a batch when it is asked for an offset within it (tansu 0.6).
pub(super) const REWIND: i64 = BATCH_MESSAGES_MAX - 1;
/// Messages that the client fetches ahead, of each partition.
const AHEAD_MESSAGES_MAX: u32 = 256;
/// The same in KiB; one fetch more may be under way.
const AHEAD_KBYTES_MAX: u32 = 1_024;

/// The parameters that there are.
const KNOWN: [&str; 8] =
    ["partitions", "replication", "retention", "manage", "session_timeout_ms", "fetch_wait_ms", "sasl", "ca"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sasl {
    Plain,
    #[cfg(feature = "kafka-tls")]
    Scram256,
    #[cfg(feature = "kafka-tls")]
    Scram512,
}

/// A URL, read and checked.
#[derive(Clone)]
pub(super) struct Options {
    /// The URL as it may be shown.
    pub(super) shown: String,
    pub(super) prefix: Option<String>,
    hosts: String,
    login: Option<(String, String, Sasl)>,
    tls: bool,
    ca: Option<String>,
    /// Whether topics are made, mended and checked; else they are taken as they are.
    pub(super) manages: bool,
    /// `None`: what is there is right.
    pub(super) partitions: Option<i32>,
    pub(super) replication: Option<i32>,
    pub(super) retention_ms: i64,
    session_ms: u32,
    fetch_wait_ms: u32,
}

fn refused(url: &QueueUrl, why: &str) -> QueueError {
    QueueError::Refused(format!("{url}: {why}"))
}

fn within<T>(url: &QueueUrl, name: &str, least: T, most: T) -> Result<Option<T>, QueueError>
where
    T: std::str::FromStr<Err: std::fmt::Display> + PartialOrd + std::fmt::Display + Copy,
{
    match url.parsed::<T>(name)? {
        Some(value) if value < least || value > most => {
            Err(refused(url, &format!("{name} is {value}, and must be between {least} and {most}")))
        }
        value => Ok(value),
    }
}

fn retention_ms(url: &QueueUrl) -> Result<i64, QueueError> {
    let Some(text) = url.parameter("retention") else { return Ok(RETENTION_DEFAULT_SECS * 1_000) };
    let (number, unit) = match (text.strip_suffix('d'), text.strip_suffix('s')) {
        (Some(days), _) => (days, DAY_SECS),
        (_, Some(seconds)) => (seconds, 1),
        _ => ("", 1),
    };
    number
        .parse::<i64>()
        .ok()
        .and_then(|number| number.checked_mul(unit))
        .filter(|seconds| (60..=RETENTION_MAX_SECS).contains(seconds))
        .map(|seconds| seconds * 1_000)
        .ok_or_else(|| refused(url, "retention is 60s to 365d, in seconds (s) or days (d)"))
}

fn login(url: &QueueUrl) -> Result<Option<(String, String, Sasl)>, QueueError> {
    let sasl = match url.parameter("sasl") {
        None | Some("plain") => Sasl::Plain,
        #[cfg(feature = "kafka-tls")]
        Some("scram-sha-256") => Sasl::Scram256,
        #[cfg(feature = "kafka-tls")]
        Some("scram-sha-512") => Sasl::Scram512,
        #[cfg(not(feature = "kafka-tls"))]
        Some("scram-sha-256" | "scram-sha-512") => {
            return Err(refused(url, "SCRAM was left out of this build: build it with --features kafka-tls"));
        }
        Some(_) => return Err(refused(url, "sasl is plain, scram-sha-256 or scram-sha-512")),
    };
    match (url.user(), url.password()) {
        (Some(user), password) => Ok(Some((user.to_owned(), password.unwrap_or_default().to_owned(), sasl))),
        (None, _) if url.parameter("sasl").is_some() => {
            Err(refused(url, "sasl needs a user: user:password@"))
        }
        (None, _) => Ok(None),
    }
}

impl Options {
    pub(super) fn read(url: &QueueUrl) -> Result<Self, QueueError> {
        url.only(&KNOWN)?;
        let manages = match url.parameter("manage") {
            None | Some("yes") => true,
            Some("no") => false,
            Some(_) => return Err(refused(url, "manage is yes or no")),
        };
        let tls = url.scheme() == "kafka+ssl";
        if tls && cfg!(not(feature = "kafka-tls")) {
            return Err(refused(url, "TLS was left out of this build: build it with --features kafka-tls"));
        }
        if url.hosts().is_empty() || url.hosts().split(',').any(str::is_empty) {
            return Err(refused(url, "it names no broker: it is kafka://HOST:PORT,HOST:PORT"));
        }
        if !url.path().is_empty() {
            return Err(refused(url, "it has a path, and Kafka knows none: set ?prefix= instead"));
        }
        if url.parameter("ca").is_some() && !tls {
            return Err(refused(url, "ca is for kafka+ssl://"));
        }
        Ok(Self {
            shown: url.to_string(),
            prefix: url.prefix().map(str::to_owned),
            hosts: url.hosts().to_owned(),
            login: login(url)?,
            tls,
            ca: url.parameter("ca").map(str::to_owned),
            manages,
            partitions: within(url, "partitions", 1, PARTITIONS_MAX)?,
            replication: within(url, "replication", 1, REPLICATION_MAX)?,
            retention_ms: retention_ms(url)?,
            session_ms: within(url, "session_timeout_ms", SESSION_MS_MIN, SESSION_MS_MAX)?
                .unwrap_or(SESSION_MS_DEFAULT),
            fetch_wait_ms: within(url, "fetch_wait_ms", 1, FETCH_WAIT_MS_MAX)?
                .unwrap_or(FETCH_WAIT_MS_DEFAULT),
        })
    }

    /// Partitions of a topic that is made now.
    pub(super) fn partitions_made(&self) -> i32 {
        self.partitions.unwrap_or(PARTITIONS_DEFAULT)
    }

    /// What all clients share.
    pub(super) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.hosts)
            .set("client.id", "antiphon")
            .set("socket.timeout.ms", REQUEST_MS_MAX.to_string())
            .set("socket.keepalive.enable", "true")
            .set("socket.nagle.disable", "true")
            .set("reconnect.backoff.max.ms", "2000")
            .set(
                "security.protocol",
                match (self.tls, self.login.is_some()) {
                    (false, false) => "plaintext",
                    (false, true) => "sasl_plaintext",
                    (true, false) => "ssl",
                    (true, true) => "sasl_ssl",
                },
            )
            .set_log_level(RDKafkaLogLevel::Info);
        if let Some((user, password, sasl)) = &self.login {
            let mechanism = match sasl {
                Sasl::Plain => "PLAIN",
                #[cfg(feature = "kafka-tls")]
                Sasl::Scram256 => "SCRAM-SHA-256",
                #[cfg(feature = "kafka-tls")]
                Sasl::Scram512 => "SCRAM-SHA-512",
            };
            config.set("sasl.mechanism", mechanism).set("sasl.username", user).set("sasl.password", password);
        }
        if let Some(ca) = &self.ca {
            config.set("ssl.ca.location", ca);
        }
        config
    }

    /// A client that publishes.
    ///
    /// It is not idempotent in Kafka's sense: duplicates are allowed here, while an idempotent producer that a broker
    /// no longer knows is broken for good, and takes "I had this number" for "I have this message".
    pub(super) fn producer(&self) -> ClientConfig {
        let mut config = self.client();
        config
            .set("acks", "all")
            .set("enable.idempotence", "false")
            .set("message.timeout.ms", DELIVERY_MS_MAX.to_string())
            .set("request.timeout.ms", REQUEST_MS_MAX.to_string())
            .set("linger.ms", "2")
            .set("batch.num.messages", BATCH_MESSAGES_MAX.to_string())
            .set("message.max.bytes", MESSAGE_BYTES_MAX.to_string())
            .set("queue.buffering.max.messages", "10000")
            .set("queue.buffering.max.kbytes", "65536");
        config
    }

    /// A client that reads, and is in no group.
    pub(super) fn reader(&self) -> ClientConfig {
        let mut config = self.client();
        config
            .set("allow.auto.create.topics", "false")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("fetch.wait.max.ms", self.fetch_wait_ms.to_string())
            .set("queued.min.messages", AHEAD_MESSAGES_MAX.to_string())
            .set("queued.max.messages.kbytes", AHEAD_KBYTES_MAX.to_string())
            .set("fetch.queue.backoff.ms", "10")
            .set("fetch.error.backoff.ms", "100");
        config
    }

    /// A reader that may commit for `group`, and join it.
    pub(super) fn member(&self, group: &str) -> ClientConfig {
        let mut config = self.reader();
        config
            .set("group.id", group)
            .set("session.timeout.ms", self.session_ms.to_string())
            .set("heartbeat.interval.ms", (self.session_ms / 4).to_string())
            .set("max.poll.interval.ms", SESSION_MS_MAX.to_string())
            // What was published to a partition that was added later is for this subscription.
            .set("auto.offset.reset", "earliest")
            .set("partition.assignment.strategy", "cooperative-sticky");
        config
    }

    /// A reader that is told where a partition ends.
    pub(super) fn prober(&self, group: &str) -> ClientConfig {
        let mut config = self.reader();
        config.set("group.id", group).set("enable.partition.eof", "true").set("auto.offset.reset", "latest");
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Options, QueueError> {
        Options::read(&text.parse().unwrap())
    }

    #[test]
    fn parameters_are_read_and_bounded() {
        let options =
            read("kafka://a:9092,b:9092?partitions=3&replication=2&retention=60s&prefix=x").unwrap();
        assert_eq!((options.partitions, options.replication), (Some(3), Some(2)));
        assert_eq!((options.retention_ms, options.prefix.as_deref()), (60_000, Some("x")));
        assert_eq!(options.client().get("bootstrap.servers"), Some("a:9092,b:9092"));
        assert_eq!(options.client().get("security.protocol"), Some("plaintext"));
        let options = read("kafka://me:s%3Acret@a:9092").unwrap();
        assert_eq!(options.client().get("security.protocol"), Some("sasl_plaintext"));
        assert_eq!(options.client().get("sasl.password"), Some("s:cret"));
        assert!(!options.shown.contains("cret"));
        for (bad, named) in [
            ("kafka://", "no broker"),
            ("kafka://a,,b", "no broker"),
            ("kafka://a/path", "path"),
            ("kafka://a?partitions=0", "partitions"),
            ("kafka://a?partitions=many", "partitions"),
            ("kafka://a?replication=11", "replication"),
            ("kafka://a?retention=4", "retention"),
            ("kafka://a?retention=99999999999999d", "retention"),
            ("kafka://a?session_timeout_ms=5999", "session_timeout_ms"),
            ("kafka://a?fetch_wait_ms=0", "fetch_wait_ms"),
            ("kafka://u@a?sasl=gssapi", "sasl"),
            ("kafka://a?sasl=plain", "user"),
            ("kafka://a?ca=x", "kafka+ssl"),
            ("kafka://a?linger=1", "linger"),
            ("kafka://a?manage=perhaps", "manage"),
        ] {
            let refusal = read(bad).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(refusal.contains(named), "{bad}: {refusal}");
        }
        #[cfg(not(feature = "kafka-tls"))]
        for bad in ["kafka+ssl://a", "kafka://u:p@a?sasl=scram-sha-256"] {
            assert!(read(bad).err().unwrap().to_string().contains("--features kafka-tls"), "{bad}");
        }
    }
}
