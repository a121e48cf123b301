//! Consumers.

mod backoff;
mod cancel;
mod context;
mod dead_letters;
mod error;
mod handler;
mod layer;
pub mod layers;
mod pump;
mod router;
mod tower_adapter;

pub use backoff::Backoff;
pub use cancel::{CancelReason, CancelSource, Cancellation};
pub use context::Context;
pub use dead_letters::{DeadLetters, Kept, QueueDeadLetters};
pub use error::{BoxError, HandlerError, PoisonError};
pub use handler::{BoxHandler, Handler, HandlerFn, handler_fn};
pub use layer::{Identity, Layer, Stack};
pub use layers::DefaultStack;
pub use pump::{
    ACK_BATCH_MAX, ACK_WAIT_MAX, CANCEL_GRACE_DEFAULT, CLOSE_MAX, DRAIN_DEFAULT, Gauge, PERMITS_DEFAULT, Pump,
    PumpBuilder, Summary,
};
pub use router::{Router, UnknownType};
pub use tower_adapter::{Request, TowerHandler, tower_handler};
