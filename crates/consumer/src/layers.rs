//! The layers, one file each.

mod catch_panic;
mod dead_letter;
mod metrics;
mod retry;
mod timeout;
mod trace;

pub(crate) use catch_panic::catching;
pub use catch_panic::{CatchPanic, CatchPanicHandler};
pub use dead_letter::{DeadLetterAfter, DeadLetterAfterHandler};
pub use metrics::{Metrics, MetricsHandler};
pub use retry::{Retry, RetryHandler};
pub use timeout::{Timeout, TimeoutError, TimeoutHandler};
pub use trace::{Trace, TraceHandler};

use crate::{Layer, layers};

/// The layers that a consumer should have: [`Trace`], [`Metrics`], [`CatchPanic`], [`Retry`], the first outermost. So one
/// span and one measurement cover all tries, and a panic in a retry is caught too. (Keeping the lease alive is the
/// pump's work, since it goes on after the handler has ended.)
#[derive(Debug, Clone)]
pub struct DefaultStack {
    seed: u64,
}

impl DefaultStack {
    /// The stack; `seed` decides the jitter of its retries, and is to differ between processes.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }
}

impl<H> Layer<H> for DefaultStack {
    type Handler = TraceHandler<MetricsHandler<CatchPanicHandler<RetryHandler<H>>>>;

    fn layer(&self, inner: H) -> Self::Handler {
        layers![Trace, Metrics, CatchPanic, Retry::new(self.seed)].layer(inner)
    }
}
