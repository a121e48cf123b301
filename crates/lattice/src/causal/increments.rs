//! The increments of a counter, each with its dot.

use super::ranges::{Range, overlaps, subtract};
use super::{Causal, CausalContext, DotStore, DotsExhausted};
use crate::faults::note_identity_fault;
use crate::{Dot, ReplicaId};
use serde::de::Error as _;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// The store of a counter that can be reset: one dot for each increment, kept as runs of equal ones.
///
/// [`ResetCounter`](crate::ResetCounter) is this alone, and its page says what it promises. Nest it in an
/// [`OrMap`](crate::OrMap) for a counter under each key.
///
/// ```
/// use antiphon_lattice::{Increments, OrMap, ReplicaId};
/// let me = ReplicaId::from_u128(1);
/// let mut claps: OrMap<&str, Increments> = OrMap::default();
/// for _ in 0..1_000 {
///     claps.update("part 1", |counter, seen| counter.add_delta(seen, me, 1)).unwrap();
/// }
/// let counter = claps.get("part 1").unwrap();
/// assert_eq!((counter.value(), counter.runs()), (1_000, 1));
/// ```
///
/// # Promise
///
/// The value is the sum of the increments that are live. No increment is counted twice, none is lost to another, and a
/// reset takes exactly those that it has seen.
///
/// # Anomaly
///
/// Under one dot with two amounts (a copied replica), the greater is kept, and
/// [`identity_faults`](crate::identity_faults) counts it: one of two increments is lost.
///
/// ```
/// use antiphon_lattice::{Increments, Lattice, ReplicaId};
/// let copied = ReplicaId::from_u128(1);
/// let added = |amount| Increments::default().add_delta(&Default::default(), copied, amount).unwrap();
/// assert_eq!(added(5).joined(added(-3)).store().value(), 5);
/// ```
///
/// # Cost
///
/// 48 bytes a run in memory, some 10 in JSON and 37 a replica. A run ends where the amount changes, or where the replica
/// used a dot of the same context for something else: so 1,000 increments of one are one run in a counter alone, and
/// up to 1,000 in a map whose keys take turns. Adding is O(log runs) and a memmove, the join linear in the runs.
///
/// # Choose another
///
/// A counter that is never reset needs no dots: [`Tally`](crate::Tally).
///
/// # JSON
///
/// An object of replicas, each with its runs `[first, last, amount]`. Decoding puts them in order, leaves out amounts of
/// zero, and refuses runs that overlap or run backwards.
///
/// # Source
///
/// Baquero, Almeida, Lerche, *The problem with embedded CRDT counters and a solution*, 2016; the runs are ours.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Increments(Vec<Run>);

/// Dots of one replica that follow each other, each with the same amount. In order of the dots, and never two that could
/// be one, so one state has one form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Run {
    replica: ReplicaId,
    first: u64,
    last: u64,
    amount: i64,
}

impl Run {
    const fn range(&self) -> Range {
        (self.first, self.last)
    }

    /// Whether the other is the continuation of this one.
    fn goes_on_as(&self, next: &Self) -> bool {
        self.replica == next.replica
            && self.amount == next.amount
            && self.last.checked_add(1) == Some(next.first)
    }
}

/// How many runs are inserted one by one.
const FEW: usize = 4;

impl Increments {
    /// The sum. Saturates at the bounds of `i64`.
    pub fn value(&self) -> i64 {
        let sum = self.0.iter().fold(0_i128, |sum, run| {
            let length = i128::from(run.last - run.first) + 1;
            sum.saturating_add(length.saturating_mul(i128::from(run.amount)))
        });
        i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX })
    }

    /// How many runs are kept.
    pub const fn runs(&self) -> usize {
        self.0.len()
    }

    /// The delta that adds an amount, which may be negative, in the name of a replica. Of 0, it is the bottom.
    ///
    /// Ten increments that nobody has heard of yet may as well be one of ten.
    pub fn add_delta(
        &self,
        context: &CausalContext,
        me: ReplicaId,
        amount: i64,
    ) -> Result<Causal<Self>, DotsExhausted> {
        if amount == 0 {
            return Ok(Causal::default());
        }
        let Dot { replica, counter } = context.next(me)?;
        let run = Run { replica, first: counter, last: counter, amount };
        Ok(Causal::held(Self(vec![run]), CausalContext::of(Dot { replica, counter })))
    }

    /// Adds runs that come in order and do not overlap.
    fn of_runs(runs: impl IntoIterator<Item = Run>) -> Self {
        let mut joined: Vec<Run> = Vec::new();
        for run in runs {
            match joined.last_mut() {
                Some(before) if before.goes_on_as(&run) => before.last = run.last,
                _ => joined.push(run),
            }
        }
        Self(joined)
    }

    /// Adds a run of which no dot is here.
    fn insert(&mut self, mut run: Run) {
        let at = self.0.partition_point(|other| *other < run);
        let (mut from, mut to) = (at, at);
        if let Some(before) = at.checked_sub(1).and_then(|before| self.0.get(before))
            && before.goes_on_as(&run)
        {
            (run.first, from) = (before.first, at - 1);
        }
        if let Some(after) = self.0.get(at)
            && run.goes_on_as(after)
        {
            (run.last, to) = (after.last, at + 1);
        }
        self.0.splice(from..to, [run]);
    }

    /// The runs of each replica.
    fn by_replica(&self) -> impl Iterator<Item = (ReplicaId, &[Run])> {
        let groups = self.0.chunk_by(|a, b| a.replica == b.replica);
        groups.filter_map(|runs| runs.first().map(|run| (run.replica, runs)))
    }

    /// The pieces of runs that are outside of a context.
    fn outside(&self, seen: &CausalContext, pieces: &mut Vec<Run>) {
        for (replica, runs) in self.by_replica() {
            let Some(seen) = seen.ranges_of(replica) else {
                pieces.extend_from_slice(runs);
                continue;
            };
            let mut seen = seen.iter().peekable();
            for run in runs {
                let piece = |(first, last)| pieces.push(Run { first, last, ..*run });
                subtract(run.range(), &mut seen, piece);
            }
        }
    }

    /// The pieces that are on both sides.
    fn common(&self, other: &Self, pieces: &mut Vec<Run>) {
        let mut theirs = other.by_replica().peekable();
        for (replica, ours) in self.by_replica() {
            while theirs.next_if(|(their, _)| *their < replica).is_some() {}
            let Some((_, theirs)) = theirs.next_if(|(their, _)| *their == replica) else {
                continue;
            };
            overlaps(
                ours.iter(),
                theirs.iter(),
                |a| a.range(),
                |b| b.range(),
                |a, b, (first, last)| {
                    if a.amount != b.amount {
                        note_identity_fault();
                    }
                    pieces.push(Run { replica, first, last, amount: a.amount.max(b.amount) });
                },
            );
        }
    }
}

impl DotStore for Increments {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn add_dots_to(&self, context: &mut CausalContext) {
        for run in &self.0 {
            context.insert_range(run.replica, run.first, run.last);
        }
    }

    fn join_causal(&mut self, seen: &CausalContext, other: Self, other_seen: &CausalContext) -> bool {
        if *self == other {
            return false;
        }
        if other.0.len() <= FEW && other_seen.common(seen).is_empty() {
            let grew = !other.0.is_empty();
            other.0.into_iter().for_each(|run| self.insert(run));
            return grew;
        }
        let mut pieces = Vec::with_capacity(self.0.len());
        self.common(&other, &mut pieces);
        self.outside(other_seen, &mut pieces);
        other.outside(seen, &mut pieces);
        pieces.sort_unstable();
        let joined = Self::of_runs(pieces);
        let changed = joined != *self;
        *self = joined;
        changed
    }

    fn forget(&mut self, seen: &CausalContext) -> bool {
        let mut pieces = Vec::with_capacity(self.0.len());
        self.outside(seen, &mut pieces);
        let changed = pieces != self.0;
        self.0 = pieces;
        changed
    }
}

impl Serialize for Increments {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut replicas = serializer.serialize_map(Some(self.by_replica().count()))?;
        for (replica, runs) in self.by_replica() {
            let runs: Vec<_> = runs.iter().map(|run| (run.first, run.last, run.amount)).collect();
            replicas.serialize_entry(&replica, &runs)?;
        }
        replicas.end()
    }
}

impl<'de> Deserialize<'de> for Increments {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries)
    }
}

struct Entries;

impl<'de> de::Visitor<'de> for Entries {
    type Value = Increments;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map from replicas to runs of increments")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut entries: A) -> Result<Increments, A::Error> {
        let mut runs = Vec::new();
        while let Some((replica, of_one)) = entries.next_entry::<ReplicaId, Vec<(u64, u64, i64)>>()? {
            for (first, last, amount) in of_one {
                if first > last || first == 0 {
                    return Err(A::Error::custom(format_args!("a run of increments from {first} to {last}")));
                }
                runs.push(Run { replica, first, last, amount });
            }
        }
        runs.sort_unstable();
        let overlap = |two: &&[Run]| matches!(two, [a, b] if a.replica == b.replica && b.first <= a.last);
        if let Some([_, Run { replica, first: counter, .. }]) = runs.windows(2).find(overlap) {
            let dot = Dot { replica: *replica, counter: *counter };
            return Err(A::Error::custom(format_args!("two increments with the dot {dot}")));
        }
        Ok(Increments::of_runs(runs.into_iter().filter(|run| run.amount != 0)))
    }
}
