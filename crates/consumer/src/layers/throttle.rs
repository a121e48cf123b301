use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::later::later;
use crate::{CancelReason, Context, Handler, HandlerError, Layer};

/// Limits how many messages are handled per time: a bucket of tokens that fills at a rate and holds a burst.
///
/// A message waits for its token here, with its permit and its lease, so the pump receives no more than can be handled.
/// One whose deadline, set by a [`Timeout`](super::Timeout) outside, would pass before is given back for as long.
/// Clones, and all handlers that it is put around, share the bucket. Put it outside of [`Retry`](super::Retry) to limit
/// messages, inside to limit tries.
///
/// ```
/// # use std::time::Duration;
/// use antiphon_consumer::layers::Throttle;
/// use antiphon_consumer::{Context, Handler, Layer, handler_fn};
/// use queue::Message;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let handler = Throttle::new(100, Duration::from_secs(1)).burst(10)
///     .layer(handler_fn(|_: Message, _: Context| async { Ok(()) }));
/// let began = tokio::time::Instant::now();
/// for _ in 0..110 {
///     handler.handle(&Message::default(), &context()).await.unwrap();
/// }
/// assert_eq!(began.elapsed(), Duration::from_secs(1), "ten at once, then one every 10 ms");
/// # }
/// # fn context() -> Context { Context::new("topic/service/site".parse().unwrap()) }
/// ```
#[derive(Debug, Clone)]
pub struct Throttle {
    /// Between two tokens.
    interval: Duration,
    burst: u32,
    /// When the bucket will be full again, had nobody come since. Nothing else has to be kept.
    full_at: Arc<Mutex<Option<Instant>>>,
}

impl Throttle {
    /// At most `messages` (0 is taken for 1) per `period`, evenly: with a burst of one.
    pub fn new(messages: u32, period: Duration) -> Self {
        Self { interval: period / messages.max(1), burst: 1, full_at: Arc::default() }
    }

    /// Sets how many may follow each other at once after a pause (0 is taken for 1).
    #[must_use]
    pub fn burst(mut self, burst: u32) -> Self {
        self.burst = burst.max(1);
        self
    }

    /// Takes a token, and tells when it may be used.
    fn take(&self, deadline: Option<Instant>) -> Result<Instant, Duration> {
        let now = Instant::now();
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let next_full_at = later(full_at.map_or(now, |at| at.max(now)), self.interval);
        let saved = self.interval.saturating_mul(self.burst);
        let usable_at = next_full_at.checked_sub(saved).map_or(now, |at| at.max(now));
        if deadline.is_some_and(|deadline| deadline <= usable_at) {
            return Err(usable_at - now);
        }
        *full_at = Some(next_full_at);
        Ok(usable_at)
    }
}

/// The message got no token in time: it was not handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throttled(&'static str);

impl fmt::Display for Throttled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "throttled: {}", self.0)
    }
}

impl std::error::Error for Throttled {}

impl<H> Layer<H> for Throttle {
    type Handler = ThrottleHandler<H>;

    fn layer(&self, inner: H) -> ThrottleHandler<H> {
        ThrottleHandler { inner, throttle: self.clone() }
    }
}

/// See [`Throttle`].
#[derive(Debug, Clone)]
pub struct ThrottleHandler<H> {
    inner: H,
    throttle: Throttle,
}

impl<M: Sync, H: Handler<M>> Handler<M> for ThrottleHandler<H> {
    async fn handle(&self, message: &M, context: &Context) -> Result<(), HandlerError> {
        let usable_at = match self.throttle.take(context.deadline) {
            Ok(usable_at) => usable_at,
            Err(wait) => {
                return Err(HandlerError::retry_after(Throttled("its token comes after its deadline"), wait));
            }
        };
        tokio::select! {
            biased;
            reason = context.cancellation.cancelled(), if usable_at > Instant::now() => {
                let why = match reason {
                    CancelReason::LeaseLost => "its lease was lost before its token came",
                    CancelReason::Stopped => "the consumer was stopped before its token came",
                };
                return Err(HandlerError::retry(Throttled(why)));
            }
            () = tokio::time::sleep_until(usable_at) => {}
        }
        self.inner.handle(message, context).await
    }
}
