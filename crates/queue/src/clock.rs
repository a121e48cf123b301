//! Wall-clock time as a parameter.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

/// What time it is, in milliseconds since the Unix epoch. Cheap to clone.
///
/// Leases and waits use [`tokio::time`] and nothing else; this clock only stamps what people and other machines read.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> u64 + Send + Sync>);

impl Clock {
    /// A clock that asks `now_ms`.
    pub fn new(now_ms: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(now_ms))
    }

    /// A clock that shows `start_ms` now and follows tokio's time, which tests pause and simulations advance.
    pub fn starting_at(start_ms: u64) -> Self {
        let started = Instant::now();
        Self::new(move || start_ms.saturating_add(millis(started.elapsed())))
    }

    /// The time now, in milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> u64 {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now_ms()).finish()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
