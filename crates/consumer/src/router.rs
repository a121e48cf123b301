//! Routing on what an event is about.

mod property;

use std::collections::BTreeMap;
use std::sync::Arc;

use queue::{Envelope, Message};

use crate::error::Chain;
use crate::{BoxHandler, Context, Handler, HandlerError};

pub use property::PropertyRouter;

/// What becomes of an event whose type, or a message whose property, has no route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownType {
    /// It is kept as poison, so that it can be replayed once a version that knows it runs.
    #[default]
    Poison,
    /// It is acked and forgotten: the topic carries events that do not concern this consumer.
    Ack,
}

/// Decodes the [`Envelope`] of each message, once, and gives it to the handler of its `type`.
///
/// What is no envelope is poison, with the reason. An unknown type is what [`UnknownType`] says.
///
/// ```
/// # use std::sync::Arc;
/// use antiphon_consumer::{Context, Router, handler_fn};
/// use queue::Envelope;
///
/// let router = Router::new().route(
///     "antiphon.tallies",
///     handler_fn(|event: Arc<Envelope>, _context: Context| async move {
///         println!("tallies of {}", event.source);
///         Ok(())
///     }),
/// );
/// # fn is_handler(_: impl antiphon_consumer::Handler) {}
/// # is_handler(router);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Router {
    routes: BTreeMap<String, BoxHandler<Arc<Envelope>>>,
    unknown: UnknownType,
}

impl Router {
    /// A router without routes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends events of `event_type` to `handler`, instead of to whom they went before.
    #[must_use]
    pub fn route(
        mut self,
        event_type: impl Into<String>,
        handler: impl Handler<Arc<Envelope>> + 'static,
    ) -> Self {
        self.routes.insert(event_type.into(), BoxHandler::new(handler));
        self
    }

    /// Sets what becomes of events without a route.
    #[must_use]
    pub fn unknown(mut self, unknown: UnknownType) -> Self {
        self.unknown = unknown;
        self
    }
}

impl Handler for Router {
    async fn handle(&self, message: &Message, context: &Context) -> Result<(), HandlerError> {
        let envelope = match Envelope::decode(&message.body) {
            Ok(envelope) => Arc::new(envelope),
            Err(error) => return Err(HandlerError::poison(format!("not an envelope: {}", Chain(&error)))),
        };
        match (self.routes.get(&envelope.event_type), self.unknown) {
            (Some(handler), _) => handler.handle(&envelope, context).await,
            (None, UnknownType::Ack) => Ok(()),
            (None, UnknownType::Poison) => {
                Err(HandlerError::poison(format!("no route for the type {:?}", envelope.event_type)))
            }
        }
    }
}
