//! What an edit of a part changes, paragraph by paragraph.

use crate::paragraph::{self, Paragraph};
use crate::part::Part;
use crate::{PARAGRAPHS_EVER_MAX, PARAGRAPHS_MAX};
use api::Problem;
use lattice::{Lww, Map, Stamp};
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
}

impl Edit {
    /// The delta that makes `stored` as it is to be: bottom where it is so already. What stays as it is keeps its stamp.
    pub(crate) fn delta(&self, stored: &Part, at: Stamp) -> Result<Part, Problem> {
        let mut delta = Part::default();
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
            // This edit was made before, and what it added was removed since.
            return if known.is_some_and(|paragraph| paragraph.life.is_gone()) {
                Err(Problem::conflict(
                    "the part was edited since this edit was made: read it, and edit it again",
                )
                .with_field(api::idempotency::IDEMPOTENCY_HEADER))
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
