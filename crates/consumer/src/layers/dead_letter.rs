use super::{CircuitOpen, Throttled};
use crate::batch::matched;
use crate::error::Chain;
use crate::{BatchHandler, BoxError, Context, Handler, HandlerError, Layer, Request};

/// Gives a message up after `n` receives: the failure of the last one becomes poison, with its reason. What a
/// [`CircuitBreaker`](super::CircuitBreaker) or a [`Throttle`](super::Throttle) turned away was not tried, and is not given up.
///
/// Not in the default stack, since a broker that is down for an hour makes every message fail for an hour. A handler that
/// asks for it says that after `n` tries the message is to blame.
#[derive(Debug, Clone, Copy)]
pub struct DeadLetterAfter {
    receives_max: u32,
}

impl DeadLetterAfter {
    /// Gives up at the failure of receive number `receives_max` (0 is taken for 1).
    pub fn new(receives_max: u32) -> Self {
        Self { receives_max: receives_max.max(1) }
    }
}

impl<H> Layer<H> for DeadLetterAfter {
    type Handler = DeadLetterAfterHandler<H>;

    fn layer(&self, inner: H) -> DeadLetterAfterHandler<H> {
        DeadLetterAfterHandler { inner, receives_max: self.receives_max }
    }
}

/// See [`DeadLetterAfter`].
#[derive(Debug, Clone)]
pub struct DeadLetterAfterHandler<H> {
    inner: H,
    receives_max: u32,
}

/// What a layer turned away is not to blame.
fn was_tried(source: &BoxError) -> bool {
    !source.is::<CircuitOpen>() && !source.is::<Throttled>()
}

impl<H> DeadLetterAfterHandler<H> {
    fn judged(&self, answer: Result<(), HandlerError>, context: &Context) -> Result<(), HandlerError> {
        match answer {
            Err(HandlerError::Retry { source, .. })
                if context.receive_count >= self.receives_max && was_tried(&source) =>
            {
                let received = context.receive_count;
                Err(HandlerError::poison(format!("given up after {received} receives: {}", Chain(&*source))))
            }
            answer => answer,
        }
    }
}

impl<M: Sync, H: Handler<M>> Handler<M> for DeadLetterAfterHandler<H> {
    async fn handle(&self, message: &M, context: &Context) -> Result<(), HandlerError> {
        self.judged(self.inner.handle(message, context).await, context)
    }
}

impl<M: Sync, H: BatchHandler<M>> BatchHandler<M> for DeadLetterAfterHandler<H> {
    async fn handle_batch(&self, batch: &[Request<M>]) -> Vec<Result<(), HandlerError>> {
        let answers = matched(self.inner.handle_batch(batch).await, batch.len());
        answers.into_iter().zip(batch).map(|(answer, item)| self.judged(answer, &item.context)).collect()
    }
}
