//! The table: brokers × cases, with the reasons for what is skipped.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::CASES;

/// How a case went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The broker keeps it.
    Passed,
    /// It does not.
    Failed,
    /// It was not played, for this reason.
    Skipped(String),
}

/// What one broker did.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// Its name.
    pub broker: String,
    /// By the name of the case; those that were not chosen are missing.
    pub cases: BTreeMap<String, Outcome>,
}

/// Where reports are left: beside the executables of this build.
pub(crate) fn folder() -> io::Result<PathBuf> {
    let executable = std::env::current_exe()?;
    let folder = executable.parent().unwrap_or(Path::new("."));
    let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    Ok(folder.join("conformance"))
}

impl Report {
    /// Leaves it for the table, in place of an earlier one.
    pub(crate) fn leave(&self) -> io::Result<()> {
        let folder = folder()?;
        std::fs::create_dir_all(&folder)?;
        let bytes = serde_json::to_vec_pretty(self)?;
        std::fs::write(folder.join(format!("{}.json", self.broker)), bytes)
    }
}

/// All that were left by the tests of this build, in the order of `names` and then by name.
///
/// Errors: what reading answered.
pub fn reports(names: &[&str]) -> io::Result<Vec<Report>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder()?)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let report: Report = serde_json::from_slice(&std::fs::read(&path)?)?;
            found.push(report);
        }
    }
    let place = |report: &Report| names.iter().position(|name| *name == report.broker).unwrap_or(names.len());
    found.sort_by_key(|report| (place(report), report.broker.clone()));
    Ok(found)
}

/// The table as Markdown: `✓` passed, `✗` failed, a number for a reason that stands beneath, blank for what was not
/// played.
pub fn markdown(reports: &[Report]) -> String {
    let mut out = String::from("| case |");
    for report in reports {
        write_to(&mut out, format_args!(" {} |", report.broker));
    }
    out.push_str("\n|---|");
    out.push_str(&":-:|".repeat(reports.len()));
    out.push('\n');
    let mut reasons: Vec<&str> = Vec::new();
    for case in CASES {
        write_to(&mut out, format_args!("| {} |", case.about));
        for report in reports {
            let cell = match report.cases.get(case.name) {
                None => String::new(),
                Some(Outcome::Passed) => "✓".to_owned(),
                Some(Outcome::Failed) => "✗".to_owned(),
                Some(Outcome::Skipped(reason)) => {
                    let known = reasons.iter().position(|known| known == reason);
                    let place = known.unwrap_or_else(|| {
                        reasons.push(reason);
                        reasons.len() - 1
                    });
                    format!("({})", place + 1)
                }
            };
            write_to(&mut out, format_args!(" {cell} |"));
        }
        out.push('\n');
    }
    if !reasons.is_empty() {
        out.push('\n');
    }
    for (place, reason) in reasons.iter().enumerate() {
        write_to(&mut out, format_args!("({}) {reason}\n\n", place + 1));
    }
    out
}

fn write_to(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    if out.write_fmt(text).is_err() {
        unreachable!("a string takes everything");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_numbered_and_told_once() {
        let skipped = |reason: &str| Outcome::Skipped(reason.to_owned());
        let report = |broker: &str, outcomes: [Outcome; 3]| Report {
            broker: broker.to_owned(),
            cases: CASES.iter().map(|case| case.name.to_owned()).zip(outcomes).collect(),
        };
        let table = markdown(&[
            report("one", [Outcome::Passed, skipped("it rains"), skipped("it snows")]),
            report("two", [Outcome::Failed, skipped("it rains"), Outcome::Passed]),
        ]);
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines[0], "| case | one | two |");
        assert!(lines[2].ends_with(" ✓ | ✗ |"), "{}", lines[2]);
        assert!(lines[3].ends_with(" (1) | (1) |"), "{}", lines[3]);
        assert!(lines[4].ends_with(" (2) | ✓ |"), "{}", lines[4]);
        assert!(table.contains("\n(1) it rains\n") && table.contains("\n(2) it snows\n"));
    }

    #[test]
    fn every_case_has_a_name_of_its_own() {
        let mut names: Vec<_> = CASES.iter().map(|case| case.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CASES.len());
    }
}
