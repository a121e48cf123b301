//! What was acknowledged: by part, the ids that were posted and deleted.

use std::collections::BTreeSet;

use messages::CommentId;

/// The acknowledged writes of one run.
#[derive(Debug)]
pub(super) struct Ledger {
    parts: Vec<Entry>,
    posted: usize,
}

/// Those of one part.
#[derive(Debug, Clone, Default)]
pub(super) struct Entry {
    /// Acknowledged posts; more than ids only if two comments got the same one.
    pub(super) accepted: usize,
    pub(super) posted: BTreeSet<CommentId>,
    pub(super) deleted: BTreeSet<CommentId>,
}

impl Entry {
    /// What must be listed.
    pub(super) fn live(&self) -> BTreeSet<CommentId> {
        self.posted.difference(&self.deleted).copied().collect()
    }
}

impl Ledger {
    pub(super) fn new(parts: usize) -> Self {
        Self { parts: vec![Entry::default(); parts], posted: 0 }
    }

    /// Notes a post; false if another comment of the part has this id.
    pub(super) fn post(&mut self, part: usize, id: CommentId) -> bool {
        self.posted += 1;
        let Some(entry) = self.parts.get_mut(part) else { return false };
        entry.accepted += 1;
        entry.posted.insert(id)
    }

    /// Notes a deletion.
    pub(super) fn delete(&mut self, part: usize, id: CommentId) {
        if let Some(entry) = self.parts.get_mut(part) {
            entry.deleted.insert(id);
        }
    }

    /// How many posts were acknowledged.
    pub(super) fn posted(&self) -> usize {
        self.posted
    }

    /// In the order of the file.
    pub(super) fn parts(&self) -> &[Entry] {
        &self.parts
    }
}
