//! Who wrote, when, and after what.

mod causal_delivery;
mod clock;
mod dot;
mod dotted_version_vector_set;
mod hlc;
mod interval_tree_clock;
mod lamport;
mod replica;
mod stamp;
mod vector_clock;
mod version_vector;

pub use causal_delivery::{CausalDelivery, CausalMessage, NotTaken};
pub use clock::{AHEAD_MS_MAX, Clock, TooFarAhead};
pub use dot::Dot;
pub use dotted_version_vector_set::DottedVersionVectorSet;
pub use hlc::Hlc;
pub use interval_tree_clock::{
    EventTree, ITC_DEPTH_MAX, IntervalTreeClock, ItcDecodeError, ItcDecodeFault, ItcError, ItcId,
};
pub use lamport::Lamport;
pub use replica::ReplicaId;
pub use stamp::{Lane, Stamp};
pub use vector_clock::VectorClock;
pub use version_vector::VersionVector;
