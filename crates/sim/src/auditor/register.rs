//! Which values a thing may have that was written several times.
//!
//! Of two writes at one replica, the one that was sent after the other was acknowledged holds. Between replicas nobody
//! can tell without clocks: either may, unless the replica had shown the one before it was sent the other. A write that
//! was never acknowledged may have happened at any time. What a replica forgot, because it was restored or lost, comes
//! back from others, if at all, like what another replica wrote.

use super::books::Books;
use super::deed::{Deed, Field};
use crate::address::Address;
use std::collections::BTreeSet;

impl Books {
    /// The values that a field may have now; `None` stands for what it was before any write.
    pub(crate) fn possible(&self, field: &Field) -> BTreeSet<Option<String>> {
        let writes = self.fields.get(field).map(Vec::as_slice).unwrap_or_default();
        let mut possible = BTreeSet::new();
        for write in writes {
            if self.may_be(*write) && !self.is_overwritten(*write, writes) {
                possible.extend(self.written(*write).map(|value| Some(value.clone())));
            }
        }
        if !writes.iter().any(|write| self.stands(*write)) {
            possible.insert(None);
        }
        possible
    }

    /// A replica showed this value of something. Only of what no two writes give the same: what is as often true as false
    /// does not say who wrote it.
    pub(crate) fn saw_value(&mut self, at: Address, field: Field, value: String, now_ms: u64) {
        if self.fields.contains_key(&field) {
            self.values.entry((field, value)).or_default().entry(at).or_insert(now_ms);
        }
    }

    /// Whether a replica acknowledged another write that was sent when it had acknowledged or shown this one.
    fn is_overwritten(&self, write: usize, writes: &[usize]) -> bool {
        let Some(sent) = self.sent.get(write) else { return false };
        let Some(done_ms) = self.done(write) else { return false };
        writes.iter().any(|later| {
            let Some(other) = self.sent.get(*later) else { return false };
            let is_known = other.at == sent.at || self.was_shown_before(write, *later, writes);
            *later != write && is_known && other.asked_ms > done_ms && self.stands(*later)
        })
    }

    /// Whether the replica of a later write had shown this one when it was asked for that. Only where both were sent once:
    /// of what was sent again nobody knows which time was shown, or whether the second one did anything.
    fn was_shown_before(&self, write: usize, later: usize, writes: &[usize]) -> bool {
        let Some((other, shown_ms)) = self.sent.get(later).zip(self.shown_ms(write, later)) else {
            return false;
        };
        let once = [write, later].iter().all(|write| self.was_sent_once(*write, writes));
        once && shown_ms < other.asked_ms && !self.was_lost_during(other.at, shown_ms)
    }

    /// When what a write gave its field was heard first from the replica that another one was sent to.
    fn shown_ms(&self, write: usize, other: usize) -> Option<u64> {
        let Deed::Set { field, value } = &self.sent.get(write)?.deed else { return None };
        self.values.get(&(field.clone(), value.clone()))?.get(&self.sent.get(other)?.at).copied()
    }

    /// What a write gives its field.
    fn written(&self, write: usize) -> Option<&String> {
        match &self.sent.get(write)?.deed {
            Deed::Set { value, .. } => Some(value),
            _ => None,
        }
    }

    fn was_sent_once(&self, write: usize, writes: &[usize]) -> bool {
        let same = |other: &&usize| self.may_be(**other) && self.written(**other) == self.written(write);
        writes.iter().filter(same).count() == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auditor::Heard;
    use crate::service::ServiceName;
    use crate::world::Loss;
    use serde_json::json;

    const TITLE: fn() -> Field = || Field::Title("p".to_owned());

    fn at(site: usize) -> Address {
        Address { service: ServiceName::Stories, site }
    }

    /// Two sites acknowledge a title each; the second one may have shown the first title before.
    fn books(was_shown: bool) -> Books {
        let mut books = Books::default();
        for (site, asked_ms) in [(0, 1), (1, 11)] {
            let deed = Deed::Set { field: TITLE(), value: site.to_string() };
            let attempt = books.sends(deed, at(site), asked_ms);
            books.settles(attempt, &Heard::Done(json!({})), 200, asked_ms + 1);
            if was_shown {
                books.saw_value(at(1), TITLE(), "0".to_owned(), asked_ms + 4);
            }
        }
        books
    }

    #[test]
    fn what_was_shown_where_a_later_write_was_sent_does_not_hold() {
        let holds = |books: &Books| books.possible(&TITLE()).into_iter().flatten().collect::<Vec<_>>();
        assert_eq!(holds(&books(false)), ["0", "1"], "nobody knows which is the later");
        let mut books = books(true);
        assert_eq!(holds(&books), ["1"]);
        let service = ServiceName::Stories;
        books.losses = vec![Loss { site: 1, service, at_ms: 8, kept_until_ms: 7, told: true }];
        assert_eq!(holds(&books), ["0", "1"], "it may have forgotten what it showed");
        books.losses.clear();
        books.sends(Deed::Set { field: TITLE(), value: "0".to_owned() }, at(0), 3);
        assert_eq!(holds(&books), ["0", "1"], "the second time may be the later");
    }
}
