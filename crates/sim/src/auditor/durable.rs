//! An acknowledged write is on the disk, and what is shown was on it before.
//!
//! The one place where the auditor looks behind the world: at the bytes of rows, which are JSON.

use super::books::text;
use super::deed::{Deed, Field};
use crate::address::Address;
use crate::world::World;
use messages::{CommentId, PartId, StoryId, UserId};
use serde_json::Value;
use std::str::FromStr;
use store::{Row, key};
use stories::both::Both;

fn row<R: Row>(world: &World, at: Address, id: &str) -> Option<Value>
where
    R::Key: FromStr,
{
    let id: R::Key = id.parse().ok()?;
    serde_json::from_slice(&world.synced_row(at, &key::of::<R>(&id))?).ok()
}

/// Says what is missing of an acknowledged deed.
pub(super) fn check(world: &World, at: Address, deed: &Deed, answer: &Value) -> Result<(), String> {
    let missing = |what: &str| Err(format!("{what} is not on the disk"));
    match deed {
        Deed::Post { .. } => {
            let id = text(answer, "/comment/id").unwrap_or_default();
            let stored = row::<comments::rows::CommentRow>(world, at, &id);
            if stored.is_none_or(|stored| stored.get("post").is_none()) { missing(&id) } else { Ok(()) }
        }
        Deed::Delete { .. } => {
            let id = text(answer, "/comment/id").unwrap_or_default();
            let stored = row::<comments::rows::CommentRow>(world, at, &id);
            if stored.is_none_or(|stored| stored.get("gone").is_none()) { missing(&id) } else { Ok(()) }
        }
        Deed::Set { field: Field::Vote { part, user }, .. } => {
            let key = part.parse::<PartId>().ok().zip(user.parse::<UserId>().ok());
            let key = key.map(|(part, user)| key::of::<stories::rows::VoteRow>(&Both(part, user)));
            // A vote that is taken back, and never was, is no row.
            let voted = answer.get("voted") == Some(&Value::Bool(true));
            if voted && key.is_none_or(|key| world.synced_row(at, &key).is_none()) {
                missing("the vote")
            } else {
                Ok(())
            }
        }
        Deed::Make(_) => {
            let user = text(answer, "/user/id").and_then(|id| id.parse::<UserId>().ok());
            let story = text(answer, "/id");
            let part = story.as_ref().and_then(|id| id.parse::<PartId>().ok());
            let story = story.as_ref().and_then(|id| id.parse::<StoryId>().ok());
            let keys = [
                user.map(|id| key::of::<users::rows::AccountRow>(&id)),
                story.map(|id| key::of::<stories::rows::StoryRow>(&id)),
                part.map(|id| key::of::<stories::rows::PartRow>(&id)),
            ];
            let there = keys.into_iter().flatten().any(|key| world.synced_row(at, &key).is_some());
            if there { Ok(()) } else { missing("what was made") }
        }
        Deed::Set { .. } | Deed::Move(_) | Deed::Reorder(_) | Deed::End(_) => Ok(()),
    }
}

/// The id of a listed comment that the disk does not have.
pub(super) fn shown_before_sync(world: &World, at: Address, item: &Value) -> Option<String> {
    let id = text(item, "/id")?;
    let key = key::of::<comments::rows::CommentRow>(&id.parse::<CommentId>().ok()?);
    world.synced_row(at, &key).is_none().then_some(id)
}
