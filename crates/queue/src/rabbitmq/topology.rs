//! What is made at the broker, and how it is counted.

use std::time::Duration;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use lapin::{Error, ExchangeKind};
use tokio::time::Instant;

use super::Shared;
use super::error::{Closed, closed, failed, words};
use super::names::QueueNames;
use super::scan;
use crate::rows::unknown;
use crate::{Action, Change, Depth, LEASE_MAX, QueueError, Subscription};

/// Longest time that a delivery may be out, in milliseconds: somewhat more than the longest lease.
const CONSUMER_TIMEOUT: Duration = LEASE_MAX.saturating_add(Duration::from_hours(1));
/// How often a message may come back before the broker drops it. Brokers from 4.0 on say 20 unless told otherwise, and
/// older ones take no "never".
const DELIVERY_LIMIT: i64 = 2_000_000_000;

/// How often is looked for delay queues that other processes have made.
const PROBE_EVERY: Duration = Duration::from_mins(1);

/// One thing that a subscription needs.
#[derive(Debug)]
enum Part {
    Exchange(ShortString),
    Queue(ShortString, FieldTable),
}

impl Part {
    fn target(&self) -> String {
        match self {
            Self::Exchange(name) => format!("exchange \"{name}\""),
            Self::Queue(name, _) => format!("queue \"{name}\""),
        }
    }

    /// Makes it, or compares it with what is there; with `passive` only asks whether it is there.
    async fn declare(&self, shared: &Shared, passive: bool) -> Result<lapin::Result<u32>, QueueError> {
        let link = &shared.consuming;
        // A channel of its own, since the broker closes it if it does not agree.
        let channel = link.channel().await?;
        let what = format!("declaring {}", self.target());
        match self {
            Self::Exchange(name) => {
                let options =
                    ExchangeDeclareOptions { passive, durable: true, ..ExchangeDeclareOptions::default() };
                let declare = channel.exchange_declare(
                    name.clone(),
                    ExchangeKind::Fanout,
                    options,
                    FieldTable::default(),
                );
                Ok(link.bounded(&what, declare).await?.map(|()| 0))
            }
            Self::Queue(name, arguments) => {
                let options = QueueDeclareOptions { passive, ..QueueDeclareOptions::durable() };
                let declare = channel.queue_declare(name.clone(), options, arguments.clone());
                Ok(link.bounded(&what, declare).await?.map(|queue| queue.message_count()))
            }
        }
    }
}

/// Why something cannot be used as it is, and what to do.
fn conflict(error: &Error) -> String {
    format!(
        "it is there with other settings ({}): set max_messages as they are, or move its messages elsewhere, delete it, \
         and subscribe again",
        words(error)
    )
}

fn whole(value: i64) -> AMQPValue {
    AMQPValue::LongLongInt(value)
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(LongString::from(value))
}

/// What every queue of ours is: replicated, bounded, and never dropping anything by itself.
fn quorum(messages_max: u32) -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments.insert("x-max-length".into(), whole(i64::from(messages_max)));
    arguments.insert("x-overflow".into(), text("reject-publish"));
    arguments.insert("x-delivery-limit".into(), whole(DELIVERY_LIMIT));
    arguments
}

fn main_queue(messages_max: u32) -> FieldTable {
    let mut arguments = quorum(messages_max);
    let timeout_ms = i64::try_from(CONSUMER_TIMEOUT.as_millis()).unwrap_or(i64::MAX);
    arguments.insert("x-consumer-timeout".into(), whole(timeout_ms));
    arguments
}

fn delay_queue(messages_max: u32, back_to: &ShortString) -> FieldTable {
    let mut arguments = quorum(messages_max);
    arguments.insert("x-dead-letter-exchange".into(), text(""));
    arguments.insert("x-dead-letter-routing-key".into(), text(back_to.as_str()));
    // What expires is kept until the subscription's queue has confirmed it.
    arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
    arguments
}

fn parts(shared: &Shared, names: &QueueNames) -> [Part; 3] {
    [
        Part::Exchange(names.exchange.clone()),
        Part::Queue(names.queue.clone(), main_queue(shared.messages_max)),
        Part::Queue(names.dead.clone(), quorum(shared.messages_max)),
    ]
}

async fn make(shared: &Shared, part: &Part) -> Result<(), QueueError> {
    match part.declare(shared, false).await? {
        Ok(_) => Ok(()),
        Err(error) if closed(&error) == Closed::OtherSettings => {
            Err(QueueError::Refused(format!("{}: {}: {}", shared.target, part.target(), conflict(&error))))
        }
        Err(error) => Err(failed(&shared.target, &format!("declaring {}", part.target()), &error)),
    }
}

/// How many messages are ready; `None` if there is no such queue.
async fn ready(shared: &Shared, queue: &ShortString) -> Result<Option<u32>, QueueError> {
    let part = Part::Queue(queue.clone(), FieldTable::default());
    match part.declare(shared, true).await? {
        Ok(count) => Ok(Some(count)),
        Err(error) if closed(&error) == Closed::NotFound => Ok(None),
        Err(error) => Err(failed(&shared.target, &format!("counting queue \"{queue}\""), &error)),
    }
}

pub(super) async fn declare_exchange(shared: &Shared, exchange: &ShortString) -> Result<(), QueueError> {
    make(shared, &Part::Exchange(exchange.clone())).await
}

/// Makes what one delay needs.
pub(super) async fn declare_delay(
    shared: &Shared,
    names: &QueueNames,
    delay: Duration,
) -> Result<ShortString, QueueError> {
    let queue = names.delay(delay)?;
    let arguments = delay_queue(shared.messages_max, &names.queue);
    make(shared, &Part::Queue(queue.clone(), arguments)).await?;
    shared.with_delays(&names.queue, |known| known.found.insert(queue.clone()));
    Ok(queue)
}

/// Makes the list of subscriptions.
pub(super) async fn declare_registry(shared: &Shared) -> Result<ShortString, QueueError> {
    let queue = shared.names.registry()?;
    make(shared, &Part::Queue(queue.clone(), quorum(shared.messages_max))).await?;
    Ok(queue)
}

/// Makes what a subscription needs, and compares what is there.
pub(super) async fn declare(shared: &Shared, subscription: &Subscription) -> Result<(), QueueError> {
    let names = shared.names.of(subscription)?;
    if ready(shared, &names.queue).await?.is_none() {
        // Before it exists, so that a crash leaves a name too many in the list rather than a queue that is not in it.
        scan::register(shared, subscription).await?;
    }
    for part in parts(shared, &names) {
        make(shared, &part).await?;
    }
    let channel = shared.consuming.channel().await?;
    let bind = channel.queue_bind(
        names.queue.clone(),
        names.exchange.clone(),
        ShortString::default(),
        QueueBindOptions::default(),
        FieldTable::default(),
    );
    shared.consuming.call(&format!("binding queue \"{}\"", names.queue), bind).await
}

/// What [`declare`] would make, and what stands in its way.
pub(super) async fn plan(shared: &Shared, subscription: &Subscription) -> Result<Vec<Change>, QueueError> {
    let names = shared.names.of(subscription)?;
    let mut changes = Vec::new();
    for part in parts(shared, &names) {
        let action = match part.declare(shared, true).await? {
            // Declaring what is there changes nothing: the broker compares.
            Ok(_) => match part.declare(shared, false).await? {
                Ok(_) => continue,
                Err(error) if closed(&error) == Closed::OtherSettings => {
                    Action::Conflict { reason: conflict(&error) }
                }
                Err(error) => {
                    return Err(failed(&shared.target, &format!("comparing {}", part.target()), &error));
                }
            },
            Err(error) if closed(&error) == Closed::NotFound => Action::Create,
            Err(error) => {
                return Err(failed(&shared.target, &format!("looking for {}", part.target()), &error));
            }
        };
        changes.push(Change { target: part.target(), action });
    }
    Ok(changes)
}

/// Refuses a subscription that is not there.
pub(super) async fn expect(shared: &Shared, subscription: &Subscription) -> Result<(), QueueError> {
    let names = shared.names.of(subscription)?;
    ready(shared, &names.queue).await?.map(drop).ok_or_else(|| unknown(subscription))
}

/// The delay queues that there may be. Now and then all that are possible, otherwise those that were there: the broker
/// notes each question for one that is not as an error in its log.
fn delays(shared: &Shared, names: &QueueNames) -> Result<Vec<ShortString>, QueueError> {
    let now = Instant::now();
    let known = shared.with_delays(&names.queue, |known| {
        let is_fresh = known.probed.is_some_and(|probed| now < probed + PROBE_EVERY);
        if !is_fresh {
            known.probed = Some(now);
        }
        is_fresh.then(|| known.found.iter().cloned().collect())
    });
    known.map_or_else(|| names.delays(), Ok)
}

/// What the broker can count. Nothing in flight: it does not tell.
pub(super) async fn counts(shared: &Shared, subscription: &Subscription) -> Result<Depth, QueueError> {
    let names = shared.names.of(subscription)?;
    let Some(ready_now) = ready(shared, &names.queue).await? else { return Err(unknown(subscription)) };
    let dead = ready(shared, &names.dead).await?.unwrap_or_default();
    let mut delayed = 0;
    for queue in delays(shared, &names)? {
        let count = ready(shared, &queue).await?;
        delayed += u64::from(count.unwrap_or_default());
        shared.with_delays(&names.queue, |known| match count {
            Some(_) => known.found.insert(queue),
            None => known.found.remove(&queue),
        });
    }
    Ok(Depth { ready: u64::from(ready_now), in_flight: 0, delayed, dead: u64::from(dead) })
}
