//! Dead letters: listing and reviving.

use std::collections::BTreeMap;

use lapin::Acker;
use lapin::types::ShortString;

use super::Shared;
use super::codec::Parcel;
use super::names::QueueNames;
use super::publish::{Outgoing, SendError};
use super::scan::Scan;
use super::topology;
use crate::{DEAD_LETTERS_PAGE_MAX, DeadLetter, DeadLetterId, QueueError, Subscription};

/// Most dead letters that are looked through, from the front of their queue.
const SCANNED_MAX: usize = 100_000;

/// The names of a subscription that is there.
async fn known(shared: &Shared, subscription: &Subscription) -> Result<QueueNames, QueueError> {
    topology::expect(shared, subscription).await?;
    shared.names.of(subscription)
}

/// A name that sorts by time, and that no two dead letters share.
pub(super) fn id(now_ms: u64, number: usize, nonce: u64) -> String {
    format!("{now_ms:013}-{nonce:016x}-{number:010}")
}

/// A dead letter as it lies in its queue.
struct Found {
    parcel: Parcel,
    acker: Acker,
}

/// The oldest behind `after`, in order.
async fn oldest(
    scan: &mut Scan<'_>,
    after: Option<&DeadLetterId>,
    limit: usize,
) -> Result<BTreeMap<String, Found>, QueueError> {
    let mut found = BTreeMap::new();
    for position in 0..SCANNED_MAX {
        let Some((parcel, acker)) = scan.next().await? else { return Ok(found) };
        // What others put there has no name but its time and its place.
        let name = parcel.death().id;
        let name = name.unwrap_or_else(|| id(parcel.published_at_ms().unwrap_or_default(), position, 0));
        if after.is_none_or(|after| name.as_str() > after.as_str()) {
            found.insert(name, Found { parcel, acker });
        }
        if found.len() > limit {
            found.pop_last();
        }
    }
    tracing::warn!(
        limit = SCANNED_MAX,
        "there are more dead letters than are looked through: redrive or drain some"
    );
    Ok(found)
}

pub(super) async fn list(
    shared: &Shared,
    subscription: &Subscription,
    after: Option<&DeadLetterId>,
    limit: usize,
) -> Result<Vec<DeadLetter>, QueueError> {
    let limit = limit.min(DEAD_LETTERS_PAGE_MAX);
    let names = known(shared, subscription).await?;
    if limit == 0 {
        return Ok(Vec::new());
    }
    let mut scan = Scan::open(shared, &names.dead, &names.dead_lock).await?;
    let found = oldest(&mut scan, after, limit).await?;
    scan.close().await;
    let letter = |(name, Found { parcel, .. })| {
        let death = parcel.death();
        DeadLetter {
            id: DeadLetterId::new(name),
            message: parcel.message(),
            reason: death.reason,
            receive_count: death.receive_count,
            published_at_ms: parcel.published_at_ms(),
        }
    };
    Ok(found.into_iter().map(letter).collect())
}

pub(super) async fn redrive(
    shared: &Shared,
    subscription: &Subscription,
    limit: usize,
) -> Result<usize, QueueError> {
    let names = known(shared, subscription).await?;
    let limit = limit.min(DEAD_LETTERS_PAGE_MAX);
    let mut scan = Scan::open(shared, &names.dead, &names.dead_lock).await?;
    let mut redriven = 0;
    for Found { parcel, acker } in oldest(&mut scan, None, limit).await?.into_values() {
        if !revive(shared, &names.queue, &parcel).await? {
            break;
        }
        scan.remove(&acker).await?;
        redriven += 1;
    }
    scan.close().await;
    Ok(redriven)
}

/// Puts it into the subscription's own queue; false if that is full.
async fn revive(shared: &Shared, queue: &ShortString, parcel: &Parcel) -> Result<bool, QueueError> {
    let revived = Outgoing::to_queue(queue, parcel.revived(shared.clock.now_ms()));
    match shared.sender.send_one(revived).await {
        Ok(()) => Ok(true),
        Err(SendError::Full) => Ok(false),
        Err(SendError::NoQueue) => {
            Err(QueueError::Refused(format!("queue \"{queue}\" is gone: subscribe again to make it")))
        }
        Err(SendError::Queue(error)) => Err(error),
    }
}
