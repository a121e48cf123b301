//! Keeping leases alive, from the receive until the ack is confirmed.

use std::time::Duration;

use queue::{AckError, Lease};
use tokio::time::Instant;

use super::ack::CALL_MAX;
use super::flight::{Entry, Stage, half_way};
use super::{Done, Pump};
use crate::CancelReason;
use crate::later::later;

/// An extension that failed is tried again after a quarter of what is left of the lease, but not sooner than this.
const EXTEND_PAUSE_MIN: Duration = Duration::from_millis(20);
/// An extension without an answer for a quarter of a lease has failed, so that there is time for another one; but not sooner
/// than this.
const EXTEND_MAX_MIN: Duration = Duration::from_secs(1);

impl Pump {
    /// Extends the leases that are half over, and with them, in the same call, those that would follow within a quarter of
    /// a lease.
    pub(super) fn extend_due(&mut self, now: Instant) {
        let horizon = later(now, self.config.lease / 4);
        let wants = |by: Instant| {
            let is_due =
                move |entry: &Entry| entry.wants_lease() && entry.extend_at.is_some_and(|at| at <= by);
            self.flight.iter().filter(move |(_, entry)| is_due(entry))
        };
        if wants(now).next().is_none() {
            return;
        }
        let (ids, receipts): (Vec<u64>, Vec<_>) =
            wants(horizon).map(|(id, entry)| (id, entry.delivery.receipt.clone())).unzip();
        for id in &ids {
            self.flight.change(*id, |entry| entry.extend_at = None);
        }
        let lease = self.config.lease;
        let limit = CALL_MAX.min((lease / 4).max(EXTEND_MAX_MIN));
        self.call_batch(limit, ids, receipts, Done::Extended, move |receiver, receipts| {
            Box::pin(async move { receiver.extend(&receipts, lease).await })
        });
    }

    pub(super) fn on_extended(&mut self, id: u64, answer: Result<Lease, AckError>, now: Instant) {
        self.meter.extended(&answer);
        match answer {
            Ok(lease) => {
                self.flight.change(id, |entry| {
                    entry.lease = lease;
                    entry.extend_at = half_way(lease, now);
                });
            }
            Err(AckError::LeaseLost) => self.on_lost(id, now),
            Err(error) => {
                tracing::warn!(%error, "a lease was not extended; trying again");
                self.flight.change(id, |entry| {
                    let left = entry.lease.expires_at.map(|end| end.saturating_duration_since(now));
                    entry.extend_at = left.map(|left| now + (left / 4).max(EXTEND_PAUSE_MIN));
                });
            }
        }
    }

    /// The lease is over, as the clock or the broker says.
    pub(super) fn on_lost(&mut self, id: u64, now: Instant) {
        let grace = self.config.cancel_grace;
        let settled_or_gone = self.flight.change(id, |entry| match &entry.stage {
            Stage::Handling => {
                entry.cancel.cancel(CancelReason::LeaseLost);
                entry.stage = Stage::Cancelling(later(now, grace));
                false
            }
            // The answer to the call under way is the better witness: it may be that it settled the message.
            Stage::Cancelling(_) | Stage::Settling(_) => false,
            Stage::Waiting | Stage::Batched | Stage::Pausing(..) => true,
        });
        if settled_or_gone == Some(true) {
            tracing::warn!("a lease was lost before its message was settled; it will come again");
            self.lose(id);
        }
    }
}
