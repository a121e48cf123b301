//! One receiver of what arrived in this process.

use std::sync::Arc;
use std::time::Duration;

use super::Line;
use crate::{AckError, BoxFuture, Delivery, Depth, Lease, QueueError, Receipt, Receiver, Subscription};

/// Receives from memory; it only asks the connection whether more may come.
#[derive(Debug)]
pub(super) struct CoreReceiver {
    pub(super) inner: Arc<dyn Receiver>,
    /// Listens for as long as anybody receives.
    pub(super) line: Arc<Line>,
}

impl CoreReceiver {
    async fn receive_within(&self, max: usize, wait: Duration) -> Result<Vec<Delivery>, QueueError> {
        let found = self.inner.receive(max, Duration::ZERO).await?;
        if !found.is_empty() || max == 0 || wait.is_zero() {
            return Ok(found);
        }
        // Whoever waits at a line that is cut has to hear of it.
        self.line.core.link.connected().await?;
        self.inner.receive(max, wait).await
    }
}

impl Receiver for CoreReceiver {
    fn subscription(&self) -> &Subscription {
        &self.line.subscription
    }

    fn receive(&self, max: usize, wait: Duration) -> BoxFuture<'_, Result<Vec<Delivery>, QueueError>> {
        Box::pin(self.receive_within(max, wait))
    }

    fn ack<'a>(&'a self, receipts: &'a [Receipt]) -> BoxFuture<'a, Vec<Result<(), AckError>>> {
        self.inner.ack(receipts)
    }

    fn nack<'a>(&'a self, receipt: &'a Receipt, delay: Duration) -> BoxFuture<'a, Result<(), AckError>> {
        self.inner.nack(receipt, delay)
    }

    fn extend<'a>(
        &'a self,
        receipts: &'a [Receipt],
        lease: Duration,
    ) -> BoxFuture<'a, Vec<Result<Lease, AckError>>> {
        self.inner.extend(receipts, lease)
    }

    fn dead_letter<'a>(
        &'a self,
        receipt: &'a Receipt,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<(), AckError>> {
        self.inner.dead_letter(receipt, reason)
    }

    fn depth(&self) -> BoxFuture<'_, Result<Depth, QueueError>> {
        self.inner.depth()
    }
}
