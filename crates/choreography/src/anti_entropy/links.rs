//! What is known of each link: from the replica that announces, over a topic, to this service.

use crate::link::Link;
use lattice::ReplicaId;
use queue::Topic;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most publishers of one topic of which is remembered what they told: replicas come and go, memory does not grow.
pub const PUBLISHERS_MAX: usize = 64;

/// What a link knows of one replica that announces.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LinkStatus {
    /// Rows there, when it told last.
    pub rows_there: u64,
    /// Rows here, when that was compared.
    pub rows_here: u64,
    /// Key ranges that are known to differ, and are being healed. Zero with `equal` false: not looked into yet.
    pub differing_ranges: usize,
    /// Both had the same rows when that was compared last.
    pub equal: bool,
    /// When it told last, in milliseconds since the Unix epoch on *its* clock.
    pub told_ms: u64,
    /// All that it had at this time on *its* clock is here, and nothing else: the counts made of it are exact as of
    /// then. `None` until both were equal once.
    pub exact_as_of_ms: Option<u64>,
    /// How long the last change that came took from there to here, by both clocks.
    pub lag_ms: Option<u64>,
    /// The fingerprint of the rows there when it told last: count and sum, in hexadecimal.
    pub digest: String,
}

/// One publisher's part of a proof: all that it had then is here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AsOf {
    /// Who announces.
    pub publisher: ReplicaId,
    /// What is known of it.
    #[serde(flatten)]
    pub status: LinkStatus,
}

/// What one subscription heard, by publisher. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Heard {
    publishers: Arc<Mutex<BTreeMap<ReplicaId, LinkStatus>>>,
}

impl Heard {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ReplicaId, LinkStatus>> {
        self.publishers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything, by publisher.
    pub fn all(&self) -> BTreeMap<ReplicaId, LinkStatus> {
        self.lock().clone()
    }

    /// Changes what is known of a publisher; the one that told longest ago is forgotten where there are too many.
    pub(crate) fn change(&self, publisher: ReplicaId, change: impl FnOnce(&mut LinkStatus)) {
        let mut publishers = self.lock();
        change(publishers.entry(publisher).or_default());
        if publishers.len() > PUBLISHERS_MAX
            && let Some(oldest) =
                publishers.iter().min_by_key(|(_, status)| status.told_ms).map(|(id, _)| *id)
        {
            publishers.remove(&oldest);
        }
    }
}

/// What every link of a service heard, by topic. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Links {
    topics: Arc<Mutex<BTreeMap<Topic, Heard>>>,
}

impl Links {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Topic, Heard>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers these links, and gives them back: the end of a service's `links`.
    #[must_use]
    pub fn noting(&self, links: Vec<Link>) -> Vec<Link> {
        let mut topics = self.lock();
        for link in &links {
            topics.insert(link.topic.clone(), link.heard.clone());
        }
        drop(topics);
        links
    }

    /// Everything, by topic and publisher.
    pub fn all(&self) -> BTreeMap<String, BTreeMap<ReplicaId, LinkStatus>> {
        self.lock().iter().map(|(topic, heard)| (topic.to_string(), heard.all())).collect()
    }

    /// What is known of each replica that announces on `topic`: the evidence that what is shown is exact.
    pub fn as_of(&self, topic: &str) -> Vec<AsOf> {
        let topics = self.lock();
        let heard = topics.iter().find(|(name, _)| name.as_str() == topic).map(|(_, heard)| heard.all());
        drop(topics);
        heard.unwrap_or_default().into_iter().map(|(publisher, status)| AsOf { publisher, status }).collect()
    }
}
