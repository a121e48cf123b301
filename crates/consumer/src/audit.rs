//! The audit: per subscription, *sent = merged + in flight + dead*, from sets that survive restarts.
//!
//! Counters cannot balance such a sum: a retried publish, a duplicate, a process that dies between a call and its note
//! would each put them out by one, for ever. So nothing here is counted. Every message that is sent carries a name of its
//! own, a [dot](lattice::Dot), in an attribute; who publishes notes the dots that the broker confirmed, who merges notes
//! the dots that it merged, and the numbers are the sizes of those sets. Noting a dot twice changes nothing, and the
//! books of any number of processes are joined into one, in any order: they are a lattice.
//!
//! | part | does |
//! |---|---|
//! | [`Ledger`] | writes a process's [`Books`] to a file of its own in a folder all share; reads the whole folder |
//! | [`AuditedPublisher`] | names each message, and notes those that the broker confirmed as *sent* |
//! | [`Audit`] | a layer: notes a message as *merged* after its handler's `Ok`, durably before that `Ok` reaches the pump |
//! | [`AuditedDeadLetters`] | notes a message as *dead* before it is put aside |
//! | [`Books`] | the sets; [`Books::account`] answers for one subscription |
//!
//! ```
//! use std::time::Duration;
//!
//! use antiphon_consumer::audit::{Audit, Ledger};
//! use antiphon_consumer::{Context, Layer, Pump, handler_fn};
//! use queue::{MemoryQueue, Message, Queue, Subscription, SubscriptionConfig};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! let queue = MemoryQueue::new();
//! let subscription: Subscription = "comments.tallies/stories/eu-1".parse()?;
//! let receiver = queue.subscribe(&subscription, SubscriptionConfig::default()).await?;
//!
//! // The lane is drawn at random at every start, so that no dot is ever given twice.
//! let ledger = Ledger::open(folder, "stories-eu-1", 0x5eed_1e55_c0de_cafe)?;
//! let publisher = ledger.publisher(queue.publisher());
//! # use queue::Publisher;
//! for answer in publisher.publish(subscription.topic(), vec![Message::new("a"), Message::new("b")]).await {
//!     answer?; // the broker has it, and the ledger knows
//! }
//! let account = Ledger::read_folder(folder)?.account(&subscription);
//! assert_eq!((account.sent, account.merged, account.in_flight, account.dead), (2, 0, 2, 0));
//!
//! let merge = handler_fn(|_: Message, _: Context| async { Ok(()) });
//! let pump = Pump::builder(receiver, Audit::new(ledger.clone()).layer(merge)).build();
//! pump.run(tokio::time::sleep(Duration::from_millis(200))).await;
//! let account = Ledger::read_folder(folder)?.account(&subscription);
//! assert_eq!((account.sent, account.merged, account.in_flight, account.dead), (2, 2, 0, 0));
//! # Ok(())
//! # }
//! ```
//!
//! # What it tells, and what not
//! *In flight* is what the broker confirmed and nobody has settled. It is right at every instant up to what is being
//! noted just then, and exact at rest. When the queue is empty and something is still in flight, it is lost:
//! [`Account::missing`] names it. What was merged though no publish of it was ever confirmed (the sender died before it
//! could note the answer, or its ledger is gone) is [`Account::unconfirmed`], and outside of the sum. A dead letter that
//! was redriven counts as dead until it is merged. A message that carries no dot is in no set.

mod books;
mod dead;
mod file;
mod layer;
mod ledger;
mod name;
mod publisher;

pub use books::{Account, Books};
pub use dead::AuditedDeadLetters;
pub use file::{LEDGER_EXTENSION, LedgerError};
pub use layer::{Audit, AuditHandler};
pub use ledger::{LEDGERS_MAX, Ledger, WAITING_MAX};
pub use name::{AUDIT_ATTRIBUTE, dot_of};
pub use publisher::AuditedPublisher;
