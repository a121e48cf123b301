//! How many.

pub mod contributions;
mod owned_tallies;
mod tally;

pub use contributions::{Contributes, Contribution, Moved, OwnedTallies, moved};
pub use tally::{Epoch, Tally, total};
