//! Where store and queue meet, and the only place.
//!
//! - [`Relay`]: outbox → publisher. Publishes a marked row as it is, then clears the mark if the row did not move.
//! - [`Merge`]: delivery → join into rows → commit → ack, in that order. The handler is the lattice's join.
//! - [`Link`]: a subscription, one line in a service: this topic into that row kind.
//! - [`anti_entropy`]: what was lost on the way is found out, and announced again.
//! - [`Lag`]: how long it takes until what was changed elsewhere is shown here, counted per link.
//! - [`proof`]: what a count is the sum of, and as of when that is exact.
//! - [`signing_keys`]: announced keys are rows; only those that the root key signed are believed.
//! - [`kept`]: what could not be understood, whole, with the reason, in the subscriber's own store.
//!
//! There is no controller here and no request: services know topics, never each other. Nothing is counted here either:
//! a count is a row like any other, and merging it is a maximum.

pub mod anti_entropy;
pub mod kept;
mod lag;
mod link;
mod merge;
pub mod proof;
mod relay;
pub mod signing_keys;

pub use anti_entropy::{AntiEntropy, Cover, Links, Pace};
pub use lag::Lag;
pub use link::Link;
pub use merge::Merge;
pub use queue::NameError;
pub use relay::{MESSAGE_ROWS_MAX, ROUND_ROWS_MAX, Relay, RelayError, Round, announcement};
