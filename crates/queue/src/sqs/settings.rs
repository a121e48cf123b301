//! The settings of queues and of their subscriptions: as they are, and as they have to be. Makes no request.

use std::collections::BTreeMap;

use aws_sdk_sqs::types::QueueAttributeName as Attribute;
use serde_json::{Value, json};

use super::limits::{RETENTION_SECS_MAX, SQS_BYTES_MAX};

/// Whether SNS delivers a message as it is.
pub(super) const RAW: &str = "RawMessageDelivery";
/// What SNS is to withhold.
const FILTER: &str = "FilterPolicy";
/// Marks our statement in the policy of a queue.
const STATEMENT: &str = "AntiphonTopic";

/// The attributes of a queue.
#[derive(Debug)]
pub(super) struct Settings(BTreeMap<String, String>);

/// What differs from what is needed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Difference<S> {
    /// It is to be set.
    Alter {
        setting: S,
        from: String,
        /// As the broker takes it.
        to: String,
        /// As a person reads it.
        shown: String,
    },
    /// It is not ours to change.
    Conflict(String),
}

/// How the queue of a subscription has to be.
pub(super) struct Wanted {
    /// Set only if the URL says so: a tool without the parameter must not shorten what a service keeps.
    pub(super) retention_secs: Option<u32>,
    pub(super) receives_max: Option<u32>,
    pub(super) dead_arn: String,
    /// The topic that may send to it.
    pub(super) topic_arn: Option<String>,
}

impl Settings {
    pub(super) fn new(attributes: impl IntoIterator<Item = (Attribute, String)>) -> Self {
        Self(attributes.into_iter().map(|(name, value)| (name.as_str().to_owned(), value)).collect())
    }

    fn get(&self, name: &Attribute) -> &str {
        self.0.get(name.as_str()).map(String::as_str).unwrap_or_default()
    }

    pub(super) fn arn(&self) -> &str {
        self.get(&Attribute::QueueArn)
    }

    /// Alters a number unless it is as large, or as it has to be.
    fn number(
        &self,
        name: Attribute,
        wanted: u64,
        fits: impl Fn(u64) -> bool,
    ) -> Option<Difference<Attribute>> {
        let is = self.get(&name);
        let differs = is.parse().is_ok_and(|is| !fits(is));
        let from = is.to_owned();
        differs.then(|| alter(name, from, wanted.to_string()))
    }
}

fn alter<S>(setting: S, from: String, to: String) -> Difference<S> {
    Difference::Alter { setting, from, shown: to.clone(), to }
}

/// The topic of that name beside the queue: in its partition, region and account.
pub(super) fn topic_arn(queue_arn: &str, topic_name: &str) -> String {
    let beside = queue_arn.rsplit_once(':').map_or(queue_arn, |(beside, _)| beside);
    format!("{}:{topic_name}", beside.replacen(":sqs:", ":sns:", 1))
}

/// A queue of dead letters keeps them as long as any may: the age of a letter counts from when it was published.
pub(super) fn new_dead() -> Vec<(Attribute, String)> {
    new_queue(RETENTION_SECS_MAX)
}

pub(super) fn new_queue(retention_secs: u32) -> Vec<(Attribute, String)> {
    vec![
        (Attribute::MessageRetentionPeriod, retention_secs.to_string()),
        (Attribute::MaximumMessageSize, SQS_BYTES_MAX.to_string()),
    ]
}

fn size(settings: &Settings) -> Option<Difference<Attribute>> {
    let needed = u64::try_from(SQS_BYTES_MAX).unwrap_or(u64::MAX);
    settings.number(Attribute::MaximumMessageSize, needed, |is| is >= needed)
}

pub(super) fn of_dead(settings: &Settings) -> Vec<Difference<Attribute>> {
    let needed = u64::from(RETENTION_SECS_MAX);
    let retention = settings.number(Attribute::MessageRetentionPeriod, needed, |is| is >= needed);
    retention.into_iter().chain(size(settings)).collect()
}

pub(super) fn of_queue(settings: &Settings, wanted: &Wanted) -> Vec<Difference<Attribute>> {
    let retention = wanted.retention_secs.and_then(|secs| {
        let secs = u64::from(secs);
        settings.number(Attribute::MessageRetentionPeriod, secs, |is| is == secs)
    });
    let redrive = wanted.receives_max.and_then(|max| redrive(settings, max, &wanted.dead_arn));
    let policy = wanted.topic_arn.as_ref().and_then(|topic_arn| policy(settings, topic_arn));
    [retention, size(settings), redrive, policy].into_iter().flatten().collect()
}

/// The most receives that a redrive policy allows, and where it sends what had more.
fn parsed_redrive(text: &str) -> Option<(u64, String)> {
    let policy: Value = serde_json::from_str(text).ok()?;
    let max = policy.get("maxReceiveCount")?;
    let max = max.as_u64().or_else(|| max.as_str()?.parse().ok())?;
    Some((max, policy.get("deadLetterTargetArn")?.as_str()?.to_owned()))
}

/// How often a queue hands a message out before it puts it aside by itself.
pub(super) fn receives_max(redrive_policy: &str) -> Option<u32> {
    parsed_redrive(redrive_policy).and_then(|(max, _)| u32::try_from(max).ok())
}

fn redrive(settings: &Settings, max: u32, dead_arn: &str) -> Option<Difference<Attribute>> {
    let is = settings.get(&Attribute::RedrivePolicy);
    match parsed_redrive(is) {
        Some((is_max, target)) if target == dead_arn && is_max == u64::from(max) => None,
        Some((_, target)) if target != dead_arn => Some(Difference::Conflict(format!(
            "its RedrivePolicy sends dead letters to {target}, where nobody of ours looks, and not to {dead_arn}: remove \
             the policy"
        ))),
        _ => {
            let to = json!({ "deadLetterTargetArn": dead_arn, "maxReceiveCount": max }).to_string();
            Some(alter(Attribute::RedrivePolicy, is.to_owned(), to))
        }
    }
}

fn policy(settings: &Settings, topic_arn: &str) -> Option<Difference<Attribute>> {
    let is = settings.get(&Attribute::Policy);
    let mut policy = match is {
        "" => json!({ "Version": "2012-10-17", "Statement": [] }),
        is => match serde_json::from_str(is) {
            Ok(Value::Object(policy)) => Value::Object(policy),
            _ => return Some(Difference::Conflict("its Policy is not a JSON object: remove it".to_owned())),
        },
    };
    let statement = json!({
        "Sid": STATEMENT,
        "Effect": "Allow",
        "Principal": { "Service": "sns.amazonaws.com" },
        "Action": "sqs:SendMessage",
        "Resource": settings.arn(),
        "Condition": { "ArnEquals": { "aws:SourceArn": topic_arn } },
    });
    let mut statements = match policy.get_mut("Statement").map(Value::take) {
        Some(Value::Array(statements)) => statements,
        None | Some(Value::Null) => Vec::new(),
        Some(one) => vec![one],
    };
    // Amazon may write what it was given in another way; what decides is who may send.
    let is_ours = |found: &Value| found.get("Sid") == statement.get("Sid");
    let allows = |found: &Value| {
        let source = found.pointer("/Condition/ArnEquals/aws:SourceArn");
        is_ours(found) && source.and_then(Value::as_str) == Some(topic_arn)
    };
    if statements.iter().any(allows) {
        return None;
    }
    statements.retain(|found| !is_ours(found));
    statements.push(statement);
    if let Value::Object(policy) = &mut policy {
        policy.insert("Statement".to_owned(), Value::Array(statements));
    }
    let shown = format!("{topic_arn} may send to it");
    Some(Difference::Alter { setting: Attribute::Policy, from: String::new(), to: policy.to_string(), shown })
}

pub(super) fn of_link(attributes: &BTreeMap<String, String>, raw: bool) -> Vec<Difference<&'static str>> {
    let get = |name: &str| attributes.get(name).map(String::as_str).unwrap_or_default();
    let mut differences = Vec::new();
    let is_raw = get(RAW).eq_ignore_ascii_case("true");
    if is_raw != raw {
        differences.push(alter(RAW, is_raw.to_string(), raw.to_string()));
    }
    if !matches!(get(FILTER).trim(), "" | "{}") {
        differences.push(Difference::Conflict(
            "it has a FilterPolicy, so messages would be missing without a word: remove it".to_owned(),
        ));
    }
    differences
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:sqs:eu-west-1:1:q";
    const TOPIC: &str = "arn:aws:sns:eu-west-1:1:t";

    fn settings(attributes: &[(Attribute, &str)]) -> Settings {
        let arn = [(Attribute::QueueArn, ARN)];
        let all = arn.iter().chain(attributes);
        Settings::new(all.map(|(name, value)| (name.clone(), (*value).to_owned())))
    }

    fn wanted() -> Wanted {
        Wanted { retention_secs: None, receives_max: None, dead_arn: format!("{ARN}_DEAD"), topic_arn: None }
    }

    fn to(differences: &[Difference<Attribute>]) -> Vec<(&str, &str)> {
        let mut altered = Vec::new();
        for difference in differences {
            altered.push(match difference {
                Difference::Alter { setting, to, .. } => (setting.as_str(), to.as_str()),
                Difference::Conflict(reason) => ("!", reason.as_str()),
            });
        }
        altered
    }

    #[test]
    fn a_topic_is_beside_its_queue() {
        assert_eq!(topic_arn("arn:aws-cn:sqs:cn-north-1:1:q", "t"), "arn:aws-cn:sns:cn-north-1:1:t");
    }

    #[test]
    fn what_nobody_asked_for_is_left_alone() {
        let is = settings(&[(Attribute::MessageRetentionPeriod, "60"), (Attribute::RedrivePolicy, "{}")]);
        assert_eq!(of_queue(&is, &wanted()), []);
    }

    #[test]
    fn numbers_that_differ_are_altered() {
        let is =
            settings(&[(Attribute::MessageRetentionPeriod, "60"), (Attribute::MaximumMessageSize, "262144")]);
        let differences = of_queue(&is, &Wanted { retention_secs: Some(90), ..wanted() });
        assert_eq!(to(&differences), [("MessageRetentionPeriod", "90"), ("MaximumMessageSize", "1048576")]);
        assert_eq!(to(&of_dead(&is)).len(), 2);
    }

    #[test]
    fn a_redrive_policy_of_ours_is_altered_and_another_is_a_conflict() {
        let wanted = Wanted { receives_max: Some(3), ..wanted() };
        let with = |policy: &str| of_queue(&settings(&[(Attribute::RedrivePolicy, policy)]), &wanted);
        let ours = |max: &str| format!(r#"{{"deadLetterTargetArn":"{ARN}_DEAD","maxReceiveCount":{max}}}"#);
        assert_eq!(with(&ours("3")), []);
        assert_eq!(with(&ours("\"3\"")), [], "Amazon takes the number as text, too");
        assert_eq!(to(&with(&ours("4"))), [("RedrivePolicy", ours("3").as_str())]);
        assert_eq!(to(&with("")), [("RedrivePolicy", ours("3").as_str())]);
        let foreign = with(r#"{"deadLetterTargetArn":"arn:x","maxReceiveCount":3}"#);
        assert!(matches!(&foreign[..], [Difference::Conflict(reason)] if reason.contains("arn:x")));
        assert_eq!(receives_max(&ours("7")), Some(7));
    }

    #[test]
    fn the_policy_keeps_the_statements_of_others() {
        let wanted = Wanted { topic_arn: Some(TOPIC.to_owned()), ..wanted() };
        let with = |policy: &str| of_queue(&settings(&[(Attribute::Policy, policy)]), &wanted);
        let others = r#"{"Version":"2012-10-17","Statement":{"Sid":"theirs","Effect":"Deny"}}"#;
        let differences = with(others);
        let [("Policy", merged)] = to(&differences)[..] else { panic!("{differences:?}") };
        assert!(merged.contains("theirs") && merged.contains(TOPIC), "{merged}");
        assert_eq!(with(merged), [], "it is not added twice");
        assert!(matches!(&with("[]")[..], [Difference::Conflict(_)]));
        assert_eq!(with("").len(), 1);
    }

    #[test]
    fn a_link_is_raw_as_the_url_says_and_never_filtered() {
        let link = |raw: &str, filter: &str| {
            BTreeMap::from([(RAW.to_owned(), raw.to_owned()), (FILTER.to_owned(), filter.to_owned())])
        };
        assert_eq!(of_link(&link("true", "{}"), true), []);
        assert_eq!(of_link(&BTreeMap::new(), false), []);
        assert_eq!(of_link(&link("false", ""), true).len(), 1);
        assert!(matches!(of_link(&link("true", "{\"a\":[1]}"), true)[..], [Difference::Conflict(_)]));
    }
}
