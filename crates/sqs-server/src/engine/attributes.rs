//! The attributes of a queue: what may be set, within which limits, and what follows from it.
//!
//! Limits are those of the [documentation](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html).

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::error::{Kind, SqsError, SqsResult};

/// Longest time for which a message is invisible after a receive, in seconds: 12 hours.
pub const VISIBILITY_TIMEOUT_S_MAX: u64 = 43_200;
/// Longest delay of a message, in seconds: 15 minutes.
pub const DELAY_S_MAX: u64 = 900;
/// Longest wait of a receive, in seconds.
pub const WAIT_S_MAX: u64 = 20;
/// Most bytes of a message, and of the messages of one batch together: attributes count too.
pub const MESSAGE_BYTES_MAX: usize = 1_048_576;
/// The smallest limit on a message that a queue may be given.
const MESSAGE_BYTES_MAX_MIN: u64 = 1_024;
/// Least and greatest retention of a message, in seconds: a minute and 14 days.
const RETENTION_S: (u64, u64) = (60, 1_209_600);
/// Most receives of a redrive policy.
const RECEIVES_MAX: u64 = 1_000;
/// Longest policy or other text that a queue keeps for its clients, in bytes.
const TEXT_BYTES_MAX: usize = 65_536;
/// Most tags of a queue.
pub(super) const TAGS_MAX: usize = 50;
/// Longest key and value of a tag, in characters.
pub(super) const TAG_CHARS_MAX: (usize, usize) = (128, 256);

const BOOLEANS: &[&str] = &["true", "false"];

/// What a value may be.
enum Rule {
    Number(u64, u64),
    OneOf(&'static [&'static str]),
    /// Kept for whoever reads it; it changes nothing here.
    Text,
    RedrivePolicy,
    RedriveAllowPolicy,
}

/// Attributes that may be set: name, rule, default ("" for none), whether for FIFO queues only.
const SETTABLE: [(&str, Rule, &str, bool); 15] = [
    ("ContentBasedDeduplication", Rule::OneOf(BOOLEANS), "false", true),
    ("DeduplicationScope", Rule::OneOf(&["messageGroup", "queue"]), "queue", true),
    ("DelaySeconds", Rule::Number(0, DELAY_S_MAX), "0", false),
    ("FifoQueue", Rule::OneOf(&["true"]), "", true),
    ("FifoThroughputLimit", Rule::OneOf(&["perQueue", "perMessageGroupId"]), "perQueue", true),
    ("KmsDataKeyReusePeriodSeconds", Rule::Number(60, 86_400), "", false),
    ("KmsMasterKeyId", Rule::Text, "", false),
    ("MaximumMessageSize", Rule::Number(MESSAGE_BYTES_MAX_MIN, 1_048_576), "1048576", false),
    ("MessageRetentionPeriod", Rule::Number(RETENTION_S.0, RETENTION_S.1), "345600", false),
    ("Policy", Rule::Text, "", false),
    ("ReceiveMessageWaitTimeSeconds", Rule::Number(0, WAIT_S_MAX), "0", false),
    ("RedriveAllowPolicy", Rule::RedriveAllowPolicy, "", false),
    ("RedrivePolicy", Rule::RedrivePolicy, "", false),
    ("SqsManagedSseEnabled", Rule::OneOf(BOOLEANS), "true", false),
    ("VisibilityTimeout", Rule::Number(0, VISIBILITY_TIMEOUT_S_MAX), "30", false),
];

/// Those that are computed.
pub(super) const COMPUTED: [&str; 6] = [
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesDelayed",
    "ApproximateNumberOfMessagesNotVisible",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
    "QueueArn",
];

/// Attributes by name, as they are given and shown.
pub(crate) type Attributes = BTreeMap<String, String>;

/// Where messages go that were received too often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Redrive {
    pub(super) target_arn: String,
    pub(super) receives_max: u32,
}

/// Who may name a queue as the one for its dead letters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum RedriveAllow {
    #[default]
    All,
    Nobody,
    /// These ARNs.
    Only(Vec<String>),
}

/// What follows from the attributes of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(super) fifo: bool,
    pub(super) delay: Duration,
    pub(super) visibility: Duration,
    pub(super) wait: Duration,
    pub(super) retention_ms: u64,
    pub(super) message_bytes_max: usize,
    pub(super) content_dedup: bool,
    /// Deduplication ids count within their group only.
    pub(super) dedup_by_group: bool,
    pub(super) redrive: Option<Redrive>,
    pub(super) allow: RedriveAllow,
}

fn bad(name: &str) -> SqsError {
    SqsError::new(Kind::InvalidAttributeValue, format!("Invalid value for the parameter {name}."))
}

fn bad_because(name: &str, value: &str, reason: &str) -> SqsError {
    let message = format!("Value {value} for parameter {name} is invalid. Reason: {reason}");
    SqsError::new(Kind::InvalidAttributeValue, message)
}

pub(crate) fn unknown(name: &str) -> SqsError {
    SqsError::new(Kind::InvalidAttributeName, format!("Unknown Attribute {name}."))
}

fn rule(name: &str) -> Option<&'static (&'static str, Rule, &'static str, bool)> {
    SETTABLE.iter().find(|(known, ..)| *known == name)
}

/// True for every attribute that a queue can be asked for.
pub(crate) fn is_known(name: &str) -> bool {
    name == "All" || COMPUTED.contains(&name) || rule(name).is_some()
}

const MANAGED: &str = "SqsManagedSseEnabled";
const KEY: &str = "KmsMasterKeyId";

fn has_key(set: &Attributes) -> bool {
    set.get(KEY).is_some_and(|key| !key.is_empty())
}

/// Holds what is to be set against the rules; `fifo` says of which kind the queue is or will be.
pub(super) fn check(given: &Attributes, fifo: bool) -> SqsResult<()> {
    if has_key(given) && given.get(MANAGED).is_some_and(|managed| managed.eq_ignore_ascii_case("true")) {
        let message = "You can use one type of server-side encryption (SSE) at one time. You can either enable KMS SSE or SQS SSE.";
        return Err(SqsError::new(Kind::InvalidAttributeName, message));
    }
    for (name, value) in given {
        let (_, rule, _, fifo_only) = rule(name).ok_or_else(|| unknown(name))?;
        if *fifo_only && !fifo {
            return Err(match name.as_str() {
                "DeduplicationScope" | "FifoThroughputLimit" => {
                    let message = format!("You can specify the {name} only when FifoQueue is set to true.");
                    SqsError::new(Kind::InvalidAttributeName, message)
                }
                _ => unknown(name),
            });
        }
        match rule {
            Rule::Number(min, max) => {
                if !value.parse::<u64>().is_ok_and(|number| (*min..=*max).contains(&number)) {
                    return Err(bad_because(name, value, &format!("Must be between {min} and {max}.")));
                }
            }
            Rule::OneOf(values) => {
                if !values.iter().any(|known| known.eq_ignore_ascii_case(value)) {
                    return Err(bad(name));
                }
            }
            Rule::Text => {
                if value.len() > TEXT_BYTES_MAX {
                    let reason = format!("Must not be longer than {TEXT_BYTES_MAX} bytes.");
                    return Err(bad_because(name, "", &reason));
                }
            }
            Rule::RedrivePolicy => {
                redrive(value)?;
            }
            Rule::RedriveAllowPolicy => {
                allow(value)?;
            }
        }
    }
    Ok(())
}

/// Reads a redrive policy; an empty one takes it away.
pub(super) fn redrive(policy: &str) -> SqsResult<Option<Redrive>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Policy {
        dead_letter_target_arn: Option<String>,
        max_receive_count: Option<Value>,
    }
    const NAME: &str = "RedrivePolicy";
    if policy.is_empty() {
        return Ok(None);
    }
    let read: Policy = serde_json::from_str(policy)
        .map_err(|_| bad_because(NAME, policy, "Redrive policy is not a valid JSON map."))?;
    let target_arn = read.dead_letter_target_arn.ok_or_else(|| {
        bad_because(NAME, policy, "Redrive policy does not contain mandatory attribute: deadLetterTargetArn.")
    })?;
    let count = read.max_receive_count.ok_or_else(|| {
        bad_because(NAME, policy, "Redrive policy does not contain mandatory attribute: maxReceiveCount.")
    })?;
    let count = match &count {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    let receives_max = count
        .filter(|count| (1..=RECEIVES_MAX).contains(count))
        .and_then(|count| u32::try_from(count).ok())
        .ok_or_else(|| {
            bad_because(NAME, policy, "Invalid value for maxReceiveCount: it must be between 1 and 1000.")
        })?;
    Ok(Some(Redrive { target_arn, receives_max }))
}

fn allow(policy: &str) -> SqsResult<RedriveAllow> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Policy {
        redrive_permission: Option<String>,
        source_queue_arns: Option<Vec<String>>,
    }
    const NAME: &str = "RedriveAllowPolicy";
    /// Most ARNs of such a policy.
    const SOURCES_MAX: usize = 10;
    if policy.is_empty() {
        return Ok(RedriveAllow::All);
    }
    let read: Policy = serde_json::from_str(policy)
        .map_err(|_| bad_because(NAME, policy, "Redrive allow policy is not a valid JSON map."))?;
    match (read.redrive_permission.as_deref(), read.source_queue_arns) {
        (Some("allowAll"), None) => Ok(RedriveAllow::All),
        (Some("denyAll"), None) => Ok(RedriveAllow::Nobody),
        (Some("byQueue"), Some(arns)) if (1..=SOURCES_MAX).contains(&arns.len()) => {
            Ok(RedriveAllow::Only(arns))
        }
        _ => {
            let reason =
                "redrivePermission must be allowAll, denyAll, or byQueue with 1 to 10 sourceQueueArns.";
            Err(bad_because(NAME, policy, reason))
        }
    }
}

/// Puts what is given over what is there. What is set to nothing is taken away, and of the two kinds of encryption the
/// one that is not chosen.
pub(super) fn merge(into: &mut Attributes, given: &Attributes) {
    if given.get(MANAGED).is_some_and(|managed| managed.eq_ignore_ascii_case("true")) {
        into.retain(|name, _| !name.starts_with("Kms"));
    }
    if has_key(given) {
        into.insert(MANAGED.to_owned(), "false".to_owned());
    }
    for (name, value) in given {
        if value.is_empty() {
            into.remove(name);
        } else {
            into.insert(name.clone(), canonical(name, value));
        }
    }
}

/// How a value is kept and shown, in whatever form it came: the count of a redrive policy is a number, and what is one
/// of a few words has their letters.
pub(super) fn canonical(name: &str, value: &str) -> String {
    if let Some((_, Rule::OneOf(words), ..)) = rule(name)
        && let Some(word) = words.iter().find(|word| word.eq_ignore_ascii_case(value))
    {
        return (*word).to_owned();
    }
    let rewrite = || {
        let mut policy: Value = serde_json::from_str(value).ok()?;
        let count = policy.get_mut("maxReceiveCount")?;
        let number: u64 = count.as_str()?.parse().ok()?;
        *count = number.into();
        Some(policy.to_string())
    };
    Some(name)
        .filter(|name| *name == "RedrivePolicy")
        .and_then(|_| rewrite())
        .unwrap_or_else(|| value.to_owned())
}

/// The value of a settable attribute, its default included; `None` where it has none.
pub(super) fn value_of(set: &Attributes, name: &str) -> Option<String> {
    let fifo = set.contains_key("FifoQueue");
    let (_, _, default, fifo_only) = rule(name)?;
    let default = Some((*default).to_owned()).filter(|default| !default.is_empty() && (fifo || !fifo_only));
    set.get(name).cloned().or(default)
}

/// Every settable attribute that has a value.
pub(super) fn shown(set: &Attributes) -> Attributes {
    let value = |(name, ..): &(&str, Rule, &str, bool)| Some(((*name).to_owned(), value_of(set, name)?));
    let mut shown: Attributes = SETTABLE.iter().filter_map(value).collect();
    if !has_key(set) {
        shown.remove("KmsDataKeyReusePeriodSeconds");
    }
    shown
}

impl Settings {
    /// Reads what was checked before it was stored.
    pub(super) fn read(set: &Attributes) -> SqsResult<Self> {
        let number = |name: &str| {
            let value = value_of(set, name).unwrap_or_default();
            value.parse::<u64>().map_err(|error| SqsError::damaged(format!("the attribute {name}"), error))
        };
        let is = |name: &str, wanted: &str| value_of(set, name).is_some_and(|value| value == wanted);
        let text = |name: &str| set.get(name).map_or("", String::as_str);
        Ok(Self {
            fifo: is("FifoQueue", "true"),
            delay: Duration::from_secs(number("DelaySeconds")?),
            visibility: Duration::from_secs(number("VisibilityTimeout")?),
            wait: Duration::from_secs(number("ReceiveMessageWaitTimeSeconds")?),
            retention_ms: number("MessageRetentionPeriod")?.saturating_mul(1_000),
            message_bytes_max: usize::try_from(number("MaximumMessageSize")?).unwrap_or(MESSAGE_BYTES_MAX),
            content_dedup: is("ContentBasedDeduplication", "true"),
            dedup_by_group: is("DeduplicationScope", "messageGroup"),
            redrive: redrive(text("RedrivePolicy"))?,
            allow: allow(text("RedriveAllowPolicy"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(name: &str, value: &str) -> Attributes {
        Attributes::from([(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn values_are_held_against_their_limits() {
        let good = [
            ("DelaySeconds", "900"),
            ("VisibilityTimeout", "0"),
            ("MaximumMessageSize", "1048576"),
            ("MessageRetentionPeriod", "60"),
            ("RedrivePolicy", r#"{"deadLetterTargetArn":"arn:x","maxReceiveCount":"5"}"#),
            ("RedrivePolicy", ""),
            ("RedriveAllowPolicy", r#"{"redrivePermission":"denyAll"}"#),
            ("Policy", "{}"),
        ];
        for (name, value) in good {
            assert_eq!(check(&given(name, value), false), Ok(()), "{name}={value}");
        }
        let bad = [
            ("DelaySeconds", "901"),
            ("DelaySeconds", "-1"),
            ("VisibilityTimeout", "43201"),
            ("MaximumMessageSize", "1023"),
            ("MessageRetentionPeriod", "59"),
            ("ReceiveMessageWaitTimeSeconds", "21"),
            ("RedrivePolicy", "x"),
            ("RedrivePolicy", r#"{"deadLetterTargetArn":"arn:x"}"#),
            ("RedrivePolicy", r#"{"deadLetterTargetArn":"arn:x","maxReceiveCount":0}"#),
            ("RedriveAllowPolicy", r#"{"redrivePermission":"byQueue"}"#),
            ("SqsManagedSseEnabled", "yes"),
        ];
        for (name, value) in bad {
            let error = check(&given(name, value), false).unwrap_err();
            assert_eq!(error.kind, Kind::InvalidAttributeValue, "{name}={value}");
            assert!(error.message.contains(name), "{error}");
        }
        for name in ["FifoQueue", "ContentBasedDeduplication", "Nonsense", "QueueArn"] {
            let error = check(&given(name, "true"), false).unwrap_err();
            assert_eq!(error.kind, Kind::InvalidAttributeName, "{name}");
        }
        assert_eq!(check(&given("FifoQueue", "true"), true), Ok(()));
    }

    #[test]
    fn defaults_are_those_of_the_documentation() {
        let settings = Settings::read(&Attributes::new()).unwrap();
        assert_eq!(settings.visibility, Duration::from_secs(30));
        assert_eq!(settings.retention_ms, 345_600_000);
        assert_eq!(settings.message_bytes_max, MESSAGE_BYTES_MAX);
        assert!(!settings.fifo && settings.redrive.is_none());
        let shown = shown(&Attributes::new());
        assert!(!shown.contains_key("FifoQueue") && !shown.contains_key("DeduplicationScope"));
        assert_eq!(shown["DelaySeconds"], "0");
    }
}
