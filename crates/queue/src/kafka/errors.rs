//! Kafka's errors as instructions, and what clients say of themselves.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::QueueError;

/// The error of a client, with what was asked of whom.
pub(super) fn told(url: &str, what: impl fmt::Display, error: &KafkaError) -> QueueError {
    let text = format!("{url}: {what}: {error}");
    match error {
        KafkaError::ClientConfig(..) => QueueError::Refused(text),
        KafkaError::ClientCreation(_) => QueueError::broken(text),
        KafkaError::AdminOp(code) => by_code(*code, text),
        error => match error.rdkafka_error_code() {
            Some(code) => by_code(code, text),
            None => QueueError::unavailable(text),
        },
    }
}

/// The same for the answer about one topic or partition.
pub(super) fn answered(url: &str, what: impl fmt::Display, code: RDKafkaErrorCode) -> QueueError {
    by_code(code, format!("{url}: {what}: {code}"))
}

fn by_code(code: RDKafkaErrorCode, text: String) -> QueueError {
    use RDKafkaErrorCode as Code;
    match code {
        Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedSASLMechanism
        | Code::IllegalSASLState
        | Code::SecurityDisabled
        | Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::SSL
        | Code::Resolve
        | Code::UnsupportedVersion => QueueError::broken(text),
        Code::InvalidTopic
        | Code::InvalidPartitions
        | Code::InvalidReplicationFactor
        | Code::InvalidReplicaAssignment
        | Code::InvalidConfig
        | Code::PolicyViolation
        | Code::InvalidRequest
        | Code::InvalidArgument
        | Code::InvalidRecord
        | Code::UnsupportedFeature
        | Code::MessageSizeTooLarge => QueueError::Refused(text),
        _ => QueueError::unavailable(text),
    }
}

/// Whether the group no longer counts us as the member that was handed the messages.
pub(super) fn is_fenced(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::UnknownMemberId
                | Code::IllegalGeneration
                | Code::FencedInstanceId
                | Code::FencedMemberEpoch
        )
    )
}

/// What a client noticed by itself, kept until somebody asks: librdkafka reconnects for ever and only mentions it.
#[derive(Debug, Default)]
pub(super) struct Trouble(Mutex<Option<(RDKafkaErrorCode, String)>>);

impl Trouble {
    fn slot(&self) -> MutexGuard<'_, Option<(RDKafkaErrorCode, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, error: &KafkaError, reason: &str) {
        use RDKafkaErrorCode as Code;
        let Some(code) = error.rdkafka_error_code() else { return };
        let is_broken = |code| matches!(by_code(code, String::new()), QueueError::Broken(_));
        let mut slot = self.slot();
        // A rejected login is why no broker is there: it stays until it is told.
        let stays = slot.as_ref().is_some_and(|(known, _)| is_broken(*known)) && !is_broken(code);
        if stays || !(is_broken(code) || matches!(code, Code::AllBrokersDown | Code::BrokerTransportFailure))
        {
            return;
        }
        let reason = match slot.take() {
            // Why the last one went says more than that it was the last.
            Some((Code::BrokerTransportFailure, why)) if code == Code::AllBrokersDown => why,
            _ => reason.to_owned(),
        };
        *slot = Some((code, reason));
    }

    /// Takes what is worth telling: that no broker answers, or why none will.
    pub(super) fn take(&self, url: &str) -> Option<QueueError> {
        let taken = self.slot().take_if(|(code, _)| *code != RDKafkaErrorCode::BrokerTransportFailure);
        taken.map(|(code, reason)| by_code(code, format!("{url}: {reason}")))
    }

    /// Takes the last thing noticed, for one who has failed and wants to know why.
    pub(super) fn reason(&self, url: &str) -> Option<QueueError> {
        self.slot().take().map(|(code, reason)| by_code(code, format!("{url}: {reason}")))
    }
}

/// The context of a client that joins no group.
#[derive(Clone, Default)]
pub(super) struct Quiet {
    pub(super) trouble: Arc<Trouble>,
}

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        note(&self.trouble, &error, reason);
    }
}

impl ConsumerContext for Quiet {}

/// What librdkafka logs. Its errors are told by our own answers, so they are no errors of the program here.
pub(super) fn log(level: RDKafkaLogLevel, facility: &str, line: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::error!(facility, "{line}");
        }
        RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => tracing::debug!(facility, "{line}"),
        _ => tracing::trace!(facility, "{line}"),
    }
}

pub(super) fn note(trouble: &Trouble, error: &KafkaError, reason: &str) {
    tracing::debug!(%error, reason, "librdkafka noticed");
    trouble.note(error, reason);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_is_an_instruction() {
        let of = |code| answered("kafka://h", "asking", code);
        for code in [RDKafkaErrorCode::SaslAuthenticationFailed, RDKafkaErrorCode::GroupAuthorizationFailed] {
            assert!(matches!(of(code), QueueError::Broken(_)), "{code}");
        }
        for code in [RDKafkaErrorCode::InvalidTopic, RDKafkaErrorCode::PolicyViolation] {
            assert!(
                matches!(&of(code), QueueError::Refused(why) if why.contains("kafka://h: asking")),
                "{code}"
            );
        }
        for code in [RDKafkaErrorCode::BrokerTransportFailure, RDKafkaErrorCode::NotEnoughReplicas] {
            assert!(of(code).is_retryable(), "{code}");
        }
    }

    #[test]
    fn the_reason_of_a_trouble_is_told_once() {
        let trouble = Trouble::default();
        let note = |code, reason: &str| trouble.note(&KafkaError::Global(code), reason);
        let take = || trouble.take("kafka://h");
        note(RDKafkaErrorCode::BrokerTransportFailure, "h:1: refused");
        assert!(take().is_none(), "others may be there");
        note(RDKafkaErrorCode::AllBrokersDown, "1/1 brokers are down");
        assert!(
            matches!(take(), Some(QueueError::Unavailable(why)) if why.to_string().contains("h:1: refused"))
        );
        assert!(take().is_none());
        note(RDKafkaErrorCode::Authentication, "wrong password");
        note(RDKafkaErrorCode::AllBrokersDown, "1/1 brokers are down");
        assert!(
            matches!(take(), Some(QueueError::Broken(why)) if why.to_string().contains("wrong password"))
        );
    }
}
