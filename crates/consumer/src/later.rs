//! Times that are too far away to be reckoned with.

use std::time::Duration;

use tokio::time::Instant;

/// As good as never: what is waited for longer is waited for this long.
const FAR: Duration = Duration::from_hours(30 * 365 * 24);

/// `by` after `at`. [`Duration::MAX`], by which people mean *never*, is beyond what an [`Instant`] can hold, and adding it
/// would panic.
pub(crate) fn later(at: Instant, by: Duration) -> Instant {
    at + by.min(FAR)
}
