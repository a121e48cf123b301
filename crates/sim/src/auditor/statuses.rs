//! Which answers are allowed.

use super::books::Books;
use super::deed::{Deed, Field, Thing};
use crate::address::Address;
use crate::service::ServiceName;
use serde_json::Value;

impl Books {
    /// Whether this status may be the answer to a deed at this replica; says why not.
    pub(crate) fn is_allowed(
        &self,
        deed: &Deed,
        at: Address,
        status: u16,
        body: &Value,
    ) -> Result<(), String> {
        match status {
            200 | 201 | 204 => self.may_succeed(deed, at),
            // A clock may have jumped; a key may not have been heard of yet; a disk may be full.
            401 | 503 => Ok(()),
            404 if self.is_known_at(deed, at) => {
                Err("404, though this replica acknowledged that it is there".to_owned())
            }
            404 if !matches!(deed, Deed::Post { .. }) => Ok(()),
            410 if self.may_be_gone_for(deed) => Ok(()),
            403 if matches!(
                deed,
                Deed::Delete { as_host: true, .. } | Deed::Set { field: Field::Visible(_), .. }
            ) =>
            {
                // Whose the part is may not have been heard here yet.
                Ok(())
            }
            409 if self.is_ambiguous(deed) => {
                let names_key = body.get("field").and_then(Value::as_str) == Some("Idempotency-Key");
                if names_key { Ok(()) } else { Err("409 names another field".to_owned()) }
            }
            400 if self.answers_another(deed) || self.names_another(deed) => Ok(()),
            _ => Err(format!("{status} is no answer to this")),
        }
    }

    /// Whether a replica may answer this to who asks for a part, its list or its counts. Comments has a list of every
    /// part, also of one that it has not heard of: what is posted there can be read there.
    pub(crate) fn may_show_nothing(&self, at: Address, part: &str, asked_ms: u64, status: u16) -> bool {
        match status {
            503 => true,
            404 if at.service == ServiceName::Stories => !self.is_made_at(at, part, asked_ms),
            410 if at.service == ServiceName::Stories => self.may_be_gone(part),
            _ => false,
        }
    }

    /// Whether this replica acknowledged before that time that it made this, by its id, and still has it.
    fn is_made_at(&self, at: Address, id: &str, asked_ms: u64) -> bool {
        let made = self.by_id.get(id).and_then(|thing| self.things.get(thing));
        made.is_some_and(|made| self.done_at(&made.creations, at, asked_ms))
    }

    /// A second body under a key that this replica has acknowledged another one for is a conflict.
    fn may_succeed(&self, deed: &Deed, at: Address) -> Result<(), String> {
        let Deed::Post { tag, variant } = deed else { return Ok(()) };
        let Some(element) = self.elements.get(tag) else { return Ok(()) };
        let variant_of = |attempt: &usize| {
            self.sent.get(*attempt).and_then(|sent| match sent.deed {
                Deed::Post { variant, .. } => Some((variant, sent.at)),
                _ => None,
            })
        };
        // Where another replica may hold this body, its may be the earlier one, and hold here too.
        let elsewhere = element.posts.iter().any(|post| {
            variant_of(post).is_some_and(|(sent, to)| sent == *variant && to != at) && self.may_be(*post)
        });
        let other = element.posts.iter().any(|post| {
            variant_of(post).is_some_and(|(sent, to)| sent != *variant && to == at) && self.stands(*post)
        });
        // This attempt is among the posts, and so are earlier ones of the same body that may have come first.
        let first = element.posts.iter().find(|post| variant_of(post).is_some_and(|(_, to)| to == at));
        let was_first = first.and_then(variant_of).is_some_and(|(first, _)| first == *variant);
        if other && !elsewhere && !was_first {
            return Err("another body under this key was acknowledged here already".to_owned());
        }
        Ok(())
    }

    /// Whether this replica acknowledged what the deed is about.
    fn is_known_at(&self, deed: &Deed, at: Address) -> bool {
        let comment =
            |tag| self.elements.get(tag).is_some_and(|element| self.done_at(&element.posts, at, u64::MAX));
        let made = |id: &String| self.is_made_at(at, id, u64::MAX);
        match deed {
            Deed::Delete { tag, .. } => comment(tag),
            Deed::Set { field, .. } => match field {
                Field::Visible(tag) | Field::Text(tag) => comment(tag),
                Field::Vote { part: id, .. }
                | Field::Title(id)
                | Field::Paragraph { part: id, .. }
                | Field::Name(id) => made(id),
                Field::Shelf { .. } => true,
            },
            Deed::Move(part) | Deed::Reorder(part) | Deed::End(part) => made(part),
            Deed::Make(Thing::User(_) | Thing::Story(_)) | Deed::Post { .. } => true,
            // A part is refused where its story is not known yet.
            Deed::Make(Thing::Part(_)) => false,
        }
    }

    fn may_be_gone_for(&self, deed: &Deed) -> bool {
        match deed {
            Deed::Post { tag, .. } => self.elements.get(tag).is_some_and(|it| self.may_be_gone(&it.part)),
            Deed::Set { field: Field::Text(tag), .. } => self.may_be_deleted(*tag),
            Deed::Set {
                field: Field::Vote { part, .. } | Field::Title(part) | Field::Paragraph { part, .. },
                ..
            }
            | Deed::Move(part)
            | Deed::Reorder(part) => self.may_be_gone(part),
            _ => false,
        }
    }

    /// Whether somebody may have deleted a comment.
    pub(crate) fn may_be_deleted(&self, tag: u32) -> bool {
        let element = self.elements.get(&tag);
        element.is_some_and(|element| element.deletes.iter().any(|attempt| self.may_be(*attempt)))
    }

    /// Whether several bodies may have been accepted under its key.
    fn is_ambiguous(&self, deed: &Deed) -> bool {
        let Deed::Post { tag, variant } = deed else { return false };
        let Some(element) = self.elements.get(tag) else { return false };
        element.posts.iter().any(|post| {
            let other = self.sent.get(*post).is_some_and(|sent| match sent.deed {
                Deed::Post { variant: sent, .. } => sent != *variant,
                _ => false,
            });
            other && self.may_be(*post)
        })
    }

    /// What is arranged may be refused for what it names beside: a part may be gone, or not be heard of yet; paragraphs,
    /// which were read at the same replica, may only be forgotten since.
    fn names_another(&self, deed: &Deed) -> bool {
        match deed {
            Deed::Move(_) => true,
            Deed::Reorder(_) | Deed::Set { field: Field::Paragraph { .. }, .. } => !self.losses.is_empty(),
            _ => false,
        }
    }

    /// A comment that answers another one may be refused for what it answers.
    fn answers_another(&self, deed: &Deed) -> bool {
        let Deed::Post { tag, variant } = deed else { return false };
        let variant = self.elements.get(tag).and_then(|element| element.variants.get(*variant));
        variant.is_some_and(|variant| variant.parent.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auditor::Heard;
    use crate::world::Loss;
    use serde_json::json;

    #[test]
    fn what_is_there_is_shown() {
        let mut books = Books::default();
        let [stories, comments] =
            [ServiceName::Stories, ServiceName::Comments].map(|service| Address { service, site: 0 });
        let may_be = |books: &Books, at, status| books.may_show_nothing(at, "p", 9, status);
        assert!(may_be(&books, stories, 404), "made elsewhere");
        let attempt = books.sends(Deed::Make(Thing::Part(1)), stories, 1);
        books.settles(attempt, &Heard::Done(json!({ "id": "p" })), 201, 2);
        for (at, status) in [(stories, 404), (stories, 410), (comments, 404), (comments, 410), (stories, 403)]
        {
            assert!(!may_be(&books, at, status), "{at}: {status}");
        }
        assert!(may_be(&books, stories, 503) && may_be(&books, comments, 503));
        books.sends(Deed::End("p".to_owned()), stories, 3);
        assert!(may_be(&books, stories, 410) && !may_be(&books, comments, 410));
        let service = ServiceName::Stories;
        books.losses = vec![Loss { site: 0, service, at_ms: 4, kept_until_ms: 0, told: true }];
        assert!(may_be(&books, stories, 404), "it was lost");
    }
}
