//! Distributions as people write them.
//!
//! ```text
//! exp:4                          exponential with λ = 4 per millisecond, as papers write it
//! exp:mean=10ms                  the same by its mean; times are in ms unless they say us, ms, s, min or h
//! pareto:xm=0.235,alpha=10
//! uniform:min=1ms,max=2ms
//! constant:75
//! samples:FILE                   a file with a number of milliseconds on each line
//! 0.38*pareto(xm=1.05,alpha=1.51) + 62%*exp(0.183)
//! ```

use crate::distribution::{Distribution, DistributionError};
use std::fmt;
use thiserror::Error;

/// The longest text that is read, in bytes.
pub const TEXT_BYTES_MAX: usize = 4096;
/// What may be written.
const SHAPES: &str = "write exp:…, pareto:…, uniform:…, constant:… or samples:FILE";

/// Why a text is no distribution. *Mend the text where it says.*
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ParseError {
    /// It cannot be read.
    #[error("{at}: {why}")]
    Text {
        /// The part that cannot be read.
        at: String,
        /// Why.
        why: String,
    },
    /// It can be read, and is no distribution.
    #[error("{at}: {source}")]
    Distribution {
        /// The part.
        at: String,
        /// Why.
        source: DistributionError,
    },
}

fn wrong(at: &str, why: impl fmt::Display) -> ParseError {
    ParseError::Text { at: at.to_owned(), why: why.to_string() }
}

/// Reads a distribution. `file` gives the numbers of `samples:FILE`, or says why it cannot.
pub fn distribution(
    text: &str,
    file: &mut dyn FnMut(&str) -> Result<Vec<f64>, String>,
) -> Result<Distribution, ParseError> {
    let text = text.trim();
    if text.len() > TEXT_BYTES_MAX {
        return Err(wrong("distribution", format_args!("it is longer than {TEXT_BYTES_MAX} bytes")));
    }
    // A file may have any name.
    if let Some(name) = text.strip_prefix("samples:") {
        return samples(text, name, file);
    }
    if text.is_empty() {
        return Err(wrong("distribution", format_args!("it is empty; {SHAPES}")));
    }
    let terms = terms(text);
    let alone = terms.len() == 1;
    let mut parts = Vec::with_capacity(terms.len());
    for term in terms {
        let term = term.trim();
        if term.is_empty() {
            return Err(wrong(text, "a part is missing beside a plus sign"));
        }
        let (weight, shape) = match term.split_once('*') {
            Some((weight, _)) if weight.trim().is_empty() => {
                return Err(wrong(term, "its share is missing; write 0.38 or 38%"));
            }
            Some((_, shape)) if shape.trim().is_empty() => return Err(wrong(term, SHAPES)),
            Some((weight, shape)) => (share(weight.trim())?, shape.trim()),
            None if alone => (1.0, term),
            None => return Err(wrong(term, "in a mixture each part has its share, as 0.5*exp(4)")),
        };
        parts.push((weight, self::shape(shape, file)?));
    }
    Distribution::mixture(parts).map_err(|source| ParseError::Distribution { at: text.to_owned(), source })
}

/// The parts of a mixture: what stands between the plus signs outside parentheses.
fn terms(text: &str) -> Vec<&str> {
    let mut depth = 0_u32;
    text.split(|c: char| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == '+' && depth == 0
    })
    .collect()
}

fn share(text: &str) -> Result<f64, ParseError> {
    let (number, unit) = match text.strip_suffix('%') {
        Some(number) => (number.trim_end(), 100.0),
        None => (text, 1.0),
    };
    match number.parse::<f64>() {
        Ok(share) if share.is_finite() => Ok(share / unit),
        _ => Err(wrong(text, "this is no share; write 0.38 or 38%")),
    }
}

fn samples(
    text: &str,
    name: &str,
    file: &mut dyn FnMut(&str) -> Result<Vec<f64>, String>,
) -> Result<Distribution, ParseError> {
    let numbers = file(name).map_err(|why| wrong(text, why))?;
    Distribution::samples(numbers).map_err(|source| ParseError::Distribution { at: text.to_owned(), source })
}

fn shape(
    text: &str,
    file: &mut dyn FnMut(&str) -> Result<Vec<f64>, String>,
) -> Result<Distribution, ParseError> {
    let round = text.strip_suffix(')').and_then(|open| open.split_once('('));
    let Some((name, inner)) = round.or_else(|| text.split_once(':')) else {
        return Err(wrong(text, SHAPES));
    };
    let mut given = Parameters::read(text, inner)?;
    let made = match name.trim() {
        "samples" => return samples(text, inner.trim(), file),
        "exp" | "exponential" => {
            if given.has("mean") {
                Distribution::exponential(given.time("mean", None)?)
            } else {
                let rate = given.number("rate", Some(0))?;
                if rate > 0.0 {
                    Distribution::exponential(1.0 / rate)
                } else {
                    Err(DistributionError::Positive { field: "rate", value: rate })
                }
            }
        }
        "pareto" => Distribution::pareto(given.time("xm", Some(0))?, given.number("alpha", Some(1))?),
        "uniform" => Distribution::uniform(given.time("min", Some(0))?, given.time("max", Some(1))?),
        "constant" => Distribution::constant(given.time("time", Some(0))?),
        other => {
            return Err(wrong(
                text,
                format_args!("there is no {other:?}; there are exp, pareto, uniform, constant and samples"),
            ));
        }
    };
    given.all_used()?;
    made.map_err(|source| ParseError::Distribution { at: text.to_owned(), source })
}

/// What stands between the parentheses: `name=value`, or values in their order.
struct Parameters<'a> {
    text: &'a str,
    /// Each with its name, if it has one.
    given: Vec<(Option<&'a str>, &'a str)>,
    used: Vec<bool>,
}

impl<'a> Parameters<'a> {
    fn read(text: &'a str, inner: &'a str) -> Result<Self, ParseError> {
        let given: Vec<_> = inner
            .split(',')
            .map(|one| match one.split_once('=') {
                Some((name, value)) => (Some(name.trim()), value.trim()),
                None => (None, one.trim()),
            })
            .collect();
        let named: Vec<_> = given.iter().filter_map(|(name, _)| *name).collect();
        let twice =
            named.iter().enumerate().find(|(n, name)| named.iter().take(*n).any(|before| before == *name));
        if let Some((_, name)) = twice {
            return Err(wrong(text, format_args!("{name} is given twice")));
        }
        let used = vec![false; given.len()];
        Ok(Self { text, given, used })
    }

    fn has(&self, name: &str) -> bool {
        self.given.iter().any(|(given, _)| *given == Some(name))
    }

    /// The one of this name, else the one at this place if that has no name.
    fn take(&mut self, name: &str, place: Option<usize>) -> Result<&'a str, ParseError> {
        let mut all = self.given.iter().zip(&mut self.used).enumerate();
        let found = all.find(|(at, ((given, _), _))| match given {
            Some(given) => *given == name,
            None => Some(*at) == place,
        });
        match found {
            Some((_, ((_, value), used))) if !value.is_empty() => {
                *used = true;
                Ok(value)
            }
            _ => Err(wrong(self.text, format_args!("{name} is missing"))),
        }
    }

    fn number(&mut self, name: &str, place: Option<usize>) -> Result<f64, ParseError> {
        let text = self.text;
        let value = self.take(name, place)?;
        value.parse().map_err(|_| wrong(text, format_args!("{name}: {value:?} is no number")))
    }

    fn time(&mut self, name: &str, place: Option<usize>) -> Result<f64, ParseError> {
        let text = self.text;
        millis(self.take(name, place)?).map_err(|why| wrong(text, format_args!("{name}: {why}")))
    }

    fn all_used(&self) -> Result<(), ParseError> {
        let unused = self.given.iter().zip(&self.used).find(|(_, used)| !**used);
        match unused {
            None => Ok(()),
            Some(((Some(name), _), _)) => Err(wrong(self.text, format_args!("there is no {name} here"))),
            Some(((None, value), _)) => Err(wrong(self.text, format_args!("{value:?} is one too many"))),
        }
    }
}

/// Reads a time, in milliseconds unless it names another unit: `1.5`, `10ms`, `75us`, `2s`, `5min`, `1h`.
pub fn millis(text: &str) -> Result<f64, String> {
    const UNITS: [(&str, f64); 6] =
        [("ms", 1.0), ("us", 0.001), ("µs", 0.001), ("min", 60_000.0), ("s", 1_000.0), ("h", 3_600_000.0)];
    let text = text.trim();
    let found = UNITS.iter().find_map(|(unit, millis)| Some((text.strip_suffix(unit)?, *millis)));
    let (number, unit) = found.unwrap_or((text, 1.0));
    match number.trim().parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value * unit),
        _ => Err(format!("{text:?} is no time; write 10, 10ms, 75us, 2s, 5min or 1h")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Distribution, ParseError> {
        distribution(text, &mut |name| match name {
            "ok" => Ok(vec![1.0, 2.0]),
            name => Err(format!("{name} is not there")),
        })
    }

    #[test]
    fn every_way_to_write_one() {
        for (text, read_as) in [
            ("exp:4", "exp(mean=0.25)"),
            ("exp(rate=4)", "exp(mean=0.25)"),
            ("exponential: mean = 10ms", "exp(mean=10)"),
            ("exp:mean=2s", "exp(mean=2000)"),
            ("pareto:xm=0.235,alpha=10", "pareto(xm=0.235,alpha=10)"),
            ("pareto(235us, 10)", "pareto(xm=0.235,alpha=10)"),
            ("uniform:1,2ms", "uniform(min=1,max=2)"),
            ("uniform(max=5min,min=1s)", "uniform(min=1000,max=300000)"),
            ("constant:75", "constant(75)"),
            ("samples:ok", "2 samples"),
            ("samples(ok)", "2 samples"),
            (
                "0.38*pareto(xm=1.05,alpha=1.51) + 62%*exp(0.183)",
                "0.38*pareto(xm=1.05,alpha=1.51) + 0.62*exp(mean=5.464480874)",
            ),
            ("50%*exp:1+50%*exp:2", "0.5*exp(mean=1) + 0.5*exp(mean=0.5)"),
            ("0.5*constant(1e+2)+0.5*constant(1e2)", "0.5*constant(100) + 0.5*constant(100)"),
        ] {
            assert_eq!(read(text).map(|read| read.to_string()), Ok(read_as.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_shown_is_read_as_the_same() {
        for text in ["0.5*exp(mean=0.25) + 0.5*pareto(xm=1,alpha=3)", "uniform(min=1,max=2)", "constant(3)"] {
            let once = read(text).unwrap();
            assert_eq!(read(&once.to_string()).unwrap(), once);
        }
    }

    #[test]
    fn refusals_say_where_and_what() {
        for (text, says) in [
            ("", "write exp:"),
            ("exp", "write exp:"),
            ("normal:1,2", "no \"normal\""),
            ("exp:", "rate is missing"),
            ("exp:fast", "rate: \"fast\" is no number"),
            ("exp:0", "rate: 0; it takes a number above 0"),
            ("exp:NaN", "rate: NaN"),
            ("exp:rate=1,rate=2", "rate is given twice"),
            ("exp:mean=1,rate=2", "there is no rate here"),
            ("exp:1,2", "\"2\" is one too many"),
            ("pareto:1", "alpha is missing"),
            ("pareto:xm=1 parsec,alpha=2", "xm: \"1 parsec\" is no time"),
            ("uniform:2,1", "max: 1 ms is below min"),
            ("constant:-3", "constant: -3 ms"),
            ("samples:gone", "gone is not there"),
            ("exp(1)+exp(2)", "each part has its share"),
            ("0.5*exp(1)+0.4*exp(2)", "weights are 0.9"),
            ("x*exp(1)", "no share"),
            ("0.5*", "0.5*: write exp:"),
            ("*exp(1)", "*exp(1): its share is missing"),
            ("0.5*exp(1)+", "0.5*exp(1)+: a part is missing beside a plus sign"),
            (" + ", "+: a part is missing"),
            (" ", "distribution: it is empty; write exp:"),
        ] {
            let refusal = read(text).unwrap_err().to_string();
            assert!(refusal.contains(says), "{text}: {refusal}");
            assert!(!refusal.starts_with(':'), "it names what it refuses: {refusal}");
        }
        let long = "x".repeat(TEXT_BYTES_MAX + 1);
        assert!(read(&long).unwrap_err().to_string().contains("longer than 4096"));
    }
}
