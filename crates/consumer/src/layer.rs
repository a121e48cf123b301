//! Middleware: what is put around a handler.

/// Puts something around a handler: handler in, handler out.
///
/// # What the implementer owes
/// A layer may call the inner handler once, several times, or not at all, but its own answer must stay true: it says
/// `Ok` only if the message is done for good. It passes [`Poison`](crate::HandlerError::Poison) on. It may be dropped at
/// any await, like a handler.
pub trait Layer<H> {
    /// The handler with the layer around it.
    type Handler;

    /// Wraps `inner`.
    fn layer(&self, inner: H) -> Self::Handler;
}

/// The layer that does nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Identity;

impl<H> Layer<H> for Identity {
    type Handler = H;

    fn layer(&self, inner: H) -> H {
        inner
    }
}

/// Two layers, or stacks of them, one around the other; see [`layers!`](macro@crate::layers).
#[derive(Debug, Clone, Copy, Default)]
pub struct Stack<Outer, Inner> {
    outer: Outer,
    inner: Inner,
}

impl<Outer, Inner> Stack<Outer, Inner> {
    /// `outer` around `inner`.
    pub fn new(outer: Outer, inner: Inner) -> Self {
        Self { outer, inner }
    }
}

impl<H, Outer, Inner> Layer<H> for Stack<Outer, Inner>
where
    Inner: Layer<H>,
    Outer: Layer<Inner::Handler>,
{
    type Handler = Outer::Handler;

    fn layer(&self, handler: H) -> Self::Handler {
        self.outer.layer(self.inner.layer(handler))
    }
}

/// Stacks layers. **The first one listed is outermost**: it sees the message first and the answer last.
///
/// ```
/// # use std::sync::{Arc, Mutex};
/// use antiphon_consumer::{Context, Handler, HandlerError, Layer, layers};
/// use queue::Message;
///
/// type Log = Arc<Mutex<Vec<String>>>;
/// struct Say(&'static str, Log);
/// struct Saying<H>(&'static str, Log, H);
///
/// impl<H> Layer<H> for Say {
///     type Handler = Saying<H>;
///     fn layer(&self, inner: H) -> Saying<H> { Saying(self.0, self.1.clone(), inner) }
/// }
/// impl<H: Handler> Handler for Saying<H> {
///     async fn handle(&self, message: &Message, context: &Context) -> Result<(), HandlerError> {
///         self.1.lock().unwrap().push(format!("{} in", self.0));
///         let answer = self.2.handle(message, context).await;
///         self.1.lock().unwrap().push(format!("{} out", self.0));
///         answer
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let log = Log::default();
/// let stack = layers![Say("first", log.clone()), Say("second", log.clone())];
/// let handler = stack.layer(antiphon_consumer::handler_fn(|_: Message, _| async { Ok(()) }));
/// # let subscription = "t/s/x".parse().unwrap();
/// handler.handle(&Message::default(), &Context::new(subscription)).await.unwrap();
/// assert_eq!(*log.lock().unwrap(), ["first in", "second in", "second out", "first out"]);
/// # }
/// ```
#[macro_export]
macro_rules! layers {
    () => { $crate::Identity };
    ($outermost:expr $(, $inner:expr)* $(,)?) => {
        $crate::Stack::new($outermost, $crate::layers![$($inner),*])
    };
}
