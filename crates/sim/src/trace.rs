//! The trace: a line for everything that happens, so that two runs of a seed can be compared byte by byte.

use crate::dice;
use std::fmt::{self, Write as _};

/// Lines that are kept at most, for whoever wants to read them; the hash goes on over all of them.
pub const LINES_KEPT_MAX: usize = 20_000_000;

/// What happened, hashed, and kept where somebody wants to read it.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: u64,
    lines: u64,
    kept: Option<String>,
    line: String,
}

impl Trace {
    /// A trace that keeps its text, or only its hash.
    pub(crate) fn new(keep: bool) -> Self {
        Self { hash: 0, lines: 0, kept: keep.then(String::new), line: String::new() }
    }

    pub(crate) fn note(&mut self, at_ms: u64, who: &str, what: fmt::Arguments<'_>) {
        self.line.clear();
        // Writing into a String does not fail.
        writeln!(self.line, "{at_ms:>12} {who:<14} {what}").unwrap_or_default();
        self.hash = dice::hash(self.hash, self.line.as_bytes());
        self.lines += 1;
        if let Some(kept) = &mut self.kept
            && usize::try_from(self.lines).is_ok_and(|lines| lines <= LINES_KEPT_MAX)
        {
            kept.push_str(&self.line);
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn lines(&self) -> u64 {
        self.lines
    }

    pub(crate) fn take_text(&mut self) -> Option<String> {
        self.kept.take()
    }
}
