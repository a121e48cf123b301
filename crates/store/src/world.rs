//! The two things that a store asks of the world: what time it is, and something that nobody can guess.
//!
//! This is the only place of the workspace that reads a clock or takes entropy. Everything else is given a [`World`],
//! so a test or the simulator decides both from a seed.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Time and randomness, as parameters.
pub trait World: Send + Sync + std::fmt::Debug + 'static {
    /// Milliseconds since the Unix epoch. May jump either way: the hybrid clock above it copes.
    fn now_ms(&self) -> u64;
    /// 128 bits that nobody else has: replica ids, idempotency keys, signing keys.
    fn random(&self) -> u128;
}

/// The machine's clock and the operating system's entropy.
#[derive(Debug, Default, Clone, Copy)]
pub struct RealWorld;

impl World for RealWorld {
    #[expect(clippy::disallowed_methods, reason = "the one place that owns the clock")]
    fn now_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that owns the entropy")]
    #[expect(
        clippy::panic,
        reason = "without entropy ids and keys would repeat, which loses data: stop instead"
    )]
    fn random(&self) -> u128 {
        let mut bytes = [0; 16];
        if let Err(error) = getrandom::fill(&mut bytes) {
            panic!("the operating system gives no entropy: {error}");
        }
        u128::from_le_bytes(bytes)
    }
}

/// A world made from a seed: each look at the clock is one millisecond later than the one before.
#[derive(Debug)]
pub struct SeededWorld {
    state: Mutex<(u64, fastrand::Rng)>,
}

impl SeededWorld {
    /// A world that starts at `now_ms`.
    pub fn new(seed: u64, now_ms: u64) -> Self {
        Self { state: Mutex::new((now_ms, fastrand::Rng::with_seed(seed))) }
    }

    /// Moves the clock, forwards or backwards.
    pub fn set_ms(&self, now_ms: u64) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).0 = now_ms;
    }
}

impl World for SeededWorld {
    fn now_ms(&self) -> u64 {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 += 1;
        state.0
    }

    fn random(&self) -> u128 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1.u128(..)
    }
}
