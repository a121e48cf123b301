//! Several replicas of one service: whatever is written at one site and at another, and however the queue between them
//! behaves, both come to hold the same rows, byte for byte, and every count is exact.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests, where a panic is the verdict"
)]

mod late;
mod play;
mod random;
mod scenes;
mod world;
