//! Messages that were received and not understood: kept whole, with the reason, in the subscriber's own store.
//!
//! They are tried again at every start, since the usual cure is an upgrade, and stay until they are understood. The
//! same message kept twice is kept once: its key is made from where it came from and what it says.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use consumer::{BoxError, Context, DeadLetters, Handler, HandlerError, Kept};
use queue::{BoxFuture, Delivery, Message, Subscription};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::convert::Infallible;
use store::key::KEPT_TAG;
use store::{Abort, Scan, Store, StoreError, WriteError};
use thiserror::Error;

/// The most messages that one store keeps. One more is left in its queue, and tried again.
pub const KEPT_MESSAGES_MAX: u64 = 100_000;

/// A message that was not understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptMessage {
    /// Where it came from.
    pub subscription: String,
    /// Why it was not understood.
    pub reason: String,
    /// When it was kept, in milliseconds since the Unix epoch.
    pub kept_ms: u64,
    /// Its attributes.
    pub attributes: BTreeMap<String, String>,
    /// Its body, whatever it is.
    pub body_base64: String,
}

/// There is no room for another one. *The log names each with its reason: upgrade, or stop
/// whoever sends them.*
#[derive(Debug, Error)]
#[error("{KEPT_MESSAGES_MAX} messages that could not be understood are kept already")]
pub struct TooManyKept;

/// Keeps poison in a store.
#[derive(Debug, Clone)]
pub struct StoreDeadLetters {
    store: Store,
    subscription: Subscription,
}

impl StoreDeadLetters {
    /// Keeps what comes from `subscription`.
    pub fn new(store: Store, subscription: Subscription) -> Self {
        Self { store, subscription }
    }
}

impl DeadLetters for StoreDeadLetters {
    fn keep<'a>(&'a self, delivery: &'a Delivery, reason: &'a str) -> BoxFuture<'a, Result<Kept, BoxError>> {
        let kept = KeptMessage {
            subscription: self.subscription.to_string(),
            reason: reason.to_owned(),
            kept_ms: self.store.world().now_ms(),
            attributes: delivery.message.attributes.clone(),
            body_base64: STANDARD.encode(&delivery.message.body),
        };
        Box::pin(async move {
            tracing::warn!(subscription = %kept.subscription, reason, "a message was not understood and is kept");
            metrics::counter!("antiphon_kept_messages_total", "subscription" => kept.subscription.clone())
                .increment(1);
            let (key, value) = (message_key(&kept), serde_json::to_vec(&kept)?);
            let written = self.store.write(move |view| {
                if view.bytes(&key)?.is_some() {
                    return Ok(());
                }
                let count = view.bytes(&count_key())?.map_or(0, |bytes| count(&bytes));
                if count >= KEPT_MESSAGES_MAX {
                    return Err(Abort::Refused(TooManyKept));
                }
                view.set(key.clone(), value.clone());
                view.set(count_key(), (count + 1).to_be_bytes().to_vec());
                Ok(())
            });
            match written.await {
                Ok(()) => Ok(Kept::Elsewhere),
                Err(WriteError::Refused(full)) => Err(full.into()),
                Err(WriteError::Store(error)) => Err(error.into()),
            }
        })
    }
}

fn count_key() -> Vec<u8> {
    vec![KEPT_TAG]
}

fn count(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_be_bytes)
}

fn message_key(kept: &KeptMessage) -> Vec<u8> {
    let mut hash = Sha256::new();
    hash.update(kept.subscription.as_bytes());
    hash.update([0]);
    hash.update(kept.body_base64.as_bytes());
    for (name, value) in &kept.attributes {
        for text in [name, value] {
            hash.update([0]);
            hash.update(text.as_bytes());
        }
    }
    let digest: [u8; 32] = hash.finalize().into();
    let (half, _) = digest.split_at(16);
    [&[KEPT_TAG], half].concat()
}

/// What is kept, in key order, from behind `after`: at most `limit` of them, each with its key.
pub async fn list(
    store: &Store,
    after: Option<&[u8]>,
    limit: usize,
) -> Result<Vec<(Vec<u8>, KeptMessage)>, StoreError> {
    let scan = Scan::prefix(&[KEPT_TAG]).after(after.unwrap_or(&count_key())).limit(limit);
    let pairs = store.reader()?.scan(&scan).await?;
    pairs
        .into_iter()
        .map(|(key, value)| {
            let kept = serde_json::from_slice(&value).map_err(|error| {
                StoreError::Engine(format!("a kept message cannot be read: {error}").into())
            })?;
            Ok((key.to_vec(), kept))
        })
        .collect()
}

/// How many are kept.
pub async fn depth(store: &Store) -> Result<u64, StoreError> {
    Ok(store.reader()?.bytes(&count_key()).await?.map_or(0, |bytes| count(&bytes)))
}

/// Gives every kept message of a subscription to `handler` once more, and forgets those that it understands now.
/// Returns how many that were.
pub async fn retry(
    store: &Store,
    subscription: &Subscription,
    handler: &impl Handler,
) -> Result<u64, StoreError> {
    let (mut after, mut understood) = (None, 0);
    loop {
        let page = list(store, after.as_deref(), PAGE).await?;
        let Some((last, _)) = page.last() else { return Ok(understood) };
        after = Some(last.clone());
        for (key, kept) in page {
            let Ok(body) = STANDARD.decode(&kept.body_base64) else { continue };
            if kept.subscription != subscription.to_string() {
                continue;
            }
            let message = Message { body: body.into(), attributes: kept.attributes };
            match handler.handle(&message, &Context::new(subscription.clone())).await {
                Ok(()) => {
                    forget(store, key).await?;
                    understood += 1;
                }
                Err(HandlerError::Poison { .. }) => {}
                Err(HandlerError::Retry { source, .. }) => {
                    tracing::warn!(error = %source, "a kept message could not be tried again; the next start will");
                }
            }
        }
    }
}

/// How many are read at a time.
const PAGE: usize = 100;

async fn forget(store: &Store, key: Vec<u8>) -> Result<(), StoreError> {
    let written = store.write(move |view| {
        if view.bytes(&key)?.is_some() {
            let count = view.bytes(&count_key())?.map_or(0, |bytes| count(&bytes));
            view.remove(key.clone());
            view.set(count_key(), count.saturating_sub(1).to_be_bytes().to_vec());
        }
        Ok::<_, Abort<Infallible>>(())
    });
    written.await.map_err(WriteError::into_store)
}
