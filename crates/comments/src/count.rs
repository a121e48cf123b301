//! Counting a group from the rows: what an heir does once for every group that it takes over.

use crate::rows::{self, CommentRow};
use lattice::{Contributes, Contribution, ReplicaId};
use messages::{CommentId, Group};
use store::{SCAN_PAIRS_MAX, Scan, View, ViewError, key};

/// How many live comments of a group `owner` counts. It reads the whole index of the group, and of a paragraph or of
/// replies, whose index has what is gone in it too, the owner's comments as well.
pub(crate) fn count(view: &mut View<'_>, group: Group, owner: ReplicaId) -> Result<u64, ViewError> {
    let (prefix, only_live) = match group {
        Group::Part(part) => (rows::flat_prefix(part), true),
        Group::Paragraph(part, paragraph) => (rows::paragraph_prefix(part, paragraph), false),
        Group::Replies(comment) => (rows::replies_prefix(comment), false),
    };
    let (mut scan, mut count) = (Scan::prefix(&prefix), 0_u64);
    loop {
        let page = view.scan(&scan)?;
        let entries = page.iter().filter_map(|(entry, _)| rows::entry(entry));
        let ids: Vec<_> = entries.filter(|(at, _)| at.replica == owner).map(|(_, id)| id).collect();
        let counted = if only_live { ids.len() } else { live(view, &ids, Contribution { group, owner })? };
        count = count.saturating_add(counted as u64);
        match page.last() {
            Some((last, _)) if page.len() >= SCAN_PAIRS_MAX => scan = scan.after(last),
            _ => return Ok(count),
        }
    }
}

/// How many of these comments contribute.
fn live(
    view: &mut View<'_>,
    ids: &[CommentId],
    contribution: Contribution<Group>,
) -> Result<usize, ViewError> {
    view.expect_keys(ids.iter().map(key::of::<CommentRow>))?;
    let mut live = 0;
    for id in ids {
        let comment = view.get::<CommentRow>(id)?;
        live += usize::from(comment.is_some_and(|comment| comment.contributions().contains(&contribution)));
    }
    Ok(live)
}

#[cfg(test)]
mod tests;
