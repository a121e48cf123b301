//! One account and region of SQS, or whatever speaks like it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName as Attribute;
use futures_util::{StreamExt, stream};
use tokio::time::Instant;

use super::batch::Jitter;
use super::calls::Place;
use super::client::Clients;
use super::delays::Delays;
use super::error::{Doing, Failure};
use super::limits::{LIST_PAGE_MAX, LIST_PAGES_MAX};
use super::names::Names;
use super::options::{FanOut, Options};
use super::publisher::SqsPublisher;
use super::receiver::SqsReceiver;
use super::setup::{self, Ready};
use crate::{
    BoxFuture, Change, DeadLetter, DeadLetterId, Depth, Publisher, Queue, QueueError, QueueUrl, Receiver,
    Subscription, SubscriptionConfig, Topic,
};

/// How long a broker may take to answer the first request, all attempts included.
const FIRST_ANSWER_MAX: Duration = Duration::from_secs(8);
/// Most topics whose ARN is remembered.
const TOPICS_MAX: usize = 1_024;
/// How many subscriptions are counted at a time.
const COUNTED_AT_A_TIME: usize = 8;

/// What every publisher and receiver of one URL shares.
#[derive(Debug)]
pub(super) struct Shared {
    /// The URL as it may be shown.
    pub(super) shown: String,
    pub(super) sqs: aws_sdk_sqs::Client,
    pub(super) sns: aws_sdk_sns::Client,
    pub(super) fan_out: FanOut,
    pub(super) retention_secs: Option<u32>,
    pub(super) names: Names,
    pub(super) jitter: Jitter,
    pub(super) delays: Delays,
    /// ARNs never change, so they are remembered; a plain lock, never held across an await.
    topic_arns: Mutex<BTreeMap<Topic, String>>,
}

/// A [`Queue`] of Amazon's. See the [module](super).
#[derive(Debug)]
pub(super) struct SqsQueue {
    shared: Arc<Shared>,
}

impl SqsQueue {
    /// Connects, and asks for one queue, which shows that the address and the credentials are right.
    pub(super) async fn open(url: &QueueUrl, options: Options, seed: u64) -> Result<Self, QueueError> {
        let Clients { sqs, sns } = Clients::of(&options).await;
        let shared = Shared {
            shown: url.to_string(),
            sqs,
            sns,
            fan_out: options.fan_out,
            retention_secs: options.retention_secs,
            names: options.names,
            jitter: Jitter::seeded(seed),
            delays: Delays::default(),
            topic_arns: Mutex::default(),
        };
        let doing = shared.doing("connecting to", "the broker");
        let asking = async {
            let queues = shared.sqs.list_queues().max_results(1);
            let asked = queues.set_queue_name_prefix(shared.prefix()).send().await;
            asked.map_err(|error| Failure::of(error, doing))?;
            if shared.fan_out != FanOut::Queues {
                shared.sns.list_topics().send().await.map_err(|error| Failure::of(error, doing))?;
            }
            Ok::<_, Failure>(())
        };
        match tokio::time::timeout(FIRST_ANSWER_MAX, asking).await {
            Ok(asked) => asked?,
            Err(_) => {
                return Err(Failure::busy(format!("{doing}: no answer in {FIRST_ANSWER_MAX:?}")).into());
            }
        }
        Ok(Self { shared: Arc::new(shared) })
    }
}

impl Shared {
    pub(super) fn doing<'a>(&'a self, what: &'a str, target: &'a str) -> Doing<'a> {
        Doing { what, target, url: &self.shown }
    }

    fn prefix(&self) -> Option<String> {
        let prefix = self.names.all();
        (!prefix.is_empty()).then(|| prefix.to_owned())
    }

    pub(super) fn place(&self, name: &str, queue_url: String) -> Place {
        Place {
            sqs: self.sqs.clone(),
            queue_url,
            target: format!("queue \"{name}\""),
            shown: self.shown.clone(),
        }
    }

    /// The queue `name`, if it is there.
    pub(super) async fn find(&self, name: &str) -> Result<Option<Place>, QueueError> {
        let target = format!("queue \"{name}\"");
        match self.sqs.get_queue_url().queue_name(name).send().await {
            Ok(found) => Ok(found.queue_url.map(|queue_url| self.place(name, queue_url))),
            Err(error) => match Failure::of(error, self.doing("looking for", &target)) {
                failure if failure.is_missing() => Ok(None),
                failure => Err(failure.into()),
            },
        }
    }

    /// The queue of `subscription` and that of its dead letters.
    pub(super) async fn queues_of(&self, subscription: &Subscription) -> Result<(Place, Place), QueueError> {
        let name = self.names.queue(subscription)?;
        let missing = |name: &str| {
            QueueError::Refused(format!(
                "there is no subscription {subscription} at {}: no queue \"{name}\"; subscribe first, which makes it",
                self.shown
            ))
        };
        let dead_name = Names::dead(&name);
        let queue = self.find(&name).await?.ok_or_else(|| missing(&name))?;
        let dead = self.find(&dead_name).await?.ok_or_else(|| missing(&dead_name))?;
        Ok((queue, dead))
    }

    /// Every queue of a subscription of ours whose name begins with `prefix`.
    pub(super) async fn list(&self, prefix: &str) -> Result<BTreeMap<Subscription, Place>, QueueError> {
        let doing = self.doing("listing", "the queues");
        let mut found = BTreeMap::new();
        let mut next = None;
        for _ in 0..LIST_PAGES_MAX {
            let prefix = (!prefix.is_empty()).then(|| prefix.to_owned());
            let asking = self.sqs.list_queues().max_results(LIST_PAGE_MAX);
            let asking = asking.set_queue_name_prefix(prefix).set_next_token(next);
            let page = asking.send().await.map_err(|error| Failure::of(error, doing))?;
            for queue_url in page.queue_urls.unwrap_or_default() {
                let Some((_, name)) = queue_url.rsplit_once('/') else { continue };
                if let Some(subscription) = self.names.subscription(name) {
                    let place = self.place(name, queue_url.clone());
                    found.insert(subscription, place);
                }
            }
            next = page.next_token;
            if next.is_none() {
                return Ok(found);
            }
        }
        Err(QueueError::Refused(format!(
            "{doing}: there are more than {LIST_PAGES_MAX} pages of {LIST_PAGE_MAX}: give the deployment a ?prefix= of its \
             own"
        )))
    }

    /// The ARN of the topic, which is made if it is missing: making it is the only question that answers without a listing
    /// of all.
    pub(super) async fn topic_arn(&self, topic: &Topic) -> Result<String, QueueError> {
        let known = self.topic_arns.lock().unwrap_or_else(PoisonError::into_inner).get(topic).cloned();
        if let Some(arn) = known {
            return Ok(arn);
        }
        let name = self.names.topic(topic);
        let target = format!("topic \"{name}\"");
        let doing = self.doing("making", &target);
        let made = self.sns.create_topic().name(&name).send().await;
        let made = made.map_err(|error| Failure::of(error, doing))?;
        let Some(arn) = made.topic_arn else {
            return Err(Failure::busy(format!("{doing}: the answer has no ARN")).into());
        };
        let mut known = self.topic_arns.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= TOPICS_MAX {
            known.clear();
        }
        known.insert(topic.clone(), arn.clone());
        Ok(arn)
    }

    /// The topic is not there any more: the next question makes it again.
    pub(super) fn forget_topic(&self, topic: &Topic) {
        self.topic_arns.lock().unwrap_or_else(PoisonError::into_inner).remove(topic);
    }
}

/// A number of a queue's attributes; zero if it is not given.
async fn counts(place: &Place) -> Result<[u64; 3], QueueError> {
    let names = [
        Attribute::ApproximateNumberOfMessages,
        Attribute::ApproximateNumberOfMessagesNotVisible,
        Attribute::ApproximateNumberOfMessagesDelayed,
    ];
    let asking = place.sqs.get_queue_attributes().queue_url(&place.queue_url);
    let asked = asking.set_attribute_names(Some(names.to_vec())).send().await;
    let found = asked.map_err(|error| Failure::of(error, place.doing("counting")))?.attributes;
    let found = found.unwrap_or_default();
    Ok(names.map(|name| found.get(&name).and_then(|count| count.parse().ok()).unwrap_or_default()))
}

/// How much is in a subscription's two queues.
pub(super) async fn depth(shared: &Shared, queue: &Place, dead: Option<&Place>) -> Result<Depth, QueueError> {
    let [ready, not_visible, not_yet_sent] = counts(queue).await?;
    let given_back = shared.delays.count(&queue.target, Instant::now()).min(not_visible);
    let dead = match dead {
        Some(dead) => counts(dead).await?.iter().sum(),
        None => 0,
    };
    Ok(Depth { ready, in_flight: not_visible - given_back, delayed: not_yet_sent + given_back, dead })
}

impl Queue for SqsQueue {
    fn publisher(&self) -> Arc<dyn Publisher> {
        Arc::new(SqsPublisher::new(Arc::clone(&self.shared)))
    }

    fn subscribe<'a>(
        &'a self,
        subscription: &'a Subscription,
        config: SubscriptionConfig,
    ) -> BoxFuture<'a, Result<Arc<dyn Receiver>, QueueError>> {
        Box::pin(async move {
            let Ready { queue, dead, unwrap } = setup::apply(&self.shared, subscription, config).await?;
            let shared = Arc::clone(&self.shared);
            let receiver = SqsReceiver::new(shared, subscription.clone(), config, queue, dead, unwrap);
            Ok(Arc::new(receiver) as Arc<dyn Receiver>)
        })
    }

    fn plan<'a>(
        &'a self,
        subscription: &'a Subscription,
        config: SubscriptionConfig,
    ) -> BoxFuture<'a, Result<Vec<Change>, QueueError>> {
        Box::pin(setup::plan(&self.shared, subscription, config))
    }

    fn subscriptions(&self) -> BoxFuture<'_, Result<Vec<(Subscription, Depth)>, QueueError>> {
        Box::pin(async move {
            let found = self.shared.list(self.shared.names.all()).await?;
            let counting = found.into_iter().map(|(subscription, queue)| async move {
                let name = self.shared.names.queue(&subscription)?;
                let dead = self.shared.find(&Names::dead(&name)).await?;
                let depth = depth(&self.shared, &queue, dead.as_ref()).await?;
                Ok::<_, QueueError>((subscription, depth))
            });
            let mut counted = stream::iter(counting).buffered(COUNTED_AT_A_TIME);
            let mut listed = Vec::new();
            while let Some(one) = counted.next().await {
                listed.push(one?);
            }
            Ok(listed)
        })
    }

    fn dead_letters<'a>(
        &'a self,
        subscription: &'a Subscription,
        after: Option<&'a DeadLetterId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<DeadLetter>, QueueError>> {
        Box::pin(super::dead::list(&self.shared, subscription, after, limit))
    }

    fn redrive<'a>(
        &'a self,
        subscription: &'a Subscription,
        limit: usize,
    ) -> BoxFuture<'a, Result<usize, QueueError>> {
        Box::pin(super::dead::redrive(&self.shared, subscription, limit))
    }
}
