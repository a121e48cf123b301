//! The state of the order of a story's parts.

use lattice::{Arrangement, Lattice};
use messages::{PartId, Unknown, is_bottom};
use serde::{Deserialize, Serialize};

/// The most items in a piece of an order that is too large for a message: an item takes at most some 200 bytes.
pub(crate) const PIECE_ITEMS_MAX: usize = 800;

/// In which order the parts of a story are read. A row of its own beside the story's: whoever lists a hundred stories
/// reads a hundred titles, and not the order of all their parts.
///
/// There is none until a part is moved: parts are read in the order of their creation stamps, and publishing one writes
/// nothing here. A move gives a slot to every part that had none, where it stood. What is published later has none, and
/// stands behind all that have, again in the order of the stamps. So the cost of an order is that of moving. A part that
/// was taken down has lost its slot. Whether a part is there is told by its own row, never by this one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartsOrder {
    /// The order.
    #[serde(default, skip_serializing_if = "is_bottom")]
    pub parts: Arrangement<PartId>,
    /// What newer versions added.
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl PartsOrder {
    /// This order alone: a delta.
    pub(crate) fn of(parts: Arrangement<PartId>) -> Self {
        Self { parts, ..Self::default() }
    }

    /// Smaller orders whose join this one is, each small enough for a message.
    pub(crate) fn pieces(self) -> Vec<Self> {
        let Self { parts, unknown } = self;
        let mut pieces: Vec<_> = parts.pieces(PIECE_ITEMS_MAX).into_iter().map(Self::of).collect();
        pieces.push(Self { unknown, ..Self::default() });
        pieces
    }

    /// Whether a part never had a slot.
    pub(crate) fn never_placed(&self, part: PartId) -> bool {
        self.parts.stamp(&part).is_none()
    }
}

impl Lattice for PartsOrder {
    fn join(&mut self, other: Self) -> bool {
        let Self { parts, unknown } = other;
        self.parts.join(parts) | self.unknown.join(unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::{of_something_new, place_new};
    use lattice::{Hlc, Lane, ReplicaId, Stamp};

    fn part(number: u8) -> PartId {
        PartId::from_bytes([number; 16])
    }

    fn replica(number: u128) -> ReplicaId {
        ReplicaId::from_u128(number)
    }

    fn stamp(ms: u64, by: u128) -> Stamp {
        Stamp { hlc: Hlc::new(ms, 0), replica: replica(by), lane: Lane::default() }
    }

    fn appended(order: &PartsOrder, number: u8, by: u128) -> PartsOrder {
        let mut order = order.clone();
        let end = order.parts.len();
        order.parts.move_to(replica(by), of_something_new(replica(by)), part(number), end).unwrap();
        order
    }

    fn moved(order: &PartsOrder, number: u8, to: usize, ms: u64, by: u128) -> PartsOrder {
        let mut order = order.clone();
        order.parts.move_to(replica(by), stamp(ms, by), part(number), to).unwrap();
        order
    }

    fn read(order: &PartsOrder) -> Vec<u8> {
        order.parts.iter().map(|part| part.to_bytes()[0]).collect()
    }

    fn values() -> Vec<PartsOrder> {
        let one = appended(&PartsOrder::default(), 1, 1);
        let two = appended(&one, 2, 1);
        let first = moved(&two, 2, 0, 5, 2);
        let mut out = two.clone();
        out.parts.remove(stamp(6, 1), part(1));
        let old = PartsOrder::of(place_new(&mut Arrangement::default(), &[part(3), part(4)], 0).unwrap());
        let unknown = serde_json::from_str(r#"{"volumes":2}"#).unwrap();
        vec![PartsOrder::default(), one, two, first, out, old, unknown]
    }

    #[test]
    fn an_order_is_a_lattice() {
        lattice::laws::check_exhaustively(&values()).unwrap();
    }

    #[test]
    fn a_creation_that_is_repeated_late_elsewhere_undoes_no_move() {
        let published = appended(&appended(&PartsOrder::default(), 1, 1), 2, 1);
        let moved_here = moved(&published, 2, 0, 5, 1);
        // A sibling that has heard of nothing takes the same two requests, late, and in the other order.
        let there = appended(&appended(&PartsOrder::default(), 2, 2), 1, 2);
        let mut both = moved_here.clone().joined(there.clone());
        assert_eq!(both, there.joined(moved_here));
        assert_eq!(read(&both).len(), 2, "none stands there twice");
        assert_eq!(both.parts.stamp(&part(2)), Some(stamp(5, 1)), "the move holds");
        // Nor does giving slots to old rows.
        let old = PartsOrder::of(place_new(&mut Arrangement::default(), &[part(1), part(2)], 0).unwrap());
        assert_eq!(old.parts.stamp(&part(2)).map(|stamp| stamp.hlc), Some(Hlc::default()));
        let before = both.clone();
        both.join(old);
        assert_eq!(read(&both), read(&before));
    }

    /// The bytes that the first version with an order wrote.
    #[test]
    fn golden_bytes() {
        let golden = include_str!("../tests/golden/parts_orders.json");
        let read: Vec<PartsOrder> = serde_json::from_str(golden).unwrap();
        assert_eq!(read, values());
        assert_eq!(serde_json::to_string_pretty(&values()).unwrap() + "\n", golden);
    }
}
