//! The state of a comment: what it is, and what it counts for.

use crate::rows;
use lattice::{Contributes, Contribution, Lattice, Lww, Min, Stamp};
use messages::{CommentId, Group, ParagraphId, PartId, Unknown, UserId, is_bottom};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Who said what, where and when first.
///
/// A minimum register holds it, ordered by its stamp first: a post that two replicas accepted is one comment, counted
/// by the replica in the least stamp.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Post {
    /// When, and at which replica: the one that counts it.
    pub at: Stamp,
    /// Whose it is.
    pub author: UserId,
    /// On which part.
    pub part: PartId,
    /// On which of its paragraphs, if on one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paragraph: Option<ParagraphId>,
    /// The comment it answers, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<CommentId>,
    /// Half a SHA-256 of the whole request under its idempotency key, in hexadecimal: tells a retry from another
    /// request, and nobody who lacks the key what was said.
    pub request: String,
    /// What was said first; empty once the comment is gone. The last field: it decides no order.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

/// The end of a comment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Deletion {
    /// When.
    pub at: Stamp,
    /// By whom.
    pub by: UserId,
    /// With which right: it was checked by the replica that accepted it.
    pub right: Right,
}

/// The right to delete a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// It is theirs.
    CommentAuthor,
    /// It is on their story.
    StoryAuthor,
}

/// A comment as it is stored.
///
/// | field | lattice | meaning |
/// |---|---|---|
/// | `post` | minimum | empty where only a deletion was heard of |
/// | `text` | last writer wins | what it says after its edits |
/// | `gone` | minimum, live < gone | a deleted comment never comes back |
/// | `visible` | last writer wins | whether a moderator hid it |
///
/// Gone absorbs the text: it is erased from both registers, whenever and in whatever order they arrive.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comment {
    /// What it is.
    #[serde(default, skip_serializing_if = "is_bottom")]
    pub post: Min<Post>,
    /// What it was edited to.
    #[serde(default, skip_serializing_if = "is_bottom")]
    pub text: Lww<String>,
    /// Its end.
    #[serde(default, skip_serializing_if = "is_bottom")]
    pub gone: Min<Deletion>,
    /// Whether it is shown; empty means yes.
    #[serde(default, skip_serializing_if = "is_bottom")]
    pub visible: Lww<bool>,
    /// What newer versions added.
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl Comment {
    /// True once it was deleted.
    pub fn is_gone(&self) -> bool {
        self.gone.get().is_some()
    }

    /// True while a moderator hides it.
    pub fn is_hidden(&self) -> bool {
        self.visible.get() == Some(&false)
    }

    /// True while it is counted and listed.
    pub fn is_live(&self) -> bool {
        self.post.get().is_some() && !self.is_gone() && !self.is_hidden()
    }

    /// True where it is known to be on a part.
    pub fn is_on(&self, part: PartId) -> bool {
        self.post.get().is_some_and(|post| post.part == part)
    }

    /// What it says now; `None` once it is gone, or before it is known.
    pub fn text(&self) -> Option<&str> {
        let post = self.post.get().filter(|_| !self.is_gone())?;
        Some(self.text.get().unwrap_or(&post.text))
    }

    /// The newest stamp in it: what changes it must be above.
    pub fn newest_stamp(&self) -> Option<Stamp> {
        let post = self.post.get().map(|post| post.at);
        let gone = self.gone.get().map(|deletion| deletion.at);
        post.max(gone).max(self.text.stamp()).max(self.visible.stamp())
    }

    /// The index rows that belong to it. An orphan answers a comment that has not been heard of yet: until that comes,
    /// the top level lists it too.
    pub fn index_rows(&self, id: CommentId, orphan: bool) -> BTreeSet<Vec<u8>> {
        let Some(post) = self.post.get() else { return BTreeSet::new() };
        let mut rows = BTreeSet::new();
        if self.is_live() {
            rows.insert(rows::flat(post.part, post.at, id));
        }
        if let Some(paragraph) = post.paragraph {
            rows.insert(rows::paragraph(post.part, paragraph, post.at, id));
        }
        if let Some(parent) = post.parent {
            rows.insert(rows::replies(parent, post.at, id));
        }
        if post.parent.is_none() || orphan {
            rows.insert(rows::thread(post.part, post.at, id));
        }
        rows
    }

    fn erase_what_is_gone(&mut self) {
        if !self.is_gone() {
            return;
        }
        self.text = Lww::default();
        if let Some(post) = std::mem::take(&mut self.post).into_inner() {
            self.post = Min::of(Post { text: String::new(), ..post });
        }
    }
}

impl Lattice for Comment {
    fn join(&mut self, other: Self) -> bool {
        let before = self.clone();
        self.post.join(other.post);
        self.text.join(other.text);
        self.gone.join(other.gone);
        self.visible.join(other.visible);
        self.unknown.join(other.unknown);
        self.erase_what_is_gone();
        // Field by field a late edit of a gone comment would count as growth, and is erased again.
        *self != before
    }
}

impl Contributes for Comment {
    type Group = Group;

    fn contributions(&self) -> BTreeSet<Contribution<Group>> {
        let Some(post) = self.post.get().filter(|_| self.is_live()) else { return BTreeSet::new() };
        let groups = [
            Some(Group::Part(post.part)),
            post.paragraph.map(|paragraph| Group::Paragraph(post.part, paragraph)),
            post.parent.map(Group::Replies),
        ];
        groups.into_iter().flatten().map(|group| Contribution { group, owner: post.at.replica }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lattice::{Hlc, Lane, ReplicaId};

    fn stamp(ms: u64) -> Stamp {
        Stamp { hlc: Hlc::new(ms, 0), replica: ReplicaId::from_u128(u128::from(ms)), lane: Lane::default() }
    }

    fn post(ms: u64, text: &str) -> Comment {
        let post = Post {
            at: stamp(ms),
            author: UserId::from_bytes([1; 16]),
            part: PartId::from_bytes([2; 16]),
            paragraph: (ms == 2).then(|| ParagraphId::from_bytes([3; 16])),
            parent: (ms == 2).then(|| CommentId::from_bytes([4; 16])),
            request: "5".repeat(32),
            text: text.to_owned(),
        };
        Comment { post: Min::of(post), ..Comment::default() }
    }

    fn values() -> Vec<Comment> {
        let deletion = |ms, right| Deletion { at: stamp(ms), by: UserId::from_bytes([1; 16]), right };
        vec![
            Comment::default(),
            post(1, "first"),
            post(2, "elsewhere"),
            Comment { text: Lww::new(stamp(3), "edited".into()), ..Comment::default() },
            Comment { text: Lww::new(stamp(4), "edited again".into()), ..post(1, "first") },
            Comment { gone: Min::of(deletion(5, Right::CommentAuthor)), ..Comment::default() },
            Comment { gone: Min::of(deletion(6, Right::StoryAuthor)), ..Comment::default() },
            Comment { visible: Lww::new(stamp(7), false), ..Comment::default() },
            Comment { visible: Lww::new(stamp(8), true), ..Comment::default() },
        ]
    }

    /// Every state that joins of the values can reach, so that the laws hold for erased comments too.
    #[test]
    fn a_comment_is_a_lattice() {
        let mut states = values();
        for value in values() {
            let grown: Vec<_> = states.iter().map(|state| state.clone().joined(value.clone())).collect();
            for state in grown {
                if !states.contains(&state) && states.len() < 60 {
                    states.push(state);
                }
            }
        }
        lattice::laws::check_exhaustively(&states).unwrap();
    }

    #[test]
    fn gone_absorbs_the_text_in_every_order() {
        let deletion = values().remove(5);
        let edit = values().remove(3);
        let early = deletion.clone().joined(post(1, "first")).joined(edit.clone());
        let late = post(1, "first").joined(edit).joined(deletion);
        assert_eq!(early, late);
        assert_eq!((late.text(), late.is_live()), (None, false));
        assert!(!serde_json::to_string(&late).unwrap().contains("first"));
    }

    #[test]
    fn it_counts_while_it_is_live_and_visible_where_it_was_accepted_first() {
        let both = post(2, "b").joined(post(1, "a"));
        let owners: Vec<_> =
            both.contributions().into_iter().map(|contribution| contribution.owner).collect();
        assert_eq!(owners, [ReplicaId::from_u128(1)], "the least stamp counts it, once");
        assert_eq!(post(2, "b").contributions().len(), 3, "part, paragraph, replies");
        let [.., hide, show] = values().try_into().map(|all: [Comment; 9]| all).unwrap();
        assert!(post(1, "a").joined(hide.clone()).contributions().is_empty());
        assert!(!post(1, "a").joined(hide).joined(show).contributions().is_empty());
    }

    /// The bytes that the first version wrote.
    #[test]
    fn golden_bytes() {
        let golden = include_str!("../tests/golden/comments.json");
        let read: Vec<Comment> = serde_json::from_str(golden).unwrap();
        assert_eq!(read, values());
        assert_eq!(serde_json::to_string_pretty(&values()).unwrap() + "\n", golden);
    }
}
