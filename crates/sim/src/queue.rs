//! A broker that does everything that a broker may do, and, where a run says so, what it may not.
//!
//! It delivers at least once: what it accepted comes until it is acked, perhaps twice, in any order, weeks later. Only
//! [`Fault::LoseAccepted`](crate::Fault::LoseAccepted) breaks that.

mod broker;
mod endpoint;
mod line;

pub(crate) use broker::Broker;
pub(crate) use endpoint::{Endpoint, Wire};
