//! The services of this process, each on its own store.

use crate::cli::{ServeArgs, ServiceName};
use crate::data::{Data, DataError};
use crate::wiring;
use api::KeyRing;
use choreography::{AntiEntropy, Link, Links, NameError, Relay};
use comments::Comments;
use queue::Publisher;
use std::sync::Arc;
use store::{FjallConfig, Healer, OpenError, Setup, Store, StoreError, World};
use stories::Stories;
use thiserror::Error;
use users::Users;
use utoipa_axum::router::OpenApiRouter;

/// Why a service could not be opened.
#[derive(Debug, Error)]
pub(crate) enum NodeError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("a store could not be read")]
    Store(#[from] StoreError),
    #[error(transparent)]
    Data(#[from] DataError),
    #[error("users cannot sign tokens")]
    Users(#[from] users::OpenError),
}

/// A service, as far as the process cares.
#[derive(Debug, Clone)]
pub(crate) enum Service {
    Users(Users),
    Stories(Stories),
    Comments(Comments),
}

impl Service {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Users(_) => users::NAME,
            Self::Stories(_) => stories::NAME,
            Self::Comments(_) => comments::NAME,
        }
    }

    pub(crate) fn store(&self) -> &Store {
        match self {
            Self::Users(users) => users.store(),
            Self::Stories(stories) => stories.store(),
            Self::Comments(comments) => comments.store(),
        }
    }

    /// The id of the key that signs tokens, where this service does.
    pub(crate) fn signing_key_id(&self) -> Option<String> {
        match self {
            Self::Users(users) => Some(users.signing_key_id()),
            Self::Stories(_) | Self::Comments(_) => None,
        }
    }

    pub(crate) fn relay(&self, publisher: Arc<dyn Publisher>) -> Result<Relay, NameError> {
        match self {
            Self::Users(users) => users.relay(publisher),
            Self::Stories(stories) => stories.relay(publisher),
            Self::Comments(comments) => comments.relay(publisher),
        }
    }

    /// What heals its store.
    pub(crate) fn healer(&self) -> Healer {
        match self {
            Self::Users(users) => users.healer(),
            Self::Stories(stories) => stories.healer(),
            Self::Comments(comments) => comments.healer(),
        }
    }

    pub(crate) fn links(&self, publisher: &Arc<dyn Publisher>) -> Result<Vec<Link>, NameError> {
        match self {
            Self::Users(users) => users.links(publisher),
            Self::Stories(stories) => stories.links(publisher),
            Self::Comments(comments) => comments.links(publisher),
        }
    }

    pub(crate) fn anti_entropy(&self, publisher: Arc<dyn Publisher>) -> Result<AntiEntropy, NameError> {
        match self {
            Self::Users(users) => users.anti_entropy(publisher),
            Self::Stories(stories) => stories.anti_entropy(publisher),
            Self::Comments(comments) => comments.anti_entropy(publisher),
        }
    }

    /// What its links heard of those that announce.
    pub(crate) fn heard(&self) -> &Links {
        match self {
            Self::Users(users) => users.heard(),
            Self::Stories(stories) => stories.heard(),
            Self::Comments(comments) => comments.heard(),
        }
    }

    pub(crate) fn router(&self) -> OpenApiRouter {
        match self {
            Self::Users(users) => users.router(),
            Self::Stories(stories) => stories.router(),
            Self::Comments(comments) => comments.router(),
        }
    }
}

/// Opens the services that the arguments name, and tells the rings in which they keep the keys that they believe.
pub(crate) async fn open(
    args: &ServeArgs,
    data: &Data,
    world: &Arc<dyn World>,
) -> Result<(Vec<Service>, Vec<Arc<KeyRing>>), NodeError> {
    let mut rings = Vec::new();
    let mut ring = || {
        let clock = Arc::clone(world);
        let ring = Arc::new(KeyRing::new(data.root_public_key(), move || clock.now_ms() / 1000));
        rings.push(Arc::clone(&ring));
        ring
    };
    let mut services = Vec::new();
    if args.runs(ServiceName::Users) {
        let store = open_store(args, data, world, users::NAME)?;
        let (key, certificate) = data.signing_key(&**world)?;
        services.push(Service::Users(Users::open(store, ring(), key, certificate).await?));
    }
    if args.runs(ServiceName::Stories) {
        let store = open_store(args, data, world, stories::NAME)?;
        services.push(Service::Stories(Stories::open(store, ring()).await?));
    }
    if args.runs(ServiceName::Comments) {
        let store = open_store(args, data, world, comments::NAME)?;
        services.push(Service::Comments(Comments::open(store, ring()).await?));
    }
    Ok((services, rings))
}

/// Opens the store of a service, in its own folder.
pub(crate) fn open_store(
    args: &ServeArgs,
    data: &Data,
    world: &Arc<dyn World>,
    name: &str,
) -> Result<Store, NodeError> {
    data.expect_store(name)?;
    let config = FjallConfig { disk_free_bytes_min: args.disk_free_min, ..FjallConfig::default() };
    let mut setup = Setup::of(name).in_deployment(data.deployment());
    if !args.sites.has_siblings() {
        setup = setup.muting(wiring::sibling_topics());
    }
    let store = Store::open_fjall(&data.folder(name), config, Arc::clone(world), &setup)?;
    data.note_store(name)?;
    Ok(store)
}
