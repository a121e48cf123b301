//! The results for people.

use crate::harness::Table;
use std::fmt;

/// A time, in three digits.
pub(crate) fn time(ns: f64) -> String {
    let (number, unit) = match ns {
        ns if ns < 1e3 => (ns, "ns"),
        ns if ns < 1e6 => (ns / 1e3, "µs"),
        ns if ns < 1e9 => (ns / 1e6, "ms"),
        ns => (ns / 1e9, "s"),
    };
    format!("{} {unit}", digits(number))
}

/// A number, in three digits where it has so many behind the point.
pub(crate) fn digits(number: f64) -> String {
    match number {
        number if number < 9.995 => format!("{number:.2}"),
        number if number < 99.95 => format!("{number:.1}"),
        number => format!("{number:.0}"),
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "### {}\n\n{}.", self.workload, self.about)?;
        writeln!(f, "{} operations a sample; the median of each.\n", self.operations)?;
        let head = ["contender", "an operation", "half between", "ratio to ours", "samples", "what it does"]
            .map(str::to_owned);
        let mut lines = vec![head];
        for row in &self.rows {
            let [low, high] = row.quartiles_ns.map(time);
            lines.push([
                row.name.to_owned(),
                time(row.median_ns),
                format!("{low} – {high}"),
                digits(row.ratio),
                row.samples.to_string(),
                row.does.to_owned(),
            ]);
        }
        for (number, line) in lines.iter().enumerate() {
            for (at, cell) in line.iter().enumerate() {
                let width =
                    lines.iter().filter_map(|line| line.get(at)).map(|cell| cell.chars().count()).max();
                let width = width.unwrap_or_default();
                if (1..=4).contains(&at) {
                    write!(f, "| {cell:>width$} ")?;
                } else {
                    write!(f, "| {cell:<width$} ")?;
                }
            }
            writeln!(f, "|")?;
            if number == 0 {
                writeln!(f, "|---|--:|--:|--:|--:|---|")?;
            }
        }
        Ok(())
    }
}
