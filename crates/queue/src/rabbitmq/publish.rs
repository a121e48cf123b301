//! Publishing with confirms.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::ShortString;
use lapin::{Channel, Confirmation, Connection, PublisherConfirm};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use super::codec::{Parcel, pack};
use super::error::{failed, late};
use super::link::{CALL_MAX, Link};
use super::{Shared, topology};
use crate::{BoxFuture, Message, PublishError, Publisher, QueueError, Topic};

/// Most messages, and about most bytes, that one call has in flight.
const WINDOW: usize = 256;
const WINDOW_BYTES: usize = 8 * 1024 * 1024;
/// Most calls that have messages in flight at once; more wait their turn.
const CALLS_MAX: usize = 16;
/// How long a publisher waits while the broker is short of memory or disk.
const BLOCKED_MAX: Duration = Duration::from_secs(3);
const BLOCKED_POLL: Duration = Duration::from_millis(50);
/// Most topics that are remembered as declared.
const DECLARED_MAX: usize = 10_000;

/// A parcel and where it goes.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) exchange: ShortString,
    pub(super) routing_key: ShortString,
    /// It must end in a queue.
    pub(super) mandatory: bool,
    pub(super) parcel: Parcel,
}

impl Outgoing {
    /// To one queue alone, through the exchange without a name.
    pub(super) fn to_queue(queue: &ShortString, parcel: Parcel) -> Self {
        Self { exchange: ShortString::default(), routing_key: queue.clone(), mandatory: true, parcel }
    }
}

/// Why a parcel was not sent.
#[derive(Debug, Clone)]
pub(super) enum SendError {
    /// A queue is full.
    Full,
    /// There is no such queue.
    NoQueue,
    Queue(QueueError),
}

impl From<QueueError> for SendError {
    fn from(error: QueueError) -> Self {
        Self::Queue(error)
    }
}

/// Sends, and waits for the confirms.
#[derive(Debug)]
pub(super) struct Sender {
    link: Link,
    /// Taken by whoever sends, so that the client's count of messages is the broker's.
    open: Mutex<Option<Open>>,
    calls: tokio::sync::Semaphore,
    declared: Mutex<BTreeSet<ShortString>>,
}

#[derive(Debug, Clone)]
struct Open {
    channel: Channel,
    connection: Arc<Connection>,
}

impl Sender {
    pub(super) fn new(link: Link) -> Self {
        Self {
            link,
            open: Mutex::default(),
            calls: tokio::sync::Semaphore::new(CALLS_MAX),
            declared: Mutex::default(),
        }
    }

    /// One answer per parcel.
    pub(super) async fn send(&self, parcels: Vec<Outgoing>) -> Vec<Result<(), SendError>> {
        let mut answers = Vec::with_capacity(parcels.len());
        let mut rest = parcels.into_iter().peekable();
        while rest.peek().is_some() {
            let mut bytes = 0;
            let mut window = Vec::new();
            while let Some(next) =
                rest.next_if(|next| window.is_empty() || bytes + next.parcel.body.len() <= WINDOW_BYTES)
            {
                bytes += next.parcel.body.len();
                window.push(next);
                if window.len() == WINDOW {
                    break;
                }
            }
            let count = window.len();
            match self.send_window(window).await {
                Ok(confirmed) => answers.extend(confirmed),
                Err(error) => answers.extend((0..count).map(|_| Err(SendError::Queue(error.clone())))),
            }
        }
        answers
    }

    /// Sends one, and waits for its confirm.
    pub(super) async fn send_one(&self, parcel: Outgoing) -> Result<(), SendError> {
        self.send(vec![parcel])
            .await
            .pop()
            .unwrap_or_else(|| Err(late(self.link.target(), "publishing").into()))
    }

    async fn send_window(&self, window: Vec<Outgoing>) -> Result<Vec<Result<(), SendError>>, QueueError> {
        let _turn = self.calls.acquire().await.map_err(QueueError::broken)?;
        let mut slot = self.open.lock().await;
        let open = self.opened(&mut slot).await?;
        let sending = join_all(window.iter().map(|outgoing| {
            open.channel.basic_publish(
                outgoing.exchange.clone(),
                outgoing.routing_key.clone(),
                BasicPublishOptions { mandatory: outgoing.mandatory, ..BasicPublishOptions::default() },
                &outgoing.parcel.body,
                outgoing.parcel.properties.clone(),
            )
        }));
        let Ok(sent) = timeout(CALL_MAX, sending).await else {
            *slot = None;
            drop(slot);
            return Err(self.stuck(&open).await);
        };
        drop(slot);
        // On its own, so that a caller who leaves does not leave confirms behind that nobody takes.
        let confirming = tokio::spawn(timeout(CALL_MAX, join_all(sent.into_iter().map(confirm))));
        let confirmed = tokio::select! {
            confirmed = confirming => confirmed.map_err(QueueError::broken)?,
            () = blocked_for_long(&open.connection) => return Err(self.blocked()),
        };
        let Ok(confirmed) = confirmed else {
            self.forget(&open).await;
            return Err(self.stuck(&open).await);
        };
        let answer = |confirmed: lapin::Result<Confirmation>| match confirmed {
            Ok(Confirmation::Ack(None)) => Ok(()),
            Ok(Confirmation::Ack(Some(_))) => Err(SendError::NoQueue),
            Ok(Confirmation::Nack(_)) => Err(SendError::Full),
            Ok(Confirmation::NotRequested) => {
                Err(QueueError::broken("the channel does not confirm: a bug of ours").into())
            }
            Err(error) => Err(failed(self.link.target(), "publishing", &error).into()),
        };
        Ok(confirmed.into_iter().map(answer).collect())
    }

    /// The channel, made if there is none.
    async fn opened(&self, slot: &mut Option<Open>) -> Result<Open, QueueError> {
        if let Some(open) = slot.take_if(|open| !open.channel.status().connected()) {
            drop(open);
            // Why it was closed may be that an exchange was deleted.
            self.declared.lock().await.clear();
        }
        if let Some(open) = slot {
            self.unblocked(&open.connection).await?;
            return Ok(open.clone());
        }
        let connection = self.link.connection().await?;
        self.unblocked(&connection).await?;
        let channel = self.link.call("opening a channel", connection.create_channel()).await?;
        let select = channel.confirm_select(ConfirmSelectOptions::default());
        self.link.call("asking for confirms", select).await?;
        Ok(slot.insert(Open { channel, connection }).clone())
    }

    /// Waits while the broker takes nothing, but not for long.
    async fn unblocked(&self, connection: &Connection) -> Result<(), QueueError> {
        let give_up = Instant::now() + BLOCKED_MAX;
        while connection.status().blocked() {
            if Instant::now() >= give_up {
                return Err(self.blocked());
            }
            sleep(BLOCKED_POLL).await;
        }
        Ok(())
    }

    fn blocked(&self) -> QueueError {
        QueueError::unavailable(format!(
            "{}: the broker is short of memory or disk, and takes no messages until some are consumed or room is made",
            self.link.target()
        ))
    }

    async fn forget(&self, open: &Open) {
        let mut slot = self.open.lock().await;
        if slot.as_ref().is_some_and(|current| current.channel.id() == open.channel.id()) {
            *slot = None;
        }
    }

    /// Why no confirm came. A connection that is only blocked is kept: another one would be blocked as well.
    async fn stuck(&self, open: &Open) -> QueueError {
        if open.connection.status().blocked() {
            return self.blocked();
        }
        self.link.give_up().await;
        late(self.link.target(), "publishing")
    }

    /// Makes the exchange of a topic, once for each time that this sender had to begin again.
    async fn declare(&self, shared: &Shared, topic: &Topic) -> Result<ShortString, QueueError> {
        let exchange = shared.names.exchange(topic)?;
        let mut declared = self.declared.lock().await;
        if !declared.contains(&exchange) {
            topology::declare_exchange(shared, &exchange).await?;
            if declared.len() >= DECLARED_MAX {
                declared.clear();
            }
            declared.insert(exchange.clone());
        }
        Ok(exchange)
    }
}

/// Returns when the broker has taken nothing for [`BLOCKED_MAX`].
async fn blocked_for_long(connection: &Connection) {
    let mut since = None;
    loop {
        sleep(BLOCKED_POLL).await;
        since = connection.status().blocked().then(|| since.unwrap_or_else(Instant::now));
        if since.is_some_and(|since| since.elapsed() >= BLOCKED_MAX) {
            return;
        }
    }
}

async fn confirm(sent: lapin::Result<PublisherConfirm>) -> lapin::Result<Confirmation> {
    sent?.await
}

/// Publishes to any topic of a virtual host.
#[derive(Debug)]
pub(super) struct RabbitPublisher {
    shared: Arc<Shared>,
}

impl RabbitPublisher {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    async fn publish_all(&self, topic: &Topic, batch: Vec<Message>) -> Vec<Result<(), PublishError>> {
        let shared = &*self.shared;
        if batch.is_empty() {
            return Vec::new();
        }
        let exchange = match shared.sender.declare(shared, topic).await {
            Ok(exchange) => exchange,
            Err(error) => return batch.iter().map(|_| Err(PublishError::Queue(error.clone()))).collect(),
        };
        let now_ms = shared.clock.now_ms();
        let checked: Vec<_> = batch.iter().map(Message::check_size).collect();
        let fitting = batch.iter().zip(&checked).filter(|(_, checked)| checked.is_ok());
        let outgoing = fitting.map(|(message, _)| Outgoing {
            exchange: exchange.clone(),
            routing_key: ShortString::default(),
            // A topic without subscriptions accepts everything and keeps nothing.
            mandatory: false,
            parcel: pack(message, now_ms),
        });
        let mut sent = shared.sender.send(outgoing.collect()).await.into_iter();
        let answer = |checked: Result<(), PublishError>| {
            checked?;
            match sent.next() {
                Some(Ok(())) => Ok(()),
                Some(Err(SendError::Full)) => Err(PublishError::Full),
                Some(Err(SendError::Queue(error))) => Err(PublishError::Queue(error)),
                Some(Err(SendError::NoQueue)) | None => {
                    Err(PublishError::Queue(late(&shared.target, "publishing")))
                }
            }
        };
        checked.into_iter().map(answer).collect()
    }
}

impl Publisher for RabbitPublisher {
    fn publish<'a>(
        &'a self,
        topic: &'a Topic,
        batch: Vec<Message>,
    ) -> BoxFuture<'a, Vec<Result<(), PublishError>>> {
        Box::pin(self.publish_all(topic, batch))
    }
}
