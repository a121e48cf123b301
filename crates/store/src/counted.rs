//! Counting in the same transaction as the row that is counted.
//!
//! The rule of the design: whenever a row changes at a replica, by a local write or by a merge, what it contributes
//! before and after is compared, and every tally that this replica owns moves by the difference. So a post that is
//! retried, a delete that arrives twice, and a row whose owner turns out to be somebody else are each counted once.

use crate::error::ViewError;
use crate::key::{KeyPart, Row};
use crate::view::{Joined, View};
use lattice::{Contributes, Moved, ReplicaId, Tally};

/// A kind of row whose elements are counted.
pub trait Counted: Row<State: Contributes<Group = Self::Group>> {
    /// What is counted for: a part, a paragraph, a comment's replies.
    type Group: Ord + Clone + KeyPart;
    /// Where the tallies are kept, one row per (group, owner).
    type Tallies: Row<Key: From<(Self::Group, ReplicaId)>, State = Tally>;

    /// The topic on which the group's tally is announced; `None` for a count that nobody else shows.
    fn announced_on(group: &Self::Group) -> Option<&'static str>;
}

/// Joins a delta into a counted row, moves the tallies that this replica owns, and marks those that are announced.
/// **The** way to change a counted row.
pub fn join_counted<R: Counted>(
    view: &mut View<'_>,
    key: &R::Key,
    delta: R::State,
) -> Result<Joined<R::State>, ViewError> {
    let joined = view.join::<R>(key, delta)?;
    if !joined.grew {
        return Ok(joined);
    }
    for (contribution, moved) in lattice::moved(&joined.before.contributions(), &joined.after.contributions())
    {
        let Some(epoch) = view.owned().epoch_of(contribution.owner) else { continue };
        let topic = R::announced_on(&contribution.group);
        let tally_key = (contribution.group, contribution.owner).into();
        let mut tally = Tally::opened(epoch);
        if let Some(stored) = view.get::<R::Tallies>(&tally_key)?
            && stored.epoch >= epoch
        {
            tally = stored;
        }
        let delta = match moved {
            Moved::Came => tally.added_one(),
            Moved::Left => tally.removed_one(),
        };
        view.join::<R::Tallies>(&tally_key, delta)?;
        if let Some(topic) = topic {
            view.mark::<R::Tallies>(topic, &tally_key)?;
        }
    }
    Ok(joined)
}
