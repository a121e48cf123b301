//! An order of things that can be moved.

use super::error::SequenceError;
use super::sequence::Sequence;
use crate::{Dot, Lattice, Lww, Map, ReplicaId, Stamp};
use serde::{Deserialize, Serialize};

/// The order of things that can be moved: each stands where it was put last, and once.
///
/// It is a [`Sequence`] of slots, and for each item a register that names its present slot. To move an item is to make a
/// new slot and to write its id into the register. So two who move one item at once write one register, of which one
/// wins, while two who move different items do not meet.
///
/// ```
/// use antiphon_lattice::{Arrangement, Clock, Lane, Lattice, ReplicaId};
/// let (anna, boris) = (ReplicaId::from_u128(1), ReplicaId::from_u128(2));
/// let (mut hers, mut his) = (Clock::new(anna, Lane(0)), Clock::new(boris, Lane(0)));
/// let mut here = Arrangement::default();
/// for (at, part) in ["one", "two", "three"].into_iter().enumerate() {
///     here.move_to(anna, hers.mint(1_000, None), part, at)?;
/// }
/// let mut there = here.clone();
///
/// // Both move the first part at once: she behind the second, he to the end.
/// here.move_to(anna, hers.mint(2_000, here.stamp(&"one")), "one", 1)?;
/// there.move_to(boris, his.mint(3_000, there.stamp(&"one")), "one", 2)?;
/// here.join(there);
/// assert!(here.iter().eq(&["two", "three", "one"]), "once, and where it was moved last");
/// # Ok::<(), antiphon_lattice::SequenceError>(())
/// ```
///
/// # Promise
///
/// Replicas that know the same moves show the same order. Each item is there once, if it was put somewhere and not taken
/// out with a greater stamp; also if two put it there for the first time at once. Items that one replica puts side by
/// side stay side by side, unless they are moved on: that is the sequence's promise.
///
/// # Anomaly
///
/// An item stands *beside what it was put beside*, wherever that is moved at the same time or not: it does not follow.
/// Two items that are moved together are two moves, and another's move of one of them may part them.
///
/// ```
/// use antiphon_lattice::{Arrangement, Clock, Lane, Lattice, ReplicaId};
/// let (anna, boris) = (ReplicaId::from_u128(1), ReplicaId::from_u128(2));
/// let (mut hers, mut his) = (Clock::new(anna, Lane(0)), Clock::new(boris, Lane(0)));
/// let mut here = Arrangement::default();
/// for (at, item) in ["heading", "paragraph", "end"].into_iter().enumerate() {
///     here.move_to(anna, hers.mint(1_000, None), item, at)?;
/// }
/// let mut there = here.clone();
/// // She moves the heading to the end. He puts another paragraph under the heading, where it was.
/// here.move_to(anna, hers.mint(2_000, here.stamp(&"heading")), "heading", 2)?;
/// there.move_to(boris, his.mint(2_000, None), "new", 1)?;
/// here.join(there);
/// assert!(here.iter().eq(&["new", "paragraph", "end", "heading"]), "the new one did not follow");
/// # Ok::<(), antiphon_lattice::SequenceError>(())
/// ```
///
/// # Cost
///
/// An item, its slot and its register: some 160 bytes in JSON beside its key, and for each move some 40 more for ever, the id and
/// place of the slot that was left. `iter`, `position`, `len` and `move_to` walk the slots and look each up: O(n log n)
/// for n items. It is for the parts of a story and the paragraphs of a part, not for the letters.
///
/// # Choose another
///
/// If nothing is moved: [`Sequence`], whose elements need no keys and no stamps. If only the keys matter and not their
/// order: [`Map`] to [`Lww`].
///
/// # Source
///
/// Kleppmann, *Moving elements in list CRDTs*, `PaPoC` 2020. Taking out is ours: the register then names no slot, so
/// a removal and a move that are concurrent are settled as two moves are, by their stamps.
///
/// # JSON
///
/// `{"slots": sequence, "places": {key: register}}`, each as of its own type: [`Sequence`], and [`Map`] to [`Lww`] of a
/// [`Dot`] or `null`. Keys must therefore encode as strings.
///
/// ```
/// use antiphon_lattice::{Arrangement, ReplicaId, Stamp};
/// let mut order = Arrangement::default();
/// order.move_to(ReplicaId::from_u128(1), Stamp::default(), "a", 0)?;
/// assert_eq!(
///     serde_json::to_value(&order).unwrap(),
///     serde_json::json!({
///         "slots": {
///             "sequence": 1,
///             "replicas": ["00000000000000000000000000000001"],
///             "runs": [[0, 1, [[0, 0], [0, 0]], ["a"]]],
///         },
///         "places": {
///             "a": {
///                 "at": Stamp::default(),
///                 "value": "00000000000000000000000000000001-0000000000000001",
///             },
///         },
///     }),
/// );
/// # Ok::<(), antiphon_lattice::SequenceError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "K: Serialize", deserialize = "K: Clone + Ord + Deserialize<'de>"))]
pub struct Arrangement<K> {
    slots: Sequence<K>,
    places: Map<K, Lww<Option<Dot>>>,
}

impl<K> Default for Arrangement<K> {
    fn default() -> Self {
        Self { slots: Sequence::default(), places: Map::default() }
    }
}

impl<K: Clone + Ord> Arrangement<K> {
    /// Puts an item before the one that stands at an index when this item is left out of the count, or at the end,
    /// wherever it was before, and returns the delta. Afterwards its [`position`](Arrangement::position) is `at`.
    ///
    /// Mint the stamp above the item's [`stamp`](Arrangement::stamp), or the move may lose.
    pub fn move_to(&mut self, me: ReplicaId, stamp: Stamp, key: K, at: usize) -> Result<Self, SequenceError> {
        let here = self.place(&key);
        let others = || self.shown().filter(|(_, other, _)| **other != key);
        let slot = if at == 0 {
            Some(0)
        } else {
            // Right behind the one that will be before it, so that two who put items there do not cross others.
            others().nth(at - 1).map(|(slot, ..)| slot + 1)
        };
        let Some(slot) = slot else {
            return Err(SequenceError::BeyondTheEnd { at, len: others().count() });
        };
        let mut slots = self.slots.insert(me, slot, [key.clone()])?;
        let place = self.slots.id_at(slot);
        if let Some((old, written)) = here
            && written < stamp
        {
            // A register only goes up, so nobody will ever name this slot again.
            slots.join(self.slots.remove_id(old));
        }
        let places = self.places.update(key, |register| register.set(stamp, place));
        Ok(Self { slots, places })
    }

    /// Takes an item out, and returns the delta. Whoever puts it back with a greater stamp wins over this.
    pub fn remove(&mut self, stamp: Stamp, key: K) -> Self {
        let here = self.place(&key);
        let mut slots = Sequence::default();
        if let Some((old, written)) = here
            && written < stamp
        {
            slots = self.slots.remove_id(old);
        }
        let places = self.places.update(key, |register| register.set(stamp, None));
        Self { slots, places }
    }

    /// The stamp with which an item was moved or taken out last. The next one is minted above it.
    pub fn stamp(&self, key: &K) -> Option<Stamp> {
        self.places.get(key).and_then(Lww::stamp)
    }

    /// The newest stamp of all moves: a clock that hears of this order goes on above it.
    pub fn newest_stamp(&self) -> Option<Stamp> {
        self.places.iter().filter_map(|(_, register)| register.stamp()).max()
    }

    /// States of at most so many items each, whose join this one is: for whoever has to send it in messages of bounded
    /// size. While some are missing, items may be missing or stand elsewhere.
    pub fn pieces(&self, items_max: usize) -> Vec<Self> {
        let slots = self.slots.pieces(items_max).into_iter();
        let mut pieces: Vec<_> = slots.map(|slots| Self { slots, places: Map::default() }).collect();
        let places: Vec<_> = self.places.iter().collect();
        for some in places.chunks(items_max.max(1)) {
            let places = some.iter().map(|(key, register)| ((*key).clone(), **register)).collect();
            pieces.push(Self { slots: Sequence::default(), places });
        }
        pieces
    }

    /// The items in their order.
    pub fn iter(&self) -> impl Iterator<Item = &K> {
        self.shown().map(|(_, key, _)| key)
    }

    /// The index of an item, if it is here.
    pub fn position(&self, key: &K) -> Option<usize> {
        self.iter().position(|other| other == key)
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    fn place(&self, key: &K) -> Option<(Dot, Stamp)> {
        let register = self.places.get(key)?;
        Some(((*register.get()?)?, register.stamp()?))
    }

    /// The slots that their items' registers name.
    fn shown(&self) -> impl Iterator<Item = (usize, &K, Dot)> {
        let slots = self.slots.iter_ids().enumerate().map(|(slot, (id, key))| (slot, key, id));
        slots.filter(|(_, key, id)| self.place(key).is_some_and(|(place, _)| place == *id))
    }
}

impl<K: Clone + Ord> Lattice for Arrangement<K> {
    fn join(&mut self, other: Self) -> bool {
        let Self { slots, places } = other;
        self.slots.join(slots) | self.places.join(places)
    }

    fn covers(&self, other: &Self) -> bool {
        self.slots.covers(&other.slots) && self.places.covers(&other.places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Hlc, Lane};

    fn me(number: u8) -> ReplicaId {
        ReplicaId::from_u128(u128::from(number))
    }

    fn stamp(ms: u64, number: u8) -> Stamp {
        Stamp { hlc: Hlc::new(ms, 0), replica: me(number), lane: Lane(0) }
    }

    fn abc() -> Arrangement<char> {
        let mut order = Arrangement::default();
        for (at, item) in "abc".chars().enumerate() {
            order.move_to(me(1), stamp(1, 1), item, at).unwrap();
        }
        order
    }

    fn shown(order: &Arrangement<char>) -> String {
        order.iter().collect()
    }

    #[test]
    fn an_item_stands_where_it_was_moved() {
        for (item, places) in
            [('a', ["abc", "bac", "bca"]), ('b', ["bac", "abc", "acb"]), ('c', ["cab", "acb", "abc"])]
        {
            for (at, expected) in places.into_iter().enumerate() {
                let mut order = abc();
                order.move_to(me(2), stamp(2, 2), item, at).unwrap();
                assert_eq!((shown(&order).as_str(), order.position(&item)), (expected, Some(at)));
            }
        }
        let beyond = abc().move_to(me(2), stamp(2, 2), 'a', 3);
        assert_eq!(beyond, Err(SequenceError::BeyondTheEnd { at: 3, len: 2 }), "its own slot does not count");
    }

    /// What two do at once to one list, and what both see then.
    #[test]
    fn concurrent_moves() {
        type Do = fn(&mut Arrangement<char>) -> Arrangement<char>;
        let table: [(Do, Do, &str); 5] = [
            // One item twice: once, where the later one put it.
            (
                |o| o.move_to(me(1), stamp(2, 1), 'a', 1).unwrap(),
                |o| o.move_to(me(2), stamp(3, 2), 'a', 2).unwrap(),
                "bca",
            ),
            (
                |o| o.move_to(me(1), stamp(4, 1), 'a', 1).unwrap(),
                |o| o.move_to(me(2), stamp(3, 2), 'a', 2).unwrap(),
                "bac",
            ),
            // One item put there for the first time by both.
            (
                |o| o.move_to(me(1), stamp(2, 1), 'x', 0).unwrap(),
                |o| o.move_to(me(2), stamp(3, 2), 'x', 3).unwrap(),
                "abcx",
            ),
            // Moved and taken out: whichever is later.
            (|o| o.remove(stamp(2, 1), 'a'), |o| o.move_to(me(2), stamp(3, 2), 'a', 2).unwrap(), "bca"),
            (|o| o.remove(stamp(4, 1), 'a'), |o| o.move_to(me(2), stamp(3, 2), 'a', 2).unwrap(), "bc"),
        ];
        for (nth, (one, two, expected)) in table.into_iter().enumerate() {
            let (mut here, mut there) = (abc(), abc());
            let (first, second) = (one(&mut here), two(&mut there));
            here.join(second);
            there.join(first);
            assert_eq!((shown(&here).as_str(), &here), (expected, &there), "{nth}");
        }
    }

    #[test]
    fn a_move_with_an_old_stamp_loses() {
        let mut order = abc();
        order.move_to(me(1), stamp(9, 1), 'a', 2).unwrap();
        order.move_to(me(2), stamp(5, 2), 'a', 0).unwrap();
        assert_eq!((shown(&order).as_str(), order.stamp(&'a')), ("bca", Some(stamp(9, 1))));
    }
}
