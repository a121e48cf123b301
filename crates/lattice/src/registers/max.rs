//! The greatest value ever written.

use crate::Lattice;
use serde::{Deserialize, Serialize};

/// The maximum register: the talk's own example of a CRDT, for what can only increase.
///
/// # Promise
///
/// The greatest value which any replica wrote is the one that all show. It never falls.
///
/// `T::default()` must be the least `T`. That holds for unsigned numbers, `bool`, `String`, `Vec` and tuples of these, and
/// **not** for signed numbers, where the laws notice:
///
/// ```
/// use antiphon_lattice::{Max, laws};
/// assert!(laws::check_exhaustively(&[Max(0_u32), Max(1)]).is_ok());
/// assert!(laws::check_exhaustively(&[Max(0_i32), Max(-1)]).is_err()); // ⊥ ∨ -1 is 0
/// ```
///
/// # Anomaly
///
/// The maximum of two replicas' counts is not their sum:
///
/// ```
/// use antiphon_lattice::{Lattice, Max};
/// let (mut here, mut there) = (Max(0_u64), Max(0_u64));
/// here.raise(here.0 + 1);
/// there.raise(there.0 + 1);
/// assert_eq!(here.joined(there), Max(1), "two came, one is counted");
/// ```
///
/// And one absurd value stays: a date in the year 9999 can never be taken back.
///
/// # Cost
///
/// The value, in memory and in JSON. All operations are one comparison. A delta is the value.
///
/// # Choose another
///
/// [`Lww`](crate::Lww) if a later value may be smaller, [`Min`](crate::Min) if the first should stay, and
/// [`Tally`](crate::Tally) or [`GCounter`](crate::GCounter) to count.
///
/// # Source
///
/// Folklore: the order of numbers is the simplest lattice that there is. Shapiro et al. 2011, §2.3, takes its maximum for
/// the first example of a state-based type.
///
/// # JSON
///
/// The bare value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Max<T>(pub T);

impl<T: Ord + Clone + Default> Max<T> {
    /// Writes a value and returns the delta: the value alone, whether or not it was news.
    ///
    /// ```
    /// use antiphon_lattice::Max;
    /// let mut seen = Max(3_u8);
    /// assert_eq!(seen.raise(2), Max(2));
    /// assert_eq!(seen, Max(3));
    /// ```
    pub fn raise(&mut self, value: T) -> Self {
        let delta = Self(value);
        self.join(delta.clone());
        delta
    }
}

impl<T: Ord + Clone + Default> Lattice for Max<T> {
    fn join(&mut self, other: Self) -> bool {
        let grew = other.0 > self.0;
        if grew {
            self.0 = other.0;
        }
        grew
    }

    fn covers(&self, other: &Self) -> bool {
        other.0 <= self.0
    }
}
