//! Two lattices side by side.

use crate::Lattice;
use serde::{Deserialize, Serialize};

/// The product: two lattices side by side, each joined on its own.
///
/// Covers means that *both* halves cover. Nothing keeps the halves in step: a delta may carry one and leave the other
/// at its bottom. If a value must never be seen without its companion, they are one value: put both into one
/// [`Lww`](crate::Lww) or [`Min`](crate::Min). JSON: an array of two.
///
/// A row with more than two fields is a struct with names, whose `join` is written as
/// [the trait's page](Lattice#when-the-implementer-forgets) shows.
///
/// ```
/// use antiphon_lattice::{Lattice, Life, Max, Pair};
/// let mut part = Pair(Max(3_u64), Life::Live);
/// assert!(part.join(Pair(Max(2), Life::Gone)), "the reads are old news, the end is not");
/// assert_eq!(part, Pair(Max(3), Life::Gone));
/// ```
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
