//! What the command line asks for.

use antiphon_sim::actors::Company;
use antiphon_sim::{Counts, Fault, Plan, Planted, Report, RunError, run};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

/// The most jobs: each is a thread with a world of its own.
const JOBS_MAX: u16 = 256;

/// Plays the whole platform under seeds, with every fault there is, and checks its promises.
///
/// A seed takes about a second in an optimised build (`--profile sim`), and five times that in another.
#[derive(Debug, Parser)]
#[command(name = "antiphon-sim", version)]
struct Args {
    /// How many seeds to play.
    #[arg(long, default_value_t = 100, conflicts_with = "seed")]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 1, conflicts_with = "seed")]
    from: u64,
    /// Plays only this seed.
    #[arg(long)]
    seed: Option<u64>,
    /// Writes what happened into this file, a line for each event. For one seed.
    #[arg(long)]
    trace: Option<PathBuf>,
    /// How many worlds to play at a time.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=i64::from(JOBS_MAX)))]
    jobs: u16,
    /// Goes on after a seed failed.
    #[arg(long)]
    keep_going: bool,
    /// Plants a bug, which the checks must catch.
    #[arg(long, value_name = "NAME")]
    plant: Option<Planted>,
    /// Plays without any fault.
    #[arg(long)]
    calm: bool,
}

pub(crate) fn main() -> ExitCode {
    let args = Args::parse();
    match play(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("antiphon-sim: {error}");
            ExitCode::from(2)
        }
    }
}

impl Args {
    fn plan(&self, seed: u64) -> Plan {
        let mut plan = Plan::of(seed);
        plan.planted = self.plant;
        if self.calm { plan.without_faults() } else { plan }
    }
}

/// Plays what was asked for; whether all of it was clean.
fn play(args: &Args) -> Result<bool, Box<dyn std::error::Error>> {
    if let Some(bug) = args.plant.filter(|bug| !bug.is_built()) {
        return Err(format!("{bug} is not built in: build with --features planted").into());
    }
    if args.trace.is_some() && args.seed.is_none() {
        return Err("--trace is for one seed: name it with --seed".into());
    }
    // Before the work: a path that cannot be written is told at once.
    let mut trace = args.trace.as_deref().map(create).transpose()?;
    let began = tokio::time::Instant::now();
    let (from, seeds) = args.seed.map_or((args.from, args.seeds), |seed| (seed, 1));
    let bar = ProgressBar::new(seeds).with_style(ProgressStyle::with_template(
        "{bar:30} {pos}/{len} seeds  {msg}  {elapsed}, {eta} left",
    )?);
    let (next, stop) = (AtomicU64::new(from), AtomicBool::new(false));
    let mut all = Summary::default();
    std::thread::scope(|scope| {
        let (sender, reports) = mpsc::channel::<Result<Report, RunError>>();
        for _ in 0..args.jobs {
            let (sender, next, stop) = (sender.clone(), &next, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    // An error means that nobody listens any more.
                    if seed >= from + seeds || sender.send(one(args, seed)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for report in reports {
            let report = report?;
            bar.inc(1);
            if report.failure.is_some() {
                bar.suspend(|| tell(args, &report));
                stop.store(!args.keep_going, Ordering::Relaxed);
            }
            all.add(&report);
            bar.set_message(format!("{} h simulated, {} failed", all.hours(), all.failed));
            if let (Some(file), Some(lines)) = (&mut trace, &report.trace) {
                file.write_all(lines.as_bytes())?;
            }
        }
        Ok::<_, Box<dyn std::error::Error>>(())
    })?;
    bar.finish_and_clear();
    all.print(began.elapsed(), seeds > 1)?;
    Ok(all.failed == 0)
}

fn create(path: &Path) -> Result<File, String> {
    File::create(path).map_err(|error| format!("--trace: {} cannot be written: {error}", path.display()))
}

fn one(args: &Args, seed: u64) -> Result<Report, RunError> {
    run(&args.plan(seed), &Company::default(), args.trace.is_some())
}

/// A failure, the way to see it again first.
fn tell(args: &Args, report: &Report) {
    let Some(failure) = &report.failure else { return };
    let plan = args.plan(report.seed);
    eprintln!("seed {} fails; play it again with\n  {}", report.seed, plan.command());
    eprintln!("  {} at {}: {}\n  {plan:?}", failure.check, ago(failure.at_ms), failure.detail);
}

fn ago(ms: u64) -> String {
    let seconds = ms / 1000;
    format!("{} d {:02}:{:02}:{:02}", seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60)
}

/// Many runs together.
#[derive(Debug, Default)]
struct Summary {
    seeds: u64,
    failed: u64,
    elapsed_ms: u64,
    lines: u64,
    counts: Counts,
}

impl Summary {
    fn add(&mut self, report: &Report) {
        self.seeds += 1;
        self.failed += u64::from(report.failure.is_some());
        self.elapsed_ms += report.elapsed_ms;
        self.lines += report.lines;
        self.counts.add(&report.counts);
    }

    fn hours(&self) -> u64 {
        self.elapsed_ms / 3_600_000
    }

    fn print(&self, took: Duration, coverage: bool) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        let per_minute = u128::from(self.elapsed_ms) / 60 / took.as_millis().max(1);
        writeln!(
            out,
            "{} seeds, {} failed; {} simulated hours in {:.1} s, {per_minute} a minute; {} events",
            self.seeds,
            self.failed,
            self.hours(),
            took.as_secs_f64(),
            self.lines,
        )?;
        let played: Vec<_> =
            Fault::ALL.iter().map(|fault| format!("{fault} {}", self.counts.of(*fault))).collect();
        writeln!(out, "faults: {}", played.join(", "))?;
        let missing: Vec<_> = self.counts.missing().iter().map(|fault| fault.name()).collect();
        if coverage && !missing.is_empty() {
            writeln!(out, "never played: {}", missing.join(", "))?;
        }
        Ok(())
    }
}
