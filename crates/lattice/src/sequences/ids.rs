//! What is known of one replica's ids: where their runs begin, and in which leaf each stands.

use super::block::Place;
use super::leaves::Leaves;
use crate::ReplicaId;
use std::collections::BTreeMap;

/// An element's id with the replica's number in this tree instead of its name.
///
/// Its order has no meaning beyond this tree: for one that all replicas share, go through the name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id {
    pub(super) replica: u32,
    pub(super) counter: u64,
}

impl Id {
    /// The start, as a parent, and the end, as a right origin.
    pub(super) const NONE: Self = Self { replica: 0, counter: 0 };
}

/// The ids of one replica.
#[derive(Clone, Debug)]
pub(super) struct Ids {
    pub(super) name: ReplicaId,
    /// The counter behind the greatest that stands in the list.
    pub(super) end: u64,
    /// The greatest counter that was ever heard of, be it in the list, waiting, or gone before it came.
    pub(super) top: u64,
    /// The right origin of the element before `end`.
    pub(super) right: Id,
    /// No element before `end` is missing.
    gapless: bool,
    /// Where each run begins and hangs. `None`: from here on they are not in the list.
    runs: BTreeMap<u64, Option<Place<Id>>>,
    leaves: Leaves,
    /// Ranges that are gone, and of which nothing else is known: from, and the counter behind.
    pub(super) early: BTreeMap<u64, u64>,
}

impl Ids {
    pub(super) fn new(name: ReplicaId) -> Self {
        Self {
            name,
            end: 1,
            top: 0,
            right: Id::NONE,
            gapless: true,
            runs: BTreeMap::new(),
            leaves: Leaves::new(),
            early: BTreeMap::new(),
        }
    }

    /// Whether the element stands in the list.
    pub(super) fn is_ready(&self, counter: u64) -> bool {
        0 < counter && counter < self.end && (self.gapless || self.run(counter).is_some())
    }

    fn run(&self, counter: u64) -> Option<(u64, Place<Id>)> {
        self.runs.range(..=counter).next_back().and_then(|(start, place)| Some((*start, (*place)?)))
    }

    /// Where an element of the list hangs, if it begins a run, and its right origin.
    pub(super) fn origin(&self, counter: u64) -> Option<(Option<Place<Id>>, Id)> {
        if counter >= self.end {
            return None;
        }
        let (start, place) = self.run(counter)?;
        Some(((start == counter).then_some(place), place.right))
    }

    /// The right origin of an element of the list.
    pub(super) fn right(&self, counter: u64) -> Option<Id> {
        if counter + 1 == self.end {
            return Some(self.right);
        }
        self.origin(counter).map(|(_, right)| right)
    }

    /// The counter behind the run, or the gap, that this counter is in.
    pub(super) fn run_end(&self, counter: u64) -> u64 {
        let next = self.runs.range(counter.saturating_add(1)..).next();
        let behind = if counter < self.end { self.end } else { u64::MAX };
        next.map_or(behind, |(start, _)| *start)
    }

    /// The next counter that stands in the list, from this one on, which does not.
    pub(super) fn next_ready(&self, counter: u64) -> Option<u64> {
        if counter >= self.end {
            return None;
        }
        self.runs.range(counter..).find(|(_, place)| place.is_some()).map(|(start, _)| *start)
    }

    /// Every run of the list: where it begins and hangs.
    pub(super) fn runs(&self) -> impl Iterator<Item = (u64, Place<Id>)> {
        self.runs.iter().filter_map(|(start, place)| Some((*start, (*place)?)))
    }

    /// Takes elements into the list. `place` is `None` if they continue the run of the one before.
    pub(super) fn admit(&mut self, start: u64, end: u64, place: Option<Place<Id>>, right: Id) {
        if start >= self.end {
            if start > self.end {
                self.gapless = false;
                self.runs.insert(self.end, None);
            }
            self.end = end;
            self.right = right;
        } else if !self.runs.contains_key(&end) && end < self.end {
            self.runs.insert(end, None);
        }
        if end == self.end {
            self.right = right;
        }
        match place {
            Some(place) => {
                self.runs.insert(start, Some(place));
            }
            None if !self.gapless => {
                self.runs.remove(&start);
            }
            None => {}
        }
        self.top = self.top.max(end - 1);
    }

    /// The leaf of an element of the list.
    pub(super) fn leaf(&self, counter: u64) -> Option<u32> {
        self.leaves.get(counter)
    }

    /// Notes in which leaf elements of the list stand.
    pub(super) fn set_leaf(&mut self, start: u64, end: u64, leaf: u32) {
        self.leaves.set(start, end, leaf, self.end);
    }

    /// Notes that ids are gone of which nothing else is known. The range is known to none of the other tables.
    /// Says whether that is news.
    pub(super) fn add_early(&mut self, start: u64, end: u64) -> bool {
        self.top = self.top.max(end - 1);
        let before = self.early.range(..=start).next_back().filter(|(_, behind)| **behind >= start);
        let (mut from, mut to) = before.map_or((start, end), |(from, behind)| (*from, (*behind).max(end)));
        if before.is_some_and(|(_, behind)| *behind >= end) {
            return false;
        }
        while let Some((&inner, &behind)) = self.early.range(from..=to).next_back() {
            (from, to) = (from.min(inner), to.max(behind));
            self.early.remove(&inner);
        }
        self.early.insert(from, to);
        true
    }

    /// Takes the first range out that lies within these bounds, cut to them.
    pub(super) fn take_early(&mut self, start: u64, end: u64) -> Option<(u64, u64)> {
        let within =
            |(from, behind): (&u64, &u64)| (*behind > start && *from < end).then_some((*from, *behind));
        let before = self.early.range(..=start).next_back().and_then(within);
        let (from, behind) = before.or_else(|| self.early.range(start..end).next().and_then(within))?;
        self.early.remove(&from);
        if from < start {
            self.early.insert(from, start);
        }
        if behind > end {
            self.early.insert(end, behind);
        }
        Some((from.max(start), behind.min(end)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn early_ranges_are_joined_and_cut() {
        let mut ids = Ids::new(ReplicaId::NIL);
        assert!(ids.add_early(5, 1 << 60));
        assert!(!ids.add_early(6, 1 << 59));
        assert!(ids.add_early(1, 3));
        assert!(ids.add_early(3, 5));
        assert_eq!(ids.early, [(1, 1 << 60)].into());
        assert_eq!(ids.take_early(2, 4), Some((2, 4)));
        assert_eq!(ids.early, [(1, 2), (4, 1 << 60)].into());
        assert_eq!(ids.take_early(2, 4), None);
    }

    #[test]
    fn gaps_are_no_part_of_the_list() {
        let mut ids = Ids::new(ReplicaId::NIL);
        let place = Some(Place::right_of(Id::NONE, Id::NONE));
        ids.admit(4, 6, place, Id::NONE);
        ids.admit(2, 3, place, Id::NONE);
        let ready: Vec<u64> = (0..9).filter(|counter| ids.is_ready(*counter)).collect();
        assert_eq!(ready, [2, 4, 5]);
        assert_eq!((ids.next_ready(3), ids.run_end(3), ids.run_end(4)), (Some(4), 4, 6));
        ids.admit(3, 4, None, Id::NONE);
        assert_eq!(ids.run_end(2), 4, "one run of two, and the run behind it its own");
    }
}
