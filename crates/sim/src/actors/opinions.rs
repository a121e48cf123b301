//! Votes, names and shelves: values of which the last one written holds.

use super::person::Person;
use crate::auditor::{Deed, Field};
use crate::service::ServiceName;
use crate::world::Ask;
use serde_json::json;

impl Person {
    /// Votes for a part, or takes the vote back.
    pub(crate) async fn vote(&mut self) {
        let Some(part) = self.some_part() else { return };
        let yes = self.chance(65);
        let field = Field::Vote { part: part.id.clone(), user: self.id.clone() };
        let deed = Deed::Set { field, value: yes.to_string() };
        let ask = Ask::new(if yes { "PUT" } else { "DELETE" }, format!("/v1/parts/{}/vote", part.id));
        self.insist(&deed, ServiceName::Stories, &ask).await;
    }

    /// Takes another name.
    pub(crate) async fn rename(&mut self) {
        let name = format!("{} the {}th", self.name, self.rng.u16(..));
        let deed = Deed::Set { field: Field::Name(self.id.clone()), value: name.clone() };
        let ask = Ask::new("PATCH", format!("/v1/users/{}", self.id)).json(&json!({ "name": name }));
        self.insist(&deed, ServiceName::Users, &ask).await;
    }

    /// Puts a story on one's shelf, or takes it off.
    pub(crate) async fn shelve(&mut self) {
        let Some(part) = self.some_part() else { return };
        let on = self.chance(65);
        let field = Field::Shelf { user: self.id.clone(), story: part.story.clone() };
        let deed = Deed::Set { field, value: on.to_string() };
        let path = format!("/v1/users/{}/shelf/{}", self.id, part.story);
        let ask = Ask::new(if on { "PUT" } else { "DELETE" }, path);
        self.insist(&deed, ServiceName::Users, &ask).await;
    }
}
