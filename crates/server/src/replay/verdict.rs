//! What the numbers mean: a row for each part, and whether it is exact.

use std::collections::BTreeSet;

use messages::{CommentId, PartId};
use serde::Serialize;

use super::check::Told;
use super::ledger::Entry;
use super::numbers::{grouped, several, wide};

/// One part: what was done, what the server tells, and how they differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Row {
    pub(super) part: PartId,
    pub(super) title: String,
    /// Acknowledged posts.
    pub(super) posted: usize,
    /// Acknowledged deletions, each comment once.
    pub(super) deleted: usize,
    /// The length of the flat list.
    pub(super) listed: usize,
    /// What Comments says that the list's length is.
    pub(super) counted: i64,
    /// What Stories shows.
    pub(super) shown: i64,
    /// What a plain "+1" counter would show, if the server has one.
    pub(super) plain: Option<i64>,
    /// Live, and not in the list.
    pub(super) missing: Vec<CommentId>,
    /// In the list, and not live or not ours.
    pub(super) extra: Vec<CommentId>,
    /// Entries of the list that it already had.
    pub(super) repeated: usize,
}

impl Row {
    /// Compares what was done with what is told.
    pub(super) fn compare(part: PartId, title: &str, done: &Entry, told: &Told, plain: Option<i64>) -> Self {
        let live = done.live();
        let listed: BTreeSet<CommentId> = told.listed.iter().copied().collect();
        Self {
            part,
            title: title.to_owned(),
            posted: done.accepted,
            deleted: done.deleted.len(),
            listed: told.listed.len(),
            counted: told.counted,
            shown: told.shown,
            plain,
            missing: live.difference(&listed).copied().collect(),
            extra: listed.difference(&live).copied().collect(),
            repeated: told.listed.len() - listed.len(),
        }
    }

    /// How many must be listed and shown.
    pub(super) fn expected(&self) -> i64 {
        i64::try_from(self.posted).unwrap_or(i64::MAX) - i64::try_from(self.deleted).unwrap_or(i64::MAX)
    }

    /// Everything that is wrong with this part; nothing if it is exact.
    pub(super) fn faults(&self) -> Vec<String> {
        let expected = self.expected();
        let ids = |ids: &[CommentId], what: &str| {
            let example = ids.first().map(|id| format!("{} {what}, such as {id}", grouped(wide(ids.len()))));
            example.into_iter()
        };
        let number = |what: &str, number: i64| {
            (number != expected).then(|| format!("{what} {}, not {}", grouped(number), grouped(expected)))
        };
        let repeated = (self.repeated > 0).then(|| format!("{} listed twice", grouped(wide(self.repeated))));
        let listed = i64::try_from(self.listed).unwrap_or(i64::MAX);
        (ids(&self.missing, "missing"))
            .chain(ids(&self.extra, "too many"))
            .chain(repeated)
            .chain(number("listed", listed))
            .chain(number("Comments counts", self.counted))
            .chain(number("Stories shows", self.shown))
            .collect()
    }

    pub(super) fn is_exact(&self) -> bool {
        self.faults().is_empty()
    }

    /// By how much a plain counter would be off.
    pub(super) fn drift(&self) -> Option<i64> {
        self.plain.map(|plain| plain - self.expected())
    }
}

/// All parts together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Totals {
    pub(super) parts: usize,
    /// Parts with a fault.
    pub(super) differing: usize,
    pub(super) posted: usize,
    pub(super) deleted: usize,
    pub(super) listed: usize,
    pub(super) counted: i64,
    pub(super) shown: i64,
    pub(super) plain: Option<i64>,
    /// Parts in which a plain counter would be off.
    pub(super) plain_off: usize,
}

impl Totals {
    pub(super) fn of(rows: &[Row]) -> Self {
        let mut totals = Self::default();
        for row in rows {
            totals.parts += 1;
            totals.differing += usize::from(!row.is_exact());
            totals.posted += row.posted;
            totals.deleted += row.deleted;
            totals.listed += row.listed;
            totals.counted += row.counted;
            totals.shown += row.shown;
            totals.plain = row.plain.map(|plain| totals.plain.unwrap_or_default() + plain).or(totals.plain);
            totals.plain_off += usize::from(row.drift().is_some_and(|drift| drift != 0));
        }
        totals
    }

    /// The whole result in one line.
    pub(super) fn line(&self, breaches: usize) -> String {
        let parts = several(self.parts, "part");
        let verdict = match (self.differing, breaches) {
            (0, 0) => format!("exact: {parts}"),
            (0, broken) => format!("NOT KEPT: {}; {parts}", several(broken, "promise")),
            (differing, _) => format!("NOT EXACT: {} of {parts} differ", grouped(wide(differing))),
        };
        let plain = self.plain.map_or_else(String::new, |plain| {
            let off = several(self.plain_off, "part");
            format!("; a plain \"+1\" counter would show {} (off in {off})", grouped(plain))
        });
        format!(
            "{verdict}, {} posted, {} deleted, {} listed, {} shown{plain}",
            grouped(wide(self.posted)),
            grouped(wide(self.deleted)),
            grouped(wide(self.listed)),
            grouped(self.shown),
        )
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn id(number: u8) -> CommentId {
        CommentId::from_bytes([number; 16])
    }

    pub(in super::super) fn row(
        posted: &[u8],
        deleted: &[u8],
        listed: &[u8],
        counted: i64,
        shown: i64,
    ) -> Row {
        let done = Entry {
            accepted: posted.len(),
            posted: posted.iter().copied().map(id).collect(),
            deleted: deleted.iter().copied().map(id).collect(),
        };
        let told = Told { listed: listed.iter().copied().map(id).collect(), counted, shown };
        Row::compare(PartId::default(), "Chapter 1.", &done, &told, Some(5))
    }

    #[test]
    fn every_difference_is_a_fault() {
        let (one, four) = (id(1), id(4));
        for (row, faults) in [
            (row(&[1, 2, 3], &[2], &[3, 1], 2, 2), vec![]),
            (row(&[], &[], &[], 0, 0), vec![]),
            (row(&[1, 2, 3], &[2], &[3, 1], 2, 3), vec!["Stories shows 3, not 2".to_owned()]),
            (row(&[1, 2, 3], &[2], &[3, 1], -1, 2), vec!["Comments counts -1, not 2".to_owned()]),
            (
                row(&[1, 2, 3], &[2], &[3], 1, 1),
                vec![
                    format!("1 missing, such as {one}"),
                    "listed 1, not 2".to_owned(),
                    "Comments counts 1, not 2".to_owned(),
                    "Stories shows 1, not 2".to_owned(),
                ],
            ),
            (
                row(&[1, 2, 3], &[2], &[3, 4], 2, 2),
                vec![format!("1 missing, such as {one}"), format!("1 too many, such as {four}")],
            ),
            (
                row(&[1, 2, 3], &[2], &[3, 1, 3], 2, 2),
                vec!["1 listed twice".to_owned(), "listed 3, not 2".to_owned()],
            ),
        ] {
            assert_eq!(row.faults(), faults);
        }
    }

    #[test]
    fn two_comments_with_one_id_are_not_exact() {
        let done = Entry { accepted: 2, posted: [id(1)].into(), deleted: BTreeSet::new() };
        let told = Told { listed: vec![id(1)], counted: 1, shown: 1 };
        assert!(!Row::compare(PartId::default(), "", &done, &told, None).is_exact());
    }

    #[test]
    fn lines() {
        let good = row(&[1, 2, 3], &[2], &[3, 1], 2, 2);
        let totals = Totals::of(&[good.clone(), Row { plain: Some(2), ..good.clone() }]);
        assert_eq!(
            totals.line(0),
            "exact: 2 parts, 6 posted, 2 deleted, 4 listed, 4 shown; a plain \"+1\" counter would show 7 (off in 1 part)"
        );
        assert!(totals.line(3).starts_with("NOT KEPT: 3 promises; 2 parts, 6 posted"));
        let bad = Row { shown: 9, plain: None, ..good };
        assert_eq!(
            Totals::of(&[bad]).line(0),
            "NOT EXACT: 1 of 1 part differ, 3 posted, 1 deleted, 2 listed, 9 shown"
        );
    }
}
