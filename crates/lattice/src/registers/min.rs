//! The least value ever written.

use crate::Lattice;
use serde::{Deserialize, Serialize};

/// The minimum register: empty, or the least value ever written.
///
/// This is how a thing that may be created twice stays one thing. A post that two replicas accepted is in both of them a
/// `Min` of (stamp, place, text); once they meet, both hold the one with the lesser stamp, and it never changes again unless
/// something still earlier turns up.
///
/// # Promise
///
/// The least value which any replica wrote is the one that all show. Empty is the bottom, so `Min` needs no greatest `T`.
///
/// ```
/// use antiphon_lattice::{Lattice, Min};
/// let mut first = Min::of(("10:02", "replica b"));
/// assert!(first.join(Min::of(("10:01", "replica a"))));
/// assert!(!first.join(Min::of(("10:03", "replica c"))));
/// assert_eq!(first.get(), Some(&("10:01", "replica a")));
/// ```
///
/// # Anomaly
///
/// The first value is the first by its own order, and not the first that was seen. What everybody has read may change,
/// once, when something earlier turns up:
///
/// ```
/// use antiphon_lattice::{Lattice, Min};
/// let mut post = Min::of((200, "the text that was shown for a day"));
/// post.join(Min::of((100, "accepted earlier, by a replica that was cut off")));
/// assert_eq!(post.get(), Some(&(100, "accepted earlier, by a replica that was cut off")));
/// ```
///
/// # Cost
///
/// The value, in memory and in JSON. All operations are one comparison. A delta is the value.
///
/// # Choose another
///
/// [`Lww`](crate::Lww) for what people edit; [`Max`](crate::Max) for what rises; [`MvRegister`](crate::MvRegister) to keep
/// both of two.
///
/// # Source
///
/// The dual of [`Max`](crate::Max).
///
/// # JSON
///
/// The bare value, or `null` (so a `T` whose own JSON can be `null`, such as an `Option`, cannot live in a `Min`: put it in
/// a struct).
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
