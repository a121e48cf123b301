//! The whole service over a store in memory, asked over HTTP and told over its links.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests and their helpers, where a panic is the verdict"
)]

mod edits;
mod merges;
mod openapi;
mod parts;
mod places;
mod stories;
mod votes;
mod world;
