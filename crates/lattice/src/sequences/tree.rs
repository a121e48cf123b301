//! The list in its order: a B+tree of spans that counts what is shown.

use super::arena::Arena;
use super::block::{Content, count};
use super::ids::{Id, Ids};
use super::span::Span;
use std::cmp::Ordering;

/// More spans than this, and a leaf is cut in two.
const SPANS_MAX: usize = 32;
/// More values than this, and a leaf is cut in two.
const VALUES_MAX: usize = 512;
/// More children than this, and a node is cut in two.
const CHILDREN_MAX: usize = 32;
/// No leaf, and no node.
const NOWHERE: u32 = u32::MAX;

/// Some spans, and the values of those that are shown, one behind the other.
#[derive(Clone, Debug)]
pub(super) struct Leaf<T> {
    pub(super) spans: Arena<Span>,
    pub(super) values: Vec<T>,
    next: u32,
    parent: u32,
    slot: u32,
}

#[derive(Clone, Debug)]
struct Node {
    children: Arena<Child>,
    parent: u32,
    slot: u32,
    above_leaves: bool,
}

#[derive(Clone, Copy, Debug)]
struct Child {
    node: u32,
    shown: usize,
}

/// One element's place in the tree: the leaf, the span, which of the span's elements, and how many values the leaf has
/// before the span's.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub(super) leaf: u32,
    pub(super) span: usize,
    pub(super) nth: u64,
    pub(super) before: usize,
}

/// Where a span can be put in: before this one of the leaf, its values after so many.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gap {
    pub(super) leaf: u32,
    pub(super) span: usize,
    pub(super) before: usize,
}

/// Where the last edit was: the next one is mostly beside it.
#[derive(Clone, Copy, Debug)]
struct Finger {
    leaf: u32,
    span: usize,
    before: usize,
    /// How many are shown before the leaf, if that is known.
    leaf_before: Option<usize>,
}

/// The tree. No span is ever taken away, for what is gone keeps its place: so no leaf ever is.
#[derive(Clone, Debug)]
pub(super) struct Tree<T> {
    leaves: Arena<Leaf<T>>,
    nodes: Arena<Node>,
    root: u32,
    len: usize,
    finger: Finger,
}

impl<T> Tree<T> {
    pub(super) fn new() -> Self {
        let leaf = Leaf { spans: Arena::default(), values: Vec::new(), next: NOWHERE, parent: 0, slot: 0 };
        let children = vec![Child { node: 0, shown: 0 }].into();
        let root = Node { children, parent: NOWHERE, slot: 0, above_leaves: true };
        Self {
            leaves: vec![leaf].into(),
            nodes: vec![root].into(),
            root: 0,
            len: 0,
            finger: Finger { leaf: 0, span: 0, before: 0, leaf_before: Some(0) },
        }
    }

    /// How many elements are shown.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_one_leaf(&self) -> bool {
        self.leaves.len() == 1
    }

    pub(super) fn leaf(&self, leaf: u32) -> &Leaf<T> {
        &self.leaves[leaf]
    }

    pub(super) fn span(&self, at: At) -> &Span {
        &self.leaves[at.leaf].spans[at.span]
    }

    pub(super) fn span_mut(&mut self, leaf: u32, span: usize) -> &mut Span {
        &mut self.leaves[leaf].spans[span]
    }

    /// The leaves in the order of the list.
    pub(super) fn leaves(&self) -> impl Iterator<Item = &Leaf<T>> {
        // The first leaf stays the first: a cut makes a new leaf behind the old one.
        std::iter::successors(self.leaves.at(0), |leaf| self.leaves.at(leaf.next as usize))
    }

    /// The leaf and the number in it of the span that follows in the list.
    pub(super) fn next_span(&self, leaf: u32, span: usize) -> Option<(u32, usize)> {
        let here = &self.leaves[leaf];
        if span + 1 < here.spans.len() {
            return Some((leaf, span + 1));
        }
        (here.next != NOWHERE).then_some((here.next, 0))
    }

    /// The first span of the list.
    pub(super) fn first(&self) -> Option<Span> {
        self.leaves.at(0).and_then(|leaf| leaf.spans.at(0).copied())
    }

    /// Finds the element that is shown at an index below `len`.
    pub(super) fn at_index(&mut self, index: usize) -> At {
        let at = self.seek(index);
        let leaf_before = index.checked_sub(at.before + count(at.nth));
        self.finger = Finger { leaf: at.leaf, span: at.span, before: at.before, leaf_before };
        at
    }

    /// The same, leaving the finger where it is.
    pub(super) fn seek(&self, index: usize) -> At {
        let finger = &self.finger;
        if let Some(leaf_before) = finger.leaf_before
            && let Some(rest) = index.checked_sub(leaf_before)
        {
            let leaf = &self.leaves[finger.leaf];
            if rest < leaf.values.len() {
                if let Some(span) = leaf.spans.at(finger.span)
                    && rest >= finger.before
                    && rest - finger.before < span.shown()
                {
                    let nth = (rest - finger.before) as u64;
                    return At { leaf: finger.leaf, span: finger.span, nth, before: finger.before };
                }
                return self.seek_in(finger.leaf, rest);
            }
        }
        let (mut rest, mut node) = (index, self.root);
        // As deep as the tree, which is balanced.
        loop {
            let Node { children, above_leaves, .. } = &self.nodes[node];
            let mut child = children.len().saturating_sub(1);
            for (nth, candidate) in children.iter().enumerate() {
                if rest < candidate.shown {
                    child = nth;
                    break;
                }
                rest -= candidate.shown;
            }
            node = children[child].node;
            if *above_leaves {
                return self.seek_in(node, rest);
            }
        }
    }

    fn seek_in(&self, leaf: u32, index: usize) -> At {
        let mut before = 0;
        for (nth, span) in self.leaves[leaf].spans.iter().enumerate() {
            if index - before < span.shown() {
                return At { leaf, span: nth, nth: (index - before) as u64, before };
            }
            before += span.shown();
        }
        At { leaf, span: 0, nth: 0, before: 0 } // not reached: the counts above the leaf say that it is here
    }

    /// Finds an element of the list in the leaf where its replica's table says that it is.
    pub(super) fn find(&self, id: Id, ids: &Arena<Ids>) -> Option<At> {
        let finger = &self.finger;
        if let Some(span) = self.leaves[finger.leaf].spans.at(finger.span)
            && span.contains(id)
        {
            let nth = id.counter - span.counter;
            return Some(At { leaf: finger.leaf, span: finger.span, nth, before: finger.before });
        }
        let leaf = ids[id.replica].leaf(id.counter)?;
        let mut before = 0;
        for (nth, span) in self.leaves[leaf].spans.iter().enumerate() {
            if span.contains(id) {
                return Some(At { leaf, span: nth, nth: id.counter - span.counter, before });
            }
            before += span.shown();
        }
        None
    }

    /// The same for an element that is in the list, or nobody.
    pub(super) fn find_known(&self, id: Id, ids: &Arena<Ids>) -> Option<At> {
        if id == Id::NONE { None } else { self.find(id, ids) }
    }

    /// Whether an element has no right child.
    pub(super) fn is_childless(&self, at: At) -> bool {
        let span = self.span(at);
        at.nth + 1 == span.len && !span.right
    }

    /// How many are shown before a leaf.
    pub(super) fn shown_before(&self, leaf: u32) -> usize {
        let Leaf { parent, slot, .. } = &self.leaves[leaf];
        let (mut node, mut slot, mut shown) = (*parent, *slot, 0);
        while node != NOWHERE {
            let Node { children, parent, slot: next, .. } = &self.nodes[node];
            shown += children.iter().take(slot as usize).map(|child| child.shown).sum::<usize>();
            (node, slot) = (*parent, *next);
        }
        shown
    }

    /// The order of two elements in the list.
    pub(super) fn order(&self, one: At, two: At) -> Ordering {
        if one.leaf == two.leaf {
            return (one.span, one.nth).cmp(&(two.span, two.nth));
        }
        let up = |leaf: u32| (self.leaves[leaf].parent, self.leaves[leaf].slot);
        let ((mut one, mut one_slot), (mut two, mut two_slot)) = (up(one.leaf), up(two.leaf));
        while one != two {
            (one, one_slot) = (self.nodes[one].parent, self.nodes[one].slot);
            (two, two_slot) = (self.nodes[two].parent, self.nodes[two].slot);
        }
        one_slot.cmp(&two_slot)
    }

    /// The gap before an element, which is the first of its span afterwards.
    pub(super) fn gap_before(&mut self, at: At) -> Gap {
        let mut gap = Gap { leaf: at.leaf, span: at.span, before: at.before };
        if at.nth > 0 {
            gap.before += if self.span(at).gone { 0 } else { count(at.nth) };
            gap.span += 1;
            self.cut(at.leaf, at.span, at.nth);
        }
        gap
    }

    /// The gap behind an element, which is the last of its span afterwards.
    pub(super) fn gap_behind(&mut self, at: At) -> Gap {
        if at.nth + 1 < self.span(at).len {
            return self.gap_before(At { nth: at.nth + 1, ..at });
        }
        Gap { leaf: at.leaf, span: at.span + 1, before: at.before + self.span(at).shown() }
    }

    fn cut(&mut self, leaf: u32, span: usize, len: u64) {
        let spans = &mut self.leaves[leaf].spans;
        let rest = spans[span].split_off(len);
        spans.insert(span + 1, rest);
        if self.finger.leaf == leaf && self.finger.span > span {
            self.finger.span = usize::MAX; // its number changed
        }
    }

    /// Puts a span and its values into a gap.
    pub(super) fn insert(&mut self, gap: Gap, span: Span, values: Content<T>, ids: &mut Arena<Ids>) {
        let shown = span.shown();
        let leaf = &mut self.leaves[gap.leaf];
        match values {
            Content::Gone(_) => {}
            Content::One(value) => leaf.values.insert(gap.before, value),
            Content::Many(values) => {
                leaf.values.splice(gap.before..gap.before, values);
            }
        }
        let mut finger = Finger { leaf: gap.leaf, span: gap.span, before: gap.before, leaf_before: None };
        if let Some(previous) = gap.span.checked_sub(1)
            && leaf.spans[previous].meets(&span)
        {
            let previous = &mut leaf.spans[previous];
            finger.span -= 1;
            finger.before -= previous.shown();
            previous.len += span.len;
            previous.right = span.right;
        } else {
            leaf.spans.insert(gap.span, span);
        }
        self.move_finger(finger);
        ids[span.replica].set_leaf(span.counter, span.end(), gap.leaf);
        self.count_shown(gap.leaf, shown, true);
        self.cut_leaf(gap.leaf, ids);
    }

    /// Marks some elements of a span as gone, and returns how many of its elements that were.
    pub(super) fn remove(&mut self, at: At, len: u64, ids: &mut Arena<Ids>) -> u64 {
        let leaf = &mut self.leaves[at.leaf];
        let (spans, nth) = (&mut leaf.spans, at.span);
        let len = len.min(spans[nth].len - at.nth);
        if spans[nth].gone {
            return len;
        }
        let from = at.before + count(at.nth);
        leaf.values.drain(from..from + count(len));
        let mut finger = Finger { leaf: at.leaf, span: nth, before: at.before, leaf_before: None };
        let span = spans[nth];
        let gone = Span { gone: true, ..span };
        if at.nth > 0 && at.nth + len == span.len && nth + 1 < spans.len() && gone.meets(&spans[nth + 1]) {
            spans[nth].len -= len;
            spans[nth + 1].counter -= len;
            spans[nth + 1].len += len;
        } else if at.nth == 0 && len < span.len && nth > 0 && spans[nth - 1].meets(&gone) {
            spans[nth].counter += len;
            spans[nth].len -= len;
            spans[nth - 1].len += len;
        } else {
            let marked = mark(spans, nth, at.nth, len);
            finger.span = if at.nth > 0 { nth } else { marked };
        }
        self.move_finger(finger);
        self.count_shown(at.leaf, count(len), false);
        self.cut_leaf(at.leaf, ids);
        len
    }

    /// The finger's leaf has the same number of elements before it while only that leaf changes.
    fn move_finger(&mut self, to: Finger) {
        let leaf_before = self.finger.leaf_before.filter(|_| self.finger.leaf == to.leaf);
        self.finger = Finger { leaf_before, ..to };
    }

    fn count_shown(&mut self, leaf: u32, shown: usize, more: bool) {
        let change = |number: &mut usize| *number = if more { *number + shown } else { *number - shown };
        let Leaf { parent, slot, .. } = &self.leaves[leaf];
        let (mut node, mut slot) = (*parent, *slot);
        while node != NOWHERE {
            let above = &mut self.nodes[node];
            change(&mut above.children[slot].shown);
            (node, slot) = (above.parent, above.slot);
        }
        change(&mut self.len);
    }

    /// Cuts a leaf until it and what was cut off are small enough.
    fn cut_leaf(&mut self, leaf: u32, ids: &mut Arena<Ids>) {
        let mut large = vec![];
        let mut next = Some(leaf);
        while let Some(leaf) = next {
            let Leaf { spans, values, .. } = &self.leaves[leaf];
            if spans.len() > SPANS_MAX {
                let (span, before) =
                    (spans.len() / 2, spans.iter().take(spans.len() / 2).map(Span::shown).sum());
                large.push(self.cut_leaf_at(Gap { leaf, span, before }, ids));
            } else if values.len() > VALUES_MAX {
                let at = self.seek_in(leaf, values.len() / 2);
                let gap = self.gap_before(at);
                large.push(self.cut_leaf_at(gap, ids));
            } else {
                next = large.pop();
            }
        }
    }

    fn cut_leaf_at(&mut self, gap: Gap, ids: &mut Arena<Ids>) -> u32 {
        let leaf = &mut self.leaves[gap.leaf];
        let spans: Arena<Span> = leaf.spans.split_off(gap.span);
        let values = leaf.values.split_off(gap.before);
        let (parent, slot, next, shown) = (leaf.parent, leaf.slot, leaf.next, values.len());
        let new = self.leaves.add(Leaf { spans, values, next, parent, slot });
        self.leaves[gap.leaf].next = new;
        // The pieces of a run are told together.
        let mut spans = self.leaves[new].spans.iter().peekable();
        while let Some(first) = spans.next() {
            let mut end = first.end();
            while let Some(next) = spans.next_if(|next| next.replica == first.replica && next.counter == end)
            {
                end = next.end();
            }
            ids[first.replica].set_leaf(first.counter, end, new);
        }
        self.nodes[parent].children[slot].shown -= shown;
        self.attach(parent, slot + 1, Child { node: new, shown });
        self.finger = Finger { leaf: gap.leaf, span: usize::MAX, before: 0, leaf_before: None };
        new
    }

    /// Adds a child to a node, and cuts the node, and those above it, where they become too large.
    fn attach(&mut self, mut node: u32, mut slot: u32, mut child: Child) {
        loop {
            self.nodes[node].children.insert(slot as usize, child);
            self.number(node);
            let length = self.nodes[node].children.len();
            if length <= CHILDREN_MAX {
                return;
            }
            let above_leaves = self.nodes[node].above_leaves;
            let children: Arena<Child> = self.nodes[node].children.split_off(length / 2);
            let shown = children.iter().map(|child| child.shown).sum();
            let new = self.nodes.add(Node { children, parent: NOWHERE, slot: 0, above_leaves });
            self.number(new);
            child = Child { node: new, shown };
            if node == self.root {
                let rest = self.nodes[node].children.iter().map(|child| child.shown).sum();
                let children = vec![Child { node, shown: rest }, child].into();
                self.root = self.nodes.add(Node { children, parent: NOWHERE, slot: 0, above_leaves: false });
                self.number(self.root);
                return;
            }
            (node, slot) = (self.nodes[node].parent, self.nodes[node].slot);
            self.nodes[node].children[slot].shown -= shown;
            slot += 1;
        }
    }

    /// Tells the children of a node where they hang.
    fn number(&mut self, node: u32) {
        let Node { children, above_leaves, .. } = &self.nodes[node];
        let (children, above_leaves) = (children.clone(), *above_leaves);
        for (child, slot) in children.iter().zip(0_u32..) {
            if above_leaves {
                (self.leaves[child.node].parent, self.leaves[child.node].slot) = (node, slot);
            } else {
                (self.nodes[child.node].parent, self.nodes[child.node].slot) = (node, slot);
            }
        }
    }
}

/// Marks elements of a span as gone, and makes them one with neighbours that are. Returns where they are now.
fn mark(spans: &mut Arena<Span>, mut span: usize, from: u64, len: u64) -> usize {
    if from > 0 {
        let rest = spans[span].split_off(from);
        span += 1;
        spans.insert(span, rest);
    }
    if len < spans[span].len {
        let rest = spans[span].split_off(len);
        spans.insert(span + 1, rest);
    }
    spans[span].gone = true;
    for first in [Some(span), span.checked_sub(1)].into_iter().flatten() {
        if first + 1 < spans.len() && spans[first].meets(&spans[first + 1]) {
            let next = spans.remove(first + 1);
            spans[first].len += next.len;
            spans[first].right = next.right;
            span = first;
        }
    }
    span
}
