//! The Maelstrom example as Maelstrom runs it: real processes that speak JSON lines, and a bad network between them.

#![expect(clippy::disallowed_methods, reason = "real processes live in real time")]
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test may panic, in its helpers too"
)]

mod network;
mod pipes;
mod process;
mod workloads;
