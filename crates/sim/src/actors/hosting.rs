//! Hosting: stories and parts, and the order in one's own house.

use super::board::KnownPart;
use super::habits::HostWish;
use super::person::{Fate, Person};
use crate::auditor::{Deed, Field, Thing};
use crate::service::ServiceName;
use crate::world::Ask;
use serde_json::{Value, json};

/// The most parts of a host that can be read, and the most that a host ever publishes.
const PARTS_MAX: usize = 4;
const PARTS_EVER_MAX: u32 = 12;
/// Parts of hosts are numbered from here on, so that no two have one number.
const PARTS_OF_HOST: u32 = 1_000;
/// How often a story may be unknown where it was begun, once nothing goes wrong any more.
const UNKNOWN_MAX: usize = 600;

impl Person {
    /// Begins a story with a first part.
    pub(crate) async fn begin_story(&mut self) -> bool {
        let title = format!("The story of {}", self.name);
        let ask = Ask::new("POST", "/v1/stories").key(self.key()).json(&json!({ "title": title }));
        let deed = Deed::Make(Thing::Story(self.number));
        let Fate::Done(story, at) = self.insist(&deed, ServiceName::Stories, &ask).await else {
            return false;
        };
        let Some(story) = story.get("id").and_then(Value::as_str).map(str::to_owned) else { return false };
        self.home = at.site;
        self.publish(&story, 0).await
    }

    /// Publishes one more part.
    async fn publish(&mut self, story: &str, number: u32) -> bool {
        let number = self.number * PARTS_OF_HOST + number;
        let paragraphs: Vec<_> = (0..self.rng.u32(0..4)).map(|place| format!("Line {place}.")).collect();
        let body = json!({ "title": format!("Part {number}"), "paragraphs": paragraphs });
        let ask = Ask::new("POST", format!("/v1/stories/{story}/parts")).key(self.key()).json(&body);
        let deed = Deed::Make(Thing::Part(number));
        // Where the story was begun it is known; elsewhere it may come later.
        let at = crate::address::Address { service: ServiceName::Stories, site: self.home };
        let mut in_vain = 0;
        loop {
            match self.insist_at(&deed, at, &ask).await {
                Fate::Done(part, _) => {
                    self.published(story, &part);
                    return true;
                }
                Fate::Refused(404) if !self.world.failed() && in_vain < UNKNOWN_MAX => {
                    self.world.sleep(1_000).await;
                }
                Fate::Refused(404) => {
                    // Lost with every replica that had it; or else it should be there by now.
                    if self.auditor.books().was_made(story) {
                        let unknown = format!("{}: {story} is not known at {at}", self.name);
                        self.world.fail("answers in the end", unknown);
                    }
                    return false;
                }
                Fate::Refused(_) | Fate::Unknown => return false,
            }
            in_vain += usize::from(self.world.is_over());
        }
    }

    fn published(&mut self, story: &str, part: &Value) {
        let id = |value: &Value| value.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        let paragraphs = part.get("paragraphs").and_then(Value::as_array).into_iter().flatten().map(id);
        let known = KnownPart {
            id: id(part),
            story: story.to_owned(),
            host: self.number,
            paragraphs: paragraphs.collect(),
        };
        self.auditor.books().hosts.insert(known.id.clone(), self.id.clone());
        self.board.links().parts.push(known);
    }

    /// Some part of one's own.
    fn own_part(&mut self) -> Option<KnownPart> {
        let me = self.number;
        let own: Vec<_> = self.board.links().parts.iter().filter(|part| part.host == me).cloned().collect();
        if own.is_empty() {
            return None;
        }
        let index = self.rng.usize(0..own.len());
        own.into_iter().nth(index)
    }

    /// What a host does.
    pub(crate) async fn host(&mut self) {
        let Some(part) = self.own_part() else { return };
        match self.habits.host_wish(&mut self.rng) {
            HostWish::HideOrShow => self.hide_or_show(&part).await,
            HostWish::DeleteOfGuest => self.delete_of_guest(&part).await,
            HostWish::Retitle => self.retitle(&part).await,
            HostWish::Publish => self.publish_next(&part.story).await,
            HostWish::Rewrite => self.rewrite(&part).await,
            HostWish::MovePart => self.move_part(&part).await,
            HostWish::TakeDown => self.take_down(&part).await,
        }
    }

    async fn publish_next(&mut self, story: &str) {
        let me = self.number;
        let own: Vec<_> = {
            let links = self.board.links();
            links.parts.iter().filter(|part| part.host == me).map(|part| part.id.clone()).collect()
        };
        let gone = {
            let books = self.auditor.books();
            own.iter().filter(|part| books.may_be_gone(part)).count()
        };
        let number = u32::try_from(own.len()).unwrap_or(PARTS_EVER_MAX);
        if own.len() - gone < PARTS_MAX && number < PARTS_EVER_MAX {
            self.publish(story, number).await;
        }
    }

    async fn hide_or_show(&mut self, part: &KnownPart) {
        let Some(comment) = self.some_comment(|comment| comment.part == part.id) else { return };
        let visible = self.chance(50);
        let deed = Deed::Set { field: Field::Visible(comment.tag), value: visible.to_string() };
        let path = format!("/v1/comments/{}/visibility", comment.id);
        let ask = Ask::new("PUT", path).json(&json!({ "visible": visible }));
        let at = self.near(&comment);
        self.insist_at(&deed, at, &ask).await;
    }

    async fn delete_of_guest(&mut self, part: &KnownPart) {
        let Some(comment) = self.some_comment(|comment| comment.part == part.id) else { return };
        let as_host = comment.author != self.number;
        let deed = Deed::Delete { tag: comment.tag, as_host };
        let ask = Ask::new("DELETE", format!("/v1/comments/{}", comment.id));
        let at = self.near(&comment);
        self.insist_at(&deed, at, &ask).await;
    }

    async fn retitle(&mut self, part: &KnownPart) {
        let title = format!("Retitled {}", self.rng.u32(..));
        let deed = Deed::Set { field: Field::Title(part.id.clone()), value: title.clone() };
        let ask = Ask::new("PATCH", format!("/v1/parts/{}", part.id))
            .key(self.key())
            .json(&json!({ "title": title }));
        self.insist(&deed, ServiceName::Stories, &ask).await;
    }

    async fn take_down(&mut self, part: &KnownPart) {
        let ask = Ask::new("DELETE", format!("/v1/parts/{}", part.id));
        self.insist(&Deed::End(part.id.clone()), ServiceName::Stories, &ask).await;
    }
}
