//! What cannot stand in the list yet, because what it hangs on has not arrived.

use super::block::{Content, Place};
use super::ids::Id;
use std::collections::BTreeMap;

/// More values than this, and a run waits in pieces: a removal of one element moves the values behind it.
const VALUES_MAX: u64 = 512;

/// Elements with consecutive ids, as a [`Block`](super::block::Block), and what is missing.
#[derive(Clone, Debug)]
pub(super) struct Run<T> {
    pub(super) start: Id,
    pub(super) place: Place<Id>,
    pub(super) content: Content<T>,
}

impl<T> Run<T> {
    pub(super) fn end(&self) -> u64 {
        self.start.counter.saturating_add(self.content.len())
    }

    /// Whether the next one is the rest of this one.
    fn runs_on(&self, next: &Self) -> bool {
        self.end() == next.start.counter
            && self.start.replica == next.start.replica
            && self.content.is_gone() == next.content.is_gone()
            && next.place
                == Place::right_of(Id { counter: next.start.counter - 1, ..next.start }, self.place.right)
    }

    /// Takes what is behind the first `len`, which is something, and so is what stays.
    pub(super) fn split_off(&mut self, len: u64) -> Self {
        let start = Id { counter: self.start.counter.saturating_add(len), ..self.start };
        let parent = Id { counter: start.counter - 1, ..start };
        let place = Place::right_of(parent, self.place.right);
        Self { start, place, content: self.content.split_off(len) }
    }
}

/// The runs that wait, by their first ids, and which of them wait for what.
///
/// Runs that wait for each other, which nobody honest sends, wait for ever: nothing here goes round.
#[derive(Clone, Debug)]
pub(super) struct Waiting<T> {
    runs: BTreeMap<Id, Run<T>>,
    /// What is missing, and the starts of the runs that ask for it. A start may be out of date.
    missing: BTreeMap<Id, Vec<Id>>,
}

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Self { runs: BTreeMap::new(), missing: BTreeMap::new() }
    }
}

impl<T> Waiting<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    pub(super) fn runs(&self) -> impl Iterator<Item = &Run<T>> {
        self.runs.values()
    }

    pub(super) fn add(&mut self, mut run: Run<T>, missing: Id) {
        // From behind, so that each value is moved once.
        while !run.content.is_gone() && run.content.len() > VALUES_MAX {
            let rest = run.split_off((run.content.len() - 1) / VALUES_MAX * VALUES_MAX);
            let before = rest.place.parent;
            self.insert(rest, before);
        }
        self.insert(run, missing);
    }

    fn insert(&mut self, run: Run<T>, missing: Id) {
        // What was typed on behind a run that waits has nothing else to wait for.
        if let Some((_, before)) = self.runs.range_mut(..run.start).next_back()
            && before.runs_on(&run)
            && (run.content.is_gone() || before.content.len() + run.content.len() <= VALUES_MAX)
        {
            return before.content.append(run.content);
        }
        self.missing.entry(missing).or_default().push(run.start);
        self.runs.insert(run.start, run);
    }

    /// The run that holds an id, or else the next one of its replica.
    pub(super) fn from(&self, id: Id) -> Option<&Run<T>> {
        let before = self.runs.range(..=id).next_back().map(|(_, run)| run);
        before
            .filter(|run| run.start.replica == id.replica && run.end() > id.counter)
            .or_else(|| self.runs.range(id..).next().map(|(_, run)| run))
            .filter(|run| run.start.replica == id.replica)
    }

    /// Marks as gone what waits with ids from this one on and before `end`. `missing` says what a run waits for.
    /// Says whether that is news.
    pub(super) fn remove(&mut self, from: Id, end: u64, missing: impl Fn(&Run<T>) -> Id) -> bool {
        let mut news = false;
        let mut next = from;
        while let Some(run) = self.from(next) {
            let start = run.start;
            if start.counter >= end {
                break;
            }
            next.counter = run.end();
            if !run.content.is_gone()
                && let Some(mut run) = self.runs.remove(&start)
            {
                news = true;
                if run.end() > end {
                    let rest = run.split_off(end - start.counter);
                    let asks = missing(&rest);
                    self.add(rest, asks);
                }
                if start.counter < from.counter {
                    let mut rest = run.split_off(from.counter - start.counter);
                    rest.content = Content::Gone(rest.content.len());
                    let asks = missing(&rest);
                    self.add(rest, asks);
                } else {
                    run.content = Content::Gone(run.content.len());
                }
                self.runs.insert(start, run);
            }
        }
        news
    }

    /// Takes out the runs that ask for any of these ids, which have come.
    pub(super) fn wake(&mut self, first: Id, end: u64, woken: &mut Vec<Run<T>>) {
        let behind = Id { counter: end, ..first };
        while let Some((&id, _)) = self.missing.range(first..behind).next() {
            for start in self.missing.remove(&id).unwrap_or_default() {
                woken.extend(self.runs.remove(&start));
            }
        }
    }
}
