//! Queues.

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
pub use names::{LEASE_DEFAULT, LEASE_MAX, NAME_CHARS_MAX, NameError, Subscription, SubscriptionConfig, Topic};
pub use port::{
    BoxFuture, DEAD_LETTERS_PAGE_MAX, DeadLetter, DeadLetterId, Depth, Publisher, Queue, Receiver, WAIT_MAX,
};
