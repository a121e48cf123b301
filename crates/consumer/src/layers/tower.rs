use std::fmt;
use std::sync::Arc;
use std::task::{Context as Task, Poll};

use queue::BoxFuture;
use tower_service::Service;

use crate::error::Failure;
use crate::{BoxError, Handler, Layer, Request, TowerHandler, tower_handler};

/// Any layer of tower's around a handler: a concurrency limit, load shedding, a deadline, what a company has written for
/// its HTTP services.
///
/// The service inside takes [`Request`]s, answers `()`, and fails with what the handler failed with; poison stays poison,
/// and a delay stays a delay, unless a layer wraps the error into its own. An error of a layer is tried again. The outer
/// service is cloned for each message, so what clones share limits all of them; a layer whose service is not `Clone` goes
/// behind tower's `Buffer`.
///
/// ```
/// # use std::time::Duration;
/// use antiphon_consumer::layers::{Retry, TowerLayer};
/// use antiphon_consumer::{Context, Handler, Layer, handler_fn, layers};
/// use queue::Message;
/// use tower::limit::ConcurrencyLimitLayer;
/// use tower::timeout::TimeoutLayer;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let stack = layers![
///     Retry::new(42),
///     TowerLayer(ConcurrencyLimitLayer::new(4)),
///     TowerLayer(TimeoutLayer::new(Duration::from_secs(5))),
/// ];
/// let handler = stack.layer(handler_fn(|_: Message, _: Context| async { Ok(()) }));
/// handler.handle(&Message::new("a"), &context()).await.unwrap();
/// # }
/// # fn context() -> Context { Context::new("topic/service/site".parse().unwrap()) }
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct TowerLayer<L>(pub L);

impl<H, L: tower_layer::Layer<HandlerService<H>>> Layer<H> for TowerLayer<L> {
    type Handler = TowerHandler<L::Service>;

    fn layer(&self, inner: H) -> Self::Handler {
        tower_handler(self.0.layer(HandlerService(Arc::new(inner))))
    }
}

/// A handler as a tower service: always ready, since its pump has the permits.
pub struct HandlerService<H>(Arc<H>);

impl<H> Clone for HandlerService<H> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<H> fmt::Debug for HandlerService<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandlerService")
    }
}

impl<M: Send + Sync + 'static, H: Handler<M> + 'static> Service<Request<M>> for HandlerService<H> {
    type Response = ();
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<(), BoxError>>;

    fn poll_ready(&mut self, _: &mut Task<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<M>) -> Self::Future {
        let handler = Arc::clone(&self.0);
        Box::pin(async move {
            let answer = handler.handle(&request.message, &request.context).await;
            answer.map_err(Failure::boxed)
        })
    }
}
