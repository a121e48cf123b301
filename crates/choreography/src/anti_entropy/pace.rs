//! How fast, and how much at a time: every bound of anti-entropy.

use std::time::Duration;

/// How often a publisher tells what it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// While nobody wants anything.
    pub idle: Duration,
    /// While somebody does.
    pub busy: Duration,
}

impl Pace {
    /// Every `idle`, and every second, or faster than that, while somebody lacks something.
    pub fn every(idle: Duration) -> Self {
        Self { idle, busy: idle.min(BUSY_MAX) }
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self::every(Duration::from_secs(10))
    }
}

/// The longest pause between the digests of a publisher of which something is wanted.
pub const BUSY_MAX: Duration = Duration::from_secs(1);
/// Steps for which a publisher goes on at its busy pace after the last want.
pub(crate) const BUSY_STEPS: u32 = 8;

/// Pages of rows that a step reads while fingerprints are made for the first time.
pub(crate) const BUILD_PAGES_STEP: usize = 64;
/// Steps in a row that may be passed over since rows of the store are still to be announced: what is about to arrive does not
/// have to be missed. Steady traffic must not silence a publisher.
pub(crate) const QUIET_STEPS_MAX: u32 = 3;

/// Into how many pieces a publisher cuts a range that differs. Few, since most differences are told by the sums as soon as
/// they are alone in their range: a piece costs some 60 bytes, a round only time.
pub(crate) const PIECES: usize = 4;
/// Pieces that a publisher tells between two steps.
pub(crate) const PIECES_STEP_MAX: usize = 16_384;
/// Rows that a publisher announces again between two steps.
pub(crate) const ROWS_STEP_MAX: usize = 4_096;
/// Rows of a range of which a subscriber has none that are announced without looking closer.
pub(crate) const BULK_ROWS_MAX: u64 = 1_024;

/// The most rows in a range whose values a subscriber sends.
pub(crate) const VALUES_MAX: usize = 12;
/// The most bytes of such values, unless it is one row alone.
pub(crate) const VALUES_BYTES_MAX: usize = 8 << 10;
/// Bytes of a message, before it is packed.
pub(crate) const MESSAGE_BYTES: usize = 96 << 10;
/// The least that this is lowered to for a broker that takes less.
pub(crate) const MESSAGE_BYTES_MIN: usize = 1 << 10;

/// Ranges that a subscriber remembers to differ from one publisher, some 150 bytes each.
pub(crate) const OPEN_MAX: usize = 16_384;
/// Ranges that it asks about between two digests while the publisher's rows rest.
pub(crate) const ASKS_MAX: usize = 4_096;
/// The same while they change: what seems lost may be on its way.
pub(crate) const ASKS_IN_TRAFFIC_MAX: usize = 64;
/// How often it asks about a range before it looks at everything anew.
pub(crate) const ASKS_OF_RANGE_MAX: u32 = 40;
/// Every so often it asks without guessing: two differences can look like another one.
pub(crate) const ASKS_UNTIL_PLAIN: u32 = 4;
/// Digests after which it looks at everything anew though some ranges are still open.
pub(crate) const ANEW_AFTER: u64 = 64;
/// The most digests that it passes over since what differs cannot be healed here, as a row that it does not understand.
pub(crate) const PATIENCE_MAX: u64 = 64;
/// Rows that it does not understand whose fingerprints it remembers, so that it misses them no more.
pub(crate) const REFUSED_MAX: usize = 1_024;

/// How much older than the newest digest one may be: a queue that delays for weeks tells nothing new.
pub(crate) const DIGEST_AGE_MAX_MS: u64 = 5 * 60 * 1_000;
/// Digests that are too old, one newer than the other, after which it is rather the publisher's clock that was set back.
pub(crate) const OLD_DIGESTS_MAX: u32 = 8;
