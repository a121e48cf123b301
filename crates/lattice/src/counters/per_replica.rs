//! Numbers for every replica, each of which only rises.

use crate::ReplicaId;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

/// So many replicas fit without an allocation. Most counters are written at a few places, and whoever joins two rows
/// clones one of them first: with a `Vec`, two thirds of that time would go to the allocator.
const FEW: usize = 4;

/// What one replica wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Entry<const N: usize> {
    pub(super) replica: ReplicaId,
    pub(super) numbers: [u64; N],
}

impl<const N: usize> Entry<N> {
    const BOTTOM: Self = Self { replica: ReplicaId::NIL, numbers: [0; N] };

    #[inline]
    fn raise(&mut self, numbers: &[u64; N]) {
        for (mine, its) in self.numbers.iter_mut().zip(numbers) {
            *mine = (*mine).max(*its);
        }
    }

    #[inline]
    fn is_above(&self, numbers: &[u64; N]) -> bool {
        self.numbers.iter().zip(numbers).all(|(mine, its)| mine >= its)
    }
}

/// `N` numbers for every replica: the entries in the order of the replicas, without those that are all 0.
#[derive(Clone, Debug)]
pub(super) struct PerReplica<const N: usize>(Entries<N>);

#[derive(Clone, Debug)]
enum Entries<const N: usize> {
    Few { many: usize, entries: [Entry<N>; FEW] },
    Many(Vec<Entry<N>>),
}

impl<const N: usize> PerReplica<N> {
    pub(super) fn of(replica: ReplicaId, numbers: [u64; N]) -> Self {
        let mut entries = [Entry::BOTTOM; FEW];
        let many = usize::from(numbers != [0; N]);
        if let Some(first) = entries.first_mut()
            && many == 1
        {
            *first = Entry { replica, numbers };
        }
        Self(Entries::Few { many, entries })
    }

    #[inline]
    pub(super) fn entries(&self) -> &[Entry<N>] {
        match &self.0 {
            Entries::Few { many, entries } => entries.get(..*many).unwrap_or_default(),
            Entries::Many(entries) => entries,
        }
    }

    #[inline]
    fn entries_mut(&mut self) -> &mut [Entry<N>] {
        match &mut self.0 {
            Entries::Few { many, entries } => entries.get_mut(..*many).unwrap_or_default(),
            Entries::Many(entries) => entries,
        }
    }

    pub(super) fn get(&self, replica: ReplicaId) -> [u64; N] {
        let at = self.entries().binary_search_by_key(&replica, |entry| entry.replica);
        at.ok().and_then(|at| self.entries().get(at)).map_or([0; N], |entry| entry.numbers)
    }

    /// Two states of the same few replicas, the usual case, are joined in place. Inlined, since that is cheaper than to
    /// hand a counter over; and nothing borrows `other` here, so that the copy which a caller made for us is never made.
    #[expect(clippy::inline_always, reason = "measured: a call costs as much as the join")]
    #[inline(always)]
    pub(super) fn join(&mut self, other: Self) -> bool {
        match (&mut self.0, other.0) {
            (Entries::Few { many, entries: ours }, Entries::Few { many: as_many, entries: theirs }) => {
                let (many, mut is_same, mut grew) = (*many, *many == as_many, false);
                for (mine, its) in ours.iter().zip(&theirs).take(many) {
                    is_same &= mine.replica == its.replica;
                    grew |= !mine.is_above(&its.numbers);
                }
                if !is_same {
                    return self.merge_few(as_many, theirs);
                }
                if grew {
                    let both = ours.iter_mut().zip(&theirs).take(many);
                    both.for_each(|(mine, its)| mine.raise(&its.numbers));
                }
                grew
            }
            (Entries::Many(_), Entries::Few { many, entries }) => self.merge_few(many, entries),
            (_, Entries::Many(theirs)) => self.merge(&theirs),
        }
    }

    #[inline(never)]
    fn merge_few(&mut self, many: usize, entries: [Entry<N>; FEW]) -> bool {
        self.merge(entries.get(..many).unwrap_or_default())
    }

    #[inline(never)]
    fn merge(&mut self, theirs: &[Entry<N>]) -> bool {
        let (mut grew, mut new) = (false, Vec::new());
        let mut ours = self.entries_mut().iter_mut().peekable();
        for its in theirs {
            while ours.next_if(|mine| mine.replica < its.replica).is_some() {}
            match ours.next_if(|mine| mine.replica == its.replica) {
                Some(mine) => {
                    grew |= !mine.is_above(&its.numbers);
                    mine.raise(&its.numbers);
                }
                None => new.push(*its),
            }
        }
        grew |= !new.is_empty();
        self.extend(new);
        grew
    }

    /// Takes in entries of replicas that are not here.
    fn extend(&mut self, mut new: Vec<Entry<N>>) {
        match &mut self.0 {
            Entries::Few { many, entries } if *many + new.len() <= FEW => {
                for entry in new {
                    if let Some(free) = entries.get_mut(*many) {
                        *free = entry;
                        *many += 1;
                    }
                }
                self.entries_mut().sort_unstable_by_key(|entry| entry.replica);
            }
            Entries::Few { many, entries } => {
                new.extend(entries.iter().take(*many));
                new.sort_unstable_by_key(|entry| entry.replica);
                self.0 = Entries::Many(new);
            }
            Entries::Many(entries) => {
                entries.append(&mut new);
                entries.sort_by_key(|entry| entry.replica); // two sorted runs: one pass
            }
        }
    }

    pub(super) fn covers(&self, other: &Self) -> bool {
        let mut ours = self.entries().iter();
        other.entries().iter().all(|its| {
            let mine = ours.find(|mine| mine.replica >= its.replica);
            mine.is_some_and(|mine| mine.replica == its.replica && mine.is_above(&its.numbers))
        })
    }

    /// The state of these entries. Those of one replica are joined, and bottoms left out.
    pub(super) fn collect(entries: impl IntoIterator<Item = (ReplicaId, [u64; N])>) -> Self {
        let mut joined: BTreeMap<ReplicaId, [u64; N]> = BTreeMap::new();
        for (replica, numbers) in entries {
            for (mine, its) in joined.entry(replica).or_insert([0; N]).iter_mut().zip(numbers) {
                *mine = its.max(*mine);
            }
        }
        let mut state = Self::default();
        joined.retain(|_, numbers| *numbers != [0; N]);
        state.extend(joined.into_iter().map(|(replica, numbers)| Entry { replica, numbers }).collect());
        state
    }
}

impl<const N: usize> Default for PerReplica<N> {
    fn default() -> Self {
        Self(Entries::Few { many: 0, entries: [Entry::BOTTOM; FEW] })
    }
}

/// By the entries: what lies unused behind them says nothing.
impl<const N: usize> PartialEq for PerReplica<N> {
    fn eq(&self, other: &Self) -> bool {
        self.entries() == other.entries()
    }
}

impl<const N: usize> Eq for PerReplica<N> {}

impl<const N: usize> Hash for PerReplica<N> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.entries().hash(state);
    }
}

/// An object in the order of its keys, read with each repeated key joined.
macro_rules! as_object {
    ($type:ident, $expecting:literal, $to:expr, $from:expr) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let entries = self.0.entries();
                serializer.collect_map(entries.iter().map(|entry| (entry.replica, $to(entry.numbers))))
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Entries;

                impl<'de> serde::de::Visitor<'de> for Entries {
                    type Value = $type;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str($expecting)
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<$type, A::Error> {
                        let mut entries = Vec::new();
                        while let Some((replica, numbers)) = map.next_entry()? {
                            entries.push((replica, $from(numbers)));
                        }
                        Ok($type(PerReplica::collect(entries)))
                    }
                }

                deserializer.deserialize_map(Entries)
            }
        }
    };
}
pub(super) use as_object;

#[cfg(test)]
mod tests {
    use super::PerReplica;
    use crate::ReplicaId;

    fn of(entries: &[(u8, u64)]) -> PerReplica<1> {
        PerReplica::collect(
            entries.iter().map(|(id, number)| (ReplicaId::from_u128((*id).into()), [*number])),
        )
    }

    /// Across the step from few entries to many, with the new ones before, between and after.
    #[test]
    fn every_pair_of_sets_of_six_replicas() {
        let set = |bits: u8, number: u64| -> Vec<(u8, u64)> {
            (0..6).filter(|bit| bits >> bit & 1 == 1).map(|bit| (bit, number + u64::from(bit % 2))).collect()
        };
        for ours in 0..64_u8 {
            for theirs in 0..64_u8 {
                for (mine, its) in [(1, 1), (1, 2), (2, 1)] {
                    let (ours, theirs) = (set(ours, mine), set(theirs, its));
                    let both: Vec<_> = ours.iter().chain(&theirs).copied().collect();
                    let (mut left, right) = (of(&ours), of(&theirs));
                    let grew = left.join(right.clone());
                    assert_eq!(left, of(&both));
                    assert_eq!(grew, left != of(&ours));
                    assert_eq!(grew, !of(&ours).covers(&right));
                    for (id, number) in &both {
                        assert!(left.get(ReplicaId::from_u128((*id).into())) >= [*number]);
                    }
                }
            }
        }
    }

    #[test]
    fn bottoms_are_not_stored() {
        assert_eq!(of(&[(1, 0), (2, 0)]), PerReplica::default());
        assert_eq!(PerReplica::of(ReplicaId::from_u128(1), [0]), PerReplica::<1>::default());
    }
}
