//! From a delivery to a running handler: at once, in a batch, or when its turn comes.

use std::sync::Arc;
use std::time::Duration;

use queue::Delivery;
use tokio::time::Instant;

use super::flight::{Entry, Outcome, Settlement, Stage};
use super::work::{self, Held, Job};
use super::{Phase, Pump};
use crate::later::later;
use crate::{CancelSource, Context};

/// Messages that wait for others to be handled with, and for how long at most.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    ids: Vec<u64>,
    due: Option<Instant>,
}

impl Gathering {
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    fn push(&mut self, id: u64, due: Instant) {
        self.ids.push(id);
        self.due.get_or_insert(due);
    }

    /// What is lost while it waits is not waited for.
    pub(super) fn forget(&mut self, id: u64) {
        self.ids.retain(|waiting| *waiting != id);
        if self.ids.is_empty() {
            self.due = None;
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Pump {
    /// Takes a message in, and runs the handler on it when its time has come.
    pub(super) fn start(&mut self, delivery: Delivery) {
        let now = Instant::now();
        let (cancel, cancellation) = CancelSource::new();
        let (abort, aborted) = CancelSource::new();
        let age = self.config.clock.as_ref().zip(delivery.published_at_ms);
        let mut context = Context::new(self.receiver.subscription().clone())
            .with_receive_count(delivery.receive_count)
            .with_cancellation(cancellation);
        context.published_at_ms = delivery.published_at_ms;
        context.age =
            age.map(|(clock, published)| Duration::from_millis(clock.now_ms().saturating_sub(published)));
        let key = self.order.key(&delivery.message);
        let receive_count = delivery.receive_count;
        let id = self.flight.next_id();
        let mut entry = Entry::new(Arc::new(delivery), cancel, abort, Held { context, aborted }, now);
        entry.key = key.as_ref().ok().cloned().flatten();
        self.flight.insert(entry);
        match key {
            Err(_) => {
                let delay = self.config.nack_backoff.delay(receive_count, &mut self.rng);
                tracing::error!(
                    receive_count,
                    ?delay,
                    "the key function panicked: the message will come again"
                );
                self.flight.change(id, |entry| entry.outcome = Outcome::Retried);
                self.settle(id, Settlement::Nack(delay));
            }
            Ok(Some(key)) if !self.order.join(Arc::clone(&key), id) => {}
            Ok(_) if self.config.batch_max > 1 => self.gathering.push(id, later(now, self.config.linger)),
            Ok(_) => self.launch(&[id]),
        }
    }

    /// Starts batches: full ones always; the rest when its time has come, and at once when nothing more can join it.
    pub(super) fn flush_gathering(&mut self, now: Instant, is_last: bool) {
        let is_last = is_last || !matches!(self.phase, Phase::Running);
        let is_due = is_last || self.gathering.due.is_some_and(|due| due <= now);
        let max = self.config.batch_max;
        while self.gathering.ids.len() >= max || (is_due && !self.gathering.ids.is_empty()) {
            let rest = self.gathering.ids.split_off(self.gathering.ids.len().min(max));
            let batch = std::mem::replace(&mut self.gathering.ids, rest);
            self.launch(&batch);
            // Those that are left came with them, or after them: they have a wait of their own.
            self.gathering.due = (!self.gathering.ids.is_empty()).then_some(later(now, self.config.linger));
        }
    }

    /// Runs the handler on messages that wait.
    fn launch(&mut self, ids: &[u64]) {
        let mut jobs = Vec::with_capacity(ids.len());
        for id in ids {
            let begun = self.flight.change(*id, |entry| {
                entry.stage = Stage::Handling;
                (Arc::clone(&entry.delivery), entry.held.take())
            });
            if let Some((delivery, Some(held))) = begun {
                jobs.push(Job { id: *id, delivery, held });
            }
        }
        if !jobs.is_empty() {
            self.tasks.spawn(work::handle(Arc::clone(&self.work), jobs));
        }
    }

    /// A message is handled, or put aside: whoever waited for it may begin.
    pub(super) fn pass_turn(&mut self, id: u64) {
        let Some(key) = self.flight.get(id).and_then(|entry| entry.key.clone()) else { return };
        if let Some(next) = self.order.next(&key, id) {
            self.launch(&[next]);
        }
    }

    /// A message will come again, after `delay`: whoever waited for it is given back behind it.
    pub(super) fn give_back_behind(&mut self, id: u64, delay: Duration) {
        let Some(key) = self.flight.get(id).and_then(|entry| entry.key.clone()) else { return };
        for (behind, later) in self.order.behind(&key, id) {
            self.flight.change(behind, |entry| entry.outcome = Outcome::HandedBack);
            self.settle(behind, Settlement::Nack(delay.saturating_add(later)));
        }
    }
}
