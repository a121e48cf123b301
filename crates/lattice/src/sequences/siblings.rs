//! Where a child goes that is not its parent's only one on its side.

use super::block::{Place, Side};
use super::ids::Id;
use super::indexed::Indexed;
use crate::Dot;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// The children of each element that begin a run, in the order in which they stand.
///
/// Where writers take turns nobody ever asks for it, so it is made when first two of them meet at one place. The
/// children that continue their parent's run are not in it.
#[derive(Clone, Debug, Default)]
pub(super) struct Siblings {
    left: BTreeMap<Id, Vec<Id>>,
    right: BTreeMap<Id, Vec<Id>>,
}

/// Beside which element a new one goes.
pub(super) enum Beside {
    Before(Id),
    Behind(Id),
}

impl<T> Indexed<T> {
    fn dot(&self, id: Id) -> Dot {
        Dot { replica: self.ids[id.replica].name, counter: id.counter }
    }

    /// The order of two siblings: on the right side, first the one with the later right origin; then by id.
    ///
    /// That is what makes it *maximally* non-interleaving: see the paper's `FugueMax`.
    fn order(&self, side: Side, one: (Id, Id), two: (Id, Id)) -> Ordering {
        let ((one, one_right), (two, two_right)) = (one, two);
        let by_origin = if side == Side::Left || one_right == two_right {
            Ordering::Equal
        } else {
            // No right origin is the end, which is behind everything.
            match (self.find(one_right), self.find(two_right)) {
                (Some(one), Some(two)) => self.tree.order(two, one),
                (one, two) => one.is_some().cmp(&two.is_some()),
            }
        };
        by_origin.then_with(|| self.dot(one).cmp(&self.dot(two)))
    }

    fn right_origin(&self, id: Id) -> Id {
        self.ids[id.replica].right(id.counter).unwrap_or(Id::NONE)
    }

    /// How many of these siblings stand before a new one.
    fn rank(&self, side: Side, siblings: &[Id], new: Id, right: Id) -> usize {
        siblings.partition_point(|&other| {
            self.order(side, (other, self.right_origin(other)), (new, right)).is_lt()
        })
    }

    /// Notes that a run begins here.
    pub(super) fn note_sibling(&mut self, new: Id, place: Place<Id>) {
        if let Some(mut table) = self.siblings.take() {
            let siblings = match place.side {
                Side::Left => table.left.entry(place.parent).or_default(),
                Side::Right => table.right.entry(place.parent).or_default(),
            };
            let rank = self.rank(place.side, siblings, new, place.right);
            siblings.insert(rank, new);
            self.siblings = Some(table);
        }
    }

    fn make_siblings(&mut self) {
        if self.siblings.is_some() {
            return;
        }
        let mut table = Siblings::default();
        for (ids, replica) in self.ids.iter().zip(0_u32..) {
            for (counter, place) in ids.runs() {
                let side = if place.side == Side::Left { &mut table.left } else { &mut table.right };
                side.entry(place.parent).or_default().push(Id { replica, counter });
            }
        }
        for (side, lists) in [(Side::Left, &mut table.left), (Side::Right, &mut table.right)] {
            for list in lists.values_mut().filter(|list| list.len() > 1) {
                let mut keyed: Vec<(Id, Id)> = list.iter().map(|&id| (id, self.right_origin(id))).collect();
                keyed.sort_by(|one, two| self.order(side, *one, *two));
                *list = keyed.into_iter().map(|(id, _)| id).collect();
            }
        }
        self.siblings = Some(table);
    }

    /// Beside which element a new one goes whose parent has children on that side already.
    pub(super) fn beside_siblings(&mut self, new: Id, place: Place<Id>) -> Beside {
        self.make_siblings();
        let table = self.siblings.as_ref();
        let lists = table.map(|table| if place.side == Side::Left { &table.left } else { &table.right });
        let list = lists.and_then(|lists| lists.get(&place.parent)).map_or(&[][..], Vec::as_slice);
        let rank = self.rank(place.side, list, new, place.right);
        let (mut next, mut previous) =
            (list.get(rank).copied(), rank.checked_sub(1).and_then(|rank| list.get(rank)).copied());
        if place.side == Side::Left {
            // The last left child stands right before its parent.
            return Beside::Before(next.map_or(place.parent, |next| self.leftmost(next)));
        }
        if let Some(implied) = self.implied(place.parent) {
            let right = self.right_origin(implied);
            let before =
                |other: Id, its_right| self.order(Side::Right, (implied, right), (other, its_right)).is_lt();
            if before(new, place.right) {
                // Whichever of the two is nearer.
                let behind = previous.is_none_or(|previous| !before(previous, self.right_origin(previous)));
                previous = if behind { Some(implied) } else { previous };
            } else {
                let nearer = next.is_none_or(|next| before(next, self.right_origin(next)));
                next = if nearer { Some(implied) } else { next };
            }
        }
        match (next, previous) {
            (Some(next), _) => Beside::Before(self.leftmost(next)),
            (None, Some(previous)) => Beside::Behind(self.rightmost(previous)),
            (None, None) => Beside::Behind(place.parent), // not reached: there is a sibling
        }
    }

    /// The child that continues its parent's run.
    fn implied(&self, parent: Id) -> Option<Id> {
        if parent == Id::NONE {
            return None;
        }
        let child = Id { counter: parent.counter.saturating_add(1), ..parent };
        let ids = &self.ids[child.replica];
        (ids.is_ready(child.counter) && ids.run_end(parent.counter) > child.counter).then_some(child)
    }

    /// The first element of an element's subtree. Each step goes down the tree, which has an end.
    fn leftmost(&self, mut id: Id) -> Id {
        let Some(table) = &self.siblings else { return id };
        while let Some(first) = table.left.get(&id).and_then(|list| list.first()) {
            id = *first;
        }
        id
    }

    /// The last element of an element's subtree. Each step goes down the tree, which has an end.
    fn rightmost(&self, mut id: Id) -> Id {
        let Some(table) = &self.siblings else { return id };
        loop {
            let behind = Id { counter: self.ids[id.replica].run_end(id.counter), ..id };
            let Some((&parent, list)) = table.right.range(id..behind).next() else {
                return Id { counter: behind.counter - 1, ..id };
            };
            let Some(&explicit) = list.last() else { return parent };
            let key = |id| (id, self.right_origin(id));
            id = match self.implied(parent) {
                Some(implied) if self.order(Side::Right, key(implied), key(explicit)).is_gt() => implied,
                _ => explicit,
            };
        }
    }
}
