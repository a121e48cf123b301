//! The published language: what one service tells another, and nothing of how either works.
//!
//! A message's `data` is a [`DeltaGroup`]: a map from key to lattice state. Whoever receives it joins each state into
//! the row of that key; there is nothing else to do, in any order, any number of times. Each kind of fact is one file
//! here, with its topic, its CloudEvents `type`, its key and its state, and golden bytes under `tests/golden`.
//!
//! | fact | topic | key | from → to |
//! |---|---|---|---|
//! | [`ProfileFact`] | `profiles` | user | users → stories, comments |
//! | [`SigningKeyFact`] | `signing-keys` | key id | users → stories, comments |
//! | [`PartFact`] | `parts` | part | stories → comments |
//! | [`TallyFact`] | `tallies` | group and replica | comments → stories |
//!
//! # Versions
//! A field is added by giving it a default and leaving it out where it is bottom: old readers keep it ([`Unknown`]),
//! and old bytes stay readable. What an old reader must not misread gets a new `type`.
//!
//! # What is not here
//! No service, no I/O, no increments: every value is a state that may be joined.

pub mod delta_group;
mod fact;
mod group;
mod id;
mod part;
mod profile;
mod signing_key;
mod tally;
mod unknown;

pub use delta_group::{DeltaGroup, DeltaGroupError};
pub use fact::Fact;
pub use group::{Group, GroupError};
pub use id::{CommentId, IdError, KeyId, ParagraphId, PartId, StoryId, UserId};
pub use part::{PartFact, PartPlace, PartState};
pub use profile::{Profile, ProfileFact};
pub use signing_key::{CertifiedKey, SigningKeyFact, SigningKeyState};
pub use tally::{TallyFact, TallyKey, TallyKeyError};
pub use unknown::{Unknown, is_bottom};
