//! The counter that can be reset.

use super::{Causal, CausalContext, DotsExhausted, Increments};
use crate::{Lattice, ReplicaId};
use serde::{Deserialize, Serialize};

/// A counter up and down, with a reset that takes exactly what it has seen.
///
/// ```
/// use antiphon_lattice::{Lattice, ReplicaId, ResetCounter};
/// let (a, b) = (ReplicaId::from_u128(1), ReplicaId::from_u128(2));
/// let mut here = ResetCounter::default();
/// here.add(a, 5).unwrap();
/// let mut there = here.clone();
/// let reset = there.reset();
/// here.add(a, 1).unwrap();
/// here.join(reset);
/// assert_eq!(here.value(), 1, "the five are gone, and the one that was concurrent is not");
/// ```
///
/// # Promise
///
/// The value is the sum of the increments that no reset has seen: those before a reset never come back, those that are
/// concurrent to it are not lost. It holds under a key of an [`OrMap`](crate::OrMap) too, where removing the key is the
/// reset, because each increment has **a dot of its own, which holds that increment alone**.
///
/// The usual nested counter keeps a running sum for each replica, and there it goes wrong. If adding *changes* the sum
/// under the replica's dot, a reset that saw the dot takes the increments that it did not see. If adding takes a new dot
/// for the sum, that dot carries the old increments past the reset. (The tests beside this file show both.)
///
/// # Anomaly
///
/// Resets do not add up to "set to": two that are concurrent, each followed by its writer's own count, add the counts.
///
/// ```
/// use antiphon_lattice::{Lattice, ReplicaId, ResetCounter};
/// let (mut here, mut there) = (ResetCounter::default(), ResetCounter::default());
/// for (counter, id) in [(&mut here, 1), (&mut there, 2)] {
///     counter.reset();
///     counter.add(ReplicaId::from_u128(id), 10).unwrap();
/// }
/// assert_eq!(here.joined(there).value(), 20, "both meant ten");
/// ```
///
/// # Cost
///
/// 48 bytes for each *run* of increments: dots of one replica that follow each other and have one amount. Counting by
/// ones, that is one run a replica, however far it counts. Amounts that vary cost a run each until the next reset:
///
/// ```
/// use antiphon_lattice::{ReplicaId, ResetCounter};
/// let mut counter = ResetCounter::default();
/// for _ in 0..10_000 {
///     counter.add(ReplicaId::from_u128(1), 1).unwrap();
/// }
/// assert_eq!(serde_json::to_string(&counter).unwrap().len(), 119);
/// ```
///
/// `add` is O(log runs) and a memmove, `reset` and `value` are O(runs), the join is linear in both. Runs are the one
/// compaction that is safe: to replace several dots by one that holds their sum would carry what a concurrent reset has
/// seen past it. Only increments that were never sent may be added up first, and `add` takes an amount for that.
///
/// # Choose another
///
/// With one writer for each replica's count, and epochs in place of resets, a [`Tally`](crate::Tally) costs the same
/// however the amounts vary, and its reset (a new epoch) wins over everything before it, concurrent counts included.
///
/// # JSON
///
/// `{"store": {replica: [[first, last, amount]]}, "context": {replica: [[first, last]]}}`
///
/// # Source
///
/// Baquero, Almeida, Lerche, *The problem with embedded CRDT counters and a solution*, 2016, with dots for single
/// increments in place of its running sums.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ResetCounter(Causal<Increments>);

impl ResetCounter {
    /// Adds an amount, which may be negative, in the name of a replica, and returns the delta.
    pub fn add(&mut self, me: ReplicaId, amount: i64) -> Result<Self, DotsExhausted> {
        let delta = self.0.store().add_delta(self.0.context(), me, amount)?;
        Ok(Self(self.0.apply(delta)))
    }

    /// Takes back all increments that are here, and returns the delta.
    pub fn reset(&mut self) -> Self {
        Self(self.0.clear())
    }

    /// The sum. Saturates at the bounds of `i64`.
    pub fn value(&self) -> i64 {
        self.0.store().value()
    }

    /// What was seen.
    pub const fn context(&self) -> &CausalContext {
        self.0.context()
    }
}

impl Lattice for ResetCounter {
    fn join(&mut self, other: Self) -> bool {
        self.0.join(other.0)
    }

    fn covers(&self, other: &Self) -> bool {
        self.0.covers(&other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dot, DotFun, DotStore, OrMap};

    const A: ReplicaId = ReplicaId::from_u128(1);
    const B: ReplicaId = ReplicaId::from_u128(2);

    /// The naive counter: each replica keeps one dot, with its running sum. Adding takes a new dot, or keeps the old.
    fn naive_add(
        state: &mut Causal<DotFun<i64>>,
        me: ReplicaId,
        amount: i64,
        new_dot: bool,
    ) -> Causal<DotFun<i64>> {
        let own = state.store().iter().find(|(dot, _)| dot.replica == me).map(|(dot, sum)| (dot, *sum));
        let (old, sum) = own.unwrap_or_default();
        let dot = if new_dot || own.is_none() { state.context().next(me).unwrap() } else { old };
        let context = [old, dot].into_iter().collect();
        state.apply(Causal::new(DotFun::of(dot, sum + amount), context).unwrap())
    }

    fn naive_value(state: &Causal<DotFun<i64>>) -> i64 {
        state.store().values().sum()
    }

    /// Five are added and seen by a reset; one is added concurrently to it. One is right.
    #[test]
    fn the_anomalies_of_running_sums() {
        for (new_dot, wrong) in [(true, 6), (false, 0)] {
            let mut here = Causal::default();
            naive_add(&mut here, A, 5, new_dot);
            let reset = here.store().clear_delta();
            naive_add(&mut here, A, 1, new_dot);
            here.join(reset);
            assert_eq!(naive_value(&here), wrong, "six: the old five come back; none: the new one is lost");
        }
        let mut here = ResetCounter::default();
        here.add(A, 5).unwrap();
        let reset = here.clone().reset();
        here.add(A, 1).unwrap();
        here.join(reset);
        assert_eq!(here.value(), 1);
    }

    #[test]
    fn the_same_under_a_key() {
        let add = |map: &mut OrMap<u8, Increments>, me, amount| {
            map.update(0, |counter, seen| counter.add_delta(seen, me, amount)).unwrap()
        };
        let mut here = OrMap::default();
        add(&mut here, A, 5);
        let mut there = here.clone();
        let removal = there.remove(&0);
        let again = add(&mut there, B, 7);
        add(&mut here, A, 1);
        // The count after the removal arrives before it, the removal twice.
        for delta in [again, removal.clone(), removal] {
            here.join(delta);
        }
        assert_eq!(here.get(&0).map(Increments::value), Some(8));
    }

    #[test]
    fn sums_saturate_and_dots_run_out() {
        let mut counter = ResetCounter::default();
        for amount in [i64::MAX, i64::MAX, -1] {
            counter.add(A, amount).unwrap();
        }
        assert_eq!(counter.value(), i64::MAX);
        let text = format!(
            r#"{{"store":{{"{A}":[[1,18446744073709551615,-9223372036854775808]]}},"context":{{"{A}":[[1,18446744073709551615]]}}}}"#
        );
        let mut hostile: ResetCounter = serde_json::from_str(&text).unwrap();
        assert_eq!(hostile.value(), i64::MIN);
        assert_eq!(hostile.add(A, 1), Err(DotsExhausted { replica: A }));
        assert!(!hostile.join(hostile.clone()));
        assert!(counter.join(hostile.reset()));
        assert_eq!(counter.value(), 0);
    }

    #[test]
    fn runs_are_refused_that_overlap_or_run_backwards() {
        let read = |runs: &str| {
            let text = format!(r#"{{"store":{{"{A}":{runs}}},"context":{{"{A}":[[1,9]]}}}}"#);
            serde_json::from_str::<ResetCounter>(&text)
                .map(|counter| serde_json::to_string(&counter).unwrap())
        };
        let whole = format!(r#"{{"store":{{"{A}":[[1,5,1],[7,7,1]]}},"context":{{"{A}":[[1,9]]}}}}"#);
        assert_eq!(read("[[7,7,1],[4,5,1],[1,3,1],[6,6,0]]").unwrap(), whole);
        assert!(
            read("[[1,3,1],[3,4,1]]").unwrap_err().to_string().starts_with("two increments with the dot")
        );
        for runs in ["[[3,2,1]]", "[[0,1,1]]", "[[1,10,1]]", "[[1,2]]", "[1]", "[[1,2,9223372036854775808]]"]
        {
            assert!(read(runs).is_err(), "{runs}");
        }
    }

    /// Two amounts under one dot, in overlapping runs: the greater for each dot, whoever comes first.
    #[test]
    fn one_dot_with_two_amounts() {
        let of = |runs: &str, upto| -> ResetCounter {
            let text = format!(r#"{{"store":{{"{A}":{runs}}},"context":{{"{A}":[[1,{upto}]]}}}}"#);
            serde_json::from_str(&text).unwrap()
        };
        let (ours, theirs) = (of("[[1,6,1],[8,9,5]]", 9), of("[[2,3,2],[5,6,-1],[10,12,-1]]", 12));
        let expected = of("[[2,3,2],[5,6,1],[10,12,-1]]", 12);
        assert_eq!(ours.clone().joined(theirs.clone()), expected, "1, 4, 8 and 9 were removed there");
        assert_eq!(theirs.joined(ours), expected);
        assert_eq!(Dot { replica: A, counter: 13 }, expected.context().next(A).unwrap());
    }
}
