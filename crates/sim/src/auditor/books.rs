//! What was sent and answered.

use super::Heard;
use super::deed::{Deed, Field, Tag, Thing};
use super::shown::Told;
use crate::address::Address;
use crate::world::Loss;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What became of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was heard, or nothing that tells: it may have happened, may still happen, or not.
    Unknown,
    /// It was acknowledged at this time.
    Done(u64),
    /// It was refused: this replica did not do it.
    Refused,
}

/// One attempt.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) deed: Deed,
    pub(crate) at: Address,
    pub(crate) asked_ms: u64,
    pub(crate) outcome: Outcome,
    /// What the answer said; 0 where there was none.
    pub(crate) status: u16,
}

/// One body that is sent under the key of a comment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variant {
    /// The id of the paragraph that it names.
    pub paragraph: Option<String>,
    /// The id of the comment that it answers.
    pub parent: Option<String>,
    /// What it says.
    pub text: String,
}

/// A comment.
#[derive(Debug, Clone, Default)]
pub struct Element {
    /// Whose it is, by their id.
    pub author: String,
    /// On which part, by its id.
    pub part: String,
    /// What is sent under its key.
    pub variants: Vec<Variant>,
    /// Its id, once somebody was told.
    pub id: Option<String>,
    /// The paragraphs that it may be on: the ones named, and those of what it answers.
    pub(crate) paragraphs: BTreeSet<String>,
    pub(crate) posts: Vec<usize>,
    pub(crate) deletes: Vec<usize>,
}

/// Something that is created and perhaps taken down.
#[derive(Debug, Clone, Default)]
pub(crate) struct Made {
    pub(crate) id: Option<String>,
    pub(crate) creations: Vec<usize>,
    pub(crate) ended: Vec<usize>,
}

/// All that was sent and answered.
#[derive(Debug, Default)]
pub struct Books {
    pub(crate) sent: Vec<Sent>,
    pub(crate) elements: BTreeMap<Tag, Element>,
    pub(crate) tags: BTreeMap<String, Tag>,
    pub(crate) fields: BTreeMap<Field, Vec<usize>>,
    pub(crate) things: BTreeMap<Thing, Made>,
    /// By the ids that they got.
    pub(crate) by_id: BTreeMap<String, Thing>,
    pub(crate) losses: Vec<Loss>,
    /// Whose a part is, by the id of the part.
    pub hosts: BTreeMap<String, String>,
    /// The key and the first name of each person, by their id.
    pub secrets: BTreeMap<String, (String, String)>,
    /// How many acceptances there may have been, by group.
    pub(crate) acceptances: BTreeMap<String, u64>,
    /// What each replica told of each tally.
    pub(crate) told: BTreeMap<(Address, u64, String, String), Told>,
    /// Which replicas have shown which value of what was written, and when that was heard first.
    pub(crate) values: BTreeMap<(Field, String), BTreeMap<Address, u64>>,
    /// What each replica has listed: when it was heard first.
    pub(crate) listed: BTreeMap<(Address, u64), BTreeMap<Tag, u64>>,
}

impl Books {
    /// A new comment; its number.
    pub fn element(&mut self, author: &str, part: &str, mut first: Variant) -> Tag {
        let tag = self.elements.last_key_value().map_or(1, |(last, _)| last + 1);
        first.text = format!("#{tag} {}", first.text);
        let element = Element { author: author.to_owned(), part: part.to_owned(), ..Element::default() };
        self.elements.insert(tag, element);
        self.variant(tag, first);
        tag
    }

    /// One more body under the key of a comment; its number.
    pub fn variant(&mut self, tag: Tag, variant: Variant) -> usize {
        let mut paragraphs: BTreeSet<String> = variant.paragraph.iter().cloned().collect();
        let parent = variant.parent.as_ref().and_then(|parent| self.tags.get(parent));
        if let Some(parent) = parent.and_then(|parent| self.elements.get(parent)) {
            paragraphs.extend(parent.paragraphs.iter().cloned());
        }
        let Some(element) = self.elements.get_mut(&tag) else { return 0 };
        element.paragraphs.extend(paragraphs);
        element.variants.push(variant);
        element.variants.len() - 1
    }

    /// A comment.
    pub fn get(&self, tag: Tag) -> Option<&Element> {
        self.elements.get(&tag)
    }

    /// The id of something that was made.
    pub fn id_of(&self, thing: &Thing) -> Option<String> {
        self.things.get(thing)?.id.clone()
    }

    pub(crate) fn attempt(&self, attempt: usize) -> Option<(Deed, Address)> {
        self.sent.get(attempt).map(|sent| (sent.deed.clone(), sent.at))
    }

    pub(crate) fn sends(&mut self, deed: Deed, at: Address, now_ms: u64) -> usize {
        let number = self.sent.len();
        match &deed {
            Deed::Post { tag, .. } => {
                let again = self.posts_at(*tag, at);
                if let Some(element) = self.elements.get_mut(tag) {
                    element.posts.push(number);
                }
                if !again {
                    for group in self.groups(*tag) {
                        *self.acceptances.entry(group).or_default() += 1;
                    }
                }
            }
            Deed::Delete { tag, .. } => {
                if let Some(element) = self.elements.get_mut(tag) {
                    element.deletes.push(number);
                }
            }
            Deed::Set { field, .. } => self.fields.entry(field.clone()).or_default().push(number),
            Deed::Make(thing) => self.things.entry(thing.clone()).or_default().creations.push(number),
            Deed::Move(_) | Deed::Reorder(_) => {}
            Deed::End(part) => {
                if let Some(made) = self.by_id.get(part).cloned().and_then(|it| self.things.get_mut(&it)) {
                    made.ended.push(number);
                }
            }
        }
        self.sent.push(Sent { deed, at, asked_ms: now_ms, outcome: Outcome::Unknown, status: 0 });
        number
    }

    fn posts_at(&self, tag: Tag, at: Address) -> bool {
        let posts = self.elements.get(&tag).map(|element| element.posts.as_slice()).unwrap_or_default();
        posts.iter().filter_map(|post| self.sent.get(*post)).any(|sent| sent.at == at)
    }

    /// Every group that it may be counted in.
    pub(crate) fn groups(&self, tag: Tag) -> BTreeSet<String> {
        let Some(element) = self.elements.get(&tag) else { return BTreeSet::new() };
        let part = &element.part;
        let paragraphs = element.paragraphs.iter().map(|paragraph| format!("paragraph:{part}:{paragraph}"));
        let parents = element.variants.iter().filter_map(|variant| variant.parent.as_ref());
        let replies = parents.map(|parent| format!("replies:{parent}"));
        std::iter::once(format!("part:{part}")).chain(paragraphs).chain(replies).collect()
    }

    /// Notes what an attempt came to; says what contradicts an earlier answer.
    pub(crate) fn settles(
        &mut self,
        attempt: usize,
        heard: &Heard,
        status: u16,
        now_ms: u64,
    ) -> Option<String> {
        let sent = self.sent.get_mut(attempt)?;
        sent.status = status;
        sent.outcome = match heard {
            Heard::Done(_) => Outcome::Done(now_ms),
            Heard::Refused(_) | Heard::SignIn => Outcome::Refused,
            Heard::Again => Outcome::Unknown,
        };
        let Heard::Done(body) = heard else { return None };
        let deed = sent.deed.clone();
        let same = self.has_the_same_status(&deed, status);
        let learned = match &deed {
            Deed::Post { tag, .. } => self.learns_comment(*tag, body),
            Deed::Make(thing) => self.learns_thing(thing, body),
            _ => None,
        };
        same.or(learned)
    }

    /// What is sent again under its key is answered as it was the first time; says where it was not.
    fn has_the_same_status(&self, deed: &Deed, status: u16) -> Option<String> {
        let attempts = match deed {
            Deed::Post { tag, .. } => &self.elements.get(tag)?.posts,
            Deed::Make(thing) => &self.things.get(thing)?.creations,
            Deed::Delete { .. } | Deed::Set { .. } | Deed::Move(_) | Deed::Reorder(_) | Deed::End(_) => {
                return None;
            }
        };
        let before = attempts.iter().filter_map(|attempt| self.sent.get(*attempt));
        let mut before = before.filter(|sent| matches!(sent.outcome, Outcome::Done(_)));
        let other = before.find(|sent| sent.status != status)?;
        Some(format!("it was answered with {}, and is with {status}", other.status))
    }

    fn learns_comment(&mut self, tag: Tag, body: &Value) -> Option<String> {
        let id = text(body, "/comment/id")?;
        let element = self.elements.get_mut(&tag)?;
        match &element.id {
            Some(known) if *known != id => Some(format!("it was {known}, and is {id}")),
            Some(_) => None,
            None => {
                element.id = Some(id.clone());
                let other = self.tags.insert(id.clone(), tag).filter(|other| *other != tag);
                other.map(|other| format!("{id} is #{other} already"))
            }
        }
    }

    fn learns_thing(&mut self, thing: &Thing, body: &Value) -> Option<String> {
        let id = text(body, if matches!(thing, Thing::User(_)) { "/user/id" } else { "/id" })?;
        let made = self.things.get_mut(thing)?;
        match &made.id {
            Some(known) if *known != id => Some(format!("it was {known}, and is {id}")),
            Some(_) => None,
            None => {
                made.id = Some(id.clone());
                let other = self.by_id.insert(id.clone(), thing.clone()).filter(|other| other != thing);
                other.map(|other| format!("{id} is {other} already"))
            }
        }
    }

    /// How often a replica lost something until now: what it showed before counts no more.
    pub(crate) fn life(&self, at: Address) -> u64 {
        self.losses.iter().filter(|loss| loss.is_of(at)).map(|_| 1).sum()
    }

    /// When an attempt was sent.
    pub(crate) fn asked_ms(&self, attempt: usize) -> u64 {
        self.sent.get(attempt).map_or(0, |sent| sent.asked_ms)
    }

    /// Whether a replica lost something since it was asked at that time: an answer may be from before or after.
    pub(crate) fn was_lost_during(&self, at: Address, asked_ms: u64) -> bool {
        self.losses.iter().any(|loss| loss.is_of(at) && loss.at_ms >= asked_ms)
    }

    /// Whether an attempt was acknowledged, and by a replica that still has it.
    pub(crate) fn stands(&self, attempt: usize) -> bool {
        self.done(attempt).is_some()
    }

    /// When an attempt was acknowledged by a replica that still has it.
    pub(crate) fn done(&self, attempt: usize) -> Option<u64> {
        let sent = self.sent.get(attempt)?;
        let Outcome::Done(done_ms) = sent.outcome else { return None };
        let lost =
            |loss: &&Loss| loss.is_of(sent.at) && loss.kept_until_ms < done_ms && sent.asked_ms <= loss.at_ms;
        (!self.losses.iter().any(|loss| lost(&loss))).then_some(done_ms)
    }

    /// Whether an attempt may have been done.
    pub(crate) fn may_be(&self, attempt: usize) -> bool {
        self.sent.get(attempt).is_some_and(|sent| sent.outcome != Outcome::Refused)
    }

    /// Whether one of these attempts was acknowledged by this replica, before that time, and it still has it.
    pub(crate) fn done_at(&self, attempts: &[usize], at: Address, before_ms: u64) -> bool {
        attempts.iter().any(|attempt| {
            self.sent.get(*attempt).is_some_and(|sent| sent.at == at)
                && self.done(*attempt).is_some_and(|done_ms| done_ms <= before_ms)
        })
    }

    /// The ids of what was made of a kind, as far as somebody was told.
    pub(crate) fn ids_of(&self, is_wanted: fn(&Thing) -> bool) -> BTreeSet<String> {
        self.by_id.iter().filter(|(_, thing)| is_wanted(thing)).map(|(id, _)| id.clone()).collect()
    }

    /// Whether something was made, as a replica acknowledged that still has it; by its id.
    pub(crate) fn was_made(&self, id: &str) -> bool {
        let made = self.by_id.get(id).and_then(|thing| self.things.get(thing));
        made.is_some_and(|made| made.creations.iter().any(|attempt| self.stands(*attempt)))
    }

    /// Whether a part may be gone.
    pub(crate) fn may_be_gone(&self, part: &str) -> bool {
        let made = self.by_id.get(part).and_then(|thing| self.things.get(thing));
        made.is_some_and(|made| made.ended.iter().any(|attempt| self.may_be(*attempt)))
    }

    /// Whether a part is gone for sure.
    pub(crate) fn is_gone(&self, part: &str) -> bool {
        let made = self.by_id.get(part).and_then(|thing| self.things.get(thing));
        made.is_some_and(|made| made.ended.iter().any(|attempt| self.stands(*attempt)))
    }
}

/// A text somewhere in an answer.
pub(crate) fn text(body: &Value, pointer: &str) -> Option<String> {
    body.pointer(pointer)?.as_str().map(str::to_owned)
}
