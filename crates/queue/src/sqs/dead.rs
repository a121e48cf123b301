//! Dead letters: a queue of their own, which can only be looked through by taking everything out for a while.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::batch;
use super::broker::Shared;
use super::calls::{Change, Delete, Place, Send};
use super::codec::{Death, Wire};
use super::error::Failure;
use super::fetch::{self, Fetched};
use super::limits::BATCH_ENTRIES_MAX;
use super::options::FanOut;
use super::settings;
use crate::{DEAD_LETTERS_PAGE_MAX, DeadLetter, DeadLetterId, QueueError, Subscription};

/// For how long the letters that are looked at are out of reach of others.
const LOOK_LEASE: Duration = Duration::from_mins(1);
/// For how long letters are collected at most: what is done with them fits into the rest.
const LOOK_TIME_MAX: Duration = Duration::from_secs(30);
/// Most letters that are looked at. Of more, some are not seen until those before them are redriven.
const LOOK_MAX: usize = 10_000;
/// How long the last, empty answer is waited for: with less, Amazon asks only some of its servers.
const LOOK_WAIT: Duration = Duration::from_secs(1);

/// Letters by age, all of them ours for [`LOOK_LEASE`] from when they were taken.
struct Taken<'a> {
    shared: &'a Shared,
    dead: Place,
    letters: BTreeMap<DeadLetterId, Fetched>,
    /// Before the first was taken.
    began: Instant,
}

/// Names a letter by when it was sent and by the broker's name for it, so that names sort by age.
fn id_of(fetched: &Fetched) -> DeadLetterId {
    DeadLetterId::new(format!("{:013}-{}", fetched.sent_ms.unwrap_or_default(), fetched.message_id))
}

fn check(id: &DeadLetterId) -> Result<(), QueueError> {
    let legal = id.as_str().split_once('-').is_some_and(|(sent, message_id)| {
        sent.len() == 13 && sent.bytes().all(|byte| byte.is_ascii_digit()) && !message_id.is_empty()
    });
    if legal {
        return Ok(());
    }
    Err(QueueError::Refused(format!("{:?} names no dead letter of SQS", id.as_str())))
}

/// Takes out what can be had.
async fn take(shared: &Shared, dead: Place) -> Result<Taken<'_>, QueueError> {
    let mut taken = Taken { shared, dead, letters: BTreeMap::new(), began: Instant::now() };
    let visibility = i32::try_from(LOOK_LEASE.as_secs()).unwrap_or(i32::MAX);
    while taken.letters.len() < LOOK_MAX && taken.began.elapsed() < LOOK_TIME_MAX {
        match fetch::receive(&taken.dead, BATCH_ENTRIES_MAX, LOOK_WAIT, visibility).await {
            Ok(found) if found.is_empty() => break,
            Ok(found) => {
                taken.letters.extend(found.into_iter().map(|fetched| (id_of(&fetched), fetched)));
            }
            Err(failure) => {
                taken.give_back(Vec::new()).await;
                return Err(failure.into());
            }
        }
    }
    Ok(taken)
}

impl Taken<'_> {
    /// Puts back what is still here, and `others`. What cannot be put back comes by itself when its lease ends.
    async fn give_back(self, others: Vec<String>) {
        let handles = self.letters.into_values().map(|fetched| fetched.handle).chain(others);
        let entries: Vec<_> = handles.map(|handle| (handle, 0)).collect();
        let answers = batch::run(&Change(&self.dead), &entries, &self.shared.jitter).await;
        let failed = answers.iter().filter(|answer| answer.is_err()).count();
        if failed > 0 {
            tracing::debug!(failed, lease = ?LOOK_LEASE, "dead letters are out of reach until their lease ends");
        }
    }
}

/// What a letter that the queue put aside by itself died of.
async fn told_by_policy(queue: &Place) -> Result<Option<u32>, QueueError> {
    let name = aws_sdk_sqs::types::QueueAttributeName::RedrivePolicy;
    let asking = queue.sqs.get_queue_attributes().queue_url(&queue.queue_url);
    let asked = asking.attribute_names(name.clone()).send().await;
    let found = asked.map_err(|error| Failure::of(error, queue.doing("reading the settings of")))?;
    let policy = found.attributes.unwrap_or_default().remove(&name);
    Ok(policy.and_then(|policy| settings::receives_max(&policy)))
}

fn letter(fetched: Fetched, id: DeadLetterId, unwrap: Option<&str>, receives_max: Option<u32>) -> DeadLetter {
    let Fetched { wire, receive_count, sent_ms, .. } = fetched;
    let (message, death) = fetch::read(wire, unwrap);
    let death = death.unwrap_or_else(|| {
        // This look counts, too.
        let receive_count = receives_max.unwrap_or(receive_count.saturating_sub(1).max(1));
        let reason = crate::rows::received_too_often(receive_count);
        Death { reason, receive_count, published_at_ms: sent_ms }
    });
    let Death { reason, receive_count, published_at_ms } = death;
    DeadLetter { id, message, reason, receive_count, published_at_ms }
}

/// The topic whose notifications may be in the queue of dead letters: the queue moves them as they are.
async fn unwrap(shared: &Shared, subscription: &Subscription) -> Result<Option<String>, QueueError> {
    match shared.fan_out {
        FanOut::Sns { raw: false } => Ok(Some(shared.topic_arn(subscription.topic()).await?)),
        FanOut::Sns { raw: true } | FanOut::Queues => Ok(None),
    }
}

pub(super) async fn list(
    shared: &Shared,
    subscription: &Subscription,
    after: Option<&DeadLetterId>,
    limit: usize,
) -> Result<Vec<DeadLetter>, QueueError> {
    after.map(check).transpose()?;
    let (queue, dead) = shared.queues_of(subscription).await?;
    let limit = limit.min(DEAD_LETTERS_PAGE_MAX);
    if limit == 0 {
        return Ok(Vec::new());
    }
    let unwrap = unwrap(shared, subscription).await?;
    let receives_max = told_by_policy(&queue).await?;
    let taken = take(shared, dead).await?;
    let of_page = taken.letters.iter().filter(|(id, _)| after.is_none_or(|after| *id > after)).take(limit);
    let page =
        of_page.map(|(id, fetched)| letter(fetched.copy(), id.clone(), unwrap.as_deref(), receives_max));
    let page = page.collect();
    taken.give_back(Vec::new()).await;
    Ok(page)
}

impl Fetched {
    fn copy(&self) -> Self {
        Self {
            wire: self.wire.clone(),
            handle: self.handle.clone(),
            message_id: self.message_id.clone(),
            ..*self
        }
    }
}

/// Sends the oldest into the queue of the subscription alone, and deletes each once it is there: between the two it is in
/// both, never in none.
pub(super) async fn redrive(
    shared: &Shared,
    subscription: &Subscription,
    limit: usize,
) -> Result<usize, QueueError> {
    let (queue, dead) = shared.queues_of(subscription).await?;
    let limit = limit.min(DEAD_LETTERS_PAGE_MAX);
    if limit == 0 {
        return Ok(0);
    }
    let unwrap = unwrap(shared, subscription).await?;
    let mut taken = take(shared, dead).await?;
    let chosen: Vec<DeadLetterId> = taken.letters.keys().take(limit).cloned().collect();
    let (mut wires, mut handles) = (Vec::new(), Vec::new());
    for id in chosen {
        let Some(fetched) = taken.letters.remove(&id) else { continue };
        handles.push(fetched.handle.clone());
        let (message, _) = fetch::read(fetched.wire, unwrap.as_deref());
        wires.push(Wire::of(&message, None));
    }
    let sent = batch::run(&Send(&queue), &wires, &shared.jitter).await;
    let (mut confirmed, mut refused) = (Vec::new(), Vec::new());
    let mut why = Ok(());
    for (handle, answer) in handles.into_iter().zip(sent) {
        match answer {
            Ok(()) => confirmed.push(handle),
            Err(failure) => {
                refused.push(handle);
                why = Err(failure);
            }
        }
    }
    let deleted = batch::run(&Delete(&taken.dead), &confirmed, &shared.jitter).await;
    let redriven = confirmed.len();
    taken.give_back(refused).await;
    if redriven == 0 {
        why?;
    }
    for failure in deleted.into_iter().filter_map(Result::err) {
        tracing::warn!(%failure, "a dead letter was redriven and is still there");
    }
    Ok(redriven)
}
