//! Operations on move tasks.

use std::sync::atomic::Ordering;

use serde_json::{Map, Value, json};

use super::call::{Call, number, required, text};
use crate::engine::{MoveTask, Status, TASKS_MAX};
use crate::error::SqsResult;

pub(super) async fn start(call: &Call) -> SqsResult<Value> {
    let source = required(&call.params, "SourceArn")?;
    let destination = text(&call.params, "DestinationArn")?;
    let rate = number(&call.params, "MaxNumberOfMessagesPerSecond", 1, u64::MAX)?;
    let task = call.engine.start_move(&source, destination, rate).await?;
    Ok(json!({ "TaskHandle": task.handle }))
}

pub(super) fn list(call: &Call) -> SqsResult<Value> {
    let source = required(&call.params, "SourceArn")?;
    let limit = number(&call.params, "MaxResults", 1, 10)?.unwrap_or(1);
    let limit = usize::try_from(limit).unwrap_or(TASKS_MAX);
    let tasks = call.engine.list_moves(&source)?;
    let shown: Vec<Value> = tasks.iter().take(limit).map(|task| show(task)).collect();
    Ok(json!({ "Results": shown }))
}

pub(super) fn cancel(call: &Call) -> SqsResult<Value> {
    let task = call.engine.cancel_move(&required(&call.params, "TaskHandle")?)?;
    Ok(json!({ "ApproximateNumberOfMessagesMoved": task.moved.load(Ordering::SeqCst) }))
}

fn show(task: &MoveTask) -> Value {
    let status = task.status.borrow().clone();
    let mut shown = Map::new();
    // SQS shows it only while the task can be cancelled.
    if status == Status::Running {
        shown.insert("TaskHandle".into(), json!(task.handle));
    }
    shown.insert("Status".into(), json!(status.name()));
    shown.insert("SourceArn".into(), json!(task.source_arn));
    if let Some(arn) = &task.destination_arn {
        shown.insert("DestinationArn".into(), json!(arn));
    }
    if let Some(rate) = task.per_second_max {
        shown.insert("MaxNumberOfMessagesPerSecond".into(), json!(rate));
    }
    shown.insert("ApproximateNumberOfMessagesMoved".into(), json!(task.moved.load(Ordering::SeqCst)));
    shown.insert("ApproximateNumberOfMessagesToMove".into(), json!(task.to_move));
    if let Status::Failed(reason) = &status {
        shown.insert("FailureReason".into(), json!(reason));
    }
    shown.insert("StartedTimestamp".into(), json!(task.started_ms));
    Value::Object(shown)
}
