//! What a subscriber knows of one publisher: the ranges that differ, what it asked about them, and when to ask again.
//!
//! The subscriber leads: it remembers which ranges differ, and asks again about those of which it heard nothing, when the
//! publisher's next digest of everything comes. So a lost message costs one more question about its range, never a new
//! search from the beginning, and the publisher remembers nothing. What the publisher had in a range is remembered with it:
//! once the rows are here, the range is closed without a word.

use super::look::Look;
use super::pace::{
    ANEW_AFTER, ASKS_IN_TRAFFIC_MAX, ASKS_MAX, ASKS_OF_RANGE_MAX, ASKS_UNTIL_PLAIN, DIGEST_AGE_MAX_MS,
    MESSAGE_BYTES, OLD_DIGESTS_MAX, OPEN_MAX, PATIENCE_MAX, PIECES, VALUES_BYTES_MAX, VALUES_MAX,
};
use super::wire::{Digest, Item, Kept, Run};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use store::{KeyRange, StoreError, Sums, beginning_with};

/// A range that differs.
#[derive(Debug, Clone, Copy)]
struct Open {
    /// What the publisher had there.
    there: Sums,
    /// How often it was asked about.
    asks: u32,
    /// At which digest of everything it is asked about again.
    due: u64,
}

/// One publisher, as far as a subscriber knows.
#[derive(Debug, Default)]
pub(super) struct Talk {
    newest_ms: u64,
    /// Digests in a row that were too old, and the newest of them.
    old: (u32, u64),
    changes: Option<u64>,
    /// Digests of everything, and those in a row that differed.
    tick: u64,
    mismatches: u64,
    open: BTreeMap<KeyRange, Open>,
    /// Questions that may still be asked before the next tick.
    room: usize,
    /// Where the last round through the open ranges stopped.
    resume: KeyRange,
    /// When everything was looked at last.
    anew: u64,
    gave_up: bool,
    patience: u64,
    waited: u64,
}

/// What is asked, and what is known now.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) items: Vec<Item>,
    /// The sums there and here, where everything was compared.
    pub(super) compared: Option<(Sums, Sums)>,
}

impl Talk {
    /// How many ranges differ.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    /// Whether a digest is too old to tell anything. Stamps are compared with stamps of the same clock, never with ours.
    pub(super) fn is_old(&mut self, told_ms: u64) -> bool {
        if told_ms.saturating_add(DIGEST_AGE_MAX_MS) >= self.newest_ms {
            self.newest_ms = self.newest_ms.max(told_ms);
            self.old = (0, 0);
            return false;
        }
        let (times, last_ms) = self.old;
        self.old = match told_ms.cmp(&last_ms) {
            Ordering::Greater => (times + 1, told_ms),
            // The same once more: a duplicate tells nothing.
            Ordering::Equal => self.old,
            Ordering::Less => (0, told_ms),
        };
        if self.old.0 < OLD_DIGESTS_MAX {
            return true;
        }
        // They follow each other, as a queue that delays does not do: the clock there was set back.
        (self.newest_ms, self.old) = (told_ms, (0, 0));
        false
    }

    /// A digest of everything: compares, closes what is healed, asks again about what is not. One that leaves something out
    /// tells nothing.
    pub(super) fn everything(&mut self, digest: Digest, look: &Look) -> Result<Heard, StoreError> {
        let mut heard = Heard::default();
        if !digest.covers(look.range()) {
            return Ok(heard);
        }
        let traffic = self.changes.replace(digest.changes).is_some_and(|before| before != digest.changes);
        self.tick += 1;
        let (mut there, mut here, mut differing) = (Sums::default(), Sums::default(), Vec::new());
        for (range, sums) in digest.runs.into_iter().flat_map(Run::into_pieces) {
            let Some(own) = look.sums(&range)? else { return Ok(heard) };
            (there, here) = (there.plus(sums), here.plus(own));
            if own != sums {
                differing.push((range, sums));
            }
        }
        heard.compared = Some((there, here));
        if differing.is_empty() {
            self.open.clear();
            (self.mismatches, self.patience, self.gave_up) = (0, 0, false);
            return Ok(heard);
        }
        self.mismatches += 1;
        self.room = if traffic { ASKS_IN_TRAFFIC_MAX } else { ASKS_MAX };
        self.ask_again(look, &mut heard.items)?;
        // In traffic a difference may be on its way: it has to be seen twice.
        let sure = !traffic || self.mismatches > 1;
        if sure && self.looks_anew() {
            self.anew = self.tick;
            for (range, there) in differing {
                self.consider(&range, there, None, self.tick + 1, look, &mut heard.items)?;
            }
        }
        Ok(heard)
    }

    /// Whether to begin again with everything: nothing is open, or what is open has been for long. What could not be healed
    /// makes the pauses longer.
    fn looks_anew(&mut self) -> bool {
        if !self.open.is_empty() {
            return self.tick.saturating_sub(self.anew) >= ANEW_AFTER;
        }
        if self.gave_up {
            (self.gave_up, self.waited) = (false, 0);
            self.patience = (self.patience * 2 + 1).min(PATIENCE_MAX);
        }
        if self.waited < self.patience {
            self.waited += 1;
            return false;
        }
        self.waited = 0;
        true
    }

    /// Goes through the open ranges, from where the last round stopped.
    fn ask_again(&mut self, look: &Look, items: &mut Vec<Item>) -> Result<(), StoreError> {
        let behind: Vec<_> = self.open.range(self.resume.clone()..).map(|(range, _)| range.clone()).collect();
        let before: Vec<_> = self.open.range(..self.resume.clone()).map(|(range, _)| range.clone()).collect();
        for range in behind.into_iter().chain(before) {
            let Some(open) = self.open.get(&range).copied() else { continue };
            let Some(here) = look.sums(&range)? else { return Ok(()) };
            if here == open.there {
                self.open.remove(&range);
            } else if open.asks >= ASKS_OF_RANGE_MAX {
                self.open.remove(&range);
                self.gave_up = true;
            } else if open.due <= self.tick {
                if self.room == 0 {
                    self.resume = range;
                    return Ok(());
                }
                self.ask(range, open.there, here, open.asks, self.tick + 1, look, items)?;
            }
        }
        Ok(())
    }

    /// An answer to a want of ours: what the publisher has in pieces of the ranges.
    pub(super) fn answer(&mut self, digest: Digest, look: &Look) -> Result<Heard, StoreError> {
        let mut heard = Heard::default();
        let ranges: Vec<_> = digest.runs.iter().map(Run::range).collect();
        let mut asked = BTreeMap::new();
        self.open.retain(|open, state| {
            let answered = ranges.iter().any(|range| open.covers(range));
            if answered {
                asked.insert(open.clone(), *state);
            }
            !answered
        });
        for (range, there) in digest.runs.into_iter().flat_map(Run::into_pieces) {
            let before = asked.get(&range).copied();
            self.consider(&range, there, before, self.tick + 1, look, &mut heard.items)?;
        }
        Ok(heard)
    }

    /// Compares a range, and asks about it if it differs and is not being asked about.
    fn consider(
        &mut self,
        range: &KeyRange,
        there: Sums,
        before: Option<Open>,
        due: u64,
        look: &Look,
        items: &mut Vec<Item>,
    ) -> Result<(), StoreError> {
        let range = range.within(look.range());
        if range.is_empty() {
            return Ok(());
        }
        let Some(here) = look.sums(&range)? else { return Ok(()) };
        let inside: Vec<_> = self
            .open
            .range(KeyRange::new(range.from.clone(), [])..)
            .take_while(|(open, _)| range.to.is_empty() || open.from < range.to)
            .filter(|(open, _)| range.covers(open))
            .map(|(open, _)| open.clone())
            .collect();
        if here == there {
            for closed in inside {
                self.open.remove(&closed);
            }
            return Ok(());
        }
        if let Some(open) = self.open.get_mut(&range) {
            open.there = there;
            if open.due > self.tick {
                return Ok(());
            }
        } else if !inside.is_empty() || self.open.len() >= OPEN_MAX {
            // Its pieces are being asked about; or there is no place, and it will be found again.
            return Ok(());
        }
        // The answer is the range that was asked about, uncut: to ask at once would lead to the same answer.
        if self.room == 0 || before.is_some() {
            let asks = before.map_or(0, |before| before.asks);
            self.open.insert(range, Open { there, asks, due: self.tick + 1 });
            return Ok(());
        }
        self.ask(range, there, here, 0, due, look, items)
    }

    /// Asks about a range.
    #[expect(
        clippy::too_many_arguments,
        reason = "all of it is one question; a struct would be made here and taken apart here"
    )]
    fn ask(
        &mut self,
        range: KeyRange,
        there: Sums,
        here: Sums,
        asks: u32,
        due: u64,
        look: &Look,
        items: &mut Vec<Item>,
    ) -> Result<(), StoreError> {
        self.room = self.room.saturating_sub(1);
        let few = u64::try_from(VALUES_MAX).unwrap_or(u64::MAX);
        if there.count == 0 && (here.count > few || values(&range, look)?.is_none()) {
            // The publisher cannot cut a range in which it has nothing. Nor can we where what counts as here is no stored
            // row: then it is one piece.
            let pieces = look.split(&range, PIECES * 4)?;
            if pieces.len() > 1 {
                self.open.remove(&range);
                for piece in pieces {
                    self.consider(&piece, there, None, due, look, items)?;
                }
                return Ok(());
            }
        }
        let plain = asks % ASKS_UNTIL_PLAIN == ASKS_UNTIL_PLAIN - 1;
        items.push(question(&range, there, here, plain, look)?);
        self.open.insert(range, Open { there, asks: asks + 1, due });
        Ok(())
    }
}

/// What is asked about a range that differs.
fn question(range: &KeyRange, there: Sums, here: Sums, plain: bool, look: &Look) -> Result<Item, StoreError> {
    let split = |range: &KeyRange, here| Item::Split { range: range.clone(), here };
    if !plain && let Some(told) = there.lone(&here) {
        let within = beginning_with(told).within(range);
        if !within.is_empty() {
            if let Some(rows) = values(&within, look)? {
                return Ok(Item::Values { range: range.clone(), within, rows });
            }
            // Many rows begin so: only they have to be looked at.
            if let Some(here) = look.sums(&within)? {
                return Ok(split(&within, here));
            }
        }
    }
    match values(range, look)? {
        Some(rows) if here.count > 0 && here.count.max(there.count) <= VALUES_MAX as u64 => {
            Ok(Item::Values { range: range.clone(), within: range.clone(), rows })
        }
        _ => Ok(split(range, here)),
    }
}

/// All rows of a range, where they are few. One alone is always few; where it came in pieces, larger than a message, it is
/// left out: who announces it then takes it for missing, and announces it again.
fn values(range: &KeyRange, look: &Look) -> Result<Option<Vec<Kept>>, StoreError> {
    let mut rows = look.rows(range, VALUES_MAX + 1)?;
    let bytes: usize = rows.iter().map(|(_, state)| state.len()).sum();
    if rows.len() == 1 && bytes > MESSAGE_BYTES {
        rows.clear();
    }
    let few = rows.len() <= 1 || (rows.len() <= VALUES_MAX && bytes <= VALUES_BYTES_MAX);
    Ok(few.then(|| rows.into_iter().map(|(key, state)| (key.to_vec(), state.to_vec())).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What follows each other under a clock that was set back is heard again, also where each comes twice.
    #[test]
    fn a_clock_that_was_set_back_is_followed() {
        let mut talk = Talk::default();
        assert!(!talk.is_old(2 * DIGEST_AGE_MAX_MS));
        let old: Vec<_> = (1..=20).flat_map(|told_ms| [told_ms, told_ms]).map(|at| talk.is_old(at)).collect();
        assert!(old[0] && !old[39], "{old:?}");
        // What a queue delayed comes in any order, and is none.
        let mut talk = Talk::default();
        assert!(!talk.is_old(2 * DIGEST_AGE_MAX_MS));
        assert!((1..=20).rev().all(|told_ms| talk.is_old(told_ms)));
    }
}
