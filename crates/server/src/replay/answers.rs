//! The little that replay reads of the server's answers. Fields that it does not know are none of its business.

use std::collections::BTreeMap;

use messages::{CommentId, PartId, StoryId, UserId};
use serde::Deserialize;

use super::session::Token;

/// Of `POST /v1/users`.
#[derive(Debug, Deserialize)]
pub(super) struct SignedIn {
    pub(super) user: Made<UserId>,
    pub(super) token: Token,
}

/// Of anything that has an id.
#[derive(Debug, Deserialize)]
pub(super) struct Made<Id> {
    pub(super) id: Id,
}

/// Of `POST /v1/stories`.
pub(super) type Story = Made<StoryId>;
/// Of `POST /v1/stories/{story}/parts`.
pub(super) type Part = Made<PartId>;

/// Of posting and deleting a comment.
#[derive(Debug, Deserialize)]
pub(super) struct Changed {
    pub(super) comment: Comment,
}

/// A comment.
#[derive(Debug, Deserialize)]
pub(super) struct Comment {
    pub(super) id: CommentId,
    pub(super) deleted: bool,
}

/// A page of `GET /v1/parts/{part}/comments`.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    pub(super) items: Vec<Made<CommentId>>,
    pub(super) next: Option<String>,
    pub(super) count: Count,
}

/// A count, without the tallies behind it.
#[derive(Debug, Deserialize)]
pub(super) struct Count {
    pub(super) count: i64,
}

/// Of `GET /v1/parts/{part}`.
#[derive(Debug, Deserialize)]
pub(super) struct Shown {
    pub(super) counts: Counts,
}

/// The counts beside a part.
#[derive(Debug, Deserialize)]
pub(super) struct Counts {
    pub(super) comments: Count,
}

/// Of `GET /debug/plain-counts`.
pub(super) type PlainCounts = BTreeMap<PartId, i64>;

/// Of `GET /status`.
#[derive(Debug, Deserialize)]
pub(super) struct Status {
    #[serde(default)]
    pub(super) services: BTreeMap<String, Service>,
    #[serde(default)]
    pub(super) queue: Queue,
    pub(super) quiet: bool,
}

/// What a service has still to send, and what it could not understand.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Service {
    pub(super) outbox: u64,
    pub(super) kept: u64,
}

/// The queue as a process sees it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Queue {
    /// Why it cannot be used, or does not answer.
    pub(super) why_not: Option<String>,
    /// Messages that the server was given since its start.
    pub(super) handled: u64,
    pub(super) subscriptions: BTreeMap<String, Depth>,
}

/// What a subscription holds.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Depth {
    pub(super) ready: u64,
    pub(super) in_flight: u64,
    pub(super) delayed: u64,
    pub(super) dead: u64,
}
