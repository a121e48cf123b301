//! The last word on each element.

use crate::faults::note_identity_fault;
use crate::{Lattice, Stamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::collections::{BTreeMap, btree_map};
use std::fmt::Debug;
use std::marker::PhantomData;

/// Which word stands where an insertion and a removal of one element have one stamp: [`AddWins`] or [`RemoveWins`].
pub trait LwwBias: sealed::Sealed + Copy + Debug + Default + Ord + std::hash::Hash {
    /// Whether it is the insertion.
    const ADD_WINS: bool;
    /// Its name in JSON.
    const NAME: &'static str;
}

/// Of two words with one stamp, the insertion stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddWins;

/// Of two words with one stamp, the removal stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RemoveWins;

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::AddWins {}
    impl Sealed for super::RemoveWins {}
}

impl LwwBias for AddWins {
    const ADD_WINS: bool = true;
    const NAME: &'static str = "add-wins";
}

impl LwwBias for RemoveWins {
    const ADD_WINS: bool = false;
    const NAME: &'static str = "remove-wins";
}

/// The last-writer-wins set: for each element, the word with the greatest [`Stamp`] says whether it is in.
///
/// # Promise
///
/// All replicas agree on each element: it is in exactly if its last word was an insertion. A word that is given after
/// reading another wins over it, if its stamp was minted above [`stamp`](LwwSet::stamp).
///
/// The bias is part of the type, so that two replicas cannot differ in it, and part of the JSON. In this table a
/// later word meets an earlier one, in either order of arrival; a test of this module runs it, row by row.
///
/// | known | arrives | `AddWins` | `RemoveWins` |
/// |---|---|---|---|
/// | nothing | insert at 1 | in | in |
/// | nothing | remove at 1 | out | out |
/// | insert at 1 | remove at 2 | out | out |
/// | remove at 1 | insert at 2 | in | in |
/// | insert at 2 | remove at 1 | in | in |
/// | remove at 2 | insert at 1 | out | out |
/// | insert at 1 | remove at 1 | **in** | **out** |
/// | remove at 1 | insert at 1 | **in** | **out** |
///
/// Stamps that a [`Clock`](crate::Clock) mints are unique, and a tie is then a fault of identity:
/// [`identity_faults`](crate::identity_faults) counts it.
///
/// # Anomaly
///
/// Of two concurrent words one is lost, and a fast clock always wins:
///
/// ```
/// use antiphon_lattice::{Clock, Lane, Lattice, LwwSet, ReplicaId};
/// let mut fast = Clock::new(ReplicaId::from_u128(1), Lane(0));
/// let mut slow = Clock::new(ReplicaId::from_u128(2), Lane(0));
/// let mut here: LwwSet<&str> = LwwSet::default();
/// let removed = here.remove(fast.mint(60_000, None), "story");
/// let mut there: LwwSet<&str> = LwwSet::default();
/// there.insert(slow.mint(1_000, None), "story");
/// assert!(there.contains(&"story"));
/// there.join(removed);
/// assert!(!there.contains(&"story"), "inserted half a minute later, by a clock that is a minute behind");
/// ```
///
/// # Cost
///
/// Every element for ever, in or out, each with 48 bytes of stamp and word, 66 in JSON. A mutator costs O(log n), a join O(m
/// log n). A delta is one element.
///
/// # Choose another
///
/// [`OrSet`](crate::OrSet): its winner depends on what was seen and on no clock, and it forgets what was removed.
///
/// # Source
///
/// Shapiro et al. 2011, §3.3.3. Roshi (`SoundCloud`, 2014) made it known; its tie table and its code differ.
///
/// # JSON
///
/// `{"bias": "add-wins", "elements": [[element, stamp, is it in]]}`, in order. Another bias is refused by name. What
/// stands twice is joined.
///
/// ```
/// use antiphon_lattice::{Clock, Lane, LwwSet, ReplicaId, RemoveWins};
/// let mut clock = Clock::new(ReplicaId::from_u128(1), Lane(0));
/// let mut shelf: LwwSet<u8> = LwwSet::default();
/// shelf.insert(clock.mint(1_000, shelf.stamp(&7)), 7);
/// shelf.remove(clock.mint(1_000, shelf.stamp(&7)), 7);
/// shelf.insert(clock.mint(1_000, shelf.stamp(&7)), 7);
/// assert_eq!(shelf.iter().collect::<Vec<_>>(), [&7], "as often as one likes");
/// let json = serde_json::to_string(&shelf)?;
/// assert!(serde_json::from_str::<LwwSet<u8, RemoveWins>>(&json).is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LwwSet<T, B = AddWins> {
    elements: BTreeMap<T, Word>,
    bias: PhantomData<B>,
}

/// The last word on one element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Word {
    at: Stamp,
    is_in: bool,
}

impl<T: Ord + Clone, B: LwwBias> LwwSet<T, B> {
    /// Inserts with this stamp, and returns the delta: this word.
    ///
    /// With a stamp below the element's nothing changes. Mint it above [`stamp`](LwwSet::stamp).
    pub fn insert(&mut self, stamp: Stamp, value: T) -> Self {
        self.say(value, Word { at: stamp, is_in: true })
    }

    /// Removes with this stamp, whether or not it is there, and returns the delta: this word.
    pub fn remove(&mut self, stamp: Stamp, value: T) -> Self {
        self.say(value, Word { at: stamp, is_in: false })
    }

    fn say(&mut self, value: T, word: Word) -> Self {
        self.hear(value.clone(), word);
        Self { elements: BTreeMap::from([(value, word)]), bias: PhantomData }
    }

    fn hear(&mut self, value: T, word: Word) -> bool {
        match self.elements.entry(value) {
            btree_map::Entry::Vacant(entry) => {
                entry.insert(word);
                true
            }
            btree_map::Entry::Occupied(mut known) => {
                if known.get().at == word.at && known.get().is_in != word.is_in {
                    note_identity_fault();
                }
                let grew = Self::rank(word) > Self::rank(*known.get());
                if grew {
                    known.insert(word);
                }
                grew
            }
        }
    }

    fn rank(word: Word) -> (Stamp, bool) {
        (word.at, word.is_in == B::ADD_WINS)
    }
}

impl<T: Ord, B> LwwSet<T, B> {
    /// Whether the element is in.
    pub fn contains(&self, value: &T) -> bool {
        self.elements.get(value).is_some_and(|word| word.is_in)
    }

    /// The stamp of the last word on this element. The next one is minted above it.
    pub fn stamp(&self, value: &T) -> Option<Stamp> {
        self.elements.get(value).map(|word| word.at)
    }
}

impl<T, B> LwwSet<T, B> {
    /// The elements that are in, in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.elements.iter().filter(|(_, word)| word.is_in).map(|(value, _)| value)
    }

    /// How many elements are in: counted anew.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether no element is in. That is so of more than the bottom.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

impl<T, B> Default for LwwSet<T, B> {
    fn default() -> Self {
        Self { elements: BTreeMap::new(), bias: PhantomData }
    }
}

impl<T: Ord + Clone, B: LwwBias> Lattice for LwwSet<T, B> {
    fn join(&mut self, other: Self) -> bool {
        other.elements.into_iter().fold(false, |grew, (value, word)| self.hear(value, word) | grew)
    }

    fn covers(&self, other: &Self) -> bool {
        let is_known = |(value, word): (&T, &Word)| {
            self.elements.get(value).is_some_and(|known| Self::rank(*known) >= Self::rank(*word))
        };
        other.elements.iter().all(is_known)
    }
}

/// The fields as JSON has them: an element may stand twice.
#[derive(Serialize, Deserialize)]
struct Named<N, T> {
    bias: N,
    elements: Vec<(T, Stamp, bool)>,
}

impl<T: Serialize, B: LwwBias> Serialize for LwwSet<T, B> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let elements = self.elements.iter().map(|(value, word)| (value, word.at, word.is_in)).collect();
        Named { bias: B::NAME, elements }.serialize(serializer)
    }
}

impl<'de, T: Ord + Clone + Deserialize<'de>, B: LwwBias> Deserialize<'de> for LwwSet<T, B> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Named { bias, elements } = Named::<String, T>::deserialize(deserializer)?;
        if bias != B::NAME {
            return Err(de::Error::custom(format_args!(
                "an lww set with the bias {bias:?}, this one is {}",
                B::NAME
            )));
        }
        let mut read = Self::default();
        for (value, at, is_in) in elements {
            read.hear(value, Word { at, is_in });
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::{AddWins, LwwBias, LwwSet, RemoveWins};
    use crate::{Hlc, Lattice, Stamp};

    /// The table of the docs is the table of the code: each of its rows is read from this file, and played both ways.
    #[test]
    fn the_table_of_the_docs() {
        let cells = |line: &str| -> Vec<String> {
            line.trim_start_matches("/// |")
                .split('|')
                .map(|cell| cell.replace(['*', '`'], "").trim().to_owned())
                .collect()
        };
        let rows: Vec<Vec<String>> =
            include_str!("lww_set.rs").lines().filter(|line| line.starts_with("/// |")).map(cells).collect();
        assert_eq!(rows[0][..4], ["known", "arrives", "AddWins", "RemoveWins"]);
        assert_eq!(rows.len(), 2 + 8, "the head, the rule, and the rows");
        for row in &rows[2..] {
            let [known, arrives, add_wins, remove_wins] = &row[..4] else { panic!("{row:?}") };
            assert_eq!(answer::<AddWins>(known, arrives), *add_wins, "{row:?}");
            assert_eq!(answer::<RemoveWins>(known, arrives), *remove_wins, "{row:?}");
        }
    }

    fn answer<B: LwwBias>(known: &str, arrives: &str) -> &'static str {
        let (known, arrives) = (word::<B>(known), word::<B>(arrives));
        let state = known.clone().joined(arrives.clone());
        assert_eq!(state, arrives.joined(known), "in the other order");
        if state.contains(&'x') { "in" } else { "out" }
    }

    fn word<B: LwwBias>(text: &str) -> LwwSet<char, B> {
        let at = |number: &str| Stamp { hlc: Hlc(number.parse().unwrap()), ..Stamp::default() };
        let mut set = LwwSet::default();
        match text.split_once(" at ") {
            None => assert_eq!(text, "nothing"),
            Some(("insert", number)) => drop(set.insert(at(number), 'x')),
            Some(("remove", number)) => drop(set.remove(at(number), 'x')),
            Some(_) => panic!("{text}"),
        }
        set
    }

    #[test]
    fn a_tie_is_counted_and_another_bias_refused() {
        let before = crate::identity_faults();
        answer::<AddWins>("insert at 1", "remove at 1");
        assert!(crate::identity_faults() >= before + 2);
        let json = serde_json::to_string(&word::<AddWins>("insert at 1")).unwrap();
        let refused = serde_json::from_str::<LwwSet<char, RemoveWins>>(&json).unwrap_err().to_string();
        assert!(
            refused.starts_with("an lww set with the bias \"add-wins\", this one is remove-wins"),
            "{refused}"
        );
    }
}
