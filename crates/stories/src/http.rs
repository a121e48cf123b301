//! The HTTP face of Stories: a file a resource.

mod parts;
mod places;
mod stories;
mod votes;

use crate::Stories;
use api::{Caller, IdempotencyKey, Keys, Problem};
use axum::extract::FromRef;
use messages::{StoryId, UserId};
use std::sync::Arc;
use store::{Abort, Reader, View};
use utoipa_axum::router::OpenApiRouter;

impl FromRef<Stories> for Arc<dyn Keys> {
    fn from_ref(stories: &Stories) -> Self {
        Arc::<api::KeyRing>::clone(&stories.keys)
    }
}

/// Every route of the service, described.
pub(crate) fn router() -> OpenApiRouter<Stories> {
    stories::router().merge(parts::router()).merge(places::router()).merge(votes::router())
}

fn user(caller: &Caller) -> UserId {
    UserId::from_bytes(caller.user)
}

/// The fingerprint of a whole request under its idempotency key: see [`crate::part::PartCreation::request`].
fn fingerprint(domain: &str, key: &IdempotencyKey, fields: &[&[u8]]) -> String {
    let parts: Vec<_> = std::iter::once(key.as_bytes()).chain(fields.iter().copied()).collect();
    // An id only lends its spelling.
    StoryId::from_bytes(api::derive_id(domain, &parts)).to_string()
}

/// Runs a change, and opens what is on the disk then.
async fn change<F>(stories: &Stories, function: F) -> Result<Reader, Problem>
where
    F: FnMut(&mut View<'_>) -> Result<(), Abort<Problem>> + Send + 'static,
{
    stories.store.write(function).await?;
    Ok(stories.store.reader()?)
}
