//! Reading: lists and parts, as a page polls them.

use super::board::KnownPart;
use super::person::Person;
use crate::address::Address;
use crate::service::ServiceName;
use serde_json::Value;

/// The most comments on a page.
const PAGE: usize = 100;

impl Person {
    /// Some part that one knows of.
    pub(crate) fn some_part(&mut self) -> Option<KnownPart> {
        let links = self.board.links();
        let count = links.parts.len();
        drop(links);
        if count == 0 {
            return None;
        }
        let index = self.rng.usize(0..count);
        self.board.links().parts.get(index).cloned()
    }

    /// Reads the flat list of some part.
    pub(crate) async fn read_list(&mut self) {
        let Some(part) = self.some_part() else { return };
        let at = self.somewhere(ServiceName::Comments);
        self.read_list_of(at, &part.id).await;
    }

    /// Reads the flat list of a part at a replica.
    pub(crate) async fn read_list_of(&mut self, at: Address, part: &str) {
        let asked_ms = self.world.elapsed_ms();
        let order = if self.chance(50) { "newest" } else { "oldest" };
        let path = format!("/v1/parts/{part}/comments?flat=true&order={order}&limit={PAGE}");
        let Some(body) = self.read(at, part, path).await else { return };
        let items = body.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
        let is_whole = body.get("next").is_none_or(Value::is_null);
        let count = body.get("count").filter(|_| is_whole);
        self.auditor.saw_list(at, part, asked_ms, &items, count);
    }

    /// Reads a part, and tells that it was read.
    pub(crate) async fn read_part(&mut self) {
        let Some(part) = self.some_part() else { return };
        let at = self.somewhere(ServiceName::Stories);
        let asked_ms = self.world.elapsed_ms();
        if let Some(shown) = self.read(at, &part.id, format!("/v1/parts/{}", part.id)).await {
            self.auditor.saw_part(at, &part.id, asked_ms, &shown);
        }
        if self.chance(30) {
            let ask = crate::world::Ask::new("POST", format!("/v1/parts/{}/reads", part.id));
            // A statistic: nobody waits for it, and nothing depends on it.
            let answer = self.world.ask(at, ask).await;
            self.world.trace(&self.name, format_args!("read {} at {at}: {answer:?}", part.id));
        }
        if self.chance(30) {
            let at = self.somewhere(ServiceName::Comments);
            self.read(at, &part.id, format!("/v1/parts/{}/comment-counts", part.id)).await;
        }
    }
}
