//! Messages into every subscription of a topic.

use std::sync::Arc;

use futures_util::{StreamExt, stream};

use super::batch::{self, Batch};
use super::broker::Shared;
use super::calls::{Publish, Send};
use super::codec::Wire;
use super::error::Failure;
use super::limits::{SNS_BYTES_MAX, SQS_BYTES_MAX};
use super::options::FanOut;
use crate::{BoxFuture, Message, PublishError, Publisher, QueueError, Topic};

/// How many queues one publish fills at a time.
const QUEUES_AT_A_TIME: usize = 8;

#[derive(Debug)]
pub(super) struct SqsPublisher {
    shared: Arc<Shared>,
}

/// A message on the wire, if it may be sent.
fn wire(message: &Message, fan_out: FanOut) -> Result<Wire, PublishError> {
    message.check_size()?;
    let wire = Wire::of(message, None);
    let (bytes_max, limit) = match fan_out {
        FanOut::Sns { .. } => (SNS_BYTES_MAX, "a message of SNS"),
        FanOut::Queues => (SQS_BYTES_MAX, "a message of SQS"),
    };
    let bytes = wire.bytes();
    if bytes > bytes_max { Err(PublishError::TooLarge { bytes, bytes_max, limit }) } else { Ok(wire) }
}

impl SqsPublisher {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    async fn publish_all(&self, topic: &Topic, batch: Vec<Message>) -> Vec<Result<(), PublishError>> {
        let mut checked = Vec::with_capacity(batch.len());
        let mut wires = Vec::with_capacity(batch.len());
        for message in &batch {
            checked.push(wire(message, self.shared.fan_out).map(|wire| wires.push(wire)));
        }
        drop(batch);
        if wires.is_empty() {
            return checked;
        }
        let sent = match self.shared.fan_out {
            FanOut::Sns { .. } => self.through_sns(topic, &wires).await,
            FanOut::Queues => self.to_queues(topic, &wires).await,
        };
        let mut sent = match sent {
            Ok(sent) => sent.into_iter(),
            Err(error) => vec![Err(error); wires.len()].into_iter(),
        };
        let unanswered =
            || QueueError::broken("a batch was answered with fewer answers than it has messages");
        let answer = |checked: Result<(), PublishError>| {
            checked?;
            Ok(sent.next().unwrap_or_else(|| Err(unanswered()))?)
        };
        checked.into_iter().map(answer).collect()
    }

    async fn through_sns(
        &self,
        topic: &Topic,
        wires: &[Wire],
    ) -> Result<Vec<Result<(), QueueError>>, QueueError> {
        let shared = &self.shared;
        let topic_arn = shared.topic_arn(topic).await?;
        let target = format!("topic \"{}\"", shared.names.topic(topic));
        let doing = shared.doing("publishing to", &target);
        let publish = Publish { sns: &shared.sns, topic_arn: &topic_arn, doing };
        let answers = batch::run(&publish, wires, &shared.jitter).await;
        let answer = |answer: Result<(), Failure>| match answer {
            Err(failure) if failure.is_missing() => {
                shared.forget_topic(topic);
                Err(Failure::busy(format!("{doing}: it is gone, and made again at the next attempt")))
            }
            answer => answer,
        };
        Ok(answers.into_iter().map(answer).map(|answer| answer.map_err(QueueError::from)).collect())
    }

    /// Asks each time which queues there are: a subscription that was made an instant ago, by anybody, has to get its copy.
    async fn to_queues(
        &self,
        topic: &Topic,
        wires: &[Wire],
    ) -> Result<Vec<Result<(), QueueError>>, QueueError> {
        let queues = self.shared.list(&self.shared.names.all_of(topic)).await?;
        let ours = queues.into_iter().filter(|(subscription, _)| subscription.topic() == topic);
        let sending = ours.map(|(_, queue)| async move {
            let sent = run_boxed(&Send(&queue), wires, &self.shared).await;
            // What was unsubscribed since it was listed is owed nothing.
            let gone = |failure: Failure| if failure.is_missing() { Ok(()) } else { Err(failure) };
            sent.into_iter().map(|answer| answer.or_else(gone)).collect::<Vec<_>>()
        });
        let mut sent = stream::iter(sending).buffer_unordered(QUEUES_AT_A_TIME);
        let mut answers: Vec<Result<(), QueueError>> = wires.iter().map(|_| Ok(())).collect();
        while let Some(of_queue) = sent.next().await {
            for (answer, of_queue) in answers.iter_mut().zip(of_queue) {
                // One that is worth a retry is worth it for all.
                if let Err(failure) = of_queue
                    && !matches!(answer, Err(error) if error.is_retryable())
                {
                    *answer = Err(failure.into());
                }
            }
        }
        Ok(answers)
    }
}

/// [`batch::run`] behind a pointer: the compiler cannot follow the lifetimes of streams within streams.
fn run_boxed<'a, B: Batch>(
    batch: &'a B,
    entries: &'a [B::Entry],
    shared: &'a Shared,
) -> BoxFuture<'a, Vec<Result<(), Failure>>> {
    Box::pin(batch::run(batch, entries, &shared.jitter))
}

impl Publisher for SqsPublisher {
    fn publish<'a>(
        &'a self,
        topic: &'a Topic,
        batch: Vec<Message>,
    ) -> BoxFuture<'a, Vec<Result<(), PublishError>>> {
        Box::pin(self.publish_all(topic, batch))
    }
}
