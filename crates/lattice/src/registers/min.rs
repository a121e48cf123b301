//! The least value ever written.

use crate::Lattice;
use serde::{Deserialize, Serialize};

/// The minimum register: empty, or the least value ever written.
///
/// This is how a thing that may be created twice stays one thing. A post that two replicas accepted is in both of
/// them a `Min` of (stamp, place, text); once they meet, both hold the one with the lesser stamp, and it never
/// changes again unless something still earlier turns up. Empty is the bottom, so `Min` needs no greatest `T`.
///
/// Choose [`Lww`](crate::Lww) for what people edit. JSON: the bare value, or `null` (so a `T` whose own JSON can be
/// `null`, such as an `Option`, cannot live in a `Min`: put it in a struct).
///
/// ```
/// use antiphon_lattice::{Lattice, Min};
/// let mut first = Min::of(("10:02", "replica b"));
/// assert!(first.join(Min::of(("10:01", "replica a"))));
/// assert!(!first.join(Min::of(("10:03", "replica c"))));
/// assert_eq!(first.get(), Some(&("10:01", "replica a")));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Min<T>(Option<T>);

impl<T> Min<T> {
    /// The empty register, below every value.
    pub const fn bottom() -> Self {
        Self(None)
    }

    /// The register in which one value was written.
    pub const fn of(value: T) -> Self {
        Self(Some(value))
    }

    /// The least value ever written, if any was.
    pub const fn get(&self) -> Option<&T> {
        self.0.as_ref()
    }

    /// The least value ever written, by value.
    pub fn into_inner(self) -> Option<T> {
        self.0
    }
}

impl<T: Ord + Clone> Min<T> {
    /// Writes a value and returns the delta: the value alone, whether or not it was news.
    ///
    /// ```
    /// use antiphon_lattice::Min;
    /// let mut first = Min::of(3);
    /// assert_eq!(first.write(7), Min::of(7));
    /// assert_eq!(first.into_inner(), Some(3));
    /// ```
    pub fn write(&mut self, value: T) -> Self {
        let delta = Self::of(value);
        self.join(delta.clone());
        delta
    }
}

impl<T> Default for Min<T> {
    fn default() -> Self {
        Self::bottom()
    }
}

impl<T: Ord + Clone> Lattice for Min<T> {
    fn join(&mut self, other: Self) -> bool {
        let Some(theirs) = other.0 else { return false };
        let grew = self.0.as_ref().is_none_or(|ours| theirs < *ours);
        if grew {
            self.0 = Some(theirs);
        }
        grew
    }
}
