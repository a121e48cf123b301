//! What replicas of Comments tell each other, beside what they tell everybody.
//!
//! A sibling keeps the same rows, so what it hears it joins as if it had been written here: with index rows, and with
//! the tallies that *this* replica owns. The tallies of others it hears from their owners.

use crate::comment::Comment;
use crate::write;
use lattice::{Stamp, Tally};
use messages::{CommentId, Fact, Group, TallyKey};
use store::{View, ViewError};

/// What only siblings hear: [`store::Setup::muting`] is given these at a site that has none.
pub const TOPICS: [&str; 2] = [CommentFact::TOPIC, ReplyTallyFact::TOPIC];

/// [`Comment`]s by id.
#[derive(Debug)]
pub struct CommentFact;

impl Fact for CommentFact {
    const TOPIC: &'static str = "comments";
    const TYPE: &'static str = "antiphon.comments.comment.v1";
    type Key = CommentId;
    type State = Comment;

    fn newest_stamp(state: &Comment) -> Option<Stamp> {
        state.newest_stamp()
    }
}

/// [`Tally`]s of replies by group and replica. Those of parts and paragraphs are [`messages::TallyFact`]s.
#[derive(Debug)]
pub struct ReplyTallyFact;

impl Fact for ReplyTallyFact {
    const TOPIC: &'static str = "reply-tallies";
    const TYPE: &'static str = "antiphon.comments.reply-tally.v1";
    /// Those of parts and paragraphs, before these, are announced to all.
    const KEYS_FROM: &'static [u8] = Group::REPLIES_PREFIX;
    type Key = TallyKey;
    type State = Tally;

    fn newest_stamp(_state: &Tally) -> Option<Stamp> {
        None
    }
}

/// Joins a sibling's comment.
pub(crate) fn hear_comment(view: &mut View<'_>, id: &CommentId, state: Comment) -> Result<bool, ViewError> {
    Ok(write::join_rows(view, *id, state)?.grew)
}
