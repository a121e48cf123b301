//! `antiphon pbs`: how stale a read may be, and for how long.

use super::Common;
use super::error::CommandError;
use super::out;
use clap::{Args, ValueEnum};
use pbs::plot::{self, Curve};
use pbs::preset::Preset;
use pbs::{Distribution, Quorum, Wars, parse};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

mod from;
mod report;

use report::{Asked, Report, Run};

/// The most models that one command plays.
const RUNS_MAX: usize = 24;
/// The most trials of all models together: they are kept until all is told, in 24 bytes each.
const TRIALS_ALL_MAX: usize = 60_000_000;
/// The most threads that are taken unless `--threads` says so: trials are not worth a whole machine.
const THREADS_DEFAULT_MAX: usize = 8;

/// Tell how stale a read may be: P(consistent) by time since the write, latencies, staleness in versions
///
/// Probabilistically bounded staleness (Bailis et al., 2012): a write goes to N replicas and is answered after W
/// acknowledgements; a read that begins t later goes to all of them, and the first R answers count. The trials draw how
/// long the four messages take: the write (W), its acknowledgement (A), the question (R), the answer (S). Beside each
/// figure stands the interval in which it is in 95 of 100 runs; where messages were measured, as many measurements count.
#[derive(Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
pub(crate) struct PbsArgs {
    /// A system that the paper measured
    #[arg(long, value_enum, conflicts_with_all = ["dist_w", "from"])]
    preset: Option<PresetName>,
    /// How long a write is on its way to a replica; several make several curves
    #[arg(long, value_name = "DIST", conflicts_with = "from")]
    dist_w: Vec<String>,
    /// How long its acknowledgement takes [default: no time with --from, else it has to be given]
    #[arg(long, value_name = "DIST", conflicts_with = "preset")]
    dist_a: Option<String>,
    /// How long a question takes [default: as --dist-a]
    #[arg(long, value_name = "DIST", conflicts_with = "preset")]
    dist_r: Option<String>,
    /// How long the answer takes [default: as --dist-a]
    #[arg(long, value_name = "DIST", conflicts_with = "preset")]
    dist_s: Option<String>,
    /// What a running server has measured: its URL, or a file with its /status
    #[arg(long, value_name = "URL|FILE")]
    from: Option<String>,
    /// Only this link of it, as topic/service/site or the beginning of that
    // clap does not ask for --from where something is given that --from cannot stand beside.
    #[arg(long, value_name = "LINK", requires = "from", conflicts_with_all = ["preset", "dist_w", "paper"])]
    link: Option<String>,
    /// Of what it measured, only about the last hour
    #[arg(long, requires = "from", conflicts_with_all = ["preset", "dist_w", "paper"])]
    last_hour: bool,
    /// Replicas [default: 3; 1 with --from]
    #[arg(long, value_name = "N", value_delimiter = ',')]
    n: Vec<u16>,
    /// Answers that a read waits for
    #[arg(long, value_name = "R", value_delimiter = ',', default_value = "1")]
    r: Vec<u16>,
    /// Acknowledgements that a write waits for [default: 1; 0 with --from: our writes wait for no other service]
    #[arg(long, value_name = "W", value_delimiter = ',')]
    w: Vec<u16>,
    /// One replica a site: messages between sites take so much longer, each way
    #[arg(long, value_name = "TIME", conflicts_with = "preset")]
    remote: Option<String>,
    /// How many trials
    #[arg(long, value_name = "COUNT", default_value_t = 1_000_000)]
    trials: usize,
    /// What decides the trials
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Threads to play them on; the outcome does not depend on it [default: the machine's, up to 8]
    #[arg(long)]
    threads: Option<NonZeroUsize>,
    /// P(consistent) so long after the write was answered [default: until it is all but certain]
    #[arg(long, value_name = "TIME", value_delimiter = ',')]
    at: Vec<String>,
    /// How long it takes until reads are consistent with this probability
    #[arg(long, value_name = "P", value_delimiter = ',', default_value = "0.5,0.9,0.99,0.999,0.9999")]
    probability: Vec<f64>,
    /// How likely a read returns one of the last K versions, in closed form
    #[arg(long, value_name = "K", value_delimiter = ',', default_value = "1,2,3,5,10")]
    versions: Vec<u32>,
    /// Writes of an item between two reads of one reader, for how likely that reader never goes back
    #[arg(long, value_name = "RATIO", default_value_t = 1.0)]
    writes_per_read: f64,
    /// Draw the curves into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Compare the trials with every figure of the paper, as Markdown; nothing else is done
    #[arg(long, conflicts_with_all = ["preset", "dist_w", "from", "svg"])]
    paper: bool,
    #[command(flatten)]
    pub(super) common: Common,
}

const AFTER_HELP: &str = "\
Distributions:
  exp:4, exp:mean=10ms              exponential: λ per millisecond, or its mean
  pareto:xm=0.235,alpha=10          never below xm; longer than t with probability (xm/t)^alpha
  uniform:1ms,2ms  constant:75      between two times; always the same
  samples:FILE                      a number of milliseconds on each line
  0.38*pareto(1.05,1.51)+62%*exp(0.183)
                                    one or the other
  Times are in milliseconds unless they say us, ms, s, min or h.

Exit status:
  0  told
  1  a file cannot be used, or the server did not answer
  2  the command line or the input is wrong

Examples:
  antiphon pbs --preset lnkd-disk --svg curve.svg
  antiphon pbs --dist-w exp:mean=10ms --dist-a exp:mean=1ms --n 3 --r 1,2 --w 1
  antiphon pbs --from http://localhost:7878
  antiphon pbs --from http://localhost:7878 --link tallies --n 3 --r 1 --probability 0.999 --json";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PresetName {
    /// Voldemort in production, on solid state
    LnkdSsd,
    /// The same on spinning disks
    LnkdDisk,
    /// Riak in production
    Ymmr,
    /// lnkd-disk with a replica in each data centre, 75 ms apart
    Wan,
}

impl From<PresetName> for Preset {
    fn from(name: PresetName) -> Self {
        match name {
            PresetName::LnkdSsd => Self::LnkdSsd,
            PresetName::LnkdDisk => Self::LnkdDisk,
            PresetName::Ymmr => Self::Ymmr,
            PresetName::Wan => Self::Wan,
        }
    }
}

/// What is wrong with an option.
pub(super) fn wrong(option: &str, why: impl std::fmt::Display) -> CommandError {
    CommandError::Input { from: option.to_owned(), why: why.to_string() }
}

/// A model and its name.
struct Model {
    name: String,
    wars: Wars,
}

/// Runs the command.
pub(crate) async fn run(args: PbsArgs) -> Result<ExitCode, CommandError> {
    let threads = args.threads.unwrap_or_else(|| {
        let all = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        all.min(NonZeroUsize::new(THREADS_DEFAULT_MAX).unwrap_or(NonZeroUsize::MIN))
    });
    let (trials, seed) = (args.trials, args.seed);
    if args.paper {
        let compared = spawn_blocking(move || pbs::paper::compare(trials, seed, threads)).await?;
        let compared = compared.map_err(|error| wrong("--trials", error))?;
        out::print(pbs::paper::markdown(&compared).trim_end())?;
        return Ok(ExitCode::SUCCESS);
    }
    let asked = asked(&args)?;
    let models = models(&args).await?;
    let quorums = quorums(&args)?;
    if models.len() * quorums.len() > RUNS_MAX {
        return Err(wrong(
            "--dist-w, --n, --r, --w",
            format_args!("{} models; at most {RUNS_MAX} at a time", models.len() * quorums.len()),
        ));
    }
    let all = trials.saturating_mul(models.len() * quorums.len());
    // Too many of one model are refused where they are played.
    if all > TRIALS_ALL_MAX && trials <= pbs::TRIALS_MAX {
        let most = format_args!("{all} in all models; at most {TRIALS_ALL_MAX} together");
        return Err(wrong("--trials", most));
    }
    let mut runs = Vec::new();
    for model in &models {
        for quorum in &quorums {
            let (quorum, wars, began) = (*quorum, model.wars.clone(), Instant::now());
            let outcome = spawn_blocking(move || pbs::run(quorum, &wars, trials, seed, threads)).await?;
            let outcome = outcome.map_err(|error| wrong("--trials", error))?;
            let (wars, name) = (model.wars.clone(), name(&model.name, quorum, models.len(), quorums.len()));
            runs.push(Run { name, wars, outcome, took: began.elapsed() });
        }
    }
    if let Some(path) = &args.svg {
        draw(path, &runs, trials)?;
    }
    let report = Report { trials, seed, runs: &runs, asked: &asked };
    if args.common.json {
        out::print_json(&report.json())?;
    } else {
        out::print(&report.text())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What tells a run from the others.
fn name(model: &str, quorum: Quorum, models: usize, quorums: usize) -> String {
    let (n, r, w) = (quorum.n(), quorum.r(), quorum.w());
    if quorums > 1 && models > 1 {
        format!("{model}, N={n} R={r} W={w}")
    } else if quorums > 1 {
        format!("N={n} R={r} W={w}")
    } else {
        model.to_owned()
    }
}

fn asked(args: &PbsArgs) -> Result<Asked, CommandError> {
    let at: Result<Vec<_>, _> = args.at.iter().map(|time| parse::millis(time)).collect();
    let at = at.map_err(|why| wrong("--at", why))?;
    if let Some(time) = at.iter().find(|time| **time < 0.0) {
        return Err(wrong(
            "--at",
            format_args!("{time} ms is before the write's answer; it takes 0 or more"),
        ));
    }
    if let Some(probability) = args.probability.iter().find(|p| !(**p > 0.0 && **p < 1.0)) {
        return Err(wrong(
            "--probability",
            format_args!("{probability}; it takes a number above 0 and below 1"),
        ));
    }
    if args.versions.contains(&0) {
        return Err(wrong("--versions", "0; the last version is the first"));
    }
    if !(0.0..=f64::from(u32::MAX)).contains(&args.writes_per_read) {
        return Err(wrong("--writes-per-read", format_args!("{}; it takes 0 or more", args.writes_per_read)));
    }
    Ok(Asked {
        at,
        probabilities: args.probability.clone(),
        versions: args.versions.clone(),
        writes_per_read: args.writes_per_read,
    })
}

fn quorums(args: &PbsArgs) -> Result<Vec<Quorum>, CommandError> {
    let or = |given: &[u16], else_: u16| if given.is_empty() { vec![else_] } else { given.to_vec() };
    let measured = args.from.is_some();
    let (ns, ws) = (or(&args.n, if measured { 1 } else { 3 }), or(&args.w, u16::from(!measured)));
    let mut quorums = Vec::new();
    for n in ns {
        for r in &args.r {
            for w in &ws {
                quorums.push(Quorum::new(n, *r, *w).map_err(|error| wrong("--n, --r, --w", error))?);
                if quorums.len() > RUNS_MAX {
                    return Err(wrong("--n, --r, --w", format_args!("at most {RUNS_MAX} models at a time")));
                }
            }
        }
    }
    Ok(quorums)
}

async fn models(args: &PbsArgs) -> Result<Vec<Model>, CommandError> {
    if let Some(preset) = args.preset.map(Preset::from) {
        let wars = preset.wars().map_err(|error| wrong("--preset", error))?;
        return Ok(vec![Model { name: preset.name().to_owned(), wars }]);
    }
    let remote = match &args.remote {
        None => None,
        // As a distribution it is within its limits.
        Some(text) => {
            let millis = parse::millis(text).map_err(|why| wrong("--remote", why))?;
            Distribution::constant(millis).map_err(|error| wrong("--remote", error))?;
            Some(millis)
        }
    };
    let given =
        |option: &str, text: &Option<String>| text.as_ref().map(|text| read(option, text)).transpose();
    let a = match given("--dist-a", &args.dist_a)? {
        Some(a) => a,
        None if args.from.is_some() => {
            Distribution::constant(0.0).map_err(|error| wrong("--dist-a", error))?
        }
        None => return Err(wrong("--dist-a", "give it, or a --preset, or --from a running server")),
    };
    let r = given("--dist-r", &args.dist_r)?.unwrap_or_else(|| a.clone());
    let s = given("--dist-s", &args.dist_s)?.unwrap_or_else(|| a.clone());
    let model = |name, w| Model { name, wars: Wars { w, a: a.clone(), r: r.clone(), s: s.clone(), remote } };
    if let Some(source) = &args.from {
        let measured = from::measured(source, args.link.as_deref(), args.last_hour).await?;
        return Ok(measured.into_iter().map(|(name, w)| model(name, w)).collect());
    }
    if args.dist_w.is_empty() {
        return Err(wrong("--dist-w", "give it, or a --preset, or --from a running server"));
    }
    args.dist_w.iter().map(|text| Ok(model(format!("W {text}"), read("--dist-w", text)?))).collect()
}

fn read(option: &str, text: &str) -> Result<Distribution, CommandError> {
    // Why the text is no distribution is for the command line; that a file cannot be used is for the file.
    let mut unusable = None;
    let read = parse::distribution(text, &mut |name| {
        let bytes = from::file(Path::new(name)).map_err(|source| {
            let why = source.to_string();
            unusable = Some(CommandError::File { path: PathBuf::from(name), source });
            why
        })?;
        from::samples(name, bytes)
    });
    read.map_err(|error| unusable.unwrap_or_else(|| wrong(option, error)))
}

fn draw(path: &Path, runs: &[Run], trials: usize) -> Result<(), CommandError> {
    if runs.len() > plot::CURVES_MAX {
        return Err(wrong(
            "--svg",
            format_args!("{} curves; at most {} can be told apart", runs.len(), plot::CURVES_MAX),
        ));
    }
    let curves: Vec<_> = runs.iter().map(|run| Curve { label: &run.name, outcome: &run.outcome }).collect();
    let under = match runs {
        [alone] => report::under(alone, trials),
        _ => report::shared(runs, trials),
    };
    let picture =
        plot::draw("P(a read is consistent) by the time since its write was answered", &under, &curves);
    std::fs::write(path, picture).map_err(|source| CommandError::File { path: path.to_owned(), source })
}
