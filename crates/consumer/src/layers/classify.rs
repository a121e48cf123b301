use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::batch::matched;
use crate::error::Chain;
use crate::{BatchHandler, Context, Handler, HandlerError, Layer, Request};

/// What an error says about the next try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// It passes by itself in moments: a connection that broke. [`Retry`](super::Retry) tries again in place, then the
    /// queue does.
    Transient,
    /// It passes, but not soon: a limit that was reached. Nothing is tried in place; the queue waits this long.
    Later(Duration),
    /// It never passes: the message is at fault. It is put aside, with the error as the reason.
    Poison,
}

type ClassOf = Arc<dyn Fn(&(dyn Error + 'static)) -> Class + Send + Sync>;

/// Tells by a handler's errors what is to be done about them, so that handlers need only `?`.
///
/// It looks at what would be [tried again](HandlerError::Retry) without a delay of its own, and leaves alone what the
/// handler has decided: poison, and delays. To be put inside of [`Retry`](super::Retry), which acts on the answer:
///
/// ```
/// # use std::time::Duration;
/// use std::io;
///
/// use antiphon_consumer::layers::{Class, Classify, Retry};
/// use antiphon_consumer::{Context, Handler, HandlerError, Layer, handler_fn, layers};
/// use queue::Message;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let classify = Classify::new(|error| match error.downcast_ref::<io::Error>().map(io::Error::kind) {
///     Some(io::ErrorKind::InvalidData) => Class::Poison,
///     Some(io::ErrorKind::StorageFull) => Class::Later(Duration::from_secs(60)),
///     _ => Class::Transient,
/// });
/// let handler = handler_fn(|_: Message, _: Context| async {
///     Err(io::Error::new(io::ErrorKind::InvalidData, "no such field"))?
/// });
/// let answer = layers![Retry::new(7), classify].layer(handler).handle(&Message::default(), &context()).await;
/// assert!(matches!(answer, Err(HandlerError::Poison { reason }) if reason == "no such field"));
/// # }
/// # fn context() -> Context { Context::new("topic/service/site".parse().unwrap()) }
/// ```
#[derive(Clone)]
pub struct Classify {
    class_of: ClassOf,
}

impl fmt::Debug for Classify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Classify")
    }
}

impl Classify {
    /// Asks `class_of`, which must not block.
    pub fn new(class_of: impl Fn(&(dyn Error + 'static)) -> Class + Send + Sync + 'static) -> Self {
        Self { class_of: Arc::new(class_of) }
    }

    fn judged(&self, answer: Result<(), HandlerError>) -> Result<(), HandlerError> {
        let Err(HandlerError::Retry { source, after: None }) = answer else { return answer };
        Err(match (self.class_of)(&*source) {
            Class::Transient => HandlerError::Retry { source, after: None },
            Class::Later(after) => HandlerError::Retry { source, after: Some(after) },
            Class::Poison => HandlerError::poison(Chain(&*source).to_string()),
        })
    }
}

impl<H> Layer<H> for Classify {
    type Handler = ClassifyHandler<H>;

    fn layer(&self, inner: H) -> ClassifyHandler<H> {
        ClassifyHandler { inner, classify: self.clone() }
    }
}

/// See [`Classify`].
#[derive(Debug, Clone)]
pub struct ClassifyHandler<H> {
    inner: H,
    classify: Classify,
}

impl<M: Sync, H: Handler<M>> Handler<M> for ClassifyHandler<H> {
    async fn handle(&self, message: &M, context: &Context) -> Result<(), HandlerError> {
        self.classify.judged(self.inner.handle(message, context).await)
    }
}

impl<M: Sync, H: BatchHandler<M>> BatchHandler<M> for ClassifyHandler<H> {
    async fn handle_batch(&self, batch: &[Request<M>]) -> Vec<Result<(), HandlerError>> {
        let answers = matched(self.inner.handle_batch(batch).await, batch.len());
        answers.into_iter().map(|answer| self.classify.judged(answer)).collect()
    }
}
