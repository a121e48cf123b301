//! From a URL to a broker.

use std::sync::Arc;

use crate::{Clock, MemoryQueue, Queue, QueueError, QueueUrl};

/// Every scheme, the broker behind it, and the feature that brings it.
const SCHEMES: [(&str, &str, &str); 9] = [
    ("memory", "this process, for trials", ""),
    ("embedded", "a folder", "embedded"),
    ("sqs", "Amazon SQS and SNS", "sqs"),
    ("sqs+http", "whatever speaks SQS", "sqs"),
    ("sqs+https", "whatever speaks SQS", "sqs"),
    ("nats", "NATS JetStream", "nats"),
    ("nats-core", "core NATS, which loses messages", "nats"),
    ("amqp", "RabbitMQ", "rabbitmq"),
    ("kafka", "Kafka", "kafka"),
];
/// The features of this build; what needs none is always there.
const BUILT: &[&str] = &[
    "",
    #[cfg(feature = "embedded")]
    "embedded",
    #[cfg(feature = "sqs")]
    "sqs",
    #[cfg(feature = "nats")]
    "nats",
    #[cfg(feature = "rabbitmq")]
    "rabbitmq",
    #[cfg(feature = "kafka")]
    "kafka",
];
/// The same with TLS: not listed apart.
const WITH_TLS: [(&str, &str); 4] =
    [("tls", "nats"), ("nats-core+tls", "nats-core"), ("amqps", "amqp"), ("kafka+ssl", "kafka")];

/// What a broker needs beside its URL.
#[derive(Debug, Clone)]
pub struct Settings {
    /// By which messages are stamped where the broker does not do it itself.
    pub clock: Clock,
    /// Decides all jitter. Give each process another, or they pause in step.
    pub seed: u64,
}

/// Whether this build has the broker that `url` names. Asks nobody.
///
/// Errors: [`QueueError::Refused`] if there is no such broker, or if its feature was left out, which it names.
pub fn check_scheme(url: &QueueUrl) -> Result<(), QueueError> {
    match known(url.scheme()) {
        Some((_, _, feature)) if BUILT.contains(feature) => Ok(()),
        _ => Err(unknown(url.scheme())),
    }
}

/// Opens the broker that `url` names.
///
/// | URL | broker | feature |
/// |---|---|---|
/// | `memory:` | [`MemoryQueue`], for trials | |
/// | `embedded:FOLDER` | `EmbeddedQueue`, which has its folder alone and needs no prefix | `embedded` |
/// | `sqs://REGION` | Amazon SQS, SNS for the fan-out | `sqs` |
/// | `sqs+http://HOST:PORT`, `sqs+https://…` | whatever else speaks SQS, such as `antiphon queue serve` | `sqs` |
/// | `nats://HOST:PORT,…`, `tls://…` | NATS with JetStream | `nats` |
/// | `nats-core://HOST:PORT,…`, `nats-core+tls://…` | core NATS: **messages are lost**, anti-entropy is required | `nats` |
/// | `amqp://HOST:PORT/VHOST`, `amqps://…` | RabbitMQ | `rabbitmq` |
/// | `kafka://HOST:PORT,…`, `kafka+ssl://…` | Kafka | `kafka` |
///
/// Each module says which parameters it takes. Errors: [`QueueError::Refused`] if the URL is wrong or names a broker
/// that was left out of this build; else what the broker answered.
pub async fn connect(url: &QueueUrl, settings: &Settings) -> Result<Arc<dyn Queue>, QueueError> {
    // Boxed, since the clients' futures are large, and whoever calls this would carry the largest.
    match url.scheme() {
        "memory" => {
            url.only(&[])?;
            Ok(Arc::new(MemoryQueue::with(settings.clock.clone(), crate::MESSAGES_MAX)))
        }
        #[cfg(feature = "embedded")]
        "embedded" => crate::embedded::connect(url).await,
        #[cfg(feature = "sqs")]
        "sqs" | "sqs+http" | "sqs+https" => Box::pin(crate::sqs::connect(url, settings)).await,
        #[cfg(feature = "nats")]
        "nats" | "tls" => Box::pin(crate::nats::connect(url, settings)).await,
        #[cfg(feature = "nats")]
        "nats-core" | "nats-core+tls" => Box::pin(crate::nats::core_nats::connect(url, settings)).await,
        #[cfg(feature = "rabbitmq")]
        "amqp" | "amqps" => Box::pin(crate::rabbitmq::connect(url, settings)).await,
        #[cfg(feature = "kafka")]
        "kafka" | "kafka+ssl" => Box::pin(crate::kafka::connect(url, settings)).await,
        scheme => Err(unknown(scheme)),
    }
}

fn known(scheme: &str) -> Option<&'static (&'static str, &'static str, &'static str)> {
    let plain = WITH_TLS.iter().find(|(tls, _)| *tls == scheme).map_or(scheme, |(_, plain)| plain);
    SCHEMES.iter().find(|(known, ..)| *known == plain)
}

fn unknown(scheme: &str) -> QueueError {
    let Some((_, broker, feature)) = known(scheme) else {
        let known: Vec<_> = SCHEMES.iter().map(|(scheme, ..)| format!("{scheme}:")).collect();
        return QueueError::Refused(format!("{scheme}: is no broker; there are {}", known.join(", ")));
    };
    QueueError::Refused(format!(
        "{scheme}: ({broker}) was left out of this build: build it with --features {feature}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_check_knows_what_can_be_connected_to() {
        let settings = Settings { clock: Clock::starting_at(0), seed: 0 };
        let schemes = SCHEMES.iter().map(|(scheme, ..)| *scheme).chain(WITH_TLS.map(|(scheme, _)| scheme));
        for scheme in schemes.chain(["redis"]) {
            // A parameter that nobody knows: no broker is asked.
            let url: QueueUrl = format!("{scheme}://127.0.0.1:1?nobody=1").parse().unwrap();
            let refusal = connect(&url, &settings).await.unwrap_err().to_string();
            assert_eq!(check_scheme(&url).is_ok(), refusal.contains("nobody"), "{scheme}: {refusal}");
        }
    }

    #[tokio::test]
    async fn a_scheme_that_is_not_there_is_told() {
        let settings = Settings { clock: Clock::starting_at(0), seed: 0 };
        let refusal =
            async |text: &str| connect(&text.parse().unwrap(), &settings).await.unwrap_err().to_string();
        assert!(refusal("redis://h").await.contains("kafka:"));
        assert!(connect(&"memory:".parse().unwrap(), &settings).await.is_ok());
        assert!(refusal("memory:?size=1").await.contains("size"));
        #[cfg(not(feature = "kafka"))]
        assert!(refusal("kafka+ssl://h").await.contains("--features kafka"));
    }
}
