//! From announced signing keys to believed ones.
//!
//! The row is merged like any other; whether a key is believed is decided when it is read, by the root key alone. So a
//! forged announcement takes a row and nothing else.

use crate::link::Link;
use crate::merge::Merge;
use api::KeyRing;
use messages::{Fact, KeyId, SigningKeyFact, SigningKeyState};
use queue::NameError;
use std::sync::Arc;
use store::{Row, Scan, Store, StoreError};

/// Listens for keys, and believes those that the root key signed.
pub fn link<R>(store: &Store, ring: &Arc<KeyRing>) -> Result<Link, NameError>
where
    R: Row<Key = KeyId, State = SigningKeyState>,
{
    let ring = Arc::clone(ring);
    let merge = Merge::<SigningKeyFact, R>::new(store.clone())
        .on_merged(move |keys| keys.iter().for_each(|(id, state)| believe(&ring, *id, state)));
    Link::with(merge)
}

/// Believes the keys that a store has.
pub async fn learn_stored<R>(store: &Store, ring: &KeyRing) -> Result<(), StoreError>
where
    R: Row<Key = <SigningKeyFact as Fact>::Key, State = SigningKeyState>,
{
    let keys = store.reader()?.rows::<R>(&Scan::prefix(&[R::TAG])).await?;
    for (id, state) in &keys {
        believe(ring, *id, state);
    }
    Ok(())
}

fn believe(ring: &KeyRing, id: KeyId, state: &SigningKeyState) {
    if state.life.is_gone() {
        ring.revoke(&id.to_string());
    } else if let Some(key) = state.key.get()
        && let Err(error) = ring.learn(&id.to_string(), &key.public_key, &key.certificate)
    {
        tracing::warn!(key = %id, %error, "an announced signing key is not believed");
    }
}
