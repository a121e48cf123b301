//! What a subscription needs at the broker: compared with what is there, and made.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName as Attribute;

use super::broker::Shared;
use super::calls::Place;
use super::error::Failure;
use super::limits::{LIST_PAGES_MAX, RECEIVES_MAX_MAX, RETENTION_SECS_DEFAULT};
use super::names::Names;
use super::options::FanOut;
use super::settings::{self, Difference, Settings};
use crate::{Action, Change, QueueError, Subscription, SubscriptionConfig};

/// How often a queue that was just made is looked for: Amazon may need a second until all its servers know it.
const LOOKS_MAX: u32 = 5;
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A subscription that is as it has to be.
pub(super) struct Ready {
    pub(super) queue: Place,
    pub(super) dead: Place,
    /// The ARN of the topic whose notifications are to be unwrapped.
    pub(super) unwrap: Option<String>,
}

/// A queue that is there.
struct Found {
    place: Place,
    settings: Settings,
}

/// The subscription of a queue to its topic.
struct Link {
    arn: String,
    attributes: BTreeMap<String, String>,
}

/// What is there of a subscription.
struct There {
    name: String,
    queue: Option<Found>,
    dead: Option<Found>,
    /// Whether the topic is there, if it matters.
    topic: bool,
    link: Option<Link>,
}

fn check(subscription: &Subscription, config: SubscriptionConfig) -> Result<(), QueueError> {
    config.check()?;
    match config.receives_max {
        Some(max) if !(1..=RECEIVES_MAX_MAX).contains(&max) => Err(QueueError::Refused(format!(
            "subscription {subscription}: receives_max is {max}; SQS allows 1 to {RECEIVES_MAX_MAX} \
             (maxReceiveCount), or none"
        ))),
        _ => Ok(()),
    }
}

/// What [`apply`] would do.
pub(super) async fn plan(
    shared: &Shared,
    subscription: &Subscription,
    config: SubscriptionConfig,
) -> Result<Vec<Change>, QueueError> {
    check(subscription, config)?;
    Ok(changes(shared, subscription, &inspect(shared, subscription).await?, config))
}

/// Makes and changes what [`plan`] tells.
///
/// Errors: [`QueueError::Refused`] with the reason of the first conflict, before anything is changed.
pub(super) async fn apply(
    shared: &Shared,
    subscription: &Subscription,
    config: SubscriptionConfig,
) -> Result<Ready, QueueError> {
    check(subscription, config)?;
    let there = inspect(shared, subscription).await?;
    for Change { target, action } in changes(shared, subscription, &there, config) {
        if let Action::Conflict { reason } = action {
            return Err(QueueError::Refused(format!("{target} at {}: {reason}", shared.shown)));
        }
    }
    let There { name, queue, dead, link, .. } = there;
    let dead = match dead {
        Some(dead) => {
            set(shared, &dead.place, settings::of_dead(&dead.settings)).await?;
            dead
        }
        None => create(shared, &Names::dead(&name), settings::new_dead()).await?,
    };
    let queue = if let Some(queue) = queue {
        queue
    } else {
        let retention = shared.retention_secs.unwrap_or(RETENTION_SECS_DEFAULT);
        create(shared, &name, settings::new_queue(retention)).await?
    };
    let topic_arn = match shared.fan_out {
        FanOut::Sns { .. } => Some(shared.topic_arn(subscription.topic()).await?),
        FanOut::Queues => None,
    };
    let wanted = settings::Wanted {
        retention_secs: shared.retention_secs,
        receives_max: config.receives_max,
        dead_arn: dead.settings.arn().to_owned(),
        topic_arn: topic_arn.clone(),
    };
    set(shared, &queue.place, settings::of_queue(&queue.settings, &wanted)).await?;
    if let Some(topic_arn) = &topic_arn {
        join(shared, &queue, topic_arn, link).await?;
    }
    let unwrap = topic_arn.filter(|_| shared.fan_out == FanOut::Sns { raw: false });
    Ok(Ready { queue: queue.place, dead: dead.place, unwrap })
}

async fn inspect(shared: &Shared, subscription: &Subscription) -> Result<There, QueueError> {
    let name = shared.names.queue(subscription)?;
    let queue = found(shared, &name).await?;
    let dead = found(shared, &Names::dead(&name)).await?;
    let (mut topic, mut link) = (true, None);
    if shared.fan_out != FanOut::Queues {
        let topic_name = shared.names.topic(subscription.topic());
        match &queue {
            None => topic = is_listed(shared, &topic_name).await?,
            Some(queue) => {
                let topic_arn = settings::topic_arn(queue.settings.arn(), &topic_name);
                match linked(shared, &topic_arn, queue.settings.arn()).await {
                    Ok(found) => link = found,
                    Err(failure) if failure.is_missing() => topic = false,
                    Err(failure) => return Err(failure.into()),
                }
            }
        }
    }
    Ok(There { name, queue, dead, topic, link })
}

async fn found(shared: &Shared, name: &str) -> Result<Option<Found>, QueueError> {
    let Some(place) = shared.find(name).await? else { return Ok(None) };
    let settings = read(&place).await?;
    Ok(Some(Found { place, settings }))
}

async fn read(place: &Place) -> Result<Settings, Failure> {
    let asking = place.sqs.get_queue_attributes().queue_url(&place.queue_url);
    let asked = asking.attribute_names(Attribute::All).send().await;
    let found = asked.map_err(|error| Failure::of(error, place.doing("reading the settings of")))?;
    Ok(Settings::new(found.attributes.unwrap_or_default()))
}

async fn is_listed(shared: &Shared, topic_name: &str) -> Result<bool, QueueError> {
    let doing = shared.doing("listing", "the topics");
    let mut next = None;
    for _ in 0..LIST_PAGES_MAX {
        let page = shared.sns.list_topics().set_next_token(next).send().await;
        let page = page.map_err(|error| Failure::of(error, doing))?;
        let named = |arn: &str| arn.rsplit_once(':').is_some_and(|(_, name)| name == topic_name);
        if page.topics().iter().filter_map(|topic| topic.topic_arn()).any(named) {
            return Ok(true);
        }
        next = page.next_token;
        if next.is_none() {
            return Ok(false);
        }
    }
    // Too many to look through: making it again does no harm.
    Ok(false)
}

/// How the queue is subscribed to the topic. Fails with what is [missing](Failure::is_missing) if there is no topic.
async fn linked(shared: &Shared, topic_arn: &str, queue_arn: &str) -> Result<Option<Link>, Failure> {
    let target = format!("topic \"{topic_arn}\"");
    let doing = shared.doing("listing the subscriptions of", &target);
    let mut next = None;
    for _ in 0..LIST_PAGES_MAX {
        let asking = shared.sns.list_subscriptions_by_topic().topic_arn(topic_arn).set_next_token(next);
        let page = asking.send().await.map_err(|error| Failure::of(error, doing))?;
        let of_queue = page
            .subscriptions()
            .iter()
            .find(|found| found.protocol() == Some("sqs") && found.endpoint() == Some(queue_arn));
        if let Some(arn) = of_queue.and_then(|found| found.subscription_arn()) {
            let asked = shared.sns.get_subscription_attributes().subscription_arn(arn).send().await;
            let found = asked.map_err(|error| Failure::of(error, doing))?;
            let attributes = found.attributes.unwrap_or_default().into_iter().collect();
            return Ok(Some(Link { arn: arn.to_owned(), attributes }));
        }
        next = page.next_token;
        if next.is_none() {
            return Ok(None);
        }
    }
    Err(Failure::of_entry("TooMany", "the topic has more subscriptions than are looked through", true, doing))
}

/// What is to be done about what is there.
fn changes(
    shared: &Shared,
    subscription: &Subscription,
    there: &There,
    config: SubscriptionConfig,
) -> Vec<Change> {
    let (name, dead_name) = (&there.name, Names::dead(&there.name));
    let target = |name: &str| format!("queue \"{name}\"");
    let create = |target: String| Change { target, action: Action::Create };
    let mut changes = Vec::new();
    match &there.dead {
        None => changes.push(create(target(&dead_name))),
        Some(dead) => tell(&mut changes, &target(&dead_name), settings::of_dead(&dead.settings)),
    }
    let topic_name = shared.names.topic(subscription.topic());
    let sns = shared.fan_out != FanOut::Queues;
    match &there.queue {
        None => changes.push(create(target(name))),
        Some(queue) => {
            let arn = queue.settings.arn();
            let wanted = settings::Wanted {
                retention_secs: shared.retention_secs,
                receives_max: config.receives_max,
                dead_arn: Names::dead(arn),
                topic_arn: sns.then(|| settings::topic_arn(arn, &topic_name)),
            };
            tell(&mut changes, &target(name), settings::of_queue(&queue.settings, &wanted));
        }
    }
    if let FanOut::Sns { raw } = shared.fan_out {
        if !there.topic {
            changes.push(create(format!("topic \"{topic_name}\"")));
        }
        let target = format!("subscription of queue \"{name}\" to topic \"{topic_name}\"");
        match &there.link {
            None => changes.push(create(target)),
            Some(link) => tell(&mut changes, &target, settings::of_link(&link.attributes, raw)),
        }
    }
    changes
}

fn tell<S: AsRef<str>>(changes: &mut Vec<Change>, target: &str, differences: Vec<Difference<S>>) {
    let change = |difference: Difference<S>| {
        let action = match difference {
            Difference::Alter { setting, from, shown, .. } => {
                Action::Alter { setting: setting.as_ref().to_owned(), from, to: shown }
            }
            Difference::Conflict(reason) => Action::Conflict { reason },
        };
        Change { target: target.to_owned(), action }
    };
    changes.extend(differences.into_iter().map(change));
}

async fn create(
    shared: &Shared,
    name: &str,
    attributes: Vec<(Attribute, String)>,
) -> Result<Found, QueueError> {
    let target = format!("queue \"{name}\"");
    let doing = shared.doing("making", &target);
    let asking = shared.sqs.create_queue().queue_name(name);
    let asking = asking.set_attributes(Some(attributes.into_iter().collect()));
    let made = match asking.send().await {
        Ok(made) => made.queue_url.map(|queue_url| shared.place(name, queue_url)),
        Err(error) => match Failure::of(error, doing) {
            // Somebody was faster, with settings of their own.
            failure if failure.exists() => shared.find(name).await?,
            failure => return Err(failure.into()),
        },
    };
    let place = made.ok_or_else(|| Failure::busy(format!("{doing}: the answer has no URL")))?;
    let mut looks = 1;
    loop {
        match read(&place).await {
            Ok(settings) => return Ok(Found { place, settings }),
            Err(failure) if failure.is_missing() && looks < LOOKS_MAX => looks += 1,
            Err(failure) => return Err(failure.into()),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Changes what differs; conflicts were told before.
async fn set(
    shared: &Shared,
    place: &Place,
    differences: Vec<Difference<Attribute>>,
) -> Result<(), QueueError> {
    let altered: Vec<(Attribute, String)> = differences
        .into_iter()
        .filter_map(|difference| match difference {
            Difference::Alter { setting, to, .. } => Some((setting, to)),
            Difference::Conflict(_) => None,
        })
        .collect();
    if altered.is_empty() {
        return Ok(());
    }
    let asking = shared.sqs.set_queue_attributes().queue_url(&place.queue_url);
    let asked = asking.set_attributes(Some(altered.into_iter().collect())).send().await;
    asked.map_err(|error| Failure::of(error, place.doing("changing the settings of")))?;
    Ok(())
}

/// Subscribes the queue to the topic as the URL says.
async fn join(shared: &Shared, queue: &Found, topic_arn: &str, link: Option<Link>) -> Result<(), QueueError> {
    let FanOut::Sns { raw } = shared.fan_out else { return Ok(()) };
    let Some(link) = link else {
        let doing = queue.place.doing("subscribing");
        let asking =
            shared.sns.subscribe().topic_arn(topic_arn).protocol("sqs").endpoint(queue.settings.arn());
        let asking = asking.attributes(settings::RAW, raw.to_string()).return_subscription_arn(true);
        asking.send().await.map_err(|error| Failure::of(error, doing))?;
        return Ok(());
    };
    for difference in settings::of_link(&link.attributes, raw) {
        let Difference::Alter { setting, to, .. } = difference else { continue };
        let doing = queue.place.doing("changing the SNS subscription of");
        let asking = shared.sns.set_subscription_attributes().subscription_arn(&link.arn);
        let asked = asking.attribute_name(setting).attribute_value(to).send().await;
        asked.map_err(|error| Failure::of(error, doing))?;
    }
    Ok(())
}
