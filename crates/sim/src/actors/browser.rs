//! A reader's browser: it joins the tallies that it was shown, as `web/lattice.js` does, and shows their total.

use crate::auditor::Exact;
use serde_json::Value;
use std::collections::BTreeMap;

/// A tally as JSON tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Tally {
    epoch: (u64, String),
    added: u64,
    removed: u64,
}

/// What a browser knows.
#[derive(Debug, Clone, Default)]
pub struct Browser {
    /// A replica may be restored without being told, and write in its old name until it meets its own future: what it
    /// says meanwhile contradicts what it has forgotten.
    forgetful: bool,
    known: BTreeMap<String, BTreeMap<String, Tally>>,
}

impl Browser {
    /// That of somebody in a world where replicas may forget.
    pub(crate) fn of(forgetful: bool) -> Self {
        Self { forgetful, ..Self::default() }
    }

    /// Joins every count of an answer, wherever it stands. Says what contradicts what is known: of two states that one
    /// writer ever had, the later says all that the earlier said.
    pub fn join(&mut self, answer: &Value) -> Result<(), String> {
        match answer {
            Value::Array(items) => items.iter().try_for_each(|item| self.join(item)),
            Value::Object(fields) => {
                if let (Some(Value::String(group)), Some(Value::Object(tallies))) =
                    (fields.get("group"), fields.get("tallies"))
                {
                    for (replica, tally) in tallies {
                        self.take(group, replica, tally)?;
                    }
                }
                fields.values().try_for_each(|field| self.join(field))
            }
            _ => Ok(()),
        }
    }

    fn take(&mut self, group: &str, replica: &str, tally: &Value) -> Result<(), String> {
        let number = |pointer| tally.pointer(pointer).and_then(Value::as_u64);
        let owner = tally.pointer("/epoch/owner").and_then(Value::as_str);
        let (Some(generation), Some(owner), Some(added), Some(removed)) =
            (number("/epoch/generation"), owner, number("/added"), number("/removed"))
        else {
            return Err(format!("{group}: {replica}: {tally} is no tally"));
        };
        let told = Tally { epoch: (generation, owner.to_owned()), added, removed };
        let of_group = self.known.entry(group.to_owned()).or_default();
        let Some(known) = of_group.get_mut(replica) else {
            of_group.insert(replica.to_owned(), told);
            return Ok(());
        };
        if told.epoch == known.epoch {
            let differs = (told.added < known.added && told.removed > known.removed)
                || (told.added > known.added && told.removed < known.removed);
            if differs && !self.forgetful {
                return Err(format!("{group}: {replica}: {known:?} and {told:?} are no chain"));
            }
            known.added = known.added.max(told.added);
            known.removed = known.removed.max(told.removed);
        } else if told.epoch > known.epoch {
            *known = told;
        }
        Ok(())
    }

    /// What it shows for a group.
    pub fn shows(&self, group: &str) -> u64 {
        let tallies = self.known.get(group).into_iter().flat_map(BTreeMap::values);
        tallies.map(|tally| tally.added.saturating_sub(tally.removed)).sum()
    }

    /// Whether, after it was given every answer of the end, it shows for everything it ever saw what is true.
    ///
    /// Where replicas were `lost` it is not held to what only it knows of: tallies that no replica tells any more, and, where
    /// replicas are restored in silence, what one of them forgot before anybody else had heard of it. Such a replica never
    /// meets its own future, goes on in the epoch that it remembers, and this browser keeps what it saw: a limit of the
    /// promise, named in the README.
    pub fn agrees(mut self, exact: &Exact, lost: bool) -> Result<(), String> {
        // What nobody is told of in the end (the votes for a part that was taken down) stays as it was seen last.
        let mut told = Self::default();
        exact.answers.iter().try_for_each(|answer| self.join(answer).and_then(|()| told.join(answer)))?;
        for (group, known) in self.known.iter_mut().filter(|_| lost) {
            let Some(told) = told.known.get(group) else { continue };
            if self.forgetful {
                known.clone_from(told);
            } else {
                known.retain(|replica, _| told.contains_key(replica));
            }
        }
        for group in self.known.keys().filter(|group| told.known.contains_key(*group)) {
            let is_votes = group.starts_with("votes:");
            // Of a group in which nothing is left nobody counts anything.
            let Some(expected) = exact.counts.get(group).copied().or((!is_votes).then_some(0)) else {
                continue;
            };
            let shows = self.shows(group);
            if shows != expected {
                return Err(format!(
                    "{group}: {shows} shown, {expected} listed: {:?}",
                    self.known.get(group)
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn count(generation: u64, added: u64, removed: u64) -> Value {
        let tally = json!({ "epoch": { "generation": generation, "owner": "a" }, "added": added, "removed": removed });
        json!({ "deep": [{ "group": "g", "count": added - removed, "tallies": { "r": tally } }] })
    }

    #[test]
    fn it_never_goes_back_and_notices_two_writers() {
        let mut browser = Browser::default();
        for (answer, shows) in [
            (count(0, 3, 1), 2),
            (count(0, 2, 0), 2),
            (count(0, 3, 2), 1),
            (count(1, 5, 0), 5),
            (count(0, 9, 0), 5),
        ] {
            browser.join(&answer).unwrap();
            assert_eq!(browser.shows("g"), shows, "{answer}");
        }
        assert!(browser.join(&count(1, 4, 1)).is_err(), "one writer cannot have said both");
        let exact = |count, answers| Exact { counts: [("g".to_owned(), count)].into(), answers };
        assert!(browser.clone().agrees(&exact(5, vec![count(1, 5, 0)]), false).is_ok());
        assert!(browser.clone().agrees(&exact(4, vec![count(1, 4, 0)]), false).is_err());
        assert!(browser.clone().agrees(&exact(4, Vec::new()), false).is_ok(), "nobody told it");
        let empty = Exact { counts: BTreeMap::new(), answers: vec![count(1, 4, 0)] };
        assert!(browser.agrees(&empty, false).is_err(), "nothing is left in the group");
    }
}
