//! Live, then gone.

use crate::Lattice;
use serde::{Deserialize, Serialize};

/// Whether a thing is still there: it goes from live to gone, and never back.
///
/// The half of a two-phase set that belongs to one element.
///
/// # Promise
///
/// What ended anywhere ends everywhere, for good. That gone absorbs is what lets two replicas delete the same comment at
/// once, or a deletion overtake the post that it deletes.
///
/// ```
/// use antiphon_lattice::{Lattice, Life};
/// let mut comment = Life::Live;
/// assert!(comment.join(Life::Gone));
/// assert!(!comment.join(Life::Live), "a late copy of the living one changes nothing");
/// assert!(comment.is_gone());
/// ```
///
/// # Anomaly
///
/// There is no way back, and whoever says that it is live says nothing:
///
/// ```
/// use antiphon_lattice::{Lattice, Life};
/// let deleted_by_mistake = Life::Gone;
/// assert_eq!(deleted_by_mistake.joined(Life::Live), Life::Gone);
/// ```
///
/// # Cost
///
/// One byte in memory, 6 in JSON. A delta is the whole.
///
/// # Choose another
///
/// If it must be possible to bring something back, as when a moderator restores what was hidden, that is an
/// [`Lww`](crate::Lww) of `bool` beside it, or an [`EnableWinsFlag`](crate::EnableWinsFlag), which needs no clock.
/// [`TwoPhaseSet`](crate::TwoPhaseSet) for many things in one value.
///
/// # Source
///
/// Shapiro et al. 2011, §3.3.2, specification 12: the two-phase set, of one element.
///
/// # JSON
///
/// `"live"` or `"gone"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Life {
    /// Not known to be gone. This is the bottom.
    #[default]
    Live,
    /// Gone for good.
    Gone,
}

impl Life {
    /// Whether it is gone.
    pub const fn is_gone(self) -> bool {
        matches!(self, Self::Gone)
    }

    /// Ends it and returns the delta, which is always [`Life::Gone`].
    pub const fn end(&mut self) -> Self {
        *self = Self::Gone;
        Self::Gone
    }
}

impl Lattice for Life {
    fn join(&mut self, other: Self) -> bool {
        let grew = other > *self;
        if grew {
            *self = other;
        }
        grew
    }
}
