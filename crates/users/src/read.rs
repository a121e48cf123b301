//! What is shown: who somebody is.

use crate::rows::ProfileRow;
use api::Problem;
use messages::{Profile, UserId};
use serde::Serialize;
use store::Reader;
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
