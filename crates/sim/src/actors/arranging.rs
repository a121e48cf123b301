//! Arranging one's house: paragraphs that are added, rewritten and moved, and parts in another order.

use super::board::KnownPart;
use super::person::Person;
use crate::address::Address;
use crate::auditor::{Deed, Field, Heard};
use crate::service::ServiceName;
use crate::world::Ask;
use serde_json::{Value, json};

/// The most paragraphs of a part.
const PARAGRAPHS_MAX: usize = 12;
/// How often a change is sent before its author gives up.
const TRIES_MAX: usize = 20;
/// The pause between two tries, in milliseconds.
const PAUSE_MS: u64 = 2_000;

/// A paragraph as it is sent.
fn paragraph(id: Option<&str>, text: &str) -> Value {
    id.map_or_else(|| json!({ "text": text }), |id| json!({ "id": id, "text": text }))
}

impl Person {
    /// Reads a part of one's own and sends all its paragraphs with a change, as the page of an author does. Always at home:
    /// what is sent undoes what is done elsewhere meanwhile, and is meant to, so nobody could tell what has to be there.
    pub(crate) async fn rewrite(&mut self, part: &KnownPart) {
        let at = Address { service: ServiceName::Stories, site: self.home };
        let Some(shown) = self.read(at, &part.id, format!("/v1/parts/{}", part.id)).await else { return };
        let field =
            |item: &Value, name| item.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let items = shown.get("paragraphs").and_then(Value::as_array).into_iter().flatten();
        let known: Vec<_> = items.map(|item| (field(item, "id"), field(item, "text"))).collect();
        let mut list: Vec<_> = known.iter().map(|(id, text)| paragraph(Some(id), text)).collect();
        let said = |tag, value: &str| Deed::Set {
            field: Field::Paragraph { part: part.id.clone(), tag },
            value: value.to_owned(),
        };
        let place = self.rng.usize(0..=known.len());
        let deed = match known.get(place) {
            Some(_) if self.chance(40) => {
                let moved = list.remove(place);
                list.insert(self.rng.usize(0..=list.len()), moved);
                Deed::Reorder(part.id.clone())
            }
            Some((id, text)) if let Some(tag) = paragraph_tag(text) => {
                let text = format!("¶{tag} again {}", self.rng.u32(..));
                if let Some(item) = list.get_mut(place) {
                    *item = paragraph(Some(id), &text);
                }
                said(tag, &text)
            }
            _ if known.len() < PARAGRAPHS_MAX => {
                let tag = self.rng.u32(..);
                let text = format!("¶{tag} begun");
                list.insert(place, paragraph(None, &text));
                said(tag, &text)
            }
            _ => return,
        };
        let path = format!("/v1/parts/{}", part.id);
        let ask = Ask::new("PATCH", path).key(self.key()).json(&json!({ "paragraphs": list }));
        let Some(answer) = self.try_at(&deed, at, &ask).await else { return };
        let wanted: Vec<_> = list.iter().map(|item| field(item, "text")).collect();
        let items = answer.get("paragraphs").and_then(Value::as_array).into_iter().flatten();
        let shown: Vec<_> = items.map(|item| field(item, "text")).collect();
        if wanted != shown && answer.get("gone") != Some(&Value::Bool(true)) && self.is_alone() {
            self.arranged_otherwise(&deed, &answer);
        }
    }

    /// Moves a part of one's own behind another one, or to the front.
    pub(crate) async fn move_part(&mut self, part: &KnownPart) {
        let others: Vec<_> = {
            let links = self.board.links();
            let others = links.parts.iter().filter(|other| other.story == part.story && other.id != part.id);
            others.map(|other| other.id.clone()).collect()
        };
        let behind = others.get(self.rng.usize(0..=others.len()));
        let path = format!("/v1/parts/{}/place", part.id);
        let ask = Ask::new("PUT", path).json(&json!({ "behind": behind }));
        let (at, deed) = (self.somewhere(ServiceName::Stories), Deed::Move(part.id.clone()));
        let Some(answer) = self.try_at(&deed, at, &ask).await else { return };
        let items = answer.get("parts").and_then(Value::as_array).into_iter().flatten();
        let order: Vec<_> = items.filter_map(|item| item.get("id").and_then(Value::as_str)).collect();
        let before = order.iter().position(|id| *id == part.id).map(|place| place.checked_sub(1));
        let stands_behind = before.map(|before| before.and_then(|before| order.get(before).copied()));
        if stands_behind != Some(behind.map(String::as_str)) && self.is_alone() {
            self.arranged_otherwise(&deed, &answer);
        }
    }

    /// Whether nobody but this person's requests changes what is theirs: no sibling has news of its own.
    fn is_alone(&self) -> bool {
        self.world.sites() == 1
    }

    fn arranged_otherwise(&self, deed: &Deed, answer: &Value) {
        self.world.fail("arranged as it was asked", format!("{}: {deed}: {answer}", self.name));
    }

    /// Sends the same to one replica until it is done, or one gives up.
    async fn try_at(&mut self, deed: &Deed, at: Address, ask: &Ask) -> Option<Value> {
        for _ in 0..TRIES_MAX {
            match self.try_once(deed, at, ask).await {
                Heard::Done(answer) => return Some(answer),
                Heard::Refused(_) => return None,
                Heard::SignIn => self.sign_in_again(at.site).await,
                Heard::Again => {}
            }
            self.world.sleep(PAUSE_MS).await;
        }
        None
    }
}

/// The number that somebody gave a paragraph.
fn paragraph_tag(text: &str) -> Option<u32> {
    text.strip_prefix('¶')?.split(' ').next()?.parse().ok()
}
