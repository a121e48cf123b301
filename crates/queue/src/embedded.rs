//! The durable broker in a folder.

use std::path::Path;
use std::sync::Arc;

use store::{FjallConfig, OpenError, RealWorld, Setup, Store, World};

use crate::broker::{Broker, MESSAGES_MAX};
use crate::{
    BoxFuture, Clock, DeadLetter, DeadLetterId, Depth, Publisher, Queue, QueueError, QueueUrl, Receiver,
    Subscription, SubscriptionConfig,
};

mod codec;
mod keys;
mod rows;

use rows::StoreRows;

/// Whose store it is, in the store's own books.
const SERVICE: &str = "queue";

/// A queue without a server: SQS's semantics in a folder of this machine, for one process.
///
/// - A message is on the disk (`fdatasync`) before `publish` answers; publishes that wait together share one sync.
/// - It survives `SIGKILL` and power cuts. Afterwards everything that was not acked is ready, at once: leases and delays
///   live in memory. Acks and receive counts are written before they take effect but not synced, so a power cut (not a
///   kill) may bring back what was just acked, which at-least-once allows.
/// - Receive counts are written before the hand-out: a message that kills its process is counted, and put aside after
///   [`SubscriptionConfig::receives_max`] like any other.
/// - Memory grows with what is in flight or delayed, not with what waits.
///
/// It holds up to [`MESSAGES_MAX`] messages per subscription, dead letters included. Clones are the same broker. Its
/// folder belongs to it until the last clone, publisher and receiver are dropped; [`close`](Self::close) waits for that.
#[derive(Debug, Clone)]
pub struct EmbeddedQueue {
    broker: Arc<Broker<StoreRows>>,
}

impl EmbeddedQueue {
    /// Opens the queue in `folder`, or makes one there. `world` stamps messages and pads what must be unique.
    ///
    /// Errors: [`QueueError::Broken`] if the folder is in use, damaged, foreign, or not ours to write; its source says
    /// which, and what to do.
    pub async fn open(folder: &Path, world: Arc<dyn World>) -> Result<Self, QueueError> {
        Self::open_with(folder, world, MESSAGES_MAX).await
    }

    /// Like [`open`](Self::open), with another bound on the messages of one subscription.
    pub async fn open_with(
        folder: &Path,
        world: Arc<dyn World>,
        messages_max: u64,
    ) -> Result<Self, QueueError> {
        let opened = Store::open_fjall(folder, FjallConfig::default(), world, &Setup::of(SERVICE));
        let store = opened.map_err(|error: OpenError| QueueError::broken(error))?;
        Self::on(store, messages_max).await
    }

    /// The queue in a store that is open already, and is used for nothing else.
    pub async fn on(store: Store, messages_max: u64) -> Result<Self, QueueError> {
        let world = Arc::clone(store.world());
        let rows = StoreRows::new(store, messages_max);
        let subscriptions = rows.subscriptions().await?;
        let clock = Clock::new(move || world.now_ms());
        Ok(Self { broker: Arc::new(Broker::new(rows, clock, subscriptions)) })
    }

    /// Finishes what is being written and takes no more: every later call on what came from this queue fails with
    /// [`QueueError::Broken`]. The folder is free once publishers and receivers are dropped too.
    pub async fn close(self) {
        let store = self.broker.rows().store().clone();
        drop(self);
        store.close().await;
    }
}

crate::broker::delegate_queue!(EmbeddedQueue);

/// The queue in the folder that is the path of `url`. Time and randomness are the real ones.
pub(crate) async fn connect(url: &QueueUrl) -> Result<Arc<dyn Queue>, QueueError> {
    url.only(&[])?;
    if !url.hosts().is_empty() || url.path().is_empty() {
        return Err(QueueError::Refused(format!("{url} names no folder: it is embedded:FOLDER")));
    }
    let folder = if url.is_rooted() { Path::new("/").join(url.path()) } else { url.path().into() };
    Ok(Arc::new(EmbeddedQueue::open(&folder, Arc::new(RealWorld)).await?))
}
