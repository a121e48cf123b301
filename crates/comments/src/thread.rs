//! The thread around a comment: rows are read into a graph, and the graph is walked.
//!
//! A thread is a [`Dag`]: a reply points at what it answers. The rows do not promise that. A reply is accepted before
//! what it answers, and rows that come from elsewhere may name any parent, so pieces of a thread may be missing, and
//! rings may stand in the store. Here the rule of the graph is kept while it is read: what is on the way down from the
//! top enters once, below what is in it already. So every walk ends, whatever the rows say.
//!
//! Nothing here reads: [`Reading`] says which replies it wants next, and is told.

use lattice::{Dag, Stamp};
use messages::CommentId;
use std::collections::{BTreeMap, btree_map::Entry};

/// So many answers are followed up from a comment, and so many down. Each one up costs a read that waits for the one
/// before. The deepest thread of the 71,765 real comments that we know is 101 answers deep.
pub(crate) const DEPTH_MAX: usize = 200;

/// The most comments of a thread that are read for one answer: each costs a row, its author, its count and a look at
/// its replies, together some milliseconds.
pub(crate) const COMMENTS_MAX: usize = 500;

/// How many replies of one comment are read at a time. Most comments have fewer; of a million, those that are not
/// listed stay unread.
const REPLIES_READ: usize = 32;

/// A comment in a thread. Siblings are in the order of their post stamps, as the index has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) at: Stamp,
    pub(crate) id: CommentId,
}

/// Which entries of the index of replies are to be read next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) replies_to: CommentId,
    pub(crate) after: Option<Place>,
    pub(crate) limit: usize,
}

/// A comment whose replies have not all been read.
#[derive(Debug)]
struct Open {
    place: Place,
    depth: usize,
    /// The reply behind which to read on.
    after: Option<Place>,
    /// It was counted among the comments that are to be listed.
    counted: bool,
}

/// A thread that is being read, depth first, no further than it is going to be listed.
#[derive(Debug)]
pub(crate) struct Reading {
    /// What is in the graph, with what it answers. Nothing enters twice, and nothing but below what is there.
    rows: BTreeMap<Place, Option<Place>>,
    /// The way down to where reading goes on, and on top of it what is read next.
    open: Vec<Open>,
    comments_left: usize,
}

impl Reading {
    /// Begins with what was found by climbing: `way` leads from the top of the thread down to the comment that it is
    /// around, `listed` from below that down to the last comment that was listed already, if there is one. Reads
    /// what one page of `comments_max` needs, and one comment more, which tells whether there is another page.
    pub(crate) fn new(way: &[Place], listed: Option<&[Place]>, comments_max: usize) -> Self {
        let below = listed.unwrap_or_default();
        let chain = || way.iter().chain(below).copied();
        let rows = chain().zip(std::iter::once(None).chain(chain().map(Some))).collect();
        let down = way.last().into_iter().chain(below).copied();
        let open = down.enumerate().map(|(depth, place)| Open {
            place,
            depth,
            after: below.get(depth).copied(),
            counted: listed.is_some(),
        });
        Self { rows, open: open.collect(), comments_left: comments_max + 1 }
    }

    /// What to read next; nothing once all that the page needs is there.
    pub(crate) fn wants(&self) -> Option<Wanted> {
        let open = self.open.last().filter(|_| self.comments_left > 0)?;
        // One is enough to know that there is more below what is not followed further.
        let limit = if open.depth == DEPTH_MAX { 1 } else { REPLIES_READ.min(self.comments_left) };
        Some(Wanted { replies_to: open.place.id, after: open.after, limit })
    }

    /// Takes in what was wanted: `replies` in their order, fewer than the limit where there are no more.
    pub(crate) fn hear(&mut self, wanted: &Wanted, replies: &[Place]) {
        let Some(mut open) = self.open.pop() else { return };
        if !open.counted {
            open.counted = true;
            self.comments_left -= 1; // `wants` asks for nothing once it is 0
        }
        let (above, depth) = (open.place, open.depth);
        let mut new = Vec::new();
        for reply in replies {
            // One that is in the graph already would close a ring.
            if let Entry::Vacant(entry) = self.rows.entry(*reply) {
                entry.insert(Some(above));
                new.push(*reply);
            }
        }
        if depth == DEPTH_MAX {
            return;
        }
        if replies.len() >= wanted.limit {
            open.after = replies.last().copied();
            self.open.push(open);
        }
        let below = |place| Open { place, depth: depth + 1, after: None, counted: false };
        self.open.extend(new.into_iter().rev().map(below));
    }

    /// What was read.
    pub(crate) fn into_graph(self) -> Dag<Place> {
        self.rows.into_iter().collect()
    }
}

/// A line of the listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) id: CommentId,
    /// How many answers below the comment that the thread is around.
    pub(crate) depth: usize,
    /// Something answers it.
    pub(crate) answered: bool,
}

/// What is in a graph above a comment, and a page of what is at and below it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Lines {
    /// From the top down.
    pub(crate) ancestors: Vec<CommentId>,
    pub(crate) page: Vec<Line>,
    /// There is more behind the page.
    pub(crate) more: bool,
}

/// Lists a graph around a comment, depth first, from behind `last` on.
pub(crate) fn list(graph: &Dag<Place>, around: &Place, last: Option<&Place>, comments_max: usize) -> Lines {
    let view = graph.view();
    let mut ancestors: Vec<_> = view.ancestors(around).map(|place| place.id).collect();
    ancestors.reverse();
    let mut walk = view.walk_from(around).filter(|(depth, _)| *depth <= DEPTH_MAX);
    if let Some(last) = last {
        walk.find(|(_, place)| *place == last);
    }
    let line = |(depth, place): (usize, &Place)| Line {
        id: place.id,
        depth,
        answered: view.children(place).next().is_some(),
    };
    let page = walk.by_ref().take(comments_max).map(line).collect();
    Lines { ancestors, page, more: walk.next().is_some() }
}

#[cfg(test)]
mod tests;
