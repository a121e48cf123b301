//! Our types beside the crates that one would take instead, side by side in one run. See the README.

mod counters;
mod harness;
mod plot;
mod sets;
mod table;
mod text;
mod trace;

use clap::Parser;
use harness::{Table, measure};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use trace::Trace;

/// Measures our types beside those of other crates, in turns, and prints the median of each.
///
/// Every contender's result is checked. The text workloads need a recorded session: without one they are passed over.
#[derive(Debug, Parser)]
#[command(name = "antiphon-bench")]
struct Options {
    /// A recorded editing session, such as automerge-paper.json.gz of the collection editing-traces
    #[arg(env = "ANTIPHON_TRACE")]
    trace: Option<PathBuf>,
    /// Fewer rounds, and the first 10,000 patches of the session: enough to see that all still works
    #[arg(long)]
    quick: bool,
    /// Only the workloads whose name has this in it
    #[arg(long, value_name = "WORD")]
    only: Option<String>,
    /// Prints the results as JSON
    #[arg(long)]
    json: bool,
    /// Draws the ratios into this file, as SVG
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

/// How much is done.
#[derive(Debug, Clone, Copy)]
struct Extent {
    /// Rounds of what takes less than a millisecond.
    small: usize,
    /// Rounds of what takes seconds.
    large: usize,
    patches: Option<usize>,
}

const WHOLE: Extent = Extent { small: 201, large: 15, patches: None };
const QUICK: Extent = Extent { small: 11, large: 3, patches: Some(10_000) };

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            writeln!(io::stderr(), "antiphon-bench: {error}").ok();
            ExitCode::FAILURE
        }
    }
}

/// All workloads.
fn names() -> impl Iterator<Item = &'static str> {
    counters::MERGES.map(|(name, ..)| name).into_iter().chain([
        sets::NAME,
        text::LOCAL,
        text::REMOTE,
        text::AT_ONCE,
    ])
}

fn run(options: &Options) -> Result<(), String> {
    let extent = if options.quick { QUICK } else { WHOLE };
    if let Some(word) = options.only.as_ref().filter(|word| !names().any(|name| name.contains(word.as_str())))
    {
        let names: Vec<&str> = names().collect();
        return Err(format!("no workload has {word:?} in its name; there are: {}", names.join("; ")));
    }
    let chosen = |name: &str| options.only.as_ref().is_none_or(|word| name.contains(word.as_str()));
    let mut tables = Vec::new();
    for counter in counters::MERGES {
        if chosen(counter.0) {
            show(options, &mut tables, measure(counters::merge(counter, extent.small))?)?;
        }
    }
    if chosen(sets::NAME) {
        show(options, &mut tables, measure(sets::merge(extent.small)?)?)?;
    }
    texts(options, extent, chosen, &mut tables)?;
    if options.json {
        let json = serde_json::to_string_pretty(&tables).map_err(|error| error.to_string())?;
        writeln!(io::stdout(), "{json}").map_err(|error| error.to_string())?;
    }
    if let Some(path) = &options.plot {
        std::fs::write(path, plot::draw(&tables)).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

/// The workloads that need a recorded session.
fn texts(
    options: &Options,
    extent: Extent,
    chosen: impl Fn(&str) -> bool,
    tables: &mut Vec<Table>,
) -> Result<(), String> {
    let chosen = [text::LOCAL, text::REMOTE, text::AT_ONCE].map(chosen);
    if chosen == [false; 3] {
        return Ok(());
    }
    let Some(path) = &options.trace else {
        let told = "the text is passed over: no session was named, by an argument or by ANTIPHON_TRACE";
        writeln!(io::stderr(), "antiphon-bench: {told}").ok();
        return Ok(());
    };
    let trace = Trace::read(path, extent.patches)?;
    let [local, remote, at_once] = chosen;
    if local {
        show(options, tables, measure(text::local(&trace, extent.large)?)?)?;
    }
    if remote {
        show(options, tables, measure(text::remote(&trace, extent.large)?)?)?;
    }
    if at_once {
        show(options, tables, measure(text::at_once(&trace, extent.large)?)?)?;
    }
    Ok(())
}

/// Prints a table as soon as it is there.
fn show(options: &Options, tables: &mut Vec<Table>, table: Table) -> Result<(), String> {
    if !options.json {
        writeln!(io::stdout(), "{table}").map_err(|error| error.to_string())?;
    }
    tables.push(table);
    Ok(())
}
