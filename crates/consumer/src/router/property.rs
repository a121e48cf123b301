//! Routing on a property of any JSON.

use std::borrow::Cow;
use std::collections::BTreeMap;

use queue::Message;
use serde_json::Value;

use super::UnknownType;
use crate::{BoxHandler, Context, Handler, HandlerError};

/// Gives each message to the handler that is named by a property of its JSON body.
///
/// A text is compared as it is; a number or a boolean as JSON writes it (`"1"` and `1` are one route). What is no JSON, or
/// does not have the property, is poison with the reason. A value without a route is what [`UnknownType`] says. The
/// handlers get the message as it came.
///
/// ```
/// use antiphon_consumer::{Context, Handler, PropertyRouter, handler_fn};
/// use queue::Message;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let ok = || handler_fn(|_: Message, _: Context| async { Ok(()) });
/// let router = PropertyRouter::new("type").route("comment", ok()).route("vote", ok());
/// router.handle(&Message::new(r#"{"type":"vote","story":7}"#), &context()).await.unwrap();
/// router.handle(&Message::new(r#"{"type":"read"}"#), &context()).await.unwrap_err(); // no such route
///
/// // Anywhere inside, by a JSON pointer (RFC 6901).
/// let router = PropertyRouter::pointer("/detail/kind").route("comment", ok());
/// router.handle(&Message::new(r#"{"detail":{"kind":"comment"}}"#), &context()).await.unwrap();
/// # }
/// # fn context() -> Context { Context::new("topic/service/site".parse().unwrap()) }
/// ```
#[derive(Debug, Clone)]
pub struct PropertyRouter {
    pointer: String,
    routes: BTreeMap<String, BoxHandler>,
    unknown: UnknownType,
}

impl PropertyRouter {
    /// Routes on the property `name` of the body's object.
    pub fn new(name: &str) -> Self {
        // As RFC 6901 escapes it.
        Self::pointer(format!("/{}", name.replace('~', "~0").replace('/', "~1")))
    }

    /// Routes on what a JSON pointer, such as `/detail/kind`, points to.
    pub fn pointer(pointer: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), routes: BTreeMap::new(), unknown: UnknownType::default() }
    }

    /// Sends messages whose property is `value` to `handler`, instead of to whom they went before.
    #[must_use]
    pub fn route(mut self, value: impl Into<String>, handler: impl Handler + 'static) -> Self {
        self.routes.insert(value.into(), BoxHandler::new(handler));
        self
    }

    /// Sets what becomes of messages without a route.
    #[must_use]
    pub fn unknown(mut self, unknown: UnknownType) -> Self {
        self.unknown = unknown;
        self
    }
}

impl Handler for PropertyRouter {
    async fn handle(&self, message: &Message, context: &Context) -> Result<(), HandlerError> {
        let pointer = &self.pointer;
        let body: Value = serde_json::from_slice(&message.body)
            .map_err(|error| HandlerError::poison(format!("the body is not JSON: {error}")))?;
        let value = match body.pointer(pointer) {
            Some(Value::String(text)) => Cow::Borrowed(text.as_str()),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => Cow::Owned(value.to_string()),
            Some(_) => {
                return Err(HandlerError::poison(format!(
                    "{pointer:?} of the body is no text, number or boolean"
                )));
            }
            None => return Err(HandlerError::poison(format!("the body has no {pointer:?} to be routed by"))),
        };
        match (self.routes.get(value.as_ref()), self.unknown) {
            (Some(handler), _) => handler.handle(message, context).await,
            (None, UnknownType::Ack) => Ok(()),
            (None, UnknownType::Poison) => {
                Err(HandlerError::poison(format!("no route for {value:?} as {pointer:?} of the body")))
            }
        }
    }
}
