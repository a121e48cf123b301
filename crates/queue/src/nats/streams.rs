//! The streams and consumers of a subscription: what is needed, what is there, and what is to be done about it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::line::OPEN_MAX;
use super::link::{ApiError, Failure, Link};
use super::names::{Names, again_consumer, topic_consumer};
use crate::{Action, Change, QueueError, QueueUrl, Subscription, SubscriptionConfig, Topic};

/// Most messages of a stream unless the URL says otherwise.
const MESSAGES_MAX: u64 = 1_000_000;
/// How often a survey is made anew because somebody else made or changed something meanwhile.
const SURVEYS_MAX: usize = 5;
/// How long the server remembers the ids by which it knows a dead letter that is sent twice.
const DUPLICATE_WINDOW: Duration = Duration::from_mins(2);

/// The parameters of the URL that concern streams.
pub(super) const PARAMETERS: [&str; 3] = ["max_messages", "replicas", "storage"];

/// What the URL says of streams. What it does not say is chosen when a stream is made, and left alone afterwards.
#[derive(Debug, Clone)]
pub(super) struct Options {
    max_messages: Option<u64>,
    replicas: Option<u8>,
    storage: Option<String>,
}

impl Options {
    pub(super) fn of(url: &QueueUrl) -> Result<Self, QueueError> {
        let options = Self {
            max_messages: url.parsed("max_messages")?,
            replicas: url.parsed("replicas")?,
            storage: url.parameter("storage").map(str::to_owned),
        };
        let refused = |what: &str| Err(QueueError::Refused(format!("{url}: {what}")));
        if options.max_messages == Some(0) {
            return refused("max_messages=0 would hold nothing: leave it out for a million");
        }
        if options.replicas.is_some_and(|replicas| ![1, 3, 5].contains(&replicas)) {
            return refused("replicas is 1, 3 or 5");
        }
        if options.storage.as_deref().is_some_and(|storage| !["file", "memory"].contains(&storage)) {
            return refused("storage is \"file\" or \"memory\", and the second forgets all in a restart");
        }
        Ok(options)
    }
}

/// A stream as the server describes it.
#[derive(Debug, Deserialize)]
pub(super) struct StreamSeen {
    /// As it came, since it must be sent back whole to change one setting.
    pub(super) config: Map<String, Value>,
    #[serde(default)]
    pub(super) state: StreamState,
}

/// What a stream holds.
#[derive(Debug, Default, Deserialize)]
pub(super) struct StreamState {
    /// Messages of each subject that was asked for.
    #[serde(default)]
    pub(super) subjects: Option<BTreeMap<String, u64>>,
}

/// A consumer as the server describes it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct ConsumerSeen {
    pub(super) name: String,
    pub(super) config: ConsumerConfig,
    #[serde(default)]
    pub(super) num_pending: u64,
    #[serde(default)]
    pub(super) num_ack_pending: u64,
    #[serde(default)]
    num_redelivered: u64,
    #[serde(default)]
    pub(super) ack_floor: Floor,
    #[serde(default)]
    delivered: Floor,
}

/// Up to where everything is acked, or was handed out.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) struct Floor {
    #[serde(default)]
    pub(super) stream_seq: u64,
}

/// A message that is asked for; only where it is matters.
#[derive(Debug, Deserialize)]
struct MessageSeen {
    message: Place,
}

#[derive(Debug, Deserialize)]
struct Place {
    seq: u64,
}

/// The settings of a consumer that matter here.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct ConsumerConfig {
    #[serde(default)]
    ack_policy: String,
    /// In nanoseconds.
    #[serde(default)]
    ack_wait: u64,
    #[serde(default)]
    filter_subject: String,
    #[serde(default)]
    deliver_subject: Option<String>,
    #[serde(default)]
    max_deliver: i64,
    #[serde(default)]
    backoff: Option<Vec<u64>>,
}

impl ConsumerConfig {
    /// After what time an unacked message comes again.
    pub(super) fn ack_wait(&self) -> Duration {
        Duration::from_nanos(self.ack_wait)
    }
}

pub(super) fn consumer_operation(operation: &str, stream: &str, consumer: &str) -> String {
    format!("{operation}.{stream}.{consumer}")
}

/// One thing to be done, and how: what has no request cannot be done.
struct Step {
    change: Change,
    request: Option<(String, Value)>,
}

/// A stream that is needed.
struct Needed {
    name: String,
    subjects: Vec<String>,
    retention: &'static str,
    description: &'static str,
}

/// Sees to the streams and consumers of subscriptions.
#[derive(Debug, Clone)]
pub(super) struct Streams {
    pub(super) link: Link,
    pub(super) names: Names,
    pub(super) options: Options,
}

impl Streams {
    /// Looks for a stream.
    pub(super) async fn stream(&self, name: &str, body: &Value) -> Result<Option<StreamSeen>, QueueError> {
        match self.link.ask(&format!("STREAM.INFO.{name}"), body).await {
            Ok(seen) => Ok(Some(seen)),
            Err(Failure::Told(error)) if error.err_code == ApiError::NO_STREAM => Ok(None),
            Err(failure) => Err(self.link.failed(failure, &format!("stream {name:?}"))),
        }
    }

    /// Looks for a consumer.
    pub(super) async fn consumer(
        &self,
        stream: &str,
        name: &str,
    ) -> Result<Option<ConsumerSeen>, QueueError> {
        match self.link.ask(&consumer_operation("CONSUMER.INFO", stream, name), &Value::Null).await {
            Ok(seen) => Ok(Some(seen)),
            Err(Failure::Told(error))
                if [ApiError::NO_STREAM, ApiError::NO_CONSUMER].contains(&error.err_code) =>
            {
                Ok(None)
            }
            Err(failure) => {
                Err(self.link.failed(failure, &format!("consumer {name:?} of stream {stream:?}")))
            }
        }
    }

    /// The same without what it counts as unacked, and no stream has any more.
    ///
    /// A server that was killed may come back with a consumer that waits for the ack of what was acked and removed. It finds
    /// nothing to hand out again, and before 2.9.15 it forgets that only once nothing older is left in the stream, where a
    /// kill leaves things too. Whoever waits for an empty subscription would wait for ever.
    pub(super) async fn without_ghosts(
        &self,
        stream: &str,
        mut seen: ConsumerSeen,
    ) -> Result<ConsumerSeen, QueueError> {
        if seen.num_ack_pending == 0 || seen.num_redelivered == 0 {
            return Ok(seen);
        }
        // All that it waits for is behind its floor, and not behind what it handed out last.
        let filter = &seen.config.filter_subject;
        let subject = if filter.is_empty() { ">" } else { filter };
        let next = json!({ "seq": seen.ack_floor.stream_seq + 1, "next_by_subj": subject });
        let is_there = match self.link.ask::<MessageSeen>(&format!("STREAM.MSG.GET.{stream}"), &next).await {
            Ok(next) => next.message.seq <= seen.delivered.stream_seq,
            Err(Failure::Told(error)) if error.err_code == ApiError::NO_MESSAGE => false,
            Err(failure) => {
                let target = format!("what consumer {:?} of stream {stream:?} waits for", seen.name);
                return Err(self.link.failed(failure, &target));
            }
        };
        if !is_there {
            seen.num_ack_pending = 0;
        }
        Ok(seen)
    }

    /// What has to be done for a subscription.
    pub(super) async fn plan(
        &self,
        subscription: &Subscription,
        config: SubscriptionConfig,
    ) -> Result<Vec<Change>, QueueError> {
        Ok(self.survey(subscription, config).await?.into_iter().map(|step| step.change).collect())
    }

    /// Does it.
    pub(super) async fn apply(
        &self,
        subscription: &Subscription,
        config: SubscriptionConfig,
    ) -> Result<(), QueueError> {
        for _ in 0..SURVEYS_MAX {
            let steps = self.survey(subscription, config).await?;
            let conflict = steps.iter().find_map(|step| match &step.change.action {
                Action::Conflict { reason } => Some(format!("{}: {reason}", step.change.target)),
                Action::Create | Action::Alter { .. } => None,
            });
            if let Some(conflict) = conflict {
                return Err(QueueError::Refused(conflict));
            }
            let mut raced = false;
            for step in steps {
                let Some((operation, body)) = step.request else { continue };
                match self.link.ask::<Value>(&operation, &body).await {
                    Ok(_) => {}
                    Err(Failure::Told(error)) if error.is_race() => raced = true,
                    Err(failure) => return Err(self.link.failed(failure, &step.change.target)),
                }
            }
            if !raced {
                return Ok(());
            }
        }
        let told = format!("{subscription} is being changed by somebody else");
        Err(self.link.unavailable(told))
    }

    fn needed(&self, topic: &Topic) -> [Needed; 2] {
        let names = &self.names;
        [
            Needed {
                name: names.dead_stream(topic),
                subjects: vec![names.dead_subjects(topic)],
                retention: "limits",
                description: "dead letters of Antiphon",
            },
            Needed {
                name: names.topic_stream(topic),
                subjects: vec![names.topic_subject(topic), names.again_subjects(topic)],
                retention: "interest",
                description: "a topic of Antiphon",
            },
        ]
    }

    /// The dead letters' stream comes first and the topic's consumer last: when that is there, all is.
    async fn survey(
        &self,
        subscription: &Subscription,
        config: SubscriptionConfig,
    ) -> Result<Vec<Step>, QueueError> {
        let mut steps = Vec::new();
        let mut there = false;
        for needed in self.needed(subscription.topic()) {
            let seen = self.stream(&needed.name, &Value::Null).await?;
            there = seen.is_some();
            match seen {
                None => steps.push(self.make_stream(&needed)),
                Some(seen) => steps.extend(self.check_stream(&needed, &seen.config)),
            }
        }
        let stream = self.names.topic_stream(subscription.topic());
        let topic = self.names.topic_subject(subscription.topic());
        let again = self.names.again_subject(subscription);
        for (name, subject) in [(again_consumer(subscription), again), (topic_consumer(subscription), topic)]
        {
            // A stream that is not there has no consumers, and need not be asked.
            let seen = if there { self.consumer(&stream, &name).await? } else { None };
            match seen {
                None => steps.push(make_consumer(&stream, &name, &subject, config)),
                Some(seen) => steps.extend(check_consumer(&stream, &subject, &seen, config)),
            }
        }
        Ok(steps)
    }

    fn make_stream(&self, needed: &Needed) -> Step {
        let body = json!({
            "name": needed.name,
            "description": needed.description,
            "subjects": needed.subjects,
            "retention": needed.retention,
            "discard": "new",
            "max_msgs": self.options.max_messages.unwrap_or(MESSAGES_MAX),
            "max_msgs_per_subject": -1,
            "max_bytes": -1,
            "max_consumers": -1,
            "max_age": 0,
            "storage": self.options.storage.as_deref().unwrap_or("file"),
            "num_replicas": self.options.replicas.unwrap_or(1),
            "duplicate_window": nanos(DUPLICATE_WINDOW),
        });
        let change = Change { target: stream_target(&needed.name), action: Action::Create };
        Step { change, request: Some((format!("STREAM.CREATE.{}", needed.name), body)) }
    }

    fn check_stream(&self, needed: &Needed, config: &Map<String, Value>) -> Vec<Step> {
        let target = stream_target(&needed.name);
        let conflict = |reason: String| Step {
            change: Change { target: target.clone(), action: Action::Conflict { reason } },
            request: None,
        };
        let fixed = [("retention", Some(needed.retention)), ("storage", self.options.storage.as_deref())];
        for (setting, wanted) in fixed {
            let is = config.get(setting).and_then(Value::as_str).unwrap_or_default();
            if let Some(wanted) = wanted
                && is != wanted
            {
                return vec![conflict(format!(
                    "its {setting} is {is:?} and has to be {wanted:?}, which the server does not change: choose \
                     another ?prefix=, or delete the stream"
                ))];
            }
        }
        if ["deny_delete", "sealed"].iter().any(|setting| config.get(*setting) == Some(&Value::Bool(true))) {
            return vec![conflict("it is sealed, or its messages may not be deleted".to_owned())];
        }
        let mut wanted: Vec<(&str, Value)> =
            vec![("discard", json!("new")), ("max_age", json!(0)), ("max_msgs_per_subject", json!(-1))];
        wanted.extend(self.options.max_messages.map(|max| ("max_msgs", json!(max))));
        wanted.extend(self.options.replicas.map(|replicas| ("num_replicas", json!(replicas))));
        let has = config.get("subjects").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if !needed.subjects.iter().all(|subject| has.iter().any(|has| has.as_str() == Some(subject))) {
            wanted.push(("subjects", json!(needed.subjects)));
        }
        let mut steps: Vec<Step> = Vec::new();
        let mut whole = config.clone();
        for (setting, to) in wanted {
            let from = config.get(setting).unwrap_or(&Value::Null);
            // What is not limited is left out, or 0 or -1.
            let is_unlimited =
                |value: &Value| value.is_null() || value.as_i64().is_some_and(|limit| limit <= 0);
            if *from == to || (is_unlimited(from) && is_unlimited(&to)) {
                continue;
            }
            whole.insert(setting.to_owned(), to.clone());
            let text = |value: &Value| if value.is_null() { String::new() } else { value.to_string() };
            let action = Action::Alter { setting: setting.to_owned(), from: text(from), to: text(&to) };
            steps.push(Step { change: Change { target: target.clone(), action }, request: None });
        }
        // One request changes all of them.
        if let Some(last) = steps.last_mut() {
            last.request = Some((format!("STREAM.UPDATE.{}", needed.name), Value::Object(whole)));
        }
        steps
    }
}

fn stream_target(name: &str) -> String {
    format!("stream \"{name}\"")
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn consumer_body(stream: &str, name: &str, subject: &str, ack_wait: Duration) -> Value {
    json!({
        "stream_name": stream,
        "config": {
            "durable_name": name,
            "deliver_policy": "new",
            "ack_policy": "explicit",
            "ack_wait": nanos(ack_wait),
            "max_deliver": -1,
            "max_ack_pending": OPEN_MAX,
            "filter_subject": subject,
            "replay_policy": "instant",
        },
    })
}

fn make_consumer(stream: &str, name: &str, subject: &str, config: SubscriptionConfig) -> Step {
    let target = format!("consumer \"{name}\" of stream \"{stream}\"");
    let body = consumer_body(stream, name, subject, config.lease);
    let request = (consumer_operation("CONSUMER.DURABLE.CREATE", stream, name), body);
    Step { change: Change { target, action: Action::Create }, request: Some(request) }
}

/// The lease is a matter of each receiver, so that of the consumer is left as it was made.
fn check_consumer(
    stream: &str,
    subject: &str,
    seen: &ConsumerSeen,
    config: SubscriptionConfig,
) -> Option<Step> {
    let target = format!("consumer \"{}\" of stream \"{stream}\"", seen.name);
    let is = &seen.config;
    let wrong = if is.deliver_subject.is_some() {
        Some("it is a push consumer".to_owned())
    } else if is.ack_policy != "explicit" {
        Some(format!("its ack policy is {:?} and has to be \"explicit\"", is.ack_policy))
    } else if is.filter_subject != subject {
        Some(format!("it reads {:?} and has to read {subject:?}", is.filter_subject))
    } else if is.backoff.as_ref().is_some_and(|backoff| !backoff.is_empty()) {
        Some("it has a backoff, by which the leases of its messages differ".to_owned())
    } else {
        None
    };
    if let Some(wrong) = wrong {
        let reason = format!("{wrong}: delete it, and what it has not acked with it, or choose another name");
        return Some(Step { change: Change { target, action: Action::Conflict { reason } }, request: None });
    }
    if is.max_deliver <= 0 {
        return None;
    }
    // The server would drop what was received too often, without a trace.
    let ack_wait = if is.ack_wait == 0 { config.lease } else { is.ack_wait() };
    let body = consumer_body(stream, &seen.name, subject, ack_wait);
    let action = Action::Alter {
        setting: "max_deliver".to_owned(),
        from: is.max_deliver.to_string(),
        to: "-1".to_owned(),
    };
    let request = (consumer_operation("CONSUMER.DURABLE.CREATE", stream, &seen.name), body);
    Some(Step { change: Change { target, action }, request: Some(request) })
}
