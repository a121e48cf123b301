//! What a row counts for, and who counts it.
//!
//! Retrying "+1" drifts, so nothing is sent that means "+1". What is counted is a *set*: each element is a row, and
//! its state says to which groups it contributes and which replica counts it there. When a row changes, by a local
//! write or by a merge, the same transaction compares its contributions before and after, and moves the
//! [`Tally`] of each group that this replica writes ([`OwnedTallies`]). What comes or leaves twice is
//! found to be there, or gone, the second time.
//!
//! ```
//! use antiphon_lattice::contributions::{Contributes, Contribution, OwnedTallies, moved};
//! use antiphon_lattice::{Lattice, Life, Min, ReplicaId, Tally};
//! use std::collections::{BTreeMap, BTreeSet};
//!
//! /// A comment: which replica accepted it, in which part; and whether it is still there.
//! #[derive(Clone, Default, PartialEq, Eq)]
//! struct Comment { post: Min<(ReplicaId, u32)>, life: Life }
//!
//! impl Lattice for Comment {
//!     fn join(&mut self, other: Self) -> bool {
//!         let Self { post, life } = other;
//!         self.post.join(post) | self.life.join(life)
//!     }
//! }
//!
//! impl Contributes for Comment {
//!     type Group = u32;
//!     fn contributions(&self) -> BTreeSet<Contribution<u32>> {
//!         let live = if self.life.is_gone() { None } else { self.post.get() };
//!         live.map(|&(owner, group)| Contribution { group, owner }).into_iter().collect()
//!     }
//! }
//!
//! let me = ReplicaId::from_u128(7);
//! let owned = OwnedTallies::of(me);
//! let mut tallies: BTreeMap<u32, Tally> = BTreeMap::new();
//! let mut row = Comment::default();
//!
//! let post = Comment { post: Min::of((me, 42)), life: Life::Live };
//! let delete = Comment { life: Life::Gone, ..Comment::default() };
//! for message in [post.clone(), post.clone(), delete.clone(), post, delete] {
//!     let before = row.contributions();
//!     row.join(message);
//!     for (contribution, moved) in moved(&before, &row.contributions()) {
//!         if let Some(epoch) = owned.epoch_of(contribution.owner) {
//!             let tally = tallies.entry(contribution.group).or_default();
//!             tally.join(Tally::opened(epoch));
//!             tally.count(moved);
//!         }
//!     }
//! }
//! assert_eq!((tallies[&42].added, tallies[&42].removed), (1, 1));
//! ```

pub use super::owned_tallies::OwnedTallies;
use crate::{ReplicaId, Tally};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// One element counts in one group, and one replica counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Contribution<G> {
    /// What it counts for: a part, a paragraph, the comment that it replies to.
    pub group: G,
    /// Who counts it. Two replicas that accepted the same element know, once they meet, which of them it is.
    pub owner: ReplicaId,
}

/// A row state that counts.
///
/// # What an implementer owes
///
/// - **A function of the state alone**: equal states contribute alike, at every replica, in every version of the
///   program that is running. If two versions differ, a row that one merges and the other writes is counted by the one
///   and never discounted by the other.
/// - **An owner out of the state**, such as the replica in the least stamp of a post, and never "whoever asks".
///   Otherwise two replicas count one element and neither learns of it.
///
/// # What a caller owes
///
/// - **To compare on every change of the row**, in the transaction of the change. A merge that is not compared leaves
///   the tally wrong for good: the change is in the row, and no later one finds it missing.
/// - **To move every tally that it owns**, adopted ones too, and no others.
pub trait Contributes {
    /// What is counted for.
    type Group: Ord + Clone;

    /// The groups to which this state contributes, each with its owner. Nothing for a bottom, or for what is gone.
    fn contributions(&self) -> BTreeSet<Contribution<Self::Group>>;
}

/// What happened to a contribution when a row changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Moved {
    /// It was not there before.
    Came,
    /// It is not there any more.
    Left,
}

/// What came and what left between two states of one row, in the order of the contributions.
///
/// A contribution whose owner changed left under one owner and came under the other: both replicas see it so, and each
/// moves its own tally.
///
/// ```
/// use antiphon_lattice::ReplicaId;
/// use antiphon_lattice::contributions::{Contribution, Moved, moved};
/// let by = |owner| Contribution { group: "part", owner: ReplicaId::from_u128(owner) };
/// let changes = moved(&[by(2)].into(), &[by(1)].into());
/// assert_eq!(changes, [(by(1), Moved::Came), (by(2), Moved::Left)]);
/// ```
pub fn moved<G: Ord + Clone>(
    before: &BTreeSet<Contribution<G>>,
    after: &BTreeSet<Contribution<G>>,
) -> Vec<(Contribution<G>, Moved)> {
    let how = |contribution| if after.contains(contribution) { Moved::Came } else { Moved::Left };
    before.symmetric_difference(after).map(|contribution| (contribution.clone(), how(contribution))).collect()
}

impl Tally {
    /// Counts one that came or left. Returns the delta: the whole tally. For its one writer.
    pub const fn count(&mut self, moved: Moved) -> Self {
        match moved {
            Moved::Came => self.added_one(),
            Moved::Left => self.removed_one(),
        }
    }
}
