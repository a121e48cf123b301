//! What a client does when it wants to break the counts, decided by a seed and the number of the comment, so that
//! the same seed does the same again however the answers come in.

use std::time::Duration;

use api::derive_id;

/// One comment of so many is deleted: 5 %.
const DELETED_ONE_IN: usize = 20;
/// Afterthoughts come at most so many posts later.
const LATER_POSTS_MAX: usize = 2_000;
/// An abandoned request is given at most so long.
const ABANDON_MAX: Duration = Duration::from_millis(20);

/// A schedule of a client's faults.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hostile {
    seed: u64,
}

/// What happens to one request, besides succeeding.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Fate {
    /// First sent and hung up on after this time, with what outcome nobody knows.
    pub(super) abandoned: Option<Duration>,
    /// Sent again although it succeeded.
    pub(super) again: Option<Again>,
    /// Deleted, so many posts later.
    pub(super) deleted: Option<(Deletion, usize)>,
}

/// When a request is sent that need not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// Beside the first one, on another connection.
    AtOnce,
    /// When the first was answered.
    Soon,
    /// So many posts later, perhaps after its deletion.
    Later(usize),
}

/// How a comment is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deletion {
    /// As usual.
    Once,
    /// And again.
    Twice,
    /// From two connections at once.
    AtOnce,
}

impl Hostile {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// What happens to the post of the comment with this number.
    pub(super) fn comment(self, number: usize) -> Fate {
        let fate = self.request("comment", number);
        Fate { deleted: self.deletion(number), ..fate }
    }

    /// What happens to the creation of the user with this number.
    pub(super) fn person(self, number: usize) -> Fate {
        self.request("person", number)
    }

    fn request(self, what: &str, number: usize) -> Fate {
        let mut rng = self.rng(what, number);
        let again = match rng.u8(..100) {
            0..4 => Some(Again::AtOnce),
            4..8 => Some(Again::Soon),
            8..12 => Some(Again::Later(rng.usize(..=LATER_POSTS_MAX))),
            _ => None,
        };
        let abandon_us_max = u64::try_from(ABANDON_MAX.as_micros()).unwrap_or(u64::MAX);
        let abandoned = (rng.u8(..100) < 3).then(|| Duration::from_micros(rng.u64(..=abandon_us_max)));
        Fate { abandoned, again, deleted: None }
    }

    /// Exactly one of each whole run of so many, so that the share is what it is said to be.
    fn deletion(self, number: usize) -> Option<(Deletion, usize)> {
        let mut rng = self.rng("deletion", number / DELETED_ONE_IN);
        if number % DELETED_ONE_IN != rng.usize(..DELETED_ONE_IN) {
            return None;
        }
        let how = match rng.u8(..10) {
            0..2 => Deletion::Twice,
            2..4 => Deletion::AtOnce,
            _ => Deletion::Once,
        };
        Some((how, rng.usize(..=LATER_POSTS_MAX)))
    }

    fn rng(self, what: &str, number: usize) -> fastrand::Rng {
        let parts: [&[u8]; 2] = [&self.seed.to_be_bytes(), &number.to_be_bytes()];
        let id = u128::from_be_bytes(derive_id(what, &parts));
        fastrand::Rng::with_seed(u64::try_from(id >> 64).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_does_the_same() {
        let fates = |seed| (0..2_000).map(|n| Hostile::new(seed).comment(n)).collect::<Vec<_>>();
        assert_eq!(fates(7), fates(7));
        assert_ne!(fates(7), fates(8));
    }

    #[test]
    fn one_in_twenty_is_deleted_and_everything_happens() {
        let fates: Vec<_> = (0..20_000).map(|number| Hostile::new(7).comment(number)).collect();
        let count = |test: fn(&Fate) -> bool| fates.iter().filter(|fate| test(fate)).count();
        assert_eq!(count(|fate| fate.deleted.is_some()), 1_000);
        for (what, share, found) in [
            ("once", 600, count(|fate| matches!(fate.deleted, Some((Deletion::Once, _))))),
            ("twice", 200, count(|fate| matches!(fate.deleted, Some((Deletion::Twice, _))))),
            ("at once", 200, count(|fate| matches!(fate.deleted, Some((Deletion::AtOnce, _))))),
            ("again at once", 800, count(|fate| fate.again == Some(Again::AtOnce))),
            ("again soon", 800, count(|fate| fate.again == Some(Again::Soon))),
            ("again later", 800, count(|fate| matches!(fate.again, Some(Again::Later(_))))),
            ("abandoned", 600, count(|fate| fate.abandoned.is_some())),
        ] {
            assert!(found.abs_diff(share) < share / 4, "{what}: {found}, not about {share}");
        }
    }
}
