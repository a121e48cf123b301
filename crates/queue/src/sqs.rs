//! SQS, with SNS for the fan-out; also whatever else speaks their protocol.
//!
//! # The URL
//! `sqs://REGION` is Amazon. Credentials come through the AWS SDK's own chain: environment, profile, web identity, container
//! or instance metadata. It is the one place where a vendor reads the environment. `sqs+http://[KEY:SECRET@]HOST:PORT` and
//! `sqs+https://…` are any other endpoint, with these credentials, or dummies if there are none; HTTPS trusts what this
//! machine trusts.
//!
//! | parameter | value | unless told |
//! |---|---|---|
//! | `fanout` | `sns`: a topic of SNS in front of the queues; `queues`: the publisher sends to each queue | `sns` at Amazon, `queues` elsewhere |
//! | `raw` | `true`: SNS delivers a message as it is; `false`: within its notification, which is opened here | `true` |
//! | `retention` | `60s` to `14d`: for how long a queue keeps a message. If given, it is also set on queues that are there | 4 days |
//! | `region` | of an endpoint that is not Amazon's | `us-east-1` |
//! | `prefix` | see [`QueueUrl`] | none |
//!
//! # What the contract is here
//! | contract | here |
//! |---|---|
//! | topic | a topic of SNS, or nothing |
//! | subscription | a standard queue, and a second one, `…_DEAD`, for its dead letters; see `names` |
//! | publish | `PublishBatch` to SNS; or `ListQueues` by prefix, then `SendMessageBatch` to each. The listing is asked for at every publish, so that a subscription that was made an instant ago gets its copy: one request more a publish. `Ok` means that SNS, or every queue, has it |
//! | receive | `ReceiveMessage`, ten a request, several side by side after a full one. A lease is measured from before the request; after a long poll it is begun anew with `ChangeMessageVisibilityBatch` |
//! | ack | `DeleteMessageBatch`, and our own books (`leases`): SQS answers "deleted" to the receipt of an earlier hand-out |
//! | nack, extend | `ChangeMessageVisibility`, in whole seconds, rounded up |
//! | dead letter | sent to `…_DEAD` with its reason, then deleted: in between it is in both |
//! | `receives_max` | the queue's `RedrivePolicy`, and the receiver itself, if another one set the policy to more. `None` leaves a policy alone that is there |
//! | `dead_letters` | takes all out of `…_DEAD` for a minute, sorts them by age and puts them back; SQS cannot look without taking. Two at a time see less; of more than ten thousand some are not seen |
//! | `redrive` | sends the oldest into the queue of the subscription alone, then deletes them |
//! | depth | the approximate counts of the queues. Amazon takes up to a minute to get them right. What this process gave back with a delay is told apart from what is in flight; what others did is not |
//!
//! Messages are text with up to ten attributes; what does not fit travels in one attribute named `antiphon` (`codec`). What
//! others send is handed out as it came, attributes of bytes in base64. Wrapped notifications are opened only if this URL
//! asked for them. The MD5 digests that SQS answers are not compared: TLS has done more on the way.
//!
//! # Limits
//! All are in `limits`, each with the page of Amazon that says so. Those that are felt: a message has at most 1 MiB, through
//! SNS 256 KiB, attributes and base64 included ([`PublishError::TooLarge`](crate::PublishError)); a message may be kept for
//! 12 hours from its receive on, however often its lease is extended, and that also cuts the delay of a nack; 120,000
//! messages in flight a queue; the three names and the prefix have 75 characters together. There is no bound on how many
//! messages a queue holds, so `Full` is never said: what is older than the retention is gone.
//!
//! # When something dies
//! A client that is killed: what it held comes again when its lease ends. A client that is killed while it publishes into
//! queues: some of them may have a message that others lack, and nobody was told `Ok`. Amazon itself keeps what it accepted
//! in several places; other endpoints promise what they promise.
//!
//! # What credentials have to allow
//! `sqs:` `ListQueues`, `GetQueueUrl`, `GetQueueAttributes`, `CreateQueue`, `SetQueueAttributes`, `SendMessage`,
//! `ReceiveMessage`, `DeleteMessage`, `ChangeMessageVisibility`; through SNS also `sns:` `ListTopics`, `CreateTopic`,
//! `Subscribe`, `ListSubscriptionsByTopic`, `GetSubscriptionAttributes`, `SetSubscriptionAttributes`, `Publish`.
//!
//! # What is not offered
//! FIFO queues (order and deduplication are not in the contract), messages that are delayed from the start, encryption
//! settings (those that are there are left alone), and message move tasks, which move whole queues.

use std::sync::Arc;

use crate::{Queue, QueueError, QueueUrl, Settings};

mod batch;
mod broker;
mod calls;
mod client;
mod codec;
mod dead;
mod delays;
mod error;
mod fetch;
mod leases;
mod limits;
mod names;
mod options;
mod publisher;
mod receiver;
mod settings;
mod setup;

/// Opens the broker that `url` names, and asks it for something, so that a wrong URL is told at once.
pub(crate) async fn connect(url: &QueueUrl, settings: &Settings) -> Result<Arc<dyn Queue>, QueueError> {
    let options = options::Options::read(url)?;
    Ok(Arc::new(broker::SqsQueue::open(url, options, settings.seed).await?))
}
