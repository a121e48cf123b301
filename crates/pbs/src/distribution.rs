//! How long a message takes: exponential, Pareto, uniform, constant, what was measured, and mixtures of these.

use crate::histogram::Bucket;
use crate::numbers::{float, float_u64};
use fastrand::Rng;
use std::fmt;
use std::sync::Arc;
use thiserror::Error;

/// The most parts of a mixture.
pub const PARTS_MAX: usize = 16;
/// The most numbers of a sample.
pub const SAMPLES_MAX: usize = 1_000_000;
/// The longest time, in milliseconds: about thirty years.
pub const MILLIS_MAX: f64 = 1e12;
/// The smallest α of a Pareto distribution. Below it a draw may be longer than any time that there is.
pub const ALPHA_MIN: f64 = 0.1;
/// How far the weights of a mixture may be from 1 together: papers round.
const WEIGHTS_SLACK: f64 = 0.001;

/// Why there is no such distribution. *Mend the field that it names.*
#[derive(Debug, Clone, PartialEq, Error)]
pub enum DistributionError {
    /// Not a length of time.
    #[error("{field}: {value} ms; it takes 0 to {MILLIS_MAX:e} ms")]
    Time {
        /// Of which parameter.
        field: &'static str,
        /// What was given.
        value: f64,
    },
    /// A parameter that has to be above 0 is not.
    #[error("{field}: {value}; it takes a number above 0")]
    Positive {
        /// Of which parameter.
        field: &'static str,
        /// What was given.
        value: f64,
    },
    /// A tail that is too long to be drawn from.
    #[error("alpha: {0}; it takes {ALPHA_MIN} or more")]
    Alpha(f64),
    /// An empty interval.
    #[error("max: {max} ms is below min, {min} ms")]
    Interval {
        /// From.
        min: f64,
        /// To.
        max: f64,
    },
    /// No numbers, or more than are kept.
    #[error("samples: {0} numbers; it takes 1 to {SAMPLES_MAX}")]
    Samples(usize),
    /// No parts, or more than are kept.
    #[error("mixture: {0} parts; it takes 1 to {PARTS_MAX}")]
    Parts(usize),
    /// The shares of a mixture are no shares.
    #[error("mixture: the weights are {0} together; they have to be 1, or 100 %")]
    Weights(f64),
    /// A histogram that holds nothing, or whose intervals are none.
    #[error("histogram: {0}")]
    Histogram(&'static str),
}

#[derive(Debug, Clone, PartialEq)]
enum Shape {
    Constant(f64),
    Uniform {
        min: f64,
        max: f64,
    },
    Exponential {
        mean: f64,
    },
    Pareto {
        xm: f64,
        alpha: f64,
    },
    Samples(Arc<[f64]>),
    /// The shares up to each bucket, and its bounds.
    Buckets {
        cumulative: Arc<[(f64, f64, f64)]>,
        count: u64,
    },
}

#[derive(Debug, Clone, PartialEq)]
struct Part {
    /// Its share, as it was given.
    weight: f64,
    /// The shares of this part and of those before it; 1 for the last one.
    up_to: f64,
    shape: Shape,
}

/// How long a message takes, in milliseconds. Cheap to clone.
///
/// ```
/// use antiphon_pbs::Distribution;
/// let body = Distribution::pareto(0.235, 10.0)?;
/// let tail = Distribution::exponential(1.0 / 1.66)?;
/// let disk = Distribution::mixture([(0.9122, body), (0.0878, tail)])?;
/// assert!((disk.mean() - 0.291).abs() < 0.001);
/// # Ok::<_, antiphon_pbs::DistributionError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Distribution {
    parts: Arc<[Part]>,
}

fn time(field: &'static str, value: f64) -> Result<f64, DistributionError> {
    if (0.0..=MILLIS_MAX).contains(&value) {
        Ok(value)
    } else {
        Err(DistributionError::Time { field, value })
    }
}

fn positive(field: &'static str, value: f64) -> Result<f64, DistributionError> {
    // Not a number is not above 0 either.
    if value > 0.0 { time(field, value) } else { Err(DistributionError::Positive { field, value }) }
}

impl Distribution {
    fn of(shape: Shape) -> Self {
        Self { parts: Arc::new([Part { weight: 1.0, up_to: 1.0, shape }]) }
    }

    /// Always the same.
    pub fn constant(millis: f64) -> Result<Self, DistributionError> {
        Ok(Self::of(Shape::Constant(time("constant", millis)?)))
    }

    /// Anything between two times.
    pub fn uniform(min: f64, max: f64) -> Result<Self, DistributionError> {
        let (min, max) = (time("min", min)?, time("max", max)?);
        if max < min {
            return Err(DistributionError::Interval { min, max });
        }
        Ok(Self::of(Shape::Uniform { min, max }))
    }

    /// Exponential with this mean: 1/λ.
    pub fn exponential(mean: f64) -> Result<Self, DistributionError> {
        Ok(Self::of(Shape::Exponential { mean: positive("mean", mean)? }))
    }

    /// Pareto: never less than `xm`, and longer than t with probability (`xm`/t)^`alpha`.
    pub fn pareto(xm: f64, alpha: f64) -> Result<Self, DistributionError> {
        let xm = positive("xm", xm)?;
        if alpha.is_nan() || alpha < ALPHA_MIN {
            return Err(DistributionError::Alpha(alpha));
        }
        Ok(Self::of(Shape::Pareto { xm, alpha }))
    }

    /// What was measured: each number as likely as any other.
    pub fn samples(millis: Vec<f64>) -> Result<Self, DistributionError> {
        if !(1..=SAMPLES_MAX).contains(&millis.len()) {
            return Err(DistributionError::Samples(millis.len()));
        }
        for value in &millis {
            time("samples", *value)?;
        }
        Ok(Self::of(Shape::Samples(millis.into())))
    }

    /// What was measured and counted in buckets; within one of them everything is as likely.
    pub fn histogram(buckets: &[Bucket]) -> Result<Self, DistributionError> {
        let count = buckets.iter().try_fold(0_u64, |sum, bucket| sum.checked_add(bucket.count));
        let Some(count) = count else {
            return Err(DistributionError::Histogram("it counts more than 64 bits hold"));
        };
        if count == 0 {
            return Err(DistributionError::Histogram("it holds nothing yet"));
        }
        if buckets.len() > SAMPLES_MAX {
            return Err(DistributionError::Histogram("it has too many buckets"));
        }
        let mut before = 0;
        let mut cumulative = Vec::with_capacity(buckets.len());
        for bucket in buckets.iter().filter(|bucket| bucket.count > 0) {
            if bucket.to_ms <= bucket.from_ms {
                return Err(DistributionError::Histogram("a bucket ends before it begins"));
            }
            before += bucket.count;
            let share = if before == count { 1.0 } else { float_u64(before) / float_u64(count) };
            let (from, to) = (float_u64(bucket.from_ms), float_u64(bucket.to_ms));
            cumulative.push((share, time("histogram", from)?, time("histogram", to)?));
        }
        Ok(Self::of(Shape::Buckets { cumulative: cumulative.into(), count }))
    }

    /// One or another, by shares that are 1 together.
    pub fn mixture(parts: impl IntoIterator<Item = (f64, Self)>) -> Result<Self, DistributionError> {
        let parts: Vec<_> = parts.into_iter().collect();
        let all = parts.iter().map(|(_, part)| part.parts.len()).sum();
        if !(1..=PARTS_MAX).contains(&all) {
            return Err(DistributionError::Parts(all));
        }
        let sum: f64 = parts.iter().map(|(weight, _)| weight).sum();
        if parts.iter().any(|(weight, _)| weight.is_nan() || *weight < 0.0)
            || sum.is_nan()
            || (sum - 1.0).abs() > WEIGHTS_SLACK
        {
            return Err(DistributionError::Weights(sum));
        }
        let mut flat = Vec::with_capacity(all);
        let mut up_to = 0.0;
        for (weight, part) in parts {
            for inner in part.parts.iter() {
                let weight = weight * inner.weight;
                up_to += weight / sum;
                flat.push(Part { weight, up_to, shape: inner.shape.clone() });
            }
        }
        if let Some(last) = flat.last_mut() {
            last.up_to = 1.0;
        }
        Ok(Self { parts: flat.into() })
    }

    /// Draws one.
    pub fn sample(&self, rng: &mut Rng) -> f64 {
        let mut parts = self.parts.iter();
        let Some(first) = parts.next() else { return 0.0 };
        if first.up_to >= 1.0 {
            return first.shape.sample(rng);
        }
        let pick = rng.f64();
        let part =
            if pick < first.up_to { first } else { parts.find(|part| pick < part.up_to).unwrap_or(first) };
        part.shape.sample(rng)
    }

    /// The probability that a message takes no longer than this.
    pub fn at_most(&self, millis: f64) -> f64 {
        self.weighted(|shape| shape.at_most(millis))
    }

    /// How long a message takes on average; infinite where a Pareto tail has no mean.
    pub fn mean(&self) -> f64 {
        self.weighted(Shape::mean)
    }

    /// How many measurements it rests on: of its measured parts, the fewest; `None` where nothing of it was measured.
    pub fn measurements(&self) -> Option<u64> {
        let measured = self.parts.iter().filter_map(|part| match &part.shape {
            Shape::Samples(samples) => Some(u64::try_from(samples.len()).unwrap_or(u64::MAX)),
            Shape::Buckets { count, .. } => Some(*count),
            Shape::Constant(_) | Shape::Uniform { .. } | Shape::Exponential { .. } | Shape::Pareto { .. } => {
                None
            }
        });
        measured.min()
    }

    fn weighted(&self, of: impl Fn(&Shape) -> f64) -> f64 {
        let mut before = 0.0;
        let mut sum = 0.0;
        for part in self.parts.iter() {
            sum += (part.up_to - before) * of(&part.shape);
            before = part.up_to;
        }
        sum
    }
}

impl Shape {
    fn sample(&self, rng: &mut Rng) -> f64 {
        // 1 − u is in (0, 1], so that its logarithm is finite.
        match self {
            Self::Constant(value) => *value,
            Self::Uniform { min, max } => min + (max - min) * rng.f64(),
            Self::Exponential { mean } => -mean * (1.0 - rng.f64()).ln(),
            Self::Pareto { xm, alpha } => xm * (-(1.0 - rng.f64()).ln() / alpha).exp(),
            Self::Samples(samples) => samples.get(rng.usize(..samples.len())).copied().unwrap_or_default(),
            Self::Buckets { cumulative, .. } => {
                let pick = rng.f64();
                let at = cumulative.partition_point(|(up_to, ..)| *up_to <= pick);
                let (_, from, to) = cumulative.get(at).or(cumulative.last()).copied().unwrap_or_default();
                from + (to - from) * rng.f64()
            }
        }
    }

    fn at_most(&self, t: f64) -> f64 {
        match self {
            Self::Constant(value) => f64::from(u8::from(t >= *value)),
            Self::Uniform { min, max } if max > min => ((t - min) / (max - min)).clamp(0.0, 1.0),
            Self::Uniform { min, .. } => f64::from(u8::from(t >= *min)),
            Self::Exponential { mean } => 1.0 - (-t.max(0.0) / mean).exp(),
            Self::Pareto { xm, alpha } => {
                if t < *xm {
                    0.0
                } else {
                    1.0 - (xm / t).powf(*alpha)
                }
            }
            Self::Samples(samples) => {
                float(samples.iter().filter(|sample| **sample <= t).count()) / float(samples.len())
            }
            Self::Buckets { cumulative, .. } => {
                let mut before = 0.0;
                for (up_to, from, to) in cumulative.iter() {
                    if t < *to {
                        return before + (up_to - before) * ((t - from) / (to - from)).max(0.0);
                    }
                    before = *up_to;
                }
                before
            }
        }
    }

    fn mean(&self) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::Uniform { min, max } => f64::midpoint(*min, *max),
            Self::Exponential { mean } => *mean,
            Self::Pareto { xm, alpha } if *alpha > 1.0 => xm * alpha / (alpha - 1.0),
            Self::Pareto { .. } => f64::INFINITY,
            Self::Samples(samples) => samples.iter().sum::<f64>() / float(samples.len()),
            Self::Buckets { cumulative, .. } => {
                let mut before = 0.0;
                let mut sum = 0.0;
                for (up_to, from, to) in cumulative.iter() {
                    sum += (up_to - before) * f64::midpoint(*from, *to);
                    before = *up_to;
                }
                sum
            }
        }
    }
}

/// As it is written on a command line, but for what was measured: `0.38*pareto(xm=1.05,alpha=1.51)+0.62*exp(rate=0.183)`.
impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, part) in self.parts.iter().enumerate() {
            if n > 0 {
                f.write_str(" + ")?;
            }
            if self.parts.len() > 1 {
                write!(f, "{}*", rounded(part.weight))?;
            }
            write!(f, "{}", part.shape)?;
        }
        Ok(())
    }
}

/// Without the dust of binary fractions.
fn rounded(value: f64) -> f64 {
    let digits = format!("{value:.9e}");
    digits.parse().unwrap_or(value)
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant(value) => write!(f, "constant({})", rounded(*value)),
            Self::Uniform { min, max } => write!(f, "uniform(min={},max={})", rounded(*min), rounded(*max)),
            Self::Exponential { mean } => write!(f, "exp(mean={})", rounded(*mean)),
            Self::Pareto { xm, alpha } => write!(f, "pareto(xm={},alpha={})", rounded(*xm), rounded(*alpha)),
            Self::Samples(samples) => write!(f, "{} samples", samples.len()),
            Self::Buckets { count, .. } => write!(f, "a histogram of {count}"),
        }
    }
}

#[cfg(test)]
mod tests;
