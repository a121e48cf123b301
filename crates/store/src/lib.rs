//! An ordered store of lattice rows, with one write path.
//!
//! A replica of a service keeps everything in one of these. Rows are kept by id and hold lattice states; whoever
//! changes one *joins* a delta into it, inside [`Store::write`]. The store runs many waiting functions as one group,
//! commits once (one `fdatasync`), and then answers all of them: throughput comes from that, and never from answering
//! early.
//!
//! ```
//! use antiphon_store::{Abort, Memory, Row, SeededWorld, Setup, Store};
//! use std::{convert::Infallible, sync::Arc};
//!
//! /// The longest comment of a part, in characters.
//! struct Longest;
//! impl Row for Longest {
//!     const TAG: u8 = 0x20;
//!     const NAME: &'static str = "longest";
//!     type Key = u64;
//!     type State = lattice::Max<u64>;
//! }
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! # runtime.block_on(async {
//! let world = Arc::new(SeededWorld::new(7, 1_700_000_000_000));
//! let store = Store::open(Memory::new(), world, &Setup::of("comments"))?;
//! store
//!     .write(|view| {
//!         view.join::<Longest>(&200, lattice::Max(31))?;
//!         view.mark::<Longest>("longest", &200)?;
//!         Ok::<_, Abort<Infallible>>(())
//!     })
//!     .await?;
//! assert_eq!(store.reader()?.get::<Longest>(&200).await?, Some(lattice::Max(31)));
//! assert_eq!(store.marks("longest", 10)?.len(), 1);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # Map
//! | file | what |
//! |---|---|
//! | [`key`] | how a key becomes bytes, and whose tags are whose |
//! | `view` | what a function inside a write sees: get, join, mark, mint |
//! | `group` | the group commit |
//! | `store` | the handle: open, write, read, close |
//! | `counted` | rows that are counted, and the tallies that move with them |
//! | `epochs` | who a replica is may change: a new id, tallies taken over and given up |
//! | `hearing` | tallies from elsewhere: how a replica meets its own future |
//! | `heal` | what such a meeting asks for: counting again, group by group |
//! | `fingerprint` | sums over key ranges, kept in memory, by which stores find where they differ |
//! | `outbox` | marks of what is to be announced, and their mirror in memory |
//! | [`engine`] | the port, and the engines: memory, fjall |
//! | `world` | the one place that owns clock and entropy |
//!
//! # What is not here
//! No queue and no message: a mark names a row, and `choreography` reads it. No relaxed default. No way to change a
//! lattice row but to join into it, and none to remove one.

mod counted;
pub mod engine;
mod epochs;
mod error;
mod fingerprint;
mod group;
mod heal;
mod hearing;
mod identity;
pub mod key;
mod outbox;
mod read;
mod shared;
mod store;
mod view;
mod world;

#[cfg(feature = "conformance")]
pub mod conformance;

pub use counted::{Counted, ensure_counted, join_counted};
#[cfg(feature = "fjall")]
pub use engine::fjall::{Fjall, FjallConfig};
pub use engine::memory::Memory;
pub use engine::{Durability, Engine, SCAN_PAIRS_MAX, Scan};
pub use epochs::{OWNED_TALLIES_MAX, OWNERS_KNOWN_MAX, Owner, owners};
pub use error::{Abort, OpenError, StoreError, ViewError, WriteError};
pub use fingerprint::{KeyRange, Printer, Sums, TOLD_BYTES, Tracked, Wide, beginning_with};
pub use group::{Committer, GROUP_WRITES_MAX, ROUNDS_MAX, WAITING_WRITES_MAX};
pub use heal::{
    AdoptRefused, Adopted, Comparison, Counts, GROUPS_COUNTED_MAX, Healer, Recount, Step, adopt,
    renew_restored,
};
pub use hearing::{Heard, hear_tally};
pub use identity::Identity;
pub use key::{KeyPart, Row};
pub use outbox::{MIRROR_MARKS_MAX, Mark};
pub use read::Reader;
pub use store::{Setup, Store};
pub use view::{Decoded, Joined, View};
pub use world::{RealWorld, SeededWorld, World};
