use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::{Backoff, Context, Handler, HandlerError, Layer};

/// Tries of one hand-out, the first included, unless told otherwise.
const TRIES_DEFAULT: u32 = 3;
/// Pauses between them: short, since a message holds its permit while it waits here; the queue does the long waits.
const BACKOFF_DEFAULT: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));

/// Tries again in place, a few times, before the message goes back to the queue.
///
/// For what passes by itself in moments. Poison is not tried again, nor is a failure that names its own delay (the queue
/// can wait longer than we should), nor anything after the cancellation fired or when the pause would outlast the
/// deadline. Pauses grow as [`Backoff`] says.
#[derive(Debug, Clone)]
pub struct Retry {
    tries_max: u32,
    backoff: Backoff,
    rng: Arc<Mutex<fastrand::Rng>>,
}

impl Retry {
    /// Up to 3 tries, with pauses of up to 100 ms and 200 ms. `seed` decides the jitter.
    pub fn new(seed: u64) -> Self {
        let rng = Arc::new(Mutex::new(fastrand::Rng::with_seed(seed)));
        Self { tries_max: TRIES_DEFAULT, backoff: BACKOFF_DEFAULT, rng }
    }

    /// Sets how many tries there are in all (0 is taken for 1).
    #[must_use]
    pub fn tries(mut self, tries_max: u32) -> Self {
        self.tries_max = tries_max.max(1);
        self
    }

    /// Sets the pauses between them.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }
}

impl<H> Layer<H> for Retry {
    type Handler = RetryHandler<H>;

    fn layer(&self, inner: H) -> RetryHandler<H> {
        RetryHandler { inner, retry: self.clone() }
    }
}

/// See [`Retry`].
#[derive(Debug, Clone)]
pub struct RetryHandler<H> {
    inner: H,
    retry: Retry,
}

impl<M: Sync, H: Handler<M>> Handler<M> for RetryHandler<H> {
    async fn handle(&self, message: &M, context: &Context) -> Result<(), HandlerError> {
        let mut tries = 1;
        loop {
            let answer = self.inner.handle(message, context).await;
            let Err(HandlerError::Retry { after: None, source }) = &answer else { return answer };
            if tries >= self.retry.tries_max || context.cancellation.is_cancelled() {
                return answer;
            }
            let pause = {
                let mut rng = self.retry.rng.lock().unwrap_or_else(PoisonError::into_inner);
                self.retry.backoff.delay(tries, &mut rng)
            };
            let resumes_at = tokio::time::Instant::now() + pause;
            if context.deadline.is_some_and(|deadline| deadline <= resumes_at) {
                return answer;
            }
            tracing::debug!(tries, ?pause, error = %source, "trying again in place");
            tokio::select! {
                biased;
                _ = context.cancellation.cancelled() => return answer,
                () = tokio::time::sleep_until(resumes_at) => {}
            }
            tries += 1;
        }
    }
}
