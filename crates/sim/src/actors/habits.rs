//! What people of a run like to do: swarm testing (Groce et al., "Swarm Testing", ISSTA 2012).
//!
//! Where everybody always does a little of everything, deeds hide each other: who posts on and on never sees the part that
//! was taken down an hour ago. So each run draws anew how much of each deed there is, and leaves some out.

use fastrand::Rng;

/// By how much the share of a deed is multiplied in a run.
const MULTIPLIERS: [u32; 6] = [0, 1, 1, 1, 3, 9];

/// What somebody does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// What a host does, who is a reader otherwise.
    Host,
    Post,
    Reply,
    DeleteOwn,
    EditOwn,
    Vote,
    Rename,
    Shelve,
    BreakAKey,
    Rubbish,
    ReadList,
    ReadPart,
}

/// What a host does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HostWish {
    HideOrShow,
    DeleteOfGuest,
    Retitle,
    Publish,
    Rewrite,
    MovePart,
    TakeDown,
}

const WISHES: [(Wish, u32); 12] = [
    (Wish::Host, 22),
    (Wish::Post, 24),
    (Wish::Reply, 10),
    (Wish::DeleteOwn, 8),
    (Wish::EditOwn, 7),
    (Wish::Vote, 8),
    (Wish::Rename, 3),
    (Wish::Shelve, 4),
    (Wish::BreakAKey, 4),
    (Wish::Rubbish, 3),
    (Wish::ReadList, 13),
    (Wish::ReadPart, 10),
];

const HOST_WISHES: [(HostWish, u32); 7] = [
    (HostWish::HideOrShow, 30),
    (HostWish::DeleteOfGuest, 18),
    (HostWish::Retitle, 10),
    (HostWish::Publish, 12),
    (HostWish::Rewrite, 18),
    (HostWish::MovePart, 10),
    (HostWish::TakeDown, 2),
];

/// What people of one run do, and how much of each.
#[derive(Debug, Clone)]
pub(crate) struct Habits {
    wishes: Vec<(Wish, u32)>,
    host_wishes: Vec<(HostWish, u32)>,
}

impl Habits {
    /// Draws those of a run.
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        Self { wishes: drawn(rng, &WISHES), host_wishes: drawn(rng, &HOST_WISHES) }
    }

    /// A little of everything.
    pub(crate) fn plain() -> Self {
        Self { wishes: WISHES.to_vec(), host_wishes: HOST_WISHES.to_vec() }
    }

    /// What somebody does next; who has no wishes reads.
    pub(crate) fn wish(&self, rng: &mut Rng) -> Wish {
        pick(rng, &self.wishes).unwrap_or(Wish::ReadPart)
    }

    /// What a host does next.
    pub(crate) fn host_wish(&self, rng: &mut Rng) -> HostWish {
        pick(rng, &self.host_wishes).unwrap_or(HostWish::HideOrShow)
    }
}

fn drawn<T: Copy>(rng: &mut Rng, shares: &[(T, u32)]) -> Vec<(T, u32)> {
    shares.iter().map(|(what, share)| (*what, share * rng.choice(MULTIPLIERS).unwrap_or(1))).collect()
}

fn pick<T: Copy>(rng: &mut Rng, shares: &[(T, u32)]) -> Option<T> {
    let sum: u32 = shares.iter().map(|(_, share)| share).sum();
    let mut at = rng.u32(0..sum.max(1));
    for (what, share) in shares {
        if at < *share {
            return Some(*what);
        }
        at -= share;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_leaves_some_deeds_out_and_does_much_of_others() {
        let runs: Vec<_> = (0..100).map(|seed| Habits::draw(&mut Rng::with_seed(seed))).collect();
        let share_of_posts =
            |habits: &Habits| habits.wishes.iter().find(|(wish, _)| *wish == Wish::Post).map(|it| it.1);
        for share in [0, 24, 24 * 9] {
            assert!(runs.iter().any(|habits| share_of_posts(habits) == Some(share)), "{share}");
        }
    }

    #[test]
    fn what_has_no_share_is_never_picked() {
        let mut rng = Rng::with_seed(1);
        for _ in 0..100 {
            assert_eq!(
                pick(&mut rng, &[(Wish::Post, 0), (Wish::Vote, 3), (Wish::Reply, 0)]),
                Some(Wish::Vote)
            );
        }
        assert_eq!(pick(&mut rng, &[(Wish::Post, 0)]), None);
    }
}
