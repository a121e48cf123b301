//! Operations on up to ten messages: each entry has its own answer.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::call::{Call, Params, entries, required, text};
use super::messages::{Digests, draft, sent, visibility};
use crate::engine::attributes::MESSAGE_BYTES_MAX;
use crate::error::{Kind, SqsError, SqsResult};
use crate::message::bytes_of;

/// Most entries of a batch.
const ENTRIES_MAX: usize = 10;
/// Longest id of an entry, in characters.
const ID_CHARS_MAX: usize = 80;

/// The entries of a batch with their ids, which name them in the answer.
fn identified<'a>(call: &'a Call, what: &str) -> SqsResult<Vec<(String, &'a Params)>> {
    let entries = entries(&call.params, "Entries")?;
    if entries.is_empty() {
        let message = format!("There should be at least one {what}BatchRequestEntry in the request.");
        return Err(SqsError::new(Kind::EmptyBatchRequest, message));
    }
    if entries.len() > ENTRIES_MAX {
        let found = entries.len();
        let message =
            format!("Maximum number of entries per request are {ENTRIES_MAX}. You have sent {found}.");
        return Err(SqsError::new(Kind::TooManyEntriesInBatchRequest, message));
    }
    let mut seen = BTreeSet::new();
    let mut found = Vec::with_capacity(entries.len());
    for entry in entries {
        let id = text(entry, "Id")?.unwrap_or_default();
        if !(1..=ID_CHARS_MAX).contains(&id.len())
            || !id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        {
            let message = format!(
                "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most {ID_CHARS_MAX} letters long."
            );
            return Err(SqsError::new(Kind::InvalidBatchEntryId, message));
        }
        if !seen.insert(id.clone()) {
            return Err(SqsError::new(Kind::BatchEntryIdsNotDistinct, format!("Id {id} repeated.")));
        }
        found.push((id, entry));
    }
    Ok(found)
}

/// Entries of which some can be asked for, and some are refused before.
struct Parsed<T> {
    ids: Vec<String>,
    entries: Vec<SqsResult<T>>,
}

impl<T> Parsed<T> {
    fn of(call: &Call, what: &str, parse: impl Fn(&Params) -> SqsResult<T>) -> SqsResult<Self> {
        let (ids, entries) =
            identified(call, what)?.into_iter().map(|(id, entry)| (id, parse(entry))).unzip();
        Ok(Self { ids, entries })
    }

    /// Puts the answers for those that were asked for in their places.
    fn answer<R>(self, answers: Vec<SqsResult<R>>, show: impl Fn(T, R) -> Map<String, Value>) -> Value {
        let mut answers = answers.into_iter();
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for (id, entry) in self.ids.into_iter().zip(self.entries) {
            let answered = entry.and_then(|entry| {
                let answer = answers
                    .next()
                    .unwrap_or_else(|| Err(SqsError::new(Kind::Internal, "nothing was answered")))?;
                Ok(show(entry, answer))
            });
            match answered {
                Ok(mut answer) => {
                    answer.insert("Id".into(), json!(id));
                    successful.push(Value::Object(answer));
                }
                Err(error) => failed.push(json!({
                    "Id": id,
                    "SenderFault": error.kind.is_sender_fault(),
                    "Code": error.kind.code(),
                    "Message": error.message,
                })),
            }
        }
        let mut answer = Map::new();
        // As SQS does, though its model says that both are always there.
        for (name, entries) in [("Successful", successful), ("Failed", failed)] {
            if !entries.is_empty() {
                answer.insert(name.into(), Value::Array(entries));
            }
        }
        Value::Object(answer)
    }
}

pub(super) async fn send(call: &Call) -> SqsResult<Value> {
    let queue = call.queue()?;
    let parsed = Parsed::of(call, "SendMessage", draft)?;
    let drafts: Vec<_> = parsed.entries.iter().flatten().cloned().collect();
    let bytes: usize = drafts.iter().map(|draft| bytes_of(&draft.body, &draft.attributes)).sum();
    if bytes > MESSAGE_BYTES_MAX {
        let message = format!(
            "Batch requests cannot be longer than {MESSAGE_BYTES_MAX} bytes. You have sent {bytes} bytes."
        );
        return Err(SqsError::new(Kind::BatchRequestTooLong, message));
    }
    // What SQS refuses for the whole batch.
    for draft in &drafts {
        queue.check_ids(draft)?;
    }
    let answers = call.engine.send(&queue, drafts).await?;
    Ok(parsed.answer(answers, |draft, answer| sent(answer, Digests::of(&draft))))
}

pub(super) async fn delete(call: &Call) -> SqsResult<Value> {
    let queue = call.queue()?;
    let parsed = Parsed::of(call, "DeleteMessage", |entry| required(entry, "ReceiptHandle"))?;
    let handles: Vec<_> = parsed.entries.iter().flatten().cloned().collect();
    let answers = call.engine.delete_messages(&queue, &handles).await?;
    Ok(parsed.answer(answers, |_, ()| Map::new()))
}

pub(super) async fn change_visibility(call: &Call) -> SqsResult<Value> {
    let queue = call.queue()?;
    let parsed = Parsed::of(call, "ChangeMessageVisibility", |entry| {
        Ok((required(entry, "ReceiptHandle")?, visibility(entry)?))
    })?;
    let changes: Vec<_> = parsed.entries.iter().flatten().cloned().collect();
    let answers = call.engine.change_visibility(&queue, &changes).await?;
    Ok(parsed.answer(answers, |_, ()| Map::new()))
}
