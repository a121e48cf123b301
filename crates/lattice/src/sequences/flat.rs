//! Between the form with tables and the flat one, which is the same for equal states.

use super::block::{Block, Content, Place, push};
use super::ids::Id;
use super::indexed::Indexed;
use super::integrate::{Known, Part};
use super::merge::merge_all;
use super::waiting::Run;
use crate::Dot;

impl<T> Indexed<T> {
    /// The whole state as blocks in the order of ids, as long as they can be.
    pub(super) fn flat(&self) -> Vec<Block<&T>> {
        let mut blocks = Vec::new();
        for leaf in self.tree.leaves() {
            let mut values = leaf.values.iter();
            for span in leaf.spans.iter() {
                let content = if span.gone {
                    Content::Gone(span.len)
                } else {
                    Content::Many(values.by_ref().take(span.shown()).collect())
                };
                let place = self.place_of_first(span.first());
                blocks.push(self.block(span.first(), place, content));
            }
        }
        for run in self.waiting.runs() {
            let content = match &run.content {
                Content::Gone(len) => Content::Gone(*len),
                values => Content::Many(values.values().iter().collect()),
            };
            blocks.push(self.block(run.start, Some(self.place_of(run.place)), content));
        }
        for (ids, replica) in self.ids.iter().zip(0..) {
            for (&counter, &end) in &ids.early {
                blocks.push(self.block(Id { replica, counter }, None, Content::Gone(end - counter)));
            }
        }
        blocks.sort_by_key(|block| (block.replica, block.start));
        // A run in pieces has one of each: put together they are as long as they can be.
        let mut together = Vec::with_capacity(blocks.len());
        for block in blocks {
            push(&mut together, block);
        }
        together
    }

    fn block<'a>(&self, id: Id, place: Option<Place<Dot>>, content: Content<&'a T>) -> Block<&'a T> {
        Block { replica: self.dot_of(id).replica, start: id.counter, place, content }
    }

    fn place_of_first(&self, id: Id) -> Option<Place<Dot>> {
        let (place, right) = self.ids[id.replica].origin(id.counter)?;
        let before = Id { counter: id.counter - 1, ..id };
        Some(self.place_of(place.unwrap_or(Place::right_of(before, right))))
    }

    /// Whether it may be small enough to need no tables: at once, and at most what is small.
    pub(super) fn is_small(&self) -> bool {
        self.tree.is_one_leaf()
    }

    /// How many elements wait: their number stops at the greatest that there is.
    pub(super) fn waiting_len(&self) -> u64 {
        self.waiting.runs().fold(0, |sum, run| sum.saturating_add(run.content.len()))
    }
}

impl<T: Clone + Ord> Indexed<T> {
    /// The state of these blocks, which may come in any order and say a thing twice. Says whether one id came with two
    /// contents.
    pub(super) fn from_blocks(blocks: Vec<Block<T>>) -> (Self, bool) {
        let in_order = blocks
            .windows(2)
            .all(|two| matches!(two, [one, two] if (one.replica, one.end()) <= (two.replica, two.start)));
        let (blocks, fault) = if in_order {
            (blocks, false)
        } else {
            let merged = merge_all(blocks);
            (merged.blocks, merged.fault)
        };
        let mut state = Self::new();
        // Blocks without overlaps say nothing twice.
        let fault = state.join_blocks(blocks).is_err() || fault;
        (state, fault)
    }

    /// Whether everything that a block says is known. `None` if one id has another content there than here, of which
    /// the flat form knows which one wins.
    pub(super) fn covers(&self, block: &Block<&T>) -> Option<bool> {
        let Some(mut id) = self.known(block.dot(block.start)) else { return Some(false) };
        let end = block.end();
        let Some(place) = block.place else { return Some(self.all_gone(id, end)) };
        let known = |dot: Dot| if dot.counter == 0 { Some(Id::NONE) } else { self.known(dot) };
        let (parent, right) = (known(place.parent)?, known(place.right)?);
        let place = Place { side: place.side, parent, right };
        let content = match &block.content {
            Content::Gone(len) => Content::Gone(*len),
            values => Content::Many(values.values().to_vec()),
        };
        let run = Run { start: id, place, content };
        while id.counter < end {
            let (what, part_end) = self.part(id, end);
            let part = Part::of(&run, id.counter, part_end);
            let same = match what {
                Known::Standing => self.same_standing(&part),
                Known::Waiting => self.same_waiting(&part),
                Known::Nothing | Known::Gone => return Some(false),
            };
            if !same {
                return None;
            }
            if run.content.is_gone() && !self.all_gone(id, part_end) {
                return Some(false);
            }
            id.counter = part_end;
        }
        Some(true)
    }

    fn all_gone(&self, mut id: Id, end: u64) -> bool {
        while id.counter < end {
            let (what, part_end) = self.part(id, end);
            let gone = match what {
                Known::Nothing => false,
                Known::Gone => true,
                Known::Standing => self.find(id).is_some_and(|at| self.tree.span(at).gone),
                Known::Waiting => self.waiting.from(id).is_some_and(|run| run.content.is_gone()),
            };
            if !gone {
                return false;
            }
            id.counter = part_end;
        }
        true
    }
}
