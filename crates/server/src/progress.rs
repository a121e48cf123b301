//! How far a replay is: a bar on a terminal, now and then a line elsewhere. Always on standard error.

use std::fmt;
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use tokio::time::Instant;

use crate::numbers::{grouped, rate};

/// Between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(5);
const BAR: &str = "{prefix:>9} {wide_bar} {human_pos}/{human_len} {rate:>9} {eta:>4}";

/// The progress of one phase; it ends with a line when this is dropped.
#[derive(Debug)]
pub(crate) struct Progress {
    what: &'static str,
    started: Instant,
    /// Hidden where standard error is no terminal.
    bar: ProgressBar,
    /// When the last plain line was printed; nothing on a terminal.
    printed: Option<Mutex<Instant>>,
}

impl Progress {
    pub(crate) fn start(what: &'static str, total: usize) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let target = if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let total = u64::try_from(total).unwrap_or(u64::MAX);
        let style = ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar());
        let style = style.with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
            // The bar is drawn into a string, which cannot fail.
            write!(out, "{:.0}/s", state.per_sec()).ok();
        });
        let bar = ProgressBar::with_draw_target(Some(total), target).with_style(style).with_prefix(what);
        let started = Instant::now();
        Self { what, started, bar, printed: (!terminal).then(|| Mutex::new(started)) }
    }

    /// So many more are done.
    pub(crate) fn add(&self, done: u64) {
        self.bar.inc(done);
        self.print_now_and_then();
    }

    /// So many are done.
    pub(crate) fn set_at(&self, done: usize) {
        self.bar.set_position(u64::try_from(done).unwrap_or(u64::MAX));
        self.print_now_and_then();
    }

    /// So many are done of so many, where both may change.
    pub(crate) fn set(&self, done: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(done);
        self.print_now_and_then();
    }

    /// Since the start of this phase.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    fn print_now_and_then(&self) {
        let Some(printed) = &self.printed else { return };
        let mut printed = printed.lock().unwrap_or_else(PoisonError::into_inner);
        if printed.elapsed() >= LINE_EVERY {
            *printed = Instant::now();
            eprintln!("{}", self.line());
        }
    }

    fn line(&self) -> String {
        let (done, total) = (self.bar.position(), self.bar.length().unwrap_or_default());
        let done_ = usize::try_from(done).unwrap_or(usize::MAX);
        let rate = grouped(rate(done_, self.elapsed()));
        format!("{:>9} {} of {}, {rate} a second", self.what, grouped(done), grouped(total))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        // Clearing the bar also fills it.
        let line = self.line();
        self.bar.finish_and_clear();
        eprintln!("{line} ({:.1} s)", self.elapsed().as_secs_f64());
    }
}

/// Prints a line between bars.
pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}
