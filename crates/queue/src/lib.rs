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
//! | `url`, `connect`, `plan` | from a URL to a broker; what a broker lacks |
//! | `memory` | the broker for tests and simulations |
//! | `embedded` | the durable broker in a folder (feature `embedded`) |
//! | `sqs`, `nats`, `rabbitmq`, `kafka` | brokers of others, a feature each |
//! | `faults` | any queue, made worse on a schedule that a seed decides, with dials to turn while it runs |
//! | `broker`, `schedule`, `rows` | what memory and embedded share: fan-out and polling, leases, storage |
//!
//! What every broker owes is one suite, the crate `antiphon-conformance`, which plays it on the real ones.
//!
//! # What it never does
//! It never interprets a body: whoever receives decodes. It never retries by itself, and never drops what was accepted
//! (but for core NATS, `nats::core_nats`, which keeps nothing and says so).
//! There are no capability flags: what a broker can do beyond the contract is not offered. No vendor's type appears here.
//! It reads no clock, environment or randomness.

pub mod rfc3339;

mod broker;
mod clock;
mod connect;
#[cfg(feature = "embedded")]
mod embedded;
mod envelope;
mod error;
mod faults;
#[cfg(feature = "kafka")]
pub mod kafka;
mod memory;
mod message;
mod names;
#[cfg(feature = "nats")]
pub mod nats;
mod plan;
mod port;
#[cfg(feature = "rabbitmq")]
pub mod rabbitmq;
mod rows;
mod schedule;
#[cfg(feature = "sqs")]
pub mod sqs;
mod url;

pub use broker::MESSAGES_MAX;
pub use clock::Clock;
pub use connect::{Settings, check_scheme, connect};
#[cfg(feature = "embedded")]
pub use embedded::EmbeddedQueue;
pub use envelope::{DATA_CONTENT_TYPE_DEFAULT, ENVELOPE_BYTES_MAX, Envelope, EnvelopeData, EnvelopeError};
pub use error::{AckError, Cause, PublishError, QueueError};
pub use faults::{Dials, FaultCounts, Faults, Faulty, TOPICS_COUNTED_MAX};
pub use memory::MemoryQueue;
pub use message::{Delivery, Lease, Message, Receipt};
pub use names::{
    LEASE_DEFAULT, LEASE_MAX, NAME_CHARS_MAX, NameError, Subscription, SubscriptionConfig, Topic,
};
pub use plan::{Action, Change};
pub use port::{
    BoxFuture, DEAD_LETTERS_PAGE_MAX, DeadLetter, DeadLetterId, Depth, Publisher, Queue, Receiver, WAIT_MAX,
};
pub use url::QueueUrl;
