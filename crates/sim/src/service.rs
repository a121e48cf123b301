//! The three services, as far as a process cares.

use choreography::{AntiEntropy, Link, Links, NameError, Relay};
use comments::Comments;
use queue::Publisher;
use std::fmt;
use std::sync::Arc;
use store::key::{META_TAG, OUTBOX_TAG};
use store::{Healer, Row as _};
use stories::Stories;
use stories::rows::{ReadersRow, ReadersSecretRow, ReadsRow};
use users::Users;
use utoipa_axum::router::OpenApiRouter;

/// A service, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServiceName {
    /// Accounts, profiles, shelves.
    Users,
    /// Stories, parts, votes, and the counts that they are shown with.
    Stories,
    /// Comments and their tallies.
    Comments,
}

impl ServiceName {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Users, Self::Stories, Self::Comments];

    /// What it is called in stores and subscriptions.
    pub fn name(self) -> &'static str {
        match self {
            Self::Users => users::NAME,
            Self::Stories => stories::NAME,
            Self::Comments => comments::NAME,
        }
    }

    /// Whether a row, by its key, may be lost although who wrote it was answered: these alone are written relaxed. That is
    /// the store's own account and what is to be announced, which is then announced again; and how often something was
    /// read, and by how many.
    pub(crate) fn may_lose(self, key: &[u8]) -> bool {
        let reads = [ReadsRow::TAG, ReadersRow::TAG, ReadersSecretRow::TAG];
        key.first().is_none_or(|tag| {
            [META_TAG, OUTBOX_TAG].contains(tag) || (self == Self::Stories && reads.contains(tag))
        })
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A running replica of a service.
#[derive(Debug, Clone)]
pub(crate) enum Service {
    Users(Users),
    Stories(Stories),
    Comments(Comments),
}

impl Service {
    pub(crate) fn name(&self) -> ServiceName {
        match self {
            Self::Users(_) => ServiceName::Users,
            Self::Stories(_) => ServiceName::Stories,
            Self::Comments(_) => ServiceName::Comments,
        }
    }

    pub(crate) fn relay(&self, publisher: Arc<dyn Publisher>) -> Result<Relay, NameError> {
        match self {
            Self::Users(users) => users.relay(publisher),
            Self::Stories(stories) => stories.relay(publisher),
            Self::Comments(comments) => comments.relay(publisher),
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
    pub(crate) fn heard(&self) -> Links {
        match self {
            Self::Users(users) => users.heard().clone(),
            Self::Stories(stories) => stories.heard().clone(),
            Self::Comments(comments) => comments.heard().clone(),
        }
    }

    /// What heals it when it has lost data or become an heir.
    pub(crate) fn healer(&self) -> Healer {
        match self {
            Self::Users(users) => users.healer(),
            Self::Stories(stories) => stories.healer(),
            Self::Comments(comments) => comments.healer(),
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
