//! Every operation of SQS by its name.

use serde_json::{Value, json};

use super::call::Call;
use super::{batch, messages, queues, tasks};
use crate::error::{Kind, SqsError, SqsResult};

/// The one operation that waits, and that is dropped with its connection.
pub(super) const RECEIVE: &str = "ReceiveMessage";

/// Does what is asked, and returns what the JSON protocol answers.
pub(super) async fn run(call: &Call, action: &str) -> SqsResult<Value> {
    match action {
        "CreateQueue" => queues::create(call).await,
        "DeleteQueue" => queues::delete(call).await,
        "GetQueueAttributes" => queues::get_attributes(call).await,
        "GetQueueUrl" => queues::get_url(call),
        "ListDeadLetterSourceQueues" => queues::list_sources(call),
        "ListQueues" => queues::list(call),
        "ListQueueTags" => queues::list_tags(call),
        "PurgeQueue" => queues::purge(call).await,
        "SetQueueAttributes" => queues::set_attributes(call).await,
        "TagQueue" => queues::tag(call).await,
        "UntagQueue" => queues::untag(call).await,
        "SendMessage" => messages::send(call).await,
        RECEIVE => messages::receive(call).await,
        "DeleteMessage" => messages::delete(call).await,
        "ChangeMessageVisibility" => messages::change_visibility(call).await,
        "SendMessageBatch" => batch::send(call).await,
        "DeleteMessageBatch" => batch::delete(call).await,
        "ChangeMessageVisibilityBatch" => batch::change_visibility(call).await,
        "StartMessageMoveTask" => tasks::start(call).await,
        "ListMessageMoveTasks" => tasks::list(call),
        "CancelMessageMoveTask" => tasks::cancel(call),
        "AddPermission" => queues::add_permission(call).await,
        "RemovePermission" => queues::remove_permission(call).await,
        other => {
            let message = format!("The action {other} is not valid for this endpoint.");
            Err(SqsError::new(Kind::InvalidAction, message))
        }
    }
}

/// The answer of operations that have none.
pub(super) fn nothing() -> Value {
    json!({})
}
