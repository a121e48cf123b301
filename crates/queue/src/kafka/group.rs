//! What happens when the partitions of a group are dealt out anew.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};

use super::errors;
use super::member::Core;
use super::options::REWIND;
use super::window::Mark;
use crate::QueueError;

/// How long to wait for what a group committed.
const COMMITTED_WAIT: Duration = Duration::from_secs(5);
/// How often to ask for it before the member gives up its partitions and joins anew.
const COMMITTED_TRIES_MAX: usize = 3;

/// The context of a client that joins its group.
pub(super) struct Joined {
    pub(super) core: Arc<Core>,
    pub(super) this: OnceLock<std::sync::Weak<BaseConsumer<Joined>>>,
}

impl ClientContext for Joined {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        errors::log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        errors::note(&self.core.trouble, &error, reason);
        self.core.woken.notify_waiters();
    }
}

impl ConsumerContext for Joined {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, what: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let done = if what == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            let assigned = self.assign(consumer, list);
            self.core.joined();
            assigned
        } else {
            self.revoke(consumer, list)
        };
        if let Err(error) = done {
            tracing::warn!(%error, group = self.core.names.group, "dealing out partitions failed; joining again");
            self.core.rejoin();
        }
        self.core.woken.notify_waiters();
    }
}

/// What a group committed for each partition of `list`; `None` where it never did.
pub(super) fn committed<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    list: &TopicPartitionList,
    wait: Duration,
) -> KafkaResult<Vec<(String, i32, Option<Mark>)>> {
    let list = consumer.committed_offsets(list.clone(), wait)?;
    let read = list.elements().into_iter().map(|element| {
        element.error()?;
        let mark = match element.offset() {
            Offset::Offset(base) => Some(Mark { base, note: element.metadata().to_owned() }),
            _ => None,
        };
        Ok((element.topic().to_owned(), element.partition(), mark))
    });
    read.collect()
}

impl Joined {
    /// Tells the context whose it is. A second call changes nothing.
    pub(super) fn know(&self, consumer: &Arc<BaseConsumer<Self>>) {
        self.this.get_or_init(|| Arc::downgrade(consumer));
    }

    fn assign(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) -> Result<(), QueueError> {
        let prepared = self.prepare(consumer, list);
        // The client waits for an answer in any case, and later wants back exactly what it dealt out: partitions that
        // could not be opened are taken, and what comes from them is not read.
        let starts = match &prepared {
            Ok(Some(starts)) => starts,
            Ok(None) | Err(_) => list,
        };
        let assigned = match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_assign(starts),
            RebalanceProtocol::None | RebalanceProtocol::Eager => consumer.assign(starts),
        };
        assigned.map_err(|error| self.told(&error))?;
        tracing::debug!(group = self.core.names.group, count = list.count(), "partitions were assigned");
        prepared.map(drop)
    }

    fn told(&self, error: &KafkaError) -> QueueError {
        errors::told(&self.core.url, format_args!("dealing out {}", self.core.names.group), error)
    }

    /// Opens a window on each partition, and says where to begin; `None` if the client is being closed.
    fn prepare(
        &self,
        consumer: &BaseConsumer<Self>,
        list: &TopicPartitionList,
    ) -> Result<Option<TopicPartitionList>, QueueError> {
        let Some(this) = self.this.get().and_then(std::sync::Weak::upgrade) else {
            return Ok(None);
        };
        let mut tries = 0;
        let marks = loop {
            tries += 1;
            match committed(consumer, list, COMMITTED_WAIT) {
                Ok(marks) => break marks,
                Err(error) if tries >= COMMITTED_TRIES_MAX => return Err(self.told(&error)),
                Err(error) => tracing::debug!(%error, tries, "what was committed is not known; asking again"),
            }
        };
        let mut starts = TopicPartitionList::with_capacity(marks.len());
        for (topic, partition, mark) in marks {
            let start = mark
                .as_ref()
                .map_or(Offset::Beginning, |mark| Offset::Offset(mark.base.saturating_sub(REWIND).max(0)));
            let mark = mark.unwrap_or(Mark { base: 0, note: String::new() });
            self.core.assigned(&this, &topic, partition, mark)?;
            starts.add_partition_offset(&topic, partition, start).map_err(|error| self.told(&error))?;
        }
        Ok(Some(starts))
    }

    fn revoke(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) -> Result<(), QueueError> {
        if !consumer.assignment_lost() {
            // An ack may be between its note and its commit. What cannot be committed now comes again.
            for due in self.core.due() {
                let place = due.place;
                let goes = list.find_partition(self.core.topic(place), place.partition).is_some();
                if goes && let Err(error) = self.core.commit(consumer, &due) {
                    tracing::debug!(%error, ?place, "the last commit of a partition failed: some of it comes again");
                }
            }
        }
        for element in list.elements() {
            self.core.revoked(element.topic(), element.partition());
        }
        let revoked = match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_unassign(list),
            RebalanceProtocol::None | RebalanceProtocol::Eager => consumer.unassign(),
        };
        tracing::debug!(group = self.core.names.group, count = list.count(), "partitions were revoked");
        revoked.map_err(|error| self.told(&error))
    }
}
