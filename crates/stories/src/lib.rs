//! Stories: their parts and paragraphs, votes and reads, and the comment counts that they are shown with.
//!
//! It owns the stories, announces parts and their owners to Comments, and keeps copies of people's profiles and of the
//! tallies that Comments announces, so it answers every query alone. It counts no comments: what it shows is the sum
//! of the tallies that it holds, and merging one is a maximum.
//!
//! | file | what |
//! |---|---|
//! | [`rows`] | the catalogue: every kind of row with its key |
//! | [`story`], [`parts_order`], [`part`], [`paragraph`], [`vote`], [`readers`] | the states, their lattices, what a vote counts for |
//! | `write` | create, delete, vote, read: pure functions of the rows they read |
//! | `edit`, `stays` | what an edit of a part changes, paragraph by paragraph; which of them need not move |
//! | `place`, `order` | where a part stands in its story; what both orders have in common |
//! | [`read`], [`read_part`] | stories and parts with authors and counts |
//! | `merge` | what it hears |
//! | [`siblings`], [`both`] | what its replicas tell each other; the keys of rows about two things |
//! | `http` | its face |

pub mod both;
mod edit;
mod http;
mod merge;
mod order;
pub mod paragraph;
pub mod part;
pub mod parts_order;
mod place;
pub mod read;
pub mod read_part;
pub mod readers;
pub mod rows;
pub mod siblings;
mod stays;
pub mod story;
pub mod vote;
mod write;

use api::KeyRing;
use choreography::{AntiEntropy, Cover, Links, NameError, Relay, signing_keys};
use lattice::{Lww, Stamp};
use messages::{Fact, PartFact};
use queue::Publisher;
use siblings::{PartsOrderFact, ReadsFact, StoryFact, StoryPartFact, VoteFact, VoteTallyFact};
use std::sync::Arc;
use store::{Healer, Store, StoreError};
use utoipa_axum::router::OpenApiRouter;

/// The service's name: in its store, its subscriptions and its folder.
pub const NAME: &str = "stories";

/// The most parts of a story: one scan lists them all.
pub const PARTS_MAX: usize = store::SCAN_PAIRS_MAX;
/// The most paragraphs of a part. A part is one row of JSON, so this and the bound on a request's body bound the row.
pub const PARAGRAPHS_MAX: usize = 500;
/// The most paragraphs that a part ever has: those that were removed leave their ids, so that they never come back.
pub const PARAGRAPHS_EVER_MAX: usize = 10_000;
/// The most bytes of JSON that the order of a part's paragraphs has after a move: one more is refused, and everything
/// else goes on. A paragraph takes some 200 bytes of it (so 500 take 100 KB), one that was removed some 80, and every
/// move some 60 more, for the slot that it left. Every reader of the part reads them.
pub const PARAGRAPHS_MOVED_BYTES_MAX: usize = 256 << 10;
/// The same for the order of a story's parts, which there is once one was moved, and which every reader of one of them
/// reads: ten thousand parts take 2 MB. New parts take nothing of it.
pub const PARTS_MOVED_BYTES_MAX: usize = 3 << 20;
/// The most edits that a part remembers by their idempotency keys, at some 70 bytes each in a row that every reader of
/// the part reads. One more with a key is refused; without a key a part can still be edited. Forgetting the oldest
/// instead would break the promise without a word: nobody could tell its late retry from a new edit, and it would undo
/// what came since. Replicas that accept edits at the same time may exceed this by what they had not heard of.
pub const EDITS_KEPT_MAX: usize = 1_000;

/// A replica of the service.
#[derive(Debug, Clone)]
pub struct Stories {
    store: Store,
    keys: Arc<KeyRing>,
    heard: Links,
}

impl Stories {
    /// A replica on its store. `keys` learns the signing keys that the store has.
    pub async fn open(store: Store, keys: Arc<KeyRing>) -> Result<Self, StoreError> {
        signing_keys::learn_stored::<rows::SigningKeyRow>(&store, &keys).await?;
        Ok(Self { store, keys, heard: Links::default() })
    }

    /// Its store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What announces its parts, and where it has siblings the rest of its rows to them.
    pub fn relay(&self, publisher: Arc<dyn Publisher>) -> Result<Relay, NameError> {
        let relay = Relay::new(self.store.clone(), publisher).announcing::<PartFact, rows::PartFactRow>()?;
        if self.store.mutes(StoryFact::TOPIC) {
            return Ok(relay);
        }
        relay
            .announcing::<StoryFact, rows::StoryRow>()?
            .announcing::<StoryPartFact, rows::PartRow>()?
            .announcing::<VoteFact, rows::VoteRow>()?
            .announcing::<VoteTallyFact, rows::VoteTallyRow>()?
            .announcing::<ReadsFact, rows::ReadsRow>()?
            .announcing::<PartsOrderFact, rows::PartsOrderRow>()
    }

    /// What heals its store.
    pub fn healer(&self) -> Healer {
        healer(&self.store)
    }

    /// What finds out which of these were lost on the way.
    pub fn anti_entropy(&self, publisher: Arc<dyn Publisher>) -> Result<AntiEntropy, NameError> {
        let covering = AntiEntropy::new(self.store.clone(), publisher)
            .covering_by(Cover::<PartFact, rows::PartFactRow>::new().joining(siblings::hear_part_fact))?;
        if self.store.mutes(StoryFact::TOPIC) {
            return Ok(covering);
        }
        covering
            .covering_by(Cover::<StoryFact, rows::StoryRow>::new().joining(siblings::hear_story))?
            .covering_by(Cover::<StoryPartFact, rows::PartRow>::new().joining(siblings::hear_part))?
            .covering_by(Cover::<VoteFact, rows::VoteRow>::new().joining(siblings::hear_vote))?
            .covering_by(Cover::<VoteTallyFact, rows::VoteTallyRow>::new().joining(siblings::hear_tally))?
            .covering::<ReadsFact, rows::ReadsRow>()?
            .covering::<PartsOrderFact, rows::PartsOrderRow>()
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

/// What heals a store of Stories that has lost data or become an heir: votes are counted again.
pub fn healer(store: &Store) -> Healer {
    Healer::new(store.clone()).counting::<rows::VoteRow>()
}

/// The first value of a register, written at the least stamp.
///
/// A creation that is repeated at another replica writes the same value at the same stamp, so it never undoes an edit
/// that it has not heard of: every edit is above it.
fn first<T>(value: T) -> Lww<T> {
    Lww::new(Stamp::default(), value)
}
