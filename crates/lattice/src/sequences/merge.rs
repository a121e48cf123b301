//! The join of two states in their flat form. What the tree does faster, it must do with this result.

use super::block::{Block, Content, Place, Side, count, push};
use crate::{Dot, ReplicaId};
use std::cmp::Ordering;
use std::vec::IntoIter;

/// What a join made.
pub(super) struct Merged<T> {
    pub(super) blocks: Vec<Block<T>>,
    pub(super) grew: bool,
    /// One id came with two contents.
    pub(super) fault: bool,
}

/// Joins two lists of blocks, each in the order of ids and without overlaps. Linear in their lengths.
pub(super) fn merge<T: Ord>(ours: Vec<Block<T>>, theirs: Vec<Block<T>>) -> Merged<T> {
    let mut merged = Merged { blocks: Vec::new(), grew: false, fault: false };
    let (mut ours, mut theirs) = (Queue::new(ours), Queue::new(theirs));
    loop {
        let order = match (ours.peek(), theirs.peek()) {
            (None, None) => return merged,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(mine), Some(other)) => (mine.replica, mine.start).cmp(&(other.replica, other.start)),
        };
        let block = match order {
            Ordering::Less => ours.take_before(&theirs),
            Ordering::Greater => {
                merged.grew = true;
                theirs.take_before(&ours)
            }
            Ordering::Equal => {
                let both = ours.alike(&theirs);
                ours.take(both).zip(theirs.take(both)).map(|(mine, other)| settle(mine, other, &mut merged))
            }
        };
        if let Some(block) = block {
            push(&mut merged.blocks, block);
        }
    }
}

/// Joins lists of one block each, in any order and with any overlaps.
pub(super) fn merge_all<T: Ord>(blocks: Vec<Block<T>>) -> Merged<T> {
    // In pairs, then pairs of pairs: one by one would be quadratic, and the bytes may be hostile.
    let mut lists: Vec<Vec<Block<T>>> = blocks.into_iter().map(|block| vec![block]).collect();
    let (mut grew, mut fault) = (false, false);
    while lists.len() > 1 {
        let mut pairs = lists.into_iter();
        let mut next = Vec::with_capacity(pairs.len().div_ceil(2));
        while let Some(one) = pairs.next() {
            let merged = merge(one, pairs.next().unwrap_or_default());
            grew |= merged.grew;
            fault |= merged.fault;
            next.push(merged.blocks);
        }
        lists = next;
    }
    Merged { blocks: lists.pop().unwrap_or_default(), grew, fault }
}

/// Joins two blocks of the same ids that are alike from the first to the last.
fn settle<T: Ord>(ours: Block<T>, theirs: Block<T>, merged: &mut Merged<T>) -> Block<T> {
    let order = ours.place.cmp(&theirs.place);
    merged.fault |= order != Ordering::Equal && ours.place.is_some() && theirs.place.is_some();
    merged.grew |= order == Ordering::Less || (theirs.content.is_gone() && !ours.content.is_gone());
    let gone = ours.content.is_gone() || theirs.content.is_gone();
    let (replica, start, len) = (ours.replica, ours.start, ours.content.len());
    let (place, content) = match order {
        Ordering::Less => (theirs.place, theirs.content),
        Ordering::Greater => (ours.place, ours.content),
        Ordering::Equal if gone => (ours.place, ours.content),
        Ordering::Equal => {
            let pairs = ours.content.into_values().into_iter().zip(theirs.content.into_values());
            let greater = |(mine, other): (T, T)| {
                merged.fault |= mine != other;
                merged.grew |= mine < other;
                mine.max(other)
            };
            (ours.place, Content::Many(pairs.map(greater).collect()))
        }
    };
    Block { replica, start, place, content: if gone { Content::Gone(len) } else { content } }
}

/// A list of blocks of which the first may be taken in parts, each at the cost of its own length.
struct Queue<T> {
    first: Option<First<T>>,
    rest: IntoIter<Block<T>>,
}

struct First<T> {
    replica: ReplicaId,
    start: u64,
    len: u64,
    place: Option<Place<Dot>>,
    /// `None` if they are gone.
    values: Option<IntoIter<T>>,
}

impl<T> Queue<T> {
    fn new(blocks: Vec<Block<T>>) -> Self {
        let mut queue = Self { first: None, rest: blocks.into_iter() };
        queue.refill();
        queue
    }

    fn refill(&mut self) {
        self.first = self.rest.next().map(|block| First {
            replica: block.replica,
            start: block.start,
            len: block.content.len(),
            place: block.place,
            values: (!block.content.is_gone()).then(|| block.content.into_values().into_iter()),
        });
    }

    fn peek(&self) -> Option<&First<T>> {
        self.first.as_ref()
    }

    /// The first block, up to where the other queue begins.
    fn take_before(&mut self, other: &Self) -> Option<Block<T>> {
        let mine = self.peek()?;
        let len = match other.peek() {
            Some(other) if other.replica == mine.replica => mine.len.min(other.start - mine.start),
            _ => mine.len,
        };
        self.take(len)
    }

    /// For how many elements of two blocks that begin with one id the same place wins.
    fn alike(&self, other: &Self) -> u64 {
        let (Some(mine), Some(other)) = (self.peek(), other.peek()) else { return 0 };
        let differ = mine.place.zip(other.place).is_some_and(|(mine, other)| mine != other);
        // Inside a run all hang alike. At its start only the first may differ.
        if differ && !(mine.inside() && other.inside()) { 1 } else { mine.len.min(other.len) }
    }

    fn take(&mut self, len: u64) -> Option<Block<T>> {
        let first = self.first.as_mut()?;
        let len = len.min(first.len);
        let content = match &mut first.values {
            None => Content::Gone(len),
            Some(values) => Content::Many(values.take(count(len)).collect()),
        };
        let block = Block { replica: first.replica, start: first.start, place: first.place, content };
        first.start = first.start.saturating_add(len);
        first.len -= len;
        let last = block.dot(first.start.saturating_sub(1));
        first.place = first.place.map(|place| Place::right_of(last, place.right));
        if first.len == 0 {
            self.refill();
        }
        Some(block)
    }
}

impl<T> First<T> {
    /// Whether its first element hangs on the one with the id before.
    fn inside(&self) -> bool {
        self.place.is_some_and(|place| {
            place.side == Side::Right
                && place.parent == Dot { replica: self.replica, counter: self.start.saturating_sub(1) }
        })
    }
}
