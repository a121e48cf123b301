//! Between counts and fractions, in one place.

/// A count as a number to calculate with; exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "trials and counts of messages are far below 2^53")]
pub(crate) fn float(count: usize) -> f64 {
    count as f64
}

/// The same of 64 bits.
#[expect(clippy::cast_precision_loss, reason = "beyond 2^53 messages nobody minds one")]
pub(crate) fn float_u64(count: u64) -> f64 {
    count as f64
}

/// The position that is reached after this share of `len` items, counted from 0, and at most the last.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float becomes the nearest number that there is, and is bounded below"
)]
pub(crate) fn position(share: f64, len: usize) -> usize {
    // Less a hair: 0.29 * 100 is a little more than 29, and its 29th item is meant.
    let reached = (share * float(len) - 1e-9).ceil().max(1.0) as usize;
    reached.min(len).saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_end_at_items() {
        for (share, len, at) in [
            (0.0, 10, 0),
            (0.1, 10, 0),
            (0.11, 10, 1),
            (0.29, 100, 28),
            (0.999, 1_000, 998),
            (1.0, 10, 9),
            (0.5, 0, 0),
        ] {
            assert_eq!(position(share, len), at, "{share} of {len}");
        }
    }
}
