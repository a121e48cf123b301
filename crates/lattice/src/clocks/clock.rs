//! The hybrid logical clock of one process lane.

use crate::{Hlc, Lane, ReplicaId, Stamp};
use std::fmt;

/// How far a stamp from elsewhere may pull our clock ahead of the wall clock.
///
/// `CockroachDB`'s default maximum offset: five times what a badly kept NTP client shows, and too little for anybody to
/// notice in the time that is shown beside a comment.
pub const AHEAD_MS_MAX: u64 = 500;

/// The hybrid logical clock of one lane of one replica: it mints [`Stamp`]s, each of which is used for one write.
///
/// The wall clock is a parameter, and may jump, stand still and run backwards.
///
/// # What it promises
///
/// - **Unique.** No two stamps of one clock are equal, and none equals a stamp of another replica or lane.
/// - **Monotone.** A stamp is greater than all that this clock minted before it; stamps *ahead* (below) are greater
///   than all before them, and the ordinary ones that follow need not be greater than those.
/// - **Above.** A stamp is greater than `above`, so that a write wins over what its writer had read.
/// - **Bounded.** Nothing that arrives pulls the clock further than [`AHEAD_MS_MAX`] past `now_ms`. (It may already be
///   there, because the wall clock went back; then it counts on from where it is.)
///
/// # A row from the future
///
/// A replica whose wall clock is a year ahead writes a row, and then somebody here edits that row. The edit must win,
/// so its stamp must be a year ahead too. If that pulled our clock along, every later write would be a year ahead, and
/// every replica that hears of one: a single bad clock would drag the whole deployment. So such stamps come from a
/// second mark, [`ahead`](Clock::ahead), which moves without the first. They carry the lane with
/// [`Lane::AHEAD_BIT`] set: the first mark will pass the same moments some day, and must not mint the same stamps.
///
/// # What a caller owes
///
/// - **One clock for each (replica, lane).** A clock is not `Clone`, because two copies mint the same stamps.
/// - **To commit both marks with the write** that a stamp was minted for, and to [`resume`](Clock::resume) from them.
///   A replica that lost its marks takes a new [`ReplicaId`].
/// - **To pass `above`**, the greatest stamp of the row that is written. Who forgets it writes an edit that loses,
///   silently, whenever the row was last written by somebody whose clock is a little ahead:
///
/// ```
/// use antiphon_lattice::{Clock, Lane, Lww, ReplicaId};
/// let mut theirs = Clock::new(ReplicaId::from_u128(1), Lane(0));
/// let mut ours = Clock::new(ReplicaId::from_u128(2), Lane(0));
/// let row = Lww::new(theirs.mint(1_300, None), "typo"); // their wall clock is 300 ms ahead
///
/// let mut wrong = row;
/// wrong.set(ours.mint(1_000, None), "corrected");
/// assert_eq!(wrong.get(), Some(&"typo"));
///
/// let mut right = row;
/// right.set(ours.mint(1_000, right.stamp()), "corrected");
/// assert_eq!(right.get(), Some(&"corrected"));
/// ```
///
/// # The end of time
///
/// Nothing is above [`Hlc::MAX`]. A row that claims the last millisecond, in the year 10889, is a fault or an attack,
/// and [`Clock::observe`] reported it. Stamps minted above such rows do not move the mark, or one such row would use it
/// up for all others. They are unique within a row while the millisecond has moments left, and after that they are
/// `Hlc::MAX` and may lose. The replicas agree even then, since [`Lww`](crate::Lww) settles ties by value.
#[derive(Debug)]
pub struct Clock {
    replica: ReplicaId,
    lane: Lane,
    high: Hlc,
    ahead: Hlc,
}

impl Clock {
    /// The clock of a replica that never minted anything in this lane.
    ///
    /// # Panics
    ///
    /// If the lane has its [`Lane::AHEAD_BIT`] set or the replica is [`ReplicaId::NIL`]: its stamps would not be
    /// unique.
    pub fn new(replica: ReplicaId, lane: Lane) -> Self {
        Self::resume(replica, lane, Hlc::default(), Hlc::default())
    }

    /// The clock as it was when these marks were committed.
    ///
    /// # Panics
    ///
    /// As [`Clock::new`].
    pub fn resume(replica: ReplicaId, lane: Lane, high: Hlc, ahead: Hlc) -> Self {
        assert!(!lane.is_ahead(), "the top bit of a lane is the clock's own");
        assert!(replica != ReplicaId::NIL, "the nil replica mints nothing");
        Self { replica, lane, high, ahead }
    }

    /// The replica in whose name it mints.
    pub const fn replica(&self) -> ReplicaId {
        self.replica
    }

    /// The lane in which it mints.
    pub const fn lane(&self) -> Lane {
        self.lane
    }

    /// The greatest moment minted in the ordinary way, or heard of. Commit it with the write.
    pub const fn high(&self) -> Hlc {
        self.high
    }

    /// The greatest moment minted above rows from the future. Commit it with the write.
    pub const fn ahead(&self) -> Hlc {
        self.ahead
    }

    /// Mints the stamp of one write, above the greatest stamp of what it writes to.
    ///
    /// ```
    /// use antiphon_lattice::{Clock, Hlc, Lane, ReplicaId, Stamp};
    /// let mut clock = Clock::new(ReplicaId::from_u128(1), Lane(0));
    /// let first = clock.mint(1_000, None);
    /// assert_eq!(first.hlc, Hlc::new(1_000, 0));
    /// assert_eq!(clock.mint(999, None).hlc, Hlc::new(1_000, 1), "the wall clock ran backwards");
    ///
    /// let future = Stamp { hlc: Hlc::new(9_000, 0), ..first };
    /// let edit = clock.mint(1_000, Some(future));
    /// assert!(edit > future && edit.lane.is_ahead());
    /// assert_eq!(clock.mint(1_000, None).hlc, Hlc::new(1_000, 2), "and nothing else was pulled along");
    /// ```
    pub fn mint(&mut self, now_ms: u64, above: Option<Stamp>) -> Stamp {
        let next = self.high.tick().max(Hlc::new(now_ms, 0));
        let floor = above.map_or(Hlc::default(), |stamp| stamp.hlc.tick());
        if floor <= next.max(reach(now_ms)) {
            self.high = next.max(floor);
            return Stamp { hlc: self.high, replica: self.replica, lane: self.lane };
        }
        let hlc = self.ahead.tick().max(floor);
        if floor.ms() < Hlc::MS_MAX {
            self.ahead = hlc;
        }
        Stamp { hlc, replica: self.replica, lane: self.lane.ahead() }
    }

    /// Hears of a stamp from elsewhere, so that what is minted next is above it.
    ///
    /// An error is for whoever watches the clocks. **Merge the row all the same**: refusing it here, while a replica
    /// whose own clock is fast takes it, would leave the two different for ever.
    ///
    /// ```
    /// use antiphon_lattice::{Clock, Hlc, Lane, ReplicaId, TooFarAhead};
    /// let mut fast = Clock::new(ReplicaId::from_u128(1), Lane(0));
    /// let mut ours = Clock::new(ReplicaId::from_u128(2), Lane(0));
    /// let near = fast.mint(1_400, None);
    /// assert_eq!(ours.observe(near, 1_000), Ok(()));
    /// assert!(ours.mint(1_000, None) > near);
    ///
    /// let far = fast.mint(8_000, None);
    /// assert_eq!(ours.observe(far, 1_000), Err(TooFarAhead { ahead_ms: 7_000 }));
    /// assert!(ours.high() <= Hlc::new(1_500, u16::MAX));
    /// ```
    pub fn observe(&mut self, remote: Stamp, now_ms: u64) -> Result<(), TooFarAhead> {
        let reach = reach(now_ms);
        self.high = self.high.max(remote.hlc.min(reach));
        if remote.hlc > reach {
            return Err(TooFarAhead { ahead_ms: remote.hlc.ms().saturating_sub(now_ms) });
        }
        Ok(())
    }
}

/// The last moment to which anything may pull a clock.
const fn reach(now_ms: u64) -> Hlc {
    Hlc::new(now_ms.saturating_add(AHEAD_MS_MAX), u16::MAX)
}

/// A stamp is further in the future than clocks may differ: one of the two wall clocks is wrong. Tell a human.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooFarAhead {
    /// How far ahead of our wall clock it is, in milliseconds.
    pub ahead_ms: u64,
}

impl fmt::Display for TooFarAhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ahead_ms } = self;
        write!(
            f,
            "stamp is {ahead_ms} ms ahead of this clock, more than the {AHEAD_MS_MAX} ms by which clocks may differ"
        )
    }
}

impl std::error::Error for TooFarAhead {}
