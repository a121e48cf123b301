//! Any tower service as a handler.

use std::fmt;

use tower_service::Service;

use crate::{BoxError, Context, Handler, HandlerError};

/// What a tower service is called with, and an item of a batch.
#[derive(Debug, Clone)]
pub struct Request<M> {
    /// The message.
    pub message: M,
    /// Its circumstances.
    pub context: Context,
}

/// A [`Service`] that takes [`Request`]s, as a [`Handler`]; see [`tower_handler`].
pub struct TowerHandler<S> {
    service: S,
}

impl<S> fmt::Debug for TowerHandler<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TowerHandler")
    }
}

/// Makes a handler of a service, and with it, of everything that tower can put around one.
///
/// Each message gets its own clone of the service, which is driven to readiness before it is called: what clones share (the
/// permits of a concurrency limit) limits all messages. The answer's value is dropped. An error is tried again, a
/// [`PoisonError`](crate::PoisonError) that no layer wrapped is poison.
pub fn tower_handler<S>(service: S) -> TowerHandler<S> {
    TowerHandler { service }
}

impl<M, S> Handler<M> for TowerHandler<S>
where
    M: Clone + Send + Sync,
    S: Service<Request<M>> + Clone + Send + Sync,
    S::Error: Into<BoxError>,
    S::Future: Send,
{
    async fn handle(&self, message: &M, context: &Context) -> Result<(), HandlerError> {
        let failed = |error: S::Error| HandlerError::from_boxed(error.into());
        let mut service = self.service.clone();
        std::future::poll_fn(|task| service.poll_ready(task)).await.map_err(failed)?;
        let request = Request { message: message.clone(), context: context.clone() };
        service.call(request).await.map(drop).map_err(failed)
    }
}
