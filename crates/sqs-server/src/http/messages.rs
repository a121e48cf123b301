//! Operations on single messages, and the shapes in which messages come and go.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::call::{Call, Params, attributes, number, required, text, texts};
use super::operations::nothing;
use crate::engine::attributes::{DELAY_S_MAX, VISIBILITY_TIMEOUT_S_MAX, WAIT_S_MAX};
use crate::engine::content::{Attribute, AttributeValue};
use crate::engine::{Draft, Received, Sent, Wish};
use crate::error::{Kind, SqsError, SqsResult};
use crate::message::{md5_of_attributes, md5_of_body};

const TRACE_HEADER: &str = "AWSTraceHeader";

/// What system attributes a received message has, as clients call them.
const SYSTEM_ATTRIBUTES: [&str; 9] = [
    TRACE_HEADER,
    "ApproximateFirstReceiveTimestamp",
    "ApproximateReceiveCount",
    "DeadLetterQueueSourceArn",
    "MessageDeduplicationId",
    "MessageGroupId",
    "SenderId",
    "SentTimestamp",
    "SequenceNumber",
];

/// Reads a message that is to be sent: the whole request, or an entry of a batch.
pub(super) fn draft(params: &Params) -> SqsResult<Draft> {
    let system = attributes(params, "MessageSystemAttributes")?;
    let mut trace_header = None;
    for (name, attribute) in system {
        match (name.as_str(), attribute.value) {
            (TRACE_HEADER, AttributeValue::Text(text))
                if attribute.data_type == "String" && !text.is_empty() =>
            {
                trace_header = Some(text);
            }
            _ => {
                let message = format!(
                    "The message system attribute '{name}' is invalid: only {TRACE_HEADER} of the type String may be sent."
                );
                return Err(SqsError::new(Kind::InvalidParameterValue, message));
            }
        }
    }
    Ok(Draft {
        body: required(params, "MessageBody")?,
        attributes: attributes(params, "MessageAttributes")?,
        trace_header,
        delay_s: number(params, "DelaySeconds", 0, DELAY_S_MAX)?,
        group: text(params, "MessageGroupId")?,
        dedup_id: text(params, "MessageDeduplicationId")?,
    })
}

/// The digests of a message that is sent.
#[derive(Debug)]
pub(super) struct Digests {
    body: String,
    attributes: Option<String>,
    system: Option<String>,
}

impl Digests {
    pub(super) fn of(draft: &Draft) -> Self {
        let system = draft
            .trace_header
            .clone()
            .map(|text| Attribute { data_type: "String".into(), value: AttributeValue::Text(text) });
        Self {
            body: md5_of_body(&draft.body),
            attributes: md5_of_attributes(
                draft.attributes.iter().map(|(name, value)| (name.as_str(), value)),
            ),
            system: md5_of_attributes(system.iter().map(|value| (TRACE_HEADER, value))),
        }
    }
}

/// What is answered for a message that was sent.
pub(super) fn sent(sent: Sent, digests: Digests) -> Map<String, Value> {
    let mut answer = Map::new();
    let mut put = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            answer.insert(name.to_owned(), Value::String(value));
        }
    };
    put("MD5OfMessageBody", Some(digests.body));
    put("MD5OfMessageAttributes", digests.attributes);
    put("MD5OfMessageSystemAttributes", digests.system);
    put("MessageId", Some(sent.message_id));
    put("SequenceNumber", sent.sequence);
    answer
}

pub(super) async fn send(call: &Call) -> SqsResult<Value> {
    let queue = call.queue()?;
    let mut draft = draft(&call.params)?;
    if draft.trace_header.is_none() {
        draft.trace_header = call.trace_header.clone();
    }
    let digests = Digests::of(&draft);
    let answer = call.engine.send(&queue, vec![draft]).await?.pop();
    let answer = answer.unwrap_or_else(|| Err(SqsError::new(Kind::Internal, "nothing was answered")))?;
    Ok(Value::Object(sent(answer, digests)))
}

pub(super) async fn receive(call: &Call) -> SqsResult<Value> {
    let queue = call.queue()?;
    let params = &call.params;
    let mut system = texts(params, "AttributeNames")?;
    system.extend(texts(params, "MessageSystemAttributeNames")?);
    let known = |name: &String| name == "All" || SYSTEM_ATTRIBUTES.contains(&name.as_str());
    // Names of queue attributes are legal in the older of the two lists, and mean nothing.
    if let Some(name) = system.iter().find(|name| !known(name) && !crate::engine::attributes::is_known(name))
    {
        return Err(crate::engine::attributes::unknown(name));
    }
    let wanted = texts(params, "MessageAttributeNames")?;
    let seconds = |name, max| Ok::<_, SqsError>(number(params, name, 0, max)?.map(Duration::from_secs));
    let max = number(params, "MaxNumberOfMessages", 1, 10)?.unwrap_or(1);
    let wish = Wish {
        max: usize::try_from(max).unwrap_or(1),
        visibility: seconds("VisibilityTimeout", VISIBILITY_TIMEOUT_S_MAX)?,
        wait: seconds("WaitTimeSeconds", WAIT_S_MAX)?,
    };
    let received = call.engine.receive(&queue, wish).await?;
    if received.is_empty() {
        return Ok(nothing());
    }
    let account = &call.engine.config().account;
    let messages: Vec<Value> = received.into_iter().map(|one| show(one, &system, &wanted, account)).collect();
    Ok(json!({ "Messages": messages }))
}

/// Whether a message attribute is asked for: by its name, by the start of it (`a.*`), or with all others.
fn is_wanted(name: &str, wanted: &[String]) -> bool {
    wanted.iter().any(|one| {
        matches!(one.as_str(), "All" | "*")
            || one == name
            || one.strip_suffix(".*").is_some_and(|start| name.starts_with(start))
    })
}

fn show(received: Received, system: &[String], wanted: &[String], account: &str) -> Value {
    let content = received.content;
    let mut shown: BTreeMap<&str, Option<String>> = BTreeMap::from([
        (TRACE_HEADER, content.trace_header),
        ("ApproximateFirstReceiveTimestamp", Some(received.first_ms.to_string())),
        ("ApproximateReceiveCount", Some(received.receives.to_string())),
        ("DeadLetterQueueSourceArn", content.dead_letter_source),
        ("MessageDeduplicationId", content.dedup_id),
        ("MessageGroupId", received.group),
        ("SenderId", Some(account.to_owned())),
        ("SentTimestamp", Some(received.sent_ms.to_string())),
        ("SequenceNumber", received.sequence),
    ]);
    let all = system.iter().any(|name| name == "All");
    shown.retain(|name, value| value.is_some() && (all || system.iter().any(|one| one == name)));
    let picked: BTreeMap<&str, &Attribute> = content
        .attributes
        .iter()
        .filter(|(name, _)| is_wanted(name, wanted))
        .map(|(name, value)| (name.as_str(), value))
        .collect();
    let mut message = Map::new();
    message.insert("MessageId".into(), json!(content.message_id));
    message.insert("ReceiptHandle".into(), json!(received.receipt_handle));
    message.insert("MD5OfBody".into(), json!(md5_of_body(&content.body)));
    message.insert("Body".into(), json!(content.body));
    if !shown.is_empty() {
        message.insert("Attributes".into(), json!(shown));
    }
    // Of those that are shown: so clients check it.
    if let Some(digest) = md5_of_attributes(picked.iter().map(|(name, value)| (*name, *value))) {
        message.insert("MD5OfMessageAttributes".into(), json!(digest));
        let values: Map<String, Value> =
            picked.into_iter().map(|(name, value)| (name.to_owned(), show_attribute(value))).collect();
        message.insert("MessageAttributes".into(), Value::Object(values));
    }
    Value::Object(message)
}

fn show_attribute(attribute: &Attribute) -> Value {
    let data_type = &attribute.data_type;
    match &attribute.value {
        AttributeValue::Text(text) => json!({ "StringValue": text, "DataType": data_type }),
        AttributeValue::Binary(bytes) => {
            json!({ "BinaryValue": STANDARD.encode(bytes), "DataType": data_type })
        }
    }
}

/// The answer for the one thing that was asked.
fn only(mut answers: Vec<SqsResult<()>>) -> SqsResult<Value> {
    answers.pop().unwrap_or_else(|| Err(SqsError::new(Kind::Internal, "nothing was answered")))?;
    Ok(nothing())
}

pub(super) async fn delete(call: &Call) -> SqsResult<Value> {
    let queue = call.queue()?;
    let handle = required(&call.params, "ReceiptHandle")?;
    only(call.engine.delete_messages(&queue, &[handle]).await?)
}

/// The seconds of a change of visibility.
pub(super) fn visibility(params: &Params) -> SqsResult<u64> {
    number(params, "VisibilityTimeout", 0, VISIBILITY_TIMEOUT_S_MAX)?
        .ok_or_else(|| SqsError::missing("VisibilityTimeout"))
}

pub(super) async fn change_visibility(call: &Call) -> SqsResult<Value> {
    let queue = call.queue()?;
    let handle = required(&call.params, "ReceiptHandle")?;
    only(call.engine.change_visibility(&queue, &[(handle, visibility(&call.params)?)]).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_picked_by_name_start_or_all() {
        let wanted = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            ["foo", "foo.bar", "bar"].map(|name| is_wanted(name, &names))
        };
        assert_eq!(wanted(&["All"]), [true, true, true]);
        assert_eq!(wanted(&[".*"]), [true, true, true]);
        assert_eq!(wanted(&["foo.*"]), [true, true, false]);
        assert_eq!(wanted(&["foo"]), [true, false, false]);
        assert_eq!(wanted(&[]), [false, false, false]);
    }
}
