//! Rows of text under a head, aligned: words to the left, numbers to the right.

use std::fmt::Write as _;

use super::numbers::{grouped, wide};
use super::verdict::{Row, Totals};

/// With more parts than this, only some rows are printed.
const ROWS_MAX: usize = 40;
/// So many rows are printed of those where nothing but a plain counter is off.
const DRIFTS_SHOWN: usize = 10;
const TITLE_CHARS_MAX: usize = 40;
const HEAD: [&str; 7] = ["part", "posted", "deleted", "listed", "shown", "\"+1\"", "verdict"];

/// The table of all parts and their sum. Where they are many, and unless `all` are wanted: those that differ, and
/// of the others the ones in which a plain counter is off the furthest.
pub(super) fn table(rows: &[Row], totals: &Totals, all: bool) -> String {
    let chosen = if all || rows.len() <= ROWS_MAX { rows.iter().collect() } else { worst(rows) };
    let mut cells = vec![HEAD.map(str::to_owned)];
    cells.extend(chosen.iter().map(|row| line(row)));
    let left_out = rows.len() - chosen.len();
    if left_out > 0 {
        let exact = rows.iter().filter(|row| row.is_exact()).count();
        let shown_exact = chosen.iter().filter(|row| row.is_exact()).count();
        let differing = left_out - (exact - shown_exact);
        let which = if differing == 0 { "exact".to_owned() } else { format!("{differing} of them differ") };
        let mut line: [String; 7] = Default::default();
        let [first, .., last] = &mut line;
        *first = format!("… {left_out} more");
        *last = format!("{which} (--all)");
        cells.push(line);
    }
    cells.push(sum(totals));
    render(&cells)
}

fn worst(rows: &[Row]) -> Vec<&Row> {
    let mut wrong: Vec<&Row> = rows.iter().filter(|row| !row.is_exact()).take(ROWS_MAX).collect();
    let drift = |row: &Row| row.drift().unwrap_or_default().unsigned_abs();
    let mut drifting: Vec<&Row> = rows.iter().filter(|row| row.is_exact() && drift(row) > 0).collect();
    drifting.sort_by_key(|row| std::cmp::Reverse(drift(row)));
    drifting.truncate(DRIFTS_SHOWN.min(ROWS_MAX - wrong.len()));
    wrong.extend(drifting);
    if wrong.is_empty() {
        wrong.extend(rows.iter().take(DRIFTS_SHOWN));
    }
    wrong
}

fn line(row: &Row) -> [String; 7] {
    let mut title: String = row.title.chars().take(TITLE_CHARS_MAX).collect();
    if title.len() < row.title.len() {
        title.push('…');
    }
    let faults = row.faults();
    [
        title,
        grouped(wide(row.posted)),
        grouped(wide(row.deleted)),
        grouped(wide(row.listed)),
        grouped(row.shown),
        plain(row.plain),
        if faults.is_empty() { "exact".to_owned() } else { format!("DIFFERS: {}", faults.join("; ")) },
    ]
}

fn sum(totals: &Totals) -> [String; 7] {
    let verdict = match totals.differing {
        0 => "exact".to_owned(),
        differing => format!("{} DIFFER", grouped(wide(differing))),
    };
    [
        format!("all {}", grouped(wide(totals.parts))),
        grouped(wide(totals.posted)),
        grouped(wide(totals.deleted)),
        grouped(wide(totals.listed)),
        grouped(totals.shown),
        plain(totals.plain),
        verdict,
    ]
}

fn plain(count: Option<i64>) -> String {
    count.map_or_else(|| "–".to_owned(), grouped)
}

fn render(cells: &[[String; 7]]) -> String {
    let mut widths = [0; 7];
    for row in cells {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in cells {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            let words = column == 0 || column == HEAD.len() - 1;
            // Writing into a string cannot fail.
            if words { write!(line, "{cell:<width$}  ") } else { write!(line, "{cell:>width$}  ") }.ok();
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::verdict::tests::row;

    #[test]
    fn columns_are_aligned() {
        let good = row(&[1, 2, 3], &[2], &[3, 1], 2, 2);
        let bad = Row { title: "Ä".repeat(50), shown: 1_000, plain: None, ..good.clone() };
        let rows = [good, bad];
        let expected = "\
part                                       posted  deleted  listed  shown  \"+1\"  verdict
Chapter 1.                                      3        1       2      2     5  exact
ÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄ…       3        1       2  1,000     –  DIFFERS: Stories shows 1,000, not 2
all 2                                           6        2       4  1,002     5  1 DIFFER
";
        assert_eq!(table(&rows, &Totals::of(&rows), false), expected);
    }

    #[test]
    fn of_many_parts_the_worst_are_shown() {
        let good = row(&[1, 2, 3], &[2], &[3, 1], 2, 2);
        let mut rows: Vec<Row> =
            (0..100).map(|n| Row { plain: Some(2 + n), title: format!("p{n}"), ..good.clone() }).collect();
        rows[50].shown = 3;
        let text = table(&rows, &Totals::of(&rows), false);
        let firsts: Vec<_> = text.lines().map(|line| line.split(' ').next().unwrap()).collect();
        let expected =
            ["part", "p50", "p99", "p98", "p97", "p96", "p95", "p94", "p93", "p92", "p91", "p90", "…", "all"];
        assert_eq!(firsts, expected);
        assert!(text.contains("… 89 more") && text.contains("exact (--all)"), "{text}");
        assert_eq!(table(&rows, &Totals::of(&rows), true).lines().count(), 102);

        for row in &mut rows {
            row.shown = 3;
        }
        let text = table(&rows, &Totals::of(&rows), false);
        assert!(text.contains("60 of them differ (--all)") && text.contains("100 DIFFER"), "{text}");
    }
}
