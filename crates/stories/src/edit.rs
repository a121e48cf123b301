//! What an edit of a part changes, paragraph by paragraph.

use crate::paragraph::{self, Paragraph};
use crate::part::Part;
use crate::write::key_used_for_another;
use crate::{EDITS_KEPT_MAX, PARAGRAPHS_EVER_MAX, PARAGRAPHS_MAX};
use api::Problem;
use api::idempotency::IDEMPOTENCY_HEADER;
use lattice::{Lww, Map, Min, Stamp};
use messages::{ParagraphId, PartId, UserId};
use std::collections::BTreeSet;

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
            delta.paragraphs = self.paragraphs(list, stored, at)?;
        }
        Ok(delta)
    }

    fn paragraphs(
        &self,
        list: &[(Option<ParagraphId>, String)],
        stored: &Part,
        at: Stamp,
    ) -> Result<Map<ParagraphId, Paragraph>, Problem> {
        let (mut delta, mut listed, mut made) = (Map::default(), BTreeSet::new(), 0);
        // Places need only grow along the list: what is in order already keeps its place, and mints nothing.
        let mut place_min = 0;
        for (position, (id, text)) in list.iter().enumerate() {
            let (id, known) = self.paragraph(position, *id, stored)?;
            if !listed.insert(id) {
                return Err(Problem::bad_request(id_field(position), "list every paragraph once"));
            }
            made += usize::from(known.is_none());
            let known = known.cloned().unwrap_or_default();
            let kept = known.place.get().copied().filter(|place| *place >= place_min);
            let mut change = Paragraph::default();
            if kept.is_none() {
                change.place = Lww::new(at, place_min);
            }
            if known.text.get() != Some(text) {
                change.text = Lww::new(at, text.clone());
            }
            delta.join_entry(id, change);
            place_min = kept.unwrap_or(place_min).saturating_add(1);
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
        Ok(delta)
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
