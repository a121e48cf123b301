//! Comments: posts, replies, edits, deletions, moderation, and the tallies that count them exactly.
//!
//! It owns the comments, announces its tallies to Stories and the comments themselves to its siblings, and keeps copies of people's profiles and of parts' owners,
//! so it answers every query alone. Nothing here says "+1": a comment is a row with an identity, and the tally of a
//! group moves in the transaction that changes what the row contributes.
//!
//! | file | what |
//! |---|---|
//! | [`rows`] | the catalogue: every kind of row with its key |
//! | [`comment`] | the state of a comment, its lattice, what it counts for |
//! | `count` | counting a group from the rows, for an heir |
//! | `write` | post, edit, delete, hide: pure functions of the rows they read |
//! | `read` | pages of comments with authors and counts |
//! | `thread` | the thread around a comment, as a graph that hostile rows cannot lead in circles |
//! | `merge` | what it hears |
//! | [`siblings`] | what its replicas tell each other |
//! | `http` | its face |

pub mod comment;
mod count;
mod http;
mod merge;
pub mod read;
pub mod rows;
pub mod siblings;
mod thread;
mod write;

pub use merge::hear_tally;

use api::KeyRing;
use choreography::{AntiEntropy, Cover, Links, NameError, Relay, signing_keys};
use messages::{Fact, TallyFact};
use queue::Publisher;
use siblings::{CommentFact, ReplyTallyFact};
use std::sync::Arc;
use store::{Healer, Store, StoreError};
use utoipa_axum::router::OpenApiRouter;

/// The service's name: in its store, its subscriptions and its folder.
pub const NAME: &str = "comments";

/// A replica of the service.
#[derive(Debug, Clone)]
pub struct Comments {
    store: Store,
    keys: Arc<KeyRing>,
    heard: Links,
}

impl Comments {
    /// A replica on its store. `keys` learns the signing keys that the store has.
    pub async fn open(store: Store, keys: Arc<KeyRing>) -> Result<Self, StoreError> {
        signing_keys::learn_stored::<rows::SigningKeyRow>(&store, &keys).await?;
        Ok(Self { store, keys, heard: Links::default() })
    }

    /// Its store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What announces its tallies, and where it has siblings its comments to them.
    pub fn relay(&self, publisher: Arc<dyn Publisher>) -> Result<Relay, NameError> {
        let relay = Relay::new(self.store.clone(), publisher).announcing::<TallyFact, rows::TallyRow>()?;
        if self.store.mutes(CommentFact::TOPIC) {
            return Ok(relay);
        }
        relay.announcing::<CommentFact, rows::CommentRow>()?.announcing::<ReplyTallyFact, rows::TallyRow>()
    }

    /// What heals its store.
    pub fn healer(&self) -> Healer {
        healer(&self.store)
    }

    /// What finds out which of these were lost on the way.
    pub fn anti_entropy(&self, publisher: Arc<dyn Publisher>) -> Result<AntiEntropy, NameError> {
        let tallies = Cover::<TallyFact, rows::TallyRow>::new().joining(hear_tally);
        let covering = AntiEntropy::new(self.store.clone(), publisher).covering_by(tallies)?;
        if self.store.mutes(CommentFact::TOPIC) {
            return Ok(covering);
        }
        let comments = Cover::<CommentFact, rows::CommentRow>::new().joining(siblings::hear_comment);
        let reply_tallies = Cover::<ReplyTallyFact, rows::TallyRow>::new().joining(hear_tally);
        covering.covering_by(comments)?.covering_by(reply_tallies)
    }

    /// What its links heard of those that announce.
    pub fn heard(&self) -> &Links {
        &self.heard
    }

    /// Its routes, described.
    pub fn router(&self) -> OpenApiRouter {
        http::router().with_state(self.clone())
    }
}

/// What heals a store of Comments that has lost data or become an heir.
pub fn healer(store: &Store) -> Healer {
    Healer::new(store.clone()).counting::<rows::CommentRow>()
}
