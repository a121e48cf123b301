use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::batch::matched;
use crate::later::later;
use crate::{Backoff, BatchHandler, Context, Handler, HandlerError, Layer, Request};

/// Tries of one hand-out, the first included, unless told otherwise.
const TRIES_DEFAULT: u32 = 3;
/// Pauses between them: short, since a message holds its permit while it waits here; the queue does the long waits.
const BACKOFF_DEFAULT: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));

/// Tries again in place, a few times, before the message goes back to the queue.
///
/// For what passes by itself in moments. Poison is not tried again, nor is a failure that names its own delay (the queue
/// can wait longer than we should), nor anything after the cancellation fired or when the pause would outlast the
/// deadline. Pauses grow as [`Backoff`] says. Of a batch, those that failed are tried again, together. Which errors pass by
/// themselves is told by a [`Classify`](super::Classify) inside of it.
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

    /// When try `tries` + 1 may begin.
    fn resumes_at(&self, tries: u32) -> Instant {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        later(Instant::now(), self.backoff.delay(tries, &mut rng))
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
            let resumes_at = self.retry.resumes_at(tries);
            if context.deadline.is_some_and(|deadline| deadline <= resumes_at) {
                return answer;
            }
            tracing::debug!(tries, error = %source, "trying again in place");
            tokio::select! {
                biased;
                _ = context.cancellation.cancelled() => return answer,
                () = tokio::time::sleep_until(resumes_at) => {}
            }
            tries += 1;
        }
    }
}

impl<M: Clone + Send + Sync, H: BatchHandler<M>> BatchHandler<M> for RetryHandler<H> {
    async fn handle_batch(&self, batch: &[Request<M>]) -> Vec<Result<(), HandlerError>> {
        let mut answers = matched(self.inner.handle_batch(batch).await, batch.len());
        for tries in 1..self.retry.tries_max {
            let resumes_at = self.retry.resumes_at(tries);
            let fails = |answer: &Result<(), HandlerError>| {
                matches!(answer, Err(HandlerError::Retry { after: None, .. }))
            };
            let has_time = |context: &Context| {
                !context.cancellation.is_cancelled() && context.deadline.is_none_or(|at| at > resumes_at)
            };
            let again = || {
                let each = answers.iter().zip(batch).enumerate();
                each.filter(|(_, (answer, item))| fails(answer) && has_time(&item.context))
            };
            if again().next().is_none() {
                break;
            }
            tracing::debug!(tries, messages = again().count(), "trying again in place");
            tokio::time::sleep_until(resumes_at).await;
            // Whose lease is lost by now is left alone.
            let (places, rest): (Vec<usize>, Vec<_>) =
                again().map(|(place, (_, item))| (place, item.clone())).unzip();
            if rest.is_empty() {
                break;
            }
            let next = matched(self.inner.handle_batch(&rest).await, rest.len());
            for (place, answer) in places.into_iter().zip(next) {
                if let Some(old) = answers.get_mut(place) {
                    *old = answer;
                }
            }
        }
        answers
    }
}
