//! What an edit of a part changes, paragraph by paragraph.

use crate::paragraph::{self, Paragraph};
use crate::part::Part;
use crate::stays::stays;
use crate::write::key_used_for_another;
use crate::{EDITS_KEPT_MAX, PARAGRAPHS_EVER_MAX, PARAGRAPHS_MAX, PARAGRAPHS_MOVED_BYTES_MAX, first, order};
use api::Problem;
use api::idempotency::IDEMPOTENCY_HEADER;
use lattice::{Arrangement, Lattice as _, Lww, Map, Min, Stamp};
use messages::{ParagraphId, PartId, UserId};
use std::collections::{BTreeMap, BTreeSet};

/// How a part is to be, checked already as far as that is possible without the part.
#[derive(Debug, Clone)]
pub(crate) struct Edit {
    pub(crate) part: PartId,
    pub(crate) by: UserId,
    /// Its title; `None` leaves it.
    pub(crate) title: Option<String>,
    /// All its paragraphs in their order, those that are new without an id; `None` leaves them.
    pub(crate) paragraphs: Option<Vec<(Option<ParagraphId>, String)>>,
    /// Half a SHA-256 of the whole request under its idempotency key: the ids of new paragraphs are made from it.
    pub(crate) request: String,
    /// Under which id the part remembers it, see [`Part::edits`]; `None` where no idempotency key was sent.
    pub(crate) remembered: Option<String>,
}

impl Edit {
    /// Whether `stored` remembers this edit: then it is not made again. The key of another one is a conflict.
    pub(crate) fn was_made(&self, stored: &Part) -> Result<bool, Problem> {
        let made = self.remembered.as_ref().and_then(|id| stored.edits.get(id)).and_then(Min::get);
        match made {
            None => Ok(false),
            Some(request) if *request == self.request => Ok(true),
            Some(_) => Err(key_used_for_another("edit of this part")),
        }
    }

    /// The delta that makes `stored` as it is to be, and remembers that this was done: bottom where it is so already
    /// and there is nothing to remember. What stays as it is keeps its stamp.
    pub(crate) fn delta(&self, stored: &Part, at: Stamp) -> Result<Part, Problem> {
        let mut delta = Part::default();
        if let Some(id) = &self.remembered {
            if stored.edits.len() >= EDITS_KEPT_MAX {
                let detail = format!(
                    "this part remembers {EDITS_KEPT_MAX} edits, which is the most: leave the header out, and read the \
                     part before you send this again"
                );
                let problem = Problem::bad_request(IDEMPOTENCY_HEADER, detail);
                return Err(problem.with_limit(EDITS_KEPT_MAX as u64));
            }
            // Also where nothing else changes: a late retry would undo what others change until then.
            delta.edits = Map::of(id.clone(), Min::of(self.request.clone()));
        }
        if let Some(title) = &self.title
            && title != stored.title()
        {
            delta.title = Lww::new(at, title.clone());
        }
        if let Some(list) = &self.paragraphs {
            let listed;
            (delta.paragraphs, listed) = self.paragraphs(list, stored, at)?;
            delta.order = arranged(stored, &listed, at)?;
        }
        Ok(delta)
    }

    /// What the paragraphs of the list become, and their ids in its order.
    fn paragraphs(
        &self,
        list: &[(Option<ParagraphId>, String)],
        stored: &Part,
        at: Stamp,
    ) -> Result<(Map<ParagraphId, Paragraph>, Vec<ParagraphId>), Problem> {
        let (mut delta, mut ids, mut listed, mut made) = (Map::default(), Vec::new(), BTreeSet::new(), 0);
        for (position, (id, text)) in list.iter().enumerate() {
            let (id, known) = self.paragraph(position, *id, stored)?;
            if !listed.insert(id) {
                return Err(Problem::bad_request(id_field(position), "list every paragraph once"));
            }
            ids.push(id);
            made += usize::from(known.is_none());
            let text = match known.and_then(|known| known.text.get()) {
                Some(known) if known == text => Lww::default(),
                Some(_) => Lww::new(at, text.clone()),
                // Id and text are made from the request: a retry elsewhere makes the same, and undoes no later text.
                None => first(text.clone()),
            };
            delta.join_entry(id, Paragraph { text, ..Paragraph::default() });
        }
        if stored.paragraphs.len() + made > PARAGRAPHS_EVER_MAX {
            let detail =
                "too many paragraphs were removed from this part: keep their ids, or publish another part";
            return Err(Problem::bad_request("paragraphs", detail).with_limit(PARAGRAPHS_EVER_MAX as u64));
        }
        for (id, paragraph) in &stored.paragraphs {
            if !paragraph.life.is_gone() && !listed.contains(id) {
                delta.join_entry(*id, Paragraph::removed());
            }
        }
        Ok((delta, ids))
    }

    /// The paragraph at a position of the list, and its state where it is there already.
    fn paragraph<'p>(
        &self,
        position: usize,
        id: Option<ParagraphId>,
        stored: &'p Part,
    ) -> Result<(ParagraphId, Option<&'p Paragraph>), Problem> {
        let Some(id) = id else {
            let id = paragraph::derive(self.part, &self.request, position);
            let known = stored.paragraphs.get(&id);
            // This edit was made by a version that did not remember edits, and what it added was removed since.
            return if known.is_some_and(|paragraph| paragraph.life.is_gone()) {
                Err(Problem::conflict(
                    "the part was edited since this edit was made: read it, and edit it again",
                )
                .with_field(IDEMPOTENCY_HEADER))
            } else {
                Ok((id, known))
            };
        };
        match stored.paragraphs.get(&id).filter(|paragraph| !paragraph.life.is_gone()) {
            Some(known) => Ok((id, Some(known))),
            None => Err(Problem::bad_request(
                id_field(position),
                "this part has no such paragraph: leave the id out",
            )),
        }
    }
}

/// The delta that puts the listed paragraphs in the order of the list and takes the others out. As few as possible are
/// moved: what another writer does to the rest at the same time holds.
fn arranged(stored: &Part, listed: &[ParagraphId], at: Stamp) -> Result<Arrangement<ParagraphId>, Problem> {
    let mut order = stored.order.clone();
    let mut delta = order::place_new(&mut order, &stored.unplaced(), 0)?;
    let wanted: BTreeSet<_> = listed.iter().collect();
    let removed: Vec<_> = order.iter().filter(|id| !wanted.contains(id)).copied().collect();
    for id in removed {
        delta.join(order.remove(at, id));
    }
    let mut standing: Vec<_> = order.iter().copied().collect();
    let places: BTreeMap<_, _> = standing.iter().zip(0..).map(|(id, place)| (*id, place)).collect();
    let old_places: Vec<_> = listed.iter().map(|id| places.get(id).copied()).collect();
    let (mut to, mut moved) = (0, false);
    for (id, stays) in listed.iter().zip(stays(&old_places)) {
        if !stays {
            let from = standing.iter().position(|one| one == id);
            if let Some(from) = from {
                standing.remove(from);
                to -= usize::from(from < to);
            }
            let stamp = if from.is_some() { at } else { order::of_something_new(at.replica) };
            delta.join(order.move_to(at.replica, stamp, *id, to).map_err(order::unplaced)?);
            standing.insert(to, *id);
            moved |= from.is_some();
        }
        // All that is wanted has been put before this, or stands behind it.
        to = standing.iter().position(|one| one == id).map_or(to, |place| place + 1);
    }
    if moved {
        let full = |detail| {
            let detail = format!("{detail}: keep the order, or publish another part");
            Problem::bad_request("paragraphs", detail)
        };
        order::check_bytes(&order, PARAGRAPHS_MOVED_BYTES_MAX, full)?;
    }
    Ok(delta)
}

fn id_field(position: usize) -> String {
    format!("paragraphs[{position}].id")
}

/// Refuses a list that is too long.
pub(crate) fn check_paragraphs(count: usize) -> Result<(), Problem> {
    if count <= PARAGRAPHS_MAX {
        return Ok(());
    }
    let detail = format!("send at most {PARAGRAPHS_MAX} paragraphs");
    Err(Problem::bad_request("paragraphs", detail).with_limit(PARAGRAPHS_MAX as u64))
}

#[cfg(test)]
mod tests;
