//! Runs handlers on the messages of any queue.
//!
//! A handler is an async function of a message. The [`Pump`] receives messages, runs the handler on each in a task of its
//! own, keeps their leases alive for as long as that takes and until the ack is confirmed, acks what succeeded, gives
//! back what failed, puts aside what is poison, and stops gracefully. [`Layer`]s put behaviour around handlers, a
//! [`Router`] chooses among them by the type of a `CloudEvent`, and any tower service [is one too](tower_handler).
//!
//! It knows nothing of Antiphon but its queue port, and is usable with any [`queue::Queue`].
//!
//! ```
//! use std::time::Duration;
//!
//! use antiphon_consumer::{Context, DefaultStack, Layer, Pump, handler_fn};
//! use queue::{MemoryQueue, Message, Queue, Subscription, SubscriptionConfig};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let queue = MemoryQueue::new();
//! let subscription: Subscription = "comments.tallies/stories/eu-1".parse()?;
//! let receiver = queue.subscribe(&subscription, SubscriptionConfig::default()).await?;
//!
//! for answer in queue.publisher().publish(subscription.topic(), vec![Message::new("5 comments")]).await {
//!     answer?;
//! }
//!
//! // The handler *is* the merge: duplicates, retries and any order do it no harm.
//! let merge = handler_fn(|message: Message, context: Context| async move {
//!     let text = std::str::from_utf8(&message.body)?;
//!     println!("{}: {text}, received {} times", context.subscription, context.receive_count);
//!     Ok(())
//! });
//!
//! let pump = Pump::builder(receiver, DefaultStack::new(42).layer(merge)).permits(64).build();
//! let summary = pump.run(tokio::time::sleep(Duration::from_secs(1))).await;
//! assert_eq!((summary.received, summary.acked), (1, 1));
//! # Ok(())
//! # }
//! ```
//!
//! # Map
//! | file | what |
//! |---|---|
//! | `handler`, `json` | the contract of a handler; [`handler_fn`], [`json_fn`], [`BoxHandler`] |
//! | `batch` | handlers of several messages at once |
//! | `context`, `cancel` | what a handler is told beside the message; the token that stops it |
//! | `error` | retry or poison: how a handler fails |
//! | `layer`, [`mod@layers`] | handler in, handler out; [in which order](mod@layers) |
//! | `router` | routing on the type of an event, or on any property of JSON |
//! | `merge`, [`laws`] | a lattice join as a handler; the check that order and repetition do not matter to one |
//! | [`audit`] | sent = merged + in flight + dead, through restarts |
//! | `trace_context` | where a message comes from, and passing it on |
//! | `tower_adapter` | tower services as handlers |
//! | `pump` | the loop; beside it `start` (beginning), `order` (by key), `lease` (keeping), `ack` (settling), `flight` (what is held), `meter` |
//! | `gate` | holding pumps back |
//! | `dead_letters` | where poison goes |
//! | `backoff`, `later` | how long to wait before trying again; until when |
//!
//! # What it never does
//! It never acks what no handler finished, and never drops what one did: an ack that fails is repeated while the lease
//! lives. It never holds more messages than its permits. It gives no message up by itself: only a handler, or a layer
//! that it asked for, calls one poison. It reads no clock, environment or randomness: time is tokio's (which tests
//! pause), the wall clock and the seed of all jitter are given to it.

pub mod audit;
mod backoff;
mod batch;
mod cancel;
mod context;
mod dead_letters;
mod error;
mod gate;
mod handler;
mod json;
mod later;
pub mod laws;
mod layer;
pub mod layers;
mod merge;
mod pump;
mod router;
mod tower_adapter;
mod trace_context;

pub use backoff::Backoff;
pub use batch::{BatchFn, BatchHandler, Each, WrongAnswers, batch_fn, fail_all};
pub use cancel::{CancelReason, CancelSource, Cancellation};
pub use context::Context;
pub use dead_letters::{DeadLetters, Kept, QueueDeadLetters};
pub use error::{BoxError, Chain, HandlerError, PoisonError};
pub use gate::Gate;
pub use handler::{BoxHandler, Handler, HandlerFn, handler_fn};
pub use json::{JsonFn, json_fn};
pub use layer::{Identity, Layer, Stack};
pub use layers::DefaultStack;
pub use merge::{MemoryTable, MergeHandler, Table, merge_handler};
pub use pump::{
    ACK_BATCH_MAX, ACK_WAIT_MAX, BATCH_MAX_DEFAULT, CANCEL_GRACE_DEFAULT, CLOSE_MAX, DRAIN_DEFAULT, Gauge,
    LINGER_DEFAULT, MessageBatches, Messages, PERMITS_DEFAULT, Pump, PumpBuilder, RATE_WINDOW, Summary,
};
pub use router::{PropertyRouter, Router, UnknownType};
pub use tower_adapter::{Request, TowerHandler, tower_handler};
pub use trace_context::{
    CORRELATION_ID, CORRELATION_ID_BYTES_MAX, Origin, TRACEPARENT, TRACESTATE, TraceParent, TraceParentError,
};

/// The programs of the guide are run as tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/consumer.md")]
struct Guide;
