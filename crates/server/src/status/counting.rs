//! Who writes tallies, as a service knows it: for an operator who looks for a replica that nobody counts for any more.

use serde::Serialize;
use std::collections::BTreeMap;
use store::{Recount, Store, StoreError};

/// What a service counts, and who else does.
#[derive(Debug, Serialize)]
pub(crate) struct CountingStatus {
    /// The replicas whose elements are counted, by id. One that nobody was heard of for long may be lost: its heir is
    /// made by `antiphon adopt`.
    writers: BTreeMap<String, WriterStatus>,
    /// What is counted again; absent where nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    recount: Option<RecountStatus>,
}

#[derive(Debug, Serialize)]
struct WriterStatus {
    /// How often its elements were counted anew.
    generation: u32,
    /// Who writes its tallies: itself, or its heir.
    writer: String,
    /// Whether that is this replica.
    here: bool,
    /// When one of its tallies was heard of, to the minute, in milliseconds since the Unix epoch; absent where they are
    /// written here.
    #[serde(skip_serializing_if = "Option::is_none")]
    heard_ms: Option<u64>,
}

#[derive(Debug, Serialize)]
struct RecountStatus {
    replicas: Vec<String>,
    rows_looked_at: u64,
    groups_counted: u64,
}

/// Looks.
pub(crate) async fn look(store: &Store) -> Result<CountingStatus, StoreError> {
    let mut writers = BTreeMap::new();
    for (replica, owner) in store::owners(store).await? {
        let status = WriterStatus {
            generation: owner.epoch.generation,
            writer: owner.epoch.owner.to_string(),
            here: false,
            heard_ms: Some(owner.heard_ms),
        };
        writers.insert(replica.to_string(), status);
    }
    for (replica, epoch) in store.identity().owned.iter() {
        let status = WriterStatus {
            generation: epoch.generation,
            writer: epoch.owner.to_string(),
            here: true,
            heard_ms: None,
        };
        writers.insert(replica.to_string(), status);
    }
    let recount = Recount::under_way(store).await?.map(|recount| RecountStatus {
        replicas: recount.replicas.iter().map(ToString::to_string).collect(),
        rows_looked_at: recount.looked,
        groups_counted: recount.counted,
    });
    Ok(CountingStatus { writers, recount })
}
