//! The layers, one file each.
//!
//! | layer | does | in batches |
//! |---|---|---|
//! | [`SnsUnwrap`] | takes messages out of SNS notifications, with the attributes that layers inside of it read | yes |
//! | [`Correlate`] | W3C trace context and correlation id, into the context and a span | contexts only |
//! | [`Trace`] | a span for each call, and a line for each failure | yes |
//! | [`Metrics`] | outcomes, durations, ages | yes |
//! | [`CatchPanic`] | a panic is a failure | yes |
//! | [`Audit`](crate::audit::Audit) | notes what was merged, before the ack | yes |
//! | [`DeadLetterAfter`] | gives up after so many receives | yes |
//! | [`CircuitBreaker`] | stops while everything fails | no |
//! | [`Retry`] | tries again in place | yes, those that failed |
//! | [`Throttle`] | so many per time | no |
//! | [`Timeout`] | no longer than that | yes |
//! | [`Classify`] | tells by the error whether to try again | yes |
//! | [`Duplicate`] | runs the handler twice, to find what cannot bear it | no |
//! | [`TowerLayer`] | any layer of tower's | no |
//!
//! # In which order
//! The first one listed is outermost; the table begins with those that are best outside. What a place means is shown by what
//! comes of it: here the span and the measurement cover all tries, a panic in a try is tried again, the timeout is that of
//! a try, and the circuit breaker counts messages, not tries.
//!
//! ```
//! use std::sync::atomic::{AtomicU32, Ordering};
//! use std::time::Duration;
//!
//! use antiphon_consumer::layers::{
//!     CatchPanic, Circuit, CircuitBreaker, Class, Classify, Correlate, DeadLetterAfter, Metrics, Retry, Timeout, Trace,
//! };
//! use antiphon_consumer::{Context, Handler, HandlerError, Layer, handler_fn, layers};
//! use queue::Message;
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! static TRIES: AtomicU32 = AtomicU32::new(0);
//! let handler = handler_fn(|_: Message, _: Context| async {
//!     match TRIES.fetch_add(1, Ordering::Relaxed) {
//!         0 => tokio::time::sleep(Duration::from_secs(60)).await, // too slow: the first try
//!         1 => panic!("the second"),
//!         _ => Err(std::io::Error::other("the third"))?,
//!     }
//!     Ok(())
//! });
//! let breaker = CircuitBreaker::new().failures(2);
//! let stack = layers![
//!     Correlate,
//!     Trace,
//!     Metrics,
//!     DeadLetterAfter::new(5),
//!     breaker.clone(),
//!     Retry::new(42).tries(3),
//!     CatchPanic, // inside of the retries here, so that a panic is tried again at once
//!     Timeout::new(Duration::from_secs(10)),
//!     Classify::new(|_| Class::Transient),
//! ];
//! let handler = stack.layer(handler);
//! let context = Context::new("topic/service/site".parse().unwrap());
//! let answer = handler.handle(&Message::new("a"), &context).await;
//! assert!(matches!(answer, Err(HandlerError::Retry { .. })), "after three tries it goes back to the queue");
//! assert_eq!(TRIES.load(Ordering::Relaxed), 3);
//! assert_eq!(breaker.circuit(), Circuit::Closed, "that was one failure, not three");
//!
//! let fifth = handler.handle(&Message::new("a"), &context.with_receive_count(5)).await;
//! assert!(matches!(fifth, Err(HandlerError::Poison { .. })), "the fifth receive was its last");
//! assert!(matches!(breaker.circuit(), Circuit::Open { .. }), "poison of a layer outside is a failure inside");
//! # }
//! ```

mod catch_panic;
mod circuit_breaker;
mod classify;
mod correlate;
mod dead_letter;
mod duplicate;
mod metrics;
mod retry;
mod sns;
mod throttle;
mod timeout;
mod tower;
mod trace;

pub use catch_panic::{CatchPanic, CatchPanicHandler};
pub(crate) use catch_panic::{catching, catching_batch};
pub use circuit_breaker::{Circuit, CircuitBreaker, CircuitBreakerHandler, CircuitOpen};
pub use classify::{Class, Classify, ClassifyHandler};
pub use correlate::{Correlate, CorrelateHandler};
pub use dead_letter::{DeadLetterAfter, DeadLetterAfterHandler};
pub use duplicate::{Duplicate, DuplicateHandler};
pub use metrics::{Metrics, MetricsHandler};
pub use retry::{Retry, RetryHandler};
pub use sns::{SNS_SUBJECT, SnsUnwrap, SnsUnwrapHandler};
pub use throttle::{Throttle, ThrottleHandler, Throttled};
pub use timeout::{Timeout, TimeoutError, TimeoutHandler};
pub use tower::{HandlerService, TowerLayer};
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
