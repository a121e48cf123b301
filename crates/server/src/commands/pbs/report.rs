//! What the trials say, as text and as JSON.

use crate::commands::out::columns;
use crate::numbers::grouped;
use pbs::plot::{told_ms, told_share};
use pbs::{Outcome, Quorum, Time, Wars, closed};
use serde_json::{Value, json};
use std::time::Duration;

/// Where P(consistent) is told unless it is said.
const AT: [f64; 16] =
    [0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 10_000.0];
/// From this probability on no more is told.
const ALL_BUT_CERTAIN: f64 = 0.999_9;
/// The latencies that are told.
const PERCENTILES: [f64; 5] = [0.5, 0.9, 0.99, 0.999, 0.9999];

/// What is wanted of every run.
pub(super) struct Asked {
    /// Milliseconds after the write's answer; empty for what suits the run.
    pub(super) at: Vec<f64>,
    pub(super) probabilities: Vec<f64>,
    pub(super) versions: Vec<u32>,
    pub(super) writes_per_read: f64,
}

/// A model, played.
pub(super) struct Run {
    pub(super) name: String,
    pub(super) wars: Wars,
    pub(super) outcome: Outcome,
    pub(super) took: Duration,
}

/// All of them.
pub(super) struct Report<'a> {
    pub(super) trials: usize,
    pub(super) seed: u64,
    pub(super) runs: &'a [Run],
    pub(super) asked: &'a Asked,
}

fn nrw(quorum: Quorum) -> String {
    format!("N={} R={} W={}", quorum.n(), quorum.r(), quorum.w())
}

/// What a picture of one curve is of.
pub(super) fn under(run: &Run, trials: usize) -> String {
    format!("{}, {}; {} trials", run.name, nrw(run.outcome.quorum()), grouped(crate::numbers::wide(trials)))
}

/// What all curves of a picture share.
pub(super) fn shared(runs: &[Run], trials: usize) -> String {
    let trials = grouped(crate::numbers::wide(trials));
    let same = |of: &dyn Fn(&Run) -> String| {
        let mut all = runs.iter().map(of);
        let first = all.next()?;
        all.all(|other| other == first).then_some(first)
    };
    let parts = [
        same(&|run| nrw(run.outcome.quorum())),
        same(&|run| format!("A {}", run.wars.a)),
        Some(format!("{trials} trials each")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// Times at which this run is looked at.
fn times(asked: &Asked, outcome: &Outcome) -> Vec<f64> {
    if !asked.at.is_empty() {
        return asked.at.clone();
    }
    let certain = outcome.time_for(ALL_BUT_CERTAIN).ms;
    // From about a hundredth of that on, and the one behind it.
    let mut last = false;
    let worth = |time: &f64| *time <= 0.0 || *time >= certain / 300.0;
    AT.into_iter().filter(worth).take_while(|time| !std::mem::replace(&mut last, *time >= certain)).collect()
}

/// What stands where nothing bounds a time from above.
const UNBOUNDED: &str = "?";
const UNBOUNDED_MEANS: &str = "?: too few trials, or too few measurements, to tell how long at most";

fn beyond(time: Time) -> String {
    time.high_ms.map_or_else(|| UNBOUNDED.to_owned(), told_ms)
}

/// A time that stands without its interval.
fn estimate(time: Time) -> String {
    if time.high_ms.is_some() { told_ms(time.ms) } else { format!("{} {UNBOUNDED}", told_ms(time.ms)) }
}

/// A table, and what its question marks mean.
fn explained(table: String) -> String {
    if table.contains(UNBOUNDED) { format!("{table}\n{UNBOUNDED_MEANS}") } else { table }
}

impl Report<'_> {
    /// For people.
    pub(super) fn text(&self) -> String {
        match self.runs {
            [alone] => self.whole(alone),
            several => self.table(several),
        }
    }

    fn head(&self, took: Duration) -> String {
        format!(
            "{} trials from seed {} in {:.2} s",
            grouped(crate::numbers::wide(self.trials)),
            self.seed,
            took.as_secs_f64()
        )
    }

    fn whole(&self, run: &Run) -> String {
        let outcome = &run.outcome;
        let quorum = outcome.quorum();
        let Wars { w, a, r, s, remote } = &run.wars;
        let remote = remote.map(|ms| format!("\n  between sites, each way {} more", told_ms(ms)));
        let head = format!(
            "{}, {}: {}\n  W {w}\n  A {a}\n  R {r}\n  S {s}{}",
            run.name,
            nrw(quorum),
            self.head(run.took),
            remote.unwrap_or_default()
        );
        let curve = times(self.asked, outcome).into_iter().map(|time| {
            let found = outcome.consistent_at(time);
            [told_ms(time), told_share(found.value), told_share(found.low), told_share(found.high)]
        });
        let curve: Vec<_> = curve.collect();
        let until = self.asked.probabilities.iter().map(|probability| {
            let time = outcome.time_for(*probability);
            [told_share(*probability), told_ms(time.ms), told_ms(time.low_ms), beyond(time)]
        });
        let until: Vec<_> = until.collect();
        // Where nobody is waited for, that is all there is to say of latencies.
        let instant = outcome.read_latency(1.0).ms.max(outcome.write_latency(1.0).ms) <= 0.0;
        let parts = [
            head,
            columns(["a read begun after", "is consistent", "95 % from", "to"], &curve),
            explained(columns(["reads are consistent", "if begun after", "95 % from", "to"], &until)),
            if instant {
                "reads and writes are answered at once".to_owned()
            } else {
                explained(columns(["percentile", "read", "write"], &latencies(outcome)))
            },
            self.closed(quorum),
        ];
        parts.join("\n\n")
    }

    /// Staleness by versions.
    fn closed(&self, quorum: Quorum) -> String {
        if quorum.w() == 0 {
            return "staleness by versions: none is told for W = 0, where a write waits for no replica"
                .to_owned();
        }
        let rows: Vec<_> = self
            .asked
            .versions
            .iter()
            .map(|k| [k.to_string(), told_share(closed::within_versions(quorum, *k))])
            .collect();
        let ratio = self.asked.writes_per_read;
        format!(
            "{}\nwith {ratio} writes between two reads, a reader does not go back: {}, and sees something newer: {}\n(in \
             closed form, for writes that stay where they were acknowledged: a lower bound)",
            columns(["versions back at most", "probability"], &rows),
            told_share(closed::monotonic_reads(quorum, ratio)),
            told_share(closed::strictly_monotonic_reads(quorum, ratio)),
        )
    }

    /// Several runs, a line each.
    fn table(&self, runs: &[Run]) -> String {
        let at_once = |run: &Run| told_share(run.outcome.consistent_at(0.0).value);
        let after = |run: &Run, share| estimate(run.outcome.time_for(share));
        let rows: Vec<_> = runs
            .iter()
            .map(|run| {
                [
                    run.name.clone(),
                    at_once(run),
                    after(run, 0.9),
                    after(run, 0.99),
                    after(run, 0.999),
                    estimate(run.outcome.read_latency(0.999)),
                    estimate(run.outcome.write_latency(0.999)),
                ]
            })
            .collect();
        let took = runs.iter().map(|run| run.took).sum();
        let head = ["consistent", "at once", "90 %", "99 %", "99.9 %", "read 99.9 %", "write 99.9 %"];
        // A name may have any sign in it, and its question mark means nothing.
        let nothing_asked =
            rows.iter().flat_map(|row| row.iter().skip(1)).all(|told| !told.ends_with(UNBOUNDED));
        let table = columns(head, &rows);
        let table = if nothing_asked { table } else { explained(table) };
        format!("{table}\n{} altogether", self.head(took))
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let runs: Vec<_> = self.runs.iter().map(|run| self.run_json(run)).collect();
        json!({ "trials": self.trials, "seed": self.seed, "runs": runs })
    }

    fn run_json(&self, run: &Run) -> Value {
        let (outcome, quorum) = (&run.outcome, run.outcome.quorum());
        let at = times(self.asked, outcome).into_iter().map(|after_ms| {
            let found = outcome.consistent_at(after_ms);
            json!({ "after_ms": after_ms, "consistent": found.value, "low": found.low, "high": found.high })
        });
        let until = self.asked.probabilities.iter().map(|probability| {
            let Time { ms, low_ms, high_ms } = outcome.time_for(*probability);
            json!({ "probability": probability, "after_ms": ms, "low_ms": low_ms, "high_ms": high_ms })
        });
        let latency = PERCENTILES.into_iter().map(|share| {
            let (read, write) = (outcome.read_latency(share).ms, outcome.write_latency(share).ms);
            json!({ "share": share, "read_ms": read, "write_ms": write })
        });
        let versions = self.asked.versions.iter().filter(|_| quorum.w() > 0);
        let versions =
            versions.map(|k| json!({ "versions": k, "probability": closed::within_versions(quorum, *k) }));
        let ratio = self.asked.writes_per_read;
        let monotonic = (quorum.w() > 0).then(|| {
            json!({
                "writes_per_read": ratio,
                "probability": closed::monotonic_reads(quorum, ratio),
                "strict": closed::strictly_monotonic_reads(quorum, ratio),
            })
        });
        let Wars { w, a, r, s, remote } = &run.wars;
        json!({
            "name": run.name,
            "n": quorum.n(), "r": quorum.r(), "w": quorum.w(),
            "messages": {
                "w": w.to_string(), "a": a.to_string(), "r": r.to_string(), "s": s.to_string(),
                "remote_ms": remote,
            },
            "seconds": run.took.as_secs_f64(),
            "at": at.collect::<Vec<_>>(),
            "until": until.collect::<Vec<_>>(),
            "latency": latency.collect::<Vec<_>>(),
            "versions": versions.collect::<Vec<_>>(),
            "monotonic_reads": monotonic,
            "band": outcome.band(),
        })
    }
}

fn latencies(outcome: &Outcome) -> Vec<[String; 3]> {
    let row = |share: f64| {
        [told_share(share), estimate(outcome.read_latency(share)), estimate(outcome.write_latency(share))]
    };
    PERCENTILES.into_iter().map(row).collect()
}
