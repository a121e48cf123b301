//! The values that no later write has seen, and what was seen.

use crate::faults::note_identity_fault;
use crate::{Dot, Lattice, Map, ReplicaId, VersionVector};
use serde::{Deserialize, Deserializer, Serialize, de};

/// The values of one key of a store whose clients read, think, and write back: those that no later write has seen,
/// with what was seen, in one compact clock.
///
/// A client reads the [`values`](DottedVersionVectorSet::values) with their
/// [`context`](DottedVersionVectorSet::context), and writes back with that context at any replica. The write replaces
/// exactly what its client had read. Two clients that had read the same write siblings, and the next reader sees both.
///
/// # Promise
///
/// A value stays until a write or a discard whose client had read it. No write is lost silently, and none comes back.
/// The replica, and not the client, gives a write its identity, so clients need none: the vectors have an entry for
/// each replica that serves, however many clients there are.
///
/// # Anomaly
///
/// A client that writes without the context of what it read replaces nothing, and siblings heap up:
///
/// ```
/// use antiphon_lattice::{DottedVersionVectorSet, ReplicaId, VersionVector};
/// let server = ReplicaId::from_u128(1);
/// let mut key = DottedVersionVectorSet::default();
/// for value in ["one", "two", "three"] {
///     key.put(server, &VersionVector::default(), value);
/// }
/// assert_eq!(key.values().count(), 3);
/// key.put(server, &key.context(), "four");
/// assert_eq!(key.values().collect::<Vec<_>>(), [&"four"]);
/// ```
///
/// # Cost
///
/// Its values, and for each replica that ever served a write 48 bytes in memory and 57 in JSON. `put` and `discard` are
/// O(n log n + s) for n replicas and s siblings, `sync` (the join) too. A delta holds the context of the write, and the
/// siblings that the writing replica made itself.
///
/// A replica's number ends at 2⁶⁴ − 1, which only forged bytes bring about. A `put` there has no identity left: it
/// changes nothing and its delta is the bottom.
///
/// # Choose another
///
/// [`MvRegister`](crate::MvRegister), which is this one where the replica is its own client; [`Lww`](crate::Lww) if
/// one value is enough and a lost write is no harm; `OrSet` for a set of which elements are removed.
///
/// # JSON
///
/// An object from replica to `{"seen": n, "values": […]}`, where the values are those of the replica's last writes,
/// the oldest first. Fields that it does not know are skipped. An entry with more values than events is an error.
///
/// # Source
///
/// Almeida, Baquero, Gonçalves, Preguiça, Fonte, *Scalable and accurate causality tracking for eventually consistent
/// stores*, DAIS 2014, §5. Their values without a dot are not here: each value is put at a replica. One dot with two
/// values is a fault of identity: the greater value stays, which is why `T` is `Ord`, and
/// [`identity_faults`](crate::identity_faults) counts it.
///
/// ```
/// use antiphon_lattice::{DottedVersionVectorSet, Lattice, ReplicaId};
/// let [a, b] = [1, 2].map(ReplicaId::from_u128);
/// let mut at_a = DottedVersionVectorSet::default();
/// let first = at_a.put(a, &at_a.context(), "draft");
/// let mut at_b = first.clone();
///
/// let read = at_a.context(); // two clients have read the draft
/// let mine = at_a.put(a, &read, "mine");
/// at_b.put(b, &read, "yours");
/// at_b.join(mine);
/// assert_eq!(at_b.values().collect::<Vec<_>>(), [&"mine", &"yours"]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent, bound(serialize = "T: Serialize", deserialize = "T: Ord + Clone + Deserialize<'de>"))]
pub struct DottedVersionVectorSet<T>(Map<ReplicaId, Served<T>>);

impl<T> DottedVersionVectorSet<T> {
    /// The values that nobody replaced, in the order of their dots.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.0.values().flat_map(|served| &served.values)
    }

    /// The values with the identities of the writes that wrote them.
    pub fn entries(&self) -> impl Iterator<Item = (Dot, &T)> {
        self.0.iter().flat_map(|(&replica, served)| {
            let counters = served.replaced().saturating_add(1)..=served.seen;
            counters.zip(&served.values).map(move |(counter, value)| (Dot { replica, counter }, value))
        })
    }

    /// What was seen: all of the values, and what they replaced. A client gives it back with its write.
    pub fn context(&self) -> VersionVector {
        self.0.iter().map(|(&replica, served)| Dot { replica, counter: served.seen }).collect()
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.0.values().map(|served| served.values.len()).sum()
    }

    /// Whether there are no values. The bottom has none; nor has a key whose values were all discarded.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T: Ord + Clone> DottedVersionVectorSet<T> {
    /// Writes a value at a replica, in place of what the context covers. Returns the delta.
    ///
    /// The replica is the one at which this runs, and it does this to one copy of the key only: two copies would give
    /// two writes one identity.
    pub fn put(&mut self, replica: ReplicaId, context: &VersionVector, value: T) -> Self {
        if self.seen(replica).max(context.get(replica)) == u64::MAX {
            return Self::default();
        }
        let mut delta = self.discard(context);
        let mut served = self.0.get(&replica).cloned().unwrap_or_default();
        served.seen = served.seen.saturating_add(1);
        served.values.push(value);
        delta.0.join_entry(replica, served.clone());
        self.0.join_entry(replica, served);
        delta
    }

    /// Removes the values that the context covers. Returns the delta.
    pub fn discard(&mut self, context: &VersionVector) -> Self {
        let all_seen = |dot: Dot| (dot.replica, Served { seen: dot.counter, values: Vec::new() });
        let delta = Self(context.dots().map(all_seen).collect());
        self.join(delta.clone());
        delta
    }

    fn seen(&self, replica: ReplicaId) -> u64 {
        self.0.get(&replica).map_or(0, |served| served.seen)
    }
}

impl<T> Default for DottedVersionVectorSet<T> {
    fn default() -> Self {
        Self(Map::default())
    }
}

/// The paper's `sync`.
impl<T: Ord + Clone> Lattice for DottedVersionVectorSet<T> {
    fn join(&mut self, other: Self) -> bool {
        self.0.join(other.0)
    }

    fn covers(&self, other: &Self) -> bool {
        self.0.covers(&other.0)
    }
}

/// What one replica gave identities to: the events 1 to `seen`, of which the last ones have values that nobody
/// replaced. There are no gaps between those, since a context covers all of a replica's events up to one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
struct Served<T> {
    seen: u64,
    values: Vec<T>,
}

impl<T> Served<T> {
    /// The last event whose value was replaced: each one after it has a value.
    fn replaced(&self) -> u64 {
        self.seen.saturating_sub(u64::try_from(self.values.len()).unwrap_or(u64::MAX))
    }

    /// Drops the values of the events up to this one, and says whether there were any.
    fn replace_up_to(&mut self, event: u64) -> bool {
        let count = distance(self.replaced(), event).min(self.values.len());
        self.values.drain(..count);
        count > 0
    }
}

impl<T> Default for Served<T> {
    fn default() -> Self {
        Self { seen: 0, values: Vec::new() }
    }
}

impl<T: Ord + Clone> Lattice for Served<T> {
    fn join(&mut self, mut other: Self) -> bool {
        let mut grew = self.replace_up_to(other.replaced());
        other.replace_up_to(self.replaced());
        // The values of both begin after the same event now, unless one has none left.
        if other.seen > self.seen {
            let known = distance(other.replaced(), self.seen).min(other.values.len());
            self.values.extend(other.values.split_off(known));
            self.seen = other.seen;
            grew = true;
        }
        for (mine, theirs) in self.values.iter_mut().zip(other.values) {
            if *mine != theirs {
                note_identity_fault();
            }
            if theirs > *mine {
                *mine = theirs;
                grew = true;
            }
        }
        grew
    }

    fn covers(&self, other: &Self) -> bool {
        let shared = other.values.iter().skip(distance(other.replaced(), self.replaced()));
        self.seen >= other.seen
            && self.replaced() >= other.replaced()
            && self.values.iter().zip(shared).all(|(mine, theirs)| mine >= theirs)
    }
}

/// How many events there are after the one and up to the other.
fn distance(after: u64, up_to: u64) -> usize {
    usize::try_from(up_to.saturating_sub(after)).unwrap_or(usize::MAX)
}

/// As it was sent: with more values than events, perhaps.
#[derive(Deserialize)]
struct Sent<T> {
    seen: u64,
    values: Vec<T>,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Served<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Sent { seen, values } = Sent::deserialize(deserializer)?;
        let count = values.len();
        if u64::try_from(count).is_ok_and(|count| count <= seen) {
            return Ok(Self { seen, values });
        }
        Err(de::Error::custom(format_args!(
            "{count} values of {seen} events, but each value is of one event"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ReplicaId = ReplicaId::from_u128(1);

    fn at(replica: ReplicaId, counter: u64) -> VersionVector {
        VersionVector::up_to(Dot { replica, counter })
    }

    fn values<T: Copy>(set: &DottedVersionVectorSet<T>) -> Vec<T> {
        set.values().copied().collect()
    }

    /// Two clients, Peter and Mary, write at one server. The contexts that they had read decide, not who came last.
    #[test]
    fn a_write_replaces_what_its_client_had_read() {
        let mut key = DottedVersionVectorSet::default();
        // Context, value, and the values after it.
        let conversation = [
            (0, "v1", vec!["v1"]),
            (0, "v2", vec!["v1", "v2"]),
            (1, "v3", vec!["v2", "v3"]),
            (2, "v4", vec!["v3", "v4"]),
            (4, "v5", vec!["v5"]),
        ];
        for (context, value, expected) in conversation {
            key.put(A, &at(A, context), value);
            assert_eq!(values(&key), expected, "after {value}");
        }
        assert_eq!(key.entries().collect::<Vec<_>>(), [(Dot { replica: A, counter: 5 }, &"v5")]);
    }

    /// A context from elsewhere that knows more of this replica than the replica itself: an old copy was restored.
    #[test]
    fn no_identity_is_used_twice() {
        let mut key = DottedVersionVectorSet::default();
        key.put(A, &at(A, 9), "new");
        assert_eq!(key.entries().collect::<Vec<_>>(), [(Dot { replica: A, counter: 10 }, &"new")]);
    }

    #[test]
    fn the_last_number_has_no_successor() {
        let mut key = DottedVersionVectorSet::default();
        key.discard(&at(A, u64::MAX));
        let before = key.clone();
        assert_eq!(key.put(A, &VersionVector::default(), "late"), DottedVersionVectorSet::default());
        assert_eq!(key, before);
        let mut fresh = DottedVersionVectorSet::default();
        fresh.put(A, &at(A, u64::MAX - 1), "last");
        assert_eq!(fresh.entries().count(), 1, "the last number itself is one");
    }

    #[test]
    fn one_dot_with_two_values_keeps_the_greater() {
        let before = crate::identity_faults();
        let [mut one, mut two] = [0; 2].map(|_| DottedVersionVectorSet::default());
        one.put(A, &at(A, 0), "a");
        two.put(A, &at(A, 0), "b");
        assert_eq!(values(&one.clone().joined(two.clone())), ["b"]);
        assert_eq!(values(&two.joined(one)), ["b"]);
        assert!(crate::identity_faults() > before);
    }
}
