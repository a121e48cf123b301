//! What went wrong at Amazon, as an instruction.

use std::error::Error;
use std::fmt;

use aws_sdk_sqs::config::http::HttpResponse;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};

use crate::{AckError, Cause, QueueError};

/// They are asked to wait, or are not well.
const BUSY: [&str; 14] = [
    "InternalError",
    "InternalErrorException",
    "InternalFailure",
    "KMSThrottling",
    "KMSThrottlingException",
    "KmsThrottled",
    "OverLimit",
    "QueueDeletedRecently",
    "RequestLimitExceeded",
    "RequestThrottled",
    "ServiceUnavailable",
    "Throttled",
    "Throttling",
    "ThrottlingException",
];

/// Who we are, and what we may.
const FORBIDDEN: [&str; 19] = [
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "AuthorizationErrorException",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSecurity",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "NotAuthorized",
    "OptInRequired",
    // The clock of this machine is wrong.
    "RequestExpired",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
];

/// The receipt is of an earlier hand-out, or of a message that is gone.
const LOST: [&str; 2] = ["MessageNotInflight", "ReceiptHandleIsInvalid"];

/// There is no such queue, topic or subscription.
const MISSING: [&str; 4] = ["NonExistentQueue", "NotFound", "NotFoundException", "QueueDoesNotExist"];

/// It is there, and otherwise.
const EXISTS: [&str; 2] = ["QueueAlreadyExists", "QueueNameExists"];

/// A call that failed, or one entry of it.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    kind: Kind,
    /// The whole story, for a person.
    told: String,
    cause: Option<Cause>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Busy,
    Refused,
    Forbidden,
    Lost,
    Missing,
    Exists,
}

/// What was to be done, to what, and where: `sending to queue "x" at sqs+http://h`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Doing<'a> {
    pub(super) what: &'a str,
    /// With its kind: `queue "x"`.
    pub(super) target: &'a str,
    /// The URL as it may be shown.
    pub(super) url: &'a str,
}

impl fmt::Display for Doing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} at {}", self.what, self.target, self.url)
    }
}

/// A cause that tells the whole story, and still has what lies below for its source.
#[derive(Debug)]
struct Told {
    told: String,
    cause: Option<Cause>,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told)
    }
}

impl Error for Told {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_ref().map(|cause| cause as &(dyn Error + 'static))
    }
}

/// The code without what older protocols write before and behind it: `AWS.SimpleQueueService.NonExistentQueue`,
/// `com.amazonaws.sqs#QueueDoesNotExist`, `InvalidParameterException`.
fn kind_of(code: &str, message: &str) -> Kind {
    let code = code.rsplit(['.', '#']).next().unwrap_or_default();
    let among = |codes: &[&str]| codes.contains(&code);
    // What SQS answers to a receipt whose message was deleted or went to somebody else.
    let stale = code == "InvalidParameterValue"
        && (message.contains("not available for visibility timeout change")
            || message.contains("parameter ReceiptHandle is invalid"));
    // The key that encrypts the queue: disabled, unknown, or not for us.
    let locked = code.to_ascii_lowercase().starts_with("kms");
    match () {
        () if among(&LOST) || stale => Kind::Lost,
        () if among(&BUSY) => Kind::Busy,
        () if among(&FORBIDDEN) || locked => Kind::Forbidden,
        () if among(&MISSING) => Kind::Missing,
        () if among(&EXISTS) => Kind::Exists,
        () => Kind::Refused,
    }
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let mut told = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        told = format!("{told}: {source}");
        next = source.source();
    }
    told
}

/// Whether a connection failed for what only a person can mend: a certificate, or missing credentials.
fn needs_a_person(story: &str) -> Option<&'static str> {
    let story = story.to_ascii_lowercase();
    if ["certificate", "unknownissuer", "invalid peer"].iter().any(|word| story.contains(word)) {
        return Some(
            "its certificate is not trusted: give this machine the authority that signed it, or use the name for which it \
             was made",
        );
    }
    if ["corrupt message", "invalidcontenttype"].iter().any(|word| story.contains(word)) {
        return Some("it does not speak TLS as we do: is it sqs+http:// in truth?");
    }
    if ["credential", "identity resolver"].iter().any(|word| story.contains(word)) {
        return Some(
            "there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile, or give the machine \
             a role",
        );
    }
    None
}

impl Failure {
    /// Reads what a call answered.
    pub(super) fn of<E>(error: SdkError<E, HttpResponse>, doing: Doing<'_>) -> Self
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let code = error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or_default();
        let message = error.as_service_error().and_then(ProvideErrorMetadata::message).unwrap_or_default();
        let status = error.raw_response().map(|response| response.status().as_u16());
        let (kind, told) = match &error {
            SdkError::ServiceError(_) if !code.is_empty() => {
                let kind = match (kind_of(code, message), status) {
                    (Kind::Refused, Some(429 | 500..)) => Kind::Busy,
                    (Kind::Refused, Some(401 | 403)) => Kind::Forbidden,
                    (kind, _) => kind,
                };
                (kind, told_by(kind, code, message, doing))
            }
            SdkError::ServiceError(_) | SdkError::ResponseError(_)
                if status.is_some_and(|status| status < 500 && status != 429) =>
            {
                let story = chain(&error);
                (Kind::Forbidden, format!("{doing}: what answers there does not speak SQS: {story}"))
            }
            _ => {
                let story = chain(&error);
                match needs_a_person(&story) {
                    Some(remedy) => (Kind::Forbidden, format!("{doing}: {remedy} ({story})")),
                    None => (Kind::Busy, format!("{doing}: {story}")),
                }
            }
        };
        Self { kind, told, cause: Some(Cause::new(error)) }
    }

    /// Reads what one entry of a batch was answered.
    pub(super) fn of_entry(code: &str, message: &str, sender_fault: bool, doing: Doing<'_>) -> Self {
        let kind = match kind_of(code, message) {
            Kind::Refused if !sender_fault => Kind::Busy,
            kind => kind,
        };
        Self { kind, told: told_by(kind, code, message, doing), cause: None }
    }

    /// An entry of which the answer says nothing.
    pub(super) fn unanswered(doing: Doing<'_>) -> Self {
        Self {
            kind: Kind::Busy,
            told: format!("{doing}: the batch was answered without this entry"),
            cause: None,
        }
    }

    /// Something about which nothing is known, and which may have been done.
    pub(super) fn busy(told: String) -> Self {
        Self { kind: Kind::Busy, told, cause: None }
    }

    pub(super) fn is_busy(&self) -> bool {
        self.kind == Kind::Busy
    }

    pub(super) fn is_missing(&self) -> bool {
        self.kind == Kind::Missing
    }

    pub(super) fn exists(&self) -> bool {
        self.kind == Kind::Exists
    }
}

fn told_by(kind: Kind, code: &str, message: &str, doing: Doing<'_>) -> String {
    let remedy = match kind {
        Kind::Busy => "it is busy",
        Kind::Refused | Kind::Lost => "it refuses",
        Kind::Forbidden => {
            "these credentials may not: check them, their policy, and the clock of this machine"
        }
        Kind::Missing => "it is not there: subscribe first, which makes it",
        Kind::Exists => "it is there with other settings",
    };
    format!("{doing}: {remedy} ({code}: {message})")
}

impl From<Failure> for QueueError {
    fn from(failure: Failure) -> Self {
        let Failure { kind, told, cause } = failure;
        match kind {
            Kind::Busy => Self::unavailable(Told { told, cause }),
            Kind::Forbidden => Self::broken(Told { told, cause }),
            Kind::Refused | Kind::Lost | Kind::Missing | Kind::Exists => Self::Refused(told),
        }
    }
}

impl From<Failure> for AckError {
    fn from(failure: Failure) -> Self {
        if failure.kind == Kind::Lost { Self::LeaseLost } else { Self::Queue(failure.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_every_age_are_read() {
        for (code, message, kind) in [
            ("AWS.SimpleQueueService.NonExistentQueue", "", Kind::Missing),
            ("com.amazonaws.sqs#QueueDoesNotExist", "", Kind::Missing),
            ("RequestThrottled", "", Kind::Busy),
            ("InvalidClientTokenId", "", Kind::Forbidden),
            ("AccessDeniedException", "", Kind::Forbidden),
            ("KmsDisabled", "", Kind::Forbidden),
            ("InvalidSignatureException", "Signature expired", Kind::Forbidden),
            ("RequestExpired", "", Kind::Forbidden),
            ("KmsThrottled", "", Kind::Busy),
            ("ReceiptHandleIsInvalid", "", Kind::Lost),
            (
                "InvalidParameterValue",
                "Reason: Message does not exist or is not available for visibility timeout change.",
                Kind::Lost,
            ),
            ("InvalidParameterValue", "Total VisibilityTimeout is beyond the limit", Kind::Refused),
            ("InvalidMessageContents", "", Kind::Refused),
        ] {
            assert_eq!(kind_of(code, message), kind, "{code}");
        }
    }

    #[test]
    fn whose_fault_it_is_decides_what_is_to_be_done() {
        let doing = Doing { what: "sending to", target: "queue \"q\"", url: "sqs://eu-west-1" };
        let ours: QueueError = Failure::of_entry("InvalidMessageContents", "bad", true, doing).into();
        assert!(ours.to_string().contains("queue \"q\" at sqs://eu-west-1"), "{ours}");
        let theirs: QueueError = Failure::of_entry("Whatever", "", false, doing).into();
        assert!(theirs.is_retryable());
        let lost: AckError = Failure::of_entry("ReceiptHandleIsInvalid", "", true, doing).into();
        assert!(matches!(lost, AckError::LeaseLost));
    }

    #[test]
    fn what_a_person_must_mend_is_told() {
        assert!(needs_a_person("invalid peer certificate: UnknownIssuer").is_some());
        assert!(needs_a_person("the credential provider was not enabled").is_some());
        assert!(needs_a_person("connection refused").is_none());
    }
}
