//! Operations on queues.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::call::{Call, number, required, text, text_map, texts};
use super::operations::nothing;
use crate::engine::Engine;
use crate::error::{Kind, SqsError, SqsResult};

/// Most queues of one page, and how many it has if nothing is said.
const PAGE_MAX: u64 = 1_000;

/// Spaces around names are nobody's intention.
fn queue_attributes(call: &Call) -> SqsResult<BTreeMap<String, String>> {
    let given = text_map(&call.params, "Attributes")?;
    Ok(given.into_iter().map(|(name, value)| (name.trim().to_owned(), value)).collect())
}

pub(super) async fn create(call: &Call) -> SqsResult<Value> {
    let name = text(&call.params, "QueueName")?.ok_or_else(|| SqsError::missing("QueueName"))?;
    let attributes = queue_attributes(call)?;
    // The JSON protocol has it in small letters, here alone.
    let mut tags = text_map(&call.params, "tags")?;
    tags.extend(text_map(&call.params, "Tags")?);
    call.engine.create(&name, attributes, tags).await?;
    Ok(json!({ "QueueUrl": call.url(&name) }))
}

pub(super) async fn delete(call: &Call) -> SqsResult<Value> {
    call.engine.delete(&*call.queue()?).await?;
    Ok(nothing())
}

pub(super) async fn purge(call: &Call) -> SqsResult<Value> {
    call.engine.purge(&*call.queue()?).await?;
    Ok(nothing())
}

pub(super) fn get_url(call: &Call) -> SqsResult<Value> {
    let name = required(&call.params, "QueueName")?;
    let owner = text(&call.params, "QueueOwnerAWSAccountId")?;
    if owner.is_some_and(|owner| owner != call.engine.config().account) {
        return Err(SqsError::no_queue());
    }
    Ok(json!({ "QueueUrl": call.url(call.engine.line(&name)?.name()) }))
}

pub(super) async fn get_attributes(call: &Call) -> SqsResult<Value> {
    let names = texts(&call.params, "AttributeNames")?;
    let attributes = call.engine.attributes(&*call.queue()?, &names).await?;
    Ok(if attributes.is_empty() { nothing() } else { json!({ "Attributes": attributes }) })
}

pub(super) async fn set_attributes(call: &Call) -> SqsResult<Value> {
    let attributes = queue_attributes(call)?;
    if attributes.is_empty() {
        return Err(SqsError::missing("Attributes"));
    }
    call.engine.set_attributes(&*call.queue()?, &attributes).await?;
    Ok(nothing())
}

/// The page that is asked for: after which name, and how many. A page has a token only where its size was given.
fn page(call: &Call) -> SqsResult<(String, usize, bool)> {
    let given = number(&call.params, "MaxResults", 1, PAGE_MAX)?;
    let limit = usize::try_from(given.unwrap_or(PAGE_MAX)).unwrap_or(usize::MAX);
    let after = match text(&call.params, "NextToken")?.filter(|token| !token.is_empty()) {
        None => String::new(),
        Some(token) => {
            URL_SAFE_NO_PAD.decode(&token).ok().and_then(|name| String::from_utf8(name).ok()).ok_or_else(
                || SqsError::parameter("NextToken", &token, "it is not a token of this listing"),
            )?
        }
    };
    Ok((after, limit, given.is_some()))
}

fn listed(call: &Call, key: &str, names: &[String], next: Option<String>, always: bool) -> Value {
    let urls: Vec<String> = names.iter().map(|name| call.url(name)).collect();
    let mut answer = serde_json::Map::new();
    if always || !urls.is_empty() {
        answer.insert(key.to_owned(), json!(urls));
    }
    if let Some(next) = next {
        answer.insert("NextToken".to_owned(), json!(URL_SAFE_NO_PAD.encode(next)));
    }
    Value::Object(answer)
}

pub(super) fn list(call: &Call) -> SqsResult<Value> {
    let (after, limit, paged) = page(call)?;
    let prefix = text(&call.params, "QueueNamePrefix")?.unwrap_or_default();
    let (names, next) = call.engine.names(&prefix, &after, limit);
    Ok(listed(call, "QueueUrls", &names, next.filter(|_| paged), false))
}

pub(super) fn list_sources(call: &Call) -> SqsResult<Value> {
    let (after, limit, paged) = page(call)?;
    let (names, next) = call.engine.sources(&*call.queue()?, &after, limit);
    Ok(listed(call, "queueUrls", &names, next.filter(|_| paged), true))
}

pub(super) fn list_tags(call: &Call) -> SqsResult<Value> {
    let tags = Engine::tags(&*call.queue()?);
    Ok(if tags.is_empty() { nothing() } else { json!({ "Tags": tags }) })
}

pub(super) async fn tag(call: &Call) -> SqsResult<Value> {
    let tags = text_map(&call.params, "Tags")?;
    if tags.is_empty() {
        return Err(SqsError::missing("Tags"));
    }
    call.engine.tag(&*call.queue()?, tags, &[]).await?;
    Ok(nothing())
}

pub(super) async fn untag(call: &Call) -> SqsResult<Value> {
    let keys = texts(&call.params, "TagKeys")?;
    if keys.is_empty() {
        let message = "Tag keys must be between 1 and 128 characters in length.";
        return Err(SqsError::new(Kind::InvalidParameterValue, message));
    }
    call.engine.tag(&*call.queue()?, BTreeMap::new(), &keys).await?;
    Ok(nothing())
}

pub(super) async fn add_permission(call: &Call) -> SqsResult<Value> {
    let queue = call.queue()?;
    let label = required(&call.params, "Label")?;
    let accounts = texts(&call.params, "AWSAccountIds")?;
    let actions = texts(&call.params, "Actions")?;
    if actions.is_empty() {
        return Err(SqsError::missing("Actions"));
    }
    if accounts.is_empty() {
        return Err(SqsError::parameter("PrincipalId", "[]", "Unable to verify."));
    }
    call.engine.add_permission(&queue, &label, &accounts, &actions).await?;
    Ok(nothing())
}

pub(super) async fn remove_permission(call: &Call) -> SqsResult<Value> {
    let queue = call.queue()?;
    call.engine.remove_permission(&queue, &required(&call.params, "Label")?).await?;
    Ok(nothing())
}
