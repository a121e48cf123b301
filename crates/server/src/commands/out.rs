//! Tables and JSON on standard output.

use super::error::CommandError;
use serde::Serialize;
use std::fmt::Write as _;
use std::io::Write;

/// Prints text and a line feed.
pub(crate) fn print(text: &str) -> Result<(), CommandError> {
    let mut out = std::io::stdout().lock();
    let ended = out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n"));
    ended.and_then(|()| out.flush()).map_err(CommandError::Output)
}

/// Prints a value as one line of JSON.
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), CommandError> {
    print(&serde_json::to_string(value)?)
}

/// Rows under a head: words to the left in the first column, numbers to the right in the others.
pub(crate) fn columns<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let head = head.map(str::to_owned);
    let all = || std::iter::once(&head).chain(rows);
    let mut widths = [0; N];
    for row in all() {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut lines = Vec::new();
    for row in all() {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            // Writing into a string cannot fail.
            if column == 0 { write!(line, "{cell:<width$}") } else { write!(line, "  {cell:>width$}") }.ok();
        }
        lines.push(line.trim_end().to_owned());
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_end_below_each_other() {
        let text = columns(["name", "n"], &[["a".into(), "1,000".into()], ["longer".into(), "2".into()]]);
        assert_eq!(text, "name        n\na       1,000\nlonger      2");
    }
}
