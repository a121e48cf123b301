//! The faults as they are now, the dice, and what came of them.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Faults;
use crate::Topic;

/// Topics that are counted apart; whatever is played on more of them is counted in the sum only.
pub const TOPICS_COUNTED_MAX: usize = 1024;

/// How often a [`Faulty`](crate::Faulty) queue did what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FaultCounts {
    /// Messages accepted twice.
    pub duplicated: u64,
    /// Deliveries that changed places or were put off for a moment.
    pub reordered: u64,
    /// Deliveries put off.
    pub delayed: u64,
    /// Publishes refused.
    pub refused_before: u64,
    /// Publishes accepted and answered with an error.
    pub refused_after: u64,
    /// Messages lost.
    pub dropped: u64,
    /// Acks that were answered with an error.
    pub acks_lost: u64,
}

impl AddAssign for FaultCounts {
    fn add_assign(&mut self, other: Self) {
        self.duplicated += other.duplicated;
        self.reordered += other.reordered;
        self.delayed += other.delayed;
        self.refused_before += other.refused_before;
        self.refused_after += other.refused_after;
        self.dropped += other.dropped;
        self.acks_lost += other.acks_lost;
    }
}

/// What turns the faults of a [`Faulty`](crate::Faulty) queue while it runs, and tells what was played. Clones are the
/// same dials.
///
/// ```
/// use antiphon_queue::{Faults, Faulty, MemoryQueue};
///
/// let queue = Faulty::new(MemoryQueue::new(), Faults::none());
/// let dials = queue.dials();
/// dials.turn(Faults { drop: 0.5, ..dials.faults() }); // half of what is published from now on is lost
/// dials.turn(Faults::none()); // and no more
/// assert_eq!(dials.counts().dropped, 0);
/// ```
#[derive(Debug, Clone)]
pub struct Dials {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    faults: Faults,
    rng: fastrand::Rng,
    by_topic: BTreeMap<Topic, FaultCounts>,
    /// What was played on topics that are not counted apart.
    others: FaultCounts,
}

impl Dials {
    pub(super) fn new(faults: Faults) -> Self {
        let rng = fastrand::Rng::with_seed(faults.seed);
        let state = State { faults, rng, by_topic: BTreeMap::new(), others: FaultCounts::default() };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The faults that are played now.
    pub fn faults(&self) -> Faults {
        self.state().faults
    }

    /// Plays `faults` from the next message on. The dice are not thrown anew: they roll on from where they are, and the
    /// seed of `faults` decides nothing. What was put off before stays put off.
    pub fn turn(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// What was played so far.
    pub fn counts(&self) -> FaultCounts {
        let state = self.state();
        let mut sum = state.others;
        state.by_topic.values().for_each(|counts| sum += *counts);
        sum
    }

    /// The same by topic: the first [`TOPICS_COUNTED_MAX`] on which anything passed through.
    pub fn counts_by_topic(&self) -> BTreeMap<Topic, FaultCounts> {
        self.state().by_topic.clone()
    }

    /// Throws the dice for something on `topic`: `throw` is given the faults of this instant, draws, and counts.
    pub(super) fn throw<T>(
        &self,
        topic: &Topic,
        throw: impl FnOnce(&Faults, &mut fastrand::Rng, &mut FaultCounts) -> T,
    ) -> T {
        let state = &mut *self.state();
        if !state.by_topic.contains_key(topic) && state.by_topic.len() < TOPICS_COUNTED_MAX {
            state.by_topic.insert(topic.clone(), FaultCounts::default());
        }
        let counts = state.by_topic.get_mut(topic).unwrap_or(&mut state.others);
        throw(&state.faults, &mut state.rng, counts)
    }
}
