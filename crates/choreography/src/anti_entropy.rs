//! Anti-entropy: whoever lacks rows finds out, and is healed over the same lossy queue.
//!
//! ```text
//! publisher                                            subscriber
//!    │ digest: a million rows, their sums are S     ──▶   mine are S′: told by S − S′, one row differs: this one
//!    │ ◀──  want: at this key I have that value           (with more differences: say more about this range)
//!    │ that is old: marks the row ── relay ── fact  ──▶   joins it; the sums are equal again
//!    │ (or: digest of smaller ranges)               ──▶   …
//! ```
//!
//! - [`AntiEntropy`]: the publisher's side. Every step tells what it has; wants are answered as they come.
//! - `listener`, `talk`: the subscriber's side, part of [`crate::Merge`]. It remembers what differs and asks again.
//! - `wire`: both messages. `pace`: every bound.
//! - [`Links`]: what is known of each link, for people and for proofs.
//!
//! Differences in both directions are healed: a want carries what the subscriber has, where that is little, so a publisher
//! that lost rows gets them back, and a replica meets its own future. What a message says is only ever joined, so old,
//! doubled and lost ones harm nobody.

mod announcer;
mod cover;
mod links;
mod listener;
mod look;
mod pace;
mod send;
mod talk;
mod wire;

pub use announcer::{AntiEntropy, Next};
pub use cover::Cover;
pub use links::{AsOf, Heard, LinkStatus, Links, PUBLISHERS_MAX};
pub use pace::{BUSY_MAX, Pace};
pub use wire::{DIGEST_TYPE, WANT_TYPE, is_wants_topic, wants_topic};

pub(crate) use listener::{ListenError, Listener};
pub(crate) use wire::{DIGEST_TYPES, refuse, sender};
