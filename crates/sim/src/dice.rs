//! Randomness: streams of their own from one seed, so that who draws more moves nobody else's draws.

use std::time::Duration;

/// The stream of this name.
pub(crate) fn stream(seed: u64, name: &str) -> fastrand::Rng {
    fastrand::Rng::with_seed(mix(hash(seed, name.as_bytes())))
}

/// FNV-1a, going on from `from`: for telling things apart in a trace, never against anybody who means harm.
pub(crate) fn hash(from: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(from ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Seeds that are neighbours give streams that are not.
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// A time whose logarithm is even: as often between 1 and 10 ms as between 1 and 10 s.
pub(crate) fn log_ms(rng: &mut fastrand::Rng, least_ms: f64, most_ms: f64) -> u64 {
    let exponent = rng.f64();
    whole(least_ms * (most_ms / least_ms).powf(exponent))
}

/// The time until something that happens every `mean_ms` on the average.
pub(crate) fn until_next_ms(rng: &mut fastrand::Rng, mean_ms: f64) -> u64 {
    whole(-mean_ms * (1.0 - rng.f64()).ln()).max(1)
}

/// A time in whole milliseconds.
pub(crate) fn whole(ms: f64) -> u64 {
    u64::try_from(Duration::try_from_secs_f64(ms / 1000.0).unwrap_or(Duration::ZERO).as_millis())
        .unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_by_seed_and_name() {
        let draw = |seed, name| stream(seed, name).u64(..);
        assert_eq!(draw(1, "a"), draw(1, "a"));
        assert_ne!(draw(1, "a"), draw(1, "b"));
        assert_ne!(draw(1, "a"), draw(2, "a"));
    }

    #[test]
    fn times_stay_between_their_bounds() {
        let mut rng = stream(1, "times");
        for _ in 0..1000 {
            assert!((10..=1000).contains(&log_ms(&mut rng, 10.0, 1000.0)));
            assert!(until_next_ms(&mut rng, 5.0) >= 1);
        }
    }
}
