use crate::{Context, Handler, HandlerError, Layer};

/// Runs the handler twice on each message, to find handlers that cannot bear it: for tests, for staging, and for the brave.
///
/// A queue that delivers at least once does this by itself, but seldom enough to be found by customers. `Ok` is answered
/// only if both runs say it. [`laws::check_handler`](crate::laws::check_handler) looks deeper, and compares what comes
/// of it.
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
///
/// use antiphon_consumer::layers::Duplicate;
/// use antiphon_consumer::{Context, Handler, Layer, handler_fn};
/// use queue::Message;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// static COMMENTS: AtomicU32 = AtomicU32::new(0);
/// let handler = Duplicate::new().layer(handler_fn(|_: Message, _: Context| async {
///     COMMENTS.fetch_add(1, Ordering::Relaxed);
///     Ok(())
/// }));
/// handler.handle(&Message::new("a comment"), &context()).await.unwrap();
/// assert_eq!(COMMENTS.load(Ordering::Relaxed), 2, "one comment, counted twice");
/// # }
/// # fn context() -> Context { Context::new("topic/service/site".parse().unwrap()) }
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Duplicate {
    is_concurrent: bool,
}

impl Duplicate {
    /// One run after the other; the second one only if the first said `Ok`.
    pub fn new() -> Self {
        Self::default()
    }

    /// Both at the same time, as two processes do when a lease was lost.
    #[must_use]
    pub fn concurrently(mut self) -> Self {
        self.is_concurrent = true;
        self
    }
}

impl<H> Layer<H> for Duplicate {
    type Handler = DuplicateHandler<H>;

    fn layer(&self, inner: H) -> DuplicateHandler<H> {
        DuplicateHandler { inner, is_concurrent: self.is_concurrent }
    }
}

/// See [`Duplicate`].
#[derive(Debug, Clone)]
pub struct DuplicateHandler<H> {
    inner: H,
    is_concurrent: bool,
}

impl<M: Sync, H: Handler<M>> Handler<M> for DuplicateHandler<H> {
    async fn handle(&self, message: &M, context: &Context) -> Result<(), HandlerError> {
        let once = || self.inner.handle(message, context);
        let (first, second) = if self.is_concurrent {
            tokio::join!(once(), once())
        } else {
            once().await?;
            (Ok(()), once().await)
        };
        if let (Ok(()), Err(error)) | (Err(error), Ok(())) = (&first, &second) {
            tracing::warn!(%error, "of two runs on one message one failed");
        }
        first.and(second)
    }
}
