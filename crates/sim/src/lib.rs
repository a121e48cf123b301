//! The whole platform in one thread, under one seed, with every fault there is.
//!
//! What runs is the real code: services, stores' group commit, relays, pumps, merges, HTTP routers. What is simulated is
//! everything that it stands on: time, disks, the broker, the network, the machines. The README says what is covered and
//! what is not.
//!
//! | file | what |
//! |---|---|
//! | `plan`, `faults` | what a seed decides; the kinds of faults |
//! | `core`, `dice`, `trace` | time, randomness, and what happened |
//! | `life`, `process`, `machine` | processes that die between two polls, and their clocks |
//! | `disk`, `queue` | disks that forget, a broker that does its worst |
//! | `nemesis`, `operator` | what breaks things, and who mends them |
//! | `world` | what actors and checks see of it |
//! | `run` | one run, from its seed to the verdict |
//! | [`actors`] | who plays: readers, writers, hosts, broken clients |
//! | [`auditor`] | who watches, and knows plain sets |
//! | `planted` | bugs on purpose, that the checks must catch |

pub mod actors;
mod address;
pub mod auditor;
mod core;
mod dice;
mod disk;
mod faults;
mod life;
mod machine;
mod nemesis;
mod operator;
mod plan;
mod planted;
mod process;
mod queue;
mod run;
mod service;
mod trace;
mod world;

pub use crate::core::Failure;
pub use address::Address;
pub use disk::{Disk, Rows};
pub use faults::{Counts, Fault};
pub use plan::{Plan, SITES_MAX};
pub use planted::{Planted, UnknownBug};
pub use run::{Play, Report, RunError, run};
pub use service::ServiceName;
pub use trace::LINES_KEPT_MAX;
pub use world::{Answer, Ask, Loss, World};
