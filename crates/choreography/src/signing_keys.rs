//! From announced signing keys to believed ones.
//!
//! A key is merged only under the root key's signature: what is not signed is poison, takes no row, and can neither
//! take a true key's place nor end it. Revoking a key will need a signed statement too; until then `life` is not heard.

use crate::anti_entropy::Cover;
use crate::link::Link;
use crate::merge::Merge;
use api::KeyRing;
use messages::{Fact, KeyId, SigningKeyFact, SigningKeyState};
use queue::{NameError, Publisher};
use std::sync::Arc;
use store::{Row, Scan, Store, StoreError};

/// Listens for keys, and believes those that the root key signed.
pub fn link<R>(store: &Store, ring: &Arc<KeyRing>, publisher: &Arc<dyn Publisher>) -> Result<Link, NameError>
where
    R: Row<Key = KeyId, State = SigningKeyState>,
{
    let (judge, ring) = (Arc::clone(ring), Arc::clone(ring));
    let merge = Merge::<SigningKeyFact, R>::new(store.clone())
        .wanting(publisher)?
        .believing(move |id, state| believe(&judge, *id, state))
        .on_merged(move |keys| keys.iter().for_each(|(id, state)| learn(&ring, *id, state)));
    Link::with(merge)
}

/// What a subscriber says of keys is believed like what is announced: under the root key's signature.
pub fn cover<R>(ring: &Arc<KeyRing>) -> Cover<SigningKeyFact, R>
where
    R: Row<Key = KeyId, State = SigningKeyState>,
{
    let (judge, ring) = (Arc::clone(ring), Arc::clone(ring));
    Cover::new()
        .believing(move |id, state| believe(&judge, *id, state))
        .on_heard(move |id, state| learn(&ring, *id, state))
}

/// Believes the keys that a store has.
pub async fn learn_stored<R>(store: &Store, ring: &KeyRing) -> Result<(), StoreError>
where
    R: Row<Key = <SigningKeyFact as Fact>::Key, State = SigningKeyState>,
{
    let keys = store.reader()?.rows::<R>(&Scan::prefix(&[R::TAG])).await?;
    for (id, state) in &keys {
        learn(ring, *id, state);
    }
    Ok(())
}

/// True facts say a key and its certificate, and nothing that nobody signed.
fn believe(ring: &KeyRing, id: KeyId, state: &SigningKeyState) -> Result<(), String> {
    if state.life.is_gone() {
        return Err("it revokes a key without a signature".to_owned());
    }
    let key = state.key.get().ok_or("it says no key")?;
    ring.verify(&id.to_string(), &key.public_key, &key.certificate)
        .map(drop)
        .map_err(|error| error.to_string())
}

/// From a row, which holds only what was believed.
fn learn(ring: &KeyRing, id: KeyId, state: &SigningKeyState) {
    if state.life.is_gone() {
        ring.revoke(&id.to_string());
    } else if let Some(key) = state.key.get()
        && let Err(error) = ring.learn(&id.to_string(), &key.public_key, &key.certificate)
    {
        tracing::warn!(key = %id, %error, "a signing key is not believed");
    }
}
