//! The catalogue: every kind of row that Comments stores, with its key.
//!
//! | tag | row | key after the tag | value | lives |
//! |---|---|---|---|---|
//! | `0x10` | [`CommentRow`] | comment | [`Comment`] | for ever; a deleted one without its text |
//! | `0x11` | [`TallyRow`] | group, replica | [`Tally`] | for ever |
//! | `0x12` | [`ProfileRow`] | user | copy of Users' profile | for ever |
//! | `0x13` | [`PartRow`] | part | copy of Stories' part | for ever |
//! | `0x14` | [`SigningKeyRow`] | key id | copy of Users' key | for ever |
//! | `0x20` | [`flat`] | part, stamp, comment | empty | while the comment is counted |
//! | `0x21` | [`thread`] | part, stamp, comment | empty | from the post on: the top level, and orphans |
//! | `0x22` | [`replies`] | parent, stamp, comment | empty | from the post on |
//! | `0x23` | [`paragraph`] | part, paragraph, stamp, comment | empty | from the post on |
//!
//! Index rows are derived in the transaction that changes their comment. Their order is that of the post stamps, never
//! of a client's clock.
//!
//! # A thread is a graph
//!
//! The posts name what they answer, so the rows of comments are an add-only graph, and [`replies`] is its index from
//! above. What the rule of [`lattice::Dag`] (an edge only to what exists, from what nothing points at) is used for:
//! - **Reading** a thread builds the graph, and walks it: what is not in the graph is masked, as in the lattice.
//! - **Posting** keeps to half of it. An edge to what does not exist is accepted, since the news of it may only be late:
//!   such an *orphan* stands on the top level. But what something points at already may not answer its own answers, as
//!   all of them would be counted, and none would be found from the top level.
//! - **Orphans** are told from one look at the parent's row, and not by a graph: the index of the top level must not
//!   change with what is further up, or one late comment would rewrite the rows of all that is below it.
//!
//! Rows that two replicas accepted may make a ring all the same once they meet. The flat list and the thread around
//! each of its comments show it; the top level does not.

use crate::comment::Comment;
use crate::siblings::ReplyTallyFact;
use lattice::{ReplicaId, Stamp, Tally};
use messages::{
    CommentId, Fact, Group, KeyId, ParagraphId, PartId, PartState, Profile, SigningKeyState, TallyFact,
    TallyKey, UserId,
};
use store::{Counted, Row, View, ViewError, key};

/// Comments.
#[derive(Debug)]
pub struct CommentRow;
impl Row for CommentRow {
    const TAG: u8 = 0x10;
    const NAME: &'static str = "comment";
    type Key = CommentId;
    type State = Comment;
}

/// How many comments a group has, by who counts them.
#[derive(Debug)]
pub struct TallyRow;
impl Row for TallyRow {
    const TAG: u8 = 0x11;
    const NAME: &'static str = "tally";
    type Key = TallyKey;
    type State = Tally;
}

impl Counted for CommentRow {
    type Group = Group;
    type Tallies = TallyRow;
    /// Stories shows parts and their paragraphs; the number of replies is shown here only, and at siblings.
    fn announced_on(group: &Group) -> Option<&'static str> {
        match group {
            Group::Part(_) | Group::Paragraph(..) => Some(TallyFact::TOPIC),
            Group::Replies(_) => Some(ReplyTallyFact::TOPIC),
        }
    }

    fn count(view: &mut View<'_>, group: &Group, owner: ReplicaId) -> Result<u64, ViewError> {
        crate::count::count(view, *group, owner)
    }
}

/// Who people are.
#[derive(Debug)]
pub struct ProfileRow;
impl Row for ProfileRow {
    const TAG: u8 = 0x12;
    const NAME: &'static str = "profile";
    type Key = UserId;
    type State = Profile;
}

/// Which parts there are, and whose.
#[derive(Debug)]
pub struct PartRow;
impl Row for PartRow {
    const TAG: u8 = 0x13;
    const NAME: &'static str = "part";
    type Key = PartId;
    type State = PartState;
}

/// What verifies tokens.
#[derive(Debug)]
pub struct SigningKeyRow;
impl Row for SigningKeyRow {
    const TAG: u8 = 0x14;
    const NAME: &'static str = "signing key";
    type Key = KeyId;
    type State = SigningKeyState;
}

const FLAT: u8 = 0x20;
const THREAD: u8 = 0x21;
const REPLIES: u8 = 0x22;
const PARAGRAPH: u8 = 0x23;

/// An entry of the list that the count of a part counts.
pub fn flat(part: PartId, at: Stamp, id: CommentId) -> Vec<u8> {
    key::index(FLAT, &(part, at, id))
}

/// An entry of a part's top level.
pub fn thread(part: PartId, at: Stamp, id: CommentId) -> Vec<u8> {
    key::index(THREAD, &(part, at, id))
}

/// An entry of a comment's replies.
pub fn replies(parent: CommentId, at: Stamp, id: CommentId) -> Vec<u8> {
    key::index(REPLIES, &(parent, at, id))
}

/// An entry of a paragraph's comments.
pub fn paragraph(part: PartId, paragraph: ParagraphId, at: Stamp, id: CommentId) -> Vec<u8> {
    key::index(PARAGRAPH, &((part, paragraph), (at, id)))
}

/// The stamp and the id in which every index entry ends.
pub fn entry(entry: &[u8]) -> Option<(Stamp, CommentId)> {
    let (rest, id) = entry.split_last_chunk::<16>()?;
    let stamp = rest.last_chunk::<{ Stamp::BYTES }>()?;
    Some((Stamp::from_bytes(*stamp), CommentId::from_bytes(*id)))
}

/// The stamp and the id of the reply that an entry of [`replies`] is about.
pub fn reply(entry: &[u8]) -> Option<(Stamp, CommentId)> {
    let (_, at, id): (CommentId, Stamp, CommentId) = key::read_index(REPLIES, entry)?;
    Some((at, id))
}

/// What the entries of [`paragraph`] begin with.
pub fn paragraph_prefix(part: PartId, paragraph: ParagraphId) -> Vec<u8> {
    key::index(PARAGRAPH, &(part, paragraph))
}

/// What the entries of [`flat`] for a part begin with.
pub fn flat_prefix(part: PartId) -> Vec<u8> {
    key::index(FLAT, &part)
}

/// What the entries of [`thread`] for a part begin with.
pub fn thread_prefix(part: PartId) -> Vec<u8> {
    key::index(THREAD, &part)
}

/// What the entries of [`replies`] for a comment begin with.
pub fn replies_prefix(parent: CommentId) -> Vec<u8> {
    key::index(REPLIES, &parent)
}

/// The comment that an index entry is about: every one of them ends in its id.
pub fn indexed(entry: &[u8]) -> Option<CommentId> {
    entry.last_chunk::<16>().copied().map(CommentId::from_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lattice::{Hlc, Lane};

    #[test]
    fn entries_sort_by_stamp_and_name_their_comment() {
        let part = PartId::from_bytes([1; 16]);
        let at = |ms| Stamp { hlc: Hlc::new(ms, 0), replica: ReplicaId::from_u128(9), lane: Lane::default() };
        let (old, new) = (CommentId::from_bytes([9; 16]), CommentId::from_bytes([2; 16]));
        assert!(flat(part, at(1), old) < flat(part, at(2), new));
        assert_eq!(indexed(&thread(part, at(1), old)), Some(old));
        assert!(flat(part, at(1), old).starts_with(&flat_prefix(part)));
        assert!(thread(part, at(1), old).starts_with(&thread_prefix(part)));
        assert!(replies(old, at(1), new).starts_with(&replies_prefix(old)));
        assert_eq!(reply(&replies(old, at(1), new)), Some((at(1), new)));
        for index in [flat(part, at(1), new), replies(old, at(1), new)] {
            assert_eq!(entry(&index), Some((at(1), new)));
        }
        assert_eq!(entry(&[FLAT; 9]), None);
        assert_eq!(reply(&thread(part, at(1), new)), None);
    }
}
