//! What a function inside [`crate::Store::write`] sees and changes.

use crate::engine::{Batch, Lookup, Pair, Snapshot};
use crate::epochs::ours_from_the_future;
use crate::error::{StoreError, ViewError};
use crate::identity::{Identity, identity_key};
use crate::key::{self, KEY_BYTES_MAX, Row};
use crate::outbox;
use bytes::Bytes;
use lattice::{Clock, Lattice, OwnedTallies, ReplicaId, Stamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

mod scan;

/// A row before and after a join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined<S> {
    /// What was stored; bottom where there was no row.
    pub before: S,
    /// What is stored now.
    pub after: S,
    /// True when the row grew: only then was anything written.
    pub grew: bool,
}

/// The key and the state of a row.
pub type Decoded<R> = (<R as Row>::Key, <R as Row>::State);

/// The rows of one waiting group: a snapshot, what was loaded beside it, and what the group wrote so far.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) snapshot: Arc<dyn Snapshot>,
    pub(crate) loaded: BTreeMap<Vec<u8>, Option<Bytes>>,
    pub(crate) written: Batch,
    pub(crate) clock: Clock,
    pub(crate) identity: Arc<Identity>,
    pub(crate) muted: Arc<BTreeSet<&'static str>>,
    pub(crate) now_ms: u64,
    pub(crate) sequence: u64,
}

/// A function's window on the store: it reads what is committed and what it wrote itself, and writes what will be
/// committed with its group.
///
/// A function may be run more than once, so it must do nothing but read and write its view. Every method that can
/// miss a row returns [`ViewError`]: pass it on with `?` and the store will load the row and run the function again.
#[derive(Debug)]
pub struct View<'g> {
    group: &'g mut Group,
    written: Batch,
    /// Who the function made of this replica, if it did.
    identity: Option<Arc<Identity>>,
    missing: BTreeSet<Vec<u8>>,
}

impl<'g> View<'g> {
    pub(crate) fn new(group: &'g mut Group) -> Self {
        Self { group, written: Batch::new(), identity: None, missing: BTreeSet::new() }
    }

    /// Makes the function's writes the group's.
    pub(crate) fn keep(mut self) {
        self.group.written.append(&mut self.written);
        if let Some(identity) = self.identity {
            self.group.identity = identity;
        }
    }

    /// Forgets the function's writes; what it missed is what has to be loaded.
    pub(crate) fn discard(self) -> BTreeSet<Vec<u8>> {
        self.missing
    }

    /// Milliseconds since the Unix epoch, the same for the whole group.
    pub fn now_ms(&self) -> u64 {
        self.group.now_ms
    }

    /// Who writes: as the store is, or as this function or an earlier one of its group made it.
    pub fn identity(&self) -> &Identity {
        self.identity.as_ref().unwrap_or(&self.group.identity)
    }

    /// The replica that writes.
    pub fn replica(&self) -> ReplicaId {
        self.identity().replica
    }

    /// The tallies that this replica writes.
    pub fn owned(&self) -> &OwnedTallies {
        &self.identity().owned
    }

    /// Becomes somebody: in this commit, for what this function and those behind it do.
    pub(crate) fn become_who(&mut self, identity: Identity) -> Result<(), ViewError> {
        let bytes = serde_json::to_vec(&identity)
            .map_err(|error| corrupt("identity", &identity_key(), &error.to_string()))?;
        self.set(identity_key(), bytes);
        self.identity = Some(Arc::new(identity));
        Ok(())
    }

    /// A stamp above every one that this lane minted, and above `above`, the stamp of what is being changed.
    pub fn mint(&mut self, above: Option<Stamp>) -> Stamp {
        let stamp = self.group.clock.mint(self.group.now_ms, above);
        // A function that renewed the replica mints in its new name; the moments are the clock's, and go on.
        Stamp { replica: self.replica(), ..stamp }
    }

    /// Hears of a stamp minted elsewhere, so that the next one minted here is above it. One from a clock that runs too
    /// far ahead is merged all the same (refusing would diverge), does not drag ours, and raises the alarm.
    ///
    /// One in our own name that we never minted tells that this store has lost data: it is noted, for
    /// [`crate::Healer`].
    pub fn observe(&mut self, remote: Stamp) {
        if remote.replica == self.replica() && ours_from_the_future(&self.group.clock, remote) {
            self.note_lost();
        }
        if let Err(error) = self.group.clock.observe(remote, self.group.now_ms) {
            metrics::counter!("antiphon_clock_ahead_total").increment(1);
            tracing::warn!(stamp = %remote, %error, "a remote clock runs ahead: check its time source");
        }
    }

    /// The bytes at a key.
    pub fn bytes(&mut self, key: &[u8]) -> Result<Option<Bytes>, ViewError> {
        let layers = [&self.written, &self.group.written, &self.group.loaded];
        if let Some(value) = layers.iter().find_map(|layer| layer.get(key)) {
            return Ok(value.clone());
        }
        match self.group.snapshot.get(key)? {
            Lookup::Known(value) => Ok(value),
            Lookup::Unloaded => {
                self.missing.insert(key.to_vec());
                Err(ViewError::Miss)
            }
        }
    }

    /// Says which rows the function is going to read, so that an engine across a network loads them in one round trip
    /// instead of one after the other. Optional; costs nothing where rows are at hand.
    pub fn expect_keys(&mut self, keys: impl IntoIterator<Item = Vec<u8>>) -> Result<(), ViewError> {
        let mut missed = false;
        for key in keys {
            match self.bytes(&key) {
                Ok(_) => {}
                Err(ViewError::Miss) => missed = true,
                Err(error) => return Err(error),
            }
        }
        if missed { Err(ViewError::Miss) } else { Ok(()) }
    }

    /// A row's state.
    pub fn get<R: Row>(&mut self, key: &R::Key) -> Result<Option<R::State>, ViewError> {
        let key = key::of::<R>(key);
        match self.bytes(&key)? {
            Some(bytes) => decode::<R>(&key, &bytes).map(Some).map_err(ViewError::from),
            None => Ok(None),
        }
    }

    /// Pairs that [`View::scan`] found, as rows of one kind.
    pub fn decoded<R: Row>(&self, pairs: &[Pair]) -> Result<Vec<Decoded<R>>, ViewError> {
        pairs.iter().map(|pair| decode_pair::<R>(pair).map_err(ViewError::from)).collect()
    }

    /// Joins a delta into a row. **The** way to change a row: there is no other.
    pub fn join<R: Row>(&mut self, key: &R::Key, delta: R::State) -> Result<Joined<R::State>, ViewError> {
        let before = self.get::<R>(key)?.unwrap_or_default();
        let mut after = before.clone();
        let grew = after.join(delta);
        if grew {
            let key = key::of::<R>(key);
            let bytes = encode::<R>(&key, &after)?;
            self.set(key, bytes);
        }
        Ok(Joined { before, after, grew })
    }

    /// Writes plain bytes: index rows, and other derived facts that are no lattice.
    ///
    /// # Panics
    ///
    /// Where the key is longer than [`KEY_BYTES_MAX`].
    pub fn set(&mut self, key: Vec<u8>, value: impl Into<Bytes>) {
        assert!(key.len() <= KEY_BYTES_MAX, "a key of {} bytes: layouts are of bounded length", key.len());
        self.written.insert(key, Some(value.into()));
    }

    /// Removes plain bytes.
    pub fn remove(&mut self, key: Vec<u8>) {
        self.written.insert(key, None);
    }

    /// Marks a row to be announced on `topic`, as it is when the relay comes to it. On a muted topic nothing is to be
    /// announced: see [`crate::Setup::muting`].
    pub fn mark<R: Row>(&mut self, topic: &'static str, key: &R::Key) -> Result<(), ViewError> {
        if self.group.muted.contains(topic) {
            return Ok(());
        }
        let mark = outbox::mark_key(topic, &key::of::<R>(key));
        let waiting = self.bytes(&mark)?.and_then(|bytes| outbox::parse_value(&bytes));
        let since_ms = waiting.map_or(self.group.now_ms, |(_, since_ms)| since_ms);
        self.set(mark, outbox::value(self.group.sequence, since_ms));
        Ok(())
    }

    /// Clears a mark if it is still at `version`: a row that moved since then stays marked.
    pub fn clear_mark(&mut self, mark: &outbox::Mark) -> Result<(), ViewError> {
        let key = outbox::mark_key(&mark.topic, &mark.row);
        let stored = self.bytes(&key)?.and_then(|bytes| outbox::parse_value(&bytes));
        if stored.is_some_and(|(version, _)| version == mark.version) {
            self.remove(key);
        }
        Ok(())
    }
}

/// Reads a stored row.
pub(crate) fn decode<R: Row>(key: &[u8], bytes: &[u8]) -> Result<R::State, StoreError> {
    serde_json::from_slice(bytes).map_err(|error| corrupt(R::NAME, key, &error.to_string()))
}

pub(crate) fn decode_pair<R: Row>((key, bytes): &Pair) -> Result<Decoded<R>, StoreError> {
    let id = key::read::<R>(key).ok_or_else(|| corrupt(R::NAME, key, "not a key of this kind"))?;
    Ok((id, decode::<R>(key, bytes)?))
}

fn encode<R: Row>(key: &[u8], state: &R::State) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(state).map_err(|error| corrupt(R::NAME, key, &error.to_string()))
}

pub(crate) fn corrupt(row: &'static str, key: &[u8], detail: &str) -> StoreError {
    use std::fmt::Write;
    let key = key.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap_or_else(|_| unreachable!("writing to a string cannot fail"));
        hex
    });
    StoreError::Corrupt { row, key, detail: detail.to_owned() }
}
