//! The batch operations of SQS and SNS.

use aws_sdk_sns::types::{MessageAttributeValue as SnsAttribute, PublishBatchRequestEntry};
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry, ChangeMessageVisibilityBatchResultEntry,
    DeleteMessageBatchRequestEntry, DeleteMessageBatchResultEntry, MessageAttributeValue,
    SendMessageBatchRequestEntry, SendMessageBatchResultEntry,
};

use super::batch::Batch;
use super::codec::{DATA_TYPE, Wire};
use super::error::{Doing, Failure};
use super::limits::{SNS_BYTES_MAX, SQS_BYTES_MAX};

/// A queue of SQS, as requests and errors name it.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) sqs: aws_sdk_sqs::Client,
    pub(super) queue_url: String,
    /// With its kind: `queue "x"`.
    pub(super) target: String,
    /// The broker's URL as it may be shown.
    pub(super) shown: String,
}

impl Place {
    pub(super) fn doing<'a>(&'a self, what: &'a str) -> Doing<'a> {
        Doing { what, target: &self.target, url: &self.shown }
    }

    /// What an answer says of the entries that failed.
    fn failed(
        &self,
        what: &str,
        sent: usize,
        succeeded: &[&str],
        failed: &[BatchResultErrorEntry],
    ) -> Vec<(usize, Failure)> {
        let failed = failed.iter().map(|entry| {
            let (code, message) = (entry.code(), entry.message().unwrap_or_default());
            (entry.id(), Failure::of_entry(code, message, entry.sender_fault(), self.doing(what)))
        });
        answers(sent, succeeded, failed.collect(), self.doing(what))
    }
}

/// One answer per entry; the id of each is its place.
fn answers(
    sent: usize,
    succeeded: &[&str],
    mut failed: Vec<(&str, Failure)>,
    doing: Doing<'_>,
) -> Vec<(usize, Failure)> {
    let of = |at: usize| {
        let id = at.to_string();
        match failed.iter().position(|(failed, _)| *failed == id) {
            Some(found) => Some((at, failed.swap_remove(found).1)),
            None if succeeded.contains(&id.as_str()) => None,
            None => Some((at, Failure::unanswered(doing))),
        }
    };
    (0..sent).filter_map(of).collect()
}

fn unbuildable(doing: Doing<'_>, error: &dyn std::error::Error) -> Failure {
    Failure::of_entry("InvalidRequest", &error.to_string(), true, doing)
}

/// `SendMessageBatch`.
pub(super) struct Send<'a>(pub(super) &'a Place);

impl Batch for Send<'_> {
    type Entry = Wire;

    const BYTES_MAX: usize = SQS_BYTES_MAX;

    fn bytes(entry: &Wire) -> usize {
        entry.bytes()
    }

    async fn send(&self, entries: &[&Wire]) -> Result<Vec<(usize, Failure)>, Failure> {
        let doing = self.0.doing("sending to");
        let mut request = self.0.sqs.send_message_batch().queue_url(&self.0.queue_url);
        for (at, wire) in entries.iter().enumerate() {
            let mut entry =
                SendMessageBatchRequestEntry::builder().id(at.to_string()).message_body(&wire.body);
            for (name, value) in &wire.attributes {
                let attribute =
                    MessageAttributeValue::builder().data_type(DATA_TYPE).string_value(value).build();
                entry =
                    entry.message_attributes(name, attribute.map_err(|error| unbuildable(doing, &error))?);
            }
            request = request.entries(entry.build().map_err(|error| unbuildable(doing, &error))?);
        }
        let answer = request.send().await.map_err(|error| Failure::of(error, doing))?;
        let succeeded: Vec<_> = answer.successful().iter().map(SendMessageBatchResultEntry::id).collect();
        Ok(self.0.failed("sending to", entries.len(), &succeeded, answer.failed()))
    }
}

/// `DeleteMessageBatch` of receipt handles.
pub(super) struct Delete<'a>(pub(super) &'a Place);

impl Batch for Delete<'_> {
    type Entry = String;

    const BYTES_MAX: usize = usize::MAX;

    fn bytes(_entry: &String) -> usize {
        0
    }

    async fn send(&self, entries: &[&String]) -> Result<Vec<(usize, Failure)>, Failure> {
        let doing = self.0.doing("deleting from");
        let mut request = self.0.sqs.delete_message_batch().queue_url(&self.0.queue_url);
        for (at, handle) in entries.iter().enumerate() {
            let entry = DeleteMessageBatchRequestEntry::builder().id(at.to_string()).receipt_handle(*handle);
            request = request.entries(entry.build().map_err(|error| unbuildable(doing, &error))?);
        }
        let answer = request.send().await.map_err(|error| Failure::of(error, doing))?;
        let succeeded: Vec<_> = answer.successful().iter().map(DeleteMessageBatchResultEntry::id).collect();
        Ok(self.0.failed("deleting from", entries.len(), &succeeded, answer.failed()))
    }
}

/// `ChangeMessageVisibilityBatch` of receipt handles, each to so many seconds from now.
pub(super) struct Change<'a>(pub(super) &'a Place);

impl Batch for Change<'_> {
    type Entry = (String, i32);

    const BYTES_MAX: usize = usize::MAX;

    fn bytes(_entry: &(String, i32)) -> usize {
        0
    }

    async fn send(&self, entries: &[&(String, i32)]) -> Result<Vec<(usize, Failure)>, Failure> {
        let doing = self.0.doing("extending a lease of");
        let mut request = self.0.sqs.change_message_visibility_batch().queue_url(&self.0.queue_url);
        for (at, (handle, secs)) in entries.iter().enumerate() {
            let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(at.to_string())
                .receipt_handle(handle)
                .visibility_timeout(*secs);
            request = request.entries(entry.build().map_err(|error| unbuildable(doing, &error))?);
        }
        let answer = request.send().await.map_err(|error| Failure::of(error, doing))?;
        let succeeded: Vec<_> =
            answer.successful().iter().map(ChangeMessageVisibilityBatchResultEntry::id).collect();
        Ok(self.0.failed("extending a lease of", entries.len(), &succeeded, answer.failed()))
    }
}

/// `PublishBatch` to a topic of SNS.
pub(super) struct Publish<'a> {
    pub(super) sns: &'a aws_sdk_sns::Client,
    pub(super) topic_arn: &'a str,
    pub(super) doing: Doing<'a>,
}

impl Batch for Publish<'_> {
    type Entry = Wire;

    const BYTES_MAX: usize = SNS_BYTES_MAX;

    fn bytes(entry: &Wire) -> usize {
        entry.bytes()
    }

    async fn send(&self, entries: &[&Wire]) -> Result<Vec<(usize, Failure)>, Failure> {
        let doing = self.doing;
        let mut request = self.sns.publish_batch().topic_arn(self.topic_arn);
        for (at, wire) in entries.iter().enumerate() {
            let mut entry = PublishBatchRequestEntry::builder().id(at.to_string()).message(&wire.body);
            for (name, value) in &wire.attributes {
                let attribute = SnsAttribute::builder().data_type(DATA_TYPE).string_value(value).build();
                entry =
                    entry.message_attributes(name, attribute.map_err(|error| unbuildable(doing, &error))?);
            }
            request = request
                .publish_batch_request_entries(entry.build().map_err(|error| unbuildable(doing, &error))?);
        }
        let answer = request.send().await.map_err(|error| Failure::of(error, doing))?;
        let succeeded: Vec<&str> = answer.successful().iter().filter_map(|entry| entry.id()).collect();
        let failed = answer.failed().iter().map(|entry| {
            let (code, message) = (entry.code(), entry.message().unwrap_or_default());
            (entry.id(), Failure::of_entry(code, message, entry.sender_fault(), doing))
        });
        Ok(answers(entries.len(), &succeeded, failed.collect(), doing))
    }
}
