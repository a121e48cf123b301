//! Who read a part, as far as that has to be known to count them.

use lattice::{HyperLogLog, Lattice, Min};
use messages::{PartId, Unknown, UserId, is_bottom};
use serde::{Deserialize, Serialize};

/// The precision of the estimate: 2 KiB in JSON where many have read, with a standard error of 2.3 %, and all but exact
/// up to 384 readers. A story's list reads one for each of its parts; the next precision would be twice the bytes for
/// 1.6 %. It never changes: an estimate of another precision cannot be joined with this one.
pub(crate) const READERS_PRECISION: u8 = 11;

/// Somebody who reads, told apart from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reader {
    /// Who sent a token.
    User(UserId),
    /// The name that a browser made for itself.
    Named(String),
}

/// How many different people have read a part: beside the exact number of reads, an estimate, because to know it
/// exactly is to keep who read what.
///
/// What is inserted is half a SHA-256 of a secret, the part and the reader, and of that only a few bits remain. So no
/// name is stored, and nobody who lacks the [`ReadersSecret`] can tell which bits are somebody's: neither from a row, nor
/// by reading under names that would fall where theirs does, and looking whether the number grows.
///
/// Two replicas that saw the same reader count them once, which no counter can do. Anybody may send any name: whoever
/// wants the number to be greater can make it so, as they can with the reads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readers {
    /// The estimate.
    #[serde(default, skip_serializing_if = "is_bottom")]
    pub seen: HyperLogLog<READERS_PRECISION>,
    /// What newer versions added.
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl Readers {
    /// One reader of one part: a delta.
    pub(crate) fn of(secret: &ReadersSecret, part: PartId, reader: &Reader) -> Self {
        let secret = secret.0.get().map_or("", String::as_str).as_bytes();
        let id = match reader {
            Reader::User(user) => {
                api::derive_id("reader user", &[secret, &part.to_bytes(), &user.to_bytes()])
            }
            Reader::Named(name) => {
                api::derive_id("reader name", &[secret, &part.to_bytes(), name.as_bytes()])
            }
        };
        Self { seen: HyperLogLog::of_bytes(&id), ..Self::default() }
    }
}

/// What is hashed with every reader, and shown to nobody: minted at the first start, 128 bits in hexadecimal.
///
/// Two replicas that minted one each come to keep the lesser. Who was seen under the other one is counted once more,
/// which an estimate bears.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReadersSecret(Min<String>);

impl ReadersSecret {
    /// A secret that was drawn: a delta.
    pub(crate) fn of(random: u128) -> Self {
        Self(Min::of(format!("{random:032x}")))
    }
}

impl Lattice for ReadersSecret {
    fn join(&mut self, other: Self) -> bool {
        self.0.join(other.0)
    }
}

impl Lattice for Readers {
    fn join(&mut self, other: Self) -> bool {
        let Self { seen, unknown } = other;
        self.seen.join(seen) | self.unknown.join(unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(number: u8) -> PartId {
        PartId::from_bytes([number; 16])
    }

    fn of(part: PartId, reader: &Reader) -> Readers {
        Readers::of(&ReadersSecret::of(5), part, reader)
    }

    fn named(number: u32) -> Reader {
        Reader::Named(format!("{number:022}"))
    }

    fn crowd(count: u32) -> Readers {
        (0..count).map(|number| of(part(1), &named(number))).fold(Readers::default(), Lattice::joined)
    }

    fn values() -> Vec<Readers> {
        vec![
            Readers::default(),
            of(part(1), &Reader::User(UserId::from_bytes([1; 16]))),
            of(part(1), &named(1)),
            crowd(3),
            serde_json::from_str(r#"{"countries":5}"#).unwrap(),
        ]
    }

    #[test]
    fn readers_are_a_lattice() {
        let mut states = values();
        states.push(crowd(1_000));
        lattice::laws::check_exhaustively(&states).unwrap();
    }

    #[test]
    fn each_is_counted_once_wherever_they_were_seen() {
        let here = crowd(40);
        let mut both = here.clone();
        assert!(!both.join(crowd(30)), "nothing to write");
        assert!(both.join(of(part(1), &named(99))));
        assert_eq!((here.seen.estimate(), both.seen.estimate()), (40, 41));
        let user = Reader::User(UserId::from_bytes([1; 16]));
        let name = Reader::Named("\u{1}".repeat(16));
        assert_ne!(of(part(1), &user), of(part(1), &name), "no name is taken for a user");
        assert_ne!(of(part(1), &user), of(part(2), &user), "and none is known elsewhere");
        let other = ReadersSecret::of(6);
        assert_ne!(of(part(1), &user), Readers::of(&other, part(1), &user), "nor without the secret");
        lattice::laws::check_exhaustively(&[ReadersSecret::default(), ReadersSecret::of(5), other]).unwrap();
    }

    #[test]
    fn the_row_stays_small_and_the_estimate_good() {
        let many = crowd(20_000);
        assert!(many.seen.estimate().abs_diff(20_000) < 20_000 * 3 * 23 / 1_000, "{:?}", many.seen);
        assert!(serde_json::to_string(&many).unwrap().len() < 2_100);
    }

    /// The bytes that the first version with readers wrote.
    #[test]
    fn golden_bytes() {
        let golden = include_str!("../tests/golden/readers.json");
        let read: Vec<Readers> = serde_json::from_str(golden).unwrap();
        assert_eq!(read, values());
        assert_eq!(serde_json::to_string_pretty(&values()).unwrap() + "\n", golden);
    }
}
