//! The two hashes, written out so that every replica, in every version and language, hashes alike.

const ONE: u64 = 0x9e37_79b1_85eb_ca87;
const TWO: u64 = 0xc2b2_ae3d_27d4_eb4f;
const THREE: u64 = 0x1656_67b1_9e37_79f9;
const FOUR: u64 = 0x85eb_ca77_c2b2_ae63;
const FIVE: u64 = 0x27d4_eb2f_1656_67c5;

/// XXH64 with seed 0 (Collet, *xxHash fast digest algorithm*, version 0.1.1).
pub(super) fn xxh64(bytes: &[u8]) -> u64 {
    let mut rest = bytes;
    let mut hash = FIVE;
    if bytes.len() >= 32 {
        let mut lanes = [ONE.wrapping_add(TWO), TWO, 0, 0_u64.wrapping_sub(ONE)];
        while let Some((stripe, after)) = rest.split_first_chunk::<32>() {
            for (lane, word) in lanes.iter_mut().zip(stripe.as_chunks::<8>().0) {
                *lane = round(*lane, u64::from_le_bytes(*word));
            }
            rest = after;
        }
        hash = lanes
            .iter()
            .zip([1, 7, 12, 18])
            .fold(0, |sum, (lane, by)| sum.wrapping_add(lane.rotate_left(by)));
        for lane in lanes {
            hash = (hash ^ round(0, lane)).wrapping_mul(ONE).wrapping_add(FOUR);
        }
    }
    hash = hash.wrapping_add(bytes.len() as u64);
    while let Some((word, after)) = rest.split_first_chunk::<8>() {
        hash ^= round(0, u64::from_le_bytes(*word));
        hash = hash.rotate_left(27).wrapping_mul(ONE).wrapping_add(FOUR);
        rest = after;
    }
    if let Some((word, after)) = rest.split_first_chunk::<4>() {
        hash ^= u64::from(u32::from_le_bytes(*word)).wrapping_mul(ONE);
        hash = hash.rotate_left(23).wrapping_mul(TWO).wrapping_add(THREE);
        rest = after;
    }
    for byte in rest {
        hash ^= u64::from(*byte).wrapping_mul(FIVE);
        hash = hash.rotate_left(11).wrapping_mul(ONE);
    }
    hash = (hash ^ hash >> 33).wrapping_mul(TWO);
    hash = (hash ^ hash >> 29).wrapping_mul(THREE);
    hash ^ hash >> 32
}

fn round(lane: u64, word: u64) -> u64 {
    lane.wrapping_add(word.wrapping_mul(TWO)).rotate_left(31).wrapping_mul(ONE)
}

/// The finaliser of `SplitMix64` (Steele, Lea, Flood 2014): no two numbers become one, and plain ones become random.
pub(super) const fn mix(number: u64) -> u64 {
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

#[cfg(test)]
mod tests {
    use super::{mix, xxh64};

    /// The values of the reference implementation, across every length at which the algorithm changes its way.
    #[test]
    fn xxh64_of_the_reference() {
        let table: [(&[u8], u64); 7] = [
            (b"", 0xef46_db37_51d8_e999),
            (b"a", 0xd24e_c4f1_a98c_6e5b),
            (b"abc", 0x44bc_2cf5_ad77_0999),
            (b"abcdefgh", 0x3ad3_5177_5b46_34b7),
            (b"0123456789abcdef0123456789abcde", 0x1fdf_c63f_ebac_fde7),
            (b"0123456789abcdef0123456789abcdef", 0x642a_9495_8e71_e6c5),
            (b"0123456789abcdef0123456789abcdef0123456789abcdef-0123-x", 0xcd0b_9359_02f3_6470),
        ];
        for (bytes, hash) in table {
            assert_eq!(xxh64(bytes), hash, "{}", bytes.len());
        }
    }

    /// The first numbers of the generator with seed 0, whose state is a multiple of the golden ratio.
    #[test]
    fn mix_of_the_reference() {
        let golden = 0x9e37_79b9_7f4a_7c15_u64;
        let first = [1, 2, 3].map(|nth: u64| mix(golden.wrapping_mul(nth)));
        assert_eq!(first, [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f]);
    }
}
