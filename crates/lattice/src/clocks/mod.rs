//! Who wrote, when, and after what.

mod clock;
mod dot;
mod hlc;
mod replica;
mod stamp;

pub use clock::{AHEAD_MS_MAX, Clock, TooFarAhead};
pub use dot::Dot;
pub use hlc::Hlc;
pub use replica::ReplicaId;
pub use stamp::{Lane, Stamp};
