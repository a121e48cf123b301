//! Contenders side by side: A B C, A B C, …, in one process, and the median of each.

use indicatif::{ProgressBar, ProgressStyle};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use std::hint::black_box;
use std::time::Duration;

/// A contender that took this long in all is sampled no further, if it has `SAMPLES_MIN`.
const PATIENCE: Duration = Duration::from_secs(30);
const SAMPLES_MIN: usize = 3;

/// One way to do the work.
pub(crate) struct Contender<'a> {
    pub(crate) name: &'static str,
    /// What it does more, or less, than the others.
    pub(crate) does: &'static str,
    /// Does the work once, and says how long the part took that counts. It checks its own result, outside that part.
    pub(crate) sample: Box<dyn FnMut() -> Result<Duration, String> + 'a>,
}

/// The same work for all contenders. The first contender is ours: the others are compared with it.
pub(crate) struct Workload<'a> {
    pub(crate) name: &'static str,
    pub(crate) about: String,
    /// How many operations one sample has.
    pub(crate) operations: u32,
    pub(crate) rounds: usize,
    pub(crate) contenders: Vec<Contender<'a>>,
}

/// What was found.
#[derive(Debug, Serialize)]
pub(crate) struct Table {
    pub(crate) workload: &'static str,
    pub(crate) about: String,
    pub(crate) operations: u32,
    pub(crate) rounds: usize,
    pub(crate) rows: Vec<Row>,
}

/// One contender's result.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) does: &'static str,
    /// The median of an operation.
    pub(crate) median_ns: f64,
    /// Half of the samples were between these.
    pub(crate) quartiles_ns: [f64; 2],
    pub(crate) samples: usize,
    /// How many times as long as ours it took.
    pub(crate) ratio: f64,
}

/// Runs something, and says how much of the processor's time it took. What it made is dropped afterwards.
///
/// All contenders compute in one thread and wait for nothing: its time is theirs, and what other programs on the machine
/// take is not.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = processor_time();
    let made = black_box(work());
    (made, processor_time().saturating_sub(start))
}

fn processor_time() -> Duration {
    // The two numbers of a clock are never negative.
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Measures all contenders of a workload, after a round that warms up and is not counted.
pub(crate) fn measure(mut workload: Workload<'_>) -> Result<Table, String> {
    let rounds = workload.rounds.max(1);
    let bar = ProgressBar::new(((rounds + 1) * workload.contenders.len()) as u64);
    let style = ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len}, {eta} left: {msg}");
    bar.set_style(style.map_err(|error| error.to_string())?);
    bar.set_prefix(workload.name);
    let mut samples: Vec<(Vec<f64>, Duration)> =
        workload.contenders.iter().map(|_| Default::default()).collect();
    for round in 0..=rounds {
        for (contender, (samples, spent)) in workload.contenders.iter_mut().zip(&mut samples) {
            bar.inc(1);
            if *spent > PATIENCE && samples.len() >= SAMPLES_MIN {
                continue;
            }
            bar.set_message(contender.name);
            let sample = (contender.sample)().map_err(|error| format!("{}: {error}", contender.name))?;
            *spent += sample;
            if round > 0 {
                samples.push(sample.as_secs_f64() * 1e9 / f64::from(workload.operations));
            }
        }
    }
    bar.finish_and_clear();
    let mut rows = Vec::new();
    for (contender, (mut samples, _)) in workload.contenders.into_iter().zip(samples) {
        samples.sort_by(f64::total_cmp);
        let at = |quarter: usize| samples.get((samples.len() - 1) * quarter / 4).copied().unwrap_or(f64::NAN);
        let (name, does) = (contender.name, contender.does);
        rows.push(Row {
            name,
            does,
            median_ns: at(2),
            quartiles_ns: [at(1), at(3)],
            samples: samples.len(),
            ratio: f64::NAN,
        });
    }
    let ours = rows.first().map_or(f64::NAN, |row| row.median_ns);
    for row in &mut rows {
        row.ratio = row.median_ns / ours;
    }
    let Workload { name, about, operations, .. } = workload;
    Ok(Table { workload: name, about, operations, rounds, rows })
}
