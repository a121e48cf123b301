//! What was seen, as a function over the interval.

use super::id::Id;
use super::notation::{in_notation, read_events};
use super::tree::Tree;
use super::{ItcError, ItcId, growth};
use crate::Lattice;
use std::cmp::Ordering;
use std::fmt;

/// The events that an [`IntervalTreeClock`](super::IntervalTreeClock) has seen: a number for each point of the
/// interval, as a tree.
///
/// # Promise
///
/// A lattice whose join takes the greater number at each point, and whose order (`<=`, and `None` for concurrent) is
/// that of causality between stamps that came from one seed. Equal functions are equal trees.
///
/// # Anomaly
///
/// The numbers do not count events. An event may raise a number by more than one, if that makes the tree simpler:
///
/// ```
/// use antiphon_lattice::{EventTree, ItcId};
/// let mut events: EventTree = "(0,0,7)".parse()?;
/// events.event(&"(1,0)".parse::<ItcId>()?)?;
/// assert_eq!(events.to_string(), "7", "one event, and the left half goes from 0 to 7");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Cost
///
/// 16 bytes a leaf in memory, and 32 more a node. Every operation is O(size), the join O(of both sizes).
///
/// # Choose another
///
/// [`VersionVector`](crate::VersionVector) where replicas have names and stay.
///
/// # JSON
///
/// A text in the paper's notation: a number, or `(number,left,right)`, where the halves are relative to the number.
/// See [`IntervalTreeClock`](super::IntervalTreeClock#json).
///
/// # Source
///
/// Almeida, Baquero, Fonte, *Interval tree clocks: a logical clock for dynamic systems*, OPODIS 2008, §5.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EventTree(pub(super) Tree);

impl EventTree {
    /// Registers an event of the owner of this id, and returns the delta: the numbers that grew, and 0 elsewhere.
    pub fn event(&mut self, id: &ItcId) -> Result<Self, ItcError> {
        if matches!(id.0, Id::None) {
            return Err(ItcError::Anonymous);
        }
        let after = growth::event(&id.0, &self.0).ok_or(ItcError::Exhausted)?;
        let delta = after.news(0, &self.0, 0);
        self.0 = after;
        Ok(Self(delta))
    }

    /// The least and the greatest number.
    ///
    /// ```
    /// use antiphon_lattice::EventTree;
    /// let events: EventTree = "(1,2,(0,(1,0,2),0))".parse()?;
    /// assert_eq!(events.bounds(), (1, 4));
    /// # Ok::<(), antiphon_lattice::ItcDecodeError>(())
    /// ```
    pub fn bounds(&self) -> (u64, u64) {
        (self.0.base(), self.0.height())
    }

    /// How deep the tree is: 0 for a number alone.
    pub fn depth(&self) -> usize {
        self.0.depth()
    }
}

impl Default for EventTree {
    fn default() -> Self {
        Self(Tree::Leaf(0))
    }
}

impl Lattice for EventTree {
    fn join(&mut self, other: Self) -> bool {
        let grew = !self.covers(&other);
        if grew {
            let mine = std::mem::take(self);
            self.0 = mine.0.joined(other.0);
        }
        grew
    }

    fn covers(&self, other: &Self) -> bool {
        other.0.is_within(0, &self.0, 0)
    }
}

/// The order of causality: less is before, `None` is concurrent.
impl PartialOrd for EventTree {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self.covers(other), other.covers(self)) {
            (true, true) => Some(Ordering::Equal),
            (true, false) => Some(Ordering::Greater),
            (false, true) => Some(Ordering::Less),
            (false, false) => None,
        }
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leaf(number) => write!(f, "{number}"),
            Self::Node(base, halves) => write!(f, "({base},{},{})", halves.0, halves.1),
        }
    }
}

in_notation!(EventTree, "EventTree", "an event tree such as (1,2,(0,1,0))", read_events);
