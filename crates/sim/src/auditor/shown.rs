//! Checks of every count and list that anybody is shown.

use super::books::{Books, text};
use super::deed::{Field, Tag};
use crate::address::Address;
use serde_json::Value;
use std::collections::BTreeSet;

/// What a replica told of one tally, and when that was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    epoch: (u64, String),
    added: u64,
    removed: u64,
    heard_ms: u64,
}

/// A list that somebody was shown.
#[derive(Debug)]
pub(crate) struct List<'a> {
    pub(crate) at: Address,
    pub(crate) part: &'a str,
    pub(crate) asked_ms: u64,
    pub(crate) now_ms: u64,
    pub(crate) items: &'a [Value],
    /// There is no more of it.
    pub(crate) whole: bool,
}

/// The number that a comment's text begins with.
pub fn tag_of(text: &str) -> Option<Tag> {
    let digits = text.strip_prefix('#')?;
    let end = digits.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(digits.len());
    digits.get(..end)?.parse().ok()
}

type Wrong = (&'static str, String);

impl Books {
    /// Checks every count in an answer: not above what may have been accepted, and not older than what the same replica
    /// told before.
    pub(crate) fn saw_counts(
        &mut self,
        at: Address,
        asked_ms: u64,
        now_ms: u64,
        answer: &Value,
    ) -> Option<Wrong> {
        match answer {
            Value::Array(items) => items.iter().find_map(|item| self.saw_counts(at, asked_ms, now_ms, item)),
            Value::Object(fields) => {
                if let (Some(Value::String(group)), Some(Value::Object(tallies))) =
                    (fields.get("group"), fields.get("tallies"))
                {
                    let wrong = self.saw_count(at, group, fields.get("count")).or_else(|| {
                        tallies.iter().find_map(|(replica, tally)| {
                            self.saw_tally((at, group, replica), asked_ms, now_ms, tally)
                        })
                    });
                    if wrong.is_some() {
                        return wrong;
                    }
                }
                fields.values().find_map(|field| self.saw_counts(at, asked_ms, now_ms, field))
            }
            _ => None,
        }
    }

    fn saw_count(&self, at: Address, group: &str, count: Option<&Value>) -> Option<Wrong> {
        let Some(count) = count.and_then(Value::as_u64) else {
            return Some(("never negative", format!("{group}: {count:?} is no count")));
        };
        if group.starts_with("votes:") {
            let possible = self.voters(group);
            let wrong = count > possible;
            return wrong.then(|| ("never above all acceptances", format!("{group}: {count} of {possible}")));
        }
        let accepted = self.acceptances.get(group).copied().unwrap_or_default();
        // A replica that lost what it had may accept all of it again.
        let accepted = accepted.saturating_mul(1 + u64::try_from(self.losses.len()).unwrap_or(u64::MAX));
        let wrong = count > accepted;
        wrong.then(|| ("never above all acceptances", format!("{at}: {group}: {count} of {accepted}")))
    }

    /// How many people ever tried to vote for a part, at each replica of its own.
    fn voters(&self, group: &str) -> u64 {
        let part = group.strip_prefix("votes:").unwrap_or_default();
        let votes = self.fields.iter().filter(|(field, _)| match field {
            Field::Vote { part: of, .. } => of == part,
            _ => false,
        });
        let acceptances = votes.map(|(_, writes)| {
            let at: BTreeSet<_> =
                writes.iter().filter_map(|write| self.sent.get(*write)).map(|sent| sent.at).collect();
            at.len()
        });
        u64::try_from(acceptances.sum::<usize>())
            .unwrap_or(u64::MAX)
            .saturating_mul(1 + self.losses.len() as u64)
    }

    fn saw_tally(
        &mut self,
        (at, group, replica): (Address, &str, &str),
        asked_ms: u64,
        heard_ms: u64,
        tally: &Value,
    ) -> Option<Wrong> {
        let number = |pointer| tally.pointer(pointer).and_then(Value::as_u64);
        let (Some(generation), Some(owner), Some(added), Some(removed)) =
            (number("/epoch/generation"), text(tally, "/epoch/owner"), number("/added"), number("/removed"))
        else {
            return Some(("tallies are numbers", format!("{group}/{replica}: {tally}")));
        };
        if removed > added {
            let detail = format!("{group}/{replica}: {added} came and {removed} left");
            return Some(("never negative", detail));
        }
        let told = Told { epoch: (generation, owner), added, removed, heard_ms };
        let key = (at, self.life(at), group.to_owned(), replica.to_owned());
        match self.told.get(&key) {
            Some(before) if before.heard_ms < asked_ms && !before.is_covered_by(&told) => {
                let detail = format!("{group}/{replica}: {before:?}, and then {told:?}");
                return Some(("no replica returns to an older state", detail));
            }
            Some(before) if !before.is_covered_by(&told) || before.same(&told) => {}
            _ => {
                self.told.insert(key, told);
            }
        }
        None
    }

    /// Checks a list: nothing from nowhere, nothing twice, nothing that was deleted here, all that was posted or seen
    /// here and not deleted since.
    pub(crate) fn saw_list(&mut self, list: &List<'_>) -> Result<BTreeSet<Tag>, String> {
        let mut tags = BTreeSet::new();
        for item in list.items {
            let tag = self.listed_tag(list.part, item)?;
            if !tags.insert(tag) {
                return Err(format!("#{tag} is listed twice"));
            }
            let element = self.elements.get(&tag);
            let deletes = element.map(|element| element.deletes.as_slice()).unwrap_or_default();
            if self.done_at(deletes, list.at, list.asked_ms.saturating_sub(1)) {
                return Err(format!("#{tag} is listed, and its deletion was acknowledged here"));
            }
            self.saw_value(list.at, Field::Text(tag), text(item, "/text").unwrap_or_default(), list.now_ms);
        }
        let life = self.life(list.at);
        if list.whole {
            let seen = self.listed.get(&(list.at, life));
            for (tag, element) in &self.elements {
                if tags.contains(tag) || element.part != list.part {
                    continue;
                }
                let posted = self.done_at(&element.posts, list.at, list.asked_ms.saturating_sub(1));
                let seen = seen.and_then(|seen| seen.get(tag)).is_some_and(|at_ms| *at_ms < list.asked_ms);
                if (posted || seen) && self.was_never_taken_away(*tag) {
                    let how = if posted { "acknowledged" } else { "listed" };
                    return Err(format!("#{tag} was {how} here, and is not listed"));
                }
            }
        }
        let seen = self.listed.entry((list.at, life)).or_default();
        for tag in &tags {
            seen.entry(*tag).or_insert(list.now_ms);
        }
        Ok(tags)
    }

    /// Which comment an item is; it must be what was posted.
    pub(crate) fn listed_tag(&self, part: &str, item: &Value) -> Result<Tag, String> {
        let said = text(item, "/text").unwrap_or_default();
        let tag = tag_of(&said).ok_or_else(|| format!("{said:?} was never posted"))?;
        let element = self.elements.get(&tag).ok_or_else(|| format!("#{tag} was never posted"))?;
        let id = text(item, "/id");
        let is_known = element.id.is_none() || element.id == id;
        let author = text(item, "/author/id");
        if !is_known || author.as_deref() != Some(&element.author) || element.part != part {
            return Err(format!("#{tag} is not as it was posted: {item}"));
        }
        Ok(tag)
    }

    /// True where nobody ever tried to delete or to hide it.
    fn was_never_taken_away(&self, tag: Tag) -> bool {
        !self.may_be_deleted(tag) && !self.fields.contains_key(&Field::Visible(tag))
    }
}

impl Told {
    fn same(&self, other: &Self) -> bool {
        self.epoch == other.epoch && self.added == other.added && self.removed == other.removed
    }

    /// Whether another state is the same or a later one.
    fn is_covered_by(&self, other: &Self) -> bool {
        match self.epoch.cmp(&other.epoch) {
            std::cmp::Ordering::Less => true,
            std::cmp::Ordering::Greater => false,
            std::cmp::Ordering::Equal => self.added <= other.added && self.removed <= other.removed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_names_its_comment() {
        for (text, tag) in [("#17 hello", Some(17)), ("#4", Some(4)), ("4", None), ("#x", None), ("", None)] {
            assert_eq!(tag_of(text), tag, "{text}");
        }
    }
}
