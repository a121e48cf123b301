//! Where a part stands in its story: pure functions of the rows they read, as those of `write`.

use crate::PARTS_MOVED_BYTES_MAX;
use crate::order::{check_bytes, place_new, unplaced};
use crate::parts_order::PartsOrder;
use crate::rows::{self, PartFactRow, PartsOrderRow};
use crate::siblings::PartsOrderFact;
use crate::write::{Written, gone, refuse};
use api::Problem;
use lattice::{Arrangement, Lattice as _};
use messages::{Fact, PartId, PartPlace, StoryId, UserId};
use store::{Abort, View, ViewError};

/// Where a part is to stand.
#[derive(Debug, Clone)]
pub(crate) struct Move {
    pub(crate) part: PartId,
    pub(crate) by: UserId,
    /// Behind which part of the story; `None` puts it first.
    pub(crate) behind: Option<PartId>,
    /// The parts of the story that had no slot when this was asked for, in their order: a write cannot scan. What came
    /// since then stands behind them, without a slot.
    pub(crate) never_placed: Vec<PartId>,
}

/// Takes a part that is taken down out of the order, so that its slot costs little.
pub(crate) fn take_out(view: &mut View<'_>, story: StoryId, part: PartId) -> Result<(), ViewError> {
    let mut stored = view.get::<PartsOrderRow>(&story)?.unwrap_or_default();
    if stored.parts.position(&part).is_none() {
        return Ok(());
    }
    let at = view.mint(stored.parts.stamp(&part));
    let delta = stored.parts.remove(at, part);
    join(view, story, delta)
}

/// Whether the story lists a part here. Others may know of one that this replica has lost, or that has not arrived.
fn is_listed(view: &mut View<'_>, part: PartId, place: &PartPlace) -> Result<bool, ViewError> {
    Ok(view.bytes(&rows::part(place.story, place.at, part))?.is_some())
}

/// Moves a part in its story. Repeating it changes nothing.
pub(crate) fn move_part(view: &mut View<'_>, wanted: &Move) -> Written {
    let Move { part, by, behind, .. } = *wanted;
    let fact = view.get::<PartFactRow>(&part)?.unwrap_or_default();
    let Some(place) = fact.place.get() else { return refuse(Problem::not_found("part")) };
    if place.owner != by {
        return refuse(Problem::forbidden("only its author may move a part"));
    }
    if fact.life.is_gone() {
        return refuse(gone());
    }
    if !is_listed(view, part, place)? {
        return refuse(Problem::not_found("part"));
    }
    if let Some(behind) = behind {
        let other = view.get::<PartFactRow>(&behind)?.unwrap_or_default();
        let there = match other.place.get().filter(|other| other.story == place.story) {
            Some(other) => is_listed(view, behind, other)?,
            None => false,
        };
        if behind == part || !there {
            let detail = "name another part of this story, as the story lists them now";
            return refuse(Problem::bad_request("behind", detail));
        }
    }
    let stored = view.get::<PartsOrderRow>(&place.story)?.unwrap_or_default();
    let mut order = stored.parts.clone();
    let known = wanted.never_placed.iter().copied();
    let mut never_placed: Vec<_> = known.filter(|one| stored.never_placed(*one)).collect();
    // Published in between: it has to stand somewhere.
    never_placed.extend(behind.filter(|one| stored.never_placed(*one) && !wanted.never_placed.contains(one)));
    let end = order.len();
    let mut delta = place_new(&mut order, &never_placed, end).map_err(Abort::Refused)?;
    let others = || order.iter().filter(|other| **other != part);
    let to = match behind {
        None => 0,
        Some(behind) => match others().position(|other| *other == behind) {
            Some(before) => before + 1,
            // A sibling has taken it out of the order, and that it is gone has not arrived.
            None => return refuse(Problem::bad_request("behind", "this part is being taken down")),
        },
    };
    if order.position(&part) == Some(to) {
        return Ok(());
    }
    let at = view.mint(order.stamp(&part));
    let moved = order.move_to(view.replica(), at, part, to).map_err(unplaced);
    delta.join(moved.map_err(Abort::Refused)?);
    let full =
        |detail| Problem::conflict(format!("{detail}: take the part down and publish it again at the end"));
    check_bytes(&order, PARTS_MOVED_BYTES_MAX, full).map_err(Abort::Refused)?;
    Ok(join(view, place.story, delta)?)
}

/// Joins a delta into an order, to be told to siblings if it is news.
fn join(view: &mut View<'_>, story: StoryId, delta: Arrangement<PartId>) -> Result<(), ViewError> {
    if view.join::<PartsOrderRow>(&story, PartsOrder::of(delta))?.grew {
        view.mark::<PartsOrderRow>(PartsOrderFact::TOPIC, &story)?;
    }
    Ok(())
}
