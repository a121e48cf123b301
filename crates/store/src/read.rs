//! Reading what is committed.

use crate::engine::{Lookup, Pair, Scan, Snapshot};
use crate::error::StoreError;
use crate::key::{self, Row};
use crate::outbox;
use crate::view;
use bytes::Bytes;
use std::sync::Arc;

/// One committed state of the whole store: everything that is read through it belongs together. Short-lived: drop it
/// with the request.
///
/// Its methods are `async` for engines across a network; those in this process answer at once.
#[derive(Debug, Clone)]
pub struct Reader {
    snapshot: Arc<dyn Snapshot>,
}

impl Reader {
    pub(crate) fn new(snapshot: Arc<dyn Snapshot>) -> Self {
        Self { snapshot }
    }

    /// The bytes at a key.
    #[expect(clippy::unused_async, reason = "an engine across a network awaits here")]
    pub async fn bytes(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        match self.snapshot.get(key)? {
            Lookup::Known(value) => Ok(value),
            Lookup::Unloaded => Ok(self.snapshot.load(&[key.to_vec()])?.pop().flatten()),
        }
    }

    /// A row's state.
    pub async fn get<R: Row>(&self, key: &R::Key) -> Result<Option<R::State>, StoreError> {
        let key = key::of::<R>(key);
        self.bytes(&key).await?.map(|bytes| view::decode::<R>(&key, &bytes)).transpose()
    }

    /// Many rows' states in one round trip, in the order asked.
    #[expect(clippy::unused_async, reason = "an engine across a network awaits here")]
    pub async fn get_many<R: Row>(&self, keys: &[R::Key]) -> Result<Vec<Option<R::State>>, StoreError> {
        let keys: Vec<_> = keys.iter().map(key::of::<R>).collect();
        let found = self.snapshot.load(&keys)?;
        keys.iter()
            .zip(found)
            .map(|(key, bytes)| bytes.map(|bytes| view::decode::<R>(key, &bytes)).transpose())
            .collect()
    }

    /// Since when a row waits to be announced on `topic`, in milliseconds since the Unix epoch, if it does.
    pub async fn marked_since<R: Row>(&self, topic: &str, key: &R::Key) -> Result<Option<u64>, StoreError> {
        let mark = self.bytes(&outbox::mark_key(topic, &key::of::<R>(key))).await?;
        Ok(mark.and_then(|bytes| outbox::parse_value(&bytes)).map(|(_, since_ms)| since_ms))
    }

    /// A range of keys and bytes.
    #[expect(clippy::unused_async, reason = "an engine across a network awaits here")]
    pub async fn scan(&self, scan: &Scan) -> Result<Vec<Pair>, StoreError> {
        self.snapshot.scan(scan)
    }

    /// A range of rows of one kind.
    pub async fn rows<R: Row>(&self, scan: &Scan) -> Result<Vec<view::Decoded<R>>, StoreError> {
        self.scan(scan).await?.iter().map(view::decode_pair::<R>).collect()
    }
}
