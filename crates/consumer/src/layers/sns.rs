use std::collections::BTreeMap;

use queue::Message;
use serde::Deserialize;

use crate::{BatchHandler, Context, Handler, HandlerError, Layer, Request};

/// Takes messages out of the envelope that SNS puts around them, unless a subscription asks for *raw* delivery: a body that
/// is an SNS notification becomes its `Message`, its `MessageAttributes` become attributes of the message (those that
/// were there stay, unless one has the same name), and the subject, if there is one, the attribute [`SNS_SUBJECT`].
/// Everything else passes as it is, also other JSON. (The SQS backend of [`queue`] unwraps by itself what it subscribed;
/// this is for queues that somebody else subscribed to a topic.)
///
/// ```
/// use antiphon_consumer::layers::SnsUnwrap;
/// use antiphon_consumer::{Context, Handler, Layer, handler_fn};
/// use queue::Message;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let handler = SnsUnwrap.layer(handler_fn(|message: Message, _: Context| async move {
///     assert_eq!(message.body, "hello");
///     assert_eq!(message.attributes["colour"], "blue");
///     Ok(())
/// }));
/// let wrapped = r#"{"Type":"Notification","MessageId":"1","TopicArn":"arn:aws:sns:eu-1:0:t","Message":"hello",
///     "MessageAttributes":{"colour":{"Type":"String","Value":"blue"}}}"#;
/// handler.handle(&Message::new(wrapped), &context()).await.unwrap();
/// # }
/// # fn context() -> Context { Context::new("topic/service/site".parse().unwrap()) }
/// ```
///
/// Put it outside of [`Correlate`](super::Correlate) and [`Audit`](crate::audit::Audit): the attributes that they read are
/// inside of the notification.
///
/// The format is in the
/// [documentation of SNS](https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html). Its signature is
/// not checked: who may write to the queue is the queue's policy.
#[derive(Debug, Clone, Copy, Default)]
pub struct SnsUnwrap;

/// The attribute that holds the subject of an SNS notification.
pub const SNS_SUBJECT: &str = "sns.subject";

/// As SNS writes it; what is not named here is of no use to a handler.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Notification {
    #[serde(rename = "Type")]
    kind: String,
    // Nothing else that has a `Type` and a `Message` has this, too.
    #[serde(rename = "TopicArn")]
    _topic_arn: String,
    message: String,
    subject: Option<String>,
    #[serde(default)]
    message_attributes: BTreeMap<String, Attribute>,
}

/// A value of the type `Binary` is base64, and stays that.
#[derive(Deserialize)]
struct Attribute {
    #[serde(rename = "Value")]
    value: String,
}

/// What a notification holds; `None` if the message is none.
fn unwrapped(message: &Message) -> Option<Message> {
    if message.body.first() != Some(&b'{') {
        return None;
    }
    let notification: Notification = serde_json::from_slice(&message.body).ok()?;
    if notification.kind != "Notification" {
        return None;
    }
    let mut inner = Message { body: notification.message.into(), attributes: message.attributes.clone() };
    let attributes = notification.message_attributes.into_iter();
    inner.attributes.extend(attributes.map(|(name, attribute)| (name, attribute.value)));
    inner.attributes.extend(notification.subject.map(|subject| (SNS_SUBJECT.to_owned(), subject)));
    Some(inner)
}

impl<H> Layer<H> for SnsUnwrap {
    type Handler = SnsUnwrapHandler<H>;

    fn layer(&self, inner: H) -> SnsUnwrapHandler<H> {
        SnsUnwrapHandler { inner }
    }
}

/// See [`SnsUnwrap`].
#[derive(Debug, Clone)]
pub struct SnsUnwrapHandler<H> {
    inner: H,
}

impl<H: Handler> Handler for SnsUnwrapHandler<H> {
    async fn handle(&self, message: &Message, context: &Context) -> Result<(), HandlerError> {
        match unwrapped(message) {
            Some(inner) => self.inner.handle(&inner, context).await,
            None => self.inner.handle(message, context).await,
        }
    }
}

impl<H: BatchHandler> BatchHandler for SnsUnwrapHandler<H> {
    async fn handle_batch(&self, batch: &[Request<Message>]) -> Vec<Result<(), HandlerError>> {
        let mut batch = batch.to_vec();
        for item in &mut batch {
            if let Some(inner) = unwrapped(&item.message) {
                item.message = inner;
            }
        }
        self.inner.handle_batch(&batch).await
    }
}
