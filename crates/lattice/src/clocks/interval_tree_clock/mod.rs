//! A clock for processes that come and go.

mod bits;
mod error;
mod events;
mod growth;
mod id;
mod notation;
mod tree;

pub use error::{ItcDecodeError, ItcDecodeFault, ItcError};
pub use events::EventTree;
pub use id::ItcId;

use crate::Lattice;
use crate::faults::note_identity_fault;
use notation::{in_notation_with_display, read_clock};
use std::cmp::Ordering;
use std::fmt;

/// How deep an id or an event tree may be.
///
/// Each fork that is not joined again may add one, so a line of 256 stamps can be forked off one after the other, or
/// 2²⁵⁶ evenly. All recursion of this library over such trees ends here.
pub const ITC_DEPTH_MAX: usize = 256;

/// The stamp of one process among processes that come and go: what it has seen, and which part of the interval [0, 1)
/// it owns. It needs no names that are unique: whoever joins forks a stamp that is there.
///
/// All stamps of a system come from one [`seed`](IntervalTreeClock::seed). [`fork`](IntervalTreeClock::fork) gives a
/// newcomer half of what is owned, [`event`](IntervalTreeClock::event) registers that something happened,
/// [`join`](IntervalTreeClock::join) takes in another stamp, with what it owns: so a process retires. A
/// [`peek`](IntervalTreeClock::peek) is a stamp that owns nothing, for a message. The paper's derived operations are
/// [`send`](IntervalTreeClock::send), [`receive`](IntervalTreeClock::receive) and [`sync`](IntervalTreeClock::sync).
///
/// # Promise
///
/// `a.leq(&b)` exactly if all events that a has seen b has seen, for stamps of one seed that were forked and joined
/// and never copied. Ids that are given back are used again: the stamps of a system that shrinks shrink.
///
/// # Anomaly
///
/// Two stamps that own the same part, because one was copied or restored from a backup, register one event twice and
/// do not see that they differ. (`ReplicaId`s do not have this trouble: a restored replica takes a new one.) Where two
/// such meet in a join, [`identity_faults`](crate::identity_faults) counts it.
///
/// ```
/// use antiphon_lattice::IntervalTreeClock;
/// let mut clock = IntervalTreeClock::seed();
/// let mut copy = clock.clone(); // wrong: fork it
/// clock.event()?;
/// copy.event()?;
/// assert!(clock.leq(&copy), "and yet neither has seen the other's event");
/// # Ok::<(), antiphon_lattice::ItcError>(())
/// ```
///
/// And who dies without a join takes its part along, for ever: nobody may use it again.
///
/// # Cost
///
/// What it holds grows with the processes that there are, not with those that there were. A seed has 7 bits, and
/// each of 4 processes that forked evenly and had an event each, and know of all, 2 bytes. In memory an event tree has
/// 16 bytes a leaf and 32 more a node. Every operation is O(size of the trees). Depth is at most [`ITC_DEPTH_MAX`], and
/// a fork that would go below it is an error; so is an event where all numbers that one owns stand at 2⁶⁴ − 1.
///
/// # Choose another
///
/// [`VersionVector`](crate::VersionVector) with [`ReplicaId`](crate::ReplicaId)s where replicas are few, stay, and may
/// be restored: an entry is larger, but nothing is lost when one dies.
///
/// # JSON
///
/// A text in the paper's notation, `(id,events)`: `"((0,(1,0)),(1,2,(0,1,0)))"`. Other forms of the same tree are
/// brought into normal form, and the numbers of each path must add up to less than 2⁶⁴. The notation is the paper's and
/// has no version; an object with a `format` is refused by that number.
///
/// # The compact encoding
///
/// [`to_bits`](IntervalTreeClock::to_bits) and [`from_bits`](IntervalTreeClock::from_bits) speak the encoding of the
/// authors' reference implementation in Erlang and of its ports, bit for bit, so it has no version of its own. (Their
/// programs in C and Java differ from it: they count bits from the lowest, and write a node's own number without the
/// bit that marks a leaf.) With `n:w` for a number in w bits, the highest first:
///
/// | id | bits | | event tree | bits |
/// |---|---|---|---|---|
/// | `0` | `0:2 0:1` | | `(0,0,r)` | `0:1 0:2` r |
/// | `1` | `0:2 1:1` | | `(0,l,0)` | `0:1 1:2` l |
/// | `(0,r)` | `1:2` r | | `(0,l,r)` | `0:1 2:2` l r |
/// | `(l,0)` | `2:2` l | | `(n,0,r)` | `0:1 3:2 0:1 0:1` n r |
/// | `(l,r)` | `3:2` l r | | `(n,l,0)` | `0:1 3:2 0:1 1:1` n l |
/// | | | | `(n,l,r)` | `0:1 3:2 1:1` n l r |
/// | | | | `n` | `1:1` and n, from width 2 on |
///
/// where n in width w is `0:1 n:w` if it is less than 2ʷ, and else `1:1` and n − 2ʷ in width w + 1.
///
/// # Source
///
/// Almeida, Baquero, Fonte, *Interval tree clocks: a logical clock for dynamic systems*, OPODIS 2008.
///
/// ```
/// use antiphon_lattice::IntervalTreeClock;
/// let mut alice = IntervalTreeClock::seed();
/// let mut bob = alice.fork()?;
/// let message = alice.send()?;
/// bob.event()?;
/// assert_eq!(alice.compare(&bob), None, "concurrent");
/// bob.receive(message)?;
/// assert!(alice.leq(&bob) && !bob.leq(&alice));
///
/// alice.join(bob); // bob retires
/// assert_eq!(alice.to_string(), "(1,(1,0,1))");
/// alice.event()?;
/// assert_eq!(alice.to_string(), "(1,2)", "one process needs no tree");
/// # Ok::<(), antiphon_lattice::ItcError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct IntervalTreeClock {
    id: ItcId,
    events: EventTree,
}

impl IntervalTreeClock {
    /// The one stamp that a system begins with: it owns all, and has seen nothing.
    pub fn seed() -> Self {
        Self { id: ItcId::ALL, events: EventTree::default() }
    }

    /// What it owns.
    pub const fn id(&self) -> &ItcId {
        &self.id
    }

    /// What it has seen: a lattice.
    pub const fn events(&self) -> &EventTree {
        &self.events
    }

    /// Splits off a stamp with half of what this one owns, which has seen the same. It is the right one of the paper's
    /// two; this becomes the left one. A fork of an anonymous stamp is one too.
    pub fn fork(&mut self) -> Result<Self, ItcError> {
        let (left, right) = self.id.split()?;
        self.id = left;
        Ok(Self { id: right, events: self.events.clone() })
    }

    /// Registers an event.
    pub fn event(&mut self) -> Result<(), ItcError> {
        self.events.event(&self.id).map(drop)
    }

    /// Takes in another stamp: what it has seen, and what it owns.
    ///
    /// Two that own the same part are no stamps of one seed, or one was copied. It then owns what either does, and the
    /// fault of identity is counted.
    pub fn join(&mut self, other: Self) {
        let mine = std::mem::replace(&mut self.id, ItcId::NONE);
        let (id, overlap) = mine.sum(other.id);
        if overlap {
            note_identity_fault();
        }
        self.id = id;
        self.events.join(other.events);
    }

    /// An anonymous stamp that has seen the same.
    #[must_use]
    pub fn peek(&self) -> Self {
        Self { id: ItcId::NONE, events: self.events.clone() }
    }

    /// Whether the other has seen all that this has.
    pub fn leq(&self, other: &Self) -> bool {
        other.events.covers(&self.events)
    }

    /// Before, after, equal, or concurrent (`None`). Stamps that are equal in this may own different parts.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        self.events.partial_cmp(&other.events)
    }

    /// Registers an event, and returns the anonymous stamp for the message.
    pub fn send(&mut self) -> Result<Self, ItcError> {
        self.event()?;
        Ok(self.peek())
    }

    /// Takes in the stamp of a message, and registers the receipt as an event. After an error nothing has changed.
    pub fn receive(&mut self, message: Self) -> Result<(), ItcError> {
        let mut after = self.clone();
        after.join(message);
        after.event()?;
        *self = after;
        Ok(())
    }

    /// Both have seen what either had, and what the two own is split between them anew. After an error nothing has
    /// changed.
    pub fn sync(&mut self, other: &mut Self) -> Result<(), ItcError> {
        let mut both = self.clone();
        both.join(other.clone());
        *other = both.fork()?;
        *self = both;
        Ok(())
    }
}

/// In the paper's notation.
impl fmt::Display for IntervalTreeClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({},{})", self.id, self.events)
    }
}

in_notation_with_display!(
    IntervalTreeClock,
    "IntervalTreeClock",
    "an interval tree clock such as ((0,1),(0,0,1))",
    read_clock
);
