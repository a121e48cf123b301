//! Which events were seen.

use super::ranges::Ranges;
use crate::{Dot, Lattice, ReplicaId};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// A replica has used the greatest number that a [`Dot`] can have, or somebody says so.
///
/// No honest replica gets there: at one event a nanosecond it takes 584 years. So somewhere bytes were damaged or
/// forged. The replica takes another [`ReplicaId`] and goes on; what it has written stays valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DotsExhausted {
    /// Who cannot make another dot.
    pub replica: ReplicaId,
}

impl fmt::Display for DotsExhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "replica {} has no dots left, it needs another id", self.replica)
    }
}

impl std::error::Error for DotsExhausted {}

/// The causal context: which dots were seen, those of removed things included. The join is the union.
///
/// It is what lets a state forget. A dot that is in the context and not in the store was removed; one that is in
/// neither is news. So nothing that was removed has to be kept, neither as a tombstone nor by name.
///
/// ```
/// use antiphon_lattice::{CausalContext, Dot, Lattice, ReplicaId};
/// let dot = |counter| Dot { replica: ReplicaId::from_u128(1), counter };
/// let mut seen = CausalContext::of(dot(1));
/// seen.insert(dot(3));
/// assert!(!seen.contains(dot(2)) && seen.contains(dot(3)));
/// assert_eq!(seen.to_string(), "00000000000000000000000000000001: 1, 3");
/// seen.join(CausalContext::of(dot(2)));
/// assert_eq!(seen.to_string(), "00000000000000000000000000000001: 1-3", "the hole is closed");
/// assert_eq!(seen.next(dot(1).replica), Ok(dot(4)));
/// ```
///
/// # Promise
///
/// Exactly the dots that were inserted, in whatever order and however often they came, are contained. The form is
/// canonical: a version vector, and for each replica the ranges beyond its first hole (the paper's *dot cloud*), which
/// close as the missing dots arrive. Equal contexts are equal in bytes.
///
/// # Anomaly
///
/// It is only as good as the dots. Where two writers share one [`ReplicaId`] (a copied disk, a restored backup), each
/// takes the other's events for seen, and what they stand for is taken for removed:
///
/// ```
/// use antiphon_lattice::{Lattice, OrSet, ReplicaId};
/// let copied = ReplicaId::from_u128(1);
/// let (mut here, mut there) = (OrSet::default(), OrSet::default());
/// here.insert(copied, "a").unwrap();
/// there.insert(copied, "b").unwrap();
/// assert!(here.joined(there).is_empty(), "each says of the other's element: seen, and gone");
/// ```
///
/// # Cost
///
/// In memory 48 bytes a replica and 16 a hole; in JSON about 43 bytes a replica and 4 or more a hole. `contains` is
/// O(log replicas + log holes). Inserting is the same, and a memmove of the holes beyond. The join is linear in both.
///
/// # Choose another
///
/// Without holes, for what is delivered in order: a version vector. For one writer's chain: [`Max`](crate::Max).
///
/// # JSON
///
/// An object of replicas, each with its ranges from first to last: `{"0…01":[[1,5],[7,7]]}`. Decoding puts them in
/// order and unites them, and refuses a range that runs backwards.
///
/// # Source
///
/// Almeida, Shoker, Baquero, *Delta state replicated data types*, 2018, §7.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct CausalContext(Vec<(ReplicaId, Ranges)>);

impl CausalContext {
    /// The context of one dot.
    pub fn of(dot: Dot) -> Self {
        Self::from_iter([dot])
    }

    /// Whether the dot was seen. No dot has counter 0, so that one never was.
    pub fn contains(&self, dot: Dot) -> bool {
        self.ranges_of(dot.replica).is_some_and(|ranges| ranges.contains(dot.counter))
    }

    /// Adds a dot, and says whether it is news. Counter 0 is no dot, and none.
    pub fn insert(&mut self, dot: Dot) -> bool {
        self.insert_range(dot.replica, dot.counter, dot.counter)
    }

    /// Adds a replica's dots from the first to the last, and says whether any is news.
    pub fn insert_range(&mut self, replica: ReplicaId, first: u64, last: u64) -> bool {
        let range = (first.max(1), last);
        if range.0 > range.1 {
            return false;
        }
        match self.find(replica) {
            Ok(at) => self.0.get_mut(at).is_some_and(|(_, ranges)| ranges.insert(range)),
            Err(at) => {
                let mut ranges = Ranges::default();
                ranges.push(range);
                self.0.insert(at, (replica, ranges));
                true
            }
        }
    }

    /// The dot that a replica takes for its next event: one above all of its own. It is not inserted.
    pub fn next(&self, replica: ReplicaId) -> Result<Dot, DotsExhausted> {
        let next = self.last(replica).checked_add(1);
        next.map(|counter| Dot { replica, counter }).ok_or(DotsExhausted { replica })
    }

    /// The greatest counter that was seen of a replica, or 0.
    pub fn last(&self, replica: ReplicaId) -> u64 {
        self.ranges_of(replica).map_or(0, Ranges::last)
    }

    /// The greatest counter of a replica up to which none is missing, or 0: its entry in a version vector.
    pub fn seen_up_to(&self, replica: ReplicaId) -> u64 {
        self.ranges_of(replica).map_or(0, Ranges::upto)
    }

    /// Whether no dot was seen.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The replicas of which something was seen, in order.
    pub fn replicas(&self) -> impl Iterator<Item = ReplicaId> + '_ {
        self.0.iter().map(|(replica, _)| *replica)
    }

    /// All that was seen, as (replica, first, last), in order. A range may be longer than anyone could count through.
    pub fn ranges(&self) -> impl Iterator<Item = (ReplicaId, u64, u64)> + '_ {
        self.0.iter().flat_map(|(replica, ranges)| ranges.iter().map(|(first, last)| (*replica, first, last)))
    }

    /// What was seen here and not there.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        self.of_each(|replica, ours| other.ranges_of(replica).map_or_else(|| ours.clone(), |o| ours.minus(o)))
    }

    /// What was seen here and there.
    #[must_use]
    pub fn common(&self, other: &Self) -> Self {
        self.of_each(|replica, ours| {
            other.ranges_of(replica).map_or_else(Ranges::default, |o| ours.common(o))
        })
    }

    fn of_each(&self, ranges: impl Fn(ReplicaId, &Ranges) -> Ranges) -> Self {
        let each = self.0.iter().map(|(replica, ours)| (*replica, ranges(*replica, ours)));
        Self(each.filter(|(_, ranges)| !ranges.is_empty()).collect())
    }

    fn find(&self, replica: ReplicaId) -> Result<usize, usize> {
        self.0.binary_search_by_key(&replica, |(id, _)| *id)
    }

    pub(super) fn ranges_of(&self, replica: ReplicaId) -> Option<&Ranges> {
        let (_, ranges) = self.0.get(self.find(replica).ok()?)?;
        Some(ranges)
    }
}

impl Lattice for CausalContext {
    fn join(&mut self, other: Self) -> bool {
        let (mut grew, mut strangers) = (false, Vec::new());
        for (replica, ranges) in other.0 {
            match self.find(replica).ok().and_then(|at| self.0.get_mut(at)) {
                Some((_, ours)) => grew |= ours.join(&ranges),
                None => strangers.push((replica, ranges)),
            }
        }
        if !strangers.is_empty() {
            grew = true;
            self.0.append(&mut strangers);
            self.0.sort_by_key(|(replica, _)| *replica); // two sorted runs: linear
        }
        grew
    }

    fn covers(&self, other: &Self) -> bool {
        let mut all = other.0.iter();
        all.all(|(replica, theirs)| self.ranges_of(*replica).is_some_and(|ours| ours.covers(theirs)))
    }
}

impl FromIterator<Dot> for CausalContext {
    fn from_iter<I: IntoIterator<Item = Dot>>(dots: I) -> Self {
        let mut seen = Self::default();
        for dot in dots {
            seen.insert(dot);
        }
        seen
    }
}

/// `replica: 1-5, 7; replica: 1`, for people.
impl fmt::Display for CausalContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, (replica, ranges)) in self.0.iter().enumerate() {
            write!(f, "{}{replica}: ", if nth > 0 { "; " } else { "" })?;
            for (nth, (first, last)) in ranges.iter().enumerate() {
                write!(f, "{}{first}", if nth > 0 { ", " } else { "" })?;
                if last > first {
                    write!(f, "-{last}")?;
                }
            }
        }
        Ok(())
    }
}

impl Serialize for CausalContext {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(id, ranges)| (id, ranges.iter().collect::<Vec<_>>())))
    }
}

impl<'de> Deserialize<'de> for CausalContext {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries)
    }
}

struct Entries;

impl<'de> de::Visitor<'de> for Entries {
    type Value = CausalContext;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map from replicas to the ranges of their dots")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut entries: A) -> Result<CausalContext, A::Error> {
        let mut seen = Vec::new();
        while let Some((replica, mut ranges)) = entries.next_entry::<ReplicaId, Vec<(u64, u64)>>()? {
            if let Some((first, last)) = ranges.iter().find(|(first, last)| first > last) {
                return Err(A::Error::custom(format_args!("a range of dots from {first} back to {last}")));
            }
            ranges.sort_unstable();
            let mut united = Ranges::default();
            for range in ranges {
                united.push(range);
            }
            if !united.is_empty() {
                seen.push((replica, united));
            }
        }
        // A replica that stands twice is united too.
        seen.sort_by_key(|(replica, _)| *replica);
        seen.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                kept.1.join(&later.1);
            }
            same
        });
        Ok(CausalContext(seen))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ReplicaId = ReplicaId::from_u128(1);
    const B: ReplicaId = ReplicaId::from_u128(2);

    fn dot(replica: ReplicaId, counter: u64) -> Dot {
        Dot { replica, counter }
    }

    #[test]
    fn every_order_of_arrival_has_one_form() {
        let all = [dot(A, 1), dot(A, 2), dot(A, 3), dot(B, 1), dot(B, 3)];
        let expected = all.into_iter().collect::<CausalContext>();
        for skip in 0..all.len() {
            let turned = all.iter().cycle().skip(skip).take(all.len()).copied();
            assert_eq!(turned.clone().collect::<CausalContext>(), expected);
            let joined =
                turned.fold(CausalContext::default(), |seen, dot| seen.joined(CausalContext::of(dot)));
            assert_eq!(joined, expected);
        }
        assert_eq!((expected.seen_up_to(A), expected.seen_up_to(B), expected.last(B)), (3, 1, 3));
    }

    #[test]
    fn no_dot_has_the_counter_0() {
        let mut seen = CausalContext::default();
        assert!(!seen.insert(dot(A, 0)));
        assert!(seen.is_empty() && !seen.contains(dot(A, 0)));
    }

    #[test]
    fn the_last_dot_is_the_last() {
        let mut seen = CausalContext::of(dot(A, u64::MAX));
        assert_eq!(seen.next(A), Err(DotsExhausted { replica: A }));
        assert_eq!(seen.next(B), Ok(dot(B, 1)));
        assert!(seen.insert(dot(A, u64::MAX - 1)));
        assert_eq!(seen.ranges().collect::<Vec<_>>(), [(A, u64::MAX - 1, u64::MAX)]);
    }

    #[test]
    fn decoding_normalises_or_refuses() {
        let read = |text: &str| serde_json::from_str::<CausalContext>(text);
        let id = A.to_string();
        let seen = read(&format!(r#"{{"{id}":[[4,4],[0,2],[2,3]],"{B}":[[0,0]],"{id}":[[6,7]]}}"#)).unwrap();
        assert_eq!(serde_json::to_string(&seen).unwrap(), format!(r#"{{"{id}":[[1,4],[6,7]]}}"#));
        let backwards = read(&format!(r#"{{"{id}":[[3,2]]}}"#)).unwrap_err().to_string();
        assert!(backwards.starts_with("a range of dots from 3 back to 2 at line 1"), "{backwards}");
        for text in
            ["null", "[]", r#"{"1":[]}"#, &format!(r#"{{"{id}":[[1]]}}"#), &format!(r#"{{"{id}":5}}"#)]
        {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn set_algebra() {
        let ours: CausalContext = [dot(A, 1), dot(A, 2), dot(B, 5)].into_iter().collect();
        let theirs: CausalContext = [dot(A, 2), dot(A, 3)].into_iter().collect();
        assert_eq!(ours.minus(&theirs), [dot(A, 1), dot(B, 5)].into_iter().collect());
        assert_eq!(ours.common(&theirs), CausalContext::of(dot(A, 2)));
        assert!(ours.minus(&ours).is_empty());
    }
}
