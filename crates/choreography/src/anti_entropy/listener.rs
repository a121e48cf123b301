//! The subscriber's side: hears digests, and says what it lacks.

use super::links::{Heard, PUBLISHERS_MAX};
use super::look::Refusals;
use super::send::Sender;
use super::talk::Talk;
use super::wire::{self, Digest, Item, Run, Want, bytes_of};
use lattice::ReplicaId;
use messages::Fact;
use queue::{Envelope, NameError, Publisher};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use store::{KeyPart, KeyRange, Row, Store, StoreError};

/// Compares one kind of rows with what their publishers tell.
#[derive(Debug)]
pub(crate) struct Listener {
    store: Store,
    refusals: Refusals,
    heard: Heard,
    talks: Mutex<Talks>,
    wants: Sender,
    fact: &'static str,
}

impl Listener {
    pub(crate) fn new<F: Fact, R: Row>(
        store: &Store,
        publisher: &Arc<dyn Publisher>,
        heard: Heard,
    ) -> Result<Self, NameError> {
        let tracked = store.track::<R>(&KeyRange::new(F::KEYS_FROM, F::KEYS_TO));
        Ok(Self {
            store: store.clone(),
            refusals: Refusals::of(tracked),
            heard,
            talks: Mutex::default(),
            wants: Sender::new(wire::wants_topic(F::TOPIC)?, Arc::clone(publisher)),
            fact: F::TYPE,
        })
    }

    /// Hears a digest; the want that it leads to is published before this returns. One of our own, and one that is too
    /// old, is passed over.
    pub(crate) async fn hear(&self, envelope: &Envelope) -> Result<(), ListenError> {
        let Some(digest) = wire::read_digest(envelope, self.fact)? else { return Ok(()) };
        let (Some(publisher), Some(told_ms)) = (wire::sender(envelope), envelope.time_ms()) else {
            return Err(ListenError::Unsigned);
        };
        let own = self.store.identity().replica;
        if publisher == own || digest.answers.is_some_and(|subscriber| subscriber != bytes_of(own)) {
            return Ok(());
        }
        self.refusals.build().await?;
        let items = self.compare(publisher, told_ms, digest)?;
        self.want(publisher, items).await;
        Ok(())
    }

    fn compare(&self, publisher: ReplicaId, told_ms: u64, digest: Digest) -> Result<Vec<Item>, StoreError> {
        let mut talks = self.talks.lock().unwrap_or_else(PoisonError::into_inner);
        let talk = talks.with(publisher);
        if talk.is_old(told_ms) {
            return Ok(Vec::new());
        }
        self.refusals.reconsider(publisher, digest.runs.iter().cloned().flat_map(Run::into_pieces))?;
        let (look, is_answer) = (self.refusals.look(publisher), digest.answers.is_some());
        let heard = if is_answer { talk.answer(digest, &look)? } else { talk.everything(digest, &look)? };
        let open = talk.open();
        drop(talks);
        self.heard.change(publisher, |status| {
            status.differing_ranges = open;
            if let Some((there, here)) = heard.compared {
                status.told_ms = told_ms;
                (status.rows_there, status.rows_here) = (there.count, here.count);
                status.equal = there == here;
                status.digest = format!("{}:{:032x}", there.count, there.sum);
                if status.equal {
                    status.exact_as_of_ms = Some(told_ms);
                }
            }
        });
        Ok(heard.items)
    }

    /// Says what is lacking. A want may be lost: what it asked about stays open, and is asked about again.
    async fn want(&self, publisher: ReplicaId, items: Vec<Item>) {
        let publisher = bytes_of(publisher);
        let message = |items: &[Item]| {
            wire::want_message(&self.store, self.fact, &Want { publisher, items: items.to_vec() })
        };
        self.wants.send(items, Item::bytes, message).await;
    }

    /// Facts were merged.
    pub(crate) fn merged<'a, K: KeyPart + 'a>(
        &self,
        publisher: ReplicaId,
        keys: impl Iterator<Item = &'a K>,
    ) {
        self.refusals.accept(publisher, keys.map(key_bytes));
    }

    /// A fact was not understood, or not believed.
    pub(crate) fn refused<K: KeyPart>(&self, publisher: ReplicaId, key: &K, state: &serde_json::Value) {
        self.refusals.refuse(publisher, key_bytes(key), state.to_string().as_bytes());
    }
}

fn key_bytes<K: KeyPart>(key: &K) -> Vec<u8> {
    let mut bytes = Vec::new();
    key.write(&mut bytes);
    bytes
}

/// What is known of each publisher, at most [`PUBLISHERS_MAX`] of them.
#[derive(Debug, Default)]
struct Talks {
    /// With the number of the digest that was heard of it last.
    of: BTreeMap<ReplicaId, (u64, Talk)>,
    heard: u64,
}

impl Talks {
    /// The one with a publisher that is just heard. Where there are too many, who was silent for longest is forgotten.
    fn with(&mut self, publisher: ReplicaId) -> &mut Talk {
        if self.of.len() >= PUBLISHERS_MAX
            && !self.of.contains_key(&publisher)
            && let Some(silent) = self.of.iter().min_by_key(|(_, (heard, _))| *heard).map(|(id, _)| *id)
        {
            self.of.remove(&silent);
        }
        self.heard += 1;
        let (heard, talk) = self.of.entry(publisher).or_default();
        *heard = self.heard;
        talk
    }
}

/// Why a digest was not heard.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListenError {
    #[error(transparent)]
    Wire(#[from] wire::WireError),
    #[error("it names no replica as its source, or no time")]
    Unsigned,
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_silent_for_longest_is_forgotten() {
        let (mut talks, most) = (Talks::default(), PUBLISHERS_MAX as u128);
        for id in 1..=most {
            talks.with(ReplicaId::from_u128(id));
        }
        // The smallest ids go on talking while others come.
        for id in most + 1..=2 * most {
            talks.with(ReplicaId::from_u128(1));
            talks.with(ReplicaId::from_u128(id));
        }
        assert_eq!(talks.of.len(), PUBLISHERS_MAX);
        assert!(talks.of.contains_key(&ReplicaId::from_u128(1)));
        assert!(!talks.of.contains_key(&ReplicaId::from_u128(2)));
    }
}
