//! How stale a read may be, and for how long.
//!
//! Probabilistically bounded staleness, after Bailis, Venkataraman, Franklin, Hellerstein and Stoica, *Probabilistically
//! Bounded Staleness for Practical Partial Quorums* (PVLDB 5(8), 2012).
//!
//! # Map
//! | item | what |
//! |---|---|
//! | [`Distribution`], [`parse`] | how long a message takes, and how one writes that down |
//! | [`Quorum`] | N replicas, of which a read waits for R and a write for W |
//! | [`Wars`], [`run`] | the four messages of a write and a read; the trials |
//! | [`Outcome`] | the curve: P(fresh) after t, t for a probability, latencies, all with their confidence |
//! | [`closed`] | what needs no trials: staleness in versions, monotonic reads |
//! | [`Histogram`] | what a running system counts of itself, to be drawn from here |
//! | [`preset`], [`paper`] | the paper's own models, and the figures that it prints for them |
//! | [`plot`] | the curve as a picture |
//!
//! # What is not here
//! No clock, no files, no network: what is measured comes in as numbers. Randomness comes from a seed, and the same seed
//! gives the same trials with any number of threads.
//!
//! # Example
//! Reads that race their writes: writes take ten times as long as all other messages.
//! ```
//! use antiphon_pbs::{Distribution, Quorum, Wars, run};
//! use std::num::NonZeroUsize;
//!
//! let wars = Wars::symmetric(Distribution::exponential(10.0)?, Distribution::exponential(1.0)?);
//! let outcome = run(Quorum::new(3, 1, 1)?, &wars, 100_000, 1, NonZeroUsize::MIN)?;
//! assert!((outcome.consistent_at(0.0).value - 0.42).abs() < 0.01);
//! let strict = run(Quorum::new(3, 2, 2)?, &wars, 1_000, 1, NonZeroUsize::MIN)?;
//! assert!(strict.consistent_at(0.0).value >= 1.0);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

pub mod closed;
mod distribution;
mod histogram;
mod numbers;
mod outcome;
pub mod paper;
pub mod parse;
pub mod plot;
pub mod preset;
mod quorum;
mod ranks;
mod wars;

pub use distribution::{ALPHA_MIN, Distribution, DistributionError, MILLIS_MAX, PARTS_MAX, SAMPLES_MAX};
pub use histogram::{Bucket, Histogram, LAG_MS_MAX};
pub use outcome::{Outcome, Probability, Time};
pub use quorum::{Quorum, QuorumError, REPLICAS_MAX};
pub use wars::{RunError, THREADS_MAX, TRIALS_MAX, Wars, run};
