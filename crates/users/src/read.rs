//! What is shown: who somebody is, and to themselves alone what is on their shelf.

use crate::rows::{ProfileRow, ShelfRow};
use api::Problem;
use messages::{Profile, StoryId, UserId};
use serde::Serialize;
use store::{Reader, StoreError};
use utoipa::ToSchema;

/// Somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = User)]
pub struct UserView {
    /// Their id.
    pub id: String,
    /// Their name.
    pub name: String,
    /// The address of their picture; null shows their initials.
    pub avatar: Option<String>,
}

impl UserView {
    /// What a profile shows; `None` while nobody has it.
    pub(crate) fn of(id: UserId, profile: &Profile) -> Option<Self> {
        let name = profile.name.get()?.clone();
        Some(Self { id: id.to_string(), name, avatar: profile.avatar.get().cloned().flatten() })
    }
}

/// Somebody, or 404.
pub(crate) async fn one(reader: &Reader, id: UserId) -> Result<UserView, Problem> {
    let profile = reader.get::<ProfileRow>(&id).await?.unwrap_or_default();
    UserView::of(id, &profile).ok_or_else(|| Problem::not_found("user"))
}

/// A library shelf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Shelf)]
pub struct ShelfView {
    /// The stories on it, in the order of their ids.
    pub items: Vec<ShelfItem>,
}

/// A story on a library shelf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ShelfItem {
    /// The id of the story. Stories knows the rest.
    pub story: String,
}

/// Whether a story is on a library shelf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct OnShelf {
    /// The id of the story.
    pub story: String,
    /// Whether it is there.
    pub on_shelf: bool,
}

impl OnShelf {
    pub(crate) fn of(story: StoryId, on_shelf: bool) -> Self {
        Self { story: story.to_string(), on_shelf }
    }
}

/// What is on somebody's shelf; who never put anything there has an empty one.
pub(crate) async fn shelf(reader: &Reader, of: UserId) -> Result<ShelfView, StoreError> {
    let shelf = reader.get::<ShelfRow>(&of).await?.unwrap_or_default();
    let items = shelf.stories.iter().map(|story| ShelfItem { story: story.to_string() });
    Ok(ShelfView { items: items.collect() })
}

/// Whether a story is on somebody's shelf.
pub(crate) async fn on_shelf(reader: &Reader, of: UserId, story: StoryId) -> Result<OnShelf, StoreError> {
    let shelf = reader.get::<ShelfRow>(&of).await?.unwrap_or_default();
    Ok(OnShelf::of(story, shelf.has(story)))
}
