//! Queues behind the weakest contract that brokers share.
//!
//! Deliveries may be duplicated, reordered and delayed; one that is not acked before its lease ends comes back. That is
//! all that may be relied on, so changing the broker is changing a line of configuration. Whoever needs more (order, once
//! only) builds it from messages that can be merged in any order and any number of times.
//!
//! ```
//! use std::time::Duration;
//!
//! use antiphon_queue::{Envelope, MemoryQueue, Message, Queue, Subscription, SubscriptionConfig};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let queue = MemoryQueue::new();
//!
//! // Each subscription gets every message that is published after it was made.
//! let subscription: Subscription = "comments.tallies/stories/eu-1".parse()?;
//! let receiver = queue.subscribe(&subscription, SubscriptionConfig::default()).await?;
//!
//! let envelope = Envelope::new("7f3a", "/comments/eu-1", "antiphon.tallies").at(1_469_727_000_000);
//! let publisher = queue.publisher();
//! for answer in publisher.publish(subscription.topic(), vec![Message::new(envelope.encode())]).await {
//!     answer?; // the broker has it
//! }
//!
//! for delivery in receiver.receive(10, Duration::from_secs(20)).await? {
//!     let envelope = Envelope::decode(&delivery.message.body)?;
//!     assert_eq!(envelope.event_type, "antiphon.tallies");
//!     // Make it durable here; only then:
//!     for answer in receiver.ack(&[delivery.receipt]).await {
//!         answer?; // or its lease was lost, and it comes again
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Map
//! | file | what |
//! |---|---|
//! | `port` | **the contract**: [`Queue`], [`Publisher`], [`Receiver`], what each side owes |
//! | `message` | [`Message`], [`Delivery`], [`Lease`], [`Receipt`] |
//! | `envelope`, [`rfc3339`] | the `CloudEvents` envelope, which other languages read |
//! | `names`, `error`, `clock` | names, errors that are instructions, the wall clock as a parameter |
//! | `memory` | the broker for tests and simulations |
//! | `embedded` | the durable broker in a folder (feature `embedded`) |
//! | `faults` | any queue, made worse on a schedule that a seed decides |
//! | `conformance` | the suite that every broker passes (feature `conformance`) |
//! | `broker`, `schedule`, `rows` | what memory and embedded share: fan-out and polling, leases, storage |
//!
//! # What it never does
//! It never interprets a body: whoever receives decodes. It never retries by itself, and never drops what was accepted.
//! There are no capability flags: what a broker can do beyond the contract is not offered. No vendor's type appears here.
//! It reads no clock, environment or randomness.

pub mod rfc3339;

mod broker;
mod clock;
#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "embedded")]
mod embedded;
mod envelope;
mod error;
mod faults;
mod memory;
mod message;
mod names;
mod port;
mod rows;
mod schedule;

pub use broker::MESSAGES_MAX;
pub use clock::Clock;
#[cfg(feature = "embedded")]
pub use embedded::EmbeddedQueue;
pub use envelope::{DATA_CONTENT_TYPE_DEFAULT, ENVELOPE_BYTES_MAX, Envelope, EnvelopeData, EnvelopeError};
pub use error::{AckError, Cause, PublishError, QueueError};
pub use faults::{FaultCounts, Faults, Faulty};
pub use memory::MemoryQueue;
pub use message::{Delivery, Lease, Message, Receipt};
pub use names::{
    LEASE_DEFAULT, LEASE_MAX, NAME_CHARS_MAX, NameError, Subscription, SubscriptionConfig, Topic,
};
pub use port::{
    BoxFuture, DEAD_LETTERS_PAGE_MAX, DeadLetter, DeadLetterId, Depth, Publisher, Queue, Receiver, WAIT_MAX,
};
