//! How many different ones, roughly, in a few kilobytes.

mod base64;
mod codec;
mod estimate;
mod hash;
mod registers;
#[cfg(test)]
mod tests;

pub use codec::HyperLogLogError;

use crate::Lattice;
use registers::{Entry, Registers};
use std::fmt;

/// How many *different* elements there were, estimated, in a size that does not grow with them: the readers of a part,
/// however often each came.
///
/// Every element is hashed. A hash that begins with many zeros is rare, so the longest run of zeros that was ever seen
/// tells how many hashes there were; `2^P` registers each look at their share of the hashes, and the average of them is
/// good. A register only takes greater values, so two replicas that saw the same readers count them once, which no
/// counter can do.
///
/// `P` is the precision, from 4 to 16. A set of another precision is another type, so that any two values can be joined.
///
/// # Promise
///
/// The estimate depends on which elements were inserted anywhere, and on nothing else: not on order, repetition, or who
/// merged what first. Its standard error is `1.04 / √2^P`, of which a third of the estimates are out by more and one in
/// 300 by more than three times; and up to [`EXACT_MAX`](HyperLogLog::EXACT_MAX) elements it is all but exact.
///
/// | `P` | standard error | in memory | in bytes | in JSON | all but exact up to |
/// |---|---|---|---|---|---|
/// | 10 | 3.25 % | 1 KiB | 771 | 1,030 | 192 |
/// | **12** | 1.63 % | 4 KiB | 3,075 | 4,102 | 768 |
/// | 14 | 0.81 % | 16 KiB | 12,291 | 16,390 | 3,072 |
///
/// Elements come as bytes, hashed by XXH64 with seed 0, or as numbers and hashes of one's own. Both ways end in the
/// finaliser of `SplitMix64`. This never changes, or the same reader would be two. The hash has no secret: whoever chooses
/// the elements freely can choose them so that the estimate is absurd. Insert ids that the service has given.
///
/// # Anomaly
///
/// It is an estimate, so it is off, and the same elements are off by the same everywhere. It may stand still while
/// elements come:
///
/// ```
/// use antiphon_lattice::HyperLogLog;
/// let mut readers = <HyperLogLog>::default();
/// (0..100_000).for_each(|reader| drop(readers.insert_hash(reader)));
/// assert_ne!(readers.estimate(), 100_000);
/// assert!(readers.estimate().abs_diff(100_000) < 3 * 1_630, "three standard errors");
///
/// let before = readers.estimate();
/// readers.insert_hash(100_007);
/// assert_eq!(readers.estimate(), before, "a new one, not noticed");
/// ```
///
/// And there is no intersection: what it makes of "readers of both" by adding and subtracting has the error of the
/// *larger* sets, which may be more than the answer.
///
/// # Cost
///
/// An empty one takes no memory beyond its 24 bytes. Few elements are kept *sparse*, 4 bytes each, with 25 bits of
/// their hash instead of `P`; where that would be larger than the registers at 6 bits each, they become *dense*.
/// Insertion is O(log n + n) in the sparse form with n at most `2^P · 3/16`, and O(1) in the dense one. A join or an
/// estimate costs O(2^P). A delta is one entry: 7 bytes, or 12 in JSON.
///
/// # Choose another
///
/// [`GSet`](crate::GSet), to know which; [`Tally`](crate::Tally) or [`PnCounter`](crate::PnCounter), to be exact, if each
/// element is counted at one place only. Nothing leaves a `HyperLogLog`: to count the readers of a week, keep one a day in
/// a [`Map`](crate::Map) and join seven.
///
/// # Source
///
/// Flajolet, Fusy, Gandouet, Meunier, *`HyperLogLog`*, 2007, figure 3; the sparse form from Heule, Nunkesser, Hall,
/// *`HyperLogLog` in practice*, 2013, §5.3; the estimate from Ertl, *New cardinality estimation algorithms for
/// `HyperLogLog` sketches*, 2017, algorithm 6, which needs no tables of biases.
///
/// # JSON
///
/// A string: the [bytes](HyperLogLog::to_bytes) in base64 without padding. They begin with the format (1), the
/// precision, and the form: 0 for entries (each 25 bits of index and 6 of rank, big-endian, ascending), 1 for registers (6
/// bits each, in order). Another precision and a later format are refused by name.
///
/// ```
/// use antiphon_lattice::{HyperLogLog, Lattice};
/// let mut here = <HyperLogLog>::default();
/// let delta = here.insert_bytes(b"anna");
/// here.insert_bytes(b"bert");
/// here.insert_bytes(b"anna");
/// assert_eq!(here.estimate(), 2);
/// assert!(!here.join(delta), "she was counted");
/// assert_eq!(serde_json::to_string(&HyperLogLog::<12>::of_bytes(b"anna"))?, r#""AQwARz1MTA""#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HyperLogLog<const P: u8 = 12>(Registers<P>);

impl<const P: u8> HyperLogLog<P> {
    /// How many elements are kept sparse, where the estimate is all but exact: 768 at `P` = 12.
    pub const EXACT_MAX: usize = Registers::<P>::SPARSE_MAX;

    /// The set of one element, given as a number or a hash of 64 bits: the delta of its insertion.
    pub fn of_hash(hash: u64) -> Self {
        Self(Registers::Sparse(vec![Entry::of(hash::mix(hash))]))
    }

    /// The set of one element, given as bytes: the delta of its insertion.
    pub fn of_bytes(element: &[u8]) -> Self {
        Self::of_hash(hash::xxh64(element))
    }

    /// Inserts an element that is a number or a hash of 64 bits. Returns the delta: this element alone.
    ///
    /// It is mixed once more, so plain numbers do as well as a good hash.
    pub fn insert_hash(&mut self, hash: u64) -> Self {
        self.0.insert(Entry::of(hash::mix(hash)));
        Self::of_hash(hash)
    }

    /// Inserts an element that is a text or an id. Returns the delta: this element alone.
    pub fn insert_bytes(&mut self, element: &[u8]) -> Self {
        self.insert_hash(hash::xxh64(element))
    }

    /// How many different elements were inserted, roughly. Saturates: registers that are all full say 2⁶⁴ − 1.
    pub fn estimate(&self) -> u64 {
        match &self.0 {
            Registers::Sparse(entries) => {
                // Linear counting among 2^25, `m ln(m / (m - n))`, whose second term is all that n ≤ 2^14 leaves of it.
                let entries = entries.len() as u64;
                entries + (entries * entries + (1 << 25)) / (1 << 26)
            }
            Registers::Dense(registers) => {
                let mut counts = [0_u32; 64];
                for register in registers {
                    if let Some(count) = counts.get_mut(usize::from(*register)) {
                        *count += 1;
                    }
                }
                let possible = counts.get(..=usize::from(Registers::<P>::RANK_MAX)).unwrap_or_default();
                whole(estimate::improved_raw(f64::from(1_u32 << P), possible))
            }
        }
    }

    /// Whether nothing was inserted.
    pub fn is_empty(&self) -> bool {
        self.0 == Registers::Sparse(Vec::new())
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and an estimate is a sum of what is positive"
)]
fn whole(estimate: f64) -> u64 {
    estimate.round() as u64
}

/// The bottom: nothing was inserted.
impl<const P: u8> Default for HyperLogLog<P> {
    fn default() -> Self {
        Self(Registers::Sparse(Vec::new()))
    }
}

impl<const P: u8> Lattice for HyperLogLog<P> {
    fn join(&mut self, other: Self) -> bool {
        self.0.join(other.0)
    }

    fn covers(&self, other: &Self) -> bool {
        self.0.covers(&other.0)
    }
}

/// The estimate and the form: four thousand registers help nobody who reads a failed assertion.
impl<const P: u8> fmt::Debug for HyperLogLog<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = match &self.0 {
            Registers::Sparse(_) => "sparse",
            Registers::Dense(_) => "dense",
        };
        write!(f, "HyperLogLog<{P}>(about {}, {form})", self.estimate())
    }
}
