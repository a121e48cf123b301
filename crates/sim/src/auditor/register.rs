//! Which values a thing may have that was written several times.
//!
//! Of two writes at one replica, the one that was sent after the other was acknowledged holds. Between replicas nobody
//! can tell without clocks: either may. A write that was never acknowledged may have happened at any time. What a replica
//! forgot, because it was restored or lost, comes back from others, if at all, like what another replica wrote.

use super::books::Books;
use super::deed::{Deed, Field};
use std::collections::BTreeSet;

impl Books {
    /// The values that a field may have now; `None` stands for what it was before any write.
    pub(crate) fn possible(&self, field: &Field) -> BTreeSet<Option<String>> {
        let writes = self.fields.get(field).map(Vec::as_slice).unwrap_or_default();
        let mut possible = BTreeSet::new();
        for write in writes {
            if self.may_be(*write) && !self.is_overwritten(*write, writes) {
                possible.extend(self.sent.get(*write).and_then(|sent| match &sent.deed {
                    Deed::Set { value, .. } => Some(Some(value.clone())),
                    _ => None,
                }));
            }
        }
        if !writes.iter().any(|write| self.stands(*write)) {
            possible.insert(None);
        }
        possible
    }

    /// Whether the same replica acknowledged another write that was sent when this one was settled.
    fn is_overwritten(&self, write: usize, writes: &[usize]) -> bool {
        let Some(sent) = self.sent.get(write) else { return false };
        let Some(done_ms) = self.done(write) else { return false };
        writes.iter().any(|later| {
            let Some(other) = self.sent.get(*later) else { return false };
            *later != write && other.at == sent.at && other.asked_ms > done_ms && self.stands(*later)
        })
    }
}
