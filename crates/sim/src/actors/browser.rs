//! A reader's browser: it joins the tallies that it was shown, as `web/lattice.js` does, and shows their total.

use crate::auditor::Exact;
use crate::service::ServiceName;
use crate::world::Loss;
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
    /// After `losses` of the service that counts, it is not held to what only it knows of: tallies, and epochs of tallies,
    /// that no replica tells any more; and, where a replica was restored in silence, what that one forgot before anybody
    /// else had heard of it. Such a replica never meets its own future, goes on in the epoch that it remembers, and this
    /// browser keeps what it saw: a limit of the promise, named in the README.
    pub fn agrees(mut self, exact: &Exact, losses: &[Loss]) -> Result<(), String> {
        // What nobody is told of in the end (the votes for a part that was taken down) stays as it was seen last.
        let mut told = Self::default();
        exact.answers.iter().try_for_each(|answer| self.join(answer).and_then(|()| told.join(answer)))?;
        for (group, known) in &mut self.known {
            let Some(told) = told.known.get(group) else { continue };
            let counting = if is_votes(group) { ServiceName::Stories } else { ServiceName::Comments };
            let lost: Vec<_> = losses.iter().filter(|loss| loss.service == counting).collect();
            if lost.iter().any(|loss| !loss.told) {
                known.clone_from(told);
            } else if !lost.is_empty() {
                known.retain(|replica, _| told.contains_key(replica));
                for (replica, tally) in known {
                    if let Some(told) = told.get(replica).filter(|told| told.epoch < tally.epoch) {
                        tally.clone_from(told);
                    }
                }
            }
        }
        for group in self.known.keys().filter(|group| told.known.contains_key(*group)) {
            // Of a group in which nothing is left nobody counts anything.
            let Some(expected) = exact.counts.get(group).copied().or((!is_votes(group)).then_some(0)) else {
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

fn is_votes(group: &str) -> bool {
    group.starts_with("votes:")
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
        assert!(browser.clone().agrees(&exact(5, vec![count(1, 5, 0)]), &[]).is_ok());
        assert!(browser.clone().agrees(&exact(4, vec![count(1, 4, 0)]), &[]).is_err());
        assert!(browser.clone().agrees(&exact(4, Vec::new()), &[]).is_ok(), "nobody told it");
        let empty = Exact { counts: BTreeMap::new(), answers: vec![count(1, 4, 0)] };
        assert!(browser.agrees(&empty, &[]).is_err(), "nothing is left in the group");
    }

    #[test]
    fn it_is_held_to_all_but_what_only_it_can_know() {
        let loss = |service, told| [Loss { site: 0, service, at_ms: 9, kept_until_ms: 5, told }];
        let saw = |generation, added| {
            let mut browser = Browser::of(true);
            browser.join(&count(generation, added, 0)).unwrap();
            browser
        };
        let exact = || Exact { counts: [("g".to_owned(), 1)].into(), answers: vec![count(1, 1, 0)] };
        for (generation, added, losses, is_exempt) in [
            (1, 2, &[] as &[Loss], false),
            (1, 2, &loss(ServiceName::Stories, false), false),
            (1, 2, &loss(ServiceName::Comments, true), false),
            (1, 2, &loss(ServiceName::Comments, false), true),
            (2, 3, &[], false),
            (2, 3, &loss(ServiceName::Stories, false), false),
            (2, 3, &loss(ServiceName::Comments, true), true),
        ] {
            let agrees = saw(generation, added).agrees(&exact(), losses);
            assert_eq!(agrees.is_ok(), is_exempt, "{generation} {losses:?}: {agrees:?}");
        }
        assert!(saw(0, 7).agrees(&exact(), &[]).is_ok(), "an older epoch is overruled");
    }
}
