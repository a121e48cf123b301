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

#[cfg(test)]
mod tests {
    use super::*;
    use lattice::{Epoch, ReplicaId};
    use messages::{DeltaGroup, Group, delta_group};
    use serde_json::{Value, json};

    fn announced<F: Fact>(group: &DeltaGroup<F>) -> Value {
        let data = delta_group::encode::<F>(group).unwrap();
        let read = delta_group::decode::<F>(&data).unwrap();
        assert!(read.refused.is_empty() && read.group == *group, "{data}");
        json!({ "topic": F::TOPIC, "type": F::TYPE, "data": data })
    }

    /// The bytes that the first version with siblings sent. The states are those of the rows' own golden file.
    #[test]
    fn golden_bytes() {
        let states: Vec<Comment> =
            serde_json::from_str(include_str!("../tests/golden/comments.json")).unwrap();
        let comments: DeltaGroup<CommentFact> =
            (1..).zip(states).map(|(n, comment)| (CommentId::from_bytes([n; 16]), comment)).collect();
        let replica = ReplicaId::from_u128(7);
        let key = TallyKey { group: Group::Replies(CommentId::from_bytes([1; 16])), replica };
        let tally = Tally { epoch: Epoch { generation: 0, owner: replica }, added: 3, removed: 1 };
        let all = [announced::<CommentFact>(&comments), announced::<ReplyTallyFact>(&[(key, tally)].into())];
        let written = serde_json::to_string_pretty(&all).unwrap() + "\n";
        assert_eq!(written, include_str!("../tests/golden/siblings.json"));
    }

    #[test]
    fn a_tally_is_announced_on_one_topic_and_what_only_siblings_hear_on_the_muted_ones() {
        use crate::rows::CommentRow;
        use store::Counted as _;
        let replies = CommentRow::announced_on(&Group::Replies(CommentId::default())).unwrap();
        assert!(TOPICS.contains(&replies));
        let public = CommentRow::announced_on(&Group::Part(messages::PartId::default())).unwrap();
        assert!(!TOPICS.contains(&public));
    }
}
