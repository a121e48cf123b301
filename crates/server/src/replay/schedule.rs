//! Which request may go next: in the order of the file, a reply after its parent, an afterthought after a while.

use std::collections::{BTreeMap, VecDeque};

use messages::CommentId;

use super::plan::Comment;

/// A comment with its parent's id, which the server has told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ready {
    pub(super) comment: Comment,
    pub(super) parent: Option<CommentId>,
}

/// Comments that are not posted yet, the ids of those that are, and what is to follow some of them.
#[derive(Debug)]
pub(super) struct Schedule<Later> {
    ready: VecDeque<Ready>,
    /// Replies, by the number of what they answer.
    waiting: BTreeMap<usize, Vec<Comment>>,
    held: usize,
    /// By number.
    ids: Vec<Option<CommentId>>,
    posted: usize,
    /// By the count of posts that makes it due, and a number that keeps the order.
    later: BTreeMap<(usize, usize), Later>,
    afterthoughts: usize,
}

impl<Later> Schedule<Later> {
    pub(super) fn new() -> Self {
        Self {
            ready: VecDeque::new(),
            waiting: BTreeMap::new(),
            held: 0,
            ids: Vec::new(),
            posted: 0,
            later: BTreeMap::new(),
            afterthoughts: 0,
        }
    }

    /// How many comments are held here: what bounds the memory.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Takes the next comment of the file.
    pub(super) fn admit(&mut self, comment: Comment) {
        self.held += 1;
        match comment.parent {
            None => self.ready.push_back(Ready { comment, parent: None }),
            Some(number) => match self.id(number) {
                parent @ Some(_) => self.ready.push_back(Ready { comment, parent }),
                None => self.waiting.entry(number).or_default().push(comment),
            },
        }
    }

    /// A comment that may be posted now.
    pub(super) fn next_post(&mut self) -> Option<Ready> {
        let ready = self.ready.pop_front()?;
        self.held -= 1;
        Some(ready)
    }

    /// The server has told the id of a comment.
    pub(super) fn posted(&mut self, number: usize, id: CommentId) {
        if self.ids.len() <= number {
            self.ids.resize(number + 1, None);
        }
        if let Some(slot) = self.ids.get_mut(number) {
            *slot = Some(id);
        }
        self.posted += 1;
        let replies = self.waiting.remove(&number).unwrap_or_default();
        self.ready.extend(replies.into_iter().map(|comment| Ready { comment, parent: Some(id) }));
    }

    /// Something to be done when so many more comments are posted.
    pub(super) fn after(&mut self, posts: usize, later: Later) {
        self.afterthoughts += 1;
        self.later.insert((self.posted.saturating_add(posts), self.afterthoughts), later);
    }

    /// An afterthought that is due; all are when there is nothing more to `come`.
    pub(super) fn next_later(&mut self, more_to_come: bool) -> Option<Later> {
        let entry = self.later.first_entry()?;
        (!more_to_come || entry.key().0 <= self.posted).then(|| entry.remove())
    }

    fn id(&self, number: usize) -> Option<CommentId> {
        self.ids.get(number).copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comment(number: usize, parent: Option<usize>) -> Comment {
        let name = number.to_string();
        Comment { number, name, part: 0, author: 0, parent, text: "text".into(), mended: false }
    }

    fn id(number: u8) -> CommentId {
        CommentId::from_bytes([number; 16])
    }

    fn drain(schedule: &mut Schedule<&str>) -> Vec<(usize, Option<CommentId>)> {
        std::iter::from_fn(|| schedule.next_post())
            .map(|ready| (ready.comment.number, ready.parent))
            .collect()
    }

    #[test]
    fn a_reply_waits_for_its_parent_and_nothing_else() {
        let mut schedule = Schedule::new();
        for (number, parent) in [(0, None), (1, Some(0)), (2, Some(1)), (3, None), (4, Some(0))] {
            schedule.admit(comment(number, parent));
        }
        assert_eq!((schedule.held(), drain(&mut schedule)), (5, vec![(0, None), (3, None)]));
        assert_eq!(schedule.held(), 3);
        schedule.posted(3, id(3));
        assert_eq!(drain(&mut schedule), []);
        schedule.posted(0, id(0));
        assert_eq!(drain(&mut schedule), [(1, Some(id(0))), (4, Some(id(0)))]);
        schedule.admit(comment(5, Some(3)));
        assert_eq!(drain(&mut schedule), [(5, Some(id(3)))]);
        schedule.posted(1, id(1));
        assert_eq!((drain(&mut schedule), schedule.held()), (vec![(2, Some(id(1)))], 0));
    }

    #[test]
    fn afterthoughts_come_when_due_and_all_at_the_end() {
        let mut schedule = Schedule::new();
        schedule.after(2, "b");
        schedule.after(1, "a");
        schedule.after(2, "c");
        schedule.after(9, "d");
        assert_eq!(schedule.next_later(true), None);
        schedule.posted(0, id(0));
        assert_eq!((schedule.next_later(true), schedule.next_later(true)), (Some("a"), None));
        schedule.posted(1, id(1));
        assert_eq!((schedule.next_later(true), schedule.next_later(true)), (Some("b"), Some("c")));
        assert_eq!((schedule.next_later(true), schedule.next_later(false)), (None, Some("d")));
    }
}
