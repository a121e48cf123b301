//! The published tree, naively: what the order of the library must be.

use super::Op;
use crate::common::history::Logged;
use antiphon_lattice::{Dot, ReplicaId};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub(super) id: Dot,
    pub(super) value: u8,
    pub(super) side: Side,
    pub(super) parent: Option<Dot>,
    pub(super) right_origin: Option<Dot>,
    /// What stood before it when it was typed: the tree does not need it, a check below does.
    pub(super) left_origin: Option<Dot>,
}

/// The model: nodes in the order in which they were made, and what is gone.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
    pub(super) gone: BTreeSet<Dot>,
}

impl Tree {
    pub(super) fn of_log(log: &[Logged<Op>]) -> Self {
        // What each line made: a line's writer had seen the lines in `saw`, which were made before.
        let mut made: Vec<Self> = Vec::new();
        let mut minted: BTreeMap<ReplicaId, u64> = BTreeMap::new();
        for line in log {
            let seen = Self::together(line.saw.iter().map(|&nth| &made[nth]));
            made.push(match &line.op {
                Op::Insert(at, values) => {
                    let at = at % (seen.shown().len() + 1);
                    seen.insert(line.by, minted.entry(line.by).or_default(), at, values)
                }
                Op::Remove(at, len) => {
                    let shown: Vec<Dot> =
                        seen.order().into_iter().filter(|id| !seen.gone.contains(id)).collect();
                    let at = at % (shown.len() + 1);
                    let gone = shown[at..(at + len).min(shown.len())].iter().copied().collect();
                    Self { gone, ..Self::default() }
                }
            });
        }
        Self::together(made.iter())
    }

    pub(super) fn together<'a>(parts: impl Iterator<Item = &'a Self>) -> Self {
        parts.fold(Self::default(), |mut all, part| {
            all.nodes.extend(&part.nodes);
            all.gone.extend(&part.gone);
            all
        })
    }

    /// The nodes that are made when values are typed at an index.
    pub(super) fn insert(&self, by: ReplicaId, minted: &mut u64, index: usize, values: &[u8]) -> Self {
        let mut here = self.clone();
        for (nth, &value) in values.iter().enumerate() {
            let order = here.order();
            let shown: Vec<Dot> = order.iter().copied().filter(|id| !here.gone.contains(id)).collect();
            let left = (index + nth).checked_sub(1).map(|before| shown[before]);
            let after = left.map_or(0, |left| order.iter().position(|id| *id == left).unwrap() + 1);
            let right = order.get(after).copied();
            let has_right_child =
                here.placed().iter().any(|node| node.parent == left && node.side == Side::Right);
            *minted += 1;
            let (side, parent) = if has_right_child { (Side::Left, right) } else { (Side::Right, left) };
            let id = Dot { replica: by, counter: *minted };
            here.nodes.push(Node { id, value, side, parent, right_origin: right, left_origin: left });
        }
        Self { nodes: here.nodes.split_off(self.nodes.len()), ..Self::default() }
    }

    /// The nodes whose parents and right origins are there, each after those.
    pub(super) fn placed(&self) -> Vec<Node> {
        let (mut placed, mut waiting) = (Vec::<Node>::new(), self.nodes.clone());
        loop {
            let is_there = |id: Option<Dot>| id.is_none_or(|id| placed.iter().any(|node| node.id == id));
            let (ready, rest): (Vec<Node>, Vec<Node>) = waiting.iter().partition(|node| {
                is_there(node.parent) && (node.side == Side::Left || is_there(node.right_origin))
            });
            if ready.is_empty() {
                return placed;
            }
            placed.extend(ready);
            waiting = rest;
        }
    }

    pub(super) fn order(&self) -> Vec<Dot> {
        // Siblings are compared by where their right origins stand, which were placed before they were: so the
        // comparison needs the tree of what came before only.
        let mut ranked: BTreeMap<(Option<Dot>, bool), Vec<Node>> = BTreeMap::new();
        for node in self.placed() {
            // Most have no siblings, and need not know where anything stands.
            let alone = ranked.get(&(node.parent, node.side == Side::Right)).is_none_or(Vec::is_empty);
            let now = if alone { Vec::new() } else { traverse(&ranked) };
            let place = |id: Option<Dot>| {
                id.map_or(usize::MAX, |id| now.iter().position(|other| *other == id).unwrap())
            };
            let siblings = ranked.entry((node.parent, node.side == Side::Right)).or_default();
            let is_before = |other: &Node| {
                let by_origin = if node.side == Side::Left {
                    std::cmp::Ordering::Equal
                } else {
                    place(node.right_origin).cmp(&place(other.right_origin))
                };
                by_origin.then(other.id.cmp(&node.id)).is_lt()
            };
            let rank = siblings.iter().position(|other| !is_before(other)).unwrap_or(siblings.len());
            siblings.insert(rank, node);
        }
        traverse(&ranked)
    }

    pub(super) fn shown(&self) -> Vec<u8> {
        let values: BTreeMap<Dot, u8> = self.nodes.iter().map(|node| (node.id, node.value)).collect();
        self.order().into_iter().filter(|id| !self.gone.contains(id)).map(|id| values[&id]).collect()
    }
}

/// Left children, the node, right children. Recursive: the model's trees are small.
pub(super) fn traverse(children: &BTreeMap<(Option<Dot>, bool), Vec<Node>>) -> Vec<Dot> {
    pub(super) fn visit(
        id: Option<Dot>,
        children: &BTreeMap<(Option<Dot>, bool), Vec<Node>>,
        list: &mut Vec<Dot>,
    ) {
        for side in [false, true] {
            if side {
                list.extend(id);
            }
            for child in children.get(&(id, side)).into_iter().flatten() {
                visit(Some(child.id), children, list);
            }
        }
    }
    let mut list = Vec::new();
    visit(None, children, &mut list);
    list
}
