//! The runner: plays the cases of one broker side by side, and speaks like any test.

use std::collections::{BTreeMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::table::{Outcome, Report};
use crate::{CASES, Case, Scene, Subject, Unable};

/// Longest that a case may take. What takes longer hangs.
const CASE_MAX: Duration = Duration::from_mins(4);
/// How long a runtime may take to let go of what a case left on it.
const CLOSE_MAX: Duration = Duration::from_secs(2);

/// Which cases are wanted, as `cargo test` says it.
struct Choice {
    filters: Vec<String>,
    skips: Vec<String>,
    exact: bool,
    list: bool,
}

impl Choice {
    fn read(mut arguments: impl Iterator<Item = String>) -> Self {
        let mut choice = Self { filters: Vec::new(), skips: Vec::new(), exact: false, list: false };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--exact" => choice.exact = true,
                "--list" => choice.list = true,
                "--skip" => choice.skips.extend(arguments.next()),
                // Nothing here is ignored, captured or coloured; those with a value take it along.
                "--test-threads" | "--format" | "--color" | "-Z" => drop(arguments.next()),
                flag if flag.starts_with('-') => {}
                filter => choice.filters.push(filter.to_owned()),
            }
        }
        choice
    }

    fn wants(&self, name: &str) -> bool {
        let fits = |filter: &String| if self.exact { filter == name } else { name.contains(filter.as_str()) };
        (self.filters.is_empty() || self.filters.iter().any(fits)) && !self.skips.iter().any(fits)
    }
}

/// Plays all cases of `subjects` that the command line asks for. `worker` is the executable `conformance-worker`.
///
/// Prints a line per case, failures with their reason, and the table of the subjects at the end.
///
/// # Panics
/// If a subject excuses what is no case.
pub fn run(subjects: Vec<Arc<dyn Subject>>, worker: &str) -> ExitCode {
    let choice = Choice::read(std::env::args().skip(1));
    let mut failures = 0;
    let (mut passed, mut skipped) = (0, 0);
    let mut reports = Vec::new();
    for subject in subjects {
        for (name, _) in subject.excuses() {
            assert!(CASES.iter().any(|case| case.name == *name), "{name} is excused, and no case");
        }
        let full_name = |case: &Case| format!("{}::{}", subject.name(), case.name);
        let wanted: Vec<Case> = CASES.iter().filter(|case| choice.wants(&full_name(case))).copied().collect();
        if choice.list {
            for case in &wanted {
                println!("{}: test", full_name(case));
            }
            continue;
        }
        let is_whole = wanted.len() == CASES.len();
        let outcomes = play(&subject, wanted, Path::new(worker));
        for outcome in outcomes.values() {
            match outcome {
                Outcome::Passed => passed += 1,
                Outcome::Failed => failures += 1,
                Outcome::Skipped(_) => skipped += 1,
            }
        }
        let report = Report { broker: subject.name().to_owned(), cases: outcomes };
        if is_whole && let Err(error) = report.leave() {
            println!("the report of {} was not written: {error}", subject.name());
            failures += 1;
        }
        reports.push(report);
    }
    if choice.list {
        return ExitCode::SUCCESS;
    }
    println!("\n{}", crate::markdown(&reports));
    let verdict = if failures == 0 { "ok" } else { "FAILED" };
    println!(
        "test result: {verdict}. {passed} passed; {failures} failed; {skipped} ignored; 0 measured; 0 filtered out\n"
    );
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// How the case of this name goes with `subject`, outside of any table. Nothing is printed but what a panic prints.
///
/// # Panics
/// If there is no such case.
pub fn verdict(subject: &Arc<dyn Subject>, name: &str, worker: &str) -> Outcome {
    match CASES.iter().find(|case| case.name == name) {
        Some(case) => play_one(subject, *case, Path::new(worker)),
        None => panic!("there is no case {name}"),
    }
}

/// Plays `cases`, as many at a time as the subject takes.
fn play(subject: &Arc<dyn Subject>, cases: Vec<Case>, worker: &Path) -> BTreeMap<String, Outcome> {
    println!("\nrunning {} cases on {}", cases.len(), subject.name());
    // The long ones first: they are at the end of the list.
    let waiting: Mutex<VecDeque<Case>> = Mutex::new(cases.into_iter().rev().collect());
    let outcomes = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..subject.timing().parallel {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some(case) = next else { break };
                    let outcome = play_one(subject, case, worker);
                    let shown = match &outcome {
                        Outcome::Passed => "ok".to_owned(),
                        Outcome::Failed => "FAILED".to_owned(),
                        Outcome::Skipped(reason) => format!("skipped: {reason}"),
                    };
                    println!("test {}::{} ... {shown}", subject.name(), case.name);
                    outcomes
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .insert(case.name.to_owned(), outcome);
                }
            });
        }
    });
    outcomes.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// In a thread of its own, whose name a panic tells, and on a runtime of its own.
fn play_one(subject: &Arc<dyn Subject>, case: Case, worker: &Path) -> Outcome {
    if let Some((_, reason)) = subject.excuses().iter().find(|(name, _)| *name == case.name) {
        return Outcome::Skipped((*reason).to_owned());
    }
    let name = format!("{}::{}", subject.name(), case.name);
    let (subject, worker) = (Arc::clone(subject), worker.to_owned());
    let (tell, told) = mpsc::channel();
    let thread = std::thread::Builder::new().name(name.clone()).spawn(move || {
        let played = std::panic::catch_unwind(AssertUnwindSafe(|| in_runtime(&subject, case, worker)));
        // A panic was told by the hook. Nobody listens any more if the case took too long.
        if tell.send(played.unwrap_or(Outcome::Failed)).is_err() {
            println!("{}::{} ended after all", subject.name(), case.name);
        }
    });
    if let Err(error) = thread {
        println!("{name}: there is no thread for it: {error}");
        return Outcome::Failed;
    }
    told.recv_timeout(CASE_MAX).unwrap_or_else(|_| {
        println!("{name} hangs: it takes longer than {CASE_MAX:?}");
        Outcome::Failed
    })
}

fn in_runtime(subject: &Arc<dyn Subject>, case: Case, worker: PathBuf) -> Outcome {
    let timing = subject.timing();
    let runtime = match runtime(timing.is_virtual) {
        Ok(runtime) => runtime,
        Err(error) => panic!("there is no runtime: {error}"),
    };
    let outcome = runtime.block_on(async {
        let place = match subject.place(case.need).await {
            Ok(place) => place,
            Err(Unable::Missing(why)) if !testbed::needed_by_all() => {
                println!("passes over: {why}");
                return Outcome::Skipped(format!("passes over: {why}"));
            }
            Err(why) => panic!("there is no place: {why}"),
        };
        let scene = Scene { subject: Arc::clone(subject), place, timing, worker };
        (case.run)(&scene).await;
        Outcome::Passed
    });
    runtime.shutdown_timeout(CLOSE_MAX);
    outcome
}

fn runtime(is_virtual: bool) -> std::io::Result<Runtime> {
    if is_virtual {
        Builder::new_current_thread().enable_all().start_paused(true).build()
    } else {
        Builder::new_multi_thread().worker_threads(2).enable_all().build()
    }
}
