//! Elements with consecutive ids that hang one on the other: what deltas and bytes are made of.

use crate::{Dot, ReplicaId};

/// On which side of its parent an element hangs in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    Right,
    Left,
}

/// Where an element hangs. An id with counter 0 is nobody's: as a parent the start, as a right origin the end.
///
/// A left child's `right` is its parent: what is typed on behind it has that as its right origin, so that one rule says
/// for both sides how a run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place<I> {
    pub(super) side: Side,
    pub(super) parent: I,
    pub(super) right: I,
}

impl<I: Copy> Place<I> {
    pub(super) const fn right_of(parent: I, right: I) -> Self {
        Self { side: Side::Right, parent, right }
    }

    pub(super) const fn left_of(parent: I) -> Self {
        Self { side: Side::Left, parent, right: parent }
    }
}

/// The values of a block, or how many of them are gone.
#[derive(Clone, Debug)]
pub(super) enum Content<T> {
    Gone(u64),
    /// The usual delta, without an allocation.
    One(T),
    Many(Vec<T>),
}

impl<T> Content<T> {
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Gone(len) => *len,
            Self::One(_) => 1,
            Self::Many(values) => values.len() as u64,
        }
    }

    pub(super) fn is_gone(&self) -> bool {
        matches!(self, Self::Gone(_))
    }

    pub(super) fn values(&self) -> &[T] {
        match self {
            Self::Gone(_) => &[],
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        }
    }

    pub(super) fn into_values(self) -> Vec<T> {
        match self {
            Self::Gone(_) => Vec::new(),
            Self::One(value) => vec![value],
            Self::Many(values) => values,
        }
    }

    /// Adds what comes behind, which is gone if this is.
    pub(super) fn append(&mut self, more: Self) {
        match (&mut *self, more) {
            (Self::Gone(len), more) => *len = len.saturating_add(more.len()),
            (Self::Many(values), Self::One(value)) => values.push(value),
            (Self::Many(values), more) => values.extend(more.into_values()),
            (one, more) => {
                let mut values = std::mem::replace(one, Self::Gone(0)).into_values();
                values.extend(more.into_values());
                *one = Self::Many(values);
            }
        }
    }

    /// Takes what is behind the first `len`.
    pub(super) fn split_off(&mut self, len: u64) -> Self {
        match self {
            Self::Gone(all) => {
                let behind = *all - len.min(*all);
                *all -= behind;
                Self::Gone(behind)
            }
            Self::One(_) => Self::Gone(0), // never asked for: a block is cut inside, and one element has no inside
            Self::Many(values) => Self::Many(values.split_off(count(len).min(values.len()))),
        }
    }
}

/// `One` and `Many` of one are the same.
impl<T: PartialEq> PartialEq for Content<T> {
    fn eq(&self, other: &Self) -> bool {
        self.is_gone() == other.is_gone() && self.len() == other.len() && self.values() == other.values()
    }
}

/// Elements of one replica with consecutive counters: the first hangs at `place`, and each of the others is the right
/// child of the one before, with the same right origin. All are there, or all are gone.
///
/// Without a place it says only that these ids are gone.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Block<T> {
    pub(super) replica: ReplicaId,
    pub(super) start: u64,
    pub(super) place: Option<Place<Dot>>,
    pub(super) content: Content<T>,
}

impl<T> Block<T> {
    /// The counter behind the last. It fits: whoever makes a block sees to it.
    pub(super) fn end(&self) -> u64 {
        self.start.saturating_add(self.content.len())
    }

    pub(super) fn dot(&self, counter: u64) -> Dot {
        Dot { replica: self.replica, counter }
    }

    /// The same block with its values by reference.
    pub(super) fn by_ref(&self) -> Block<&T> {
        let content = match &self.content {
            Content::Gone(len) => Content::Gone(*len),
            Content::One(value) => Content::One(value),
            Content::Many(values) => Content::Many(values.iter().collect()),
        };
        Block { replica: self.replica, start: self.start, place: self.place, content }
    }

    /// Whether the element at this place continues this block's run.
    pub(super) fn runs_on(&self, replica: ReplicaId, start: u64, place: Option<Place<Dot>>) -> bool {
        self.replica == replica
            && self.end() == start
            && match (self.place, place) {
                (None, None) => true,
                (Some(ours), Some(theirs)) => {
                    theirs == Place::right_of(self.dot(start.saturating_sub(1)), ours.right)
                }
                _ => false,
            }
    }
}

impl<T: Clone> Block<&T> {
    pub(super) fn cloned(self) -> Block<T> {
        let content = match self.content {
            Content::Gone(len) => Content::Gone(len),
            Content::One(value) => Content::One(value.clone()),
            Content::Many(values) => Content::Many(values.into_iter().cloned().collect()),
        };
        Block { replica: self.replica, start: self.start, place: self.place, content }
    }
}

/// Adds a block behind the others, as a part of the last one where it continues that.
pub(super) fn push<T>(blocks: &mut Vec<Block<T>>, block: Block<T>) {
    if let Some(last) = blocks.last_mut()
        && last.content.is_gone() == block.content.is_gone()
        && last.runs_on(block.replica, block.start, block.place)
    {
        last.content.append(block.content);
        return;
    }
    blocks.push(block);
}

/// A number of values that are in memory, as an index.
pub(super) fn count(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}
