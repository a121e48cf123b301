//! Counting in the same transaction as the row that is counted.
//!
//! The rule of the design: whenever a row changes at a replica, by a local write or by a merge, what it contributes
//! before and after is compared, and every tally that this replica owns moves by the difference. So a post that is
//! retried, a delete that arrives twice, and a row whose owner turns out to be somebody else are each counted once.
//!
//! A tally that was taken over is counted from the rows first, whoever comes to its group first: the recount that goes
//! through all of them, a write that moves it, or somebody who asks for it.

use crate::error::ViewError;
use crate::key::{KeyPart, Row};
use crate::view::{Joined, View};
use lattice::{Contributes, Moved, ReplicaId, Tally};

/// A kind of row whose elements are counted.
///
/// # What an implementer owes
///
/// `count` and the rows must agree, at every moment between two writes: what it finds is what was moved in and not out
/// again. Keys of [`Counted::Tallies`] are laid out as the pair (group, owner), so that a recount can read them.
pub trait Counted: Row<Key: Clone + Send + Sync, State: Contributes<Group = Self::Group>> {
    /// What is counted for: a part, a paragraph, a comment's replies.
    type Group: Ord + Clone + KeyPart + std::fmt::Debug + Send + Sync + 'static;
    /// Where the tallies are kept, one row per (group, owner).
    type Tallies: Row<Key: From<(Self::Group, ReplicaId)>, State = Tally>;

    /// The topic on which the group's tally is announced; `None` for a count that nobody else shows.
    fn announced_on(group: &Self::Group) -> Option<&'static str>;

    /// How many rows count for `group` and are counted by `owner`, found in the rows alone: see [`View::scan`]. Asked
    /// for once per group and epoch, and it may read them all.
    fn count(view: &mut View<'_>, group: &Self::Group, owner: ReplicaId) -> Result<u64, ViewError>;
}

/// The tally of a group as this replica writes it, counted from the rows if that was not done in its epoch yet; `None`
/// where it is somebody else's.
///
/// In generation 0 nothing was ever counted by anybody else, so a tally that is missing is one of nothing.
pub fn ensure_counted<R: Counted>(
    view: &mut View<'_>,
    group: &R::Group,
    owner: ReplicaId,
) -> Result<Option<Tally>, ViewError> {
    let Some(epoch) = view.owned().epoch_of(owner) else { return Ok(None) };
    let key = (group.clone(), owner).into();
    match view.get::<R::Tallies>(&key)? {
        Some(stored) if stored.epoch == epoch => return Ok(Some(stored)),
        // Heard of already, and about to be given up: somebody else writes it.
        Some(stored) if stored.epoch > epoch => return Ok(None),
        None if epoch.generation == 0 => return Ok(Some(Tally::opened(epoch))),
        Some(_) | None => {}
    }
    let counted = Tally { added: R::count(view, group, owner)?, ..Tally::opened(epoch) };
    write::<R>(view, group, &key, counted)?;
    Ok(Some(counted))
}

fn write<R: Counted>(
    view: &mut View<'_>,
    group: &R::Group,
    key: &<R::Tallies as Row>::Key,
    tally: Tally,
) -> Result<(), ViewError> {
    view.join::<R::Tallies>(key, tally)?;
    match R::announced_on(group) {
        Some(topic) => view.mark::<R::Tallies>(topic, key),
        None => Ok(()),
    }
}

/// Joins a delta into a counted row, moves the tallies that this replica owns, and marks those that are announced.
/// **The** way to change a counted row. Index rows that [`Counted::count`] reads are to be changed after it.
pub fn join_counted<R: Counted>(
    view: &mut View<'_>,
    key: &R::Key,
    delta: R::State,
) -> Result<Joined<R::State>, ViewError> {
    use lattice::Lattice;
    let before = view.get::<R>(key)?.unwrap_or_default();
    let mut after = before.clone();
    if !after.join(delta) {
        return Ok(Joined { before, after, grew: false });
    }
    let moves = lattice::moved(&before.contributions(), &after.contributions());
    let mut tallies = Vec::new();
    // Before the row changes: what is counted now is what the change then moves.
    for (contribution, moved) in moves {
        if let Some(tally) = ensure_counted::<R>(view, &contribution.group, contribution.owner)? {
            tallies.push((contribution, moved, tally));
        } else {
            view.note_counter(contribution.owner)?;
        }
    }
    let joined = view.join::<R>(key, after)?;
    for (contribution, moved, mut tally) in tallies {
        let delta = match moved {
            Moved::Came => tally.added_one(),
            Moved::Left => tally.removed_one(),
        };
        let tally_key = (contribution.group.clone(), contribution.owner).into();
        write::<R>(view, &contribution.group, &tally_key, delta)?;
    }
    Ok(joined)
}
