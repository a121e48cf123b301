//! The function that handles a message.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use queue::{BoxFuture, Message};

use crate::{Context, HandlerError};

/// Handles messages of type `M`: a [`Message`] as it came, or what a [`Router`](crate::Router) made of it.
///
/// # What the implementer owes
/// - **Idempotence.** Every message may come twice, also while the first is still being handled, here or in another
///   process; and in any order. A handler that is a CRDT merge has this property for free.
/// - **Ok means done for good.** After `Ok` the message is acked, and nobody will ever see it again. So what it caused
///   must be durable before, not after:
///
///   ```
///   # use antiphon_consumer::{Context, HandlerError};
///   # struct Store; impl Store { async fn write(&self, _: &[u8]) -> Result<(), std::io::Error> { Ok(()) } }
///   # use queue::Message;
///   // Wrong: acked while the write is still under way. A crash now loses the message.
///   async fn hasty(store: &'static Store, message: Message) -> Result<(), HandlerError> {
///       tokio::spawn(async move { store.write(&message.body).await });
///       Ok(())
///   }
///
///   // Right: the error, too, arrives where it is retried.
///   async fn patient(store: &'static Store, message: Message) -> Result<(), HandlerError> {
///       Ok(store.write(&message.body).await?)
///   }
///   ```
/// - **It may be dropped** at any await, when its lease is lost or the consumer is stopped. What was not finished must be
///   as if it had not begun, or be harmless to repeat.
/// - It blocks no thread: a handler that computes for long yields, or moves to a blocking thread.
///
/// # What it may rely on
/// - It runs for as long as it needs: its lease is extended. When [`Context::cancellation`] fires the lease is lost, and
///   its answer no longer counts.
/// - A panic is a failure like any other, to be tried again.
/// - `handle` is called again only for another hand-out; calls for different messages run at the same time.
pub trait Handler<M = Message>: Send + Sync {
    /// Handles one message.
    ///
    /// Errors: [`HandlerError::Retry`], which every error becomes through `?`, hands it out again after a growing delay;
    /// [`HandlerError::Poison`] puts it aside with its reason.
    fn handle(&self, message: &M, context: &Context)
    -> impl Future<Output = Result<(), HandlerError>> + Send;
}

impl<M: Sync, H: Handler<M> + ?Sized> Handler<M> for Arc<H> {
    fn handle(
        &self,
        message: &M,
        context: &Context,
    ) -> impl Future<Output = Result<(), HandlerError>> + Send {
        (**self).handle(message, context)
    }
}

/// [`Handler`] in a form that can be a trait object. Implemented for every handler; call [`Handler::handle`].
trait DynHandler<M>: Send + Sync {
    fn handle_boxed<'a>(
        &'a self,
        message: &'a M,
        context: &'a Context,
    ) -> BoxFuture<'a, Result<(), HandlerError>>;
}

impl<M: Sync, H: Handler<M>> DynHandler<M> for H {
    fn handle_boxed<'a>(
        &'a self,
        message: &'a M,
        context: &'a Context,
    ) -> BoxFuture<'a, Result<(), HandlerError>> {
        Box::pin(self.handle(message, context))
    }
}

/// Any handler, its type forgotten: for tables of handlers. Cheap to clone.
pub struct BoxHandler<M = Message>(Arc<dyn DynHandler<M>>);

impl<M: Sync> BoxHandler<M> {
    /// Forgets the type of `handler`.
    pub fn new(handler: impl Handler<M> + 'static) -> Self {
        Self(Arc::new(handler))
    }
}

impl<M> Clone for BoxHandler<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M> fmt::Debug for BoxHandler<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BoxHandler")
    }
}

impl<M: Sync> Handler<M> for BoxHandler<M> {
    async fn handle(&self, message: &M, context: &Context) -> Result<(), HandlerError> {
        self.0.handle_boxed(message, context).await
    }
}

/// A handler made of an async function; see [`handler_fn`].
pub struct HandlerFn<F, M> {
    function: F,
    message: PhantomData<fn(&M)>,
}

impl<F, M> fmt::Debug for HandlerFn<F, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandlerFn")
    }
}

impl<F: Clone, M> Clone for HandlerFn<F, M> {
    fn clone(&self) -> Self {
        Self { function: self.function.clone(), message: PhantomData }
    }
}

/// A handler made of an async function of a message and its context, both owned (they are cheap to clone), since a
/// future that borrows its arguments cannot yet be promised to be `Send`.
///
/// ```
/// # use antiphon_consumer::{Context, HandlerError, handler_fn};
/// # use queue::Message;
/// let handler = handler_fn(|message: Message, _context: Context| async move {
///     println!("{} bytes", message.body.len());
///     Ok(())
/// });
/// # fn is_handler(_: impl antiphon_consumer::Handler) {}
/// # is_handler(handler);
/// ```
pub fn handler_fn<M, F, Fut>(function: F) -> HandlerFn<F, M>
where
    M: Clone,
    F: Fn(M, Context) -> Fut + Send + Sync,
    Fut: Future<Output = Result<(), HandlerError>> + Send,
{
    HandlerFn { function, message: PhantomData }
}

impl<M, F, Fut> Handler<M> for HandlerFn<F, M>
where
    M: Clone,
    F: Fn(M, Context) -> Fut + Send + Sync,
    Fut: Future<Output = Result<(), HandlerError>> + Send,
{
    fn handle(
        &self,
        message: &M,
        context: &Context,
    ) -> impl Future<Output = Result<(), HandlerError>> + Send {
        (self.function)(message.clone(), context.clone())
    }
}
