//! Fingerprints that add up: what two stores compare to find out in which key ranges they differ.
//!
//! A row's fingerprint is a keyed hash of its key and its state; a range's is the sum of its rows'. Sums are kept in
//! memory, a chunk of neighbouring rows each, and move with every commit, so that to compare a million rows costs no
//! look at any of them. Sums and not exclusive or: ids come from clients, and an exclusive or is solved by linear
//! algebra. Two sums of the same rows, one of them weighted by the key, also *tell* the row where only one differs: see
//! [`Sums::lone`].
//!
//! | file | what |
//! |---|---|
//! | `wide` | numbers of 160 bits |
//! | `print` | from a row to its fingerprint |
//! | `track` | the chunks of one key range |
//! | `tracked` | the handle on them |

mod print;
mod range;
mod track;
mod tracked;
mod wide;

pub use print::Printer;
pub use range::KeyRange;
pub use tracked::Tracked;
pub use wide::Wide;

pub(crate) use track::Fingerprints;

use serde::{Deserialize, Serialize};

/// The bytes of a key that its range's sums can tell, from behind the tag on: more are looked up.
pub const TOLD_BYTES: usize = 16;

/// The fingerprint of the rows of a key range. Adds up: that of two ranges is the sum of both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// How many rows.
    pub count: u64,
    /// The sum of their hashes, modulo 2^128.
    #[serde(with = "bytes_of_sum")]
    pub sum: u128,
    /// The sum of the beginnings of their keys, each times the low 32 bits of its hash, modulo 2^160.
    pub weighted: Wide,
}

/// As 16 bytes: a number of variable length would be longer.
mod bytes_of_sum {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(sum: &u128, to: S) -> Result<S::Ok, S::Error> {
        sum.to_be_bytes().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u128, D::Error> {
        <[u8; 16]>::deserialize(from).map(u128::from_be_bytes)
    }
}

impl Sums {
    /// That of one row, of its hash and the beginning of its key.
    fn of_row(hash: u128, told: u128) -> Self {
        Self { count: 1, sum: hash, weighted: Wide::product(low(hash), told) }
    }

    /// With the rows of another range.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            count: self.count.wrapping_add(other.count),
            sum: self.sum.wrapping_add(other.sum),
            weighted: self.weighted.plus(other.weighted),
        }
    }

    /// Without the rows of a range in it.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self {
            count: self.count.wrapping_sub(other.count),
            sum: self.sum.wrapping_sub(other.sum),
            weighted: self.weighted.plus(other.weighted.negated()),
        }
    }

    /// Where `self` and `other` differ in rows of one beginning only: that beginning. With more differences it is nothing,
    /// or in one of some two thousand million cases a wrong guess, so whoever uses it compares what is there.
    ///
    /// Where one row changed, the weighted sums differ by its key times the change of its weight, and the low 32 bits of
    /// the plain sums tell that change, up to its sign.
    pub fn lone(&self, other: &Self) -> Option<[u8; TOLD_BYTES]> {
        let difference = self.minus(*other);
        let rise = low(difference.sum);
        let told = difference.weighted.divided(rise);
        let told = told.or_else(|| difference.weighted.negated().divided(rise.wrapping_neg()));
        told.map(u128::to_be_bytes)
    }
}

fn low(hash: u128) -> u32 {
    u32::try_from(hash & u128::from(u32::MAX)).unwrap_or_default()
}

/// The first bytes of a key (its tag taken off) as a number; zeros follow where it is shorter.
fn told(key: &[u8]) -> u128 {
    let bytes = key.iter().copied().chain(std::iter::repeat(0)).take(TOLD_BYTES);
    bytes.fold(0, |number, byte| number << 8 | u128::from(byte))
}

/// The range of the keys (their tag taken off) that begin with what [`Sums::lone`] told, zeros at its end or not.
pub fn beginning_with(told: [u8; TOLD_BYTES]) -> KeyRange {
    let zeros = told.iter().rev().take_while(|byte| **byte == 0).count();
    let from = told.iter().take(TOLD_BYTES - zeros).copied().collect();
    let to = u128::from_be_bytes(told).checked_add(1).map(|next| next.to_be_bytes().to_vec());
    // A key behind every other one has no end: the empty bound.
    KeyRange { from, to: to.unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(key: &[u8], state: u64) -> Sums {
        Printer::new("d").row(key, state.to_string().as_bytes())
    }

    #[test]
    fn a_lone_difference_is_told() {
        let other: Sums = (0..100_u64).map(|n| row(&n.to_be_bytes(), n)).fold(Sums::default(), Sums::plus);
        for n in [0, 1, 0xff00_u64, u64::MAX] {
            let key = n.to_be_bytes();
            let told = [key.as_slice(), &[0; 8]].concat();
            let (old, new) = (other.plus(row(&key, 7)), other.plus(row(&key, 8)));
            for (a, b) in [(old, new), (new, old), (other, new), (new, other)] {
                assert_eq!(a.lone(&b).unwrap().as_slice(), told, "{n}");
            }
            let range = beginning_with(told.try_into().unwrap());
            assert!(range.contains(&key), "{range:?}");
            assert!(!range.contains(&n.wrapping_add(1).to_be_bytes()), "{range:?}");
        }
        assert_eq!(other.lone(&other), None);
        assert_eq!(other.lone(&other.plus(row(b"a", 1)).plus(row(b"b", 2))), None, "two differ");
    }

    proptest! {
        #[test]
        fn sums_add_up(rows: Vec<(u128, u64)>, cut: prop::sample::Index) {
            let sums = |rows: &[(u128, u64)]| {
                rows.iter().map(|(key, state)| row(&key.to_be_bytes(), *state)).fold(Sums::default(), Sums::plus)
            };
            let cut = cut.index(rows.len() + 1);
            let (left, right) = rows.split_at(cut);
            prop_assert_eq!(sums(&rows), sums(left).plus(sums(right)));
            prop_assert_eq!(sums(&rows).minus(sums(left)), sums(right));
        }

        #[test]
        fn any_key_is_told(key: [u8; 20], old: Option<u64>, new: u64) {
            let old = old.map_or_else(Sums::default, |state| row(&key, state));
            let new = row(&key, new);
            let told = old.lone(&new);
            prop_assert_eq!(told.as_ref().map(<[u8; 16]>::as_slice), (old != new).then_some(&key[..16]));
            if let Some(told) = told {
                prop_assert!(beginning_with(told).contains(&key));
            }
        }
    }
}
