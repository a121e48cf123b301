//! Tallies from elsewhere: how a replica meets its own future.
//!
//! A tally has one writer, so a tally of our own that says more than we do was written by us, in a life that this
//! store has forgotten: it was restored from a backup, or copied. And one in a greater epoch was written by an heir,
//! who took us for lost. Neither is joined here as if it were a number of somebody else's: it is noted, in the same
//! write, and [`crate::Healer`] does what is to be done.

use crate::counted::{Counted, ensure_counted};
use crate::error::ViewError;
use crate::heal::Alarm;
use crate::view::View;
use lattice::{ReplicaId, Tally};

/// What was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// A tally of somebody else's: joined, and it was news.
    News,
    /// Nothing new.
    Known,
    /// One that we write, in an older state: whoever told it lacks ours. Ours is counted, if it was not yet.
    Behind,
    /// One that we write, and it says more than we do: this store has lost data. Noted, for [`crate::Healer`].
    Ahead,
    /// One that we wrote, in a greater epoch: somebody else writes it now. Joined, and noted.
    Replaced,
}

/// Hears the tally of a group that `owner` counts: one of somebody else's is joined, one that this replica writes
/// never is. **The** way to merge a tally at a service that writes tallies itself.
pub fn hear_tally<R: Counted>(
    view: &mut View<'_>,
    group: &R::Group,
    owner: ReplicaId,
    told: Tally,
) -> Result<Heard, ViewError> {
    let ours = view.owned().epoch_of(owner);
    if let Some(ours) = ours.filter(|ours| *ours >= told.epoch)
        && let Some(mine) = ensure_counted::<R>(view, group, owner)?
    {
        if told == mine {
            return Ok(Heard::Known);
        }
        if told.epoch < ours || (told.added <= mine.added && told.removed <= mine.removed) {
            return Ok(Heard::Behind);
        }
        Alarm::raise(view, |alarm| alarm.ahead.insert(owner))?;
        return Ok(Heard::Ahead);
    }
    let joined = view.join::<R::Tallies>(&(group.clone(), owner).into(), told)?;
    let (news, epoch) = (joined.grew, joined.after.epoch);
    view.note_owner(owner, epoch)?;
    if view.owned().epoch_of(epoch.owner).is_some() {
        // Its writer is this replica, or one whose heir this is: so nobody else counts it, also where this replica is just
        // giving it up.
        Alarm::raise(view, |alarm| alarm.inherited.insert(owner))?;
    }
    if ours.is_some() {
        Alarm::raise(view, |alarm| alarm.replaced.insert(owner))?;
        return Ok(Heard::Replaced);
    }
    Ok(if news { Heard::News } else { Heard::Known })
}
