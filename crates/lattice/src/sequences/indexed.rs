//! A state with its tables: what a sequence of more than a few runs is kept as.

use super::arena::Arena;
use super::block::{Block, Content, Place, Side, count, push};
use super::error::SequenceError;
use super::ids::{Id, Ids};
use super::siblings::{Beside, Siblings};
use super::span::Span;
use super::tree::{At, Gap, Tree};
use super::waiting::{Run, Waiting};
use crate::{Dot, ReplicaId};
use std::collections::BTreeMap;
use std::ops::Range;

/// No element has this counter, so that the one behind a run's last is always a number.
pub(super) const COUNTER_END: u64 = u64::MAX;

/// The list in its order, what is known of each replica's ids, and what waits.
#[derive(Clone, Debug)]
pub(super) struct Indexed<T> {
    pub(super) tree: Tree<T>,
    pub(super) ids: Arena<Ids>,
    numbers: BTreeMap<ReplicaId, u32>,
    /// The replica that was looked for last.
    last: u32,
    pub(super) waiting: Waiting<T>,
    pub(super) siblings: Option<Siblings>,
}

impl<T> Indexed<T> {
    pub(super) fn new() -> Self {
        Self {
            tree: Tree::new(),
            ids: Arena::default(),
            numbers: BTreeMap::new(),
            last: 0,
            waiting: Waiting::default(),
            siblings: None,
        }
    }

    /// The number of a replica here, which it gets if it has none.
    pub(super) fn number(&mut self, name: ReplicaId) -> u32 {
        if self.ids.at(self.last as usize).is_some_and(|ids| ids.name == name) {
            return self.last;
        }
        let ids = &mut self.ids;
        self.last = *self.numbers.entry(name).or_insert_with(|| ids.add(Ids::new(name)));
        self.last
    }

    pub(super) fn id(&mut self, dot: Dot) -> Id {
        if dot.counter == 0 {
            return Id::NONE;
        }
        Id { replica: self.number(dot.replica), counter: dot.counter }
    }

    /// The id of a dot, if anything is known of its replica.
    pub(super) fn known(&self, dot: Dot) -> Option<Id> {
        self.numbers.get(&dot.replica).map(|&replica| Id { replica, counter: dot.counter })
    }

    pub(super) fn dot_of(&self, id: Id) -> Dot {
        match self.ids.at(id.replica as usize) {
            Some(ids) if id != Id::NONE => Dot { replica: ids.name, counter: id.counter },
            _ => Dot::default(),
        }
    }

    pub(super) fn place_of(&self, place: Place<Id>) -> Place<Dot> {
        Place { side: place.side, parent: self.dot_of(place.parent), right: self.dot_of(place.right) }
    }

    pub(super) fn is_ready(&self, id: Id) -> bool {
        self.ids.at(id.replica as usize).is_some_and(|ids| ids.is_ready(id.counter))
    }

    /// Where an element of the list is.
    pub(super) fn find(&self, id: Id) -> Option<At> {
        if self.is_ready(id) { self.tree.find(id, &self.ids) } else { None }
    }

    /// How many elements are shown before an element of the list, and whether it is shown itself.
    pub(super) fn index_of(&self, id: Id) -> Option<(usize, bool)> {
        let at = self.find(id)?;
        let shown = !self.tree.span(at).gone;
        let nth = if shown { count(at.nth) } else { 0 };
        Some((self.tree.shown_before(at.leaf) + at.before + nth, shown))
    }

    pub(super) fn id_at(&self, index: usize) -> Option<Dot> {
        (index < self.tree.len()).then(|| {
            let at = self.tree.seek(index);
            self.dot_of(self.tree.span(at).id(at.nth))
        })
    }

    pub(super) fn get(&self, index: usize) -> Option<&T> {
        let at = (index < self.tree.len()).then(|| self.tree.seek(index))?;
        self.tree.leaf(at.leaf).values.get(at.before + count(at.nth))
    }

    /// What the list lacks before this run can stand in it.
    pub(super) fn missing(&self, run: &Run<T>) -> Option<Id> {
        [run.place.parent, run.place.right].into_iter().find(|id| *id != Id::NONE && !self.is_ready(*id))
    }

    /// Takes elements that are new to all tables, and those that waited for them.
    pub(super) fn admit(&mut self, run: Run<T>) {
        let ids = &mut self.ids[run.start.replica];
        ids.top = ids.top.max(run.end() - 1);
        if self.waiting.is_empty() && self.missing(&run).is_none() {
            return self.stand(run);
        }
        let mut runs = vec![run];
        while let Some(run) = runs.pop() {
            if let Some(missing) = self.missing(&run) {
                self.waiting.add(run, missing);
            } else {
                let (start, end) = (run.start, run.end());
                self.stand(run);
                self.waiting.wake(start, end, &mut runs);
            }
        }
    }

    /// Puts a run into the list, which has what it hangs on.
    fn stand(&mut self, run: Run<T>) {
        let (start, place) = (run.start, run.place);
        let runs_on = self.runs_on(start, place);
        let gap = self.gap(start, place);
        self.put(gap, run, runs_on);
    }

    /// Whether an element continues the run of the one with the id before.
    fn runs_on(&self, start: Id, place: Place<Id>) -> bool {
        let before = Id { counter: start.counter - 1, ..start };
        place.side == Side::Right
            && place.parent == before
            && before.counter > 0
            && self.ids[start.replica].right(before.counter) == Some(place.right)
    }

    fn gap(&mut self, new: Id, place: Place<Id>) -> Gap {
        let top = Gap { leaf: 0, span: 0, before: 0 };
        match (place.side, self.tree.find_known(place.parent, &self.ids)) {
            (Side::Right, Some(at)) if self.tree.is_childless(at) => {
                self.tree.span_mut(at.leaf, at.span).right = true;
                return self.tree.gap_behind(at);
            }
            (Side::Left, Some(at)) if at.nth > 0 || !self.tree.span(at).left => {
                let gap = self.tree.gap_before(at);
                self.tree.span_mut(gap.leaf, gap.span).left = true;
                return gap;
            }
            (Side::Right, None) if self.tree.first().is_none() => return top,
            _ => {}
        }
        let gap = match self.beside_siblings(new, place) {
            Beside::Before(id) => self.tree.find_known(id, &self.ids).map(|at| self.tree.gap_before(at)),
            Beside::Behind(id) => self.tree.find_known(id, &self.ids).map(|at| self.tree.gap_behind(at)),
        };
        gap.unwrap_or(top)
    }

    fn put(&mut self, gap: Gap, run: Run<T>, runs_on: bool) {
        let Run { start, place, content } = run;
        let len = content.len();
        let end = start.counter.saturating_add(len);
        self.ids[start.replica].admit(start.counter, end, (!runs_on).then_some(place), place.right);
        let span = Span {
            counter: start.counter,
            len,
            replica: start.replica,
            gone: content.is_gone(),
            runs_on,
            left: false,
            right: false,
        };
        self.tree.insert(gap, span, content, &mut self.ids);
        if !runs_on && self.siblings.is_some() {
            self.note_sibling(start, place);
        }
    }

    /// Inserts values in the name of a replica before what is shown at an index, which is at most the length.
    pub(super) fn insert(
        &mut self,
        me: ReplicaId,
        index: usize,
        content: Content<T>,
    ) -> Result<Option<Block<T>>, SequenceError>
    where
        T: Clone,
    {
        let (len, replica) = (self.tree.len(), self.number(me));
        if index > len {
            return Err(SequenceError::BeyondTheEnd { at: index, len });
        }
        if content.len() == 0 {
            return Ok(None);
        }
        let start = Id { replica, counter: self.ids[replica].top + 1 };
        if content.len() >= COUNTER_END - start.counter {
            return Err(SequenceError::IdsExhausted { replica: me });
        }
        let (gap, place) = self.local_gap(index);
        let runs_on = self.runs_on(start, place);
        let block = Block {
            replica: me,
            start: start.counter,
            place: Some(self.place_of(place)),
            content: content.clone(),
        };
        let run = Run { start, place, content };
        let end = run.end();
        self.put(gap, run, runs_on);
        if !self.waiting.is_empty() {
            let mut woken = Vec::new();
            self.waiting.wake(start, end, &mut woken);
            for run in woken {
                self.admit(run);
            }
        }
        Ok(Some(block))
    }

    /// Where what is inserted at an index goes, and how it hangs there: Fugue's rule for its own writer.
    fn local_gap(&mut self, index: usize) -> (Gap, Place<Id>) {
        let top = Gap { leaf: 0, span: 0, before: 0 };
        let Some(index) = index.checked_sub(1) else {
            let Some(first) = self.tree.first() else {
                return (top, Place::right_of(Id::NONE, Id::NONE));
            };
            self.tree.span_mut(0, 0).left = true;
            return (top, Place::left_of(first.first()));
        };
        let at = self.tree.at_index(index);
        let span = *self.tree.span(at);
        let gap = self.tree.gap_behind(at);
        let next = self.tree.next_span(at.leaf, at.span);
        let right = next.map_or(Id::NONE, |(leaf, nth)| self.tree.span_mut(leaf, nth).first());
        let childless = at.nth + 1 == span.len && !span.right;
        match next {
            Some((leaf, nth)) if !childless => {
                self.tree.span_mut(leaf, nth).left = true;
                (gap, Place::left_of(right))
            }
            _ => {
                self.tree.span_mut(at.leaf, at.span).right = true;
                (gap, Place::right_of(span.id(at.nth), right))
            }
        }
    }

    /// Removes what is shown at an index, which is there, and returns its id.
    pub(super) fn remove_one(&mut self, index: usize) -> Block<T> {
        let at = self.tree.at_index(index);
        self.remove_at(at, 1)
    }

    fn remove_at(&mut self, at: At, len: u64) -> Block<T> {
        let id = self.tree.span(at).id(at.nth);
        let gone = self.tree.remove(at, len, &mut self.ids);
        let replica = self.ids[id.replica].name;
        Block { replica, start: id.counter, place: None, content: Content::Gone(gone) }
    }

    /// Removes what is shown at these indices, which are there, and returns the ids.
    pub(super) fn remove(&mut self, range: Range<usize>) -> Vec<Block<T>> {
        let (mut left, mut blocks) = (range.len(), Vec::new());
        while left > 0 {
            let at = self.tree.at_index(range.start);
            let block = self.remove_at(at, left as u64);
            left = left.saturating_sub(count(block.content.len()));
            blocks.push(block);
        }
        blocks.sort_by_key(|block| (block.replica, block.start));
        let mut together = Vec::new();
        for block in blocks {
            push(&mut together, block);
        }
        together
    }

    /// What is shown, with its ids, in order.
    pub(super) fn shown(&self) -> impl Iterator<Item = (Dot, &T)> {
        let ids = self.tree.leaves().flat_map(|leaf| leaf.spans.iter()).filter(|span| !span.gone);
        let dots = ids.flat_map(|span| (0..span.len).map(|nth| self.dot_of(span.id(nth))));
        dots.zip(self.tree.leaves().flat_map(|leaf| leaf.values.iter()))
    }
}
