//! How much a subscription holds.
//!
//! What waits is counted from the log: its end, less what the group committed. Members that live in this process know
//! better what they hold. Kafka's log also holds marks of transactions, which count like messages here; brokers that
//! are not Kafka may not count the last batch. So before we say that nothing is there, the log is read to its end.

use std::collections::BTreeMap;
use std::sync::Arc;

use rdkafka::TopicPartitionList;
use tokio::time::Instant;

use super::cluster::{ASK_WAIT, Cluster, Offsets, blocking};
use super::desk::Place;
use super::errors::told;
use super::group;
use super::names::Names;
use super::{dead, window::Window};
use crate::{Depth, QueueError};

/// The depth of one subscription, which is there.
pub(super) async fn of(cluster: &Arc<Cluster>, names: &Names) -> Result<Depth, QueueError> {
    let (cluster, names) = (Arc::clone(cluster), names.clone());
    blocking(move || count(&cluster, &names)).await
}

/// What a member knows of a partition.
struct Known {
    next: i64,
    open: u64,
    in_flight: u64,
    delayed: u64,
}

fn known(cluster: &Cluster, names: &Names) -> BTreeMap<Place, Known> {
    let now = Instant::now();
    let mut all = BTreeMap::new();
    if let Some(member) = cluster.member(&names.group) {
        let state = member.0.state();
        for (place, partition) in &state.partitions {
            let (in_flight, delayed) = state.desk.counts(*place, now);
            let next = partition.window.next();
            let open = u64::try_from(partition.window.open()).unwrap_or(u64::MAX);
            all.insert(*place, Known { next, open, in_flight, delayed });
        }
    }
    all
}

fn count(cluster: &Cluster, names: &Names) -> Result<Depth, QueueError> {
    let of = |topic: &str| -> Result<i32, QueueError> {
        Ok(cluster.shape(topic)?.map_or(0, |shape| shape.partitions))
    };
    let topics = [
        (names.topic.as_str(), of(&names.topic)?),
        (names.again.as_str(), of(&names.again)?),
        (names.dead.as_str(), of(&names.dead)?),
    ];
    let ends = cluster.ends(&topics)?;
    let depth = between(cluster, names, &ends)?;
    if depth.ready > 0 && depth.dead > 0 {
        return Ok(depth);
    }
    between(cluster, names, &cluster.proved_ends(&topics)?)
}

fn between(cluster: &Cluster, names: &Names, ends: &Offsets) -> Result<Depth, QueueError> {
    let mut list = TopicPartitionList::new();
    for (topic, partition) in ends.keys().filter(|(topic, _)| *topic != names.dead) {
        list.add_partition(topic, *partition);
    }
    let committed = if list.count() == 0 {
        Vec::new()
    } else {
        let reader = cluster.group(&names.group)?;
        let what = format_args!("reading what {} has acked", names.group);
        group::committed(&reader, &list, ASK_WAIT).map_err(|error| told(cluster.url(), what, &error))?
    };
    let known = known(cluster, names);
    let mut depth = Depth::default();
    for (topic, partition, mark) in committed {
        let place = Place { again: topic == names.again, partition };
        let end = ends.get(&(topic, partition)).copied().unwrap_or_default();
        let ahead = |from: i64| u64::try_from(end.saturating_sub(from)).unwrap_or_default();
        if let Some(known) = known.get(&place) {
            let held = known.in_flight + known.delayed;
            depth.ready += ahead(known.next) + known.open.saturating_sub(held);
            depth.in_flight += known.in_flight;
            depth.delayed += known.delayed;
        } else if let Some(mark) = mark {
            let window = Window::restored(&mark);
            depth.ready += ahead(window.next()) + u64::try_from(window.open()).unwrap_or(u64::MAX);
        } else {
            depth.ready += ahead(0);
        }
    }
    if let Some(end) = ends.get(&(names.dead.clone(), 0)) {
        let redriven = dead::redriven(cluster, names)?;
        depth.dead = u64::try_from(end.saturating_sub(redriven)).unwrap_or_default();
    }
    Ok(depth)
}
