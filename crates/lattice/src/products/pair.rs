//! Two lattices side by side.

use crate::Lattice;
use serde::{Deserialize, Serialize};

/// The product: two lattices side by side, each joined on its own.
///
/// # Promise
///
/// Each half keeps its own promise. Covers means that *both* halves cover.
///
/// ```
/// use antiphon_lattice::{Lattice, Life, Max, Pair};
/// let mut part = Pair(Max(3_u64), Life::Live);
/// assert!(part.join(Pair(Max(2), Life::Gone)), "the reads are old news, the end is not");
/// assert_eq!(part, Pair(Max(3), Life::Gone));
/// ```
///
/// # Anomaly
///
/// Nothing keeps the halves in step: a delta may carry one and leave the other at its bottom, and the join of two states may
/// be one that nobody wrote.
///
/// ```
/// use antiphon_lattice::{Lattice, Max, Pair};
/// let (low, high) = (Pair(Max(1), Max(10)), Pair(Max(4), Max(5)));
/// assert_eq!(low.joined(high), Pair(Max(4), Max(10)), "neither of the two ranges");
/// ```
///
/// # Cost
///
/// Both halves, and 3 bytes in JSON. The join costs theirs.
///
/// # Choose another
///
/// If a value must never be seen without its companion, they are one value: put both into one [`Lww`](crate::Lww) or
/// [`Min`](crate::Min). A row with more than two fields is a struct with names, whose `join` is written as
/// [the trait's page](Lattice#when-the-implementer-forgets) shows.
///
/// # Source
///
/// The product of lattices, as in Baquero, Almeida, Cunha, Ferreira, *Composition of state-based CRDTs*, 2015, §2.3.
///
/// # JSON
///
/// An array of two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Pair<A, B>(pub A, pub B);

impl<A: Lattice, B: Lattice> Lattice for Pair<A, B> {
    fn join(&mut self, other: Self) -> bool {
        let Self(first, second) = other;
        self.0.join(first) | self.1.join(second)
    }

    fn covers(&self, other: &Self) -> bool {
        self.0.covers(&other.0) && self.1.covers(&other.1)
    }
}
