//! Dots and nothing else.

use super::{Causal, CausalContext, DotStore, DotsExhausted};
use crate::{Dot, ReplicaId};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A set of dots: the store of whatever is only there or not there.
///
/// Under a key of a [`DotMap`](crate::DotMap) it makes an element of a set; alone it makes a flag. Nearly always it
/// holds one dot, which then stands inline; several are writes that did not see each other.
///
/// ```
/// use antiphon_lattice::{Causal, DotSet, Lattice, ReplicaId};
/// let mut here: Causal<DotSet> = Causal::default();
/// for _ in 0..3 {
///     here.apply(here.store().renew_delta(here.context(), ReplicaId::from_u128(1)).unwrap());
/// }
/// assert_eq!(here.store().len(), 1, "a write replaces what it has seen");
/// ```
///
/// # Promise
///
/// After the join a dot is in the set if both sides have it, or one has it and the other has not seen it.
///
/// # Anomaly
///
/// Concurrent writes are all kept until somebody who has seen them writes, so a set may hold one dot for each replica:
///
/// ```
/// use antiphon_lattice::{Causal, DotSet, Lattice, ReplicaId};
/// let written = |id| DotSet::default().renew_delta(&Default::default(), ReplicaId::from_u128(id)).unwrap();
/// assert_eq!(written(1).joined(written(2)).store().len(), 2);
/// ```
///
/// # Cost
///
/// 32 bytes in memory, and 32 more for each dot if there are several; in JSON 51 bytes a dot. The join is
/// O(n log n) in the few dots, and allocates only if several remain.
///
/// # Choose another
///
/// With a value for each dot: [`DotFun`](crate::DotFun).
///
/// # JSON
///
/// An array of dots in order.
///
/// # Source
///
/// Almeida, Shoker, Baquero, *Delta state replicated data types*, 2018, §7.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct DotSet(Dots);

/// Two fields rather than a [`Dot`], so that the tag takes the place of its padding: 32 bytes instead of 48.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Dots {
    One(ReplicaId, u64),
    /// None, or two and more, in order.
    Many(Vec<Dot>),
}

impl Default for Dots {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl DotSet {
    /// The set of one dot, whose counter is not 0.
    pub const fn of(dot: Dot) -> Self {
        Self(Dots::One(dot.replica, dot.counter))
    }

    /// The dots, in order.
    pub fn iter(&self) -> impl Iterator<Item = Dot> + '_ {
        let (one, many): (_, &[Dot]) = match &self.0 {
            Dots::One(replica, counter) => (Some(Dot { replica: *replica, counter: *counter }), &[]),
            Dots::Many(dots) => (None, dots),
        };
        one.into_iter().chain(many.iter().copied())
    }

    /// How many dots there are.
    pub const fn len(&self) -> usize {
        match &self.0 {
            Dots::One(..) => 1,
            Dots::Many(dots) => dots.len(),
        }
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the dot is here.
    pub fn contains(&self, dot: Dot) -> bool {
        match &self.0 {
            Dots::One(replica, counter) => *counter == dot.counter && *replica == dot.replica,
            Dots::Many(dots) => dots.binary_search(&dot).is_ok(),
        }
    }

    /// The delta of a write: a new dot of `me`, in the place of all that are here.
    pub fn renew_delta(&self, context: &CausalContext, me: ReplicaId) -> Result<Causal<Self>, DotsExhausted> {
        let dot = context.next(me)?;
        let mut replaced = self.dots();
        replaced.insert(dot);
        Ok(Causal::held(Self::of(dot), replaced))
    }

    /// Whether a dot that may be in the other set survives there.
    fn kept(dot: Dot, there: &Self, seen_there: &CausalContext) -> bool {
        there.contains(dot) || !seen_there.contains(dot)
    }
}

impl FromIterator<Dot> for DotSet {
    fn from_iter<I: IntoIterator<Item = Dot>>(dots: I) -> Self {
        let mut dots = dots.into_iter();
        let (Some(one), two) = (dots.next(), dots.next()) else {
            return Self::default();
        };
        let Some(two) = two else {
            return Self::of(one);
        };
        let mut many: Vec<Dot> = [one, two].into_iter().chain(dots).collect();
        many.sort_unstable();
        many.dedup();
        match *many.as_slice() {
            [one] => Self::of(one),
            _ => Self(Dots::Many(many)),
        }
    }
}

impl DotStore for DotSet {
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn add_dots_to(&self, context: &mut CausalContext) {
        for dot in self.iter() {
            context.insert(dot);
        }
    }

    fn join_causal(&mut self, seen: &CausalContext, other: Self, other_seen: &CausalContext) -> bool {
        if *self == other {
            return false;
        }
        let is_news = |dot: &Dot| !seen.contains(*dot); // so it is not here either
        if self.iter().all(|dot| Self::kept(dot, &other, other_seen))
            && !other.iter().any(|dot| is_news(&dot))
        {
            return false;
        }
        let ours = self.iter().filter(|dot| Self::kept(*dot, &other, other_seen));
        *self = ours.chain(other.iter().filter(is_news)).collect();
        true
    }

    fn forget(&mut self, seen: &CausalContext) -> bool {
        let meets = self.meets(seen);
        if meets {
            *self = self.iter().filter(|dot| !seen.contains(*dot)).collect();
        }
        meets
    }

    fn meets(&self, seen: &CausalContext) -> bool {
        self.iter().any(|dot| seen.contains(dot))
    }

    fn covers_causal(&self, seen: &CausalContext, other: &Self, other_seen: &CausalContext) -> bool {
        self == other
            || (self.iter().all(|dot| Self::kept(dot, other, other_seen))
                && other.iter().all(|dot| Self::kept(dot, self, seen) == self.contains(dot)))
    }
}

impl Serialize for DotSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for DotSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let dots = Vec::<Dot>::deserialize(deserializer)?;
        match dots.iter().find(|dot| dot.counter == 0) {
            None => Ok(dots.into_iter().collect()),
            Some(dot) => Err(de::Error::custom(format_args!("{dot} is the dot of no event"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_dot_is_inline() {
        assert_eq!(size_of::<DotSet>(), 32);
        let dot = |counter| Dot { replica: ReplicaId::from_u128(1), counter };
        assert_eq!([dot(1), dot(1)].into_iter().collect::<DotSet>(), DotSet::of(dot(1)));
        assert_eq!([dot(2), dot(1), dot(2)].into_iter().collect::<DotSet>().len(), 2);
        let text = serde_json::to_string(&DotSet::of(dot(1))).unwrap();
        assert_eq!(text.len(), 2 + 51);
    }
}
