//! The broker itself: subscriptions, and what becomes of a message.

use super::endpoint::Holder;
use super::line::{Contents, Held, Line, Slot, Taken};
use crate::core::{BEGINNING_MS, Core, lock};
use crate::dice;
use crate::faults::Fault;
use queue::{
    DeadLetter, DeadLetterId, Depth, Message, PublishError, QueueError, Receipt, Subscription, Topic,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;

/// The shortest and the longest short delay.
const DELAY_MS: (f64, f64) = (100.0, 600_000.0);
/// The longest long one: three weeks.
const DELAY_LONG_MS: (f64, f64) = (600_000.0, 21.0 * 86_400_000.0);
/// When everything heals, what waits is ready within so much.
const HURRY_MS: u64 = 300_000;

/// The broker; it outlives the processes.
#[derive(Debug)]
pub(crate) struct Broker {
    core: Core,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    lines: BTreeMap<Subscription, (Line, Arc<Notify>)>,
    paused: bool,
    /// When it last answered again.
    disturbed_ms: Option<u64>,
    rng: fastrand::Rng,
}

/// Which hand-out a receipt names.
pub(super) fn receipt(slot: Slot) -> Receipt {
    Receipt::new([slot.number.to_be_bytes(), slot.generation.to_be_bytes()].concat())
}

fn slot(receipt: &Receipt) -> Option<Slot> {
    let (number, rest) = receipt.as_bytes().split_first_chunk::<8>()?;
    let generation = <[u8; 8]>::try_from(rest).ok()?;
    Some(Slot { number: u64::from_be_bytes(*number), generation: u64::from_be_bytes(generation) })
}

/// What is to be done with a message in somebody's hands.
#[derive(Debug, Clone, Copy)]
pub(super) enum Settle<'a> {
    Ack,
    Nack { delay_ms: u64 },
    Extend { lease_ms: u64 },
    Bury { reason: &'a str },
}

impl Broker {
    pub(crate) fn new(core: &Core) -> Self {
        let state =
            State { lines: BTreeMap::new(), paused: false, disturbed_ms: None, rng: core.rng("broker") };
        Self { core: core.clone(), state: Mutex::new(state) }
    }

    pub(super) fn core(&self) -> &Core {
        &self.core
    }

    pub(crate) fn set_paused(&self, paused: bool) {
        let mut state = lock(&self.state);
        state.paused = paused;
        state.disturbed_ms = Some(self.core.elapsed_ms());
    }

    pub(super) fn is_paused(&self) -> bool {
        lock(&self.state).paused
    }

    pub(crate) fn subscribe(&self, subscription: &Subscription) {
        lock(&self.state).lines.entry(subscription.clone()).or_default();
    }

    pub(super) fn knows(&self, subscription: &Subscription) -> bool {
        lock(&self.state).lines.contains_key(subscription)
    }

    /// Accepts a message for every subscription of its topic, or does not; the answer need not tell which.
    pub(super) fn accept(&self, topic: &Topic, message: Message) -> Result<(), PublishError> {
        message.check_size()?;
        let now_ms = self.core.elapsed_ms();
        let mut state = lock(&self.state);
        let State { lines, rng, .. } = &mut *state;
        let unavailable = |why: &str| Err(QueueError::unavailable(why.to_owned()).into());
        if self.core.happens(rng, Fault::PublishRefused) {
            return unavailable("refused before it was accepted");
        }
        let message = Arc::new(message);
        for (subscription, (line, wake)) in lines.iter_mut() {
            if subscription.topic() != topic {
                continue;
            }
            if self.core.happens(rng, Fault::LoseAccepted) {
                self.core.trace("broker", format_args!("loses one for {subscription}"));
                continue;
            }
            let copies = 1 + usize::from(self.core.happens(rng, Fault::Duplicate));
            for _ in 0..copies {
                let mut due_ms = now_ms;
                if self.core.happens(rng, Fault::Delay) {
                    due_ms += dice::log_ms(rng, DELAY_MS.0, DELAY_MS.1);
                }
                if self.core.happens(rng, Fault::DelayLong) {
                    due_ms += dice::log_ms(rng, DELAY_LONG_MS.0, DELAY_LONG_MS.1);
                }
                line.put(Arc::clone(&message), now_ms, due_ms);
            }
            wake.notify_waiters();
        }
        if self.core.happens(rng, Fault::PublishRefusedAfter) {
            return unavailable("refused after it was accepted");
        }
        Ok(())
    }

    /// Puts a message into every subscription of a topic, and says which those are.
    pub(crate) fn plant(&self, topic: &Topic, message: Message) -> Vec<Subscription> {
        let (now_ms, message) = (self.core.elapsed_ms(), Arc::new(message));
        let mut state = lock(&self.state);
        let lines = state.lines.iter_mut().filter(|(subscription, _)| subscription.topic() == topic);
        let planted = lines.map(|(subscription, (line, wake))| {
            line.put(Arc::clone(&message), now_ms, now_ms);
            wake.notify_waiters();
            subscription.clone()
        });
        planted.collect()
    }

    /// Hands out up to `max` messages to `holder`.
    pub(super) fn hand_out(
        &self,
        subscription: &Subscription,
        max: usize,
        lease_ms: u64,
        holder: &Holder,
    ) -> Vec<(Slot, Held)> {
        let now_ms = self.core.elapsed_ms();
        let mut state = lock(&self.state);
        let State { lines, rng, disturbed_ms, .. } = &mut *state;
        let Some((line, _)) = lines.get_mut(subscription) else { return Vec::new() };
        let reordered = |ready: usize| {
            if ready > 1 && self.core.happens(rng, Fault::Reorder) { rng.usize(..ready) } else { 0 }
        };
        let Taken { taken, forgotten } = line.take(max, now_ms, lease_ms, holder, reordered);
        for (slot, _) in &taken {
            if self.core.happens(rng, Fault::Redeliver) {
                // In somebody's hands, and ready for somebody else.
                line.put_off(slot.number, now_ms + rng.u64(1..5_000), false);
            }
        }
        let broker_was_there = |since_ms| disturbed_ms.is_none_or(|disturbed_ms| disturbed_ms < since_ms);
        for (holder, since_ms) in forgotten {
            if broker_was_there(since_ms) && holder.was_there_since(since_ms) {
                let since_ms = now_ms - since_ms;
                self.core.fail(
                    "leases",
                    format!("{holder} had a message of {subscription} and did not ask to keep it for {since_ms} ms"),
                );
            }
        }
        taken
    }

    /// A hand-out was used, or never arrived.
    pub(super) fn asked(&self, subscription: &Subscription, receipt: &Receipt) {
        if let (Some((line, _)), Some(slot)) = (lock(&self.state).lines.get_mut(subscription), slot(receipt))
        {
            line.asked(slot);
        }
    }

    /// Whoever has a hand-out was told that it was extended.
    pub(super) fn extended(&self, subscription: &Subscription, receipt: &Receipt) {
        let now_ms = self.core.elapsed_ms();
        if let (Some((line, _)), Some(slot)) = (lock(&self.state).lines.get_mut(subscription), slot(receipt))
        {
            line.extended(slot, now_ms);
        }
    }

    /// Settles a hand-out; false if it does not count any more.
    pub(super) fn settle(&self, subscription: &Subscription, receipt: &Receipt, how: Settle<'_>) -> bool {
        let now_ms = self.core.elapsed_ms();
        let mut state = lock(&self.state);
        let Some((line, wake)) = state.lines.get_mut(subscription) else { return false };
        let Some(slot) = slot(receipt).filter(|slot| line.is_held(*slot, now_ms)) else { return false };
        match how {
            Settle::Ack => drop(line.remove(slot.number)),
            Settle::Nack { delay_ms } => line.put_off(slot.number, now_ms + delay_ms, false),
            Settle::Extend { lease_ms } => line.put_off(slot.number, now_ms + lease_ms, true),
            Settle::Bury { reason } => line.bury(slot.number, reason),
        }
        wake.notify_waiters();
        true
    }

    /// What wakes whoever waits for messages of a subscription, and when the next one is ready.
    pub(super) fn waiting_for(&self, subscription: &Subscription) -> Option<(Arc<Notify>, Option<u64>)> {
        let state = lock(&self.state);
        let (line, wake) = state.lines.get(subscription)?;
        Some((Arc::clone(wake), line.next_due_ms()))
    }

    /// Everything that was delayed is ready soon.
    pub(crate) fn hurry(&self) {
        let now_ms = self.core.elapsed_ms();
        let mut state = lock(&self.state);
        let State { lines, rng, paused, disturbed_ms } = &mut *state;
        (*paused, *disturbed_ms) = (false, Some(now_ms));
        for (line, wake) in lines.values_mut() {
            line.hurry(now_ms, HURRY_MS, |within| rng.u64(..within));
            wake.notify_waiters();
        }
    }

    /// What every subscription holds.
    pub(crate) fn contents(&self) -> BTreeMap<Subscription, Contents> {
        let state = lock(&self.state);
        state.lines.iter().map(|(name, (line, _))| (name.clone(), line.contents())).collect()
    }

    pub(super) fn depth(&self, subscription: &Subscription) -> Depth {
        let contents = lock(&self.state).lines.get(subscription).map(|(line, _)| line.contents());
        let Contents { waiting, leased, dead, .. } = contents.unwrap_or_default();
        Depth { ready: waiting, in_flight: leased, delayed: 0, dead }
    }

    pub(super) fn dead_letters(
        &self,
        subscription: &Subscription,
        from: usize,
        limit: usize,
    ) -> Vec<DeadLetter> {
        let state = lock(&self.state);
        let Some((line, _)) = state.lines.get(subscription) else { return Vec::new() };
        let letters = line.dead().iter().enumerate().skip(from).take(limit);
        let letter = |(number, (message, reason, receive_count, published)): (
            usize,
            &(Arc<Message>, String, u32, u64),
        )| {
            DeadLetter {
                id: DeadLetterId::new(number.to_string()),
                message: Message::clone(message),
                reason: reason.clone(),
                receive_count: *receive_count,
                published_at_ms: Some(BEGINNING_MS + published),
            }
        };
        letters.map(letter).collect()
    }

    pub(super) fn redrive(&self, subscription: &Subscription, limit: usize) -> usize {
        let now_ms = self.core.elapsed_ms();
        let mut state = lock(&self.state);
        state.lines.get_mut(subscription).map_or(0, |(line, wake)| {
            wake.notify_waiters();
            line.redrive(limit, now_ms)
        })
    }
}
