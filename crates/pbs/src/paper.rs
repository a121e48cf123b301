//! What the paper prints, beside what the trials find.
//!
//! The figures are from the paper of 2012 and its short form in *Communications of the ACM* 57(8), 2014, whose numbers
//! are the same. The paper took its times from 50,000 reads and writes, and its latencies from a million.

use crate::distribution::{Distribution, DistributionError};
use crate::outcome::Outcome;
use crate::preset::Preset;
use crate::quorum::{Quorum, QuorumError};
use crate::wars::{RunError, Wars, run};
use std::fmt::Write as _;
use std::num::NonZeroUsize;
use thiserror::Error;

/// Why there is no comparison. Only too many or no trials are the caller's doing.
#[derive(Debug, Error)]
pub enum PaperError {
    /// *Mend the number of trials.*
    #[error(transparent)]
    Run(#[from] RunError),
    /// A mistake in the models.
    #[error(transparent)]
    Distribution(#[from] DistributionError),
    /// A mistake in the models.
    #[error(transparent)]
    Quorum(#[from] QuorumError),
}

/// Whose messages.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Model {
    /// Exponential writes with this mean in milliseconds; all other messages with a mean of 1 ms (figure 4).
    Exponential(f64),
    /// A fit of table 3.
    Fit(Preset),
}

impl Model {
    fn wars(self) -> Result<Wars, DistributionError> {
        match self {
            Self::Exponential(mean) => {
                Ok(Wars::symmetric(Distribution::exponential(mean)?, Distribution::exponential(1.0)?))
            }
            Self::Fit(preset) => preset.wars(),
        }
    }

    fn told(self) -> String {
        match self {
            Self::Exponential(mean) => format!("exponential, W λ = {}", 1.0 / mean),
            Self::Fit(preset) => preset.name().to_uppercase(),
        }
    }
}

/// Which number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Asked {
    /// P(consistent) so many milliseconds after the write was answered.
    Consistent(f64),
    /// How long it takes, in milliseconds, until reads are consistent with probability 99.9 %.
    Time,
    /// The 99.9th percentile of the read latency, in milliseconds.
    Read,
    /// The same of the write latency.
    Write,
}

/// A figure of the paper.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figure {
    /// Of which model.
    pub model: Model,
    /// N, R and W.
    pub nrw: (u16, u16, u16),
    /// What it is.
    pub asked: Asked,
    /// As it is printed.
    pub printed: f64,
    /// Where.
    pub place: &'static str,
}

const fn text(model: Model, n: u16, t: f64, printed: f64, place: &'static str) -> Figure {
    Figure { model, nrw: (n, 1, 1), asked: Asked::Consistent(t), printed, place }
}

const fn until(model: Model, n: u16, printed: f64, place: &'static str) -> Figure {
    Figure { model, nrw: (n, 1, 1), asked: Asked::Time, printed, place }
}

const SSD: Model = Model::Fit(Preset::LnkdSsd);
const DISK: Model = Model::Fit(Preset::LnkdDisk);
const YMMR: Model = Model::Fit(Preset::Ymmr);
const WAN: Model = Model::Fit(Preset::Wan);

/// What the text says in passing, all for R = W = 1.
const TEXT: [Figure; 14] = [
    text(Model::Exponential(0.25), 3, 0.0, 0.94, "§5.3"),
    text(Model::Exponential(0.25), 3, 1.0, 0.999, "§5.3"),
    text(Model::Exponential(10.0), 3, 0.0, 0.41, "§5.3"),
    until(Model::Exponential(10.0), 3, 65.0, "§5.3"),
    text(SSD, 3, 0.0, 0.974, "§5.6"),
    text(SSD, 3, 5.0, 0.99999, "§5.6"),
    text(DISK, 3, 0.0, 0.439, "§5.6"),
    text(DISK, 3, 10.0, 0.925, "§5.6"),
    text(YMMR, 3, 0.0, 0.893, "§5.6"),
    text(WAN, 3, 0.0, 0.33, "§5.6"),
    text(DISK, 2, 0.0, 0.575, "§5.7"),
    text(DISK, 10, 0.0, 0.211, "§5.7"),
    until(DISK, 2, 45.3, "§5.7"),
    until(DISK, 10, 53.7, "§5.7"),
];

/// R, W, and for each preset in the order of [`Preset::ALL`] the read latency, the write latency and t.
type Row = (u16, u16, [[f64; 3]; 4]);

/// Table 4, N = 3: 99.9th percentiles of the latencies, and t for 99.9 %.
const TABLE_4: [Row; 6] = [
    (1, 1, [[0.66, 0.66, 1.85], [0.66, 10.99, 45.5], [5.58, 10.83, 1364.0], [3.4, 55.12, 113.0]]),
    (1, 2, [[0.66, 1.63, 1.79], [0.65, 20.97, 43.3], [5.61, 427.12, 1352.0], [3.4, 167.64, 0.0]]),
    (2, 1, [[1.63, 0.65, 0.0], [1.63, 10.9, 13.6], [32.6, 10.73, 202.0], [151.3, 56.36, 30.2]]),
    (2, 2, [[1.62, 1.64, 0.0], [1.64, 20.96, 0.0], [33.18, 428.11, 0.0], [151.31, 167.72, 0.0]]),
    (3, 1, [[4.14, 0.65, 0.0], [4.12, 10.89, 0.0], [219.27, 10.79, 0.0], [153.86, 55.19, 0.0]]),
    (1, 3, [[0.65, 4.09, 0.0], [0.65, 112.65, 0.0], [5.63, 1870.86, 0.0], [3.44, 241.55, 0.0]]),
];

const PLACE_TABLE: &str = "table 4";
/// Read latency, write latency, t.
const TABLE_FIGURES: usize = 3;

/// Every figure.
pub fn figures() -> Vec<Figure> {
    let mut all = TEXT.to_vec();
    for (r, w, presets) in TABLE_4 {
        for (preset, figures) in Preset::ALL.into_iter().zip(presets) {
            for (asked, printed) in [Asked::Read, Asked::Write, Asked::Time].into_iter().zip(figures) {
                let (model, nrw) = (Model::Fit(preset), (3, r, w));
                all.push(Figure { model, nrw, asked, printed, place: PLACE_TABLE });
            }
        }
    }
    all
}

/// A figure, and what the trials say of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Compared {
    /// What the paper prints.
    pub figure: Figure,
    /// What we found.
    pub found: f64,
}

fn answer(outcome: &Outcome, asked: Asked) -> f64 {
    match asked {
        Asked::Consistent(t) => outcome.consistent_at(t).value,
        Asked::Time => outcome.time_for(0.999).ms,
        Asked::Read => outcome.read_latency(0.999).ms,
        Asked::Write => outcome.write_latency(0.999).ms,
    }
}

/// Plays every model of [`figures`], so many trials each.
pub fn compare(trials: usize, seed: u64, threads: NonZeroUsize) -> Result<Vec<Compared>, PaperError> {
    let mut played: Vec<(Model, (u16, u16, u16), Outcome)> = Vec::new();
    let mut compared = Vec::new();
    for figure in figures() {
        let known = played.iter().find(|(model, nrw, _)| (*model, *nrw) == (figure.model, figure.nrw));
        let found = if let Some((_, _, outcome)) = known {
            answer(outcome, figure.asked)
        } else {
            let (n, r, w) = figure.nrw;
            let outcome = run(Quorum::new(n, r, w)?, &figure.model.wars()?, trials, seed, threads)?;
            let found = answer(&outcome, figure.asked);
            played.push((figure.model, figure.nrw, outcome));
            found
        };
        compared.push(Compared { figure, found });
    }
    Ok(compared)
}

impl Figure {
    /// Whether ours is as near to it as two estimates of the same number are.
    ///
    /// Probabilities by a percentage point; latencies, which come from a million trials, by 4 %; times until 99.9 % by
    /// 12 %, since of the paper's 50,000 reads only 50 were later than that.
    pub fn agrees(&self, found: f64) -> bool {
        let slack = match self.asked {
            Asked::Consistent(_) => 0.01,
            Asked::Read | Asked::Write => 0.04 * self.printed,
            Asked::Time => 0.12 * self.printed,
        };
        (found - self.printed).abs() <= slack
    }
}

fn cell(printed: f64, found: f64, digits: usize) -> String {
    format!("{printed} | {found:.digits$}")
}

/// The comparison as two tables in Markdown.
pub fn markdown(compared: &[Compared]) -> String {
    let mut text = String::from(
        "| model | N | R | W | place | asked | paper | here |\n|---|--:|--:|--:|---|---|--:|--:|\n",
    );
    for Compared { figure, found } in compared {
        let (n, r, w) = figure.nrw;
        let (asked, cell) = match figure.asked {
            Asked::Consistent(t) => {
                (format!("% fresh after {t} ms"), cell(round(figure.printed * 100.0), found * 100.0, 3))
            }
            Asked::Time => ("ms until 99.9 % are fresh".to_owned(), cell(figure.printed, *found, 1)),
            // These are in the second table.
            Asked::Read | Asked::Write => continue,
        };
        if figure.place != PLACE_TABLE {
            line(
                &mut text,
                format_args!(
                    "| {} | {n} | {r} | {w} | {} | {asked} | {cell} |",
                    figure.model.told(),
                    figure.place
                ),
            );
        }
    }
    line(&mut text, format_args!(""));
    line(
        &mut text,
        format_args!("| N = 3 | R | W | read, paper | here | write, paper | here | t, paper | here |"),
    );
    line(&mut text, format_args!("|---|--:|--:|--:|--:|--:|--:|--:|--:|"));
    let rows: Vec<_> = compared.iter().filter(|compared| compared.figure.place == PLACE_TABLE).collect();
    for row in rows.chunks(TABLE_FIGURES) {
        let Some(first) = row.first() else { continue };
        let (_, r, w) = first.figure.nrw;
        let cells: Vec<_> = row.iter().map(|one| cell(one.figure.printed, one.found, 2)).collect();
        line(
            &mut text,
            format_args!("| {} | {r} | {w} | {} |", first.figure.model.told(), cells.join(" | ")),
        );
    }
    text
}

/// Without the dust of binary fractions.
fn round(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

fn line(to: &mut String, words: std::fmt::Arguments<'_>) {
    // Writing into a string cannot fail.
    writeln!(to, "{words}").ok();
}
