//! Users: accounts, profiles, library shelves, and the tokens that every service verifies alone.
//!
//! It owns the accounts, the profiles and the shelves, announces the profiles and its own public key, and hears of
//! nothing but its siblings, other replicas of itself. What somebody keeps on their shelf is told to them alone. Its private key is a parameter, never a row; what
//! it announces is believed elsewhere only under the root key's certificate.
//!
//! | file | what |
//! |---|---|
//! | [`rows`] | the catalogue: every kind of row with its key |
//! | [`account`] | the state of an account: that it was created, and by which request |
//! | [`shelf`] | the state of a library shelf: a set in which adding wins |
//! | `write` | create, rename, put on the shelf: pure functions of the rows they read |
//! | [`read`] | who somebody is, and what is on their shelf |
//! | `merge` | what it hears |
//! | [`siblings`] | what its replicas tell each other |
//! | `http` | its face |

pub mod account;
mod http;
mod merge;
pub mod read;
pub mod rows;
pub mod shelf;
pub mod siblings;
mod write;

pub use http::TOKEN_TTL_S;

use api::root::Certificate;
use api::{KeyRefused, KeyRing, Keys, SigningKey};
use choreography::{AntiEntropy, Links, NameError, Relay, signing_keys};
use lattice::ReplicaId;
use messages::{Fact, KeyId, ProfileFact, SigningKeyFact};
use queue::Publisher;
use siblings::{AccountFact, ShelfFact};
use std::sync::Arc;
use store::{Healer, Store, StoreError};
use thiserror::Error;
use utoipa_axum::router::OpenApiRouter;

/// The service's name: in its store, its subscriptions and its folder.
pub const NAME: &str = "users";

/// Why a replica cannot sign tokens on its store. Nothing was written.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The store could not be read or written. *The source says what to do.*
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The root key did not certify the signing key. *Certify it again with the root key that is configured.*
    #[error("the signing key {key} is not believed: certify it again with the root key that is configured")]
    Uncertified {
        /// Which key.
        key: KeyId,
        /// Why not.
        source: KeyRefused,
    },
    /// The key was revoked: nobody would believe what it signs. *Make a new one.*
    #[error("the signing key {key} was revoked: make a new one")]
    Revoked {
        /// Which key.
        key: KeyId,
    },
}

/// The most stories on a library shelf.
///
/// A shelf is one row, which is read and written whole: this keeps it at some 90 KB, and lets one answer show all of
/// it. It is checked where a story is put on the shelf, so replicas that fill one at the same time may exceed it by what
/// they had not heard of.
pub const SHELF_MAX: usize = 1_000;

/// The most writers that a shelf remembers before a process writes to it in its replica's name, and no more in its own:
/// some 13 KB of the row.
pub const SHELF_WRITERS_MAX: usize = 256;

/// A replica of the service.
#[derive(Debug, Clone)]
pub struct Users {
    store: Store,
    keys: Arc<KeyRing>,
    signing_key: Arc<SigningKey>,
    heard: Links,
    /// In whose name this process writes to shelves, where siblings hear of it.
    shelf_writer: Option<ReplicaId>,
}

impl Users {
    /// A replica on its store, which signs with `signing_key`. `keys` learns the signing keys that the store has and
    /// this one; if it is new to the store, it will be announced with its certificate.
    pub async fn open(
        store: Store,
        keys: Arc<KeyRing>,
        signing_key: SigningKey,
        certificate: Certificate,
    ) -> Result<Self, OpenError> {
        signing_keys::learn_stored::<rows::SigningKeyRow>(&store, &keys).await?;
        let key = write::key_id(&signing_key.public());
        let (public_key, certificate) = (signing_key.public().to_string(), certificate.to_string());
        keys.learn(&key.to_string(), &public_key, &certificate)
            .map_err(|source| OpenError::Uncertified { key, source })?;
        if keys.public_key(&key.to_string()).is_none() {
            return Err(OpenError::Revoked { key });
        }
        // Nothing to be written is not written: a full disk is no reason not to start.
        let reader = store.reader()?;
        let stored = reader.get::<rows::SigningKeyRow>(&key).await?.unwrap_or_default();
        drop(reader);
        let siblings = !store.mutes(ShelfFact::TOPIC);
        let shelf_writer = siblings.then(|| ReplicaId::from_u128(store.world().random()));
        let signing_key = Arc::new(signing_key);
        let users = Self { store, keys, signing_key, heard: Links::default(), shelf_writer };
        if stored.key.get().is_some() {
            return Ok(users);
        }
        let announce = move |view: &mut store::View<'_>| write::add_key(view, key, &public_key, &certificate);
        users.store.write(announce).await.map_err(store::WriteError::into_store)?;
        Ok(users)
    }

    /// Its store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The id of the key that it signs with.
    pub fn signing_key_id(&self) -> String {
        self.signing_key.key_id()
    }

    /// What announces its profiles and keys, and where it has siblings the rest of its rows to them.
    pub fn relay(&self, publisher: Arc<dyn Publisher>) -> Result<Relay, NameError> {
        let relay = Relay::new(self.store.clone(), publisher)
            .announcing::<ProfileFact, rows::ProfileRow>()?
            .announcing::<SigningKeyFact, rows::SigningKeyRow>()?;
        if self.store.mutes(AccountFact::TOPIC) {
            return Ok(relay);
        }
        relay.announcing::<AccountFact, rows::AccountRow>()?.announcing::<ShelfFact, rows::ShelfRow>()
    }

    /// What finds out which of these were lost on the way.
    pub fn anti_entropy(&self, publisher: Arc<dyn Publisher>) -> Result<AntiEntropy, NameError> {
        let covering = AntiEntropy::new(self.store.clone(), publisher)
            .covering::<ProfileFact, rows::ProfileRow>()?
            .covering_by(signing_keys::cover::<rows::SigningKeyRow>(&self.keys))?;
        if self.store.mutes(AccountFact::TOPIC) {
            return Ok(covering);
        }
        covering.covering::<AccountFact, rows::AccountRow>()?.covering::<ShelfFact, rows::ShelfRow>()
    }

    /// What its links heard of those that announce.
    pub fn heard(&self) -> &Links {
        &self.heard
    }

    /// What heals its store.
    pub fn healer(&self) -> Healer {
        healer(&self.store)
    }

    /// Its routes, described.
    pub fn router(&self) -> OpenApiRouter {
        http::router().with_state(self.clone())
    }
}

/// What heals a store of Users that has lost data: it counts nothing, and needs another id all the same, or the dots of
/// its shelves would be used twice.
pub fn healer(store: &Store) -> Healer {
    Healer::new(store.clone())
}
