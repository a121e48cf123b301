//! How many.

mod bounded;
pub mod contributions;
mod gcounter;
mod hyperloglog;
mod owned_tallies;
mod per_replica;
mod pncounter;
mod tally;

pub use bounded::{BoundedCounter, BoundedCounterError};
pub use contributions::{Contributes, Contribution, Moved, OwnedTallies, moved};
pub use gcounter::GCounter;
pub use hyperloglog::{HyperLogLog, HyperLogLogError};
pub use pncounter::PnCounter;
pub use tally::{Epoch, Tally, total};
