//! What a replay tells at its end.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::numbers::{grouped, rate, several, wide};
use super::plan::Survey;
use super::player::{Breaches, Played};
use super::quiet::LeftAside;
use super::table::table;
use super::verdict::{Row, Totals};

/// Everything that was found out.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) file: String,
    pub(super) seed: u64,
    /// The seed of the faults, if any were played.
    pub(super) hostile: Option<u64>,
    /// The share of all messages that the queue lost for ever, if any was played.
    pub(super) lossy: Option<f64>,
    /// Whether the queue loses messages: then settling took until every count was exact, not until it was empty.
    pub(super) loses: bool,
    pub(super) people: usize,
    pub(super) connections: u16,
    pub(super) signing_up_s: f64,
    pub(super) posting_s: f64,
    pub(super) settling_s: f64,
    pub(super) comments_per_s: u64,
    /// Sent again although they had succeeded, or beside the first.
    pub(super) sent_again: u64,
    /// Hung up on before the answer, then sent again.
    pub(super) abandoned: u64,
    pub(super) delete_requests: u64,
    /// With SIGKILL, of our own server.
    pub(super) kills: u64,
    /// Requests sent again because they had failed, by reason.
    pub(super) retries: Vec<(&'static str, u64)>,
    pub(super) mended: usize,
    pub(super) skipped: usize,
    pub(super) first_skipped: Option<String>,
    pub(super) dead_letters: u64,
    pub(super) kept: u64,
    pub(super) broken_promises: usize,
    /// The first of them.
    pub(super) broken_promises_told: Vec<String>,
    pub(super) exact: bool,
    pub(super) totals: Totals,
    pub(super) parts: Vec<Row>,
}

/// How long the phases took.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Times {
    pub(super) signing_up: Duration,
    pub(super) posting: Duration,
    pub(super) settling: Duration,
}

/// What was done to make life hard.
#[derive(Debug, Default, Clone)]
pub(super) struct Hardship {
    pub(super) hostile: Option<u64>,
    pub(super) loses: bool,
    pub(super) lossy: Option<f64>,
    pub(super) played: Played,
    pub(super) breaches: Breaches,
    pub(super) kills: u64,
    pub(super) retries: Vec<(&'static str, u64)>,
}

/// Which run this was.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) file: String,
    pub(super) seed: u64,
    pub(super) connections: u16,
}

impl Report {
    pub(super) fn new(
        run: Run,
        survey: Survey,
        times: Times,
        hardship: Hardship,
        left_aside: LeftAside,
        parts: Vec<Row>,
    ) -> Self {
        let totals = Totals::of(&parts);
        let Hardship { hostile, loses, lossy, played, breaches, kills, retries } = hardship;
        Self {
            file: run.file,
            seed: run.seed,
            hostile,
            lossy,
            loses,
            people: survey.people.len(),
            connections: run.connections,
            signing_up_s: times.signing_up.as_secs_f64(),
            posting_s: times.posting.as_secs_f64(),
            settling_s: times.settling.as_secs_f64(),
            comments_per_s: rate(totals.posted, times.posting),
            sent_again: played.again,
            abandoned: played.abandoned,
            delete_requests: played.deletes,
            kills,
            retries,
            mended: survey.mended,
            skipped: survey.skipped,
            first_skipped: survey.first_skipped,
            dead_letters: left_aside.dead,
            kept: left_aside.kept,
            broken_promises: breaches.count,
            broken_promises_told: breaches.told,
            exact: totals.differing == 0 && breaches.count == 0,
            totals,
            parts,
        }
    }

    /// 0 if the list, the counts and the input agree in every part, and every promise was kept; else 1.
    pub(super) fn exit_code(&self) -> u8 {
        u8::from(!self.exact)
    }

    /// The report for people; its last line is the verdict.
    pub(super) fn text(&self, all: bool) -> String {
        let mut lines = vec![
            table(&self.parts, &self.totals, all),
            format!(
                "{} people in {:.1} s; {} over HTTP in {:.1} s: {} a second on {} connections; {} {:.1} s later",
                grouped(wide(self.people)),
                self.signing_up_s,
                several(self.totals.posted, "comment"),
                self.posting_s,
                grouped(self.comments_per_s),
                self.connections,
                if self.loses { "every count exact" } else { "quiet" },
                self.settling_s,
            ),
        ];
        lines.extend(self.hardship());
        lines.extend(self.remarks());
        lines.push(self.totals.line(self.broken_promises));
        lines.join("\n")
    }

    fn hardship(&self) -> Option<String> {
        let mut told = Vec::new();
        if self.hostile.is_some() {
            told.push(format!("{} requests sent again", grouped(self.sent_again)));
            told.push(format!("{} abandoned", grouped(self.abandoned)));
            let deleted = several(self.totals.deleted, "comment");
            told.push(format!("{deleted} deleted with {} requests", grouped(self.delete_requests)));
        }
        if let Some(share) = self.lossy {
            told.push(format!("{:.0} % of all messages lost for ever", share * 100.0));
        }
        if self.kills > 0 {
            let times = if self.kills == 1 { "once".to_owned() } else { grouped(self.kills) + " times" };
            told.push(format!("the server killed {times}"));
        }
        (!told.is_empty()).then(|| format!("played: {}", told.join(", ")))
    }

    fn remarks(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut failures = String::new();
        for (reason, count) in self.retries.iter().filter(|(_, count)| *count > 0) {
            let comma = if failures.is_empty() { "" } else { ", " };
            // Writing into a string cannot fail.
            write!(failures, "{comma}{} ({reason})", grouped(*count)).ok();
        }
        if !failures.is_empty() {
            lines.push(format!("sent again after a failure: {failures}"));
        }
        if self.mended > 0 {
            lines.push(format!(
                "{} that the API refuses mended: blank, too long, or with control characters",
                several(self.mended, "text")
            ));
        }
        if let Some(first) = &self.first_skipped {
            lines.push(format!("{} skipped; the first: {first}", several(self.skipped, "broken line")));
        }
        if self.dead_letters + self.kept > 0 {
            let (dead, kept) = (grouped(self.dead_letters), grouped(self.kept));
            lines.push(format!("left aside by the server: {dead} dead letters, {kept} not understood"));
        }
        lines.extend(self.broken_promises_told.iter().map(|told| format!("BROKEN PROMISE: {told}")));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::verdict::tests::row;

    fn report(parts: Vec<Row>, hardship: Hardship) -> Report {
        let run = Run { file: "a.ndjson".into(), seed: 7, connections: 128 };
        let survey = Survey { people: vec!["Orla".into()], mended: 12, ..Survey::default() };
        let times = Times { posting: Duration::from_millis(1_500), ..Times::default() };
        Report::new(run, survey, times, hardship, LeftAside::default(), parts)
    }

    #[test]
    fn exact_numbers_are_a_success() {
        let report = report(vec![row(&[1, 2, 3], &[2], &[3, 1], 2, 2)], Hardship::default());
        assert_eq!((report.exit_code(), report.comments_per_s), (0, 2));
        let text = report.text(false);
        let tail: Vec<_> = text.lines().rev().take(3).collect();
        let verdict = "exact: 1 part, 3 posted, 1 deleted, 2 listed, 2 shown; a plain \"+1\" counter would show 5 (off in 1 part)";
        let mended = "12 texts that the API refuses mended: blank, too long, or with control characters";
        let rate = "1 people in 0.0 s; 3 comments over HTTP in 1.5 s: 2 a second on 128 connections; quiet 0.0 s later";
        assert_eq!(tail, [verdict, mended, rate]);
    }

    #[test]
    fn numbers_that_differ_are_a_failure() {
        for wrong in [
            row(&[1, 2, 3], &[2], &[3, 1], 2, 3),
            row(&[1, 2, 3], &[2], &[3, 1], 3, 2),
            row(&[1, 2, 3], &[2], &[3], 1, 1),
            row(&[1, 2, 3], &[2], &[3, 4], 2, 2),
            row(&[1, 2, 3], &[2], &[1, 3, 3], 2, 2),
        ] {
            let good = row(&[1, 2, 3], &[2], &[3, 1], 2, 2);
            let report = report(vec![good, wrong], Hardship::default());
            assert_eq!(report.exit_code(), 1);
            assert!(report.text(false).lines().last().unwrap().starts_with("NOT EXACT: 1 of 2 parts differ"));
        }
    }

    #[test]
    fn a_broken_promise_is_a_failure() {
        let breaches = Breaches { count: 2, told: vec!["one id, then another".into()] };
        let played = Played { again: 4_000, abandoned: 5, deletes: 6 };
        let retries = vec![("connection lost", 1_234), ("no answer in time", 0), ("429 or 503", 5)];
        let hardship =
            Hardship { hostile: Some(7), loses: true, lossy: Some(0.5), played, breaches, kills: 3, retries };
        let report = report(vec![row(&[1], &[], &[1], 1, 1)], hardship);
        assert_eq!(report.exit_code(), 1);
        let text = report.text(false);
        for part in [
            "played: 4,000 requests sent again, 5 abandoned, 0 comments deleted with 6 requests, \
             50 % of all messages lost for ever, the server killed 3 times",
            "on 128 connections; every count exact 0.0 s later",
            "sent again after a failure: 1,234 (connection lost), 5 (429 or 503)",
            "BROKEN PROMISE: one id, then another",
            "NOT KEPT: 2 promises; 1 part, 1 posted",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!((json["exact"].as_bool(), json["totals"]["posted"].as_u64()), (Some(false), Some(1)));
        assert_eq!(json["parts"][0]["part"], "0".repeat(32));
    }
}
