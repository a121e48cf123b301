//! How an event inflates an event tree: by simplifying it where that inflates it, or else where it grows least.

use super::id::Id;
use super::tree::Tree;

/// What the paper's cost adds for each leaf that has to be split: more than any depth.
const SPLIT_COST: u32 = 1_000;
const _: () = assert!(super::ITC_DEPTH_MAX < 1_000, "one split costs more than any depth");

/// Which half.
#[derive(Clone, Copy)]
enum Half {
    Left,
    Right,
}

/// The tree after one more event of the id, or nothing if no number that the id owns can grow.
pub(super) fn event(id: &Id, tree: &Tree) -> Option<Tree> {
    let filled = fill(id, tree);
    if filled != *tree {
        return Some(filled);
    }
    let (_, mut path) = cheapest(id, tree, 0)?;
    path.reverse();
    Some(incremented(tree, &path))
}

/// Raises what the id owns as far as that makes the tree simpler.
fn fill(id: &Id, tree: &Tree) -> Tree {
    let (Id::Parts(parts), Tree::Node(base, halves)) = (id, tree) else {
        return if matches!(id, Id::All) { Tree::Leaf(tree.height()) } else { tree.clone() };
    };
    let (left, right) = match &**parts {
        (Id::All, id) => {
            let right = fill(id, &halves.1);
            (Tree::Leaf(halves.0.height().max(right.base())), right)
        }
        (id, Id::All) => {
            let left = fill(id, &halves.0);
            let right = Tree::Leaf(halves.1.height().max(left.base()));
            (left, right)
        }
        (left, right) => (fill(left, &halves.0), fill(right, &halves.1)),
    };
    Tree::node(*base, left, right)
}

/// The cheapest leaf to increment: its cost, and the way to it from the leaf up. Of two that cost the same it is the
/// right one, as in the paper.
fn cheapest(id: &Id, tree: &Tree, up: u64) -> Option<(u32, Vec<Half>)> {
    let Id::Parts(parts) = id else {
        // `fill` made every node that is owned whole a leaf.
        let grows = matches!(id, Id::All) && tree.height().saturating_add(up) < u64::MAX;
        return grows.then(|| (0, Vec::new()));
    };
    let (base, left, right) = tree.halves();
    let up = up.saturating_add(base);
    let (left, right) = (cheapest(&parts.0, left, up), cheapest(&parts.1, right, up));
    let ((cost, mut path), half) = match (left, right) {
        (Some(left), Some(right)) if left.0 < right.0 => (left, Half::Left),
        (_, Some(right)) => (right, Half::Right),
        (left, None) => (left?, Half::Left),
    };
    path.push(half);
    let split = if matches!(tree, Tree::Leaf(_)) { SPLIT_COST } else { 0 };
    Some((cost.saturating_add(1).saturating_add(split), path))
}

/// The tree with one more at the end of the path.
fn incremented(tree: &Tree, path: &[Half]) -> Tree {
    let Some((half, rest)) = path.split_first() else {
        return tree.clone().lifted(1);
    };
    let (base, left, right) = tree.halves();
    match half {
        Half::Left => Tree::node(base, incremented(left, rest), right.clone()),
        Half::Right => Tree::node(base, left.clone(), incremented(right, rest)),
    }
}
