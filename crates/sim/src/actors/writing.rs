//! Writing: comments, replies, edits and deletions, and a client that uses its key twice.

use super::board::{KnownComment, KnownPart};
use super::person::{Fate, Person};
use crate::address::Address;
use crate::auditor::{Deed, Field, Heard, Tag, Variant};
use crate::service::ServiceName;
use crate::world::Ask;
use serde_json::{Map, Value, json};

/// The most comments of a run: what is read whole stays readable.
const COMMENTS_MAX: usize = 2_000;

fn body(variant: &Variant) -> Value {
    let mut body = Map::new();
    body.insert("text".to_owned(), json!(variant.text));
    if let Some(paragraph) = &variant.paragraph {
        body.insert("paragraph".to_owned(), json!(paragraph));
    }
    if let Some(parent) = &variant.parent {
        body.insert("parent".to_owned(), json!(parent));
    }
    Value::Object(body)
}

impl Person {
    /// Posts a comment on a part, or on one of its paragraphs.
    pub(crate) async fn post(&mut self) {
        let Some(part) = self.some_part() else { return };
        let paragraph = self.some_paragraph(&part);
        let variant = Variant { paragraph, parent: None, text: "said once".to_owned() };
        self.say(&part.id, variant).await;
    }

    fn some_paragraph(&mut self, part: &KnownPart) -> Option<String> {
        if part.paragraphs.is_empty() || self.chance(50) {
            return None;
        }
        let index = self.rng.usize(0..part.paragraphs.len());
        part.paragraphs.get(index).cloned()
    }

    /// Answers somebody.
    pub(crate) async fn reply(&mut self) {
        let Some(parent) = self.some_comment(|_| true) else { return self.post().await };
        let variant = Variant { paragraph: None, parent: Some(parent.id), text: "answered".to_owned() };
        self.say(&parent.part, variant).await;
    }

    /// Some comment that one knows of.
    pub(crate) fn some_comment(&mut self, wanted: impl Fn(&KnownComment) -> bool) -> Option<KnownComment> {
        let known: Vec<_> = self.board.links().comments.iter().filter(|it| wanted(it)).cloned().collect();
        if known.is_empty() {
            return None;
        }
        let index = self.rng.usize(0..known.len());
        known.into_iter().nth(index)
    }

    async fn say(&mut self, part: &str, variant: Variant) {
        if self.board.links().comments.len() >= COMMENTS_MAX {
            return;
        }
        let key = self.key();
        let (tag, variant) = {
            let mut books = self.auditor.books();
            let tag = books.element(&self.id, part, variant);
            (tag, books.get(tag).and_then(|it| it.variants.first()).cloned().unwrap_or_default())
        };
        let ask = Ask::new("POST", format!("/v1/parts/{part}/comments")).key(key).json(&body(&variant));
        let deed = Deed::Post { tag, variant: 0 };
        let Fate::Done(answer, at) = self.insist(&deed, ServiceName::Comments, &ask).await else { return };
        self.said(tag, part, at, &answer);
        if self.chance(60) {
            // Read your own at the replica that answered.
            self.read_list_of(at, part).await;
        }
        if self.chance(15) {
            // An impatient client, or a proxy, sends it again: here, or where it was not seen yet.
            let at = self.somewhere(ServiceName::Comments);
            self.try_once(&deed, at, &ask).await;
        }
    }

    fn said(&mut self, tag: Tag, part: &str, at: Address, answer: &Value) {
        let id = answer.pointer("/comment/id").and_then(Value::as_str).unwrap_or_default().to_owned();
        let comment = KnownComment { tag, id, part: part.to_owned(), author: self.number, site: at.site };
        self.board.links().comments.push(comment);
    }

    /// Where to change a comment: mostly where it was acknowledged.
    pub(crate) fn near(&mut self, comment: &KnownComment) -> Address {
        let site = if self.chance(70) { comment.site } else { self.rng.usize(0..self.world.sites()) };
        Address { service: ServiceName::Comments, site }
    }

    /// Deletes something that one posted, perhaps at two replicas at once.
    pub(crate) async fn delete_own(&mut self) {
        let me = self.number;
        let Some(comment) = self.some_comment(|comment| comment.author == me) else { return };
        let deed = Deed::Delete { tag: comment.tag, as_host: false };
        let ask = Ask::new("DELETE", format!("/v1/comments/{}", comment.id));
        let at = self.near(&comment);
        self.insist_at(&deed, at, &ask).await;
        if self.chance(20) {
            let at = self.somewhere(ServiceName::Comments);
            self.try_once(&deed, at, &ask).await;
        }
        if self.chance(50) {
            self.read_list_of(at, &comment.part).await;
        }
    }

    /// Changes what one said.
    pub(crate) async fn edit_own(&mut self) {
        let me = self.number;
        let Some(comment) = self.some_comment(|comment| comment.author == me) else { return };
        let text = format!("#{} again {}", comment.tag, self.rng.u32(..));
        let deed = Deed::Set { field: Field::Text(comment.tag), value: text.clone() };
        let ask = Ask::new("PATCH", format!("/v1/comments/{}", comment.id)).json(&json!({ "text": text }));
        let at = self.near(&comment);
        self.insist_at(&deed, at, &ask).await;
    }

    /// A broken client: one key, two bodies. Where the first was acknowledged the second is a conflict; elsewhere nobody
    /// can know yet, and one of the two holds in the end.
    pub(crate) async fn break_a_key(&mut self) {
        let Some(part) = self.some_part() else { return };
        let key = self.key();
        let first = Variant { paragraph: None, parent: None, text: "one body".to_owned() };
        let paragraph = self.some_paragraph(&part);
        let (tag, bodies) = {
            let mut books = self.auditor.books();
            let tag = books.element(&self.id, &part.id, first);
            let second = Variant { paragraph, parent: None, text: format!("#{tag} another body") };
            books.variant(tag, second);
            (tag, books.get(tag).map(|it| it.variants.clone()).unwrap_or_default())
        };
        let mut known = None;
        for (variant, said) in bodies.iter().enumerate() {
            let path = format!("/v1/parts/{}/comments", part.id);
            let ask = Ask::new("POST", path).key(key.clone()).json(&body(said));
            let at = self.somewhere(ServiceName::Comments);
            match self.try_once(&Deed::Post { tag, variant }, at, &ask).await {
                Heard::Done(answer) => known = known.or(Some((at, answer))),
                Heard::Refused(_) | Heard::SignIn | Heard::Again => {}
            }
        }
        if let Some((at, answer)) = known {
            self.said(tag, &part.id, at, &answer);
        }
    }
}
