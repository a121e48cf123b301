//! States that converge over any queue, and the clock that orders their writes.
//!
//! Two services tell each other what they know through a queue that repeats, reorders and delays. If the message says
//! what to *do*, each of these is a bug. If it says what is *known*, and the receiver joins it into what it knew, none
//! is. This crate holds such knowledge: join-semilattices, also called state-based CRDTs (Shapiro, Preguiça, Baquero,
//! Zawirski, *A comprehensive study of convergent and commutative replicated data types*, 2011), under the one trait
//! [`Lattice`], whose page says what implementers and callers owe each other.
//!
//! # The running example
//!
//! What one service knows of a part of a story: its title, and how many comments each replica counts there.
//!
//! ```
//! use antiphon_lattice::{Clock, Epoch, Lane, Lattice, Lww, Map, ReplicaId, Tally, total};
//!
//! #[derive(Clone, Debug, Default, PartialEq, Eq)]
//! struct Part {
//!     title: Lww<String>,
//!     comments: Map<ReplicaId, Tally>,
//! }
//!
//! impl Lattice for Part {
//!     fn join(&mut self, other: Self) -> bool {
//!         let Self { title, comments } = other;
//!         self.title.join(title) | self.comments.join(comments)
//!     }
//! }
//!
//! // The writer: a mutator changes the state here, and returns a delta to be joined elsewhere.
//! let me = ReplicaId::from_u128(1);
//! let mut clock = Clock::new(me, Lane(0));
//! let mut here = Part { comments: Map::of(me, Tally::opened(Epoch { generation: 0, owner: me })), ..Part::default() };
//! let mut sent = vec![here.clone()];
//! for title in ["Chapter 199", "Chapter 200"] {
//!     let delta = here.title.set(clock.mint(1_000, here.title.stamp()), title.to_owned());
//!     sent.push(Part { title: delta, ..Part::default() });
//! }
//! for _ in 0..3 {
//!     let delta = here.comments.update(me, Tally::added_one);
//!     sent.push(Part { comments: delta, ..Part::default() });
//! }
//!
//! // The queue: in the wrong order, and everything twice. One delta in the middle is lost for good.
//! sent.remove(4);
//! sent.reverse();
//! sent.extend(sent.clone());
//!
//! // The reader: the message handler is the join.
//! let mut there = Part::default();
//! let news = sent.into_iter().filter(|delta| there.join(delta.clone())).count();
//! assert_eq!(there, here);
//! assert_eq!(there.title.get().map(String::as_str), Some("Chapter 200"));
//! assert_eq!(total(there.comments.values()), 3);
//! assert_eq!(news, 2, "ten messages, two of which said anything new");
//! ```
//!
//! # The types
//!
//! | type | promises | costs, in JSON | choose another | from |
//! |---|---|---|---|---|
//! | [`Max`] | the greatest value written | the value | to count: [`Tally`] | Shapiro 2011 |
//! | [`Min`] | the least value written: the first stays | the value | for what is edited: [`Lww`] | the dual of it |
//! | [`Lww`] | the value with the greatest stamp | the value + 72 bytes | if no write may be lost: [`GSet`], [`Tally`] | Shapiro 2011, §3.2.1 |
//! | [`Life`] | gone stays gone | 6 bytes | if it may come back: [`Lww`] of `bool` | the 2P-set, §3.3.2, of one element |
//! | [`GSet`] | what was inserted is there | its elements | to remove: [`Map`] to [`Life`] | Shapiro 2011, §3.3.1 |
//! | [`Map`] | each key's own promise | its entries | for many rows: a store | the product |
//! | [`Pair`] | each half's own promise | both + 3 bytes | if the halves belong together: one register | the product |
//! | [`Tally`] | one writer's exact count | 91 bytes for small numbers | to know which, not how many: [`GSet`] | the PN-counter, §3.1.3, one entry, with epochs |
//!
//! and what they are made of:
//!
//! | type | is | size | from |
//! |---|---|---|---|
//! | [`ReplicaId`] | who writes; never used again | 16 bytes, 32 characters | |
//! | [`Hlc`] | milliseconds that never run backwards, and a counter | 8 bytes, 16 characters | Kulkarni et al. 2014 |
//! | [`Stamp`] | the identity and rank of one write | 26 bytes, 54 characters | Lamport 1978 |
//! | [`Clock`] | mints stamps, and is not dragged away by a bad one | | [`AHEAD_MS_MAX`]: `CockroachDB`'s `--max-offset` |
//! | [`Contribution`] | what one row counts for, and who counts it | | [`contributions`] |
//!
//! Sizes in this table are checked by `tests/golden.rs`.
//!
//! # What it never does
//!
//! - **No I/O, no async, no threads, no clock, no randomness.** Times and ids are parameters, so a simulator decides
//!   them, and one seed plays one history.
//! - **No operations on the wire.** A delta has the type of the state. There is no causal delivery to arrange, no log
//!   to replay, no vector clock to trim.
//! - **No way down.** Nothing removes, resets or expires: that is not a join. What must go is marked as gone.
//! - **No hash maps.** States iterate in key order, so equal states have equal bytes, and a fingerprint of the bytes
//!   is one of the state.
//! - **No panics on data.** Whatever was decoded can be joined. The three asserts, in [`Clock`] and [`OwnedTallies`],
//!   guard against one's own wiring.
//! - **No refusal of unknown fields.** A newer version may add some. They are skipped here; the store's rows keep them.
//!
//! # Adding a type
//!
//! One file beside the others; one line in each of `tests/laws.rs`, `tests/histories.rs` and `tests/golden.rs`. The
//! first checks the algebra on picked and on random values, the second that replicas which mutate and gossip over a
//! bad queue end as a plain model says, the third that the bytes of today can be read for ever.
#![expect(
    clippy::return_self_not_must_use,
    reason = "a mutator's delta may be dropped where the whole row is announced anyway"
)]

mod causal;
mod clocks;
mod counters;
mod faults;
mod graphs;
mod lattice;
pub mod laws;
mod products;
mod registers;
mod sequences;
mod sets;
mod text;

pub use causal::*;
pub use clocks::*;
pub use counters::*;
pub use faults::identity_faults;
pub use graphs::*;
pub use lattice::Lattice;
pub use products::*;
pub use registers::*;
pub use sequences::*;
pub use sets::*;
pub use text::ParseError;
