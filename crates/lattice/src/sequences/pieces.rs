//! A large state as several smaller ones.

use super::block::{Block, Place};
use super::sequence::Sequence;

impl<T: Clone + Ord> Sequence<T> {
    /// States of at most so many runs and elements each (at least one), whose join this one is: for whoever has to send
    /// it in messages of bounded size.
    ///
    /// They may arrive in any order. Meanwhile an element whose left neighbour of its insertion has not arrived is not
    /// shown: see [`waiting`](Sequence::waiting).
    ///
    /// ```
    /// use antiphon_lattice::{Lattice, ReplicaId, Sequence};
    /// let mut whole = Sequence::default();
    /// whole.insert(ReplicaId::from_u128(1), 0, "antiphon".chars())?;
    /// let mut pieces = whole.pieces(3);
    /// assert_eq!(pieces.len(), 3);
    /// pieces.reverse();
    /// let joined = pieces.into_iter().fold(Sequence::default(), Lattice::joined);
    /// assert_eq!(joined, whole);
    /// # Ok::<(), antiphon_lattice::SequenceError>(())
    /// ```
    pub fn pieces(&self, elements_max: usize) -> Vec<Self> {
        let elements_max = elements_max.max(1);
        let (mut pieces, mut piece, mut room) = (Vec::new(), Vec::new(), elements_max);
        for block in self.flat() {
            let mut rest = Some(block);
            while let Some(mut block) = rest.take() {
                let shown = block.content.values().len();
                if shown > room {
                    rest = Some(cut(&mut block, room));
                }
                // What is gone is a number, whatever its length.
                room -= block.content.values().len().clamp(1, room);
                piece.push(block.cloned());
                if room == 0 {
                    pieces.push(Self::of_any_blocks(std::mem::take(&mut piece)));
                    room = elements_max;
                }
            }
        }
        if !piece.is_empty() {
            pieces.push(Self::of_any_blocks(piece));
        }
        pieces
    }
}

/// Takes what is behind the first `len` elements, which hang on one another.
fn cut<T>(block: &mut Block<T>, len: usize) -> Block<T> {
    let start = block.start.saturating_add(len as u64);
    let place = block.place.map(|place| Place::right_of(block.dot(start.saturating_sub(1)), place.right));
    Block { replica: block.replica, start, place, content: block.content.split_off(len as u64) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Lattice, ReplicaId};

    /// A sequence of several writers, with holes.
    fn written(seed: u64) -> Sequence<u64> {
        let mut next = seed;
        let mut random = |below: usize| {
            next = next.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(next >> 33).unwrap() % below.max(1)
        };
        let mut replicas = [Sequence::default(), Sequence::default()];
        for n in 0..60 {
            let who = random(2);
            let me = ReplicaId::from_u128(who as u128 + 1);
            let state = &mut replicas[who];
            let at = random(state.len() + 1);
            if random(4) == 0 && at < state.len() {
                state.remove(at..at + 1).unwrap();
            } else {
                state.insert(me, at, (0..=random(4) as u64).map(|more| n * 10 + more)).unwrap();
            }
            if random(5) == 0 {
                let other = replicas[1 - who].clone();
                replicas[who].join(other);
            }
        }
        let [one, other] = replicas;
        one.joined(other)
    }

    #[test]
    fn the_join_of_the_pieces_is_the_whole_in_any_order_and_the_same_bytes() {
        for seed in 0..40 {
            let whole = written(seed);
            for elements_max in [0, 1, 2, 7, 1_000] {
                let pieces = whole.pieces(elements_max);
                assert!(pieces.iter().all(|piece| piece.len() <= elements_max.max(1)));
                for reversed in [false, true] {
                    let mut order = pieces.clone();
                    if reversed {
                        order.reverse();
                    }
                    let joined = order.into_iter().fold(Sequence::default(), Lattice::joined);
                    assert_eq!(joined, whole, "seed {seed}, {elements_max} a piece");
                    let bytes = |state: &Sequence<u64>| serde_json::to_string(state).unwrap();
                    assert_eq!(bytes(&joined), bytes(&whole));
                    assert!(joined.iter().eq(whole.iter()) && joined.waiting() == 0);
                }
            }
        }
        assert!(Sequence::<u64>::default().pieces(5).is_empty(), "nothing is the join of nothing");
    }
}
