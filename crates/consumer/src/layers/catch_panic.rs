use std::any::Any;
use std::fmt;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;

use crate::{BatchHandler, Context, Handler, HandlerError, Layer, Request};

/// Turns a panic into a failure to be tried again, so that layers outside of it see an answer.
///
/// Without it a panic costs no more (the pump catches it too), but trace and metrics would take it for a handler that
/// was dropped.
#[derive(Debug, Clone, Copy, Default)]
pub struct CatchPanic;

impl<H> Layer<H> for CatchPanic {
    type Handler = CatchPanicHandler<H>;

    fn layer(&self, inner: H) -> CatchPanicHandler<H> {
        CatchPanicHandler { inner }
    }
}

/// See [`CatchPanic`].
#[derive(Debug, Clone)]
pub struct CatchPanicHandler<H> {
    inner: H,
}

impl<M: Sync, H: Handler<M>> Handler<M> for CatchPanicHandler<H> {
    async fn handle(&self, message: &M, context: &Context) -> Result<(), HandlerError> {
        catching(async { self.inner.handle(message, context).await }).await
    }
}

impl<M: Sync, H: BatchHandler<M>> BatchHandler<M> for CatchPanicHandler<H> {
    async fn handle_batch(&self, batch: &[Request<M>]) -> Vec<Result<(), HandlerError>> {
        catching_batch(batch.len(), async { self.inner.handle_batch(batch).await }).await
    }
}

/// Runs a handler's future. Unwind safety is asserted: a handler's state is shared by concurrent calls, so it must
/// survive one that ends at any await already.
pub(crate) async fn catching(
    handling: impl Future<Output = Result<(), HandlerError>>,
) -> Result<(), HandlerError> {
    match AssertUnwindSafe(handling).catch_unwind().await {
        Ok(answer) => answer,
        Err(payload) => Err(HandlerError::retry(Panicked(told(&*payload)))),
    }
}

/// Runs a batch handler's future: a panic is a failure of all `messages`.
pub(crate) async fn catching_batch(
    messages: usize,
    handling: impl Future<Output = Vec<Result<(), HandlerError>>>,
) -> Vec<Result<(), HandlerError>> {
    match AssertUnwindSafe(handling).catch_unwind().await {
        Ok(answers) => answers,
        Err(payload) => {
            let panicked = Panicked(told(&*payload));
            (0..messages).map(|_| Err(HandlerError::retry(panicked.clone()))).collect()
        }
    }
}

fn told(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".to_owned())
}

#[derive(Debug, Clone)]
struct Panicked(String);

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the handler panicked: {}", self.0)
    }
}

impl std::error::Error for Panicked {}
