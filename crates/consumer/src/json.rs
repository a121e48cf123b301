//! Handlers of typed messages in JSON.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;

use queue::Message;
use serde::de::DeserializeOwned;

use crate::{Context, Handler, HandlerError};

/// A handler made of an async function of what a body holds in JSON; see [`json_fn`].
pub struct JsonFn<F, T> {
    function: F,
    content: PhantomData<fn() -> T>,
}

impl<F, T> fmt::Debug for JsonFn<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JsonFn")
    }
}

impl<F: Clone, T> Clone for JsonFn<F, T> {
    fn clone(&self) -> Self {
        Self { function: self.function.clone(), content: PhantomData }
    }
}

/// A handler made of an async function of what the body holds in JSON, and the context. A body that does not decode is
/// poison, with what is wrong in it and where.
///
/// ```
/// use antiphon_consumer::{Context, Handler, HandlerError, json_fn};
/// use queue::Message;
///
/// #[derive(serde::Deserialize)]
/// struct Order { id: u64, items: Vec<String> }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let handler = json_fn(|order: Order, _context: Context| async move {
///     println!("order {} of {} items", order.id, order.items.len());
///     Ok(())
/// });
/// handler.handle(&Message::new(r#"{"id":7,"items":["tea"]}"#), &context()).await.unwrap();
/// let answer = handler.handle(&Message::new(r#"{"id":7}"#), &context()).await;
/// assert!(matches!(answer, Err(HandlerError::Poison { reason }) if reason.contains("missing field `items`")));
/// # }
/// # fn context() -> Context { Context::new("topic/service/site".parse().unwrap()) }
/// ```
pub fn json_fn<T, F, Fut>(function: F) -> JsonFn<F, T>
where
    T: DeserializeOwned + Send,
    F: Fn(T, Context) -> Fut + Send + Sync,
    Fut: Future<Output = Result<(), HandlerError>> + Send,
{
    JsonFn { function, content: PhantomData }
}

impl<T, F, Fut> Handler for JsonFn<F, T>
where
    T: DeserializeOwned + Send,
    F: Fn(T, Context) -> Fut + Send + Sync,
    Fut: Future<Output = Result<(), HandlerError>> + Send,
{
    async fn handle(&self, message: &Message, context: &Context) -> Result<(), HandlerError> {
        let decoded = serde_json::from_slice(&message.body).map_err(|error| {
            HandlerError::poison(format!("the body is not the JSON that is expected: {error}"))
        })?;
        (self.function)(decoded, context.clone()).await
    }
}
