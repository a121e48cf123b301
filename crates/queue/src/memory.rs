//! The broker in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::broker::{Broker, MESSAGES_MAX};
use crate::rows::{Burial, Buried, Rows, Stored, Totals, unknown};
use crate::{
    BoxFuture, Clock, DeadLetter, DeadLetterId, Depth, Publisher, QueueError, Receiver, Subscription,
    SubscriptionConfig,
};

/// A whole broker in this process, for tests, simulations and examples: it forgets everything when it is dropped, and
/// that is the only thing in which it differs from a durable one.
///
/// It hands out in the order of publishing, what came back first, and lives on tokio's time: under a paused clock its
/// leases and delays pass only when the test says so. It holds up to [`MESSAGES_MAX`] messages per subscription, dead
/// letters included. Clones are the same broker.
#[derive(Debug, Clone)]
pub struct MemoryQueue {
    broker: Arc<Broker<MemoryRows>>,
}

impl Default for MemoryQueue {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryQueue {
    /// An empty broker whose wall clock starts at the Unix epoch.
    pub fn new() -> Self {
        Self::with(Clock::starting_at(0), MESSAGES_MAX)
    }

    /// An empty broker that stamps messages by `clock`, and holds at most `messages_max` per subscription.
    pub fn with(clock: Clock, messages_max: u64) -> Self {
        Self::bounded(clock, Bounds { messages: messages_max, ..Bounds::DEFAULT })
    }

    /// The same, with every bound.
    pub(crate) fn bounded(clock: Clock, bounds: Bounds) -> Self {
        let rows = MemoryRows { shelves: Mutex::default(), bounds };
        Self { broker: Arc::new(Broker::new(rows, clock, Vec::new())) }
    }
}

/// How much one subscription holds at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Messages, dead letters included.
    pub(crate) messages: u64,
    /// Bytes of them: a message is taken while there are fewer.
    pub(crate) bytes: usize,
    /// Dead letters: the oldest is forgotten for one more, with a warning.
    pub(crate) dead: usize,
}

impl Bounds {
    /// What a test or a simulation takes: a number of messages of any size.
    const DEFAULT: Self = Self { messages: MESSAGES_MAX, bytes: usize::MAX, dead: usize::MAX };
}

crate::broker::delegate_queue!(MemoryQueue);

#[derive(Debug, Default)]
struct Shelf {
    next: u64,
    live: BTreeMap<u64, Stored>,
    dead: BTreeMap<u64, Buried>,
    /// Of all of them.
    bytes: usize,
}

#[derive(Debug)]
struct MemoryRows {
    shelves: Mutex<BTreeMap<Subscription, Shelf>>,
    bounds: Bounds,
}

impl MemoryRows {
    fn shelf<T>(
        &self,
        subscription: &Subscription,
        read: impl FnOnce(&mut Shelf) -> T,
    ) -> Result<T, QueueError> {
        let mut shelves = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
        shelves.get_mut(subscription).map(read).ok_or_else(|| unknown(subscription))
    }
}

impl Shelf {
    fn append(&mut self, stored: Stored) {
        self.bytes += stored.message.size_bytes();
        self.live.insert(self.next, stored);
        self.next += 1;
    }

    fn has_room(&self, bounds: &Bounds) -> bool {
        let total = u64::try_from(self.live.len() + self.dead.len()).unwrap_or(u64::MAX);
        total < bounds.messages && self.bytes < bounds.bytes
    }

    /// Takes a message out; what it weighed is free again.
    fn take(&mut self, number: u64) -> Option<Stored> {
        let stored = self.live.remove(&number)?;
        self.bytes -= stored.message.size_bytes();
        Some(stored)
    }

    fn take_first_dead(&mut self) -> Option<Buried> {
        let (_, buried) = self.dead.pop_first()?;
        self.bytes -= buried.stored.message.size_bytes();
        Some(buried)
    }

    fn bury(&mut self, burial: Burial, dead_max: usize) {
        let Burial { number, receive_count, reason } = burial;
        let Some(mut stored) = self.take(number) else { return };
        stored.receive_count = receive_count;
        self.bytes += stored.message.size_bytes();
        self.dead.insert(number, Buried { stored, reason });
        while self.dead.len() > dead_max
            && let Some(Buried { reason, .. }) = self.take_first_dead()
        {
            tracing::warn!(reason, dead_max, "the oldest dead letter is forgotten: memory keeps so many");
        }
    }
}

impl Rows for MemoryRows {
    async fn create(&self, subscription: &Subscription) -> Result<(), QueueError> {
        let mut shelves = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
        shelves.entry(subscription.clone()).or_default();
        Ok(())
    }

    async fn append(
        &self,
        subscriptions: Vec<Subscription>,
        messages: Vec<Stored>,
    ) -> Result<Vec<bool>, QueueError> {
        let mut shelves = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
        let mut accepted = Vec::with_capacity(messages.len());
        for stored in messages {
            let mut targets = subscriptions.iter().filter_map(|name| shelves.get(name));
            let fits = targets.all(|shelf| shelf.has_room(&self.bounds));
            if fits {
                for name in &subscriptions {
                    if let Some(shelf) = shelves.get_mut(name) {
                        shelf.append(stored.clone());
                    }
                }
            }
            accepted.push(fits);
        }
        Ok(accepted)
    }

    async fn read_from(
        &self,
        subscription: &Subscription,
        from: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Stored)>, QueueError> {
        self.shelf(subscription, |shelf| {
            shelf.live.range(from..).take(limit).map(|(number, stored)| (*number, stored.clone())).collect()
        })
    }

    async fn read(
        &self,
        subscription: &Subscription,
        numbers: &[u64],
    ) -> Result<Vec<(u64, Stored)>, QueueError> {
        self.shelf(subscription, |shelf| {
            let found = |number: &u64| shelf.live.get(number).map(|stored| (*number, stored.clone()));
            numbers.iter().filter_map(found).collect()
        })
    }

    async fn count(&self, subscription: &Subscription, counts: Vec<(u64, u32)>) -> Result<(), QueueError> {
        self.shelf(subscription, |shelf| {
            for (number, receive_count) in counts {
                if let Some(stored) = shelf.live.get_mut(&number) {
                    stored.receive_count = receive_count;
                }
            }
        })
    }

    async fn remove(&self, subscription: &Subscription, numbers: Vec<u64>) -> Result<(), QueueError> {
        self.shelf(subscription, |shelf| {
            for number in numbers {
                shelf.take(number);
            }
        })
    }

    async fn bury(&self, subscription: &Subscription, burials: Vec<Burial>) -> Result<(), QueueError> {
        self.shelf(subscription, |shelf| {
            for burial in burials {
                shelf.bury(burial, self.bounds.dead);
            }
        })
    }

    async fn totals(&self, subscription: &Subscription) -> Result<Totals, QueueError> {
        self.shelf(subscription, |shelf| Totals {
            live: u64::try_from(shelf.live.len()).unwrap_or(u64::MAX),
            dead: u64::try_from(shelf.dead.len()).unwrap_or(u64::MAX),
        })
    }

    async fn dead(
        &self,
        subscription: &Subscription,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, Buried)>, QueueError> {
        let from = after.map_or(0, |after| after.saturating_add(1));
        self.shelf(subscription, |shelf| {
            shelf.dead.range(from..).take(limit).map(|(number, buried)| (*number, buried.clone())).collect()
        })
    }

    async fn redrive(
        &self,
        subscription: &Subscription,
        limit: usize,
        now_ms: u64,
    ) -> Result<usize, QueueError> {
        self.shelf(subscription, |shelf| {
            let mut redriven = 0;
            while redriven < limit
                && let Some(Buried { stored, .. }) = shelf.take_first_dead()
            {
                shelf.append(Stored { receive_count: 0, published_at_ms: now_ms, ..stored });
                redriven += 1;
            }
            redriven
        })
    }
}
