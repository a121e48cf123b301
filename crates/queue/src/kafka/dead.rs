//! Dead letters: a topic for each subscription, and a group that remembers how many of them were redriven.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};

use super::cluster::{Cluster, Offsets, blocking, read_to_end};
use super::codec::{self, PUBLISHED_AT_MS, REASON, RECEIVE_COUNT, Record};
use super::errors::told;
use super::names::Names;
use super::options::REWIND;
use super::{group, publisher};
use crate::rows::{cut_reason, dead_letter_id, dead_letter_number};
use crate::{
    AckError, DEAD_LETTERS_PAGE_MAX, DeadLetter, DeadLetterId, PublishError, QueueError, Subscription,
};

/// The topic has one partition, so that the letters have one order.
const PARTITION: i32 = 0;
const COMMITTED_WAIT: Duration = Duration::from_secs(8);

/// Keeps a message with its reason, and returns when the broker has it.
pub(super) async fn bury(
    cluster: &Cluster,
    names: &Names,
    record: &Record,
    receive_count: u32,
    reason: &str,
) -> Result<(), AckError> {
    let (reason, count) = (cut_reason(reason), receive_count.to_string());
    let published = record.published_at_ms.map(|ms| ms.to_string());
    let mut ours = vec![(REASON, reason.as_str()), (RECEIVE_COUNT, count.as_str())];
    ours.extend(published.as_deref().map(|ms| (PUBLISHED_AT_MS, ms)));
    publisher::publish_one(cluster, &names.dead, &record.message, &ours).await.map_err(|error| {
        AckError::Queue(match error {
            PublishError::Queue(error) => error,
            error => QueueError::Refused(format!("keeping a dead letter in {}: {error}", names.dead)),
        })
    })
}

/// How many were redriven: the offset of the first that was not. Blocks.
pub(super) fn redriven(cluster: &Cluster, names: &Names) -> Result<i64, QueueError> {
    let what = format_args!("reading what of {} was redriven", names.dead);
    let failed = |error| told(cluster.url(), what, &error);
    let mut list = TopicPartitionList::new();
    list.add_partition(&names.dead, PARTITION);
    let reader = cluster.group(&names.redriven)?;
    let marks = group::committed(&reader, &list, COMMITTED_WAIT).map_err(failed)?;
    Ok(marks.into_iter().find_map(|(_, _, mark)| mark).map_or(0, |mark| mark.base))
}

fn remember_redriven(cluster: &Cluster, names: &Names, next: i64) -> Result<(), QueueError> {
    let what = format_args!("noting what of {} was redriven", names.dead);
    let failed = |error| told(cluster.url(), what, &error);
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&names.dead, PARTITION, Offset::Offset(next)).map_err(failed)?;
    cluster.group(&names.redriven)?.commit(&list, CommitMode::Sync).map_err(failed)
}

/// Up to `limit` letters at or after `from`, with their offsets. Blocks.
fn read(cluster: &Cluster, names: &Names, from: i64, limit: usize) -> Result<Vec<(i64, Record)>, QueueError> {
    let mut found = Vec::new();
    if limit == 0 {
        return Ok(found);
    }
    let start = from.saturating_sub(REWIND).max(0);
    let starts = Offsets::from([((names.dead.clone(), PARTITION), start)]);
    let reader = cluster.prober()?;
    let got = read_to_end(&reader, &starts, |raw| {
        if raw.offset() >= from {
            found.push((raw.offset(), codec::read(raw)));
        }
        found.len() < limit
    });
    got.map_err(|error| told(cluster.url(), format_args!("reading {}", names.dead), &error))?;
    Ok(found)
}

fn letter(offset: i64, mut record: Record) -> DeadLetter {
    let number = u64::try_from(offset).unwrap_or_default();
    let ours = |name: &str| record.ours.get(name).and_then(|value| value.parse::<u64>().ok());
    let receive_count = ours(RECEIVE_COUNT).and_then(|count| u32::try_from(count).ok()).unwrap_or(1);
    let published_at_ms = ours(PUBLISHED_AT_MS).or(record.published_at_ms);
    DeadLetter {
        id: dead_letter_id(number),
        message: record.message,
        reason: record.ours.remove(REASON).unwrap_or_default(),
        receive_count,
        published_at_ms,
    }
}

fn unknown(cluster: &Cluster, names: &Names, subscription: &Subscription) -> Result<(), QueueError> {
    match cluster.shape(&names.dead)? {
        Some(_) => Ok(()),
        None => Err(crate::rows::unknown(subscription)),
    }
}

/// A page of letters.
pub(super) async fn list(
    cluster: &Arc<Cluster>,
    names: Names,
    subscription: &Subscription,
    after: Option<&DeadLetterId>,
    limit: usize,
) -> Result<Vec<DeadLetter>, QueueError> {
    let after = after.map(dead_letter_number).transpose()?;
    let after = after.and_then(|after| i64::try_from(after).ok()).map_or(0, |after| after.saturating_add(1));
    let (cluster, subscription) = (Arc::clone(cluster), subscription.clone());
    blocking(move || {
        unknown(&cluster, &names, &subscription)?;
        let from = redriven(&cluster, &names)?.max(after);
        let found = read(&cluster, &names, from, limit.min(DEAD_LETTERS_PAGE_MAX))?;
        Ok(found.into_iter().map(|(offset, record)| letter(offset, record)).collect())
    })
    .await
}

/// Publishes the oldest letters to their subscription alone, and then forgets them. A crash in between leaves letters
/// that were redriven already.
pub(super) async fn redrive(
    cluster: &Arc<Cluster>,
    names: Names,
    subscription: &Subscription,
    limit: usize,
) -> Result<usize, QueueError> {
    let found = {
        let (cluster, names, subscription) = (Arc::clone(cluster), names.clone(), subscription.clone());
        blocking(move || {
            unknown(&cluster, &names, &subscription)?;
            let from = redriven(&cluster, &names)?;
            read(&cluster, &names, from, limit.min(DEAD_LETTERS_PAGE_MAX))
        })
        .await?
    };
    let (mut moved, mut next, mut failed) = (0, None, None);
    for (offset, record) in found {
        match publisher::publish_one(cluster, &names.again, &record.message, &[]).await {
            Ok(()) => {
                moved += 1;
                next = Some(offset + 1);
            }
            Err(PublishError::Queue(error)) => {
                failed = Some(error);
                break;
            }
            Err(error) => {
                failed = Some(QueueError::Refused(format!("redriving to {}: {error}", names.again)));
                break;
            }
        }
    }
    if let Some(next) = next {
        let cluster = Arc::clone(cluster);
        blocking(move || remember_redriven(&cluster, &names, next)).await?;
    }
    match failed {
        Some(error) if moved == 0 => Err(error),
        _ => Ok(moved),
    }
}
