//! What Amazon allows, each number once, with the page that says so.
//!
//! - SQS, messages: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
//! - SQS, queues: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html>
//! - SNS: <https://docs.aws.amazon.com/general/latest/gr/sns.html>

use std::time::Duration;

/// Most entries of a batch, of SQS and of SNS.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>,
/// <https://docs.aws.amazon.com/sns/latest/api/API_PublishBatch.html>
pub(super) const BATCH_ENTRIES_MAX: usize = 10;

/// Most bytes of a message of SQS, attributes included, and of all messages of a batch together.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
pub(super) const SQS_BYTES_MAX: usize = 1_048_576;

/// The same for SNS. <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>
pub(super) const SNS_BYTES_MAX: usize = 262_144;

/// Most attributes of a message; SNS drops a raw delivery that has more.
/// <https://docs.aws.amazon.com/sns/latest/dg/sns-message-attributes.html>
pub(super) const ATTRIBUTES_MAX: usize = 10;

/// Most characters of the name of an attribute.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html>
pub(super) const ATTRIBUTE_NAME_CHARS_MAX: usize = 256;

/// Longest visibility timeout, counted from the receive on, however often it is changed.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html>
pub(super) const VISIBILITY_MAX: Duration = Duration::from_hours(12);

/// Longest wait of one receive.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html>
pub(super) const WAIT_SECS_MAX: u64 = 20;

/// Most messages in flight of one queue.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html>
pub(super) const IN_FLIGHT_MAX: usize = 120_000;

/// For how long a queue may keep a message, in seconds.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html>
pub(super) const RETENTION_SECS_MIN: u32 = 60;
/// See [`RETENTION_SECS_MIN`].
pub(super) const RETENTION_SECS_MAX: u32 = 14 * 24 * 60 * 60;
/// What Amazon gives a queue that is made without saying.
pub(super) const RETENTION_SECS_DEFAULT: u32 = 4 * 24 * 60 * 60;

/// What `maxReceiveCount` may be.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html>
pub(super) const RECEIVES_MAX_MAX: u32 = 1_000;

/// Most characters of the name of a queue: letters, digits, `-` and `_`.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html>
pub(super) const QUEUE_NAME_CHARS_MAX: usize = 80;

/// Most queues of one page of a listing.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ListQueues.html>
pub(super) const LIST_PAGE_MAX: i32 = 1_000;

/// Most pages of a listing that are read: ours, so that no loop is without an end.
pub(super) const LIST_PAGES_MAX: usize = 100;
