//! The join of a block into a state with its tables.

use super::block::{Block, Content, Place, count};
use super::ids::Id;
use super::indexed::Indexed;
use super::waiting::Run;
use std::borrow::Borrow;

/// One id came with two contents. The flat form knows how to join what is left.
pub(super) struct Fault<T> {
    pub(super) left: Vec<Block<T>>,
    /// Whether what was joined before made the state grow.
    pub(super) grew: bool,
}

impl<T: Clone + Ord> Indexed<T> {
    /// Joins a block, and says whether anything grew.
    pub(super) fn join_block(&mut self, block: Block<T>) -> Result<bool, Fault<T>> {
        let (start, end) = (block.start, block.end());
        let Some(place) = block.place else {
            let replica = self.number(block.replica);
            return Ok(self.remove_ids(Id { replica, counter: start }, end));
        };
        let parent = self.id(place.parent);
        let right = self.id(place.right);
        let replica = self.number(block.replica);
        let start = Id { replica, counter: start };
        let run = Run { start, place: Place { side: place.side, parent, right }, content: block.content };
        if start.counter > self.ids[replica].top {
            self.admit(run);
            return Ok(true);
        }
        self.join_overlapping(run)
    }

    /// Joins blocks, and says whether anything grew.
    pub(super) fn join_blocks(&mut self, blocks: Vec<Block<T>>) -> Result<bool, Fault<T>> {
        let (mut blocks, mut grew) = (blocks.into_iter(), false);
        while let Some(block) = blocks.next() {
            match self.join_block(block) {
                Ok(news) => grew |= news,
                Err(mut fault) => {
                    fault.left.extend(blocks);
                    fault.grew |= grew;
                    return Err(fault);
                }
            }
        }
        Ok(grew)
    }

    /// Joins a run of which some ids may be known: part by part, each of which is known alike from first to last.
    fn join_overlapping(&mut self, mut run: Run<T>) -> Result<bool, Fault<T>> {
        let (mut grew, mut id, end) = (false, run.start, run.end());
        while id.counter < end {
            let (known, part_end) = self.part(id, end);
            if matches!(known, Known::Nothing) && id == run.start && part_end == end {
                self.admit(run); // the usual case: only its number is below that of another that came before
                return Ok(true);
            }
            let part = Part::of(&run, id.counter, part_end);
            let joined = match known {
                Known::Standing => self.join_standing(&part),
                Known::Waiting => self.join_waiting(&part),
                Known::Nothing | Known::Gone => {
                    let (start, place) = (part.start, part.place);
                    let content = match part.values {
                        Some(values) if matches!(known, Known::Nothing) => Content::Many(values.to_vec()),
                        _ => Content::Gone(part.len),
                    };
                    if matches!(known, Known::Gone) {
                        self.ids[id.replica].take_early(id.counter, part_end);
                    }
                    self.admit(Run { start, place, content });
                    Some(true)
                }
            };
            let Some(joined) = joined else {
                if id != run.start {
                    run = run.split_off(id.counter - run.start.counter);
                }
                return Err(Fault { left: vec![self.block_of(run)], grew });
            };
            grew |= joined;
            id.counter = part_end;
        }
        Ok(grew)
    }

    /// What is known of an id, and up to which counter, at most `end`, the same is known of those behind it.
    pub(super) fn part(&self, id: Id, end: u64) -> (Known, u64) {
        let ids = &self.ids[id.replica];
        if let Some(at) = self.find(id) {
            let span = self.tree.span(at);
            // Where a run of ours begins, what follows hangs otherwise than what is before.
            return (Known::Standing, end.min(span.end()).min(ids.run_end(id.counter)));
        }
        let end = ids.next_ready(id.counter).map_or(end, |next| next.min(end));
        let end = match self.waiting.from(id) {
            Some(run) if run.start.counter <= id.counter => return (Known::Waiting, end.min(run.end())),
            Some(run) => end.min(run.start.counter),
            None => end,
        };
        let early = ids.early.range(..=id.counter).next_back().filter(|(_, behind)| **behind > id.counter);
        if let Some((_, behind)) = early {
            return (Known::Gone, end.min(*behind));
        }
        let next = ids.early.range(id.counter..end).next();
        (Known::Nothing, next.map_or(end, |(next, _)| *next))
    }

    /// Compares a part with elements of one span, and of one run, and marks them as gone if they are gone there. `None`
    /// if they differ.
    fn join_standing(&mut self, part: &Part<'_, T>) -> Option<bool> {
        let at = self.find(part.start)?;
        if !self.same_standing(part) {
            return None;
        }
        let news = part.values.is_none() && !self.tree.span(at).gone;
        if news {
            self.tree.remove(at, part.len, &mut self.ids);
        }
        Some(news)
    }

    /// Whether a part says what the list says of the same ids, which are of one span and one run, where neither is gone.
    pub(super) fn same_standing<V: Borrow<T>>(&self, part: &Part<'_, V>) -> bool {
        let place = match self.ids[part.start.replica].origin(part.start.counter) {
            Some((Some(place), _)) => place,
            Some((None, right)) => part.inside(right),
            None => return false,
        };
        let Some(at) = self.find(part.start) else { return false };
        let from = at.before + count(at.nth);
        let ours = self.tree.leaf(at.leaf).values.get(from..);
        place == part.place && (self.tree.span(at).gone || part.has_values(ours))
    }

    fn join_waiting(&mut self, part: &Part<'_, T>) -> Option<bool> {
        self.same_waiting(part)
            .then(|| part.values.is_none() && self.remove_waiting(part.start, part.start.counter + part.len))
    }

    /// Whether a part says what a run that waits says of the same ids, where neither is gone.
    pub(super) fn same_waiting<V: Borrow<T>>(&self, part: &Part<'_, V>) -> bool {
        let Some(ours) = self.waiting.from(part.start) else { return false };
        let from = part.start.counter - ours.start.counter;
        let place = if from == 0 { ours.place } else { part.inside(ours.place.right) };
        place == part.place
            && (ours.content.is_gone() || part.has_values(ours.content.values().get(count(from)..)))
    }
}

/// Some elements of a block, with consecutive ids.
pub(super) struct Part<'a, V> {
    start: Id,
    place: Place<Id>,
    len: u64,
    /// `None` if they are gone.
    values: Option<&'a [V]>,
}

impl<'a, V> Part<'a, V> {
    /// The elements of a run from one counter to the one behind another.
    pub(super) fn of(run: &'a Run<V>, from: u64, end: u64) -> Self {
        let start = Id { counter: from, ..run.start };
        let (len, skipped) = (end - from, from - run.start.counter);
        let values = run.content.values().get(count(skipped)..count(skipped) + count(len));
        let mut part =
            Part { start, place: run.place, len, values: values.filter(|_| !run.content.is_gone()) };
        if skipped > 0 {
            part.place = part.inside(run.place.right);
        }
        part
    }

    /// Where its first element hangs if it is not the first of its run.
    fn inside(&self, right: Id) -> Place<Id> {
        Place::right_of(Id { counter: self.start.counter - 1, ..self.start }, right)
    }

    /// Whether these values begin with its own, if it has any.
    fn has_values<T: PartialEq>(&self, values: Option<&[T]>) -> bool
    where
        V: Borrow<T>,
    {
        let Some(theirs) = self.values else { return true };
        let ours = values.and_then(|values| values.get(..theirs.len()));
        ours.is_some_and(|ours| ours.iter().eq(theirs.iter().map(Borrow::borrow)))
    }
}

impl<T> Indexed<T> {
    fn block_of(&self, run: Run<T>) -> Block<T> {
        let Run { start, place, content } = run;
        let replica = self.dot_of(start).replica;
        Block { replica, start: start.counter, place: Some(self.place_of(place)), content }
    }

    /// Marks ids as gone: those in the list, those that wait, and those that were never heard of.
    pub(super) fn remove_ids(&mut self, mut id: Id, end: u64) -> bool {
        let mut grew = false;
        while id.counter < end {
            if let Some(at) = self.find(id) {
                grew |= !self.tree.span(at).gone;
                id.counter += self.tree.remove(at, end - id.counter, &mut self.ids);
                continue;
            }
            let ready = self.ids[id.replica].next_ready(id.counter);
            let part_end = ready.map_or(end, |next| next.min(end));
            grew |= self.remove_waiting(id, part_end);
            while id.counter < part_end {
                let next = self.waiting.from(id).map(|run| (run.start.counter, run.end()));
                let (from, behind) = next.unwrap_or((part_end, part_end));
                if id.counter < from {
                    grew |= self.ids[id.replica].add_early(id.counter, from.min(part_end));
                }
                id.counter = behind.min(part_end);
            }
        }
        grew
    }

    fn remove_waiting(&mut self, from: Id, end: u64) -> bool {
        if self.waiting.is_empty() {
            return false;
        }
        let (mut waiting, nothing) = (std::mem::take(&mut self.waiting), Id::NONE);
        let grew = waiting.remove(from, end, |run| self.missing(run).unwrap_or(nothing));
        self.waiting = waiting;
        grew
    }
}

/// What is known of some ids.
pub(super) enum Known {
    Nothing,
    Standing,
    Waiting,
    Gone,
}
