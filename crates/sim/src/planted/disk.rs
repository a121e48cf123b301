//! Bugs of what is committed, and when.

use super::Planted;
use crate::service::ServiceName;
use std::sync::Arc;
use store::engine::{Batch, Snapshot};
use store::{Durability, Engine, Row, StoreError};

/// An engine, with the bug if it has one.
pub(crate) fn engine(bug: Option<Planted>, service: ServiceName, inner: impl Engine) -> impl Engine {
    Buggy { bug, service, inner }
}

#[derive(Debug)]
struct Buggy<E> {
    bug: Option<Planted>,
    service: ServiceName,
    inner: E,
}

impl<E: Engine> Engine for Buggy<E> {
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError> {
        self.inner.snapshot()
    }

    fn commit(&self, batch: Batch, durability: Durability) -> Result<(), StoreError> {
        match self.bug {
            Some(Planted::AckBeforeCommit) => self.inner.commit(batch, Durability::Relaxed),
            Some(Planted::TallyApart) => {
                let (tallies, rest): (Batch, Batch) =
                    batch.into_iter().partition(|(key, _)| key.first() == Some(&self.tally_tag()));
                self.inner.commit(rest, durability)?;
                if tallies.is_empty() { Ok(()) } else { self.inner.commit(tallies, durability) }
            }
            _ => self.inner.commit(batch, durability),
        }
    }
}

impl<E> Buggy<E> {
    /// The tag of the rows that count something in this service; one that it does not use where nothing is counted.
    fn tally_tag(&self) -> u8 {
        match self.service {
            ServiceName::Users => u8::MAX,
            ServiceName::Stories => stories::rows::VoteTallyRow::TAG,
            ServiceName::Comments => comments::rows::TallyRow::TAG,
        }
    }
}
