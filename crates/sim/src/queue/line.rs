//! One subscription: which message is to be handed out when, and who holds which.

use super::endpoint::Holder;
use choreography::anti_entropy::{DIGEST_TYPE, WANT_TYPE};
use queue::Message;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How far into what is ready a broker that reorders looks.
const REORDER_MAX: usize = 64;

/// The types of messages that only compare.
const ANTI_ENTROPY: [&str; 2] = [DIGEST_TYPE, WANT_TYPE];
/// A type stands in the beginning of an envelope.
const TYPE_WITHIN_BYTES: usize = 1_024;

fn says(body: &[u8], text: &str) -> bool {
    let beginning = body.get(..TYPE_WITHIN_BYTES).unwrap_or(body);
    beginning.windows(text.len()).any(|window| window == text.as_bytes())
}

/// A message of a subscription.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) message: Arc<Message>,
    pub(super) published_at_ms: u64,
    pub(super) receive_count: u32,
    /// Whether it says anything that was not so before: digests and wants never stop.
    is_news: bool,
    /// When it is ready, or its lease ends.
    due_ms: u64,
    /// Counts its hand-outs; a receipt names one.
    generation: u64,
    leased: bool,
    /// Who has it, or had it last.
    holder: Option<Holder>,
    /// Since when they have it, or since when it was extended; until they ask for anything with it.
    unasked_ms: Option<u64>,
}

/// A hand-out, by number and generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) number: u64,
    pub(super) generation: u64,
}

/// What was handed out.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) taken: Vec<(Slot, Held)>,
    /// Who had some of it, since when, and let the lease end without a word.
    pub(super) forgotten: Vec<(Holder, u64)>,
}

/// What a subscription holds.
#[derive(Debug, Default)]
pub(super) struct Line {
    next: u64,
    held: BTreeMap<u64, Held>,
    due: BTreeSet<(u64, u64)>,
    dead: Vec<(Arc<Message>, String, u32, u64)>,
}

/// How much a subscription holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    /// Ready or waiting for its time.
    pub waiting: u64,
    /// In somebody's hands.
    pub leased: u64,
    /// Of both together: what is neither a digest nor a want.
    pub news: u64,
    /// Put aside at the broker.
    pub dead: u64,
}

impl Line {
    pub(super) fn put(&mut self, message: Arc<Message>, now_ms: u64, due_ms: u64) {
        let number = self.next;
        self.next += 1;
        self.due.insert((due_ms, number));
        let is_news = !ANTI_ENTROPY.iter().any(|kind| says(&message.body, kind));
        let held = Held {
            is_news,
            message,
            published_at_ms: now_ms,
            receive_count: 0,
            due_ms,
            generation: 0,
            leased: false,
            holder: None,
            unasked_ms: None,
        };
        self.held.insert(number, held);
    }

    /// When the next one is ready.
    pub(super) fn next_due_ms(&self) -> Option<u64> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Hands out up to `max`, in the order of readiness or any.
    pub(super) fn take(
        &mut self,
        max: usize,
        now_ms: u64,
        lease_ms: u64,
        holder: &Holder,
        mut reorder: impl FnMut(usize) -> usize,
    ) -> Taken {
        let (mut taken, mut forgotten) = (Vec::new(), Vec::new());
        while taken.len() < max {
            let ready: Vec<_> =
                self.due.iter().take_while(|(due, _)| *due <= now_ms).take(REORDER_MAX).copied().collect();
            if ready.is_empty() {
                break;
            }
            let Some((_, number)) = ready.get(reorder(ready.len())).copied() else { break };
            let handed = self.change(number, |held| {
                if held.leased {
                    forgotten.extend(held.holder.take().zip(held.unasked_ms));
                }
                held.leased = true;
                (held.holder, held.unasked_ms) = (Some(holder.clone()), Some(now_ms));
                held.due_ms = now_ms + lease_ms;
                held.generation += 1;
                held.receive_count = held.receive_count.saturating_add(1);
                (held.generation, held.clone())
            });
            let Some((generation, held)) = handed else { break };
            taken.push((Slot { number, generation }, held));
        }
        Taken { taken, forgotten }
    }

    /// Somebody asked for something with a hand-out, or never got it.
    pub(super) fn asked(&mut self, slot: Slot) {
        self.set_unasked(slot, None);
    }

    /// Somebody was told that a hand-out is theirs for longer: they have to ask again before that ends.
    pub(super) fn extended(&mut self, slot: Slot, now_ms: u64) {
        self.set_unasked(slot, Some(now_ms));
    }

    fn set_unasked(&mut self, slot: Slot, unasked_ms: Option<u64>) {
        if let Some(held) = self.held.get_mut(&slot.number).filter(|held| held.generation == slot.generation)
        {
            held.unasked_ms = unasked_ms;
        }
    }

    /// Whether the hand-out still counts.
    pub(super) fn is_held(&self, slot: Slot, now_ms: u64) -> bool {
        self.held
            .get(&slot.number)
            .is_some_and(|held| held.leased && held.generation == slot.generation && held.due_ms > now_ms)
    }

    /// Moves the moment at which it is ready, or its lease ends.
    pub(super) fn put_off(&mut self, number: u64, due_ms: u64, leased: bool) {
        self.change(number, |held| {
            held.due_ms = due_ms;
            held.leased = leased;
        });
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<Held> {
        let held = self.held.remove(&number)?;
        self.due.remove(&(held.due_ms, number));
        Some(held)
    }

    pub(super) fn bury(&mut self, number: u64, reason: &str) {
        if let Some(held) = self.remove(number) {
            self.dead.push((held.message, reason.to_owned(), held.receive_count, held.published_at_ms));
        }
    }

    /// Everything that waits is ready within `within_ms`, at a moment that `draw` chooses.
    pub(super) fn hurry(&mut self, now_ms: u64, within_ms: u64, mut draw: impl FnMut(u64) -> u64) {
        let late = self.held.iter().filter(|(_, held)| !held.leased && held.due_ms > now_ms + within_ms);
        let late: Vec<_> = late.map(|(number, _)| *number).collect();
        for number in late {
            self.put_off(number, now_ms + draw(within_ms), false);
        }
    }

    pub(super) fn contents(&self) -> Contents {
        let leased = self.held.values().filter(|held| held.leased).count();
        let news = self.held.values().filter(|held| held.is_news).count();
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        Contents {
            waiting: count(self.held.len() - leased),
            leased: count(leased),
            news: count(news),
            dead: count(self.dead.len()),
        }
    }

    /// What was put aside here, with the reason, how often it was handed out, and when it was published.
    pub(super) fn dead(&self) -> &[(Arc<Message>, String, u32, u64)] {
        &self.dead
    }

    pub(super) fn redrive(&mut self, limit: usize, now_ms: u64) -> usize {
        let letters: Vec<_> = self.dead.drain(..limit.min(self.dead.len())).collect();
        let count = letters.len();
        for (message, ..) in letters {
            self.put(message, now_ms, now_ms);
        }
        count
    }

    fn change<T>(&mut self, number: u64, change: impl FnOnce(&mut Held) -> T) -> Option<T> {
        let held = self.held.get_mut(&number)?;
        self.due.remove(&(held.due_ms, number));
        let changed = change(held);
        self.due.insert((held.due_ms, number));
        Some(changed)
    }
}
